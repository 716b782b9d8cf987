//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func widen6x16F32AVX2(args *widenArgs)
//
// micro.Kernel.Widen of f32-6x16-avx2: widen-f16-6x16-avx2_amd64.s without the
// conversions. Budget of one step of six rows: that of f32-6x16-avx2_amd64.s and two
// stores.

#define LOADB(lo, hi, at) \
	VMOVUPS lo, Y12;            \
	VMOVUPS hi, Y13;            \
	VMOVUPS Y12, at(PANEL);     \
	VMOVUPS Y13, (at+32)(PANEL)
#define LOADED(rows) ADDQ $(64*rows), PANEL
#define START MOVQ call_B+elements_first(AX), PANEL
#define NEXTPANEL(to)
#define HALF 32
#define SIZELOG 2

TEXT ·widen6x16F32AVX2(SB), NOSPLIT, $gemmFrame__size-8
	MOVQ args+0(FP), AX
	MOVQ widenArgs_b(AX), DI
	MOVQ widenArgs_bRow(AX), CX
	MOVQ widenArgs_call(AX), AX
#include "6x16-avx2_amd64.h"
