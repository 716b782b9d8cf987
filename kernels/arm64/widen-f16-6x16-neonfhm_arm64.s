//go:build !purego

#include "textflag.h"

// func widen6x16F16NEONFHM(k int, a *fp16.Float16, aRow, aCol int, b *fp16.Float16, bRow int, panels *fp16.Float16, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernel f16f32acc-6x16-neonfhm for a B that is read where it is, and left
// behind packed: micro.Kernel.Widen. Nothing is widened, as FMLAL takes fp16.

#define BSHIFT 1
#define STEP(FMAS, l) \
	FLDPQ   (BAT), (F6, F7);     \
	FMAS(FMLAL_LANE, l, 6, 0);   \
	FMAS(FMLAL2_LANE, l, 6, 1);  \
	FMAS(FMLAL_LANE, l, 7, 2);   \
	FMAS(FMLAL2_LANE, l, 7, 3);  \
	FSTPQ.P (F6, F7), 32(PANEL); \
	ADD     BROW, BAT
#define NEXTPANEL(to) MOVD $(16<<BSHIFT), to
#define START MOVD panels+48(FP), PANEL
#define PASSEDTOO(n)
#include "f16_arm64.h"
#include "6x16_arm64.h"

TEXT ·widen6x16F16NEONFHM(SB), NOSPLIT, $0-89
	KERNEL(STEP, GET4, TILE6(PUT4), TILE4(PUT4), TILE2(PUT4), TILE1(PUT4))
	RET
