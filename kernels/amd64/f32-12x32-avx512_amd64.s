//go:build !purego

#include "textflag.h"

// func gemm12x32AVX512(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernels f16f32acc-12x32-avx512 and f32-12x32-avx512. The contract and a
// picture of the panels are in package micro.
//
// What this is not: it does not convert. Both operands are float32, widened
// while packing, or fp32 to begin with. The code is in 12x32-avx512_amd64.h.
//
// Rows are taken twelve a pass; what is left as ten, eight, six, four, two and
// one. Tiles of at most 16 columns have loops of their own, with half the vectors.
// C is loaded and stored under masks, so no column beyond cols is touched; a panel
// of B has all 32. (A masked load takes an uop of an FMA port on AMD: with masks a
// step of twelve rows took 25 cycles of a Zen 4, without it takes 24.2.)
//
// Registers
//
//	AX       k, counts down
//	SI       a, row 0 of the pass; R9, R10, BX: rows 3, 6 and 9. They move on
//	         by R12 a step
//	R11      aRow in bytes
//	R12      aCol in bytes
//	DI       b, moves on by CX a step
//	CX       bRow in bytes
//	DX       c, moves on by R8 a row, while a tile is loaded and stored
//	R8       ldc in bytes
//	R13      c, row 0 of the tile
//	R14      where widened rows of B go, in the kernels that widen
//	R15      a, row 0 of the pass, at its first step
//	K1,K2    the columns 0-15 and 16-31 that the tile has
//	Z0-Z23   the tile: row i in Z(2i) for columns 0-15 and Z(2i+1) for 16-31
//	Z24,Z25  row p of a panel of B
//	Z26-Z31  values of A in all lanes
//
// The rows left, and where they begin in c, are kept in the arguments. On the
// stack are the columns left of the pass, and how far it is from the end of a
// panel of B to the next.
//
// Budget of one step of twelve rows (k grows by one): 24 FMAs, 2 loads, 12
// broadcasts, which are loads too, 5 additions, and 2 instructions of loop.
// Two FMA ports need 12 cycles, two load ports 7, six issue slots 8: the FMAs
// bind. A broadcast is shared by two FMAs: with the broadcast inside the FMA
// the load ports would need 13. Eight rows, 16 chains, still cover two ports ×
// a latency of 4; four rows just do.

#define LOADB \
	VMOVUPS (B), Z24;   \
	VMOVUPS 64(B), Z25
#define LOADBN VMOVUPS (B), Z24
#define START
#define AHEAD
#define NEXTPANEL(to) MOVQ bPanel+48(FP), to; SHLQ $2, to
#define END(EACH, bias, plain, ended) TOC(EACH)
#define ADVANCED(n)
#define FINISHED
#define SIZELOG 2

TEXT ·gemm12x32AVX512(SB), NOSPLIT, $16-89
#include "12x32-avx512_amd64.h"
