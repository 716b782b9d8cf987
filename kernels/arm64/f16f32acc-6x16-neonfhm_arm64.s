//go:build !purego

#include "textflag.h"

// func gemm6x16NEONFHM(k int, a *fp16.Float16, aRow, aCol int, b *fp16.Float16, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernel f16f32acc-6x16-neonfhm, and the same for panels of which only the
// first 12, 8 or 4 columns are wanted: what f32-6x16-neon_arm64.s is for float32,
// for fp16 operands as they are. FMLAL and FMLAL2 widen the four lower or upper
// elements of a register, and one lane of another, exactly, and round once as FMLA
// does. The code is in 6x16_arm64.h, the registers are those of the other file but
//
//	R1-R6     move on by 16 every eight steps
//	V0-V5     eight elements of each row of A, or V0 and V1 those of a column
//	V6, V7    a row of a panel of B
//
// Budget of eight steps of six rows: 192 FMAs, 8 loads of pairs, 6 loads, 8
// additions, 2 instructions of loop: half the loads of FMLA, and half the bytes.

#define BSHIFT 1
#define NEXTPANEL(to) MOVD bPanel+48(FP), to; LSL $BSHIFT, to
#define START
#define PASSEDTOO(n)
#include "f16_arm64.h"
#include "6x16_arm64.h"

TEXT ·gemm6x16NEONFHM(SB), NOSPLIT, $0-89
	KERNEL(STEP4, GET4, TILE6(PUT4), TILE4(PUT4), TILE2(PUT4), TILE1(PUT4))
	RET

TEXT ·gemm6x12NEONFHM(SB), NOSPLIT, $0-89
	KERNEL(STEP3, GET3, TILE6(PUT3), TILE4(PUT3), TILE2(PUT3), TILE1(PUT3))
	RET

TEXT ·gemm6x8NEONFHM(SB), NOSPLIT, $0-89
	KERNEL(STEP2, GET2, TILE6(PUT2), TILE4(PUT2), TILE2(PUT2), TILE1(PUT2))
	RET

TEXT ·gemm6x4NEONFHM(SB), NOSPLIT, $0-89
	KERNEL(STEP1, GET1, TILE6(PUT1), TILE4(PUT1), TILE2(PUT1), TILE1(PUT1))
	RET
