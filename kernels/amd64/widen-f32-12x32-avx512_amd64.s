//go:build !purego

#include "textflag.h"

// func widen12x32F32AVX512(k int, a *float32, aRow, aCol int, b *float32, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernel f32-12x32-avx512 for a B that is read where it is, and left behind
// packed: what widen-f16-12x32-avx512_amd64.s is for fp16, without conversions.

#define LOADB \
	VMOVUPS    (B), Z24;       \
	VMOVUPS    64(B), Z25;     \
	PREFETCHT1 (B)(DX*1);    \
	PREFETCHT1 64(B)(DX*1);  \
	VMOVUPS    Z24, (PANEL);   \
	VMOVUPS    Z25, 64(PANEL); \
	ADDQ       $128, PANEL
#define START MOVQ panels+48(FP), PANEL
#define AHEAD IMUL3Q $24, BROW, DX
#define NEXTPANEL(to)
#define END(EACH, bias, plain, ended) TOC(EACH)
#define ADVANCED(n)
#define FINISHED
#define SIZELOG 2

TEXT ·widen12x32F32AVX512(SB), NOSPLIT, $16-89
#include "12x32-avx512_amd64.h"
