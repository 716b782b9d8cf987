//go:build !purego

#include "textflag.h"

// func finish6x16F16NEONFHM(k int, a *fp16.Float16, aRow, aCol int, b *fp16.Float16, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool, dst *fp16.Float16, dstStride int, scale float32, bias *float32, relu bool) (finite bool)
//
// The kernel f16f32acc-6x16-neonfhm whose tiles end as fp16 in dst: what
// finish-f16-6x16-neon_arm64.s is for FMLA.

#define BSHIFT 1
#include "f16_arm64.h"
#include "finish_arm64.h"
#include "6x16_arm64.h"

TEXT ·finish6x16F16NEONFHM(SB), NOSPLIT, $16-137
	BEGIN
	KERNEL(STEP4, GET4, FINISH(FINISH6), FINISH(FINISH4), FINISH(FINISH2), FINISH(FINISH1))
	END
	RET
