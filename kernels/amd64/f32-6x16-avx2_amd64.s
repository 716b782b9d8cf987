//go:build !purego

#include "textflag.h"

// func gemm6x16AVX2(k int, a, b, c []float32, ldc int, accumulate bool)
//
// The kernels f16f32acc-6x16-avx2 and f32-6x16-avx2. The contract and a picture
// of the panels are in package micro.
//
// What this is not: it does not convert. The panels hold float32, widened
// while packing, because converting in this loop would put two more uops a
// vector of B onto the ports the FMAs need.
//
// Registers
//
//	AX       k, counts down
//	SI       a, moves forward 24 bytes a step
//	DI       b, moves forward 64 bytes a step
//	DX       c, row 0
//	R8       ldc in bytes
//	R9       3·ldc in bytes
//	R10      c, row 3
//	Y0-Y11   the tile: row i in Y(2i) for columns 0-7 and Y(2i+1) for 8-15
//	Y12,Y13  row p of the B panel
//	Y14,Y15  one value of A in all lanes, alternating so that the broadcasts
//	         of one row overlap the FMAs of the one before
//	BX, CX, R11-R15 unused
//
// Budget of one step (k grows by one): 12 FMAs, 2 loads, 6 broadcasts, which
// are loads too; unrolled four times, 3 more instructions for four steps. Two
// FMA ports need 6 cycles for it, two load ports 4: the FMAs bind. Twelve
// accumulators cover two ports × a latency of 4 (Zen, Intel from Skylake on:
// 8 FMAs in flight are enough) or 5 (Haswell: 10). The shape is that of BLIS's
// Haswell kernel (Van Zee and van de Geijn, "BLIS: A Framework for Rapidly
// Instantiating BLAS Functionality", ACM TOMS 41(3), 2015).

#define K       AX
#define A       SI
#define B       DI
#define C0      DX
#define C3      R10
#define LDC     R8
#define LDC3    R9

// One step, on the p-th column of A and row of B from here.
#define STEP(p) \
	VMOVUPS      (64*p)(B), Y12;     \
	VMOVUPS      (64*p+32)(B), Y13;  \
	VBROADCASTSS (24*p)(A), Y14;     \
	VBROADCASTSS (24*p+4)(A), Y15;   \
	VFMADD231PS  Y12, Y14, Y0;       \
	VFMADD231PS  Y13, Y14, Y1;       \
	VFMADD231PS  Y12, Y15, Y2;       \
	VFMADD231PS  Y13, Y15, Y3;       \
	VBROADCASTSS (24*p+8)(A), Y14;   \
	VBROADCASTSS (24*p+12)(A), Y15;  \
	VFMADD231PS  Y12, Y14, Y4;       \
	VFMADD231PS  Y13, Y14, Y5;       \
	VFMADD231PS  Y12, Y15, Y6;       \
	VFMADD231PS  Y13, Y15, Y7;       \
	VBROADCASTSS (24*p+16)(A), Y14;  \
	VBROADCASTSS (24*p+20)(A), Y15;  \
	VFMADD231PS  Y12, Y14, Y8;       \
	VFMADD231PS  Y13, Y14, Y9;       \
	VFMADD231PS  Y12, Y15, Y10;      \
	VFMADD231PS  Y13, Y15, Y11

TEXT ·gemm6x16AVX2(SB), NOSPLIT, $0-89
	MOVQ k+0(FP), K
	MOVQ a_base+8(FP), A
	MOVQ b_base+32(FP), B
	MOVQ c_base+56(FP), C0
	MOVQ ldc+80(FP), LDC
	SHLQ $2, LDC
	LEAQ (LDC)(LDC*2), LDC3
	LEAQ (C0)(LDC3*1), C3

	CMPB accumulate+88(FP), $0
	JEQ  zero

	VMOVUPS 0(C0), Y0
	VMOVUPS 32(C0), Y1
	VMOVUPS 0(C0)(LDC*1), Y2
	VMOVUPS 32(C0)(LDC*1), Y3
	VMOVUPS 0(C0)(LDC*2), Y4
	VMOVUPS 32(C0)(LDC*2), Y5
	VMOVUPS 0(C3), Y6
	VMOVUPS 32(C3), Y7
	VMOVUPS 0(C3)(LDC*1), Y8
	VMOVUPS 32(C3)(LDC*1), Y9
	VMOVUPS 0(C3)(LDC*2), Y10
	VMOVUPS 32(C3)(LDC*2), Y11
	JMP     start

zero:
	// The tile is written at the end only: ask for its lines now.
	PREFETCHT0 0(C0)
	PREFETCHT0 0(C0)(LDC*1)
	PREFETCHT0 0(C0)(LDC*2)
	PREFETCHT0 0(C3)
	PREFETCHT0 0(C3)(LDC*1)
	PREFETCHT0 0(C3)(LDC*2)
	VXORPS     Y0, Y0, Y0
	VXORPS     Y1, Y1, Y1
	VXORPS     Y2, Y2, Y2
	VXORPS     Y3, Y3, Y3
	VXORPS     Y4, Y4, Y4
	VXORPS     Y5, Y5, Y5
	VXORPS     Y6, Y6, Y6
	VXORPS     Y7, Y7, Y7
	VXORPS     Y8, Y8, Y8
	VXORPS     Y9, Y9, Y9
	VXORPS     Y10, Y10, Y10
	VXORPS     Y11, Y11, Y11

start:
	SUBQ $4, K
	JLT  tail

loop4:
	STEP(0)
	STEP(1)
	STEP(2)
	STEP(3)
	ADDQ $96, A
	ADDQ $256, B
	SUBQ $4, K
	JGE  loop4

tail:
	ADDQ $4, K
	JZ   store

loop1:
	STEP(0)
	ADDQ $24, A
	ADDQ $64, B
	DECQ K
	JNZ  loop1

store:
	VMOVUPS Y0, 0(C0)
	VMOVUPS Y1, 32(C0)
	VMOVUPS Y2, 0(C0)(LDC*1)
	VMOVUPS Y3, 32(C0)(LDC*1)
	VMOVUPS Y4, 0(C0)(LDC*2)
	VMOVUPS Y5, 32(C0)(LDC*2)
	VMOVUPS Y6, 0(C3)
	VMOVUPS Y7, 32(C3)
	VMOVUPS Y8, 0(C3)(LDC*1)
	VMOVUPS Y9, 32(C3)(LDC*1)
	VMOVUPS Y10, 0(C3)(LDC*2)
	VMOVUPS Y11, 32(C3)(LDC*2)
	VZEROUPPER
	RET
