// Package micro says what a GEMM kernel is. It holds a type and a contract, no
// code that runs: the tiers (generic, amd64, …) implement it, kernels drives
// it, kerneltest checks it.
//
// # What a kernel does
//
// A kernel multiplies one panel of A by one panel of B into one tile of C. The
// driver has packed both panels, in float32, so that the kernel reads memory
// strictly forward and never sees a stride, a transposition or an edge:
//
//	                         ◄── NR ──►
//	                       ┌────────────┐
//	                    k  │ b[0·NR …]  │   B panel: row p holds the NR values
//	                    │  │ b[1·NR …]  │   that step p multiplies
//	                    ▼  │     ⋮      │
//	                       └────────────┘
//	        k ──►
//	 ▲  ┌─────────────┐    ┌────────────┐
//	 MR │ a[0]  a[MR] │    │ c[0·ldc …] │   C tile: MR rows of NR values, in
//	 │  │ a[1]    ⋮   │    │ c[1·ldc …] │   the caller's matrix or in scratch
//	 ▼  │  ⋮          │    │     ⋮      │
//	    └─────────────┘    └────────────┘
//	A panel: column p is a[p·MR : (p+1)·MR]
//
// In Go, and this loop is the definition:
//
//	for i := range MR {
//		for j := range NR {
//			acc := float32(0)
//			if accumulate {
//				acc = c[i*ldc+j]
//			}
//			for p := range k {
//				acc = fma(a[p*MR+i], b[p*NR+j], acc)
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
//   - Bounds. It reads a[:k·MR], b[:k·NR] and, where accumulate is set, the
//     tile; it writes the tile and nothing else, not even between the rows.
//   - k ≥ 0; k = 0 stores zeros or leaves the tile as it is. ldc ≥ NR.
//     No alignment is promised beyond that of float32. c overlaps neither panel.
//   - Time. Go cannot preempt assembly. The driver keeps k small enough that a
//     call takes microseconds.
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

	// MR and NR are the rows and columns of the tile.
	MR, NR int

	// Supported says whether this machine can run it.
	Supported bool

	// Func is the kernel itself, as the package documentation defines it.
	Func func(k int, a, b, c []float32, ldc int, accumulate bool)
}

// PeakLoop is a loop of independent fused multiply-adds on registers alone. It
// measures the ceiling that every kernel of its tier works under.
type PeakLoop struct {
	Tier      string
	Supported bool
	FLOPs     int             // floating-point operations a turn: two for each lane of each FMA
	Func      func(turns int) // runs the loop
}
