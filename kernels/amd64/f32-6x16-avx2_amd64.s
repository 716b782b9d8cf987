//go:build !purego

#include "textflag.h"

// func gemm6x16AVX2(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernels f16f32acc-6x16-avx2 and f32-6x16-avx2, but for tiles narrower
// than 16, which their wrapper in Go takes through scratch: cols is a multiple
// of 16. The contract and a picture of the panels are in package micro.
//
// What this is not: it does not convert. Both operands are float32, widened
// while packing, because converting in this loop would put two more uops a
// vector of B onto the ports the FMAs need. The code is in 6x16-avx2_amd64.h.
//
// Rows are taken six a pass; what is left as four, two and one.
//
// Registers
//
//	AX       k, counts down
//	SI       a, row 0 of the pass; R9: row 3. They move on by R12 a step
//	R11      aRow in bytes
//	R12      aCol in bytes
//	DI       b, moves on by 4·CX every four steps
//	CX       bRow in bytes; R10: three times that
//	DX       c, moves on by R8 a row, while a tile is loaded and stored
//	R8       ldc in bytes
//	R13      c, row 0 of the tile
//	R14      columns left of the pass
//	R15      a, row 0 of the pass, at its first step
//	BX       where widened rows of B go, in the kernels that widen
//	Y0-Y11   the tile: row i in Y(2i) for columns 0-7 and Y(2i+1) for 8-15
//	Y12,Y13  row p of a panel of B
//	Y14,Y15  one value of A in all lanes, alternating so that the broadcasts
//	         of one row overlap the FMAs of the one before
//
// The rows left, and where they begin in c, are kept in the arguments. On the
// stack is how far it is from the end of a panel of B to the next.
//
// Budget of one step (k grows by one): 12 FMAs, 2 loads, 6 broadcasts, which
// are loads too, and 2 additions; unrolled four times, 3 more instructions for
// four steps. Two FMA ports need 6 cycles for it, two load ports 4, four issue
// slots 6: the FMAs bind. Twelve accumulators cover two ports × a latency of 4
// (Zen, Intel from Skylake on: 8 FMAs in flight are enough) or 5 (Haswell: 10).
// The shape is that of BLIS's Haswell kernel (Van Zee and van de Geijn, "BLIS:
// A Framework for Rapidly Instantiating BLAS Functionality", ACM TOMS 41(3),
// 2015).

#define LOADB(lo, hi, at) \
	VMOVUPS lo, Y12;  \
	VMOVUPS hi, Y13
#define LOADED(rows)
#define START
#define NEXTPANEL(to) MOVQ bPanel+48(FP), to; SHLQ $2, to
#define HALF 32
#define SIZELOG 2

TEXT ·gemm6x16AVX2(SB), NOSPLIT, $8-89
#include "6x16-avx2_amd64.h"
