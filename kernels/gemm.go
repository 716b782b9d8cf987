package kernels

import (
	"fmt"
	"sync/atomic"

	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// GemmArgs says what [Engine.Gemm] shall compute.
type GemmArgs struct {
	// C (m×n) = A (m×k) · B (k×n). Any of them may be transposed. A and B are
	// of one type, fp16 or fp32; C may be of either. C overlaps neither A nor B.
	C, A, B tensor.Matrix

	// Packed is B's place for a B that was packed before; B is not looked at
	// then, and C may not be transposed.
	Packed *Packed

	// Accumulate makes it C += A·B: the chain of additions of each element
	// starts at C's value instead of zero.
	Accumulate bool

	// What follows is done to the sums before they are stored, in this order,
	// each operation rounded to float32.
	Scale float32   // a factor; 0 stands for 1
	Bias  []float32 // n values, added to every row; nil for none
	ReLU  bool      // x ≤ 0 becomes +0; a NaN stays

	// Check asks whether all of C, as stored, is finite.
	Check bool
}

// Gemm computes a matrix product. Element (i, j) of the result is
//
//	acc := float32(0)                      // or C[i,j], widened, to accumulate
//	for p := range k { acc = fma(A[i,p], B[p,j], acc) }
//	acc = acc*Scale                        // and so on, where these are asked for
//	acc = acc + Bias[j]
//	if ReLU && acc <= 0 { acc = 0 }
//	C[i,j] = acc                           // rounded to nearest even if C is fp16
//
// in exactly this order on every tier, with any number of threads. The result
// is false if Check is set and an element of C is an infinity or a NaN.
//
// It panics if the shapes do not fit each other or a matrix is not what it
// says (see [tensor.Matrix.Check]): those are mistakes of the program.
func (e *Engine) Gemm(g GemmArgs) (finite bool) {
	if err := g.check(); err != nil {
		panic("kernels: Gemm: " + err.Error())
	}
	if g.Scale == 0 {
		g.Scale = 1
	}
	p := e.products.get()
	p.GemmArgs, p.n, p.k = g, g.C.Cols, g.A.Cols
	if g.C.Trans { // Cᵀ = Bᵀ·Aᵀ, the same products in the same order
		p.C, p.A, p.B, p.n = g.C.T(), g.B.T(), g.A.T(), g.C.Rows
	}
	p.byRow = g.C.Trans
	p.elementwise = &e.elementwise
	p.plan = e.plan(g.A.DType())
	p.overflow.Store(false)
	if p.C.Rows > 0 && p.n > 0 {
		helpers := e.hire(p.C.Rows*p.n*p.k >= e.serial)
		if p.C.Rows <= thinRows && (p.Packed != nil || !p.B.Trans) {
			e.multiplyThin(p, helpers)
		} else {
			e.multiply(p, helpers)
		}
		helpers.release()
	}
	p.GemmArgs = GemmArgs{} // keep no one's memory alive
	finite = !p.overflow.Load()
	e.products.put(p)
	return finite
}

func (g *GemmArgs) check() error {
	a, b, c := g.A, g.B, g.C
	if g.Packed != nil {
		b = g.Packed.shape()
		if c.Trans {
			return fmt.Errorf("matrix C is transposed and B is packed: want it as it is")
		}
	}
	for _, m := range []struct {
		name   string
		matrix tensor.Matrix
	}{{"A", a}, {"B", b}, {"C", c}} {
		if err := m.matrix.Check(m.name); err != nil {
			return err
		}
	}
	if a.Cols != b.Rows || a.Rows != c.Rows || b.Cols != c.Cols {
		return fmt.Errorf("matrix A is %d×%d, B is %d×%d and C is %d×%d: want m×k, k×n and m×n",
			a.Rows, a.Cols, b.Rows, b.Cols, c.Rows, c.Cols)
	}
	if a.F16 != nil && b.F32 != nil || a.F32 != nil && b.F16 != nil {
		return fmt.Errorf("matrix A is %v and B is %v: want one type", a.DType(), b.DType())
	}
	if g.Bias != nil && len(g.Bias) != c.Cols {
		return fmt.Errorf("a bias of %d values and a matrix C of %d columns: want one each", len(g.Bias), c.Cols)
	}
	return nil
}

// rowUnit is what the rows of a task are a multiple of: less than MR, so that
// shares are even, and enough for a kernel to be fast with.
const rowUnit = 4

// B is packed some rows at a time, across all panels of a task: few enough that
// their lines stay in the L1 cache until the last of the panels has taken its
// part of them. That is so many elements, but no fewer rows than packSteps.
const (
	packElements = 1 << 13
	packSteps    = 16
)

// product is one call of Gemm under way: what its threads share. Products are
// used again, with the memory they hold.
type product struct {
	GemmArgs // C is not transposed
	n, k     int
	byRow    bool // Bias has a value for each row, not for each column

	*plan
	elementwise *micro.Elementwise
	overflow    atomic.Bool // whether something that is not finite was stored, if Check asks

	kc      int
	inPlace bool // operands are read where they are, as far as possible
	direct  bool // whole panels of B are read where they are, by Direct

	// The columns of B and C under way: cols of them from j0.
	j0, cols int
	a        []float32 // all of A, for a thin product that cannot use it as it is
	b        []float32 // B's, in panels of NR columns and all of k, if they are packed beforehand
	packed   bool      // whether they are

	packCols     int // the columns of a task that packs B
	mc, nc       int // the rows and columns of a task that computes C
	columnBlocks int // such tasks across
}

// The panels of B are packed beforehand, for all blocks of rows, from so many
// blocks on, or if B has more than so many elements and there are two. Otherwise
// each block packs a panel when it needs it: that writes to the L1 cache and
// not, to be read again, beyond it, but reads each row of B in small pieces.
const (
	packBefore = 5
	packAbove  = 1 << 18
)

// directStride is how far apart, in elements, rows of B are that are better
// packed: a multiple of 4096 bytes for fp16, where all of a panel shares a few
// sets of the caches.
const directStride = 1 << 11

// packCols is the least number of columns of B that are packed beforehand, as A
// is packed again for each lot of them.
const packCols = 256

// multiply runs the loops around the kernel. No dimension of C is zero.
func (e *Engine) multiply(p *product, helpers *crew) {
	nr, threads := p.kernel.NR, helpers.threads()
	m, n, k := p.C.Rows, p.n, p.k
	p.kc = split(max(k, 1), p.blocking.KC, 1)
	p.inPlace = p.A.F32 != nil && m*k+k*n <= p.inPlaceBelow
	mc := p.blocking.MC
	if n <= nr {
		// Nothing of A is used twice: better that it is still in L1 when it is used.
		mc = min(mc, max(roundDown(p.narrow/(p.kc+rowPad), p.kernel.MR), p.kernel.MR))
	}
	// As many blocks of rows for each thread as for any other and, where there
	// are too few rows for that, more blocks of columns.
	rowBlocks := ceilDiv(m, mc)
	if m >= 2*p.kernel.MR*threads {
		rowBlocks = roundUp(rowBlocks, threads)
	}
	p.mc = split(m, ceilDiv(m, rowBlocks), rowUnit)
	rowBlocks = ceilDiv(m, p.mc)
	p.direct = p.kernel.Direct != nil && (p.Packed != nil || !p.B.Trans && p.B.Stride%directStride != 0) && m <= p.kernel.DirectRows
	p.packed = !p.inPlace && !p.direct && (rowBlocks >= packBefore || rowBlocks > 1 && k*n > packAbove)
	atOnce := n
	if p.packed {
		atOnce = split(n, max(p.blocking.B/max(k, 1), packCols), nr)
		p.b = grow(p.b, k*roundUp(min(atOnce, n), nr))
	}
	for p.j0 = 0; p.j0 < n; p.j0 += atOnce {
		p.cols = min(atOnce, n-p.j0)
		if p.packed {
			p.packCols = split(p.cols, ceilDiv(p.cols, threads), nr)
			e.run(helpers, ceilDiv(p.cols, p.packCols), (*packing)(p))
		}
		p.nc = split(p.cols, min(p.blocking.NC, micro.MostElements, ceilDiv(p.cols, ceilDiv(threads, rowBlocks))), nr)
		p.columnBlocks = ceilDiv(p.cols, p.nc)
		e.run(helpers, rowBlocks*p.columnBlocks, (*computing)(p))
	}
}

// packing is the job of packing B: a task is a share of its columns.
type packing product

func (p *packing) do(task int, _ *workspace) {
	nr, k := p.kernel.NR, p.k
	from := task * p.packCols
	to := min(from+p.packCols, p.cols)
	steps := max(packElements/(to-from), packSteps)
	if p.B.Trans { // a panel has whole rows of what is stored
		steps = max(k, 1)
	}
	for q := 0; q < k; q += steps {
		rows := min(steps, k-q)
		for j := from; j < to; j += nr {
			p.kernel.Pack(p.b[j*k+q*nr:], nr, (*product)(p).blockB(q, p.j0+j, rows, min(nr, to-j)))
		}
	}
}

// blockB returns a part of B, of columns that lie together if B is packed.
func (p *product) blockB(i, j, rows, cols int) tensor.Matrix {
	if p.Packed != nil {
		return p.Packed.block(i, j, rows, cols)
	}
	return p.B.Block(i, j, rows, cols)
}

// computing is the job of computing C: a task is a block of it, and a chain of
// products, each continuing the sums of the one before.
type computing product

func (p *computing) do(task int, own *workspace) {
	nr := p.kernel.NR
	i, j := task/p.columnBlocks*p.mc, task%p.columnBlocks*p.nc
	rows, cols := min(p.mc, p.C.Rows-i), min(p.nc, p.cols-j)
	once := p.k <= p.kc // a panel's sums are complete after its first product
	stride := cols + rowPad
	if once {
		stride = nr
	}
	own.sums = grow(own.sums, rows*stride)
	for k0 := 0; k0 == 0 || k0 < p.k; k0 += p.kc {
		depth := min(p.kc, p.k-k0)
		a := (*product)(p).blockA(i, k0, rows, depth, own)
		for jj := 0; jj < cols; jj += nr {
			c := p.C.Block(i, p.j0+j+jj, rows, min(nr, cols-jj))
			sums := own.sums
			if !once {
				sums = sums[jj:]
			}
			block := (*product)(p).sums(c, sums, stride, k0 == 0)
			accumulate := k0 > 0 || p.Accumulate
			if p.direct && c.Cols == nr {
				b := (*product)(p).blockB(k0, p.j0+j+jj, depth, c.Cols)
				multiplyDirect(block, &a, b, &p.kernel, accumulate)
			} else {
				panel, row := (*product)(p).panel(k0, j+jj, depth, c.Cols, own)
				multiplyPanel(block, &a, panel, row, &p.kernel, accumulate)
			}
			if k0+p.kc >= p.k {
				(*product)(p).finish(c, block, i, p.j0+j+jj, own)
			}
		}
	}
}

// panel returns a panel of B, of the columns under way, and how far apart its
// rows are.
func (p *product) panel(k0, j, depth, width int, own *workspace) ([]float32, int) {
	nr := p.kernel.NR
	if p.packed {
		return p.b[j*p.k+k0*nr:], nr
	}
	if p.inPlace && p.Packed == nil && !p.B.Trans && width == nr && depth > 0 { // a narrow one would be read beyond its end
		return p.B.F32[k0*p.B.Stride+p.j0+j:], p.B.Stride
	}
	own.b = grow(own.b, depth*nr)
	p.kernel.Pack(own.b, nr, p.blockB(k0, p.j0+j, depth, width))
	return own.b, nr
}

// multiplyPanel multiplies a block of A by a panel of B, which is in the L1
// cache meanwhile. c is fp32.
func multiplyPanel(c tensor.Matrix, a *blockA, panel []float32, row int, kern *micro.Kernel, accumulate bool) {
	rows := c.Rows
	if a.band != 0 {
		rows = aBand
	}
	for i := 0; i < c.Rows; i += rows {
		kern.Func(a.depth, a.a[i/aBand*a.band:], a.row, a.col, panel, row, c.F32[i*c.Stride:], c.Stride,
			min(rows, c.Rows-i), c.Cols, accumulate)
	}
}

// multiplyDirect is multiplyPanel for a B that is read where it is.
func multiplyDirect(c tensor.Matrix, a *blockA, b tensor.Matrix, kern *micro.Kernel, accumulate bool) {
	rows := c.Rows
	if a.band != 0 {
		rows = aBand
	}
	for i := 0; i < c.Rows; i += rows {
		kern.Direct(a.a[i/aBand*a.band:], a.row, a.col, b, c.F32[i*c.Stride:], c.Stride, min(rows, c.Rows-i), accumulate)
	}
}

// thinRows is the most rows of a product that reads B where it is: up to there
// packing B does not pay.
const thinRows = 8

// thinSteps is how deep a part of B a thin product goes through at a time: with
// the columns of a panel of a packed matrix it is half of a small L2 cache, so
// that it is still there for the next few of its columns.
const thinSteps = 512

// multiplyThin is multiply for at most thinRows rows and a B that is not
// transposed.
func (e *Engine) multiplyThin(p *product, helpers *crew) {
	p.kc = p.k
	if p.A.F32 == nil || p.A.Trans {
		p.a = grow(p.a, p.A.Rows*p.k)
		p.kernel.Pack(p.a, p.k, p.A)
		p.A = tensor.MatrixF32(p.a, p.A.Rows, p.k)
	}
	e.run(helpers, ceilDiv(p.n, packedCols), (*thin)(p))
}

// thin is the job of computing a thin C: a task is a few of its columns.
type thin product

func (p *thin) do(task int, own *workspace) {
	j := task * packedCols
	cols := min(packedCols, p.n-j)
	c := p.C.Block(0, j, p.C.Rows, cols)
	own.sums = grow(own.sums, c.Rows*packedCols)
	sums := (*product)(p).sums(c, own.sums, packedCols, true)
	for k0 := 0; k0 == 0 || k0 < p.k; k0 += thinSteps {
		b := (*product)(p).blockB(k0, j, min(thinSteps, p.k-k0), cols)
		p.kernel.Thin(p.A.F32[min(k0, len(p.A.F32)):], p.A.Stride, b, sums.F32, sums.Stride, c.Rows, k0 > 0 || p.Accumulate)
	}
	(*product)(p).finish(c, sums, 0, j, own)
}

// sums returns where the sums of a block of C are kept. That is C itself if it
// can hold them, unless its rows are a multiple of 4096 bytes apart: those of a
// tile would share few sets of the L1 cache, once for each block of k. Else it is
// memory, with rows so far apart; the first time C's values go there.
func (p *product) sums(c tensor.Matrix, memory []float32, stride int, first bool) tensor.Matrix {
	if c.F32 != nil && (c.Stride%1024 != 0 || p.k <= p.kc) {
		return c
	}
	sums := tensor.Matrix{F32: memory, Rows: c.Rows, Cols: c.Cols, Stride: stride}
	if first && p.Accumulate {
		for r := range c.Rows {
			c.LoadRow(sums.F32[r*stride:], r)
		}
	}
	return sums
}

// finish makes a block of C, whose first element is (i, j), of its sums.
func (p *product) finish(c, sums tensor.Matrix, i, j int, own *workspace) {
	if c.F32 != nil && &c.F32[0] == &sums.F32[0] && p.Scale == 1 && p.Bias == nil && !p.ReLU && !p.Check {
		return // nothing is left to do
	}
	e := micro.Epilogue{Scale: p.Scale, ReLU: p.ReLU}
	if p.Bias != nil && !p.byRow {
		e.Bias = p.Bias[j : j+c.Cols]
	}
	rows := max(micro.MostElements/c.Cols, 1) // of a call
	if p.Bias != nil && p.byRow {
		own.bias = grow(own.bias, c.Cols)
		e.Bias, rows = own.bias, 1
	}
	for r := 0; r < c.Rows; r += rows {
		if p.Bias != nil && p.byRow {
			for col := range e.Bias {
				e.Bias[col] = p.Bias[i+r]
			}
		}
		part := c.Block(r, 0, min(rows, c.Rows-r), c.Cols)
		if !p.elementwise.Store(part, sums.F32[r*sums.Stride:], sums.Stride, e) && p.Check {
			p.overflow.Store(true)
		}
	}
}

// blockA is a block of A as kernels read it: element (i, q) is at
//
//	a[i·row + q·col]                                if it is not in bands
//	a[i/aBand·band + (i%aBand)·row + q·col]         if it is
type blockA struct {
	a        []float32
	row, col int
	depth    int
	band     int // the elements of a band of aBand rows, or 0
}

// aBand is how many rows of a transposed A lie side by side, those of several
// tiles, so that packing moves whole vectors. All MR divide it.
const aBand = 48

// rowPad keeps the rows of a block from lying a multiple of 4096 bytes apart,
// where they would share one set of the L1 cache.
const rowPad = 16

// blockA makes a block of A ready. One that is not transposed stays as it is,
// row after row; of one that is, each step's elements lie side by side.
func (p *product) blockA(i, q, rows, depth int, own *workspace) blockA {
	m := p.A.Block(i, q, rows, depth)
	if p.inPlace {
		row, col := m.Stride, 1
		if m.Trans {
			row, col = col, row
		}
		return blockA{a: m.F32, row: row, col: col, depth: depth}
	}
	own.a = grow(own.a, roundUp(rows, aBand)*(depth+rowPad))
	if !m.Trans {
		p.kernel.Pack(own.a, depth+rowPad, m)
		return blockA{a: own.a, row: depth + rowPad, col: 1, depth: depth}
	}
	for i := 0; i < rows; i += aBand {
		p.kernel.Pack(own.a[i*depth:], aBand, m.Block(i, 0, min(aBand, rows-i), depth).T())
	}
	return blockA{a: own.a, row: 1, col: aBand, depth: depth, band: aBand * depth}
}
