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
// the place of two loads, and two stores. On a Zen 4 a step takes 26.2 cycles
// instead of 24.3; to pack a row beforehand takes 6.4, as that is bound by the
// stores and by the L2 cache. On Intel a conversion is an uop of port 0 and one of
// port 5, which the FMAs need: 14 cycles instead of 12.
//
// B may come from far: the row 24 steps ahead is asked for, into the L2 cache, as
// rows a multiple of 4096 bytes apart would drive each other out of the L1 cache.

#define LOADB \
	VCVTPH2PS (B), Z24;       \
	VCVTPH2PS 32(B), Z25;     \
	PREFETCHT1 (B)(DX*1);     \
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
