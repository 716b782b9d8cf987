//go:build !purego

#include "textflag.h"

// The work around the products for the tier avx512. What each function computes
// is written, as a loop, at its declaration and in package micro.
//
// Elements are taken a vector at a time and what is left of them, up to a whole
// vector, under a mask: nothing else is read or written. Multiplications and
// additions are apart, each rounded on its own.
//
// Registers of all functions
//
//	AX, CX   scratch
//	DI, SI   what is written and what is read; others are named where they are used
//	DX       elements before the last vector
//	BX       the element that is next
//	K1       the mask of the last vector
//	Z0-Z9    on their way
//	Z16-Z31  constants

// The mask of the last n (1 to 16, or to 32) elements of which there are len,
// which is at least 1, and in DX how many there are before.
#define TAIL(len, most, k) \
	LEAQ  -1(len), CX;     \
	ANDQ  $(most-1), CX;   \
	INCQ  CX;              \
	MOVQ  len, DX;         \
	SUBQ  CX, DX;          \
	MOVL  $-1, AX;         \
	BZHIL CX, AX, AX;      \
	KMOVD AX, k

// A 32-bit constant in all lanes.
#define CONSTANT(bits, z) \
	MOVL         $bits, AX; \
	VPBROADCASTD AX, z

// AX is whether all lanes of the maximum of magnitudes are below a limit.
#define BELOW(max, limit) \
	VPCMPUD  $5, limit, max, K2; \
	KORTESTW K2, K2;             \
	SETEQ    AX

// AddRows
//
//	DI       sums
//	SI, R8   m, at the columns under way, and its stride in bytes
//	R9, R10  rows; columns left
//	R11      m, at the row under way; R12: rows left
//	Z0-Z3    64 columns of the sums, or Z0 the last 1 to 16
//
// Budget for a row of 64 columns: 4 additions, 4 loads, which for fp16 are
// conversions: one a cycle on Intel, and four chains of an addition's 4 cycles.
#define ADDROWS(shift, GET, GETPART, strip, row, rest, part, partrow, done) \
	MOVQ    sums+0(FP), DI;       \
	MOVQ    m+8(FP), SI;          \
	MOVQ    stride+16(FP), R8;    \
	MOVQ    rows+24(FP), R9;      \
	MOVQ    cols+32(FP), R10;     \
	SHLQ    $shift, R8;           \
strip:                            \
	CMPQ    R10, $64;             \
	JLT     rest;                 \
	VMOVUPS (DI), Z0;             \
	VMOVUPS 64(DI), Z1;           \
	VMOVUPS 128(DI), Z2;          \
	VMOVUPS 192(DI), Z3;          \
	MOVQ    SI, R11;              \
	MOVQ    R9, R12;              \
row:                              \
	GET((R11), Z4);               \
	GET((16<<shift)(R11), Z5);    \
	GET((32<<shift)(R11), Z6);    \
	GET((48<<shift)(R11), Z7);    \
	VADDPS  Z4, Z0, Z0;           \
	VADDPS  Z5, Z1, Z1;           \
	VADDPS  Z6, Z2, Z2;           \
	VADDPS  Z7, Z3, Z3;           \
	ADDQ    R8, R11;              \
	DECQ    R12;                  \
	JNZ     row;                  \
	VMOVUPS Z0, (DI);             \
	VMOVUPS Z1, 64(DI);           \
	VMOVUPS Z2, 128(DI);          \
	VMOVUPS Z3, 192(DI);          \
	ADDQ    $256, DI;             \
	ADDQ    $(64<<shift), SI;     \
	SUBQ    $64, R10;             \
	JMP     strip;                \
rest:                             \
	TESTQ   R10, R10;             \
	JLE     done;                 \
	MOVQ    $16, CX;              \
	CMPQ    R10, CX;              \
	CMOVQLT R10, CX;              \
	MOVL    $-1, AX;              \
	BZHIL   CX, AX, AX;           \
	KMOVW   AX, K1;               \
	VMOVUPS.Z (DI), K1, Z0;       \
	MOVQ    SI, R11;              \
	MOVQ    R9, R12;              \
partrow:                          \
	GETPART((R11), Z4);           \
	VADDPS  Z4, Z0, Z0;           \
	ADDQ    R8, R11;              \
	DECQ    R12;                  \
	JNZ     partrow;              \
	VMOVUPS Z0, K1, (DI);         \
	ADDQ    $64, DI;              \
	ADDQ    $(16<<shift), SI;     \
	SUBQ    $16, R10;             \
	JMP     rest;                 \
done:                             \
	VZEROUPPER;                   \
	RET

// Store
//
//	DI, R8   dst and its stride, in bytes
//	SI, R9   src and its stride, in bytes
//	R10, R11 rows left, columns
//	R12      bias, or 0
//	Z16      scale
//	Z17      bias; −0, which changes nothing, where there is none
//	Z18      what is not below this stays: 0 to rectify, NaN to keep all
//	Z19      all bits but the sign
//	Z20      the largest magnitude so far, as an integer
//	Z21      the least magnitude that is not finite once it is stored
//
// Budget for 16 elements: a load, multiplication, addition, comparison, move,
// AND, maximum, and a store, with conversion for fp16.
#define STORE(shift, PUT, PUTPART, limit, row, vector, bias, last, lastbias) \
	MOVQ         dst+0(FP), DI;        \
	MOVQ         dstStride+8(FP), R8;  \
	MOVQ         src+16(FP), SI;       \
	MOVQ         stride+24(FP), R9;    \
	MOVQ         rows+32(FP), R10;     \
	MOVQ         cols+40(FP), R11;     \
	VBROADCASTSS scale+48(FP), Z16;    \
	MOVQ         bias+56(FP), R12;     \
	MOVBLZX      relu+64(FP), CX;      \
	SHLQ         $shift, R8;           \
	SHLQ         $2, R9;               \
	CONSTANT(0x80000000, Z17);         \
	DECL         CX;                   \
	ANDL         $0x7fc00000, CX;      \
	VPBROADCASTD CX, Z18;              \
	CONSTANT(0x7fffffff, Z19);         \
	VPXORD       Z20, Z20, Z20;        \
	CONSTANT(limit, Z21);              \
	TAIL(R11, 16, K1);                 \
row:                                   \
	XORL         BX, BX;               \
	CMPQ         BX, DX;               \
	JGE          last;                 \
vector:                                \
	VMULPS       (SI)(BX*4), Z16, Z0;  \
	TESTQ        R12, R12;             \
	JZ           bias;                 \
	VMOVUPS      (R12)(BX*4), Z17;     \
bias:                                  \
	VADDPS       Z17, Z0, Z0;          \
	VCMPPS       $0x16, Z18, Z0, K2;   \
	VMOVAPS.Z    Z0, K2, Z0;           \
	PUT;                               \
	VPANDD       Z19, Z0, Z1;          \
	VPMAXUD      Z1, Z20, Z20;         \
	ADDQ         $16, BX;              \
	CMPQ         BX, DX;               \
	JLT          vector;               \
last:                                  \
	VMOVUPS.Z    (SI)(BX*4), K1, Z0;   \
	VMULPS       Z16, Z0, Z0;          \
	TESTQ        R12, R12;             \
	JZ           lastbias;             \
	VMOVUPS.Z    (R12)(BX*4), K1, Z17; \
lastbias:                              \
	VADDPS       Z17, Z0, Z0;          \
	VCMPPS       $0x16, Z18, Z0, K2;   \
	VMOVAPS.Z    Z0, K2, Z0;           \
	PUTPART;                           \
	VPANDD.Z     Z19, Z0, K1, Z1;      \
	VPMAXUD      Z1, Z20, Z20;         \
	ADDQ         R8, DI;               \
	ADDQ         R9, SI;               \
	DECQ         R10;                  \
	JNZ          row;                  \
	BELOW(Z20, Z21);                   \
	MOVB         AX, finite+72(FP);    \
	VZEROUPPER;                        \
	RET

#define PUTF16 VCVTPS2PH $0, Z0, (DI)(BX*2)
#define PARTF16 VCVTPS2PH $0, Z0, K1, (DI)(BX*2)
#define PUTF32 VMOVUPS Z0, (DI)(BX*4)
#define PARTF32 VMOVUPS Z0, K1, (DI)(BX*4)

// func storeF16AVX512(dst *fp16.Float16, dstStride int, src *float32, stride, rows, cols int, scale float32, bias *float32, relu bool) (finite bool)
TEXT ·storeF16AVX512(SB), NOSPLIT, $0-73
	STORE(1, PUTF16, PARTF16, 0x477ff000, row, vector, bias, last, lastbias) // 65520 rounds to infinity

// func storeF32AVX512(dst *float32, dstStride int, src *float32, stride, rows, cols int, scale float32, bias *float32, relu bool) (finite bool)
TEXT ·storeF32AVX512(SB), NOSPLIT, $0-73
	STORE(2, PUTF32, PARTF32, 0x7f800000, row, vector, bias, last, lastbias)

// func finiteAVX512(x *float32, n int, factor float32) bool
//
// Z16 is the factor, Z19 all bits but the sign, Z20 and Z21 the largest
// magnitudes of two halves. Budget for 32 elements: 2 multiplications with a
// load, 2 ANDs, 2 maxima.
TEXT ·finiteAVX512(SB), NOSPLIT, $0-25
	MOVQ         x+0(FP), SI
	MOVQ         n+8(FP), R10
	VBROADCASTSS factor+16(FP), Z16
	CONSTANT(0x7fffffff, Z19)
	CONSTANT(0x7f800000, Z22)
	VPXORD       Z20, Z20, Z20
	VPXORD       Z21, Z21, Z21
	TAIL(R10, 16, K1)
	XORL         BX, BX

pair:
	LEAQ    32(BX), CX
	CMPQ    CX, DX
	JGT     one
	VMULPS  (SI)(BX*4), Z16, Z0
	VMULPS  64(SI)(BX*4), Z16, Z1
	VPANDD  Z19, Z0, Z0
	VPANDD  Z19, Z1, Z1
	VPMAXUD Z0, Z20, Z20
	VPMAXUD Z1, Z21, Z21
	MOVQ    CX, BX
	JMP     pair

one:
	CMPQ    BX, DX
	JGE     last
	VMULPS  (SI)(BX*4), Z16, Z0
	VPANDD  Z19, Z0, Z0
	VPMAXUD Z0, Z20, Z20
	ADDQ    $16, BX

last:
	VMOVUPS.Z (SI)(BX*4), K1, Z0
	VMULPS    Z16, Z0, Z0
	VPANDD.Z  Z19, Z0, K1, Z0
	VPMAXUD   Z0, Z20, Z20
	VPMAXUD   Z21, Z20, Z20
	BELOW(Z20, Z22)
	MOVB      AX, ret+24(FP)
	VZEROUPPER
	RET

// func rectifyF16AVX512(dst, src, mask *fp16.Float16, n int)
//
// Z16 is 0, Z17 the infinity's bits, Z18 all bits but the sign: positive words
// are positive values and NaNs, others may still be NaNs.
TEXT ·rectifyF16AVX512(SB), NOSPLIT, $0-32
	MOVQ   dst+0(FP), DI
	MOVQ   src+8(FP), SI
	MOVQ   mask+16(FP), R9
	MOVQ   n+24(FP), R10
	VPXORD Z16, Z16, Z16
	CONSTANT(0x7c007c00, Z17)
	CONSTANT(0x7fff7fff, Z18)
	TAIL(R10, 32, K1)
	XORL   BX, BX
	CMPQ   BX, DX
	JGE    last

vector:
	VMOVDQU16   (R9)(BX*2), Z0
	VPANDD      Z18, Z0, Z1
	VPCMPGTW    Z16, Z0, K2
	VPCMPGTW    Z17, Z1, K3
	KORD        K2, K3, K2
	VMOVDQU16.Z (SI)(BX*2), K2, Z0
	VMOVDQU16   Z0, (DI)(BX*2)
	ADDQ        $32, BX
	CMPQ        BX, DX
	JLT         vector

last:
	VMOVDQU16.Z (R9)(BX*2), K1, Z0
	VPANDD      Z18, Z0, Z1
	VPCMPGTW    Z16, Z0, K2
	VPCMPGTW    Z17, Z1, K3
	KORD        K2, K3, K2
	VMOVDQU16.Z (SI)(BX*2), K2, Z0 // K2 is within K1: what was not loaded is 0
	VMOVDQU16   Z0, K1, (DI)(BX*2)
	VZEROUPPER
	RET

// func rectifyF32AVX512(dst, src, mask *float32, n int)
TEXT ·rectifyF32AVX512(SB), NOSPLIT, $0-32
	MOVQ   dst+0(FP), DI
	MOVQ   src+8(FP), SI
	MOVQ   mask+16(FP), R9
	MOVQ   n+24(FP), R10
	VPXORD Z16, Z16, Z16
	TAIL(R10, 16, K1)
	XORL   BX, BX
	CMPQ   BX, DX
	JGE    last

vector:
	VMOVUPS   (R9)(BX*4), Z0
	VCMPPS    $0x16, Z16, Z0, K2
	VMOVUPS.Z (SI)(BX*4), K2, Z0
	VMOVUPS   Z0, (DI)(BX*4)
	ADDQ      $16, BX
	CMPQ      BX, DX
	JLT       vector

last:
	VMOVUPS.Z (R9)(BX*4), K1, Z0
	VCMPPS    $0x16, Z16, Z0, K2
	VMOVUPS.Z (SI)(BX*4), K2, Z0 // K2 is within K1: what was not loaded is 0
	VMOVUPS   Z0, K1, (DI)(BX*4)
	VZEROUPPER
	RET

#define GETF16(mem, z) VCVTPH2PS mem, z
#define GETPARTF16(mem, z) VCVTPH2PS.Z mem, K1, z
#define GETF32(mem, z) VMOVUPS mem, z
#define GETPARTF32(mem, z) VMOVUPS.Z mem, K1, z

// func addRowsF16AVX512(sums *float32, m *fp16.Float16, stride, rows, cols int)
TEXT ·addRowsF16AVX512(SB), NOSPLIT, $0-40
	ADDROWS(1, GETF16, GETPARTF16, strip, row, rest, part, partrow, done)

// func addRowsF32AVX512(sums, m *float32, stride, rows, cols int)
TEXT ·addRowsF32AVX512(SB), NOSPLIT, $0-40
	ADDROWS(2, GETF32, GETPARTF32, strip, row, rest, part, partrow, done)

// Loads and stores of the optimizers: all of a vector, and under the mask.
#define ALL(mem, z) VMOVUPS mem, z
#define PART(mem, z) VMOVUPS.Z mem, K1, z
#define TOALL(z, mem) VMOVUPS z, mem
#define TOPART(z, mem) VMOVUPS z, K1, mem
#define HALFALL(z, mem) VCVTPS2PH $0, z, mem
#define HALFPART(z, mem) VCVTPS2PH $0, z, K1, mem

// func sgdAVX512(w, v, grad *float32, half *fp16.Float16, n int, unscale, rate, momentum, decay float32, nesterov bool)
//
//	DI, SI   w, v
//	R8, R9   grad; half, or 0
//	R10, R11 n; nesterov
//	R12      whether there is a decay
//	Z16-Z19  unscale, rate, momentum, decay
//	Z0-Z3    w, v, g, d
//
// Budget for 16 elements: 3 loads, 3 stores, one of them a conversion, and 4 to
// 8 multiplications and additions. The memory binds.
#define SGDSTEP(GET, PUT, PUTHALF, plain, heavy, nohalf) \
	GET((R8)(BX*4), Z2);   \
	GET((DI)(BX*4), Z0);   \
	GET((SI)(BX*4), Z1);   \
	VMULPS Z16, Z2, Z2;    \
	TESTL  R12, R12;       \
	JZ     plain;          \
	VMULPS Z19, Z0, Z3;    \
	VADDPS Z3, Z2, Z2;     \
plain:                     \
	VMULPS Z18, Z1, Z1;    \
	VADDPS Z2, Z1, Z1;     \
	PUT(Z1, (SI)(BX*4));   \
	VMOVAPS Z1, Z3;        \
	TESTL  R11, R11;       \
	JZ     heavy;          \
	VMULPS Z18, Z1, Z3;    \
	VADDPS Z3, Z2, Z3;     \
heavy:                     \
	VMULPS Z17, Z3, Z3;    \
	VSUBPS Z3, Z0, Z0;     \
	PUT(Z0, (DI)(BX*4));   \
	TESTQ  R9, R9;         \
	JZ     nohalf;         \
	PUTHALF(Z0, (R9)(BX*2)); \
nohalf:

TEXT ·sgdAVX512(SB), NOSPLIT, $0-57
	MOVQ         w+0(FP), DI
	MOVQ         v+8(FP), SI
	MOVQ         grad+16(FP), R8
	MOVQ         half+24(FP), R9
	MOVQ         n+32(FP), R10
	VBROADCASTSS unscale+40(FP), Z16
	VBROADCASTSS rate+44(FP), Z17
	VBROADCASTSS momentum+48(FP), Z18
	VBROADCASTSS decay+52(FP), Z19
	MOVL         decay+52(FP), R12
	ADDL         R12, R12 // −0 is no decay either
	MOVBLZX      nesterov+56(FP), R11
	TAIL(R10, 16, K1)
	XORL         BX, BX
	CMPQ         BX, DX
	JGE          last

vector:
	SGDSTEP(ALL, TOALL, HALFALL, plain, heavy, nohalf)
	ADDQ $16, BX
	CMPQ BX, DX
	JLT  vector

last:
	SGDSTEP(PART, TOPART, HALFPART, lastplain, lastheavy, lastnohalf)
	VZEROUPPER
	RET

// func adamAVX512(w, m, v, grad *float32, half *fp16.Float16, n int, unscale, rate, decay, keep, beta1, rest1, beta2, rest2, correction, epsilon float32, decoupled bool)
//
//	DI, SI   w, m
//	R8, R9   v, grad
//	R10, R11 n; half, or 0
//	R12      whether there is a decay by way of the gradient
//	R13      whether it is decoupled
//	Z16-Z25  the ten numbers, in the order of the arguments
//	Z0-Z4    w, m, v, g, d
//
// Budget for 16 elements: 4 loads, 4 stores, a square root and two divisions,
// which bind: on Zen 5 some 25 cycles, on Intel 60.
#define ADAMSTEP(GET, PUT, PUTHALF, decoupled, plain, nohalf) \
	GET((R9)(BX*4), Z3);   \
	GET((DI)(BX*4), Z0);   \
	GET((SI)(BX*4), Z1);   \
	GET((R8)(BX*4), Z2);   \
	VMULPS Z16, Z3, Z3;    \
	TESTL  R13, R13;       \
	JNZ    decoupled;      \
	TESTL  R12, R12;       \
	JZ     plain;          \
	VMULPS Z18, Z0, Z4;    \
	VADDPS Z4, Z3, Z3;     \
	JMP    plain;          \
decoupled:                 \
	VMULPS Z19, Z0, Z0;    \
plain:                     \
	VMULPS Z20, Z1, Z1;    \
	VMULPS Z21, Z3, Z4;    \
	VADDPS Z4, Z1, Z1;     \
	VMULPS Z22, Z2, Z2;    \
	VMULPS Z23, Z3, Z4;    \
	VMULPS Z3, Z4, Z4;     \
	VADDPS Z4, Z2, Z2;     \
	PUT(Z1, (SI)(BX*4));   \
	PUT(Z2, (R8)(BX*4));   \
	VSQRTPS Z2, Z4;        \
	VDIVPS Z24, Z4, Z4;    \
	VADDPS Z25, Z4, Z4;    \
	VDIVPS Z4, Z1, Z4;     \
	VMULPS Z17, Z4, Z4;    \
	VSUBPS Z4, Z0, Z0;     \
	PUT(Z0, (DI)(BX*4));   \
	TESTQ  R11, R11;       \
	JZ     nohalf;         \
	PUTHALF(Z0, (R11)(BX*2)); \
nohalf:

TEXT ·adamAVX512(SB), NOSPLIT, $0-89
	MOVQ         w+0(FP), DI
	MOVQ         m+8(FP), SI
	MOVQ         v+16(FP), R8
	MOVQ         grad+24(FP), R9
	MOVQ         half+32(FP), R11
	MOVQ         n+40(FP), R10
	VBROADCASTSS unscale+48(FP), Z16
	VBROADCASTSS rate+52(FP), Z17
	VBROADCASTSS decay+56(FP), Z18
	VBROADCASTSS keep+60(FP), Z19
	VBROADCASTSS beta1+64(FP), Z20
	VBROADCASTSS rest1+68(FP), Z21
	VBROADCASTSS beta2+72(FP), Z22
	VBROADCASTSS rest2+76(FP), Z23
	VBROADCASTSS correction+80(FP), Z24
	VBROADCASTSS epsilon+84(FP), Z25
	MOVL         decay+56(FP), R12
	ADDL         R12, R12 // −0 is no decay either
	MOVBLZX      decoupled+88(FP), R13
	TAIL(R10, 16, K1)
	XORL         BX, BX
	CMPQ         BX, DX
	JGE          last

vector:
	ADAMSTEP(ALL, TOALL, HALFALL, decoupled, plain, nohalf)
	ADDQ $16, BX
	CMPQ BX, DX
	JLT  vector

last:
	ADAMSTEP(PART, TOPART, HALFPART, lastdecoupled, lastplain, lastnohalf)
	VZEROUPPER
	RET

// func lookupAVX512(dst *fp16.Float16, table *[256]fp16.Float16, src *byte, n int)
//
// The table is in eight registers, Z16-Z23, of which VPERMI2W looks into two at a
// time, by the low six bits of the byte; the high two choose among four results.
//
//	Z0       the bytes, as words
//	Z1-Z4    what the four quarters of the table have for them
//	Z24,Z25  64 and 128 in all words
//	K2,K3    whether these bits are set
#define QUARTERS \
	VMOVDQA64 Z0, Z1;        \
	VMOVDQA64 Z0, Z2;        \
	VMOVDQA64 Z0, Z3;        \
	VMOVDQA64 Z0, Z4;        \
	VPTESTMW  Z24, Z0, K2;   \
	VPTESTMW  Z25, Z0, K3;   \
	VPERMI2W  Z17, Z16, Z1;  \
	VPERMI2W  Z19, Z18, Z2;  \
	VPERMI2W  Z21, Z20, Z3;  \
	VPERMI2W  Z23, Z22, Z4;  \
	VPBLENDMW Z2, Z1, K2, Z1; \
	VPBLENDMW Z4, Z3, K2, Z3; \
	VPBLENDMW Z3, Z1, K3, Z0

TEXT ·lookupAVX512(SB), NOSPLIT, $0-32
	MOVQ      dst+0(FP), DI
	MOVQ      table+8(FP), R8
	MOVQ      src+16(FP), SI
	MOVQ      n+24(FP), R10
	VMOVDQU64 (R8), Z16
	VMOVDQU64 64(R8), Z17
	VMOVDQU64 128(R8), Z18
	VMOVDQU64 192(R8), Z19
	VMOVDQU64 256(R8), Z20
	VMOVDQU64 320(R8), Z21
	VMOVDQU64 384(R8), Z22
	VMOVDQU64 448(R8), Z23
	CONSTANT(0x00400040, Z24)
	CONSTANT(0x00800080, Z25)
	TAIL(R10, 32, K1)
	XORL      BX, BX
	CMPQ      BX, DX
	JGE       last

vector:
	VPMOVZXBW (SI)(BX*1), Z0
	QUARTERS
	VMOVDQU16 Z0, (DI)(BX*2)
	ADDQ      $32, BX
	CMPQ      BX, DX
	JLT       vector

last:
	VPMOVZXBW.Z (SI)(BX*1), K1, Z0
	QUARTERS
	VMOVDQU16   Z0, K1, (DI)(BX*2)
	VZEROUPPER
	RET
