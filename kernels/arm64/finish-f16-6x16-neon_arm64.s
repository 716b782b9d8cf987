//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func finish6x16F16NEON(args *gemmArgs)
//
// The kernels f16f32acc-6x16-neon and f32-6x16-neon, which end a product: tiles are
// stored as fp16 in dst (micro.Kernel.Finish). Registers and passes are those of
// f32-6x16-neon_arm64.s, the code is in 6x16_arm64.h and finish_arm64.h. cols is a
// multiple of 16.
//
// Further registers
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
//	V7       the largest doubled magnitudes so far, in gemmArgs.most between tiles
//
// Budget of a row of a tile: 4 each of multiplications, additions, comparisons and
// conversions, 8 ANDs, 4 for the maximum, a store of a pair. It is paid once every k
// steps, and saves a pass over the sums.

#define ASOURCE gemmArgs_a
#define BSOURCE gemmArgs_b
#define BSHIFT 2
#include "f32_arm64.h"
#include "finish_arm64.h"
#include "6x16_arm64.h"

TEXT ·finish6x16F16NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	BEGIN
	KERNEL(STEP4, GET4, FINISH(FINISH6), FINISH(FINISH4), FINISH(FINISH2), FINISH(FINISH1))
	END
	RET
