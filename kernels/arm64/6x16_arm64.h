// The body of the kernels with 6×16 tiles; f32-6x16-neon_arm64.s describes it. A file
// that includes it defines
//
//	ASOURCE        the field of gemmArgs for A, and BSOURCE for B
//	BSHIFT         the logarithm of the bytes of an element of B
//	NEXTPANEL(to)  makes to the bytes from a panel of B to the next
//	START          begins a pass
//	PASSEDTOO(n)   moves further pointers on by n rows after a pass
//
// and the parameters of KERNEL, and sets ARGS to its argument, a *gemmArgs, whose
// fields this file finds by the offsets in go_asm.h. f32_arm64.h and f16_arm64.h
// define, by the type of A,
//
//	SHIFT          the logarithm of the bytes of an element of A
//	LANES          the elements of a row that a register holds
//	STEPS(STEP, FMAS)  a step for each of them
//	COL6 … COL1    load the elements of a step, which are side by side
//	ONE(at, f, n, t)  loads an element into lane 0 and moves on to the next; n and t
//	               are the numbers of the registers at and f

#include "encode_arm64.h"

#define K      R0
#define A0     R1
#define A1     R2
#define A2     R3
#define A3     R4
#define A4     R5
#define A5     R6
#define BAT    R7
#define BROW   R8
#define CTILE  R9
#define CAT    R10
#define LDC    R11
#define APASS  R12
#define AROW   R13
#define ACOL   R14
#define LEFT   R15
#define NEXT   R16
#define ROWS   R17
#define PANEL  R19
#define CPASS  R20
#define ARGS   R21

// Multiply vector j of a row of B, in register b: by lane l of a register for each row
// of A, or by the rows' elements of one step.
#define BYROW1(FMA, l, b, j) FMA(0, l, b, 8+j)
#define BYROW2(FMA, l, b, j) BYROW1(FMA, l, b, j); FMA(1, l, b, 12+j)
#define BYROW4(FMA, l, b, j) BYROW2(FMA, l, b, j); FMA(2, l, b, 16+j); FMA(3, l, b, 20+j)
#define BYROW6(FMA, l, b, j) BYROW4(FMA, l, b, j); FMA(4, l, b, 24+j); FMA(5, l, b, 28+j)
#define BYCOL1(FMA, l, b, j) FMA(0, 0, b, 8+j)
#define BYCOL2(FMA, l, b, j) BYCOL1(FMA, l, b, j); FMA(0, 1, b, 12+j)
#define BYCOL4(FMA, l, b, j) BYCOL2(FMA, l, b, j); FMA(0, 2, b, 16+j); FMA(0, 3, b, 20+j)
#define BYCOL6(FMA, l, b, j) BYCOL4(FMA, l, b, j); FMA(1, 0, b, 24+j); FMA(1, 1, b, 28+j)

// Find the rows of A, load some elements of each, and load one of each.
#define AT1 MOVD APASS, A0
#define AT2 AT1; ADD AROW, A0, A1
#define AT4 AT2; ADD AROW, A1, A2; ADD AROW, A2, A3
#define AT6 AT4; ADD AROW, A3, A4; ADD AROW, A4, A5
#define ROW1 FMOVQ.P 16(A0), F0
#define ROW2 ROW1; FMOVQ.P 16(A1), F1
#define ROW4 ROW2; FMOVQ.P 16(A2), F2; FMOVQ.P 16(A3), F3
#define ROW6 ROW4; FMOVQ.P 16(A4), F4; FMOVQ.P 16(A5), F5
#define ONE1 ONE(A0, F0, 1, 0)
#define ONE2 ONE1; ONE(A1, F1, 2, 1)
#define ONE4 ONE2; ONE(A2, F2, 3, 2); ONE(A3, F3, 4, 3)
#define ONE6 ONE4; ONE(A4, F4, 5, 4); ONE(A5, F5, 6, 5)

// Steps for an A that lies row after row: those of a register, and one.
#define ROWS6(STEP) ROW6; STEPS(STEP, BYROW6)
#define ROWS4(STEP) ROW4; STEPS(STEP, BYROW4)
#define ROWS2(STEP) ROW2; STEPS(STEP, BYROW2)
#define ROWS1(STEP) ROW1; STEPS(STEP, BYROW1)
#define ROWONE6(STEP) ONE6; STEP(BYROW6, 0)
#define ROWONE4(STEP) ONE4; STEP(BYROW4, 0)
#define ROWONE2(STEP) ONE2; STEP(BYROW2, 0)
#define ROWONE1(STEP) ONE1; STEP(BYROW1, 0)

// Steps for an A that lies column after column: four, and one.
#define COLONE6(STEP) COL6; ADD ACOL, A0; STEP(BYCOL6, 0)
#define COLONE4(STEP) COL4; ADD ACOL, A0; STEP(BYCOL4, 0)
#define COLONE2(STEP) COL2; ADD ACOL, A0; STEP(BYCOL2, 0)
#define COLONE1(STEP) COL1; ADD ACOL, A0; STEP(BYCOL1, 0)
#define COLS6(STEP) COLONE6(STEP); COLONE6(STEP); COLONE6(STEP); COLONE6(STEP)
#define COLS4(STEP) COLONE4(STEP); COLONE4(STEP); COLONE4(STEP); COLONE4(STEP)
#define COLS2(STEP) COLONE2(STEP); COLONE2(STEP); COLONE2(STEP); COLONE2(STEP)
#define COLS1(STEP) COLONE1(STEP); COLONE1(STEP); COLONE1(STEP); COLONE1(STEP)

#define ZEROROW(a, b, c, d) \
	VMOVI $0, a.B16; \
	VMOVI $0, b.B16; \
	VMOVI $0, c.B16; \
	VMOVI $0, d.B16
#define ZERO1 ZEROROW(V8, V9, V10, V11)
#define ZERO2 ZERO1; ZEROROW(V12, V13, V14, V15)
#define ZERO4 ZERO2; ZEROROW(V16, V17, V18, V19); ZEROROW(V20, V21, V22, V23)
#define ZERO6 ZERO4; ZEROROW(V24, V25, V26, V27); ZEROROW(V28, V29, V30, V31)

// Load and store a row of the tile, of as many vectors as the names say.
#define GET4(a, b, c, d) FLDPQ (CAT), (a, b); FLDPQ 32(CAT), (c, d); ADD LDC, CAT
#define GET3(a, b, c, d) FLDPQ (CAT), (a, b); FMOVQ 32(CAT), c; ADD LDC, CAT
#define GET2(a, b, c, d) FLDPQ (CAT), (a, b); ADD LDC, CAT
#define GET1(a, b, c, d) FMOVQ (CAT), a; ADD LDC, CAT
#define PUT4(a, b, c, d) FSTPQ (a, b), (CAT); FSTPQ (c, d), 32(CAT); ADD LDC, CAT
#define PUT3(a, b, c, d) FSTPQ (a, b), (CAT); FMOVQ c, 32(CAT); ADD LDC, CAT
#define PUT2(a, b, c, d) FSTPQ (a, b), (CAT); ADD LDC, CAT
#define PUT1(a, b, c, d) FMOVQ a, (CAT); ADD LDC, CAT
#define TILE1(ROW) ROW(F8, F9, F10, F11)
#define TILE2(ROW) TILE1(ROW); ROW(F12, F13, F14, F15)
#define TILE4(ROW) TILE2(ROW); ROW(F16, F17, F18, F19); ROW(F20, F21, F22, F23)
#define TILE6(ROW) TILE4(ROW); ROW(F24, F25, F26, F27); ROW(F28, F29, F30, F31)

// A pass: all panels for some rows. MANY does many steps at once, SINGLE one.
#define PASS(ATS, ZEROS, LOADS, MANY, many, SINGLE, STORES, panel, start, loop, tail, single, store) \
	MOVD  BSOURCE(ARGS), BAT;           \
	MOVD  CPASS, CTILE;                 \
	MOVD  gemmArgs_cols(ARGS), LEFT;    \
	START;                              \
panel:                                  \
	ATS;                                \
	ZEROS;                              \
	MOVBU gemmArgs_accumulate(ARGS), K; \
	CBZ   K, start;                     \
	MOVD  CTILE, CAT;                   \
	LOADS;                              \
start:                                  \
	MOVD  gemmArgs_k(ARGS), K;          \
	SUBS  $many, K;                     \
	BLT   tail;                         \
loop:                                   \
	MANY;                               \
	SUBS  $many, K;                     \
	BGE   loop;                         \
tail:                                   \
	ADDS  $many, K;                     \
	BEQ   store;                        \
single:                                 \
	SINGLE;                             \
	SUBS  $1, K;                        \
	BNE   single;                       \
store:                                  \
	MOVD  CTILE, CAT;                   \
	STORES;                             \
	ADD   NEXT, BAT;                    \
	ADD   $64, CTILE;                   \
	SUBS  $16, LEFT;                    \
	BGT   panel

// Moves on to the next rows.
#define PASSED(n) \
	MOVD  $n, R0;          \
	MADD  R0, APASS, AROW, APASS; \
	MADD  R0, CPASS, LDC, CPASS; \
	PASSEDTOO(n);          \
	SUB   $n, ROWS

// A whole kernel. STEP(FMAS, l) is a step of a tile of one to four vectors a row: it
// loads a row of the panel of B, multiplies by it, and moves on to the next. GET loads
// a row of the tile; STORES6 to STORES1 store tiles of that many rows. Twice four rows
// are faster than six and two.
#define KERNEL(STEP, GET, STORES6, STORES4, STORES2, STORES1) \
	MOVD  ASOURCE(ARGS), APASS;      \
	MOVD  gemmArgs_aRow(ARGS), AROW; \
	MOVD  gemmArgs_aCol(ARGS), ACOL; \
	MOVD  gemmArgs_bRow(ARGS), BROW; \
	MOVD  gemmArgs_c(ARGS), CPASS;   \
	MOVD  gemmArgs_ldc(ARGS), LDC;   \
	MOVD  gemmArgs_rows(ARGS), ROWS; \
	LSL   $SHIFT, AROW;       \
	LSL   $SHIFT, ACOL;       \
	LSL   $BSHIFT, BROW;      \
	LSL   $2, LDC;            \
	NEXTPANEL(NEXT);          \
	MOVD  gemmArgs_k(ARGS), K; \
	MSUB  K, NEXT, BROW, NEXT; \
	CMP   $(1<<SHIFT), ACOL;  \
	BNE   sixC;               \
sixR:                         \
	CMP   $6, ROWS;           \
	BLT   fourR;              \
	CMP   $8, ROWS;           \
	BEQ   fourR;              \
	PASS(AT6, ZERO6, TILE6(GET), ROWS6(STEP), LANES, ROWONE6(STEP), STORES6, p6R, s6R, l6R, t6R, o6R, e6R); \
	PASSED(6);                \
	JMP   sixR;               \
fourR:                        \
	CMP   $4, ROWS;           \
	BLT   twoR;               \
	PASS(AT4, ZERO4, TILE4(GET), ROWS4(STEP), LANES, ROWONE4(STEP), STORES4, p4R, s4R, l4R, t4R, o4R, e4R); \
	PASSED(4);                \
	JMP   fourR;              \
twoR:                         \
	CMP   $2, ROWS;           \
	BLT   oneR;               \
	PASS(AT2, ZERO2, TILE2(GET), ROWS2(STEP), LANES, ROWONE2(STEP), STORES2, p2R, s2R, l2R, t2R, o2R, e2R); \
	PASSED(2);                \
oneR:                         \
	CBZ   ROWS, done;         \
	PASS(AT1, ZERO1, TILE1(GET), ROWS1(STEP), LANES, ROWONE1(STEP), STORES1, p1R, s1R, l1R, t1R, o1R, e1R); \
	JMP   done;               \
sixC:                         \
	CMP   $6, ROWS;           \
	BLT   fourC;              \
	CMP   $8, ROWS;           \
	BEQ   fourC;              \
	PASS(AT1, ZERO6, TILE6(GET), COLS6(STEP), 4, COLONE6(STEP), STORES6, p6C, s6C, l6C, t6C, o6C, e6C); \
	PASSED(6);                \
	JMP   sixC;               \
fourC:                        \
	CMP   $4, ROWS;           \
	BLT   twoC;               \
	PASS(AT1, ZERO4, TILE4(GET), COLS4(STEP), 4, COLONE4(STEP), STORES4, p4C, s4C, l4C, t4C, o4C, e4C); \
	PASSED(4);                \
	JMP   fourC;              \
twoC:                         \
	CMP   $2, ROWS;           \
	BLT   oneC;               \
	PASS(AT1, ZERO2, TILE2(GET), COLS2(STEP), 4, COLONE2(STEP), STORES2, p2C, s2C, l2C, t2C, o2C, e2C); \
	PASSED(2);                \
oneC:                         \
	CBZ   ROWS, done;         \
	PASS(AT1, ZERO1, TILE1(GET), COLS1(STEP), 4, COLONE1(STEP), STORES1, p1C, s1C, l1C, t1C, o1C, e1C); \
done:
