//go:build !purego

#include "textflag.h"

// func widen6x16F32NEON(k int, a *float32, aRow, aCol int, b *float32, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernel f32-6x16-neon for a B that is read where it is, and left behind
// packed: what widen-f16-6x16-neon_arm64.s is for fp16, without conversions.

#define BSHIFT 2
#define STEP(FMAS, l) \
	FLDPQ   (BAT), (F6, F7);     \
	FMAS(FMLA_LANE, l, 6, 0);    \
	FMAS(FMLA_LANE, l, 7, 1);    \
	FSTPQ.P (F6, F7), 32(PANEL); \
	FLDPQ   32(BAT), (F6, F7);   \
	FMAS(FMLA_LANE, l, 6, 2);    \
	FMAS(FMLA_LANE, l, 7, 3);    \
	FSTPQ.P (F6, F7), 32(PANEL); \
	ADD     BROW, BAT
#define NEXTPANEL(to) MOVD $(16<<BSHIFT), to
#define START MOVD panels+48(FP), PANEL
#define PASSEDTOO(n)
#include "f32_arm64.h"
#include "6x16_arm64.h"

TEXT ·widen6x16F32NEON(SB), NOSPLIT, $0-89
	KERNEL(STEP, GET4, TILE6(PUT4), TILE4(PUT4), TILE2(PUT4), TILE1(PUT4))
	RET
