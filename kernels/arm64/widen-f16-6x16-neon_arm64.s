//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func widen6x16F16NEON(args *gemmArgs)
//
// The kernel f16f32acc-6x16-neon for a matrix B that is not packed yet. It multiplies and
// stores B widened and packed (micro.Kernel.Widen). Registers and passes are those of
// f32-6x16-neon_arm64.s, the code is in 6x16_arm64.h. cols is a multiple of 16.
//
// Budget of four steps of six rows: that of f32-6x16-neon_arm64.s, with 8 loads, 16
// conversions and 8 stores of pairs instead of 8 loads of pairs. The conversions take
// pipes that the FMAs need: 112 instructions for them instead of 96.

#define ASOURCE gemmArgs_a
#define BSOURCE gemmArgs_b
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
#define START MOVD gemmArgs_panels(ARGS), PANEL
#define PASSEDTOO(n)
#include "f32_arm64.h"
#include "6x16_arm64.h"

TEXT ·widen6x16F16NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP, GET4, TILE6(PUT4), TILE4(PUT4), TILE2(PUT4), TILE1(PUT4))
	RET
