// The body of the 6×16 kernels, which f32-6x16-avx2_amd64.s explains. That file and
// the widen-…-6x16-avx2_amd64.s define
//
//	LOADB(lo, hi, at)  loads a row of a panel of B, whose halves are at lo and hi,
//	                   into Y12 and Y13. at is the row's place in a turn of four:
//	                   0, 64, 128 or 192 bytes of packed rows
//	LOADED(rows)       runs after so many rows
//	START              runs before the first panel of a pass; AX is the call, DX free
//	NEXTPANEL(to)      loads the bytes from a panel of B to the next, if they are not
//	                   the bytes of its width; AX is the call
//	HALF               the bytes of half a row of B
//	SIZELOG            the logarithm of the bytes of an element of B
//
// and begin with the call in AX, B's first element in DI and the elements from a row
// of B to the next in CX. A slice in the call is read as its first word, the pointer.

#define K       AX
#define A       SI
#define APASS   R15
#define A3      R9
#define AROW    R11
#define ACOL    R12
#define B       DI
#define C       DX
#define LDC     R8
#define LEFT    R14
#define CTILE   R13
#define PANEL   BX
#define BROW    CX
#define BROW3   R10

// Two rows of the tile; x and y are the addresses of A's values.
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

// A pass: a few rows by all panels. The loop over k takes four steps at a time, then
// single steps.
#define PASS(ZEROS, LOADS, STEP, STORES, panel, start, loop4, tail, loop1, store) \
	MOVQ  gemmFrame_call(SP), AX;              \
	START;                                     \
	MOVQ  call_Cols(AX), LEFT;                 \
panel:                                             \
	MOVQ  APASS, A;                            \
	LEAQ  (A)(AROW*2), A3;                     \
	ADDQ  AROW, A3;                            \
	ZEROS;                                     \
	MOVQ  gemmFrame_call(SP), AX;              \
	CMPB  call_Accumulate(AX), $0;             \
	JZ    start;                               \
	MOVQ  CTILE, C;                            \
	LOADS;                                     \
start:                                             \
	MOVQ  call_K(AX), K;                       \
	SUBQ  $4, K;                               \
	JLT   tail;                                \
loop4:                                             \
	STEP((B), HALF(B), 0);                     \
	STEP((B)(BROW*1), HALF(B)(BROW*1), 64);    \
	STEP((B)(BROW*2), HALF(B)(BROW*2), 128);   \
	STEP((B)(BROW3*1), HALF(B)(BROW3*1), 192); \
	LEAQ  (B)(BROW*4), B;                      \
	LOADED(4);                                 \
	SUBQ  $4, K;                               \
	JGE   loop4;                               \
tail:                                              \
	ADDQ  $4, K;                               \
	JZ    store;                               \
loop1:                                             \
	STEP((B), HALF(B), 0);                     \
	ADDQ  BROW, B;                             \
	LOADED(1);                                 \
	DECQ  K;                                   \
	JNZ   loop1;                               \
store:                                             \
	MOVQ  CTILE, C;                            \
	STORES;                                    \
	ADDQ  gemmFrame_next(SP), B;               \
	ADDQ  $64, CTILE;                          \
	SUBQ  $16, LEFT;                           \
	JGT   panel

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
	LEAQ  (BROW)(BROW*2), BROW3

	// The bytes from the end of a panel to the next panel.
	MOVQ  $(2*HALF), DX
	NEXTPANEL(DX)
	MOVQ  call_K(AX), AX
	IMULQ BROW, AX
	SUBQ  AX, DX
	MOVQ  DX, gemmFrame_next(SP)

six: // twice four is faster for 8 rows than six and two
	CMPQ gemmFrame_rows(SP), $6
	JLT  four
	CMPQ gemmFrame_rows(SP), $8
	JEQ  four
	PASS(ZERO6, LOAD6, STEP6, STORE6, panel6, start6, loop64, tail6, loop61, store6)
	LEAQ (LDC)(LDC*2), AX
	SHLQ $1, AX
	ADDQ AX, gemmFrame_c(SP)
	MOVQ gemmFrame_c(SP), CTILE
	MOVQ gemmFrame_b(SP), B
	LEAQ (AROW)(AROW*2), AX
	LEAQ (APASS)(AX*2), APASS
	SUBQ $6, gemmFrame_rows(SP)
	JMP  six

four:
	CMPQ gemmFrame_rows(SP), $4
	JLT  two
	PASS(ZERO4, LOAD4, STEP4, STORE4, panel4, start4, loop44, tail4, loop41, store4)
	LEAQ (LDC*4), AX
	ADDQ AX, gemmFrame_c(SP)
	MOVQ gemmFrame_c(SP), CTILE
	MOVQ gemmFrame_b(SP), B
	LEAQ (APASS)(AROW*4), APASS
	SUBQ $4, gemmFrame_rows(SP)
	JMP  four

two:
	CMPQ gemmFrame_rows(SP), $2
	JLT  one
	PASS(ZERO2, LOAD2, STEP2, STORE2, panel2, start2, loop24, tail2, loop21, store2)
	LEAQ (LDC*2), AX
	ADDQ AX, gemmFrame_c(SP)
	MOVQ gemmFrame_c(SP), CTILE
	MOVQ gemmFrame_b(SP), B
	LEAQ (APASS)(AROW*2), APASS
	SUBQ $2, gemmFrame_rows(SP)

one:
	CMPQ gemmFrame_rows(SP), $0
	JEQ  done
	PASS(ZERO1, LOAD1, STEP1, STORE1, panel1, start1, loop14, tail1, loop11, store1)

done:
	VZEROUPPER
	RET
