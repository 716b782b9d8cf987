//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// The thin products of the kernel f32-6x16-neon: thin-f16-neon_arm64.s without
// conversions.

#define ASOURCE thinArgs_a
#define BSOURCE thinArgs_b
#define BSHIFT 2
#define EIGHT(n, f, g, b) FLDPQ (32*n)(BAT), (f, g)
#define EVEN(m, l, b, d) FMLA_LANE(m, l, b, d)
#define ODD(m, l, b, d) FMLA_LANE(m, l, b+1, d)
#define SINGLE FMOVS (BAT), F8
#include "f32_arm64.h"
#include "thin_arm64.h"

// func thin8F32NEON(args *thinArgs)
TEXT ·thin8F32NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN8
	RET

// func thin4F32NEON(args *thinArgs)
TEXT ·thin4F32NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN4
	RET

// func thin2F32NEON(args *thinArgs)
TEXT ·thin2F32NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN2
	RET

// func thin1F32NEON(args *thinArgs)
TEXT ·thin1F32NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN1
	RET
