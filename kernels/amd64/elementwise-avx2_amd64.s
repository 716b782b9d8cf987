//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// The work around the products for the tier avx2. Package micro defines each function
// by a loop.
//
// Elements are taken eight at a time, the last one to eight under a mask, so that
// nothing else is read or written. Multiplications and additions are separate
// instructions, each rounded.
//
// Registers of all functions; each function lists more, and leaves the others unused:
//
//	AX, CX   scratch
//	DI, SI   what is written and what is read
//	DX       elements before the last vector
//	BX       the next element
//	R14      the numbers of an optimizer's step
//	R15      the arguments
//	Y0-Y7    data in flight
//	Y8-Y12   constants
//	Y13      the mask of the last vector

#define ARGS R15
#define STEP R14

// Eight lanes that are on and eight that are off.
DATA lanes<>+0(SB)/8, $0xffffffffffffffff
DATA lanes<>+8(SB)/8, $0xffffffffffffffff
DATA lanes<>+16(SB)/8, $0xffffffffffffffff
DATA lanes<>+24(SB)/8, $0xffffffffffffffff
DATA lanes<>+32(SB)/8, $0
DATA lanes<>+40(SB)/8, $0
DATA lanes<>+48(SB)/8, $0
DATA lanes<>+56(SB)/8, $0
GLOBL lanes<>(SB), RODATA|NOPTR, $64

// Splits len elements, at least 1: the last vector has CX elements, 1 to 8, and the
// mask Y13; DX elements come before it.
#define TAIL(len) \
	LEAQ    -1(len), CX;    \
	ANDQ    $7, CX;         \
	INCQ    CX;             \
	MOVQ    len, DX;        \
	SUBQ    CX, DX;         \
	LEAQ    lanes<>+32(SB), AX; \
	SHLQ    $2, CX;         \
	SUBQ    CX, AX;         \
	SHRQ    $2, CX;         \
	VMOVDQU (AX), Y13

// A 32-bit constant in all lanes.
#define CONSTANT(bits, x, y) \
	MOVL         $bits, AX; \
	VMOVD        AX, x;     \
	VPBROADCASTD x, y

// Sets AX to 1 if no lane of max is above limit, else to 0. Overwrites max.
#define ATMOST(max, limit) \
	VPCMPGTD limit, max, max; \
	VPTEST   max, max;        \
	SETEQ    AX

// Stores CX halves of X1, one to eight, at (DI)(BX*2). Overwrites BX.
#define PUTHALVES(put4, put2, put1, done) \
	LEAQ    (DI)(BX*2), BX;  \
	CMPQ    CX, $8;          \
	JLT     put4;            \
	VMOVDQU X1, (BX);        \
	JMP     done;            \
put4:                        \
	TESTQ   $4, CX;          \
	JZ      put2;            \
	VMOVQ   X1, (BX);        \
	VPSRLDQ $8, X1, X1;      \
	ADDQ    $8, BX;          \
put2:                        \
	TESTQ   $2, CX;          \
	JZ      put1;            \
	VMOVD   X1, (BX);        \
	VPSRLDQ $4, X1, X1;      \
	ADDQ    $4, BX;          \
put1:                        \
	TESTQ   $1, CX;          \
	JZ      done;            \
	VPEXTRW $0, X1, (BX);    \
done:

// Store
//
//	DI, R8   dst and its stride, in bytes
//	SI, R9   src and its stride, in bytes
//	R10, R11 rows left, columns
//	R12      the bias, 0 if there is none
//	CX       elements of the last vector
//	Y8       scale
//	Y9       the bias, or −0, which changes nothing
//	Y10      0 to rectify, NaN to keep all; what is not at most this stays
//	Y11      all bits but the sign
//	Y12      the largest magnitude so far, compared as an integer
//	Y14      the largest magnitude that is finite when stored
//
// Budget of 8 elements: a load, multiplication, addition, comparison, 2 ANDs,
// a maximum, and a store, with conversion for fp16.
#define STORE(dst, shift, limit) \
	MOVQ         dst(ARGS), DI;                 \
	MOVQ         storeArgs_dstStride(ARGS), R8; \
	MOVQ         storeArgs_src(ARGS), SI;       \
	MOVQ         storeArgs_stride(ARGS), R9;    \
	MOVQ         storeArgs_rows(ARGS), R10;     \
	MOVQ         storeArgs_cols(ARGS), R11;     \
	VBROADCASTSS storeArgs_scale(ARGS), Y8;     \
	MOVQ         storeArgs_bias(ARGS), R12;     \
	MOVBLZX      storeArgs_relu(ARGS), CX;      \
	SHLQ         $shift, R8;                    \
	SHLQ         $2, R9;                        \
	CONSTANT(0x80000000, X9, Y9);               \
	DECL         CX;                            \
	ANDL         $0x7fc00000, CX;               \
	VMOVD        CX, X10;                       \
	VPBROADCASTD X10, Y10;                      \
	CONSTANT(0x7fffffff, X11, Y11);             \
	CONSTANT(limit, X14, Y14);                  \
	VPXOR        Y12, Y12, Y12;                 \
	TAIL(R11)

// The epilogue of the sums in Y0.
#define EPILOGUE \
	VMULPS  Y8, Y0, Y0;         \
	VADDPS  Y9, Y0, Y0;         \
	VCMPPS  $0x16, Y10, Y0, Y1; \
	VANDPS  Y1, Y0, Y0;         \
	VPAND   Y11, Y0, Y1;        \
	VPMAXUD Y1, Y12, Y12

// AddRows
//
//	DI       sums
//	SI, R8   m at the current columns, and its stride in bytes
//	R9, R10  rows; columns left
//	R11      m at the current row; R12: rows left
//	Y0-Y3    32 columns of the sums, Y0 eight, X0 one
//
// Budget of a row of 32 columns: 4 additions, and 4 loads, with conversion
// for fp16: one a cycle on Intel. Four chains cover an addition's latency of 4.
#define ADDROWS(m, shift, GET, GETONE, strip, row, eight, eightrow, one, onerow, done) \
	MOVQ    addRowsArgs_sums(ARGS), DI;   \
	MOVQ    m(ARGS), SI;                  \
	MOVQ    addRowsArgs_stride(ARGS), R8; \
	MOVQ    addRowsArgs_rows(ARGS), R9;   \
	MOVQ    addRowsArgs_cols(ARGS), R10;  \
	SHLQ    $shift, R8;                   \
strip:                                        \
	CMPQ    R10, $32;                     \
	JLT     eight;                        \
	VMOVUPS (DI), Y0;                     \
	VMOVUPS 32(DI), Y1;                   \
	VMOVUPS 64(DI), Y2;                   \
	VMOVUPS 96(DI), Y3;                   \
	MOVQ    SI, R11;                      \
	MOVQ    R9, R12;                      \
row:                                          \
	GET((R11), Y4);                       \
	GET((8<<shift)(R11), Y5);             \
	GET((16<<shift)(R11), Y6);            \
	GET((24<<shift)(R11), Y7);            \
	VADDPS  Y4, Y0, Y0;                   \
	VADDPS  Y5, Y1, Y1;                   \
	VADDPS  Y6, Y2, Y2;                   \
	VADDPS  Y7, Y3, Y3;                   \
	ADDQ    R8, R11;                      \
	DECQ    R12;                          \
	JNZ     row;                          \
	VMOVUPS Y0, (DI);                     \
	VMOVUPS Y1, 32(DI);                   \
	VMOVUPS Y2, 64(DI);                   \
	VMOVUPS Y3, 96(DI);                   \
	ADDQ    $128, DI;                     \
	ADDQ    $(32<<shift), SI;             \
	SUBQ    $32, R10;                     \
	JMP     strip;                        \
eight:                                        \
	CMPQ    R10, $8;                      \
	JLT     one;                          \
	VMOVUPS (DI), Y0;                     \
	MOVQ    SI, R11;                      \
	MOVQ    R9, R12;                      \
eightrow:                                     \
	GET((R11), Y4);                       \
	VADDPS  Y4, Y0, Y0;                   \
	ADDQ    R8, R11;                      \
	DECQ    R12;                          \
	JNZ     eightrow;                     \
	VMOVUPS Y0, (DI);                     \
	ADDQ    $32, DI;                      \
	ADDQ    $(8<<shift), SI;              \
	SUBQ    $8, R10;                      \
	JMP     eight;                        \
one:                                          \
	TESTQ   R10, R10;                     \
	JZ      done;                         \
	VMOVSS  (DI), X0;                     \
	MOVQ    SI, R11;                      \
	MOVQ    R9, R12;                      \
onerow:                                       \
	GETONE((R11), X4);                    \
	VADDSS  X4, X0, X0;                   \
	ADDQ    R8, R11;                      \
	DECQ    R12;                          \
	JNZ     onerow;                       \
	VMOVSS  X0, (DI);                     \
	ADDQ    $4, DI;                       \
	ADDQ    $(1<<shift), SI;              \
	DECQ    R10;                          \
	JMP     one;                          \
done:                                         \
	VZEROUPPER;                           \
	RET

#define GETF16(mem, y) VCVTPH2PS mem, y
#define GETF32(mem, y) VMOVUPS mem, y
#define ONEF16(mem, x) \
	VPXOR     x, x, x;       \
	VPINSRW   $0, mem, x, x; \
	VCVTPH2PS x, x
#define ONEF32(mem, x) VMOVSS mem, x

// Loads and stores of the optimizers: a whole vector, and under the mask. The
// caller writes the halves of the last vector.
#define ALL(mem, y) VMOVUPS mem, y
#define PART(mem, y) VMASKMOVPS mem, Y13, y
#define TOALL(y, mem) VMOVUPS y, mem
#define TOPART(y, mem) VMASKMOVPS y, Y13, mem

// SGD
//
//	DI, SI   w, v
//	R8, R9   grad; half, 0 if there is none
//	R10, R11 n; nesterov
//	R12      0 if there is no decay
//	Y8-Y11   unscale, rate, momentum, decay
//	Y0-Y3    w, v, g, d
//
// Budget of 8 elements: 3 loads, 3 stores, one of them a conversion, and 4 to 8
// multiplications and additions. The memory binds.
#define SGDSTEP(GET, PUT, plain, heavy) \
	GET((R8)(BX*4), Y2);   \
	GET((DI)(BX*4), Y0);   \
	GET((SI)(BX*4), Y1);   \
	VMULPS Y8, Y2, Y2;     \
	TESTL  R12, R12;       \
	JZ     plain;          \
	VMULPS Y11, Y0, Y3;    \
	VADDPS Y3, Y2, Y2;     \
plain:                     \
	VMULPS Y10, Y1, Y1;    \
	VADDPS Y2, Y1, Y1;     \
	PUT(Y1, (SI)(BX*4));   \
	VMOVAPS Y1, Y3;        \
	TESTL  R11, R11;       \
	JZ     heavy;          \
	VMULPS Y10, Y1, Y3;    \
	VADDPS Y3, Y2, Y3;     \
heavy:                     \
	VMULPS Y9, Y3, Y3;     \
	VSUBPS Y3, Y0, Y0;     \
	PUT(Y0, (DI)(BX*4))

// Adam
//
//	DI, SI   w, m
//	R8, R9   v, grad
//	R10, R11 n; half, 0 if there is none
//	R12      0 if the gradient gets no decay
//	R13      1 if the decay is decoupled
//	Y0-Y4    w, m, v, g, d
//	Y8-Y11   unscale, beta1, beta2, correction
//	Y5       other numbers, loaded from the arguments
//
// Budget of 8 elements: 4 loads, 4 stores, a square root and two divisions,
// which bind: on Zen 5 about 15 cycles, on Intel 20.
#define ADAMSTEP(GET, PUT, decoupled, plain) \
	GET((R9)(BX*4), Y3);                     \
	GET((DI)(BX*4), Y0);                     \
	GET((SI)(BX*4), Y1);                     \
	GET((R8)(BX*4), Y2);                     \
	VMULPS Y8, Y3, Y3;                       \
	TESTL  R13, R13;                         \
	JNZ    decoupled;                        \
	TESTL  R12, R12;                         \
	JZ     plain;                            \
	VBROADCASTSS adamStep_Decay(STEP), Y5;   \
	VMULPS Y5, Y0, Y4;                       \
	VADDPS Y4, Y3, Y3;                       \
	JMP    plain;                            \
decoupled:                                       \
	VBROADCASTSS adamStep_Keep(STEP), Y5;    \
	VMULPS Y5, Y0, Y0;                       \
plain:                                           \
	VMULPS Y9, Y1, Y1;                       \
	VBROADCASTSS adamStep_Rest1(STEP), Y5;   \
	VMULPS Y5, Y3, Y4;                       \
	VADDPS Y4, Y1, Y1;                       \
	VMULPS Y10, Y2, Y2;                      \
	VBROADCASTSS adamStep_Rest2(STEP), Y5;   \
	VMULPS Y5, Y3, Y4;                       \
	VMULPS Y3, Y4, Y4;                       \
	VADDPS Y4, Y2, Y2;                       \
	PUT(Y1, (SI)(BX*4));                     \
	PUT(Y2, (R8)(BX*4));                     \
	VSQRTPS Y2, Y4;                          \
	VDIVPS Y11, Y4, Y4;                      \
	VBROADCASTSS adamStep_Epsilon(STEP), Y5; \
	VADDPS Y5, Y4, Y4;                       \
	VDIVPS Y4, Y1, Y4;                       \
	VBROADCASTSS adamStep_Rate(STEP), Y5;    \
	VMULPS Y5, Y4, Y4;                       \
	VSUBPS Y4, Y0, Y0;                       \
	PUT(Y0, (DI)(BX*4))

// func storeF16AVX2(args *storeArgs)
TEXT ·storeF16AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	STORE(storeArgs_dst, 1, 0x477fefff) // 65520 rounds to infinity

row:
	XORL BX, BX
	CMPQ BX, DX
	JGE  last

vector:
	VMOVUPS (SI)(BX*4), Y0
	TESTQ   R12, R12
	JZ      bias
	VMOVUPS (R12)(BX*4), Y9

bias:
	EPILOGUE
	VCVTPS2PH $0, Y0, (DI)(BX*2)
	ADDQ      $8, BX
	CMPQ      BX, DX
	JLT       vector

last:
	VMASKMOVPS (SI)(BX*4), Y13, Y0
	TESTQ      R12, R12
	JZ         lastbias
	VMASKMOVPS (R12)(BX*4), Y13, Y9

lastbias:
	EPILOGUE
	VCVTPS2PH $0, Y0, X1
	PUTHALVES(put4, put2, put1, put)
	ADDQ      R8, DI
	ADDQ      R9, SI
	DECQ      R10
	JNZ       row
	ATMOST(Y12, Y14)
	MOVB      AX, storeArgs_finite(ARGS)
	VZEROUPPER
	RET

// func storeF32AVX2(args *storeArgs)
TEXT ·storeF32AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	STORE(storeArgs_dst, 2, 0x7f7fffff)

row:
	XORL BX, BX
	CMPQ BX, DX
	JGE  last

vector:
	VMOVUPS (SI)(BX*4), Y0
	TESTQ   R12, R12
	JZ      bias
	VMOVUPS (R12)(BX*4), Y9

bias:
	EPILOGUE
	VMOVUPS Y0, (DI)(BX*4)
	ADDQ    $8, BX
	CMPQ    BX, DX
	JLT     vector

last:
	VMASKMOVPS (SI)(BX*4), Y13, Y0
	TESTQ      R12, R12
	JZ         lastbias
	VMASKMOVPS (R12)(BX*4), Y13, Y9

lastbias:
	EPILOGUE
	VMASKMOVPS Y0, Y13, (DI)(BX*4)
	ADDQ       R8, DI
	ADDQ       R9, SI
	DECQ       R10
	JNZ        row
	ATMOST(Y12, Y14)
	MOVB       AX, storeArgs_finite(ARGS)
	VZEROUPPER
	RET

// func finiteAVX2(args *finiteArgs)
//
// R10 is n, Y8 the factor, Y11 all bits but the sign, Y12 and Y14 the largest magnitudes
// of even and odd vectors, Y10 the largest finite one. Budget of 16 elements: 2
// multiplications with a load, 2 ANDs, 2 maxima.
TEXT ·finiteAVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	MOVQ         finiteArgs_x(ARGS), SI
	MOVQ         finiteArgs_n(ARGS), R10
	VBROADCASTSS finiteArgs_factor(ARGS), Y8
	CONSTANT(0x7fffffff, X11, Y11)
	CONSTANT(0x7f7fffff, X10, Y10)
	VPXOR        Y12, Y12, Y12
	VPXOR        Y14, Y14, Y14
	TAIL(R10)
	XORL         BX, BX

pair:
	LEAQ    16(BX), CX
	CMPQ    CX, DX
	JGT     one
	VMULPS  (SI)(BX*4), Y8, Y0
	VMULPS  32(SI)(BX*4), Y8, Y1
	VPAND   Y11, Y0, Y0
	VPAND   Y11, Y1, Y1
	VPMAXUD Y0, Y12, Y12
	VPMAXUD Y1, Y14, Y14
	MOVQ    CX, BX
	JMP     pair

one:
	CMPQ    BX, DX
	JGE     last
	VMULPS  (SI)(BX*4), Y8, Y0
	VPAND   Y11, Y0, Y0
	VPMAXUD Y0, Y12, Y12
	ADDQ    $8, BX

last:
	VMASKMOVPS (SI)(BX*4), Y13, Y0
	VMULPS     Y8, Y0, Y0
	VPAND      Y11, Y0, Y0
	VPAND      Y13, Y0, Y0
	VPMAXUD    Y0, Y12, Y12
	VPMAXUD    Y14, Y12, Y12
	ATMOST(Y12, Y10)
	MOVB       AX, finiteArgs_finite(ARGS)
	VZEROUPPER
	RET

// func rectifyF16AVX2(args *rectifyF16Args)
//
// n is a multiple of 16. R9 is the mask, R10 n, Y8 0, Y9 the bits of infinity, Y10 all
// bits but the sign. Words above 0 are positive values and NaNs; negative NaNs are
// above infinity without their sign. Budget of 16 elements: 2 loads, 2 comparisons, 3
// operations on bits, a store.
TEXT ·rectifyF16AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	MOVQ  rectifyF16Args_dst(ARGS), DI
	MOVQ  rectifyF16Args_src(ARGS), SI
	MOVQ  rectifyF16Args_mask(ARGS), R9
	MOVQ  rectifyF16Args_n(ARGS), R10
	VPXOR Y8, Y8, Y8
	CONSTANT(0x7c007c00, X9, Y9)
	CONSTANT(0x7fff7fff, X10, Y10)
	XORL  BX, BX

vector:
	VMOVDQU  (R9)(BX*2), Y0
	VPAND    Y10, Y0, Y1
	VPCMPGTW Y8, Y0, Y0
	VPCMPGTW Y9, Y1, Y1
	VPOR     Y0, Y1, Y0
	VPAND    (SI)(BX*2), Y0, Y0
	VMOVDQU  Y0, (DI)(BX*2)
	ADDQ     $16, BX
	CMPQ     BX, R10
	JLT      vector
	VZEROUPPER
	RET

// func rectifyF32AVX2(args *rectifyF32Args)
//
// R9 is the mask, R10 n, Y8 0. Budget of 8 elements: 2 loads, a comparison, an AND, a
// store.
TEXT ·rectifyF32AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	MOVQ  rectifyF32Args_dst(ARGS), DI
	MOVQ  rectifyF32Args_src(ARGS), SI
	MOVQ  rectifyF32Args_mask(ARGS), R9
	MOVQ  rectifyF32Args_n(ARGS), R10
	VPXOR Y8, Y8, Y8
	TAIL(R10)
	XORL  BX, BX
	CMPQ  BX, DX
	JGE   last

vector:
	VMOVUPS (R9)(BX*4), Y0
	VCMPPS  $0x16, Y8, Y0, Y0
	VANDPS  (SI)(BX*4), Y0, Y0
	VMOVUPS Y0, (DI)(BX*4)
	ADDQ    $8, BX
	CMPQ    BX, DX
	JLT     vector

last:
	VMASKMOVPS (R9)(BX*4), Y13, Y0
	VMASKMOVPS (SI)(BX*4), Y13, Y1
	VCMPPS     $0x16, Y8, Y0, Y0
	VANDPS     Y1, Y0, Y0
	VMASKMOVPS Y0, Y13, (DI)(BX*4)
	VZEROUPPER
	RET

// func addRowsF16AVX2(args *addRowsArgs)
TEXT ·addRowsF16AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	ADDROWS(addRowsArgs_m, 1, GETF16, ONEF16, strip, row, eight, eightrow, one, onerow, done)

// func addRowsF32AVX2(args *addRowsArgs)
TEXT ·addRowsF32AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	ADDROWS(addRowsArgs_m, 2, GETF32, ONEF32, strip, row, eight, eightrow, one, onerow, done)

// func sgdAVX2(args *sgdArgs)
TEXT ·sgdAVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	MOVQ         sgdArgs_w(ARGS), DI
	MOVQ         sgdArgs_v(ARGS), SI
	MOVQ         sgdArgs_grad(ARGS), R8
	MOVQ         sgdArgs_half(ARGS), R9
	MOVQ         sgdArgs_n(ARGS), R10
	LEAQ         sgdArgs_step(ARGS), STEP
	VBROADCASTSS sgdStep_Unscale(STEP), Y8
	VBROADCASTSS sgdStep_Rate(STEP), Y9
	VBROADCASTSS sgdStep_Momentum(STEP), Y10
	VBROADCASTSS sgdStep_Decay(STEP), Y11
	MOVL         sgdStep_Decay(STEP), R12
	ADDL         R12, R12 // so that −0 is no decay either
	MOVBLZX      sgdStep_Nesterov(STEP), R11
	TAIL(R10)
	XORL         BX, BX
	CMPQ         BX, DX
	JGE          last

vector:
	SGDSTEP(ALL, TOALL, plain, heavy)
	TESTQ     R9, R9
	JZ        next
	VCVTPS2PH $0, Y0, (R9)(BX*2)

next:
	ADDQ $8, BX
	CMPQ BX, DX
	JLT  vector

last:
	SGDSTEP(PART, TOPART, lastplain, lastheavy)
	VZEROUPPER
	RET

// func adamAVX2(args *adamArgs)
TEXT ·adamAVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	MOVQ         adamArgs_w(ARGS), DI
	MOVQ         adamArgs_m(ARGS), SI
	MOVQ         adamArgs_v(ARGS), R8
	MOVQ         adamArgs_grad(ARGS), R9
	MOVQ         adamArgs_half(ARGS), R11
	MOVQ         adamArgs_n(ARGS), R10
	LEAQ         adamArgs_step(ARGS), STEP
	VBROADCASTSS adamStep_Unscale(STEP), Y8
	VBROADCASTSS adamStep_Beta1(STEP), Y9
	VBROADCASTSS adamStep_Beta2(STEP), Y10
	VBROADCASTSS adamStep_Correction(STEP), Y11
	MOVL         adamStep_Decay(STEP), R12
	ADDL         R12, R12 // so that −0 is no decay either
	MOVBLZX      adamStep_Decoupled(STEP), R13
	TAIL(R10)
	XORL         BX, BX
	CMPQ         BX, DX
	JGE          last

vector:
	ADAMSTEP(ALL, TOALL, decoupled, plain)
	TESTQ     R11, R11
	JZ        next
	VCVTPS2PH $0, Y0, (R11)(BX*2)

next:
	ADDQ $8, BX
	CMPQ BX, DX
	JLT  vector

last:
	ADAMSTEP(PART, TOPART, lastdecoupled, lastplain)
	VZEROUPPER
	RET
