// The definitions for 6x16_arm64.h, finish_arm64.h and thin_arm64.h that depend on the
// type of A and B: fp16.

#define SHIFT 1
#define LANES 8
#define EACH(S) S(0); S(1); S(2); S(3); S(4); S(5); S(6); S(7)
#define STEPS(STEP, FMAS) \
	STEP(FMAS, 0); STEP(FMAS, 1); STEP(FMAS, 2); STEP(FMAS, 3); \
	STEP(FMAS, 4); STEP(FMAS, 5); STEP(FMAS, 6); STEP(FMAS, 7)
#define COL6 FMOVD (A0), F0; FMOVS 8(A0), F1
#define COL4 FMOVD (A0), F0
#define COL2 FMOVS (A0), F0
#define COL1 VLD1R (A0), [V0.H8]
#define ONE(at, f, n, t) LDRH_POST(n, t)

// A step of a tile of 4, 3, 2 or 1 vectors a row.
#define STEP4(FMAS, l) \
	FLDPQ (BAT), (F6, F7);      \
	FMAS(FMLAL_LANE, l, 6, 0);  \
	FMAS(FMLAL2_LANE, l, 6, 1); \
	FMAS(FMLAL_LANE, l, 7, 2);  \
	FMAS(FMLAL2_LANE, l, 7, 3); \
	ADD   BROW, BAT
#define STEP3(FMAS, l) \
	FLDPQ (BAT), (F6, F7);      \
	FMAS(FMLAL_LANE, l, 6, 0);  \
	FMAS(FMLAL2_LANE, l, 6, 1); \
	FMAS(FMLAL_LANE, l, 7, 2);  \
	ADD   BROW, BAT
#define STEP2(FMAS, l) \
	FMOVQ (BAT), F6;            \
	FMAS(FMLAL_LANE, l, 6, 0);  \
	FMAS(FMLAL2_LANE, l, 6, 1); \
	ADD   BROW, BAT
#define STEP1(FMAS, l) \
	FMOVD (BAT), F6;            \
	FMAS(FMLAL_LANE, l, 6, 0);  \
	ADD   BROW, BAT
