//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func widen6x16F16AVX2(args *widenArgs)
//
// micro.Kernel.Widen of f16f32acc-6x16-avx2: B is a matrix, which each pass widens and
// packs. Cols is a multiple of 16. Registers and passes are those of
// f32-6x16-avx2_amd64.s, the code is in 6x16-avx2_amd64.h.
//
// Budget of one step of six rows: that of f32-6x16-avx2_amd64.s, with two conversions
// instead of two loads, and two stores. On Intel a conversion takes the shuffle
// port and one that the FMAs need: 7 cycles instead of 6.

#define LOADB(lo, hi, at) \
	VCVTPH2PS lo, Y12;            \
	VCVTPH2PS hi, Y13;            \
	VMOVUPS   Y12, at(PANEL);     \
	VMOVUPS   Y13, (at+32)(PANEL)
#define LOADED(rows) ADDQ $(64*rows), PANEL
#define START MOVQ call_B+elements_first(AX), PANEL
#define NEXTPANEL(to)
#define HALF 16
#define SIZELOG 1

TEXT ·widen6x16F16AVX2(SB), NOSPLIT, $gemmFrame__size-8
	MOVQ args+0(FP), AX
	MOVQ widenArgs_b(AX), DI
	MOVQ widenArgs_bRow(AX), CX
	MOVQ widenArgs_call(AX), AX
#include "6x16-avx2_amd64.h"
