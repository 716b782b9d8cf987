//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func gemm6x16AVX2(args *call)
//
// The kernels f16f32acc-6x16-avx2 and f32-6x16-avx2. Cols is a multiple of 16; the
// wrapper in Go computes narrower tiles in a buffer and copies. Package micro has the
// contract and a picture of the panels. The code is in 6x16-avx2_amd64.h.
//
// What this is not: it does not convert. Both operands are float32, as packing widens
// fp16. A conversion in this loop would add two uops per vector of B on the ports
// that the FMAs need.
//
// A pass takes six rows; the last rows take passes of four, two and one.
//
// Registers
//
//	AX       k, counts down; the call, or scratch, outside the loop
//	SI       a, row 0 of the pass; R9: row 3. They move on by R12 a step
//	R11      aRow in bytes
//	R12      aCol in bytes
//	DI       b, moves on by 4·CX in four steps
//	CX       bRow in bytes; R10: three times that
//	DX       c, moves on by R8 a row, while a tile is loaded and stored
//	R8       ldc in bytes
//	R13      c, row 0 of the tile
//	R14      columns left of the pass
//	R15      a, row 0 of the pass, at its first step
//	BX       the packed row, in the kernels that widen; unused here
//	Y0-Y11   the tile: row i in Y(2i) for columns 0-7 and Y(2i+1) for 8-15
//	Y12,Y13  row p of a panel of B
//	Y14,Y15  one value of A in all lanes, alternating so that the broadcasts
//	         of one row overlap the FMAs of the one before
//
// The stack frame is a gemmFrame. All general registers are in use but BX.
//
// Budget of one step of six rows: 12 FMAs, 2 loads, 6 broadcasts, which are loads
// too, and 2 additions. Four steps make a turn of the loop, with 3 more instructions.
// Two FMA ports need 6 cycles a step, two load ports 4, four issue slots 6: the FMAs
// bind. Twelve accumulators cover two ports × a latency of 4 (Zen, Intel from Skylake
// on: 8 FMAs in flight are enough) or 5 (Haswell: 10). The shape is that of BLIS's
// Haswell kernel (Van Zee and van de Geijn, "BLIS:
// A Framework for Rapidly Instantiating BLAS Functionality", ACM TOMS 41(3),
// 2015).

#define LOADB(lo, hi, at) \
	VMOVUPS lo, Y12;  \
	VMOVUPS hi, Y13
#define LOADED(rows)
#define START
#define NEXTPANEL(to) MOVQ call_BPanel(AX), to; SHLQ $2, to
#define HALF 32
#define SIZELOG 2

TEXT ·gemm6x16AVX2(SB), NOSPLIT, $gemmFrame__size-8
	MOVQ args+0(FP), AX
	MOVQ call_B+elements_first(AX), DI
	MOVQ call_BRow(AX), CX
#include "6x16-avx2_amd64.h"
