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
	mr, nr := p.kernel.MR, p.kernel.NR
	m, n, k := g.C.Rows, g.C.Cols, g.A.Cols
	nc := split(n, plan.blocking.NC, nr)
	kc := split(k, plan.blocking.KC, 1)
	// As many blocks of rows for each thread as for any other and, where there
	// are too few rows for that, several pieces of each block's columns.
	p.mc = split(m, ceilDiv(m, roundUp(ceilDiv(m, plan.blocking.MC), threads)), mr)
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
func (p *product) packB(task int, own *workspace) {
	own.run = grow(own.run, p.depth)
	from := task * p.packCols
	b := p.B.Block(p.k0, p.j0+from, p.depth, min(p.packCols, p.cols-from))
	pack(p.b[from*p.depth:], b, p.kernel.NR, own.run)
}

// computeBlock adds to a block of C what the block of B contributes.
func (p *product) computeBlock(task int, own *workspace) {
	mr, nr := p.kernel.MR, p.kernel.NR
	i, j := task/p.columnBlocks*p.mc, task%p.columnBlocks*p.pieceCols
	rows, cols := min(p.mc, p.C.Rows-i), min(p.pieceCols, p.cols-j)
	first, last := p.k0 == 0, p.k0+p.depth == p.A.Cols

	own.run = grow(own.run, p.depth)
	own.a = grow(own.a, p.depth*roundUp(rows, mr))
	pack(own.a, p.A.Block(i, p.k0, rows, p.depth).T(), mr, own.run)

	target := p.sums.Block(i, j, rows, cols)
	if p.c.F16 != nil && first && p.Accumulate {
		source := p.c.Block(i, j, rows, cols)
		for r := range rows {
			source.LoadRow(target.F32[r*target.Stride:], r)
		}
	}
	own.tile = grow(own.tile, mr*nr)
	multiplyBlock(target, own.a, p.b[j*p.depth:], p.depth, p.kernel, own.tile, !first || p.Accumulate)
	if p.c.F16 != nil && last {
		result := p.c.Block(i, j, rows, cols)
		for r := range rows {
			result.StoreRow(target.F32[r*target.Stride:], r)
		}
	}
}

// multiplyBlock runs the kernel over all pairs of a panel of A and a panel of
// B, k deep. c is fp32; a and b are packed. The kernel writes whole tiles, so
// the ragged ones at the right and lower edges go by way of scratch.
func multiplyBlock(c tensor.Matrix, a, b []float32, k int, kern *micro.Kernel, scratch []float32, accumulate bool) {
	mr, nr := kern.MR, kern.NR
	for j := 0; j < c.Cols; j += nr {
		bPanel := b[j*k : (j+nr)*k]
		for i := 0; i < c.Rows; i += mr {
			aPanel := a[i*k : (i+mr)*k]
			tile := c.F32[i*c.Stride+j:]
			rows, cols := min(mr, c.Rows-i), min(nr, c.Cols-j)
			if rows == mr && cols == nr {
				kern.Func(k, aPanel, bPanel, tile, c.Stride, accumulate)
				continue
			}
			if accumulate {
				copyTile(scratch, nr, tile, c.Stride, rows, cols)
			}
			kern.Func(k, aPanel, bPanel, scratch, nr, accumulate)
			copyTile(tile, c.Stride, scratch, nr, rows, cols)
		}
	}
}

func copyTile(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	for i := range rows {
		copy(dst[i*dstStride:i*dstStride+cols], src[i*srcStride:])
	}
}
