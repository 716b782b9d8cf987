//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// The work around the products for the tier avx512. Package micro defines each function
// by a loop.
//
// Elements are taken a vector at a time, the last vector under a mask, so that nothing
// else is read or written. Multiplications and additions are separate instructions, each
// rounded.
//
// Registers of all functions; each function lists more, and leaves the others unused:
//
//	AX, CX   scratch
//	DI, SI   what is written and what is read
//	DX       elements before the last vector
//	BX       the next element
//	R14      the numbers of an optimizer's step
//	R15      the arguments
//	K1       the mask of the last vector
//	Z0-Z9    data in flight
//	Z16-Z31  constants

#define ARGS R15
#define STEP R14

// Splits len elements, at least 1: the last vector has 1 to most elements, 16 or 32, and
// the mask k; DX elements come before it.
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

// Sets AX to 1 if all lanes of max are below limit, else to 0.
#define BELOW(max, limit) \
	VPCMPUD  $5, limit, max, K2; \
	KORTESTW K2, K2;             \
	SETEQ    AX

// AddRows
//
//	DI       sums
//	SI, R8   m at the current columns, and its stride in bytes
//	R9, R10  rows; columns left
//	R11      m at the current row; R12: rows left
//	Z0-Z3    64 columns of the sums, or Z0 the last 1 to 16
//
// Budget of a row of 64 columns: 4 additions, and 4 loads, with conversion
// for fp16: one a cycle on Intel. Four chains cover an addition's latency of 4.
#define ADDROWS(m, shift, GET, GETPART, strip, row, rest, part, partrow, done) \
	MOVQ    addRowsArgs_sums(ARGS), DI;   \
	MOVQ    m(ARGS), SI;                  \
	MOVQ    addRowsArgs_stride(ARGS), R8; \
	MOVQ    addRowsArgs_rows(ARGS), R9;   \
	MOVQ    addRowsArgs_cols(ARGS), R10;  \
	SHLQ    $shift, R8;                   \
strip:                                        \
	CMPQ    R10, $64;                     \
	JLT     rest;                         \
	VMOVUPS (DI), Z0;                     \
	VMOVUPS 64(DI), Z1;                   \
	VMOVUPS 128(DI), Z2;                  \
	VMOVUPS 192(DI), Z3;                  \
	MOVQ    SI, R11;                      \
	MOVQ    R9, R12;                      \
row:                                          \
	GET((R11), Z4);                       \
	GET((16<<shift)(R11), Z5);            \
	GET((32<<shift)(R11), Z6);            \
	GET((48<<shift)(R11), Z7);            \
	VADDPS  Z4, Z0, Z0;                   \
	VADDPS  Z5, Z1, Z1;                   \
	VADDPS  Z6, Z2, Z2;                   \
	VADDPS  Z7, Z3, Z3;                   \
	ADDQ    R8, R11;                      \
	DECQ    R12;                          \
	JNZ     row;                          \
	VMOVUPS Z0, (DI);                     \
	VMOVUPS Z1, 64(DI);                   \
	VMOVUPS Z2, 128(DI);                  \
	VMOVUPS Z3, 192(DI);                  \
	ADDQ    $256, DI;                     \
	ADDQ    $(64<<shift), SI;             \
	SUBQ    $64, R10;                     \
	JMP     strip;                        \
rest:                                         \
	TESTQ   R10, R10;                     \
	JLE     done;                         \
	MOVQ    $16, CX;                      \
	CMPQ    R10, CX;                      \
	CMOVQLT R10, CX;                      \
	MOVL    $-1, AX;                      \
	BZHIL   CX, AX, AX;                   \
	KMOVW   AX, K1;                       \
	VMOVUPS.Z (DI), K1, Z0;               \
	MOVQ    SI, R11;                      \
	MOVQ    R9, R12;                      \
partrow:                                      \
	GETPART((R11), Z4);                   \
	VADDPS  Z4, Z0, Z0;                   \
	ADDQ    R8, R11;                      \
	DECQ    R12;                          \
	JNZ     partrow;                      \
	VMOVUPS Z0, K1, (DI);                 \
	ADDQ    $64, DI;                      \
	ADDQ    $(16<<shift), SI;             \
	SUBQ    $16, R10;                     \
	JMP     rest;                         \
done:                                         \
	VZEROUPPER;                           \
	RET

// Store
//
//	DI, R8   dst and its stride, in bytes
//	SI, R9   src and its stride, in bytes
//	R10, R11 rows left, columns
//	R12      the bias, 0 if there is none
//	Z16      scale
//	Z17      the bias, or −0, which changes nothing
//	Z18      0 to rectify, NaN to keep all; what is not at most this stays
//	Z19      all bits but the sign
//	Z20      the largest magnitude so far, compared as an integer
//	Z21      the least magnitude that is not finite when stored
//
// Budget of 16 elements: a load, multiplication, addition, comparison, move,
// AND, maximum, and a store, with conversion for fp16.
#define STORE(dst, shift, PUT, PUTPART, limit, row, vector, bias, last, lastbias) \
	MOVQ         dst(ARGS), DI;                 \
	MOVQ         storeArgs_dstStride(ARGS), R8; \
	MOVQ         storeArgs_src(ARGS), SI;       \
	MOVQ         storeArgs_stride(ARGS), R9;    \
	MOVQ         storeArgs_rows(ARGS), R10;     \
	MOVQ         storeArgs_cols(ARGS), R11;     \
	VBROADCASTSS storeArgs_scale(ARGS), Z16;    \
	MOVQ         storeArgs_bias(ARGS), R12;     \
	MOVBLZX      storeArgs_relu(ARGS), CX;      \
	SHLQ         $shift, R8;                    \
	SHLQ         $2, R9;                        \
	CONSTANT(0x80000000, Z17);                  \
	DECL         CX;                            \
	ANDL         $0x7fc00000, CX;               \
	VPBROADCASTD CX, Z18;                       \
	CONSTANT(0x7fffffff, Z19);                  \
	VPXORD       Z20, Z20, Z20;                 \
	CONSTANT(limit, Z21);                       \
	TAIL(R11, 16, K1);                          \
row:                                                \
	XORL         BX, BX;                        \
	CMPQ         BX, DX;                        \
	JGE          last;                          \
vector:                                             \
	VMULPS       (SI)(BX*4), Z16, Z0;           \
	TESTQ        R12, R12;                      \
	JZ           bias;                          \
	VMOVUPS      (R12)(BX*4), Z17;              \
bias:                                               \
	VADDPS       Z17, Z0, Z0;                   \
	VCMPPS       $0x16, Z18, Z0, K2;            \
	VMOVAPS.Z    Z0, K2, Z0;                    \
	PUT;                                        \
	VPANDD       Z19, Z0, Z1;                   \
	VPMAXUD      Z1, Z20, Z20;                  \
	ADDQ         $16, BX;                       \
	CMPQ         BX, DX;                        \
	JLT          vector;                        \
last:                                               \
	VMOVUPS.Z    (SI)(BX*4), K1, Z0;            \
	VMULPS       Z16, Z0, Z0;                   \
	TESTQ        R12, R12;                      \
	JZ           lastbias;                      \
	VMOVUPS.Z    (R12)(BX*4), K1, Z17;          \
lastbias:                                           \
	VADDPS       Z17, Z0, Z0;                   \
	VCMPPS       $0x16, Z18, Z0, K2;            \
	VMOVAPS.Z    Z0, K2, Z0;                    \
	PUTPART;                                    \
	VPANDD.Z     Z19, Z0, K1, Z1;               \
	VPMAXUD      Z1, Z20, Z20;                  \
	ADDQ         R8, DI;                        \
	ADDQ         R9, SI;                        \
	DECQ         R10;                           \
	JNZ          row;                           \
	BELOW(Z20, Z21);                            \
	MOVB         AX, storeArgs_finite(ARGS);    \
	VZEROUPPER;                                 \
	RET

#define PUTF16 VCVTPS2PH $0, Z0, (DI)(BX*2)
#define PARTF16 VCVTPS2PH $0, Z0, K1, (DI)(BX*2)
#define PUTF32 VMOVUPS Z0, (DI)(BX*4)
#define PARTF32 VMOVUPS Z0, K1, (DI)(BX*4)

// func storeF16AVX512(args *storeArgs)
TEXT ·storeF16AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	STORE(storeArgs_dst, 1, PUTF16, PARTF16, 0x477ff000, row, vector, bias, last, lastbias) // 65520 rounds to infinity

// func storeF32AVX512(args *storeArgs)
TEXT ·storeF32AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	STORE(storeArgs_dst, 2, PUTF32, PARTF32, 0x7f800000, row, vector, bias, last, lastbias)

// func finiteAVX512(args *finiteArgs)
//
// R10 is n, Z16 the factor, Z19 all bits but the sign, Z20 and Z21 the largest
// magnitudes of even and odd vectors, Z22 infinity. Budget of 32 elements: 2
// multiplications with a load, 2 ANDs, 2 maxima.
TEXT ·finiteAVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	MOVQ         finiteArgs_x(ARGS), SI
	MOVQ         finiteArgs_n(ARGS), R10
	VBROADCASTSS finiteArgs_factor(ARGS), Z16
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
	MOVB      AX, finiteArgs_finite(ARGS)
	VZEROUPPER
	RET

// func rectifyF16AVX512(args *rectifyF16Args)
//
// R9 is the mask, R10 n, Z16 0, Z17 the bits of infinity, Z18 all bits but the sign.
// Words above 0 are positive values and NaNs; negative NaNs are above infinity without
// their sign. Budget of 32 elements: 2 loads, an AND, 2 comparisons, an OR of masks, a
// store.
TEXT ·rectifyF16AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	MOVQ   rectifyF16Args_dst(ARGS), DI
	MOVQ   rectifyF16Args_src(ARGS), SI
	MOVQ   rectifyF16Args_mask(ARGS), R9
	MOVQ   rectifyF16Args_n(ARGS), R10
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
	VMOVDQU16.Z (SI)(BX*2), K2, Z0 // K2 is within K1, as what was not loaded is 0
	VMOVDQU16   Z0, K1, (DI)(BX*2)
	VZEROUPPER
	RET

// func rectifyF32AVX512(args *rectifyF32Args)
//
// R9 is the mask, R10 n, Z16 0. Budget of 16 elements: 2 loads, a comparison, a store.
TEXT ·rectifyF32AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	MOVQ   rectifyF32Args_dst(ARGS), DI
	MOVQ   rectifyF32Args_src(ARGS), SI
	MOVQ   rectifyF32Args_mask(ARGS), R9
	MOVQ   rectifyF32Args_n(ARGS), R10
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
	VMOVUPS.Z (SI)(BX*4), K2, Z0 // K2 is within K1, as what was not loaded is 0
	VMOVUPS   Z0, K1, (DI)(BX*4)
	VZEROUPPER
	RET

#define GETF16(mem, z) VCVTPH2PS mem, z
#define GETPARTF16(mem, z) VCVTPH2PS.Z mem, K1, z
#define GETF32(mem, z) VMOVUPS mem, z
#define GETPARTF32(mem, z) VMOVUPS.Z mem, K1, z

// func addRowsF16AVX512(args *addRowsArgs)
TEXT ·addRowsF16AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	ADDROWS(addRowsArgs_m, 1, GETF16, GETPARTF16, strip, row, rest, part, partrow, done)

// func addRowsF32AVX512(args *addRowsArgs)
TEXT ·addRowsF32AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	ADDROWS(addRowsArgs_m, 2, GETF32, GETPARTF32, strip, row, rest, part, partrow, done)

// Loads and stores of the optimizers: a whole vector, and under the mask.
#define ALL(mem, z) VMOVUPS mem, z
#define PART(mem, z) VMOVUPS.Z mem, K1, z
#define TOALL(z, mem) VMOVUPS z, mem
#define TOPART(z, mem) VMOVUPS z, K1, mem
#define HALFALL(z, mem) VCVTPS2PH $0, z, mem
#define HALFPART(z, mem) VCVTPS2PH $0, z, K1, mem

// func sgdAVX512(args *sgdArgs)
//
//	DI, SI   w, v
//	R8, R9   grad; half, 0 if there is none
//	R10, R11 n; nesterov
//	R12      0 if there is no decay
//	Z16-Z19  unscale, rate, momentum, decay
//	Z0-Z3    w, v, g, d
//
// Budget of 16 elements: 3 loads, 3 stores, one of them a conversion, and 4 to
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

TEXT ·sgdAVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	MOVQ         sgdArgs_w(ARGS), DI
	MOVQ         sgdArgs_v(ARGS), SI
	MOVQ         sgdArgs_grad(ARGS), R8
	MOVQ         sgdArgs_half(ARGS), R9
	MOVQ         sgdArgs_n(ARGS), R10
	LEAQ         sgdArgs_step(ARGS), STEP
	VBROADCASTSS sgdStep_Unscale(STEP), Z16
	VBROADCASTSS sgdStep_Rate(STEP), Z17
	VBROADCASTSS sgdStep_Momentum(STEP), Z18
	VBROADCASTSS sgdStep_Decay(STEP), Z19
	MOVL         sgdStep_Decay(STEP), R12
	ADDL         R12, R12 // so that −0 is no decay either
	MOVBLZX      sgdStep_Nesterov(STEP), R11
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

// func adamAVX512(args *adamArgs)
//
//	DI, SI   w, m
//	R8, R9   v, grad
//	R10, R11 n; half, 0 if there is none
//	R12      0 if the gradient gets no decay
//	R13      1 if the decay is decoupled
//	Z16-Z25  the ten numbers, in the order of micro.Adam
//	Z0-Z4    w, m, v, g, d
//
// Budget of 16 elements: 4 loads, 4 stores, a square root and two divisions,
// which bind: on Zen 5 about 25 cycles, on Intel 60.
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

TEXT ·adamAVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	MOVQ         adamArgs_w(ARGS), DI
	MOVQ         adamArgs_m(ARGS), SI
	MOVQ         adamArgs_v(ARGS), R8
	MOVQ         adamArgs_grad(ARGS), R9
	MOVQ         adamArgs_half(ARGS), R11
	MOVQ         adamArgs_n(ARGS), R10
	LEAQ         adamArgs_step(ARGS), STEP
	VBROADCASTSS adamStep_Unscale(STEP), Z16
	VBROADCASTSS adamStep_Rate(STEP), Z17
	VBROADCASTSS adamStep_Decay(STEP), Z18
	VBROADCASTSS adamStep_Keep(STEP), Z19
	VBROADCASTSS adamStep_Beta1(STEP), Z20
	VBROADCASTSS adamStep_Rest1(STEP), Z21
	VBROADCASTSS adamStep_Beta2(STEP), Z22
	VBROADCASTSS adamStep_Rest2(STEP), Z23
	VBROADCASTSS adamStep_Correction(STEP), Z24
	VBROADCASTSS adamStep_Epsilon(STEP), Z25
	MOVL         adamStep_Decay(STEP), R12
	ADDL         R12, R12 // so that −0 is no decay either
	MOVBLZX      adamStep_Decoupled(STEP), R13
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
