package kernels

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// GemmArgs says what [Engine.Gemm] shall compute.
type GemmArgs struct {
	// C (m×n) = A (m×k) · B (k×n). Any of them may be transposed. A and B are
	// of one type, fp16 or fp32; C may be of either. C overlaps neither A nor B.
	C, A, B tensor.Matrix

	// Accumulate makes it C += A·B: the chain of additions of each element
	// starts at C's value instead of zero.
	Accumulate bool
}

// Gemm computes a matrix product. Element (i, j) of the result is
//
//	acc := float32(0)                      // or C[i,j], widened, to accumulate
//	for p := range k { acc = fma(A[i,p], B[p,j], acc) }
//	C[i,j] = acc                           // rounded to nearest even if C is fp16
//
// in exactly this order on every tier, with any number of threads.
//
// It panics if the shapes do not fit each other or a matrix is not what it
// says (see [tensor.Matrix.Check]): those are mistakes of the program.
func (e *Engine) Gemm(g GemmArgs) {
	if err := g.check(); err != nil {
		panic("kernels: Gemm: " + err.Error())
	}
	if g.C.Trans { // Cᵀ = Bᵀ·Aᵀ, the same products in the same order
		g.C, g.A, g.B = g.C.T(), g.B.T(), g.A.T()
	}
	if g.C.Rows == 0 || g.C.Cols == 0 {
		return
	}
	k := g.A.Cols
	if k == 0 {
		if !g.Accumulate {
			zero(g.C)
		}
		return
	}
	threads := e.threads
	if g.C.Rows*g.C.Cols*k < e.serial {
		threads = 1
	}
	e.multiply(g, e.plan(g.A.DType()), threads)
}

func (g *GemmArgs) check() error {
	for _, m := range []struct {
		name   string
		matrix tensor.Matrix
	}{{"A", g.A}, {"B", g.B}, {"C", g.C}} {
		if err := m.matrix.Check(m.name); err != nil {
			return err
		}
	}
	a, b, c := g.A, g.B, g.C
	if a.Cols != b.Rows || a.Rows != c.Rows || b.Cols != c.Cols {
		return fmt.Errorf("matrix A is %d×%d, B is %d×%d and C is %d×%d: want m×k, k×n and m×n",
			a.Rows, a.Cols, b.Rows, b.Cols, c.Rows, c.Cols)
	}
	if a.F16 != nil && b.F32 != nil || a.F32 != nil && b.F16 != nil {
		return fmt.Errorf("matrix A is %v and B is %v: want one type", a.DType(), b.DType())
	}
	return nil
}

func zero(c tensor.Matrix) {
	for i := range c.Rows {
		from, to := i*c.Stride, i*c.Stride+c.Cols
		if c.F16 != nil {
			clear(c.F16[from:to])
		} else {
			clear(c.F32[from:to])
		}
	}
}

// rowUnit is what the rows of a thread's share are a multiple of: less than MR,
// so that shares are even, and enough for a kernel to be fast with.
const rowUnit = 4

// product is one call of Gemm under way: what its threads share. Products are
// used again, with the memory they hold.
type product struct {
	GemmArgs
	kernel  *micro.Kernel
	threads int
	own     *pool[workspace] // what each thread has for itself

	mc, pieceCols, packCols int // the rows and columns of one task, and the columns of one to pack
	columnBlocks            int // tasks across

	// The block of B under way: depth rows from k0, cols columns from j0.
	k0, depth, j0, cols int
	b                   []float32     // packed
	c, sums             tensor.Matrix // of C, m×cols, and where its partial sums are
	sumsMemory          []float32

	next    atomic.Int64 // the next task to hand out
	helpers sync.WaitGroup
}

// multiply runs the loops around the kernel. C is not transposed, and no
// dimension is zero.
func (e *Engine) multiply(g GemmArgs, plan *plan, threads int) {
	p := e.products.get()
	p.GemmArgs, p.kernel, p.threads, p.own = g, &plan.kernel, threads, &e.workspaces
	nr := p.kernel.NR
	m, n, k := g.C.Rows, g.C.Cols, g.A.Cols
	nc := split(n, plan.blocking.NC, nr)
	kc := split(k, plan.blocking.KC, 1)
	// As many blocks of rows for each thread as for any other and, where there
	// are too few rows for that, several pieces of each block's columns.
	p.mc = split(m, ceilDiv(m, roundUp(ceilDiv(m, plan.blocking.MC), threads)), rowUnit)
	rowBlocks := ceilDiv(m, p.mc)
	pieces := ceilDiv(threads, rowBlocks)
	p.b = grow(p.b, kc*roundUp(min(nc, n), nr))

	for p.j0 = 0; p.j0 < n; p.j0 += nc {
		p.cols = min(nc, n-p.j0)
		p.c = g.C.Block(0, p.j0, m, p.cols)
		p.sums = p.c
		if p.c.F16 != nil { // which cannot hold partial sums, so they have a place of their own
			p.sumsMemory = grow(p.sumsMemory, m*p.cols)
			p.sums = tensor.MatrixF32(p.sumsMemory, m, p.cols)
		}
		p.packCols = split(p.cols, ceilDiv(p.cols, threads), nr)
		p.pieceCols = split(p.cols, ceilDiv(p.cols, pieces), nr)
		p.columnBlocks = ceilDiv(p.cols, p.pieceCols)

		for p.k0 = 0; p.k0 < k; p.k0 += kc {
			p.depth = min(kc, k-p.k0)
			p.parallel(ceilDiv(p.cols, p.packCols), (*product).packB)
			p.parallel(rowBlocks*p.columnBlocks, (*product).computeBlock)
		}
	}
	p.GemmArgs, p.c, p.sums = GemmArgs{}, tensor.Matrix{}, tensor.Matrix{} // keep no one's memory alive
	e.products.put(p)
}

// packB packs a share of the columns of the block of B.
func (p *product) packB(task int, _ *workspace) {
	nr := p.kernel.NR
	from := task * p.packCols
	to := min(from+p.packCols, p.cols)
	for j := from; j < to; j += nr {
		width := min(nr, to-j)
		panel := p.b[j*p.depth:][:p.depth*nr]
		if width < nr { // what a kernel reads beyond the edge shall not be slow
			clear(panel)
		}
		p.kernel.Pack(panel, nr, p.B.Block(p.k0, p.j0+j, p.depth, width))
	}
}

// blockA is a block of A as kernels read it: element (i, q) is at
//
//	a[i/aBand·aBand·depth + (i%aBand)·row + q·col]
type blockA struct {
	a        []float32
	row, col int
	depth    int
}

// aBand is how many rows of a transposed A lie side by side, those of several
// tiles, so that packing moves whole vectors. All MR divide it.
const aBand = 48

// aPad keeps the rows of a block of A from lying a multiple of 4096 bytes
// apart, where they would share one set of the L1 cache.
const aPad = 16

// packA widens a block of A. One that is not transposed stays as it is, row
// after row; of one that is, each step's elements lie side by side.
func packA(memory []float32, k *micro.Kernel, m tensor.Matrix) blockA {
	if !m.Trans {
		stride := m.Cols + aPad
		k.Pack(memory, stride, m)
		return blockA{a: memory, row: stride, col: 1, depth: m.Cols}
	}
	for i := 0; i < m.Rows; i += aBand {
		k.Pack(memory[i*m.Cols:], aBand, m.Block(i, 0, min(aBand, m.Rows-i), m.Cols).T())
	}
	return blockA{a: memory, row: 1, col: aBand, depth: m.Cols}
}

// from returns the elements from row i on.
func (b *blockA) from(i int) []float32 {
	if b.col == 1 {
		return b.a[i*b.row:]
	}
	return b.a[i/aBand*aBand*b.depth+i%aBand:]
}

// computeBlock adds to a block of C what the block of B contributes.
func (p *product) computeBlock(task int, own *workspace) {
	i, j := task/p.columnBlocks*p.mc, task%p.columnBlocks*p.pieceCols
	rows, cols := min(p.mc, p.C.Rows-i), min(p.pieceCols, p.cols-j)
	first, last := p.k0 == 0, p.k0+p.depth == p.A.Cols

	own.a = grow(own.a, roundUp(rows, aBand)*(p.depth+aPad))
	a := packA(own.a, p.kernel, p.A.Block(i, p.k0, rows, p.depth))

	target := p.sums.Block(i, j, rows, cols)
	if p.c.F16 != nil && first && p.Accumulate {
		source := p.c.Block(i, j, rows, cols)
		for r := range rows {
			source.LoadRow(target.F32[r*target.Stride:], r)
		}
	}
	multiplyBlock(target, a, p.b[j*p.depth:], p.kernel, !first || p.Accumulate)
	if p.c.F16 != nil && last {
		result := p.c.Block(i, j, rows, cols)
		for r := range rows {
			result.StoreRow(target.F32[r*target.Stride:], r)
		}
	}
}

// multiplyBlock runs the kernel over all pairs of a panel of B, which is in the
// L1 cache meanwhile, and a few rows of A. c is fp32.
func multiplyBlock(c tensor.Matrix, a blockA, b []float32, kern *micro.Kernel, accumulate bool) {
	mr, nr := kern.MR, kern.NR
	for j := 0; j < c.Cols; j += nr {
		panel := b[j*a.depth : (j+nr)*a.depth]
		for i := 0; i < c.Rows; i += mr {
			kern.Func(a.depth, a.from(i), a.row, a.col, panel, c.F32[i*c.Stride+j:], c.Stride,
				min(mr, c.Rows-i), min(nr, c.Cols-j), accumulate)
		}
	}
}
