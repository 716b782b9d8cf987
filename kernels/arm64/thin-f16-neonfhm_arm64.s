//go:build !purego

#include "textflag.h"

// The thin products of the kernel f16f32acc-6x16-neonfhm: what thin-f16-neon_arm64.s
// is for FMLA, for FMLAL, which needs no conversions.

#define BSHIFT 1
#define EIGHT(n, f, g, b) FMOVQ (16*n)(BAT), f
#define EVEN(m, l, b, d) FMLAL_LANE(m, l, b, d)
#define ODD(m, l, b, d) FMLAL2_LANE(m, l, b, d)
#define SINGLE VLD1R (BAT), [V8.H4]
#include "f16_arm64.h"
#include "thin_arm64.h"

// func thin8F16NEONFHM(k int, a *fp16.Float16, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)
TEXT ·thin8F16NEONFHM(SB), NOSPLIT, $0-65
	THIN8
	RET

// func thin4F16NEONFHM(k int, a *fp16.Float16, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)
TEXT ·thin4F16NEONFHM(SB), NOSPLIT, $0-65
	THIN4
	RET

// func thin2F16NEONFHM(k int, a *fp16.Float16, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)
TEXT ·thin2F16NEONFHM(SB), NOSPLIT, $0-65
	THIN2
	RET

// func thin1F16NEONFHM(k int, a *fp16.Float16, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)
TEXT ·thin1F16NEONFHM(SB), NOSPLIT, $0-65
	THIN1
	RET
