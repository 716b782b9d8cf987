//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// The thin products of the kernel f16f32acc-6x16-neon: a few rows of A by a matrix B that
// is not packed. The contract is in package micro, the code in thin_arm64.h.
//
// What this is not: it keeps nothing of B in a cache. Each element is loaded, and
// widened, once for up to eight rows.
//
// The functions for eight, four, two and one rows take the columns in strips of 8, 16,
// 32 and 64, which are sixteen accumulators each. The remaining columns are taken eight
// at a time, then one by one.
//
// Registers
//
//	R0        k, counts down
//	R1-R6, R22, R23  a, the rows, which move on by 16 with every register of each
//	R7        b, moves on by R8 a step
//	R8        bRow in bytes
//	R9        c, the strip
//	R10       c, while sums are loaded and stored
//	R11, R13  ldc and aRow in bytes
//	R12       a
//	R14       b, the strip
//	R15       columns left
//	R21       the arguments, which are read again for every strip
//	R16, R17, R19, R20, R24-R26  unused
//	V0-V7     elements of the rows of A: of four steps, or with FMLAL eight
//	V8-V15    a part of a row of B
//	V16-V31   the tile, row after row
//
// Budget of four steps of one row, 64 columns: 64 FMAs, 64 conversions, 32 loads, 7
// more. The conversions take pipes that the FMAs need. On a Neoverse N1 only one pipe
// converts, in two cycles: 128 cycles for 512 bytes of B. Its caches deliver B faster
// than that, its memory not always.

#define ASOURCE thinArgs_a
#define BSOURCE thinArgs_b
#define BSHIFT 1
#define EIGHT(n, f, g, b) FMOVQ (16*n)(BAT), g; FCVTL(b+1, b); FCVTL2(b+1, b+1)
#define EVEN(m, l, b, d) FMLA_LANE(m, l, b, d)
#define ODD(m, l, b, d) FMLA_LANE(m, l, b+1, d)
#define SINGLE VLD1R (BAT), [V8.H4]; FCVTL(8, 8)
#include "f32_arm64.h"
#include "thin_arm64.h"

// func thin8F16NEON(args *thinArgs)
TEXT ·thin8F16NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN8
	RET

// func thin4F16NEON(args *thinArgs)
TEXT ·thin4F16NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN4
	RET

// func thin2F16NEON(args *thinArgs)
TEXT ·thin2F16NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN2
	RET

// func thin1F16NEON(args *thinArgs)
TEXT ·thin1F16NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	THIN1
	RET
