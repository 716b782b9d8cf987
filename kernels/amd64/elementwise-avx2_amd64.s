//go:build !purego

#include "textflag.h"

// The work around the products for the tier avx2. What each function computes is
// written, as a loop, at its declaration and in package micro.
//
// Elements are taken eight at a time and what is left of them, one to eight,
// under a mask: nothing else is read or written. Multiplications and additions
// are apart, each rounded on its own.
//
// Registers of all functions
//
//	AX, CX   scratch
//	DI, SI   what is written and what is read; others are named where they are used
//	DX       elements before the last vector
//	BX       the element that is next
//	Y0-Y7    on their way
//	Y8-Y12   constants
//	Y13      the mask of the last vector

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

// The mask, in Y13, of the last one to eight elements of which there are len,
// which is at least 1; in CX how many they are, and in DX how many come before.
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

// AX is whether no lane of the maximum of magnitudes is above a limit. The
// maximum is lost.
#define ATMOST(max, limit) \
	VPCMPGTD limit, max, max; \
	VPTEST   max, max;        \
	SETEQ    AX

// CX halves of X1, one to eight, to (DI)(BX*2). BX is lost.
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
//	R12      bias, or 0
//	CX       elements of the last vector
//	Y8       scale
//	Y9       bias; −0, which changes nothing, where there is none
//	Y10      what is not at most this stays: 0 to rectify, NaN to keep all
//	Y11      all bits but the sign
//	Y12      the largest magnitude so far, as an integer
//	Y14      the largest magnitude that is finite once it is stored
//
// Budget for 8 elements: a load, multiplication, addition, comparison, 2 ANDs,
// a maximum, and a store, with conversion for fp16.
#define STORE(shift, limit) \
	MOVQ         dst+0(FP), DI;        \
	MOVQ         dstStride+8(FP), R8;  \
	MOVQ         src+16(FP), SI;       \
	MOVQ         stride+24(FP), R9;    \
	MOVQ         rows+32(FP), R10;     \
	MOVQ         cols+40(FP), R11;     \
	VBROADCASTSS scale+48(FP), Y8;     \
	MOVQ         bias+56(FP), R12;     \
	MOVBLZX      relu+64(FP), CX;      \
	SHLQ         $shift, R8;           \
	SHLQ         $2, R9;               \
	CONSTANT(0x80000000, X9, Y9);      \
	DECL         CX;                   \
	ANDL         $0x7fc00000, CX;      \
	VMOVD        CX, X10;              \
	VPBROADCASTD X10, Y10;             \
	CONSTANT(0x7fffffff, X11, Y11);    \
	CONSTANT(limit, X14, Y14);         \
	VPXOR        Y12, Y12, Y12;        \
	TAIL(R11)

// What becomes of the sums in Y0.
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
//	SI, R8   m, at the columns under way, and its stride in bytes
//	R9, R10  rows; columns left
//	R11      m, at the row under way; R12: rows left
//	Y0-Y3    32 columns of the sums, Y0 eight, X0 one
//
// Budget for a row of 32 columns: 4 additions, 4 loads, which for fp16 are
// conversions: one a cycle on Intel, and four chains of an addition's 4 cycles.
#define ADDROWS(shift, GET, GETONE, strip, row, eight, eightrow, one, onerow, done) \
	MOVQ    sums+0(FP), DI;       \
	MOVQ    m+8(FP), SI;          \
	MOVQ    stride+16(FP), R8;    \
	MOVQ    rows+24(FP), R9;      \
	MOVQ    cols+32(FP), R10;     \
	SHLQ    $shift, R8;           \
strip:                            \
	CMPQ    R10, $32;             \
	JLT     eight;                \
	VMOVUPS (DI), Y0;             \
	VMOVUPS 32(DI), Y1;           \
	VMOVUPS 64(DI), Y2;           \
	VMOVUPS 96(DI), Y3;           \
	MOVQ    SI, R11;              \
	MOVQ    R9, R12;              \
row:                              \
	GET((R11), Y4);               \
	GET((8<<shift)(R11), Y5);     \
	GET((16<<shift)(R11), Y6);    \
	GET((24<<shift)(R11), Y7);    \
	VADDPS  Y4, Y0, Y0;           \
	VADDPS  Y5, Y1, Y1;           \
	VADDPS  Y6, Y2, Y2;           \
	VADDPS  Y7, Y3, Y3;           \
	ADDQ    R8, R11;              \
	DECQ    R12;                  \
	JNZ     row;                  \
	VMOVUPS Y0, (DI);             \
	VMOVUPS Y1, 32(DI);           \
	VMOVUPS Y2, 64(DI);           \
	VMOVUPS Y3, 96(DI);           \
	ADDQ    $128, DI;             \
	ADDQ    $(32<<shift), SI;     \
	SUBQ    $32, R10;             \
	JMP     strip;                \
eight:                            \
	CMPQ    R10, $8;              \
	JLT     one;                  \
	VMOVUPS (DI), Y0;             \
	MOVQ    SI, R11;              \
	MOVQ    R9, R12;              \
eightrow:                         \
	GET((R11), Y4);               \
	VADDPS  Y4, Y0, Y0;           \
	ADDQ    R8, R11;              \
	DECQ    R12;                  \
	JNZ     eightrow;             \
	VMOVUPS Y0, (DI);             \
	ADDQ    $32, DI;              \
	ADDQ    $(8<<shift), SI;      \
	SUBQ    $8, R10;              \
	JMP     eight;                \
one:                              \
	TESTQ   R10, R10;             \
	JZ      done;                 \
	VMOVSS  (DI), X0;             \
	MOVQ    SI, R11;              \
	MOVQ    R9, R12;              \
onerow:                           \
	GETONE((R11), X4);            \
	VADDSS  X4, X0, X0;           \
	ADDQ    R8, R11;              \
	DECQ    R12;                  \
	JNZ     onerow;               \
	VMOVSS  X0, (DI);             \
	ADDQ    $4, DI;               \
	ADDQ    $(1<<shift), SI;      \
	DECQ    R10;                  \
	JMP     one;                  \
done:                             \
	VZEROUPPER;                   \
	RET

#define GETF16(mem, y) VCVTPH2PS mem, y
#define GETF32(mem, y) VMOVUPS mem, y
#define ONEF16(mem, x) \
	VPXOR     x, x, x;       \
	VPINSRW   $0, mem, x, x; \
	VCVTPH2PS x, x
#define ONEF32(mem, x) VMOVSS mem, x

// Loads and stores of the optimizers: all of a vector, and under the mask. The
// halves of the last vector are left to the caller.
#define ALL(mem, y) VMOVUPS mem, y
#define PART(mem, y) VMASKMOVPS mem, Y13, y
#define TOALL(y, mem) VMOVUPS y, mem
#define TOPART(y, mem) VMASKMOVPS y, Y13, mem

// SGD
//
//	DI, SI   w, v
//	R8, R9   grad; half, or 0
//	R10, R11 n; nesterov
//	R12      whether there is a decay
//	Y8-Y11   unscale, rate, momentum, decay
//	Y0-Y3    w, v, g, d
//
// Budget for 8 elements: 3 loads, 3 stores, one of them a conversion, and 4 to 8
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
//	R10, R11 n; half, or 0
//	R12      whether there is a decay by way of the gradient
//	R13      whether it is decoupled
//	Y0-Y4    w, m, v, g, d
//	Y8-Y11   unscale, beta1, beta2, correction
//	Y5       other numbers, taken from the arguments
//
// Budget for 8 elements: 4 loads, 4 stores, a square root and two divisions,
// which bind: on Zen 5 some 15 cycles, on Intel 20.
#define ADAMSTEP(GET, PUT, decoupled, plain) \
	GET((R9)(BX*4), Y3);   \
	GET((DI)(BX*4), Y0);   \
	GET((SI)(BX*4), Y1);   \
	GET((R8)(BX*4), Y2);   \
	VMULPS Y8, Y3, Y3;     \
	TESTL  R13, R13;       \
	JNZ    decoupled;      \
	TESTL  R12, R12;       \
	JZ     plain;          \
	VBROADCASTSS decay+56(FP), Y5; \
	VMULPS Y5, Y0, Y4;     \
	VADDPS Y4, Y3, Y3;     \
	JMP    plain;          \
decoupled:                 \
	VBROADCASTSS keep+60(FP), Y5; \
	VMULPS Y5, Y0, Y0;     \
plain:                     \
	VMULPS Y9, Y1, Y1;     \
	VBROADCASTSS rest1+68(FP), Y5; \
	VMULPS Y5, Y3, Y4;     \
	VADDPS Y4, Y1, Y1;     \
	VMULPS Y10, Y2, Y2;    \
	VBROADCASTSS rest2+76(FP), Y5; \
	VMULPS Y5, Y3, Y4;     \
	VMULPS Y3, Y4, Y4;     \
	VADDPS Y4, Y2, Y2;     \
	PUT(Y1, (SI)(BX*4));   \
	PUT(Y2, (R8)(BX*4));   \
	VSQRTPS Y2, Y4;        \
	VDIVPS Y11, Y4, Y4;    \
	VBROADCASTSS epsilon+84(FP), Y5; \
	VADDPS Y5, Y4, Y4;     \
	VDIVPS Y4, Y1, Y4;     \
	VBROADCASTSS rate+52(FP), Y5; \
	VMULPS Y5, Y4, Y4;     \
	VSUBPS Y4, Y0, Y0;     \
	PUT(Y0, (DI)(BX*4))

// func storeF16AVX2(dst *fp16.Float16, dstStride int, src *float32, stride, rows, cols int, scale float32, bias *float32, relu bool) (finite bool)
TEXT ·storeF16AVX2(SB), NOSPLIT, $0-73
	STORE(1, 0x477fefff) // 65520 rounds to infinity

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
	MOVB      AX, finite+72(FP)
	VZEROUPPER
	RET

// func storeF32AVX2(dst *float32, dstStride int, src *float32, stride, rows, cols int, scale float32, bias *float32, relu bool) (finite bool)
TEXT ·storeF32AVX2(SB), NOSPLIT, $0-73
	STORE(2, 0x7f7fffff)

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
	MOVB       AX, finite+72(FP)
	VZEROUPPER
	RET

// func finiteAVX2(x *float32, n int, factor float32) bool
//
// Y8 is the factor, Y11 all bits but the sign, Y12 and Y14 the largest magnitudes
// of two halves, Y10 the largest finite one. Budget for 16 elements: 2
// multiplications with a load, 2 ANDs, 2 maxima.
TEXT ·finiteAVX2(SB), NOSPLIT, $0-25
	MOVQ         x+0(FP), SI
	MOVQ         n+8(FP), R10
	VBROADCASTSS factor+16(FP), Y8
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
	MOVB       AX, ret+24(FP)
	VZEROUPPER
	RET

// func rectifyF16AVX2(dst, src, mask *fp16.Float16, n int)
//
// n is a multiple of 16. Y8 is 0, Y9 the infinity's bits, Y10 all bits but the
// sign: positive words are positive values and NaNs, others may still be NaNs.
TEXT ·rectifyF16AVX2(SB), NOSPLIT, $0-32
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  mask+16(FP), R9
	MOVQ  n+24(FP), R10
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

// func rectifyF32AVX2(dst, src, mask *float32, n int)
TEXT ·rectifyF32AVX2(SB), NOSPLIT, $0-32
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  mask+16(FP), R9
	MOVQ  n+24(FP), R10
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

// func addRowsF16AVX2(sums *float32, m *fp16.Float16, stride, rows, cols int)
TEXT ·addRowsF16AVX2(SB), NOSPLIT, $0-40
	ADDROWS(1, GETF16, ONEF16, strip, row, eight, eightrow, one, onerow, done)

// func addRowsF32AVX2(sums, m *float32, stride, rows, cols int)
TEXT ·addRowsF32AVX2(SB), NOSPLIT, $0-40
	ADDROWS(2, GETF32, ONEF32, strip, row, eight, eightrow, one, onerow, done)

// func sgdAVX2(w, v, grad *float32, half *fp16.Float16, n int, unscale, rate, momentum, decay float32, nesterov bool)
TEXT ·sgdAVX2(SB), NOSPLIT, $0-57
	MOVQ         w+0(FP), DI
	MOVQ         v+8(FP), SI
	MOVQ         grad+16(FP), R8
	MOVQ         half+24(FP), R9
	MOVQ         n+32(FP), R10
	VBROADCASTSS unscale+40(FP), Y8
	VBROADCASTSS rate+44(FP), Y9
	VBROADCASTSS momentum+48(FP), Y10
	VBROADCASTSS decay+52(FP), Y11
	MOVL         decay+52(FP), R12
	ADDL         R12, R12 // −0 is no decay either
	MOVBLZX      nesterov+56(FP), R11
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

// func adamAVX2(w, m, v, grad *float32, half *fp16.Float16, n int, unscale, rate, decay, keep, beta1, rest1, beta2, rest2, correction, epsilon float32, decoupled bool)
TEXT ·adamAVX2(SB), NOSPLIT, $0-89
	MOVQ         w+0(FP), DI
	MOVQ         m+8(FP), SI
	MOVQ         v+16(FP), R8
	MOVQ         grad+24(FP), R9
	MOVQ         half+32(FP), R11
	MOVQ         n+40(FP), R10
	VBROADCASTSS unscale+48(FP), Y8
	VBROADCASTSS beta1+64(FP), Y9
	VBROADCASTSS beta2+72(FP), Y10
	VBROADCASTSS correction+80(FP), Y11
	MOVL         decay+56(FP), R12
	ADDL         R12, R12 // −0 is no decay either
	MOVBLZX      decoupled+88(FP), R13
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
