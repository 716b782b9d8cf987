// The body of the thin products; thin-f16-neon_arm64.s describes it. A file that includes
// it defines
//
//	ASOURCE          the field of thinArgs for A, and BSOURCE for B
//	BSHIFT           the logarithm of the bytes of an element of B
//	EIGHT(n, f, g, b)  loads columns 8n to 8n+7 of a row of B to F registers f and g,
//	                 whose numbers are b and b+1
//	EVEN, ODD        (m, l, b, d) multiply the first four of them, and the others
//	SINGLE           loads one column to lane 0 of V8
//
// and sets ARGS to its argument, a *thinArgs, whose fields this file finds by the offsets
// in go_asm.h. f32_arm64.h and f16_arm64.h define what 6x16_arm64.h lists, by the type of
// A, and EACH(S), which is S for each lane of a register.

#include "encode_arm64.h"

#define K      R0
#define A0     R1
#define A1     R2
#define A2     R3
#define A3     R4
#define A4     R5
#define A5     R6
#define A6     R22
#define A7     R23
#define BAT    R7
#define BROW   R8
#define CSTRIP R9
#define CAT    R10
#define LDC    R11
#define A      R12
#define AROW   R13
#define BSTRIP R14
#define LEFT   R15
#define ARGS   R21

#define AT1 MOVD A, A0
#define AT2 AT1; ADD AROW, A0, A1
#define AT4 AT2; ADD AROW, A1, A2; ADD AROW, A2, A3
#define AT8 AT4; ADD AROW, A3, A4; ADD AROW, A4, A5; ADD AROW, A5, A6; ADD AROW, A6, A7
#define ROW1 FMOVQ.P 16(A0), F0
#define ROW2 ROW1; FMOVQ.P 16(A1), F1
#define ROW4 ROW2; FMOVQ.P 16(A2), F2; FMOVQ.P 16(A3), F3
#define ROW8 ROW4; FMOVQ.P 16(A4), F4; FMOVQ.P 16(A5), F5; FMOVQ.P 16(A6), F6; FMOVQ.P 16(A7), F7
#define ONE1 ONE(A0, F0, 1, 0)
#define ONE2 ONE1; ONE(A1, F1, 2, 1)
#define ONE4 ONE2; ONE(A2, F2, 3, 2); ONE(A3, F3, 4, 3)
#define ONE8 ONE4; ONE(A4, F4, 5, 4); ONE(A5, F5, 6, 5); ONE(A6, F6, 22, 6); ONE(A7, F7, 23, 7)

// Multiply eight columns, in b and b+1. d is row 0's first accumulator, by the distance
// from a row's to that of the next.
#define FMAS1(l, b, d, by) EVEN(0, l, b, d); ODD(0, l, b, d+1)
#define FMAS2(l, b, d, by) FMAS1(l, b, d, by); EVEN(1, l, b, d+by); ODD(1, l, b, d+by+1)
#define FMAS4(l, b, d, by) FMAS2(l, b, d, by); \
	EVEN(2, l, b, d+2*by); ODD(2, l, b, d+2*by+1); EVEN(3, l, b, d+3*by); ODD(3, l, b, d+3*by+1)
#define FMAS8(l, b, d, by) FMAS4(l, b, d, by); \
	EVEN(4, l, b, d+4*by); ODD(4, l, b, d+4*by+1); EVEN(5, l, b, d+5*by); ODD(5, l, b, d+5*by+1); \
	EVEN(6, l, b, d+6*by); ODD(6, l, b, d+6*by+1); EVEN(7, l, b, d+7*by); ODD(7, l, b, d+7*by+1)

// A step of all sixteen accumulators, of eight columns, and of one.
#define FULL8(l) EIGHT(0, F8, F9, 8); FMAS8(l, 8, 16, 2); ADD BROW, BAT
#define FULL4(l) \
	EIGHT(0, F8, F9, 8); FMAS4(l, 8, 16, 4);    \
	EIGHT(1, F10, F11, 10); FMAS4(l, 10, 18, 4); \
	ADD BROW, BAT
#define FULL2(l) \
	EIGHT(0, F8, F9, 8); FMAS2(l, 8, 16, 8);     \
	EIGHT(1, F10, F11, 10); FMAS2(l, 10, 18, 8); \
	EIGHT(2, F12, F13, 12); FMAS2(l, 12, 20, 8); \
	EIGHT(3, F14, F15, 14); FMAS2(l, 14, 22, 8); \
	ADD BROW, BAT
#define FULL1(l) \
	EIGHT(0, F8, F9, 8); FMAS1(l, 8, 16, 0);     \
	EIGHT(1, F10, F11, 10); FMAS1(l, 10, 18, 0); \
	EIGHT(2, F12, F13, 12); FMAS1(l, 12, 20, 0); \
	EIGHT(3, F14, F15, 14); FMAS1(l, 14, 22, 0); \
	EIGHT(4, F8, F9, 8); FMAS1(l, 8, 24, 0);     \
	EIGHT(5, F10, F11, 10); FMAS1(l, 10, 26, 0); \
	EIGHT(6, F12, F13, 12); FMAS1(l, 12, 28, 0); \
	EIGHT(7, F14, F15, 14); FMAS1(l, 14, 30, 0); \
	ADD BROW, BAT
#define PART4(l) EIGHT(0, F8, F9, 8); FMAS4(l, 8, 16, 2); ADD BROW, BAT
#define PART2(l) EIGHT(0, F8, F9, 8); FMAS2(l, 8, 16, 2); ADD BROW, BAT
#define PART1(l) EIGHT(0, F8, F9, 8); FMAS1(l, 8, 16, 0); ADD BROW, BAT
#define LAST1(l) SINGLE; EVEN(0, l, 8, 16); ADD BROW, BAT
#define LAST2(l) SINGLE; EVEN(0, l, 8, 16); EVEN(1, l, 8, 17); ADD BROW, BAT
#define LAST4(l) SINGLE; EVEN(0, l, 8, 16); EVEN(1, l, 8, 17); EVEN(2, l, 8, 18); EVEN(3, l, 8, 19); ADD BROW, BAT
#define LAST8(l) SINGLE; EVEN(0, l, 8, 16); EVEN(1, l, 8, 17); EVEN(2, l, 8, 18); EVEN(3, l, 8, 19); \
	EVEN(4, l, 8, 20); EVEN(5, l, 8, 21); EVEN(6, l, 8, 22); EVEN(7, l, 8, 23); ADD BROW, BAT

// Load sums from C, and store them.
#define GETS(a, b) FLDPQ (CAT), (a, b)
#define PUTS(a, b) FSTPQ (a, b), (CAT)
#define GETE(a) FMOVS (CAT), a; ADD LDC, CAT
#define PUTE(a) FMOVS a, (CAT); ADD LDC, CAT
#define SUMS8(PAIR) \
	PAIR(F16, F17); ADD LDC, CAT; PAIR(F18, F19); ADD LDC, CAT; PAIR(F20, F21); ADD LDC, CAT; PAIR(F22, F23); ADD LDC, CAT; \
	PAIR(F24, F25); ADD LDC, CAT; PAIR(F26, F27); ADD LDC, CAT; PAIR(F28, F29); ADD LDC, CAT; PAIR(F30, F31)
#define SUMS4(PAIR) \
	PAIR(F16, F17); ADD $32, CAT; PAIR(F18, F19); ADD LDC, CAT; PAIR(F22, F23); SUB $32, CAT; PAIR(F20, F21); ADD LDC, CAT; \
	PAIR(F24, F25); ADD $32, CAT; PAIR(F26, F27); ADD LDC, CAT; PAIR(F30, F31); SUB $32, CAT; PAIR(F28, F29)
#define SUMS2(PAIR) \
	PAIR(F16, F17); ADD $32, CAT; PAIR(F18, F19); ADD $32, CAT; PAIR(F20, F21); ADD $32, CAT; PAIR(F22, F23); ADD LDC, CAT; \
	PAIR(F30, F31); SUB $32, CAT; PAIR(F28, F29); SUB $32, CAT; PAIR(F26, F27); SUB $32, CAT; PAIR(F24, F25)
#define SUMS1(PAIR) \
	PAIR(F16, F17); ADD $32, CAT; PAIR(F18, F19); ADD $32, CAT; PAIR(F20, F21); ADD $32, CAT; PAIR(F22, F23); ADD $32, CAT; \
	PAIR(F24, F25); ADD $32, CAT; PAIR(F26, F27); ADD $32, CAT; PAIR(F28, F29); ADD $32, CAT; PAIR(F30, F31)
#define PARTS4(PAIR) \
	PAIR(F16, F17); ADD LDC, CAT; PAIR(F18, F19); ADD LDC, CAT; PAIR(F20, F21); ADD LDC, CAT; PAIR(F22, F23)
#define PARTS2(PAIR) PAIR(F16, F17); ADD LDC, CAT; PAIR(F18, F19)
#define PARTS1(PAIR) PAIR(F16, F17)
#define LASTS1(E) E(F16)
#define LASTS2(E) LASTS1(E); E(F17)
#define LASTS4(E) LASTS2(E); E(F18); E(F19)
#define LASTS8(E) LASTS4(E); E(F20); E(F21); E(F22); E(F23)

#define ZEROS \
	VMOVI $0, V16.B16; VMOVI $0, V17.B16; VMOVI $0, V18.B16; VMOVI $0, V19.B16; \
	VMOVI $0, V20.B16; VMOVI $0, V21.B16; VMOVI $0, V22.B16; VMOVI $0, V23.B16; \
	VMOVI $0, V24.B16; VMOVI $0, V25.B16; VMOVI $0, V26.B16; VMOVI $0, V27.B16; \
	VMOVI $0, V28.B16; VMOVI $0, V29.B16; VMOVI $0, V30.B16; VMOVI $0, V31.B16

// Strips of width columns, as long as that many are left.
#define STRIPS(width, ATS, ROWS, ONES, STEP, IN, OUT, strip, start, loop, tail, single, store, done) \
strip:                       \
	CMP   $width, LEFT;      \
	BLT   done;              \
	ATS;                     \
	MOVD  BSTRIP, BAT;       \
	ZEROS;                   \
	MOVBU thinArgs_accumulate(ARGS), K; \
	CBZ   K, start;          \
	MOVD  CSTRIP, CAT;       \
	IN;                      \
start:                       \
	MOVD  thinArgs_k(ARGS), K; \
	SUBS  $LANES, K;         \
	BLT   tail;              \
loop:                        \
	ROWS;                    \
	EACH(STEP);              \
	SUBS  $LANES, K;         \
	BGE   loop;              \
tail:                        \
	ADDS  $LANES, K;         \
	BEQ   store;             \
single:                      \
	ONES;                    \
	STEP(0);                 \
	SUBS  $1, K;             \
	BNE   single;            \
store:                       \
	MOVD  CSTRIP, CAT;       \
	OUT;                     \
	ADD   $(4*width), CSTRIP; \
	ADD   $(width<<BSHIFT), BSTRIP; \
	SUB   $width, LEFT;      \
	JMP   strip;             \
done:

#define ARGUMENTS \
	MOVD  ASOURCE(ARGS), A;          \
	MOVD  thinArgs_aRow(ARGS), AROW; \
	MOVD  BSOURCE(ARGS), BSTRIP;     \
	MOVD  thinArgs_bRow(ARGS), BROW; \
	MOVD  thinArgs_c(ARGS), CSTRIP;  \
	MOVD  thinArgs_ldc(ARGS), LDC;   \
	MOVD  thinArgs_cols(ARGS), LEFT; \
	LSL   $SHIFT, AROW;       \
	LSL   $BSHIFT, BROW;      \
	LSL   $2, LDC

#define THIN8 \
	ARGUMENTS; \
	STRIPS(8, AT8, ROW8, ONE8, FULL8, SUMS8(GETS), SUMS8(PUTS), full, fullStart, fullLoop, fullTail, fullOne, fullStore, fullDone) \
	STRIPS(1, AT8, ROW8, ONE8, LAST8, LASTS8(GETE), LASTS8(PUTE), last, lastStart, lastLoop, lastTail, lastOne, lastStore, lastDone)
#define THINBY(width, ATS, ROWS, ONES, FULL, SUMS, PART, PARTS, LAST, LASTS) \
	ARGUMENTS; \
	STRIPS(width, ATS, ROWS, ONES, FULL, SUMS(GETS), SUMS(PUTS), full, fullStart, fullLoop, fullTail, fullOne, fullStore, fullDone) \
	STRIPS(8, ATS, ROWS, ONES, PART, PARTS(GETS), PARTS(PUTS), part, partStart, partLoop, partTail, partOne, partStore, partDone) \
	STRIPS(1, ATS, ROWS, ONES, LAST, LASTS(GETE), LASTS(PUTE), last, lastStart, lastLoop, lastTail, lastOne, lastStore, lastDone)
#define THIN4 THINBY(16, AT4, ROW4, ONE4, FULL4, SUMS4, PART4, PARTS4, LAST4, LASTS4)
#define THIN2 THINBY(32, AT2, ROW2, ONE2, FULL2, SUMS2, PART2, PARTS2, LAST2, LASTS2)
#define THIN1 THINBY(64, AT1, ROW1, ONE1, FULL1, SUMS1, PART1, PARTS1, LAST1, LASTS1)
