// Package micro says what a GEMM kernel is. It holds a type and a contract, no
// code that runs: the tiers (generic, amd64, …) implement it, kernels drives
// it, kerneltest checks it.
//
// # What a kernel does
//
// A kernel multiplies some rows of A by one panel of B into as many of C, MR at a
// time, and stays with them for all of k: a tile of C in registers. The driver has widened both to float32, so that the kernel never sees a conversion
// or a transposition, and packed B, with bRow = NR, unless it lies well as it is:
//
//	                         ◄── NR ──►
//	                       ┌────────────┐
//	                    k  │ b[0·bRow …]│   B panel: row p holds the NR values
//	                    │  │ b[1·bRow …]│   that step p multiplies
//	                    ▼  │     ⋮      │
//	                       └────────────┘
//	         k ──►
//	 ▲   ┌─────────────┐   ┌────────────┐
//	rows │ a[i·aRow +  │   │ c[0·ldc …] │   C: rows of cols ≤ NR values,
//	 │   │   p·aCol]   │   │ c[1·ldc …] │   in the caller's matrix
//	 ▼   └─────────────┘   └────────────┘
//	                        ◄── cols ──►
//
// A is read through two strides, one of which is 1: it lies row after row
// (aCol = 1), which is how a matrix that is not transposed arrives, or column
// after column (aRow = 1), which is how a transposed one does. Neither has to
// be turned.
//
// In Go, and this loop is the definition:
//
//	for i := range rows {
//		for j := range cols {
//			acc := float32(0)
//			if accumulate {
//				acc = c[i*ldc+j]
//			}
//			for p := range k {
//				acc = fma(a[i*aRow+p*aCol], b[p*bRow+j], acc)
//			}
//			c[i*ldc+j] = acc
//		}
//	}
//
// # What it must keep
//
//   - One chain. Every element of C is one accumulation over p in ascending
//     order. No second accumulator, no reassociation, no horizontal sum. This
//     is what makes all tiers agree bit for bit.
//   - Rounding. For kernels with [tensor.F32] operands fma rounds once. For
//     those with [tensor.F16] operands the panels hold widened fp16 values,
//     whose products are exact in float32, so a multiplication followed by an
//     addition gives the same bits and either may be used.
//   - Specials. Subnormals are neither flushed on input nor on output.
//     Infinities follow IEEE 754. A NaN result may be any NaN.
//   - Bounds. It reads the elements of a that the loop names, NR values of
//     each row of the panel, the columns beyond cols included, and, where
//     accumulate is set, the elements of c that the loop names; it writes these
//     and nothing else, not even between the rows.
//   - k ≥ 0; k = 0 stores zeros or leaves c as it is. rows ≥ 1,
//     1 ≤ cols ≤ NR, ldc ≥ cols, bRow ≥ NR, aRow and aCol ≥ 1. No alignment is
//     promised beyond that of float32. c overlaps neither a nor b.
//   - Time. Go cannot preempt assembly. The driver keeps k and rows small enough
//     that a call takes some tens of microseconds.
//
// # Packing
//
// The same package that has a kernel has the code that brings operands into
// shape for it, see [Kernel.Pack].
package micro

import "github.com/halfgrad/halfgrad/tensor"

// Kernel is a GEMM kernel: a value that says what it is, where it runs and how
// to call it.
type Kernel struct {
	// Name says everything, the same in the file, symbol, subtest and
	// benchmark names: operands and accumulator, tile, tier. For example
	// "f16f32acc-6x16-avx2" and "f32-6x16-avx2".
	Name string

	// Tier is the instruction set, the name that HALFGRAD_KERNEL takes.
	Tier string

	// Operands is what the packed panels were widened from. A kernel for F16
	// may rely on exact products; one for F32 may not.
	Operands tensor.DType

	// MR and NR are the rows and columns of a tile. NR is also the width of a
	// panel of B.
	MR, NR int

	// Supported says whether this machine can run it.
	Supported bool

	// Func is the kernel itself, as the package documentation defines it.
	Func func(k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols int, accumulate bool)

	// Direct is Func for a B that is not transposed, of NR columns, read where it
	// is and widened on the way. It is nil in tiers that have no such kernel.
	Direct func(a []float32, aRow, aCol int, b tensor.Matrix, c []float32, ldc, rows int, accumulate bool)

	// DirectRows is up to how many rows Direct is better than packing B.
	DirectRows int

	// Thin multiplies a few rows by a whole matrix, which it reads where it is,
	// once for all of up to eight rows, and widens on the way: no packing would
	// pay for itself. b is of the operands' type and not transposed; any number
	// of rows and columns is allowed, and what else is said of Func holds.
	//
	//	for i := range rows {
	//		for j := range b.Cols {
	//			acc := float32(0)
	//			if accumulate {
	//				acc = c[i*ldc+j]
	//			}
	//			for p := range b.Rows {
	//				acc = fma(a[i*aRow+p], b(p, j), acc)
	//			}
	//			c[i*ldc+j] = acc
	//		}
	//	}
	//
	// Here too the driver has it do no more than takes microseconds.
	Thin func(a []float32, aRow int, b tensor.Matrix, c []float32, ldc, rows int, accumulate bool)

	// Pack copies a matrix of the operands' type, which may be transposed,
	// widening it exactly:
	//
	//	dst[i*stride+j] = m(i, j)   for i < m.Rows, j < m.Cols ≤ stride
	//
	// Nothing else of dst is written. As Go cannot preempt it, the driver has
	// it pack no more than some 100 kB at a time.
	Pack func(dst []float32, stride int, m tensor.Matrix)
}

// PeakLoop is a loop of independent fused multiply-adds on registers alone. It
// measures the ceiling that every kernel of its tier works under.
type PeakLoop struct {
	Tier      string
	Supported bool
	FLOPs     int             // floating-point operations a turn: two for each lane of each FMA
	Func      func(turns int) // runs the loop
}
