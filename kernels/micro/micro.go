// Package micro defines what a GEMM kernel is, by types and a contract. The tiers
// (generic, amd64, …) implement the contract, package kernels calls them, and kerneltest
// checks them.
//
// # What a kernel does
//
// A kernel multiplies some rows of A by panels of B. It takes MR rows at a time, which
// stay in the L1 cache while it goes from panel to panel. For each panel it goes
// through all of k, with a tile of C in registers. The driver has converted both
// operands to the type of [Kernel.Panels], mostly float32, and packed B, unless B is
// fast to read as it is. The kernel neither converts nor transposes:
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
// A has two strides, and one of them is 1. ACol is 1 if A is stored row after row, ARow
// if it is stored column after column, as a transposed matrix is. The kernel reads
// either order.
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
// # Rules
//
//   - One chain. Every element of C is one accumulation over p in ascending
//     order, without a second accumulator, reassociation or a horizontal sum. So
//     all tiers agree bit for bit.
//   - Rounding. For kernels with [tensor.F32] operands fma rounds once. For
//     those with [tensor.F16] operands the panels hold fp16 values, widened or
//     not, whose products are exact in float32, so a multiplication followed by
//     an addition gives the same bits and either may be used.
//   - Specials. Subnormals are flushed neither on input nor on output.
//     Infinities follow IEEE 754. A NaN result may be any NaN.
//   - Bounds. A kernel reads the elements of A that the loop names and NR values of
//     each row of each panel, even beyond Cols in the last panel. It writes the
//     elements of C that the loop names, and reads them if Accumulate is set. It
//     touches nothing else, not even between the rows.
//   - K ≥ 0; K = 0 stores zeros or leaves C as it is. Rows and Cols ≥ 1,
//     LDC ≥ Cols, BRow ≥ NR, ARow and ACol ≥ 1. Only the elements are aligned.
//     C overlaps neither A nor B.
//   - Time. Go cannot preempt assembly. The driver keeps K, Rows and Cols small
//     enough that a call takes some tens of microseconds.
//
// # Packing
//
// A kernel comes with the code that packs operands for it, see [Kernel.Pack].
package micro

import "github.com/halfgrad/halfgrad/tensor"

// Call has the arguments of a kernel, which the package documentation defines. A and B are
// of the type of the kernel's Panels.
type Call struct {
	K          int
	A          tensor.Elements
	ARow, ACol int // elements from a row of A to the next, and from a column to the next
	B          tensor.Elements
	BRow       int // elements from a row of a panel of B to the next
	BPanel     int // elements from a panel of B to the next
	C          []float32
	LDC        int // elements from a row of C to the next
	Rows, Cols int // of C
	Accumulate bool
}

// Kernel describes a GEMM kernel: what it is, where it runs and how to call it.
type Kernel struct {
	// Name is made of the operands and the accumulator, the tile and the tier, such as
	// "f16f32acc-6x16-avx2" and "f32-6x16-avx2". Files, subtests and benchmarks use it.
	Name string

	// Tier is the instruction set, by the name that HALFGRAD_KERNEL takes.
	Tier string

	// Operands is the type of the matrices. A kernel for F16 may rely on exact
	// products; one for F32 may not.
	Operands tensor.DType

	// Panels is the type of the packed operands, which Func takes: F32, or the type of
	// the operands if the kernel multiplies them unconverted.
	Panels tensor.DType

	// MR and NR are the rows and columns of a tile. NR is also the width of a
	// panel of B.
	MR, NR int

	// Supported reports whether this machine can run it.
	Supported bool

	// Func is the kernel itself, as the package documentation defines it.
	Func func(Call)

	// Widen is Func for a matrix b that has not been packed: K×Cols, of the operands'
	// type, not transposed, with Cols a multiple of NR. Besides the product, it packs b
	// into c.B, with a BRow of NR and a BPanel of K·NR, for the rows that follow. That
	// costs less than packing first.
	Widen func(c Call, b tensor.Matrix)

	// Finish is Func for the end of a product with Cols a multiple of NR: it does to the
	// sums what [Elementwise.Store] does, and stores them in dst, a Rows×Cols matrix of
	// fp16, not transposed. C is read if Accumulate is set, and not written. Finish is
	// nil in tiers without such a kernel.
	Finish func(c Call, dst tensor.Matrix, e Epilogue) (finite bool)

	// TurnCost is the cost of transposing A into panels, in columns of C: computing so
	// many columns takes as long. It is 0 if transposing never pays, and if the panels
	// are not F32.
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

	// Pack copies a matrix, which may be transposed, and converts it to the panels'
	// type. For panels of F32 the matrix may be of either type, else it is of the
	// panels' type.
	//
	//	dst[i*stride+j] = m(i, j)   for i < m.Rows, j < m.Cols ≤ stride
	//
	// Nothing else of dst is written. As Go cannot preempt it, the driver packs no
	// more than some 100 kB at a time.
	Pack func(dst tensor.Elements, stride int, m tensor.Matrix)
}

// PeakLoop is a loop of independent fused multiply-adds on registers. It measures the
// peak that limits every kernel of its tier.
type PeakLoop struct {
	Tier      string
	Supported bool
	FLOPs     int             // floating-point operations a turn: two for each lane of each FMA
	Func      func(turns int) // runs the loop
}
