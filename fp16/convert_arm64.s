//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "encode_arm64.h"

// Slice conversions between binary16 and binary32 by Advanced SIMD.
//
// What this is not: it does not check lengths, and it handles only multiples of eight
// elements. Go checks lengths and converts the rest.
//
// Both functions take 32 elements a turn while there are that many, then eight. Loads and
// stores need no alignment.
//
//	R0     dst, moves forward
//	R1     src, moves forward
//	R2     elements left
//	R3     the arguments, at the beginning
//	V0-V3  fp16 in flight
//	V4-V11 float32 in flight
//
// The mode bits are those that systems start programs with, which Go never changes:
// IEEE 754 half precision (FPCR.AHP clear), NaNs keep their payload (DN clear), to
// nearest even. Subnormals of fp16 are kept whatever FZ says (Arm Architecture
// Reference Manual, FPConvert).

#define DST  R0
#define SRC  R1
#define LEFT R2

// func widenVectors(args *widenArgs)
//
// FCVTL is exact, and makes NaNs quiet. Budget for 32 elements: 8 conversions, 2 loads
// and 4 stores of pairs, 2 instructions of loop.
TEXT ·widenVectors(SB), NOSPLIT, $0-8
	MOVD args+0(FP), R3
	MOVD widenArgs_dst(R3), DST
	MOVD widenArgs_src(R3), SRC
	MOVD widenArgs_n(R3), LEFT
	SUBS $32, LEFT
	BLT  tail

loop:
	FLDPQ.P 32(SRC), (F0, F1)
	FLDPQ.P 32(SRC), (F2, F3)
	FCVTL(0, 4)
	FCVTL2(0, 5)
	FCVTL(1, 6)
	FCVTL2(1, 7)
	FCVTL(2, 8)
	FCVTL2(2, 9)
	FCVTL(3, 10)
	FCVTL2(3, 11)
	FSTPQ.P (F4, F5), 32(DST)
	FSTPQ.P (F6, F7), 32(DST)
	FSTPQ.P (F8, F9), 32(DST)
	FSTPQ.P (F10, F11), 32(DST)
	SUBS    $32, LEFT
	BGE     loop

tail:
	ADDS $32, LEFT
	BEQ  done

eight:
	FMOVQ.P 16(SRC), F0
	FCVTL(0, 4)
	FCVTL2(0, 5)
	FSTPQ.P (F4, F5), 32(DST)
	SUBS    $8, LEFT
	BNE     eight

done:
	RET

// func narrowVectors(args *narrowArgs)
//
// Budget for 32 elements: 8 conversions, 4 loads and 2 stores of pairs, 2 instructions of
// loop.
TEXT ·narrowVectors(SB), NOSPLIT, $0-8
	MOVD args+0(FP), R3
	MOVD narrowArgs_dst(R3), DST
	MOVD narrowArgs_src(R3), SRC
	MOVD narrowArgs_n(R3), LEFT
	SUBS $32, LEFT
	BLT  tail

loop:
	FLDPQ.P 32(SRC), (F4, F5)
	FLDPQ.P 32(SRC), (F6, F7)
	FLDPQ.P 32(SRC), (F8, F9)
	FLDPQ.P 32(SRC), (F10, F11)
	FCVTN(4, 0)
	FCVTN(6, 1)
	FCVTN(8, 2)
	FCVTN(10, 3)
	FCVTN2(5, 0)
	FCVTN2(7, 1)
	FCVTN2(9, 2)
	FCVTN2(11, 3)
	FSTPQ.P (F0, F1), 32(DST)
	FSTPQ.P (F2, F3), 32(DST)
	SUBS    $32, LEFT
	BGE     loop

tail:
	ADDS $32, LEFT
	BEQ  done

eight:
	FLDPQ.P 32(SRC), (F4, F5)
	FCVTN(4, 0)
	FCVTN2(5, 0)
	FMOVQ.P F0, 16(DST)
	SUBS    $8, LEFT
	BNE     eight

done:
	RET
