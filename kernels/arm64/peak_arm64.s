//go:build !purego

#include "textflag.h"

// func peakNEON(turns int)
//
// What this is not: a kernel. It computes nothing of use: 24 independent FMAs a turn, as
// many as a tile has, which is enough for four pipes × a latency of 4. Budget: 24 FMAs, 2
// instructions of loop.
//
//	R0      turns left
//	V0      1.0 in all lanes
//	V8-V31  accumulators
TEXT ·peakNEON(SB), NOSPLIT, $0-8
	MOVD  turns+0(FP), R0
	FMOVS $1.0, F0
	VDUP  V0.S[0], V0.S4
	CBZ   R0, done

loop:
	VFMLA V0.S4, V0.S4, V8.S4
	VFMLA V0.S4, V0.S4, V9.S4
	VFMLA V0.S4, V0.S4, V10.S4
	VFMLA V0.S4, V0.S4, V11.S4
	VFMLA V0.S4, V0.S4, V12.S4
	VFMLA V0.S4, V0.S4, V13.S4
	VFMLA V0.S4, V0.S4, V14.S4
	VFMLA V0.S4, V0.S4, V15.S4
	VFMLA V0.S4, V0.S4, V16.S4
	VFMLA V0.S4, V0.S4, V17.S4
	VFMLA V0.S4, V0.S4, V18.S4
	VFMLA V0.S4, V0.S4, V19.S4
	VFMLA V0.S4, V0.S4, V20.S4
	VFMLA V0.S4, V0.S4, V21.S4
	VFMLA V0.S4, V0.S4, V22.S4
	VFMLA V0.S4, V0.S4, V23.S4
	VFMLA V0.S4, V0.S4, V24.S4
	VFMLA V0.S4, V0.S4, V25.S4
	VFMLA V0.S4, V0.S4, V26.S4
	VFMLA V0.S4, V0.S4, V27.S4
	VFMLA V0.S4, V0.S4, V28.S4
	VFMLA V0.S4, V0.S4, V29.S4
	VFMLA V0.S4, V0.S4, V30.S4
	VFMLA V0.S4, V0.S4, V31.S4
	SUBS  $1, R0
	BNE   loop

done:
	RET
