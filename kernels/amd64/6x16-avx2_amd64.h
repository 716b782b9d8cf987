// The body of the kernels in f32-6x16-avx2_amd64.s, which says what it is, and
// in widen-…-6x16-avx2_amd64.s. They define
//
//	LOADB(lo, hi, at)  a row of a panel of B, whose halves are at lo and hi, to
//	                   Y12 and Y13; at is how many bytes of packed rows lie
//	                   between the first of the four rows of a turn and it
//	LOADED(rows)       what there is to do after so many rows
//	START              what there is to do before the first panel of a pass
//	NEXTPANEL(to)      what gets to the bytes from a panel to the next, if they
//	                   are not those of its width
//	HALF               the bytes of half a row
//	SIZELOG            the logarithm of the bytes of an element of B

#define K       AX
#define A       SI
#define A3      R9
#define AROW    R11
#define ACOL    R12
#define B       DI
#define C       DX
#define LDC     R8
#define LEFT    R14
#define APASS   R15
#define CTILE   R13
#define PANEL   BX
#define BROW    CX
#define BROW3   R10

// Two rows of the tile: x and y are where A's values are.
#define PAIR(x, y, c0, c1, c2, c3) \
	VBROADCASTSS x, Y14;         \
	VBROADCASTSS y, Y15;         \
	VFMADD231PS  Y12, Y14, c0;   \
	VFMADD231PS  Y13, Y14, c1;   \
	VFMADD231PS  Y12, Y15, c2;   \
	VFMADD231PS  Y13, Y15, c3

#define STEP6(lo, hi, at) \
	LOADB(lo, hi, at);                                  \
	PAIR((A), (A)(AROW*1), Y0, Y1, Y2, Y3);             \
	PAIR((A)(AROW*2), (A3), Y4, Y5, Y6, Y7);            \
	PAIR((A3)(AROW*1), (A3)(AROW*2), Y8, Y9, Y10, Y11); \
	ADDQ ACOL, A;                                       \
	ADDQ ACOL, A3
#define STEP4(lo, hi, at) \
	LOADB(lo, hi, at);                       \
	PAIR((A), (A)(AROW*1), Y0, Y1, Y2, Y3);  \
	PAIR((A)(AROW*2), (A3), Y4, Y5, Y6, Y7); \
	ADDQ ACOL, A;                            \
	ADDQ ACOL, A3
#define STEP2(lo, hi, at) \
	LOADB(lo, hi, at);                      \
	PAIR((A), (A)(AROW*1), Y0, Y1, Y2, Y3); \
	ADDQ ACOL, A
#define STEP1(lo, hi, at) \
	LOADB(lo, hi, at);            \
	VBROADCASTSS (A), Y14;        \
	VFMADD231PS  Y12, Y14, Y0;    \
	VFMADD231PS  Y13, Y14, Y1;    \
	ADDQ         ACOL, A

#define LOADC(lo, hi) \
	VMOVUPS 0(C), lo;   \
	VMOVUPS 32(C), hi;  \
	ADDQ    LDC, C
#define STOREC(lo, hi) \
	VMOVUPS lo, 0(C);   \
	VMOVUPS hi, 32(C);  \
	ADDQ    LDC, C
#define ZERO(lo, hi) \
	VXORPS lo, lo, lo; \
	VXORPS hi, hi, hi

#define ZERO1 ZERO(Y0, Y1)
#define ZERO2 ZERO1; ZERO(Y2, Y3)
#define ZERO4 ZERO2; ZERO(Y4, Y5); ZERO(Y6, Y7)
#define ZERO6 ZERO4; ZERO(Y8, Y9); ZERO(Y10, Y11)
#define LOAD1 LOADC(Y0, Y1)
#define LOAD2 LOAD1; LOADC(Y2, Y3)
#define LOAD4 LOAD2; LOADC(Y4, Y5); LOADC(Y6, Y7)
#define LOAD6 LOAD4; LOADC(Y8, Y9); LOADC(Y10, Y11)
#define STORE1 STOREC(Y0, Y1)
#define STORE2 STORE1; STOREC(Y2, Y3)
#define STORE4 STORE2; STOREC(Y4, Y5); STOREC(Y6, Y7)
#define STORE6 STORE4; STOREC(Y8, Y9); STOREC(Y10, Y11)

// A pass: all panels for as many rows as the names of the arguments say. The
// loop over k takes four steps at a time, then one by one.
#define PASS(ZEROS, LOADS, STEP, STORES, panel, start, loop4, tail, loop1, store) \
	MOVQ  b+32(FP), B;     \
	START;                 \
	MOVQ  c+56(FP), CTILE; \
	MOVQ  cols+80(FP), LEFT; \
panel:                     \
	MOVQ  APASS, A;        \
	LEAQ  (A)(AROW*2), A3; \
	ADDQ  AROW, A3;        \
	ZEROS;                 \
	CMPB  accumulate+88(FP), $0; \
	JZ    start;           \
	MOVQ  CTILE, C;        \
	LOADS;                 \
start:                     \
	MOVQ  k+0(FP), K;      \
	SUBQ  $4, K;           \
	JLT   tail;            \
loop4:                     \
	STEP((B), HALF(B), 0); \
	STEP((B)(BROW*1), HALF(B)(BROW*1), 64);    \
	STEP((B)(BROW*2), HALF(B)(BROW*2), 128);   \
	STEP((B)(BROW3*1), HALF(B)(BROW3*1), 192); \
	LEAQ  (B)(BROW*4), B;  \
	LOADED(4);             \
	SUBQ  $4, K;           \
	JGE   loop4;           \
tail:                      \
	ADDQ  $4, K;           \
	JZ    store;           \
loop1:                     \
	STEP((B), HALF(B), 0); \
	ADDQ  BROW, B;         \
	LOADED(1);             \
	DECQ  K;               \
	JNZ   loop1;           \
store:                     \
	MOVQ  CTILE, C;        \
	STORES;                \
	ADDQ  next-8(SP), B;   \
	ADDQ  $64, CTILE;      \
	SUBQ  $16, LEFT;       \
	JGT   panel

	MOVQ  a+8(FP), APASS
	MOVQ  aRow+16(FP), AROW
	MOVQ  aCol+24(FP), ACOL
	MOVQ  ldc+64(FP), LDC
	MOVQ  bRow+40(FP), BROW
	SHLQ  $2, AROW
	SHLQ  $2, ACOL
	SHLQ  $2, LDC
	SHLQ  $SIZELOG, BROW
	LEAQ  (BROW)(BROW*2), BROW3

	// From the end of a panel to the next.
	MOVQ  BROW, AX
	IMULQ k+0(FP), AX
	MOVQ  $(2*HALF), DX
	NEXTPANEL(DX)
	SUBQ  AX, DX
	MOVQ  DX, next-8(SP)

six: // 8 rows are better taken as twice four
	CMPQ rows+72(FP), $6
	JLT  four
	CMPQ rows+72(FP), $8
	JEQ  four
	PASS(ZERO6, LOAD6, STEP6, STORE6, panel6, start6, loop64, tail6, loop61, store6)
	LEAQ (LDC)(LDC*2), AX
	SHLQ $1, AX
	ADDQ AX, c+56(FP)
	LEAQ (AROW)(AROW*2), AX
	LEAQ (APASS)(AX*2), APASS
	SUBQ $6, rows+72(FP)
	JMP  six

four:
	CMPQ rows+72(FP), $4
	JLT  two
	PASS(ZERO4, LOAD4, STEP4, STORE4, panel4, start4, loop44, tail4, loop41, store4)
	LEAQ (LDC*4), AX
	ADDQ AX, c+56(FP)
	LEAQ (APASS)(AROW*4), APASS
	SUBQ $4, rows+72(FP)
	JMP  four

two:
	CMPQ rows+72(FP), $2
	JLT  one
	PASS(ZERO2, LOAD2, STEP2, STORE2, panel2, start2, loop24, tail2, loop21, store2)
	LEAQ (LDC*2), AX
	ADDQ AX, c+56(FP)
	LEAQ (APASS)(AROW*2), APASS
	SUBQ $2, rows+72(FP)

one:
	CMPQ rows+72(FP), $0
	JEQ  done
	PASS(ZERO1, LOAD1, STEP1, STORE1, panel1, start1, loop14, tail1, loop11, store1)

done:
	VZEROUPPER
	RET
