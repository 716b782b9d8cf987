// Package micro says what a GEMM kernel is. It holds a type and a contract, no
// code that runs: the tiers (generic, amd64, …) implement it, kernels drives
// it, kerneltest checks it.
//
// # What a kernel does
//
// A kernel multiplies some rows of A by panels of B into as many rows of C. It
// takes MR rows at a time, which stay in the L1 cache while it goes along the
// panels, and stays with each panel for all of k: a tile of C in registers. The
// driver has brought both operands to the type of [Kernel.Panels], mostly float32,
// so that the kernel never sees a conversion or a transposition, and packed B,
// unless it lies well as it is:
//
//	                         ◄── NR ──►   ◄── NR ──►
//	                       ┌────────────┬────────────┬──
//	                    k  │ B[0·BRow …]│ B[BPanel   │    panels of B: row p holds
//	                    │  │ B[1·BRow …]│  +0·BRow …]│    the NR values that step p
//	                    ▼  │     ⋮      │     ⋮      │    multiplies
//	                       └────────────┴────────────┴──
//	         k ──►
//	 ▲   ┌─────────────┐   ┌────────────┬────────────┬──
//	rows │ A[i·ARow +  │   │ C[0·LDC …] │ C[NR …]    │    C: in the caller's matrix
//	 │   │   p·ACol]   │   │ C[1·LDC …] │            │
//	 ▼   └─────────────┘   └────────────┴────────────┴──
//	                        ◄─────── cols ────────────
//
// A is read through two strides, one of which is 1: it lies row after row
// (ACol = 1), which is how a matrix that is not transposed arrives, or column
// after column (ARow = 1), which is how a transposed one does. Neither has to
// be turned.
//
// In Go, and this loop is the definition:
//
//	for i := range Rows {
//		for j := range Cols {
//			acc := float32(0)
//			if Accumulate {
//				acc = C[i*LDC+j]
//			}
//			for p := range K {
//				acc = fma(A[i*ARow+p*ACol], B[j/NR*BPanel+p*BRow+j%NR], acc)
//			}
//			C[i*LDC+j] = acc
//		}
//	}
//
// # What it must keep
//
//   - One chain. Every element of C is one accumulation over p in ascending
//     order. No second accumulator, no reassociation, no horizontal sum. This
//     is what makes all tiers agree bit for bit.
//   - Rounding. For kernels with [tensor.F32] operands fma rounds once. For
//     those with [tensor.F16] operands the panels hold fp16 values, widened or
//     not, whose products are exact in float32, so a multiplication followed by
//     an addition gives the same bits and either may be used.
//   - Specials. Subnormals are neither flushed on input nor on output.
//     Infinities follow IEEE 754. A NaN result may be any NaN.
//   - Bounds. It reads the elements of A that the loop names, NR values of
//     each row of each panel, those of the last beyond Cols included, and, where
//     Accumulate is set, the elements of C that the loop names; it writes these
//     and nothing else, not even between the rows.
//   - K ≥ 0; K = 0 stores zeros or leaves C as it is. Rows and Cols ≥ 1,
//     LDC ≥ Cols, BRow ≥ NR, ARow and ACol ≥ 1. No alignment is promised beyond
//     that of the elements. C overlaps neither A nor B.
//   - Time. Go cannot preempt assembly. The driver keeps K, Rows and Cols small
//     enough that a call takes some tens of microseconds.
//
// # Packing
//
// The same package that has a kernel has the code that brings operands into
// shape for it, see [Kernel.Pack].
package micro

import (
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

// Operand holds elements of A or B in the field of the type of the kernel's Panels.
// The other one is not looked at.
type Operand struct {
	F32 []float32
	F16 []fp16.Float16
}

// From returns the elements from the nth on, none if there are no more.
func (o Operand) From(n int) Operand {
	return Operand{F32: o.F32[min(n, len(o.F32)):], F16: o.F16[min(n, len(o.F16)):]}
}

// Call is what a kernel is asked to do, as the package documentation defines it.
type Call struct {
	K          int
	A          Operand
	ARow, ACol int // elements from a row of A to the next, and from a column
	B          Operand
	BRow       int // elements from a row of a panel of B to the next
	BPanel     int // and from a panel to the next
	C          []float32
	LDC        int // elements from a row of C to the next
	Rows, Cols int // of C
	Accumulate bool
}

// Kernel is a GEMM kernel: a value that says what it is, where it runs and how
// to call it.
type Kernel struct {
	// Name says everything, the same in the file, symbol, subtest and
	// benchmark names: operands and accumulator, tile, tier. For example
	// "f16f32acc-6x16-avx2" and "f32-6x16-avx2".
	Name string

	// Tier is the instruction set, the name that HALFGRAD_KERNEL takes.
	Tier string

	// Operands is the type of the matrices. A kernel for F16 may rely on exact
	// products; one for F32 may not.
	Operands tensor.DType

	// Panels is the type that Func gets their elements in, and that they are packed
	// in: F32, or that of the operands where the kernel multiplies them as they are.
	Panels tensor.DType

	// MR and NR are the rows and columns of a tile. NR is also the width of a
	// panel of B.
	MR, NR int

	// Supported says whether this machine can run it.
	Supported bool

	// Func is the kernel itself, as the package documentation defines it.
	Func func(Call)

	// Widen is Func for a B that has not been packed yet: a matrix of K rows, whole
	// panels of columns, and the operands' type, which is not transposed. It is read
	// where it is, widened on the way, and left packed in Call.B, whose BRow is NR
	// and BPanel K·NR, for the rows that follow. That costs less than packing.
	Widen func(c Call, b tensor.Matrix)

	// Finish is Func for whole panels and the end of a product: the sums do not go
	// to Call.C, which is only read, where Accumulate is set, but to dst, of fp16,
	// not transposed and as large, as [Elementwise.Store] makes it of them. It is nil
	// in tiers that have no such kernel.
	Finish func(c Call, dst tensor.Matrix, e Epilogue) (finite bool)

	// TurnCost is how many columns of C may take as long to compute as it takes to
	// pack so much of an A for panels, turning it; 0 if that never pays, and where the
	// panels are not of F32.
	TurnCost int

	// Thin multiplies a few rows of A by a matrix b of K rows and Cols columns, of
	// the operands' type and not transposed. It reads b where it lies, once for up
	// to eight rows, and widens on the way: packing would not pay. ACol is 1, and
	// B, BRow and BPanel are not used. Otherwise the rules for Func hold.
	//
	//	for i := range Rows {
	//		for j := range Cols {
	//			acc := float32(0)
	//			if Accumulate {
	//				acc = C[i*LDC+j]
	//			}
	//			for p := range K {
	//				acc = fma(A[i*ARow+p], b(p, j), acc)
	//			}
	//			C[i*LDC+j] = acc
	//		}
	//	}
	Thin func(c Call, b tensor.Matrix)

	// Pack copies a matrix, which may be transposed, to the panels' type. Where that
	// is F32 the matrix may be of either type, and is widened exactly; else it is of
	// the same.
	//
	//	dst[i*stride+j] = m(i, j)   for i < m.Rows, j < m.Cols ≤ stride
	//
	// Nothing else of dst is written. As Go cannot preempt it, the driver has
	// it pack no more than some 100 kB at a time.
	Pack func(dst Operand, stride int, m tensor.Matrix)
}

// PeakLoop is a loop of independent fused multiply-adds on registers alone. It
// measures the ceiling that every kernel of its tier works under.
type PeakLoop struct {
	Tier      string
	Supported bool
	FLOPs     int             // floating-point operations a turn: two for each lane of each FMA
	Func      func(turns int) // runs the loop
}
