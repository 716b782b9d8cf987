//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Slice conversions between binary16 and binary32 by F16C.
//
// What this is not: it does not check lengths or features, and it handles only
// multiples of eight elements. fp16.Widen and fp16.Narrow see to the rest.
//
// Both functions walk the same way: four vectors of eight elements a turn
// while there are that many, then one at a time. Loads and stores need no
// alignment.
//
//	DI   dst, moves forward
//	SI   src, moves forward
//	CX   elements left
//	Y0-3 data in flight
//	AX   the arguments, at the beginning
//	BX, DX, R8-R15, Y4-15 unused

#define DST  DI
#define SRC  SI
#define LEFT CX

// func widenVectors(args *widenArgs)
//
// VCVTPH2PS is exact, keeps subnormals whatever MXCSR says, and makes NaNs
// quiet (Intel SDM vol. 2, VCVTPH2PS). Budget: one conversion (two uops on
// Intel) and one 32-byte store a vector; the store port binds.
TEXT ·widenVectors(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), AX
	MOVQ widenArgs_dst(AX), DST
	MOVQ widenArgs_src(AX), SRC
	MOVQ widenArgs_n(AX), LEFT

	SUBQ $32, LEFT
	JLT  widenTail

widenLoop:
	VCVTPH2PS 0(SRC), Y0
	VCVTPH2PS 16(SRC), Y1
	VCVTPH2PS 32(SRC), Y2
	VCVTPH2PS 48(SRC), Y3
	VMOVUPS   Y0, 0(DST)
	VMOVUPS   Y1, 32(DST)
	VMOVUPS   Y2, 64(DST)
	VMOVUPS   Y3, 96(DST)
	ADDQ      $64, SRC
	ADDQ      $128, DST
	SUBQ      $32, LEFT
	JGE       widenLoop

widenTail:
	ADDQ $32, LEFT
	JZ   widenDone

widenTailLoop:
	VCVTPH2PS 0(SRC), Y0
	VMOVUPS   Y0, 0(DST)
	ADDQ      $16, SRC
	ADDQ      $32, DST
	SUBQ      $8, LEFT
	JNZ       widenTailLoop

widenDone:
	VZEROUPPER
	RET

// func narrowVectors(args *narrowArgs)
//
// The immediate 0 of VCVTPS2PH selects round to nearest even regardless of
// MXCSR; results in the subnormal range are subnormals whatever MXCSR says
// (Intel SDM vol. 2, VCVTPS2PH).
TEXT ·narrowVectors(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), AX
	MOVQ narrowArgs_dst(AX), DST
	MOVQ narrowArgs_src(AX), SRC
	MOVQ narrowArgs_n(AX), LEFT

	SUBQ $32, LEFT
	JLT  narrowTail

narrowLoop:
	VMOVUPS   0(SRC), Y0
	VMOVUPS   32(SRC), Y1
	VMOVUPS   64(SRC), Y2
	VMOVUPS   96(SRC), Y3
	VCVTPS2PH $0, Y0, 0(DST)
	VCVTPS2PH $0, Y1, 16(DST)
	VCVTPS2PH $0, Y2, 32(DST)
	VCVTPS2PH $0, Y3, 48(DST)
	ADDQ      $128, SRC
	ADDQ      $64, DST
	SUBQ      $32, LEFT
	JGE       narrowLoop

narrowTail:
	ADDQ $32, LEFT
	JZ   narrowDone

narrowTailLoop:
	VMOVUPS   0(SRC), Y0
	VCVTPS2PH $0, Y0, 0(DST)
	ADDQ      $32, SRC
	ADDQ      $16, DST
	SUBQ      $8, LEFT
	JNZ       narrowTailLoop

narrowDone:
	VZEROUPPER
	RET
