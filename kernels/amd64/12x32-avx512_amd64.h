// The body of the 12×32 kernels, which f32-12x32-avx512_amd64.s explains. That file,
// the widen-…-12x32-avx512_amd64.s and finish-f16-12x32-avx512_amd64.s define
//
//	LOADB          loads a row of a panel of B, at B, into Z24 and Z25
//	LOADBN         loads its first 16 columns into Z24; only defined by a kernel that
//	               takes ragged panels
//	START          runs before the first panel of a pass; AX is the call, DX free
//	AHEAD          runs before the loop over k of a tile; DX is free until its end
//	END(EACH, bias, plain, ended)
//	               ends a tile; bias, plain and ended are labels for it to use
//	ADVANCED(n)    runs after a pass of n rows
//	FINISHED       runs at the end
//	NEXTPANEL(to)  loads the bytes from a panel of B to the next, if they are not the
//	               bytes of its width; AX is the call
//	SIZELOG        the logarithm of the bytes of an element of B
//
// and begin with the call in AX, B's first element in DI and the elements from a row
// of B to the next in CX. A slice in the call is read as its first word, the pointer.

#define K       AX
#define A       SI
#define APASS   R15
#define A3      R9
#define A6      R10
#define A9      BX
#define AROW    R11
#define ACOL    R12
#define B       DI
#define C       DX
#define LDC     R8
#define PANEL   R14
#define CTILE   R13
#define BROW    CX

// A row of the tile; x is the address of A's value, t a register for it.
#define ROW(x, t, lo, hi) \
	VBROADCASTSS x, t;         \
	VFMADD231PS  Z24, t, lo;   \
	VFMADD231PS  Z25, t, hi
#define ROWS3(p, t0, t1, t2, c0, c1, c2, c3, c4, c5) \
	ROW((p), t0, c0, c1);          \
	ROW((p)(AROW*1), t1, c2, c3);  \
	ROW((p)(AROW*2), t2, c4, c5)

#define STEP12 \
	LOADB; ADDQ BROW, B; \
	ROWS3(A, Z26, Z27, Z28, Z0, Z1, Z2, Z3, Z4, Z5);         \
	ADDQ ACOL, A;                                            \
	ROWS3(A3, Z29, Z30, Z31, Z6, Z7, Z8, Z9, Z10, Z11);      \
	ADDQ ACOL, A3;                                           \
	ROWS3(A6, Z26, Z27, Z28, Z12, Z13, Z14, Z15, Z16, Z17);  \
	ADDQ ACOL, A6;                                           \
	ROWS3(A9, Z29, Z30, Z31, Z18, Z19, Z20, Z21, Z22, Z23);  \
	ADDQ ACOL, A9
#define STEP10 \
	LOADB; ADDQ BROW, B; \
	ROWS3(A, Z26, Z27, Z28, Z0, Z1, Z2, Z3, Z4, Z5);         \
	ADDQ ACOL, A;                                            \
	ROWS3(A3, Z29, Z30, Z31, Z6, Z7, Z8, Z9, Z10, Z11);      \
	ADDQ ACOL, A3;                                           \
	ROWS3(A6, Z26, Z27, Z28, Z12, Z13, Z14, Z15, Z16, Z17);  \
	ADDQ ACOL, A6;                                           \
	ROW((A9), Z29, Z18, Z19);                                \
	ADDQ ACOL, A9
#define STEP8 \
	LOADB; ADDQ BROW, B; \
	ROWS3(A, Z26, Z27, Z28, Z0, Z1, Z2, Z3, Z4, Z5);         \
	ADDQ ACOL, A;                                            \
	ROWS3(A3, Z29, Z30, Z31, Z6, Z7, Z8, Z9, Z10, Z11);      \
	ADDQ ACOL, A3;                                           \
	ROW((A6), Z26, Z12, Z13);                                \
	ROW((A6)(AROW*1), Z27, Z14, Z15);                        \
	ADDQ ACOL, A6
#define STEP6 \
	LOADB; ADDQ BROW, B; \
	ROWS3(A, Z26, Z27, Z28, Z0, Z1, Z2, Z3, Z4, Z5);         \
	ADDQ ACOL, A;                                            \
	ROWS3(A3, Z29, Z30, Z31, Z6, Z7, Z8, Z9, Z10, Z11);      \
	ADDQ ACOL, A3
#define STEP4 \
	LOADB; ADDQ BROW, B; \
	ROWS3(A, Z26, Z27, Z28, Z0, Z1, Z2, Z3, Z4, Z5);         \
	ADDQ ACOL, A;                                            \
	ROW((A3), Z29, Z6, Z7);                                  \
	ADDQ ACOL, A3
#define STEP2 \
	LOADB; ADDQ BROW, B; \
	ROW((A), Z26, Z0, Z1);                                   \
	ROW((A)(AROW*1), Z27, Z2, Z3);                           \
	ADDQ ACOL, A
#define STEP1 \
	LOADB; ADDQ BROW, B; \
	ROW((A), Z26, Z0, Z1);                                   \
	ADDQ ACOL, A

// Steps for at most 16 columns: one FMA a row, which also broadcasts.
#ifdef LOADBN

#define ROWS3N(p, c0, c1, c2) \
	VFMADD231PS.BCST (p), Z24, c0;          \
	VFMADD231PS.BCST (p)(AROW*1), Z24, c1;  \
	VFMADD231PS.BCST (p)(AROW*2), Z24, c2;  \
	ADDQ             ACOL, p
#define STEP12N \
	LOADBN; ADDQ BROW, B; \
	ROWS3N(A, Z0, Z2, Z4);     \
	ROWS3N(A3, Z6, Z8, Z10);   \
	ROWS3N(A6, Z12, Z14, Z16); \
	ROWS3N(A9, Z18, Z20, Z22)
#define STEP10N \
	LOADBN; ADDQ BROW, B; \
	ROWS3N(A, Z0, Z2, Z4);             \
	ROWS3N(A3, Z6, Z8, Z10);           \
	ROWS3N(A6, Z12, Z14, Z16);         \
	VFMADD231PS.BCST (A9), Z24, Z18;   \
	ADDQ             ACOL, A9
#define STEP8N \
	LOADBN; ADDQ BROW, B; \
	ROWS3N(A, Z0, Z2, Z4);                      \
	ROWS3N(A3, Z6, Z8, Z10);                    \
	VFMADD231PS.BCST (A6), Z24, Z12;            \
	VFMADD231PS.BCST (A6)(AROW*1), Z24, Z14;    \
	ADDQ             ACOL, A6
#define STEP6N \
	LOADBN; ADDQ BROW, B; \
	ROWS3N(A, Z0, Z2, Z4);             \
	ROWS3N(A3, Z6, Z8, Z10)
#define STEP4N \
	LOADBN; ADDQ BROW, B; \
	ROWS3N(A, Z0, Z2, Z4);            \
	VFMADD231PS.BCST (A3), Z24, Z6;   \
	ADDQ             ACOL, A3
#define STEP2N \
	LOADBN; ADDQ BROW, B; \
	VFMADD231PS.BCST (A), Z24, Z0;          \
	VFMADD231PS.BCST (A)(AROW*1), Z24, Z2;  \
	ADDQ             ACOL, A
#define STEP1N \
	LOADBN; ADDQ BROW, B; \
	VFMADD231PS.BCST (A), Z24, Z0;  \
	ADDQ             ACOL, A
#endif

#define ZERO(lo, hi) \
	VPXORD lo, lo, lo; \
	VPXORD hi, hi, hi

// Something done to each row of a tile.
#define EACH1(DO) DO(Z0, Z1)
#define EACH2(DO) EACH1(DO); DO(Z2, Z3)
#define EACH4(DO) EACH2(DO); DO(Z4, Z5); DO(Z6, Z7)
#define EACH6(DO) EACH4(DO); DO(Z8, Z9); DO(Z10, Z11)
#define EACH8(DO) EACH6(DO); DO(Z12, Z13); DO(Z14, Z15)
#define EACH10(DO) EACH8(DO); DO(Z16, Z17); DO(Z18, Z19)
#define EACH12(DO) EACH10(DO); DO(Z20, Z21); DO(Z22, Z23)

// Ends a tile whose sums go to C.
#define TOC(EACH) \
	MOVQ CTILE, C; \
	EACH(STOREC)

// A row of C, and the loop over k. With ragged panels, K1 and K2 have a one for each
// column of the tile, and tiles without a one in K2 take a narrow loop.
#ifdef LOADBN
#define MASKS \
	MOVQ    gemmFrame_left(SP), DX; \
	MOVL    $32, AX;        \
	CMPQ    DX, AX;         \
	CMOVQGT AX, DX;         \
	MOVL    $-1, AX;        \
	BZHIL   DX, AX, AX;     \
	KMOVW   AX, K1;         \
	SHRL    $16, AX;        \
	KMOVW   AX, K2
#define LOADC(lo, hi) \
	VMOVUPS.Z (C), K1, lo;   \
	VMOVUPS.Z 64(C), K2, hi; \
	ADDQ      LDC, C
#define STOREC(lo, hi) \
	VMOVUPS lo, K1, (C);   \
	VMOVUPS hi, K2, 64(C); \
	ADDQ    LDC, C
#define LOOPS(STEP, STEPN, loop, loopn, store) \
	KTESTW K2, K2; \
	JZ     loopn;  \
loop:              \
	STEP;          \
	DECQ   K;      \
	JNZ    loop;   \
	JMP    store;  \
loopn:             \
	STEPN;         \
	DECQ   K;      \
	JNZ    loopn
#else
#define MASKS
#define LOADC(lo, hi) \
	VMOVUPS (C), lo;   \
	VMOVUPS 64(C), hi; \
	ADDQ    LDC, C
#define STOREC(lo, hi) \
	VMOVUPS lo, (C);   \
	VMOVUPS hi, 64(C); \
	ADDQ    LDC, C
#define LOOPS(STEP, STEPN, loop, loopn, store) \
loop:              \
	STEP;          \
	DECQ   K;      \
	JNZ    loop
#endif

// A pass: a few rows by all panels.
#define PASS(EACH, STEP, STEPN, panel, start, loop, loopn, store, bias, plain, ended) \
	MOVQ    gemmFrame_call(SP), AX;         \
	START;                                  \
	MOVQ    call_Cols(AX), AX;              \
	MOVQ    AX, gemmFrame_left(SP);         \
panel:                                          \
	MASKS;                                  \
	MOVQ    APASS, A;                       \
	LEAQ    (A)(AROW*2), A3;                \
	ADDQ    AROW, A3;                       \
	LEAQ    (A3)(AROW*2), A6;               \
	ADDQ    AROW, A6;                       \
	LEAQ    (A6)(AROW*2), A9;               \
	ADDQ    AROW, A9;                       \
	EACH(ZERO);                             \
	MOVQ    gemmFrame_call(SP), AX;         \
	CMPB    call_Accumulate(AX), $0;        \
	JZ      start;                          \
	MOVQ    CTILE, C;                       \
	EACH(LOADC);                            \
start:                                          \
	AHEAD;                                  \
	MOVQ    call_K(AX), K;                  \
	TESTQ   K, K;                           \
	JZ      store;                          \
	LOOPS(STEP, STEPN, loop, loopn, store); \
store:                                          \
	END(EACH, bias, plain, ended);          \
	ADDQ    gemmFrame_next(SP), B;          \
	ADDQ    $128, CTILE;                    \
	SUBQ    $32, gemmFrame_left(SP);        \
	JGT     panel

// Moves on by n rows of A and C, and back to the first panel of B.
#define ADVANCE(n) \
	IMUL3Q $n, LDC, AX;            \
	ADDQ   AX, gemmFrame_c(SP);    \
	MOVQ   gemmFrame_c(SP), CTILE; \
	MOVQ   gemmFrame_b(SP), B;     \
	IMUL3Q $n, AROW, AX;           \
	ADDQ   AX, APASS;              \
	ADVANCED(n);                   \
	SUBQ   $n, gemmFrame_rows(SP)

	MOVQ  AX, gemmFrame_call(SP)
	MOVQ  B, gemmFrame_b(SP)
	MOVQ  call_Rows(AX), DX
	MOVQ  DX, gemmFrame_rows(SP)
	MOVQ  call_C(AX), CTILE
	MOVQ  CTILE, gemmFrame_c(SP)
	MOVQ  call_LDC(AX), LDC
	SHLQ  $2, LDC
	MOVQ  call_A+elements_first(AX), APASS
	MOVQ  call_ARow(AX), AROW
	SHLQ  $2, AROW
	MOVQ  call_ACol(AX), ACOL
	SHLQ  $2, ACOL
	SHLQ  $SIZELOG, BROW

	// The bytes from the end of a panel to the next panel.
	MOVQ  $(32<<SIZELOG), DX
	NEXTPANEL(DX)
	MOVQ  call_K(AX), AX
	IMULQ BROW, AX
	SUBQ  AX, DX
	MOVQ  DX, gemmFrame_next(SP)

twelve: // twice eight is faster for 16 rows than twelve and four
	CMPQ gemmFrame_rows(SP), $12
	JLT  ten
	CMPQ gemmFrame_rows(SP), $16
	JEQ  eight
	PASS(EACH12, STEP12, STEP12N, panel12, start12, loop12, loop12n, store12, bias12, plain12, ended12)
	ADVANCE(12)
	JMP  twelve

ten:
	CMPQ gemmFrame_rows(SP), $10
	JLT  eight
	PASS(EACH10, STEP10, STEP10N, panel10, start10, loop10, loop10n, store10, bias10, plain10, ended10)
	ADVANCE(10)

eight:
	CMPQ gemmFrame_rows(SP), $8
	JLT  six
	PASS(EACH8, STEP8, STEP8N, panel8, start8, loop8, loop8n, store8, bias8, plain8, ended8)
	ADVANCE(8)
	JMP  eight

six:
	CMPQ gemmFrame_rows(SP), $6
	JLT  four
	PASS(EACH6, STEP6, STEP6N, panel6, start6, loop6, loop6n, store6, bias6, plain6, ended6)
	ADVANCE(6)

four:
	CMPQ gemmFrame_rows(SP), $4
	JLT  two
	PASS(EACH4, STEP4, STEP4N, panel4, start4, loop4, loop4n, store4, bias4, plain4, ended4)
	ADVANCE(4)

two:
	CMPQ gemmFrame_rows(SP), $2
	JLT  one
	PASS(EACH2, STEP2, STEP2N, panel2, start2, loop2, loop2n, store2, bias2, plain2, ended2)
	ADVANCE(2)

one:
	CMPQ gemmFrame_rows(SP), $0
	JEQ  done
	PASS(EACH1, STEP1, STEP1N, panel1, start1, loop1, loop1n, store1, bias1, plain1, ended1)

done:
	FINISHED
	VZEROUPPER
	RET
