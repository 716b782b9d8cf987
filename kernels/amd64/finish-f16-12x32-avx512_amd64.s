//go:build !purego

#include "textflag.h"

// func finish12x32F16AVX512(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool, dst *fp16.Float16, dstStride int, scale float32, bias *float32, relu bool) (finite bool)
//
// The kernels f16f32acc-12x32-avx512 and f32-12x32-avx512 whose tiles end as fp16
// in dst: micro.Kernel.Finish. Registers and passes are those of
// f32-12x32-avx512_amd64.s, the code is in 12x32-avx512_amd64.h. cols is a multiple
// of 32.
//
// At the end of a tile there are besides
//
//	DX       dst, moves on by R9 a row
//	R9       dstStride in bytes
//	R10      bias, the columns of the panel
//	K3,K4    the elements of a row that the rectifier keeps
//	Z24,Z25  the bias, or -0, which changes nothing
//	Z26      the scale
//	Z27      0 for the rectifier; else a NaN, which nothing is at most
//	Y28,Y29  a row in fp16
//	Y30      all bits but the sign
//	Y31      the largest magnitude so far
//
// Budget of a row of a tile: 2 conversions, 2 stores, 2 ANDs and 2 maxima; with an
// epilogue 2 each of multiplications, additions, comparisons and moves more. That
// is once every k steps, and spares a pass over the sums: 2.5 % of the time of
// 784×256×128 on a Zen 4.

#define LOADB \
	VMOVUPS (B), Z24;   \
	VMOVUPS 64(B), Z25
#define AHEAD
#define NEXTPANEL(to) MOVQ bPanel+48(FP), to; SHLQ $2, to
#define SIZELOG 2

// Where the tile and its bias are.
#define START \
	MOVQ dst+96(FP), AX;  \
	MOVQ AX, tile-24(SP); \
	MOVQ bias+120(FP), AX; \
	MOVQ AX, bias-32(SP)

#define PLAINROW(lo, hi) \
	VCVTPS2PH $0, lo, Y28;   \
	VCVTPS2PH $0, hi, Y29;   \
	VMOVUPS   Y28, (C);      \
	VMOVUPS   Y29, 32(C);    \
	VPANDD    Y30, Y28, Y28; \
	VPANDD    Y30, Y29, Y29; \
	VPMAXUW   Y28, Y31, Y31; \
	VPMAXUW   Y29, Y31, Y31; \
	ADDQ      A3, C
#define FULLROW(lo, hi) \
	VMULPS    Z26, lo, lo;       \
	VMULPS    Z26, hi, hi;       \
	VADDPS    Z24, lo, lo;       \
	VADDPS    Z25, hi, hi;       \
	VCMPPS    $0x16, Z27, lo, K3; \
	VCMPPS    $0x16, Z27, hi, K4; \
	VMOVAPS.Z lo, K3, lo;        \
	VMOVAPS.Z hi, K4, hi;        \
	PLAINROW(lo, hi)

#define CONSTANT(bits, v) \
	MOVL         $bits, AX; \
	VPBROADCASTD AX, v

#define END(EACH, bias, plain, ended) \
	MOVQ     tile-24(SP), C;      \
	MOVQ     dstStride+104(FP), A3; \
	SHLQ     $1, A3;              \
	CONSTANT(0x7fff7fff, Y30);    \
	VPXORD   Y31, Y31, Y31;       \
	CMPL     plain-36(SP), $0;    \
	JNE      plain;               \
	CONSTANT(0x80000000, Z24);    \
	VMOVAPS  Z24, Z25;            \
	MOVQ     bias-32(SP), A6;     \
	TESTQ    A6, A6;              \
	JZ       bias;                \
	VMOVUPS  (A6), Z24;           \
	VMOVUPS  64(A6), Z25;         \
	ADDQ     $128, bias-32(SP);   \
bias:                             \
	VBROADCASTSS scale+112(FP), Z26; \
	MOVBLZX  relu+128(FP), AX;    \
	DECL     AX;                  \
	ANDL     $0x7fc00000, AX;     \
	VPBROADCASTD AX, Z27;         \
	EACH(FULLROW);                \
	JMP      ended;               \
plain:                            \
	EACH(PLAINROW);               \
ended:                            \
	CONSTANT(0x7c007c00, Y30);    \
	VPCMPUW  $5, Y30, Y31, K3;    \
	KMOVW    K3, AX;              \
	ORL      AX, over-40(SP);     \
	ADDQ     $64, tile-24(SP)

#define ADVANCED(n) \
	MOVQ   dstStride+104(FP), AX; \
	IMUL3Q $(2*n), AX, AX;     \
	ADDQ   AX, dst+96(FP)
#define FINISHED \
	CMPL  over-40(SP), $0; \
	SETEQ finite+136(FP)

TEXT ·finish12x32F16AVX512(SB), NOSPLIT, $40-137
	// Is there anything to do but to convert?
	MOVL $0, over-40(SP)
	MOVL $1, AX
	XORL DX, DX
	CMPL scale+112(FP), $0x3f800000
	CMOVLNE DX, AX
	CMPQ bias+120(FP), $0
	CMOVLNE DX, AX
	CMPB relu+128(FP), $0
	CMOVLNE DX, AX
	MOVL AX, plain-36(SP)

#include "12x32-avx512_amd64.h"
