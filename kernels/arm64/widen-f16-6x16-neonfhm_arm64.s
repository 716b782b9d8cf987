//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func widen6x16F16NEONFHM(args *gemmArgs)
//
// The kernel f16f32acc-6x16-neonfhm for a matrix B that is not packed yet, which it stores
// packed (micro.Kernel.Widen). Nothing is widened, as FMLAL takes fp16. Registers and
// budget are those of f16f32acc-6x16-neonfhm_arm64.s, with 8 stores of pairs more.

#define ASOURCE gemmArgs_a
#define BSOURCE gemmArgs_b
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
#define START MOVD gemmArgs_panels(ARGS), PANEL
#define PASSEDTOO(n)
#include "f16_arm64.h"
#include "6x16_arm64.h"

TEXT ·widen6x16F16NEONFHM(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP, GET4, TILE6(PUT4), TILE4(PUT4), TILE2(PUT4), TILE1(PUT4))
	RET
