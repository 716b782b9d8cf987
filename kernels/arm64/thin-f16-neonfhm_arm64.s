//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// The thin products of the kernel f16f32acc-6x16-neonfhm: thin-f16-neon_arm64.s with
// FMLAL, which needs no conversions.

#define ASOURCE thinArgs_a
#define BSOURCE thinArgs_b
#define BSHIFT 1
#define EIGHT(n, f, g, b) FMOVQ (16*n)(BAT), f
#define EVEN(m, l, b, d) FMLAL_LANE(m, l, b, d)
#define ODD(m, l, b, d) FMLAL2_LANE(m, l, b, d)
#define SINGLE VLD1R (BAT), [V8.H4]
#include "f16_arm64.h"
#include "thin_arm64.h"

// func thin8F16NEONFHM(args *thinArgs)
TEXT ·thin8F16NEONFHM(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN8
	RET

// func thin4F16NEONFHM(args *thinArgs)
TEXT ·thin4F16NEONFHM(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN4
	RET

// func thin2F16NEONFHM(args *thinArgs)
TEXT ·thin2F16NEONFHM(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN2
	RET

// func thin1F16NEONFHM(args *thinArgs)
TEXT ·thin1F16NEONFHM(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN1
	RET
