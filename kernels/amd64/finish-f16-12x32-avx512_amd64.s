//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func finish12x32F16AVX512(args *finishArgs)
//
// micro.Kernel.Finish of the kernels f16f32acc-12x32-avx512 and f32-12x32-avx512:
// tiles end as fp16 in dst. Cols is a multiple of 32. Registers, passes and budget are
// those of f32-12x32-avx512_amd64.s, the code is in 12x32-avx512_amd64.h.
//
// The end of a tile uses these registers besides:
//
//	DX       dst, moves on by R9 a row
//	R9       dstStride in bytes
//	R10      the bias of the panel's columns
//	K3,K4    the elements of a row that the rectifier keeps
//	Z24,Z25  the bias, or -0, which changes nothing
//	Z26      the scale
//	Z27      with ReLU 0, else a NaN, which keeps every element
//	Y28,Y29  a row in fp16
//	Y30      all bits but the sign
//	Y31      the largest magnitude so far
//
// Budget of a row of a tile: 2 conversions, 2 stores, 2 ANDs and 2 maxima. An epilogue
// adds 2 each of multiplications, additions, comparisons and moves. This runs once in
// K steps and saves a pass over the sums: 2.5 % of the time of 784×256×128 on a Zen 4.

#define LOADB \
	VMOVUPS (B), Z24;   \
	VMOVUPS 64(B), Z25
#define AHEAD
#define NEXTPANEL(to) MOVQ call_BPanel(AX), to; SHLQ $2, to
#define SIZELOG 2

// Begins a pass with the first panel of dst and of the bias.
#define START \
	MOVQ args+0(FP), DX;          \
	MOVQ finishArgs_bias(DX), DX; \
	MOVQ DX, gemmFrame_bias(SP);  \
	MOVQ gemmFrame_dst(SP), DX;   \
	MOVQ DX, gemmFrame_tile(SP)

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
	MOVQ     gemmFrame_tile(SP), C;         \
	MOVQ     args+0(FP), AX;                \
	MOVQ     finishArgs_dstStride(AX), A3;  \
	SHLQ     $1, A3;                        \
	CONSTANT(0x7fff7fff, Y30);              \
	VPXORD   Y31, Y31, Y31;                 \
	CMPL     gemmFrame_plain(SP), $0;       \
	JNE      plain;                         \
	CONSTANT(0x80000000, Z24);              \
	VMOVAPS  Z24, Z25;                      \
	MOVQ     gemmFrame_bias(SP), A6;        \
	TESTQ    A6, A6;                        \
	JZ       bias;                          \
	VMOVUPS  (A6), Z24;                     \
	VMOVUPS  64(A6), Z25;                   \
	ADDQ     $128, gemmFrame_bias(SP);      \
bias:                                           \
	MOVQ     args+0(FP), AX;                \
	VBROADCASTSS finishArgs_scale(AX), Z26; \
	MOVBLZX  finishArgs_relu(AX), AX;       \
	DECL     AX;                            \
	ANDL     $0x7fc00000, AX;               \
	VPBROADCASTD AX, Z27;                   \
	EACH(FULLROW);                          \
	JMP      ended;                         \
plain:                                          \
	EACH(PLAINROW);                         \
ended:                                          \
	CONSTANT(0x7c007c00, Y30);              \
	VPCMPUW  $5, Y30, Y31, K3;              \
	KMOVW    K3, AX;                        \
	ORL      AX, gemmFrame_over(SP);        \
	ADDQ     $64, gemmFrame_tile(SP)

#define ADVANCED(n) \
	MOVQ   args+0(FP), AX;               \
	MOVQ   finishArgs_dstStride(AX), AX; \
	IMUL3Q $(2*n), AX, AX;               \
	ADDQ   AX, gemmFrame_dst(SP)
#define FINISHED \
	MOVQ  args+0(FP), AX;         \
	CMPL  gemmFrame_over(SP), $0; \
	SETEQ finishArgs_finite(AX)

TEXT ·finish12x32F16AVX512(SB), NOSPLIT, $gemmFrame__size-8
	MOVQ args+0(FP), AX
	MOVQ finishArgs_dst(AX), DX
	MOVQ DX, gemmFrame_dst(SP)
	MOVL $0, gemmFrame_over(SP)

	// plain: the scale is 1, and there is neither a bias nor a rectifier.
	MOVL    $1, CX
	XORL    DX, DX
	CMPL    finishArgs_scale(AX), $0x3f800000
	CMOVLNE DX, CX
	CMPQ    finishArgs_bias(AX), $0
	CMOVLNE DX, CX
	CMPB    finishArgs_relu(AX), $0
	CMOVLNE DX, CX
	MOVL    CX, gemmFrame_plain(SP)

	MOVQ finishArgs_call(AX), AX
	MOVQ call_B+elements_first(AX), DI
	MOVQ call_BRow(AX), CX

#include "12x32-avx512_amd64.h"
