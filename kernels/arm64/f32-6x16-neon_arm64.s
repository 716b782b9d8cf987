//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func gemm6x16NEON(args *gemmArgs)
//
// The kernels f16f32acc-6x16-neon and f32-6x16-neon, and variants for panels of which
// only the first 12, 8 or 4 columns are wanted. cols is a multiple of 16; Go handles
// columns that do not fill a vector. Package micro has the contract and a drawing of
// the panels.
//
// What this is not: it does not convert. Both operands are float32, widened while
// packing, because FCVTL takes one of the pipes that the FMAs need. The code is in
// 6x16_arm64.h.
//
// A pass computes six rows; the remaining rows take passes of four, two and one. An A
// that lies row after row is loaded four steps at a time, a register a row, and each FMA
// takes one lane: nothing is broadcast or transposed. In an A that lies column after
// column, the elements of a step are side by side.
//
// Registers
//
//	R0        k, counts down
//	R1-R6     a, the rows of the pass, which move on by 16 every four steps; or
//	          R1 alone, which moves on by R14 a step
//	R7        b, moves on by R8 a step
//	R8        bRow in bytes
//	R9        c, row 0 of the tile
//	R10       c, moves on by R11 a row, while a tile is loaded and stored
//	R11       ldc in bytes
//	R12, R20  a and c, row 0 of the pass
//	R13, R14  aRow and aCol in bytes
//	R15       columns left of the pass
//	R16       from the end of a panel of B to the next, in bytes
//	R17       rows left
//	R19       the widened rows of B, in kernels that widen
//	R21       the arguments, which are read again for every panel
//	R22-R26   unused
//	V0-V5     four elements of each row of A, or V0 and V1 those of a column
//	V6, V7    half of a row of a panel of B
//	V8-V31    the tile: row i in V(8+4i) to V(11+4i)
//
// Budget of four steps of six rows: 96 FMAs, 8 loads of pairs, 6 loads, 4
// additions, 2 instructions of loop. Two FMA pipes (Neoverse N1) need 48 cycles for
// it, in which they can issue 192 instructions and load 96 registers; four
// (Neoverse V1, Apple M1) need 24 cycles, for 192 instructions and 72 registers; a
// Cortex-A72, which has one pipe of this width, 96. There are 116 and 22: the FMAs
// bind, and llvm-mca agrees (bench/mca). 24 accumulators cover four pipes × a
// latency of 4. An 8×12 tile needs fewer loads (5 registers instead of 5.5 a step), but
// leaves no register for B where A lies row after row: 8 hold A and 24 the tile. And
// the widths of layers are multiples of 16 more often than of 12.

#define ASOURCE gemmArgs_a
#define BSOURCE gemmArgs_b
#define BSHIFT 2
#define NEXTPANEL(to) MOVD gemmArgs_bPanel(ARGS), to; LSL $BSHIFT, to
#define START
#define PASSEDTOO(n)
#include "f32_arm64.h"
#include "6x16_arm64.h"

TEXT ·gemm6x16NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP4, GET4, TILE6(PUT4), TILE4(PUT4), TILE2(PUT4), TILE1(PUT4))
	RET

TEXT ·gemm6x12NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP3, GET3, TILE6(PUT3), TILE4(PUT3), TILE2(PUT3), TILE1(PUT3))
	RET

TEXT ·gemm6x8NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP2, GET2, TILE6(PUT2), TILE4(PUT2), TILE2(PUT2), TILE1(PUT2))
	RET

TEXT ·gemm6x4NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP1, GET1, TILE6(PUT1), TILE4(PUT1), TILE2(PUT1), TILE1(PUT1))
	RET
