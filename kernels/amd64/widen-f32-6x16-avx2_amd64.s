//go:build !purego

#include "textflag.h"

// func widen6x16F32AVX2(k int, a *float32, aRow, aCol int, b *float32, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernel f32-6x16-avx2 for a B that is read where it is, and left behind
// packed: what widen-f16-6x16-avx2_amd64.s is for fp16, without conversions.

#define LOADB(lo, hi, at) \
	VMOVUPS lo, Y12;            \
	VMOVUPS hi, Y13;            \
	VMOVUPS Y12, at(PANEL);     \
	VMOVUPS Y13, (at+32)(PANEL)
#define LOADED(rows) ADDQ $(64*rows), PANEL
#define START MOVQ panels+48(FP), PANEL
#define NEXTPANEL(to)
#define HALF 32
#define SIZELOG 2

TEXT ·widen6x16F32AVX2(SB), NOSPLIT, $8-89
#include "6x16-avx2_amd64.h"
