// The definitions for 6x16_arm64.h, finish_arm64.h and thin_arm64.h that depend on the
// type of A, and of a B that is not widened: float32.

#define SHIFT 2
#define LANES 4
#define EACH(S) S(0); S(1); S(2); S(3)
#define STEPS(STEP, FMAS) STEP(FMAS, 0); STEP(FMAS, 1); STEP(FMAS, 2); STEP(FMAS, 3)
#define COL6 FMOVQ (A0), F0; FMOVD 16(A0), F1
#define COL4 FMOVQ (A0), F0
#define COL2 FMOVD (A0), F0
#define COL1 FMOVS (A0), F0
#define ONE(at, f, n, t) FMOVS.P 4(at), f

// A step of a tile of 4, 3, 2 or 1 vectors a row.
#define STEP4(FMAS, l) \
	FLDPQ (BAT), (F6, F7);    \
	FMAS(FMLA_LANE, l, 6, 0); \
	FMAS(FMLA_LANE, l, 7, 1); \
	FLDPQ 32(BAT), (F6, F7);  \
	FMAS(FMLA_LANE, l, 6, 2); \
	FMAS(FMLA_LANE, l, 7, 3); \
	ADD   BROW, BAT
#define STEP3(FMAS, l) \
	FLDPQ (BAT), (F6, F7);    \
	FMAS(FMLA_LANE, l, 6, 0); \
	FMAS(FMLA_LANE, l, 7, 1); \
	FMOVQ 32(BAT), F6;        \
	FMAS(FMLA_LANE, l, 6, 2); \
	ADD   BROW, BAT
#define STEP2(FMAS, l) \
	FLDPQ (BAT), (F6, F7);    \
	FMAS(FMLA_LANE, l, 6, 0); \
	FMAS(FMLA_LANE, l, 7, 1); \
	ADD   BROW, BAT
#define STEP1(FMAS, l) \
	FMOVQ (BAT), F6;          \
	FMAS(FMLA_LANE, l, 6, 0); \
	ADD   BROW, BAT
