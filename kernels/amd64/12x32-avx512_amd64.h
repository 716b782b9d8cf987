// The body of the kernels f32-12x32-avx512_amd64.s and f16-12x32-avx512_amd64.s,
// which say what it is. They define
//
//	LOADB(p)   row p of the B panel, at p, to Z24 and Z25
//	LOADBN(p)  its first 16 columns to Z24
//	SIZELOG    the logarithm of the bytes of an element of B

#define K       AX
#define A       SI
#define A3      R9
#define A6      R10
#define A9      BX
#define AROW    R11
#define ACOL    R12
#define B       DI
#define C       DX
#define LDC     R8
#define ROWS    R14
#define APASS   R15
#define CPASS   R13
#define BROW    CX

// A row of the tile: x is where A's value is, t a register for it.
#define ROW(x, t, lo, hi) \
	VBROADCASTSS x, t;         \
	VFMADD231PS  Z24, t, lo;   \
	VFMADD231PS  Z25, t, hi
#define ROWS3(p, t0, t1, t2, c0, c1, c2, c3, c4, c5) \
	ROW((p), t0, c0, c1);          \
	ROW((p)(AROW*1), t1, c2, c3);  \
	ROW((p)(AROW*2), t2, c4, c5)

#define STEP12 \
	LOADB(B); ADDQ BROW, B; \
	ROWS3(A, Z26, Z27, Z28, Z0, Z1, Z2, Z3, Z4, Z5);         \
	ADDQ ACOL, A;                                            \
	ROWS3(A3, Z29, Z30, Z31, Z6, Z7, Z8, Z9, Z10, Z11);      \
	ADDQ ACOL, A3;                                           \
	ROWS3(A6, Z26, Z27, Z28, Z12, Z13, Z14, Z15, Z16, Z17);  \
	ADDQ ACOL, A6;                                           \
	ROWS3(A9, Z29, Z30, Z31, Z18, Z19, Z20, Z21, Z22, Z23);  \
	ADDQ ACOL, A9
#define STEP8 \
	LOADB(B); ADDQ BROW, B; \
	ROWS3(A, Z26, Z27, Z28, Z0, Z1, Z2, Z3, Z4, Z5);         \
	ADDQ ACOL, A;                                            \
	ROWS3(A3, Z29, Z30, Z31, Z6, Z7, Z8, Z9, Z10, Z11);      \
	ADDQ ACOL, A3;                                           \
	ROW((A6), Z26, Z12, Z13);                                \
	ROW((A6)(AROW*1), Z27, Z14, Z15);                        \
	ADDQ ACOL, A6
#define STEP4 \
	LOADB(B); ADDQ BROW, B; \
	ROWS3(A, Z26, Z27, Z28, Z0, Z1, Z2, Z3, Z4, Z5);         \
	ADDQ ACOL, A;                                            \
	ROW((A3), Z29, Z6, Z7);                                  \
	ADDQ ACOL, A3
#define STEP2 \
	LOADB(B); ADDQ BROW, B; \
	ROW((A), Z26, Z0, Z1);                                   \
	ROW((A)(AROW*1), Z27, Z2, Z3);                           \
	ADDQ ACOL, A
#define STEP1 \
	LOADB(B); ADDQ BROW, B; \
	ROW((A), Z26, Z0, Z1);                                   \
	ADDQ ACOL, A

// The same for at most 16 columns: one FMA a row, with the broadcast in it.

#define ROWS3N(p, c0, c1, c2) \
	VFMADD231PS.BCST (p), Z24, c0;          \
	VFMADD231PS.BCST (p)(AROW*1), Z24, c1;  \
	VFMADD231PS.BCST (p)(AROW*2), Z24, c2;  \
	ADDQ             ACOL, p
#define STEP12N \
	LOADBN(B); ADDQ BROW, B; \
	ROWS3N(A, Z0, Z2, Z4);     \
	ROWS3N(A3, Z6, Z8, Z10);   \
	ROWS3N(A6, Z12, Z14, Z16); \
	ROWS3N(A9, Z18, Z20, Z22)
#define STEP8N \
	LOADBN(B); ADDQ BROW, B; \
	ROWS3N(A, Z0, Z2, Z4);                      \
	ROWS3N(A3, Z6, Z8, Z10);                    \
	VFMADD231PS.BCST (A6), Z24, Z12;            \
	VFMADD231PS.BCST (A6)(AROW*1), Z24, Z14;    \
	ADDQ             ACOL, A6
#define STEP4N \
	LOADBN(B); ADDQ BROW, B; \
	ROWS3N(A, Z0, Z2, Z4);            \
	VFMADD231PS.BCST (A3), Z24, Z6;   \
	ADDQ             ACOL, A3
#define STEP2N \
	LOADBN(B); ADDQ BROW, B; \
	VFMADD231PS.BCST (A), Z24, Z0;          \
	VFMADD231PS.BCST (A)(AROW*1), Z24, Z2;  \
	ADDQ             ACOL, A
#define STEP1N \
	LOADBN(B); ADDQ BROW, B; \
	VFMADD231PS.BCST (A), Z24, Z0;  \
	ADDQ             ACOL, A

#define LOADC(lo, hi) \
	VMOVUPS.Z (C), K1, lo;    \
	VMOVUPS.Z 64(C), K2, hi;  \
	ADDQ      LDC, C
#define STOREC(lo, hi) \
	VMOVUPS lo, K1, (C);    \
	VMOVUPS hi, K2, 64(C);  \
	ADDQ    LDC, C
#define ZERO(lo, hi) \
	VPXORD lo, lo, lo; \
	VPXORD hi, hi, hi

#define ZERO2 ZERO(Z0, Z1); ZERO(Z2, Z3)
#define ZERO4 ZERO2; ZERO(Z4, Z5); ZERO(Z6, Z7)
#define ZERO8 ZERO4; ZERO(Z8, Z9); ZERO(Z10, Z11); ZERO(Z12, Z13); ZERO(Z14, Z15)
#define ZERO12 ZERO8; ZERO(Z16, Z17); ZERO(Z18, Z19); ZERO(Z20, Z21); ZERO(Z22, Z23)
#define LOAD2 LOADC(Z0, Z1); LOADC(Z2, Z3)
#define LOAD4 LOAD2; LOADC(Z4, Z5); LOADC(Z6, Z7)
#define LOAD8 LOAD4; LOADC(Z8, Z9); LOADC(Z10, Z11); LOADC(Z12, Z13); LOADC(Z14, Z15)
#define LOAD12 LOAD8; LOADC(Z16, Z17); LOADC(Z18, Z19); LOADC(Z20, Z21); LOADC(Z22, Z23)
#define STORE2 STOREC(Z0, Z1); STOREC(Z2, Z3)
#define STORE4 STORE2; STOREC(Z4, Z5); STOREC(Z6, Z7)
#define STORE8 STORE4; STOREC(Z8, Z9); STOREC(Z10, Z11); STOREC(Z12, Z13); STOREC(Z14, Z15)
#define STORE12 STORE8; STOREC(Z16, Z17); STOREC(Z18, Z19); STOREC(Z20, Z21); STOREC(Z22, Z23)

// The tile below, which may come next: C may have to come from far.
#define PREFETCHROW \
	PREFETCHT0 (C);   \
	PREFETCHT0 64(C); \
	ADDQ       LDC, C
#define PREFETCH4 PREFETCHROW; PREFETCHROW; PREFETCHROW; PREFETCHROW
#define PREFETCH12 \
	LEAQ (LDC)(LDC*2), C; \
	LEAQ (CPASS)(C*4), C; \
	PREFETCH4; PREFETCH4; PREFETCH4

// What comes before the loop over k.
#define BEGIN \
	MOVQ k+0(FP), K;        \
	MOVQ b+32(FP), B;       \
	MOVQ APASS, A;          \
	LEAQ (A)(AROW*2), A3;   \
	ADDQ AROW, A3;          \
	LEAQ (A3)(AROW*2), A6;  \
	ADDQ AROW, A6;          \
	LEAQ (A6)(AROW*2), A9;  \
	ADDQ AROW, A9;          \
	MOVQ CPASS, C

// The loops of a pass over k. The narrow one is for K2 = 0.
#define LOOPS(STEP, STEPN, loop, loopn, store) \
	MOVQ     CPASS, C;  \
	TESTQ    K, K;      \
	JZ       store;     \
	KTESTW   K2, K2;    \
	JZ       loopn;     \
loop:                   \
	STEP;               \
	DECQ     K;         \
	JNZ      loop;      \
	JMP      store;     \
loopn:                  \
	STEPN;              \
	DECQ     K;         \
	JNZ      loopn;     \
store:

	// The masks: as many ones as there are columns, 16 a mask.
	MOVQ   cols+72(FP), CX
	MOVL   $-1, AX
	BZHIL  CX, AX, AX
	KMOVW  AX, K1
	SHRL   $16, AX
	KMOVW  AX, K2

	MOVQ    a+8(FP), APASS
	MOVQ    aRow+16(FP), AROW
	MOVQ    aCol+24(FP), ACOL
	MOVQ    c+48(FP), CPASS
	MOVQ    ldc+56(FP), LDC
	MOVQ    rows+64(FP), ROWS
	MOVQ    bRow+40(FP), BROW
	SHLQ    $2, AROW
	SHLQ    $2, ACOL
	SHLQ    $2, LDC
	SHLQ    $SIZELOG, BROW

twelve:
	CMPQ ROWS, $12
	JLT  eight
	BEGIN
	ZERO12
	CMPB accumulate+80(FP), $0
	JZ    start12
	LOAD12

start12:
	PREFETCH12
	LOOPS(STEP12, STEP12N, loop12, loop12n, store12)
	STORE12
	MOVQ C, CPASS
	LEAQ (AROW)(AROW*2), A9
	LEAQ (APASS)(A9*4), APASS
	SUBQ $12, ROWS
	JMP  twelve

eight:
	CMPQ ROWS, $8
	JLT  four
	BEGIN
	ZERO8
	CMPB accumulate+80(FP), $0
	JZ    start8
	LOAD8

start8:
	LOOPS(STEP8, STEP8N, loop8, loop8n, store8)
	STORE8
	MOVQ C, CPASS
	LEAQ (APASS)(AROW*8), APASS
	SUBQ $8, ROWS

four:
	CMPQ ROWS, $4
	JLT  two
	BEGIN
	ZERO4
	CMPB accumulate+80(FP), $0
	JZ    start4
	LOAD4

start4:
	LOOPS(STEP4, STEP4N, loop4, loop4n, store4)
	STORE4
	MOVQ C, CPASS
	LEAQ (APASS)(AROW*4), APASS
	SUBQ $4, ROWS

two:
	CMPQ ROWS, $2
	JLT  one
	BEGIN
	ZERO2
	CMPB accumulate+80(FP), $0
	JZ    start2
	LOAD2

start2:
	LOOPS(STEP2, STEP2N, loop2, loop2n, store2)
	STORE2
	MOVQ C, CPASS
	LEAQ (APASS)(AROW*2), APASS
	SUBQ $2, ROWS

one:
	TESTQ ROWS, ROWS
	JZ    done
	BEGIN
	ZERO(Z0, Z1)
	CMPB accumulate+80(FP), $0
	JZ    start1
	LOADC(Z0, Z1)

start1:
	LOOPS(STEP1, STEP1N, loop1, loop1n, store1)
	STOREC(Z0, Z1)

done:
	VZEROUPPER
	RET
