//go:build !purego

#include "textflag.h"

// func peakAVX2(turns int)
//
// The FMA ceiling of 256-bit vectors: twelve independent chains, no memory.
// Twelve chains cover two FMA ports at a latency of up to six cycles. The
// values are zeros; no x86 core of interest has a shortcut for them in an FMA.
//
//	CX       turns left
//	Y0-Y11   the chains
//	Y12,Y13  the factors, zero
//	AX, BX, DX, SI, DI, R8-R15, Y14, Y15 unused
//
// Budget of one turn: 12 FMAs and 2 instructions of loop, 6 cycles.

TEXT ·peakAVX2(SB), NOSPLIT, $0-8
	MOVQ turns+0(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11
	VXORPS Y12, Y12, Y12
	VXORPS Y13, Y13, Y13
	TESTQ  CX, CX
	JLE    done

loop:
	VFMADD231PS Y12, Y13, Y0
	VFMADD231PS Y12, Y13, Y1
	VFMADD231PS Y12, Y13, Y2
	VFMADD231PS Y12, Y13, Y3
	VFMADD231PS Y12, Y13, Y4
	VFMADD231PS Y12, Y13, Y5
	VFMADD231PS Y12, Y13, Y6
	VFMADD231PS Y12, Y13, Y7
	VFMADD231PS Y12, Y13, Y8
	VFMADD231PS Y12, Y13, Y9
	VFMADD231PS Y12, Y13, Y10
	VFMADD231PS Y12, Y13, Y11
	DECQ        CX
	JNZ         loop

done:
	VZEROUPPER
	RET
