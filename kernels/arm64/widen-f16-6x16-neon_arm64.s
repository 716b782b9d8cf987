//go:build !purego

#include "textflag.h"

// func widen6x16F16NEON(k int, a *float32, aRow, aCol int, b *fp16.Float16, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernel f16f32acc-6x16-neon for a B that is read where it is, and left behind
// widened and packed: micro.Kernel.Widen. Registers and passes are those of
// f32-6x16-neon_arm64.s, the code is in 6x16_arm64.h. cols is a multiple of 16.
//
// Budget of four steps of six rows: what it is there, with 8 loads, 16 conversions
// and 8 stores of pairs in the place of 8 loads of pairs. The conversions take
// pipes that the FMAs need: 112 instructions for them instead of 96.

#define BSHIFT 1
#define STEP(FMAS, l) \
	FMOVQ   (BAT), F7;          \
	FCVTL(7, 6);                \
	FCVTL2(7, 7);               \
	FMAS(FMLA_LANE, l, 6, 0);   \
	FMAS(FMLA_LANE, l, 7, 1);   \
	FSTPQ.P (F6, F7), 32(PANEL); \
	FMOVQ   16(BAT), F7;        \
	FCVTL(7, 6);                \
	FCVTL2(7, 7);               \
	FMAS(FMLA_LANE, l, 6, 2);   \
	FMAS(FMLA_LANE, l, 7, 3);   \
	FSTPQ.P (F6, F7), 32(PANEL); \
	ADD     BROW, BAT
#define NEXTPANEL(to) MOVD $(16<<BSHIFT), to
#define START MOVD panels+48(FP), PANEL
#define PASSEDTOO(n)
#include "f32_arm64.h"
#include "6x16_arm64.h"

TEXT ·widen6x16F16NEON(SB), NOSPLIT, $0-89
	KERNEL(STEP, GET4, TILE6(PUT4), TILE4(PUT4), TILE2(PUT4), TILE1(PUT4))
	RET
