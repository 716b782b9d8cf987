//go:build !purego

#include "textflag.h"

// func peakAVX512(turns int)
//
// The FMA ceiling of 512-bit vectors: twelve independent chains, no memory.
// Twelve chains cover two FMA ports at a latency of up to six cycles. The
// values are zeros; no x86 core of interest has a shortcut for them in an FMA.
//
//	CX       turns left
//	Z0-Z11   the chains
//	Z12,Z13  the factors, zero
//	AX, BX, DX, SI, DI, R8-R15, Z14-Z31, K1-K7 unused
//
// Budget of one turn: 12 FMAs and 2 instructions of loop, 6 cycles.

TEXT ·peakAVX512(SB), NOSPLIT, $0-8
	MOVQ   turns+0(FP), CX
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	VPXORD Z8, Z8, Z8
	VPXORD Z9, Z9, Z9
	VPXORD Z10, Z10, Z10
	VPXORD Z11, Z11, Z11
	VPXORD Z12, Z12, Z12
	VPXORD Z13, Z13, Z13
	TESTQ  CX, CX
	JLE    done

loop:
	VFMADD231PS Z12, Z13, Z0
	VFMADD231PS Z12, Z13, Z1
	VFMADD231PS Z12, Z13, Z2
	VFMADD231PS Z12, Z13, Z3
	VFMADD231PS Z12, Z13, Z4
	VFMADD231PS Z12, Z13, Z5
	VFMADD231PS Z12, Z13, Z6
	VFMADD231PS Z12, Z13, Z7
	VFMADD231PS Z12, Z13, Z8
	VFMADD231PS Z12, Z13, Z9
	VFMADD231PS Z12, Z13, Z10
	VFMADD231PS Z12, Z13, Z11
	DECQ        CX
	JNZ         loop

done:
	VZEROUPPER
	RET
