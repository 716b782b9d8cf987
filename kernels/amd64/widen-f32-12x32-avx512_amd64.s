//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func widen12x32F32AVX512(args *widenArgs)
//
// micro.Kernel.Widen of f32-12x32-avx512: widen-f16-12x32-avx512_amd64.s without the
// conversions. Budget of one step of twelve rows: that of f32-12x32-avx512_amd64.s,
// two stores and two prefetches.

#define LOADB \
	VMOVUPS    (B), Z24;       \
	VMOVUPS    64(B), Z25;     \
	PREFETCHT1 (B)(DX*1);    \
	PREFETCHT1 64(B)(DX*1);  \
	VMOVUPS    Z24, (PANEL);   \
	VMOVUPS    Z25, 64(PANEL); \
	ADDQ       $128, PANEL
#define START MOVQ call_B+elements_first(AX), PANEL
#define AHEAD IMUL3Q $24, BROW, DX
#define NEXTPANEL(to)
#define END(EACH, bias, plain, ended) TOC(EACH)
#define ADVANCED(n)
#define FINISHED
#define SIZELOG 2

TEXT ·widen12x32F32AVX512(SB), NOSPLIT, $gemmFrame__size-8
	MOVQ args+0(FP), AX
	MOVQ widenArgs_b(AX), DI
	MOVQ widenArgs_bRow(AX), CX
	MOVQ widenArgs_call(AX), AX
#include "12x32-avx512_amd64.h"
