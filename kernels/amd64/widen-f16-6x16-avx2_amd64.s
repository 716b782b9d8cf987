//go:build !purego

#include "textflag.h"

// func widen6x16F16AVX2(k int, a *float32, aRow, aCol int, b *fp16.Float16, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernel f16f32acc-6x16-avx2 for a B that is read where it is, and left
// behind widened and packed: micro.Kernel.Widen. Registers and passes are those of
// f32-6x16-avx2_amd64.s, the code is in 6x16-avx2_amd64.h. cols is a multiple of 16.
//
// Budget of one step of six rows: what it is there, with two conversions in the
// place of two loads, and two stores. On Intel a conversion takes the shuffle
// port and one that the FMAs need: 7 cycles instead of 6.

#define LOADB(lo, hi, at) \
	VCVTPH2PS lo, Y12;            \
	VCVTPH2PS hi, Y13;            \
	VMOVUPS   Y12, at(PANEL);     \
	VMOVUPS   Y13, (at+32)(PANEL)
#define LOADED(rows) ADDQ $(64*rows), PANEL
#define START MOVQ panels+48(FP), PANEL
#define NEXTPANEL(to)
#define HALF 16
#define SIZELOG 1

TEXT ·widen6x16F16AVX2(SB), NOSPLIT, $8-89
#include "6x16-avx2_amd64.h"
