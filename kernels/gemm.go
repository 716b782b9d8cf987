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

// serialBelow is the number of multiply-adds under which a product is computed
// by the caller alone: waking another thread costs some microseconds.
const serialBelow = 1 << 17

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
	if g.C.Rows*g.C.Cols*k < serialBelow {
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
		return fmt.Errorf("A is %d×%d, B is %d×%d and C is %d×%d: want m×k, k×n and m×n",
			a.Rows, a.Cols, b.Rows, b.Cols, c.Rows, c.Cols)
	}
	if a.F16 != nil && b.F32 != nil || a.F32 != nil && b.F16 != nil {
		return fmt.Errorf("A is %v and B is %v: want one type", a.DType(), b.DType())
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

// multiply runs the loops around the kernel. C is not transposed, and no
// dimension is zero.
func (e *Engine) multiply(g GemmArgs, p *plan, threads int) {
	mr, nr := p.kernel.MR, p.kernel.NR
	m, n, k := g.C.Rows, g.C.Cols, g.A.Cols
	nc := split(n, p.blocking.NC, nr)
	kc := split(k, p.blocking.KC, 1)
	// Enough blocks of rows for all threads and, where there are too few rows
	// for that, several pieces of each block's columns.
	mc := min(split(m, p.blocking.MC, mr), split(m, (m+threads-1)/threads, mr))
	rowBlocks := ceilDiv(m, mc)
	pieces := ceilDiv(threads, rowBlocks)

	shared := e.workspaces.get()
	defer e.workspaces.put(shared)
	shared.b = grow(shared.b, kc*roundUp(min(nc, n), nr))

	for j0 := 0; j0 < n; j0 += nc {
		cols := min(nc, n-j0)
		c := g.C.Block(0, j0, m, cols)
		sums := c
		if c.F16 != nil { // which cannot hold partial sums, so they have a place of their own
			shared.sums = grow(shared.sums, m*cols)
			sums = tensor.MatrixF32(shared.sums, m, cols)
		}
		packCols := split(cols, ceilDiv(cols, threads), nr)
		pieceCols := split(cols, ceilDiv(cols, pieces), nr)
		columnBlocks := ceilDiv(cols, pieceCols)

		for k0 := 0; k0 < k; k0 += kc {
			depth := min(kc, k-k0)
			first, last := k0 == 0, k0+depth == k

			parallel(threads, ceilDiv(cols, packCols), func(task int) {
				own := e.workspaces.get()
				defer e.workspaces.put(own)
				own.run = grow(own.run, depth)
				from := task * packCols
				b := g.B.Block(k0, j0+from, depth, min(packCols, cols-from))
				pack(shared.b[from*depth:], b, nr, own.run)
			})

			parallel(threads, rowBlocks*columnBlocks, func(task int) {
				own := e.workspaces.get()
				defer e.workspaces.put(own)
				i, j := task/columnBlocks*mc, task%columnBlocks*pieceCols
				rows, width := min(mc, m-i), min(pieceCols, cols-j)

				own.run = grow(own.run, depth)
				own.a = grow(own.a, depth*roundUp(rows, mr))
				pack(own.a, g.A.Block(i, k0, rows, depth).T(), mr, own.run)

				target := sums.Block(i, j, rows, width)
				if c.F16 != nil && first && g.Accumulate {
					source := c.Block(i, j, rows, width)
					for r := range rows {
						source.LoadRow(target.F32[r*target.Stride:], r)
					}
				}
				own.tile = grow(own.tile, mr*nr)
				multiplyBlock(target, own.a, shared.b[j*depth:], depth, &p.kernel, own.tile, !first || g.Accumulate)
				if c.F16 != nil && last {
					result := c.Block(i, j, rows, width)
					for r := range rows {
						result.StoreRow(target.F32[r*target.Stride:], r)
					}
				}
			})
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
