//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func finish6x16F16NEONFHM(args *gemmArgs)
//
// The kernel f16f32acc-6x16-neonfhm, which ends a product: finish-f16-6x16-neon_arm64.s
// with FMLAL instead of FMLA. Registers are those of that file but V0-V7, which
// f16f32acc-6x16-neonfhm_arm64.s lists.

#define ASOURCE gemmArgs_a
#define BSOURCE gemmArgs_b
#define BSHIFT 1
#include "f16_arm64.h"
#include "finish_arm64.h"
#include "6x16_arm64.h"

TEXT ·finish6x16F16NEONFHM(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	BEGIN
	KERNEL(STEP4, GET4, FINISH(FINISH6), FINISH(FINISH4), FINISH(FINISH2), FINISH(FINISH1))
	END
	RET
