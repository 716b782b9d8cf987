//go:build !purego

#include "textflag.h"

// func widen12x32F16AVX512(k int, a *float32, aRow, aCol int, b *fp16.Float16, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernel f16f32acc-12x32-avx512 for a B that is read where it is, and left
// behind widened and packed: micro.Kernel.Widen. Registers and passes are those of
// f32-12x32-avx512_amd64.s, the code is in 12x32-avx512_amd64.h. cols is a
// multiple of 32.
//
// Budget of one step of twelve rows: what it is there, with two conversions in
// the place of two loads, and two stores. On Intel a conversion takes an uop of
// the ports 0 and 5, which the FMAs need: 14 cycles instead of 12; packing by
// itself would take 2 more than these 2, and the time of the stores.

#define LOADB \
	VCVTPH2PS (B), Z24;       \
	VCVTPH2PS 32(B), Z25;     \
	PREFETCHT1 (B)(DX*1);   \
	VMOVUPS   Z24, (PANEL);   \
	VMOVUPS   Z25, 64(PANEL); \
	ADDQ      $128, PANEL
#define START MOVQ panels+48(FP), PANEL
#define AHEAD IMUL3Q $24, BROW, DX
#define NEXTPANEL(to)
#define END(EACH, bias, plain, ended) TOC(EACH)
#define ADVANCED(n)
#define FINISHED
#define SIZELOG 1

TEXT ·widen12x32F16AVX512(SB), NOSPLIT, $16-89
#include "12x32-avx512_amd64.h"
