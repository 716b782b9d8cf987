//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func widen12x32F16AVX512(args *widenArgs)
//
// micro.Kernel.Widen of f16f32acc-12x32-avx512: B is a matrix, which each pass widens
// and packs. Cols is a multiple of 32. Registers and passes are those of
// f32-12x32-avx512_amd64.s, the code is in 12x32-avx512_amd64.h.
//
// Budget of one step of twelve rows: that of f32-12x32-avx512_amd64.s, with two
// conversions instead of two loads, and two stores. On a Zen 4 a step takes 26.2
// cycles instead of 24.3. Packing a row beforehand takes 6.4, bound by the stores and
// the L2 cache. On Intel a conversion is an uop on port 0 and one on port 5, which the
// FMAs need: 14 cycles instead of 12.
//
// B may come from memory. Each step prefetches the row 24 steps ahead, into the L2
// cache: in the L1 cache, rows a multiple of 4096 bytes apart evict each other.

#define LOADB \
	VCVTPH2PS (B), Z24;       \
	VCVTPH2PS 32(B), Z25;     \
	PREFETCHT1 (B)(DX*1);     \
	VMOVUPS   Z24, (PANEL);   \
	VMOVUPS   Z25, 64(PANEL); \
	ADDQ      $128, PANEL
#define START MOVQ call_B+elements_first(AX), PANEL
#define AHEAD IMUL3Q $24, BROW, DX
#define NEXTPANEL(to)
#define END(EACH, bias, plain, ended) TOC(EACH)
#define ADVANCED(n)
#define FINISHED
#define SIZELOG 1

TEXT ·widen12x32F16AVX512(SB), NOSPLIT, $gemmFrame__size-8
	MOVQ args+0(FP), AX
	MOVQ widenArgs_b(AX), DI
	MOVQ widenArgs_bRow(AX), CX
	MOVQ widenArgs_call(AX), AX
#include "12x32-avx512_amd64.h"
