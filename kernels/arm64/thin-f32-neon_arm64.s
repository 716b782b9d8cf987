//go:build !purego

#include "textflag.h"

// The thin products of the kernel f32-6x16-neon: what thin-f16-neon_arm64.s is for
// fp16, without conversions.

#define BSHIFT 2
#define EIGHT(n, f, g, b) FLDPQ (32*n)(BAT), (f, g)
#define EVEN(m, l, b, d) FMLA_LANE(m, l, b, d)
#define ODD(m, l, b, d) FMLA_LANE(m, l, b+1, d)
#define SINGLE FMOVS (BAT), F8
#include "f32_arm64.h"
#include "thin_arm64.h"

// func thin8F32NEON(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)
TEXT ·thin8F32NEON(SB), NOSPLIT, $0-65
	THIN8
	RET

// func thin4F32NEON(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)
TEXT ·thin4F32NEON(SB), NOSPLIT, $0-65
	THIN4
	RET

// func thin2F32NEON(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)
TEXT ·thin2F32NEON(SB), NOSPLIT, $0-65
	THIN2
	RET

// func thin1F32NEON(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)
TEXT ·thin1F32NEON(SB), NOSPLIT, $0-65
	THIN1
	RET
