//go:build !purego

#include "textflag.h"

// func finish6x16F16NEON(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool, dst *fp16.Float16, dstStride int, scale float32, bias *float32, relu bool) (finite bool)
//
// The kernels f16f32acc-6x16-neon and f32-6x16-neon whose tiles end as fp16 in dst:
// micro.Kernel.Finish. Registers and passes are those of f32-6x16-neon_arm64.s, the
// code is in 6x16_arm64.h and finish_arm64.h. cols is a multiple of 16.
//
// There are besides
//
//	R10      dst, moves on by R23 a row
//	R19      from the bias of a panel to that of the next, in bytes
//	R22, R24 dst, row 0 of the tile, and of the pass
//	R23      dstStride in bytes
//	R25      bias, the columns of the panel
//	R26      all ones to rectify, else 0
//
// and at the end of a tile
//
//	V0       lane 0: the scale
//	V1-V4    the bias
//	V5       what is rectified
//	V6       all ones to rectify, else 0
//	V7       the largest doubled magnitude so far, on the stack meanwhile
//
// Budget of a row of a tile: 4 each of multiplications, additions, comparisons and
// conversions, 8 ANDs, 4 for the maximum, a store of a pair. That is once every k
// steps, and spares a pass over the sums.

#define BSHIFT 2
#include "f32_arm64.h"
#include "finish_arm64.h"
#include "6x16_arm64.h"

TEXT ·finish6x16F16NEON(SB), NOSPLIT, $16-137
	BEGIN
	KERNEL(STEP4, GET4, FINISH(FINISH6), FINISH(FINISH4), FINISH(FINISH2), FINISH(FINISH1))
	END
	RET
