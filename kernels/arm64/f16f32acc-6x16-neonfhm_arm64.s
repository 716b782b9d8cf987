//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func gemm6x16NEONFHM(args *gemmArgs)
//
// The kernel f16f32acc-6x16-neonfhm, and variants for panels of which only the first
// 12, 8 or 4 columns are wanted: f32-6x16-neon_arm64.s for fp16 operands, which are not
// converted. FMLAL and FMLAL2 widen the four lower or upper elements of a register, and
// one lane of another, exactly, and round once as FMLA does. The code is in
// 6x16_arm64.h. Registers are those of the other file but
//
//	R1-R6     move on by 16 every eight steps
//	V0-V5     eight elements of each row of A, or V0 and V1 those of a column
//	V6, V7    a row of a panel of B
//
// Budget of eight steps of six rows: 192 FMAs, 8 loads of pairs, 6 loads, 8
// additions, 2 instructions of loop. FMLA takes twice the loads and twice the bytes.

#define ASOURCE gemmArgs_a
#define BSOURCE gemmArgs_b
#define BSHIFT 1
#define NEXTPANEL(to) MOVD gemmArgs_bPanel(ARGS), to; LSL $BSHIFT, to
#define START
#define PASSEDTOO(n)
#include "f16_arm64.h"
#include "6x16_arm64.h"

TEXT ·gemm6x16NEONFHM(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP4, GET4, TILE6(PUT4), TILE4(PUT4), TILE2(PUT4), TILE1(PUT4))
	RET

TEXT ·gemm6x12NEONFHM(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP3, GET3, TILE6(PUT3), TILE4(PUT3), TILE2(PUT3), TILE1(PUT3))
	RET

TEXT ·gemm6x8NEONFHM(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP2, GET2, TILE6(PUT2), TILE4(PUT2), TILE2(PUT2), TILE1(PUT2))
	RET

TEXT ·gemm6x4NEONFHM(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	KERNEL(STEP1, GET1, TILE6(PUT1), TILE4(PUT1), TILE2(PUT1), TILE1(PUT1))
	RET
