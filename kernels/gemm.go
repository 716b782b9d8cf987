package kernels

import (
	"fmt"

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
	if e.threads > 1 && g.C.Rows*g.C.Cols*k >= e.serial && e.crew.busy.TryLock() {
		defer e.crew.busy.Unlock()
		e.multiply(g, e.plan(g.A.DType()), e.threads, e.crew)
	} else {
		e.multiply(g, e.plan(g.A.DType()), 1, nil)
	}
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

// rowUnit is what the rows of a task are a multiple of: less than MR, so that
// shares are even, and enough for a kernel to be fast with.
const rowUnit = 4

// packSteps is how many rows of B are packed at a time, across all panels of a
// task: few enough that their lines stay in the L1 cache until the last of the
// panels has taken its part of them.
const packSteps = 16

// product is one call of Gemm under way: what its threads share. Products are
// used again, with the memory they hold.
type product struct {
	GemmArgs
	kernel *micro.Kernel
	kc     int
	own    *pool[workspace] // what each thread has for itself

	// The columns of B and C under way: cols of them from j0.
	j0, cols int
	b        []float32 // B's, in panels of NR columns and all of k

	packCols     int // the columns of a task that packs B
	mc, nc       int // the rows and columns of a task that computes C
	columnBlocks int // such tasks across
}

// multiply runs the loops around the kernel, for so many threads: the caller's
// and those of helpers, which may be nil. C is not transposed, and no dimension
// is zero.
func (e *Engine) multiply(g GemmArgs, plan *plan, threads int, helpers *crew) {
	p := e.products.get()
	p.GemmArgs, p.kernel, p.own = g, &plan.kernel, &e.workspaces
	nr, block := p.kernel.NR, plan.blocking
	m, n, k := g.C.Rows, g.C.Cols, g.A.Cols
	p.kc = split(k, block.KC, 1)
	// As many blocks of rows for each thread as for any other and, where there
	// are too few rows for that, more blocks of columns.
	p.mc = split(m, ceilDiv(m, roundUp(ceilDiv(m, block.MC), threads)), rowUnit)
	rowBlocks := ceilDiv(m, p.mc)
	atOnce := split(n, max(block.B/k, nr), nr)
	p.b = grow(p.b, k*roundUp(min(atOnce, n), nr))

	for p.j0 = 0; p.j0 < n; p.j0 += atOnce {
		p.cols = min(atOnce, n-p.j0)
		p.packCols = split(p.cols, ceilDiv(p.cols, threads), nr)
		p.nc = split(p.cols, min(block.NC, ceilDiv(p.cols, ceilDiv(threads, rowBlocks))), nr)
		p.columnBlocks = ceilDiv(p.cols, p.nc)
		helpers.run(p, ceilDiv(p.cols, p.packCols), (*product).packB)
		helpers.run(p, rowBlocks*p.columnBlocks, (*product).computeBlock)
	}
	p.GemmArgs = GemmArgs{} // keep no one's memory alive
	e.products.put(p)
}

// packB packs a share of the columns of B.
func (p *product) packB(task int, _ *workspace) {
	nr, k := p.kernel.NR, p.B.Rows
	from := task * p.packCols
	to := min(from+p.packCols, p.cols)
	if ragged := (to - from) % nr; ragged != 0 { // what a kernel reads beyond the edge shall not be slow
		clear(p.b[(to-ragged)*k:][:k*nr])
	}
	steps := packSteps
	if p.B.Trans { // a panel has whole rows of what is stored
		steps = k
	}
	for q := 0; q < k; q += steps {
		for j := from; j < to; j += nr {
			p.kernel.Pack(p.b[j*k+q*nr:], nr, p.B.Block(q, p.j0+j, min(steps, k-q), min(nr, to-j)))
		}
	}
}

// computeBlock computes a block of C: a chain of products, each continuing the
// sums of the one before.
func (p *product) computeBlock(task int, own *workspace) {
	nr, k := p.kernel.NR, p.A.Cols
	i, j := task/p.columnBlocks*p.mc, task%p.columnBlocks*p.nc
	rows, cols := min(p.mc, p.C.Rows-i), min(p.nc, p.cols-j)
	c := p.C.Block(i, p.j0+j, rows, cols)
	sums := c
	if c.F16 != nil { // which cannot hold partial sums
		own.sums = grow(own.sums, rows*cols)
		sums = tensor.MatrixF32(own.sums, rows, cols)
		if p.Accumulate {
			for r := range rows {
				c.LoadRow(sums.F32[r*cols:], r)
			}
		}
	}
	own.a = grow(own.a, roundUp(rows, aBand)*(p.kc+aPad))
	for k0 := 0; k0 < k; k0 += p.kc {
		depth := min(p.kc, k-k0)
		a := packA(own.a, p.kernel, p.A.Block(i, k0, rows, depth))
		for jj := 0; jj < cols; jj += nr {
			panel := p.b[(j+jj)*k+k0*nr:][:depth*nr]
			multiplyPanel(sums.Block(0, jj, rows, min(nr, cols-jj)), &a, panel, p.kernel, k0 > 0 || p.Accumulate)
		}
	}
	if c.F16 != nil {
		for r := range rows {
			c.StoreRow(sums.F32[r*cols:], r)
		}
	}
}

// multiplyPanel multiplies a block of A by a panel of B, which is in the L1
// cache meanwhile. c is fp32.
func multiplyPanel(c tensor.Matrix, a *blockA, panel []float32, kern *micro.Kernel, accumulate bool) {
	for i := 0; i < c.Rows; i += kern.MR {
		kern.Func(a.depth, a.from(i), a.row, a.col, panel, c.F32[i*c.Stride:], c.Stride,
			min(kern.MR, c.Rows-i), c.Cols, accumulate)
	}
}

// blockA is a block of A as kernels read it: element (i, q) is at
//
//	a[i/aBand·aBand·depth + (i%aBand)·row + q·col]   if it was transposed
//	a[i·row + q]                                     if not
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
