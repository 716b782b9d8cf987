//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func gemm12x32AVX512(args *call)
//
// The kernels f16f32acc-12x32-avx512 and f32-12x32-avx512. Package micro has the
// contract and a picture of the panels. The code is in 12x32-avx512_amd64.h.
//
// What this is not: it does not convert. Both operands are float32, as packing widens
// fp16.
//
// A pass takes twelve rows; the last rows take passes of ten, eight, six, four, two
// and one. Tiles of at most 16 columns have loops with half the vectors. C is loaded
// and stored under masks, so that no column beyond Cols is touched. B is loaded
// without, as a panel has all 32 columns and a masked load takes an uop of an FMA port
// on AMD: with masks, a step of twelve rows took 25 cycles of a Zen 4 instead of 24.2.
//
// Registers
//
//	AX       k, counts down; the call, or scratch, outside the loop
//	SI       a, row 0 of the pass; R9, R10, BX: rows 3, 6 and 9. They move on
//	         by R12 a step
//	R11      aRow in bytes
//	R12      aCol in bytes
//	DI       b, moves on by CX a step
//	CX       bRow in bytes
//	DX       c, moves on by R8 a row, while a tile is loaded and stored; in the
//	         kernels that widen, how far ahead they prefetch
//	R8       ldc in bytes
//	R13      c, row 0 of the tile
//	R14      the packed row, in the kernels that widen; unused here
//	R15      a, row 0 of the pass, at its first step
//	K1,K2    the columns 0-15 and 16-31 that the tile has
//	Z0-Z23   the tile: row i in Z(2i) for columns 0-15 and Z(2i+1) for 16-31
//	Z24,Z25  row p of a panel of B
//	Z26-Z31  values of A in all lanes
//
// The stack frame is a gemmFrame. All general registers are in use but R14.
//
// Budget of one step of twelve rows: 24 FMAs, 2 loads, 12
// broadcasts, which are loads too, 5 additions, and 2 instructions of loop.
// Two FMA ports need 12 cycles, two load ports 7, six issue slots 8: the FMAs
// bind. Two FMAs share a broadcast; with broadcasts inside the FMAs the load ports
// would need 13 cycles. Eight rows, 16 chains, cover two ports × a latency of 4 with
// some to spare, four rows just do.

#define LOADB \
	VMOVUPS (B), Z24;   \
	VMOVUPS 64(B), Z25
#define LOADBN VMOVUPS (B), Z24
#define START
#define AHEAD
#define NEXTPANEL(to) MOVQ call_BPanel(AX), to; SHLQ $2, to
#define END(EACH, bias, plain, ended) TOC(EACH)
#define ADVANCED(n)
#define FINISHED
#define SIZELOG 2

TEXT ·gemm12x32AVX512(SB), NOSPLIT, $gemmFrame__size-8
	MOVQ args+0(FP), AX
	MOVQ call_B+elements_first(AX), DI
	MOVQ call_BRow(AX), CX
#include "12x32-avx512_amd64.h"
