//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func widen6x16F32NEON(args *gemmArgs)
//
// The kernel f32-6x16-neon for a matrix B that is not packed yet, which it stores packed:
// widen-f16-6x16-neon_arm64.s without conversions. Its budget has 8 stores of pairs more
// than that of f32-6x16-neon_arm64.s.

#define ASOURCE gemmArgs_a
#define BSOURCE gemmArgs_b
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
#define START MOVD gemmArgs_panels(ARGS), PANEL
#define PASSEDTOO(n)
#include "f32_arm64.h"
#include "6x16_arm64.h"

TEXT ·widen6x16F32NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP, GET4, TILE6(PUT4), TILE4(PUT4), TILE2(PUT4), TILE1(PUT4))
	RET
