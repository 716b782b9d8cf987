//go:build !purego

#include "textflag.h"

// func gemm6x16AVX2(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, ldc, rows int, accumulate bool)
//
// The kernels f16f32acc-6x16-avx2 and f32-6x16-avx2, but for tiles narrower
// than 16, which their wrapper in Go takes through scratch. The contract and a
// picture of the panels are in package micro.
//
// What this is not: it does not convert. Both operands are float32, widened
// while packing, because converting in this loop would put two more uops a
// vector of B onto the ports the FMAs need.
//
// Rows are taken six a pass; what is left as four, two and one.
//
// Registers
//
//	AX       k, counts down
//	SI       a, row 0 of the pass; moves on by R12 a step
//	R9       a, row 3
//	R11      aRow in bytes
//	R12      aCol in bytes
//	DI       b, moves on by 4·CX every four steps
//	CX       bRow in bytes; R10: three times that
//	DX       c, moves on by R8 a row
//	R8       ldc in bytes
//	R14      rows left
//	R15      a, row 0 of the pass, at its first step
//	R13      c, row 0 of the pass
//	BX       accumulate
//	Y0-Y11   the tile: row i in Y(2i) for columns 0-7 and Y(2i+1) for 8-15
//	Y12,Y13  row p of the B panel
//	Y14,Y15  one value of A in all lanes, alternating so that the broadcasts
//	         of one row overlap the FMAs of the one before
//
// Budget of one step (k grows by one): 12 FMAs, 2 loads, 6 broadcasts, which
// are loads too, and 2 additions; unrolled four times, 3 more instructions for
// four steps. Two FMA ports need 6 cycles for it, two load ports 4, four issue
// slots 6: the FMAs bind. Twelve accumulators cover two ports × a latency of 4
// (Zen, Intel from Skylake on: 8 FMAs in flight are enough) or 5 (Haswell: 10).
// The shape is that of BLIS's Haswell kernel (Van Zee and van de Geijn, "BLIS:
// A Framework for Rapidly Instantiating BLAS Functionality", ACM TOMS 41(3),
// 2015).

#define K       AX
#define A       SI
#define A3      R9
#define AROW    R11
#define ACOL    R12
#define B       DI
#define C       DX
#define LDC     R8
#define ROWS    R14
#define APASS   R15
#define CPASS   R13
#define ACC     BX
#define BROW    CX
#define BROW3   R10

// Row p of B, whose halves are at lo and hi, and two rows of the tile: x and y
// are where A's values are.
#define LOADB(lo, hi) \
	VMOVUPS lo, Y12;  \
	VMOVUPS hi, Y13
#define PAIR(x, y, c0, c1, c2, c3) \
	VBROADCASTSS x, Y14;         \
	VBROADCASTSS y, Y15;         \
	VFMADD231PS  Y12, Y14, c0;   \
	VFMADD231PS  Y13, Y14, c1;   \
	VFMADD231PS  Y12, Y15, c2;   \
	VFMADD231PS  Y13, Y15, c3

#define STEP6(lo, hi) \
	LOADB(lo, hi);                                     \
	PAIR((A), (A)(AROW*1), Y0, Y1, Y2, Y3);          \
	PAIR((A)(AROW*2), (A3), Y4, Y5, Y6, Y7);         \
	PAIR((A3)(AROW*1), (A3)(AROW*2), Y8, Y9, Y10, Y11); \
	ADDQ ACOL, A;                                    \
	ADDQ ACOL, A3
#define STEP4(lo, hi) \
	LOADB(lo, hi);                                     \
	PAIR((A), (A)(AROW*1), Y0, Y1, Y2, Y3);          \
	PAIR((A)(AROW*2), (A3), Y4, Y5, Y6, Y7);         \
	ADDQ ACOL, A;                                    \
	ADDQ ACOL, A3
#define STEP2(lo, hi) \
	LOADB(lo, hi);                                     \
	PAIR((A), (A)(AROW*1), Y0, Y1, Y2, Y3);          \
	ADDQ ACOL, A
#define STEP1(lo, hi) \
	LOADB(lo, hi);                                     \
	VBROADCASTSS (A), Y14;                           \
	VFMADD231PS  Y12, Y14, Y0;                       \
	VFMADD231PS  Y13, Y14, Y1;                       \
	ADDQ ACOL, A

#define LOADC(lo, hi) \
	VMOVUPS 0(C), lo;   \
	VMOVUPS 32(C), hi;  \
	ADDQ    LDC, C
#define STOREC(lo, hi) \
	VMOVUPS lo, 0(C);   \
	VMOVUPS hi, 32(C);  \
	ADDQ    LDC, C

// The loop over k: four steps at a time, then one by one. It falls through to
// store, where C is back at the first row.
#define LOOPS(STEP, loop4, tail, loop1, store) \
	MOVQ k+0(FP), K;      \
	MOVQ b+32(FP), B;     \
	MOVQ APASS, A;        \
	LEAQ (A)(AROW*2), A3; \
	ADDQ AROW, A3;        \
	SUBQ $4, K;           \
	JLT  tail;            \
loop4:                    \
	STEP((B), 32(B));     \
	STEP((B)(BROW*1), 32(B)(BROW*1)); \
	STEP((B)(BROW*2), 32(B)(BROW*2)); \
	STEP((B)(BROW3*1), 32(B)(BROW3*1)); \
	LEAQ (B)(BROW*4), B;  \
	SUBQ $4, K;           \
	JGE  loop4;           \
tail:                     \
	ADDQ $4, K;           \
	JZ   store;           \
loop1:                    \
	STEP((B), 32(B));     \
	ADDQ BROW, B;         \
	DECQ K;               \
	JNZ  loop1;           \
store:                    \
	MOVQ CPASS, C

TEXT ·gemm6x16AVX2(SB), NOSPLIT, $0-73
	MOVQ    a+8(FP), APASS
	MOVQ    aRow+16(FP), AROW
	MOVQ    aCol+24(FP), ACOL
	MOVQ    c+48(FP), CPASS
	MOVQ    ldc+56(FP), LDC
	MOVQ    rows+64(FP), ROWS
	MOVBLZX accumulate+72(FP), ACC
	SHLQ    $2, AROW
	SHLQ    $2, ACOL
	SHLQ    $2, LDC
	MOVQ    bRow+40(FP), BROW
	SHLQ    $2, BROW
	LEAQ    (BROW)(BROW*2), BROW3

six:
	CMPQ ROWS, $6
	JLT  four

	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11
	TESTL  ACC, ACC
	JZ     start6
	MOVQ   CPASS, C
	LOADC(Y0, Y1)
	LOADC(Y2, Y3)
	LOADC(Y4, Y5)
	LOADC(Y6, Y7)
	LOADC(Y8, Y9)
	LOADC(Y10, Y11)

start6:
	LOOPS(STEP6, loop64, tail6, loop61, store6)
	STOREC(Y0, Y1)
	STOREC(Y2, Y3)
	STOREC(Y4, Y5)
	STOREC(Y6, Y7)
	STOREC(Y8, Y9)
	STOREC(Y10, Y11)
	MOVQ C, CPASS
	LEAQ (AROW)(AROW*2), A3
	LEAQ (APASS)(A3*2), APASS
	SUBQ $6, ROWS
	JMP  six

four:
	CMPQ ROWS, $4
	JLT  two

	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	TESTL  ACC, ACC
	JZ     start4
	MOVQ   CPASS, C
	LOADC(Y0, Y1)
	LOADC(Y2, Y3)
	LOADC(Y4, Y5)
	LOADC(Y6, Y7)

start4:
	LOOPS(STEP4, loop44, tail4, loop41, store4)
	STOREC(Y0, Y1)
	STOREC(Y2, Y3)
	STOREC(Y4, Y5)
	STOREC(Y6, Y7)
	MOVQ C, CPASS
	LEAQ (APASS)(AROW*4), APASS
	SUBQ $4, ROWS

two:
	CMPQ ROWS, $2
	JLT  one

	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	TESTL  ACC, ACC
	JZ     start2
	MOVQ   CPASS, C
	LOADC(Y0, Y1)
	LOADC(Y2, Y3)

start2:
	LOOPS(STEP2, loop24, tail2, loop21, store2)
	STOREC(Y0, Y1)
	STOREC(Y2, Y3)
	MOVQ C, CPASS
	LEAQ (APASS)(AROW*2), APASS
	SUBQ $2, ROWS

one:
	TESTQ ROWS, ROWS
	JZ    done

	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	TESTL  ACC, ACC
	JZ     start1
	MOVQ   CPASS, C
	LOADC(Y0, Y1)

start1:
	LOOPS(STEP1, loop14, tail1, loop11, store1)
	STOREC(Y0, Y1)

done:
	VZEROUPPER
	RET
