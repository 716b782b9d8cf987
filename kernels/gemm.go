package kernels

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// GemmArgs are the arguments of [Engine.Gemm].
type GemmArgs struct {
	// C (m×n) = A (m×k) · B (k×n). Each may be transposed. A and B have the same type,
	// fp16 or fp32; C may have either. C overlaps neither A nor B.
	C, A, B tensor.Matrix

	// Packed, if not nil, is a packed copy of B (see [Pack]) and used instead of B. C must
	// not be transposed then.
	Packed *Packed

	// Accumulate computes C += A·B: the chain of additions of each element starts from C's
	// value instead of zero.
	Accumulate bool

	// The epilogue is applied to the sums before they are stored, in this order, each
	// operation rounded to float32.
	Scale float32   // a factor; 0 means 1
	Bias  []float32 // n values, added to every row, or nil
	ReLU  bool      // turns x ≤ 0 into +0; a NaN stays

	// Check makes Gemm report whether all of C, as stored, is finite.
	Check bool

	// Consumer, if not nil, gets the sums, which are not stored. C has only a shape then,
	// not transposed, and Accumulate, the epilogue and Check are not set.
	Consumer Consumer
}

// Consumer receives a product in parts while they are still in the cache.
type Consumer interface {
	// Consume gets the part of the product whose first element is (i, j), in fp32 and not
	// transposed. Each element comes once. Several threads call Consume at a time. The
	// memory belongs to the engine; Consume may overwrite it, and does not keep it.
	Consume(i, j int, sums tensor.Matrix)
}

// Gemm computes a matrix product. Element (i, j) of the result is
//
//	acc := float32(0)                      // or C[i,j], widened, with Accumulate
//	for p := range k { acc = fma(A[i,p], B[p,j], acc) }
//	acc = acc*Scale
//	acc = acc + Bias[j]                    // with a Bias
//	if ReLU && acc <= 0 { acc = 0 }
//	C[i,j] = acc                           // rounded to nearest even if C is fp16
//
// in exactly this order on every tier, with any number of threads. Gemm returns false if
// Check is set and an element of C is an infinity or a NaN.
//
// It panics if the shapes do not fit each other or a matrix is inconsistent (see
// [tensor.Matrix.Check]), which are mistakes of the program.
func (e *Engine) Gemm(g GemmArgs) (finite bool) {
	if err := g.check(); err != nil {
		panic("kernels: Gemm: " + err.Error())
	}
	if g.Scale == 0 {
		g.Scale = 1
	}
	p := e.products.get()
	p.GemmArgs, p.n, p.k = g, g.C.Cols, g.A.Cols
	p.byRow, p.turned = g.C.Trans, e.turns(g)
	if p.byRow || p.turned { // Cᵀ = Bᵀ·Aᵀ, the same products in the same order
		p.C, p.A, p.B, p.n = g.C.T(), g.B.T(), g.A.T(), g.C.Rows
	}
	p.elementwise = &e.elementwise
	p.plan = e.plan(g.A.DType())
	p.overflow.Store(false)
	if p.C.Rows > 0 && p.n > 0 {
		serial := float64(e.serial) // in float64, where products of sizes do not overflow
		if g.Consumer != nil {
			serial *= consumerCost
		}
		helpers := e.hire(float64(p.C.Rows)*float64(p.n)*float64(p.k) >= serial)
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

// consumerCost is how many times more multiply-adds a product with a consumer needs before
// helpers pay. With few steps the consumer's memory takes most of the time, and helpers
// move it from core to core. (784×256×k with an update of the weights: at k = 1, one core
// of a Zen 4 takes 72 µs and two take 108; at k = 4 they are equal, at k = 8 two win.)
const consumerCost = 4

// turns reports whether Gemm computes the transpose of C instead. Kernels broadcast
// elements of A and fill vectors with those of B, so a narrow B leaves lanes idle.
// Computing Cᵀ = Bᵀ·Aᵀ pays if more columns would be idle than transposing A costs. A
// transposed A costs less, because its rows are already in the order that panels need.
//
// The measurement is BenchmarkNarrow, m = 784 and k = 128 on a Zen 4. A narrow C that is
// not turned takes as long as one whose columns fill the vectors:
//
//	columns                    avx512              avx2
//	turned                     12: 33 µs, 40: 87   9: 51
//	filling the vectors        16: 37 µs, 48: 95   16: 39
//	turned, A transposed       14: 32 µs           12: 39
//	not turned, A transposed   16: 38 µs           14: 43
func (e *Engine) turns(g GemmArgs) bool {
	kern := &e.plan(g.A.DType()).kernel
	vector := min(kern.NR, 16) // the multiple of columns that a kernel computes
	idle, cost := roundUp(g.C.Cols, vector)-g.C.Cols, kern.TurnCost
	if g.A.Trans {
		cost /= 3
	}
	return kern.TurnCost > 0 && idle > cost && g.C.Cols < 2*kern.NR && g.C.Rows >= 2*kern.NR &&
		!g.C.Trans && !g.Accumulate && g.Packed == nil
}

func (g *GemmArgs) check() error {
	a, b, c := g.A, g.B, g.C
	if g.Packed != nil {
		b = g.Packed.shape()
		if c.Trans {
			return fmt.Errorf("matrix C is transposed and B is packed: want a C that is not transposed")
		}
	}
	if g.Consumer != nil {
		if c.DType() != 0 || c.Trans || g.Accumulate || g.Scale != 0 || g.Bias != nil || g.ReLU || g.Check {
			return fmt.Errorf("a consumer and a C with elements, transposed, or with Accumulate, an epilogue or Check: want only C's shape")
		}
		if c.Cols > 0 && c.Rows > math.MaxInt/2/c.Cols { // C has no elements to bound it
			return fmt.Errorf("matrix C is %d×%d: more elements than an int can count", c.Rows, c.Cols)
		}
	}
	for _, m := range []struct {
		name   string
		matrix tensor.Matrix
	}{{"A", a}, {"B", b}, {"C", c}} {
		if m.name == "C" && g.Consumer != nil {
			continue
		}
		if err := m.matrix.Check(m.name); err != nil {
			return err
		}
	}
	if a.Cols != b.Rows || a.Rows != c.Rows || b.Cols != c.Cols {
		return fmt.Errorf("matrix A is %d×%d, B is %d×%d and C is %d×%d: want m×k, k×n and m×n",
			a.Rows, a.Cols, b.Rows, b.Cols, c.Rows, c.Cols)
	}
	if t := a.DType(); b.DType() != t || t != tensor.F16 && t != tensor.F32 {
		return fmt.Errorf("matrix A is %v and B is %v: want both fp16 or both fp32", t, b.DType())
	}
	if t := c.DType(); t != tensor.F16 && t != tensor.F32 && g.Consumer == nil {
		return fmt.Errorf("matrix C is %v: want fp16 or fp32", t)
	}
	if g.Bias != nil && len(g.Bias) != c.Cols {
		return fmt.Errorf("a bias of %d values and a matrix C of %d columns: want one each", len(g.Bias), c.Cols)
	}
	return nil
}

// rowUnit divides the number of rows of a task. It is less than MR, so that shares are
// even, and enough for a kernel to be fast.
const rowUnit = 4

// aliases reports whether the rows of m are a multiple of 4096 bytes apart, so that the
// rows of a panel share few sets of the caches. Such a B is packed beforehand. (On a Zen 4
// in fp16 that makes 2048×2048×2048 3 to 8 % faster and 4096×4096×512 8 %. Without
// aliasing it gains nothing at 1000×1000×1000 and loses 3 % at 2000×2016×2000.)
func aliases(m tensor.Matrix) bool {
	return !m.Trans && m.Stride*m.DType().Size()%4096 == 0
}

// fewRows is the most rows of A for which packing the rows of a large B costs more than
// it saves. In fp32 on a Zen 3, reading in place is 1.2, 1.1, 1.1, 1.0, 1.0 and 0.9 times
// as fast as packing for 24, 32, 48, 64, 96 and 128 rows and a B of 1000×1000.
const fewRows = 64

// readsInPlace reports whether the kernel reads A and B, of n columns, where they are.
// That takes operands of the panels' type. They must fit the L2 cache together, with
// room to spare, or with few rows of A the L3 cache; and the rows of B must not alias,
// unless one pass over them is enough.
//
// Medians of fp32 products by turns with everything up to half of the L3 cache read in
// place, one core: on a Zen 3 (512 KiB of L2, avx2) 1024×1024×1024 is 1.4 to 1.6 times as
// fast, 1023×1023×1023 1.5, 768×768×768 1.1 to 1.2, 1000×1000×1000 with a transposed A
// 1.4, and sizes such as 512, 1000, 1025 and 2048 are as before. On a Xeon with 2 MiB of
// L2 and avx512 the share of the peak went from 0.32 to 0.75 at 1024, from 0.37 to 0.68
// at 1023, from 0.56 to 0.73 at 1000, and from 0.65 to 0.68 at 2048.
func (p *plan) readsInPlace(a tensor.Matrix, n int, aliased bool) bool {
	below := p.inPlaceBelow
	if a.Rows <= fewRows {
		below = p.fewInPlaceBelow
	}
	return a.DType() == p.kernel.Panels && (a.Rows+n)*a.Cols <= below && (!aliased || a.Rows <= p.kernel.MR)
}

// mostCols is the most columns of a kernel's call, which bounds its time if k is small.
const mostCols = 1 << 11

// product is the state of a call of Gemm that its threads share. It is reused, with its
// memory.
type product struct {
	GemmArgs // C is not transposed, unless turned is set
	n, k     int
	turned   bool // computes C's transpose, and Bias has a value for each row
	byRow    bool // Bias has a value for each row: C was transposed

	*plan
	elementwise *micro.Elementwise
	overflow    atomic.Bool // with Check, whether a stored value is not finite

	kc      int
	strip   int  // rows of A that are prepared at a time
	inPlace bool // see readsInPlace

	j0, cols int     // the current columns of B and C: cols of them from j0
	a        scratch // all of A, converted, for a thin product that needs it
	packed   bool    // whether B is packed beforehand
	b        scratch // and its current columns then, in panels of NR columns and all of k

	packCols     int // the columns of a task that packs B
	mc, nc       int // the rows and columns of a task that computes C
	columnBlocks int // the number of such tasks across
}

// multiply runs the loops around the kernel. No dimension of C is zero.
func (e *Engine) multiply(p *product, helpers *crew) {
	nr, threads := p.kernel.NR, helpers.threads()
	m, n, k := p.C.Rows, p.n, p.k
	p.kc = split(max(k, 1), p.blocking.KC, 1)
	aliased := p.Packed == nil && aliases(p.B)
	p.inPlace = p.readsInPlace(p.A, n, aliased)
	p.strip = stripRows(p.kernel.MR, p.kc, p.stripElements)
	nc := min(max(p.blocking.NC*p.blocking.KC/p.kc, nr), n, mostCols)
	// Each thread gets the same number of blocks of rows. With too few rows for that,
	// there are more blocks of columns.
	rowBlocks := 1
	if k > p.kc {
		mc := max(p.blocking.MC*p.blocking.NC/nc, p.kernel.MR)
		rowBlocks = ceilDiv(m, mc+mc/4) // a block may have a few more rows, rather than leave a small one
	}
	if m >= 2*p.kernel.MR*threads {
		rowBlocks = roundUp(rowBlocks, threads)
	}
	p.mc = split(m, ceilDiv(m, rowBlocks), rowUnit)
	rowBlocks = ceilDiv(m, p.mc)
	p.packed = p.Packed == nil && !p.inPlace && (p.B.Trans || aliased) && rowBlocks > 1
	atOnce, unit := n, nr
	if p.packed {
		atOnce = split(n, max(p.blocking.B/max(k, 1), nr), nr)
		p.b.grow(p.kernel.Panels, k*roundUp(min(atOnce, n), nr))
	}
	if p.Packed != nil {
		unit = packedCols
	}
	for p.j0 = 0; p.j0 < n; p.j0 += atOnce {
		p.cols = min(atOnce, n-p.j0)
		if p.packed {
			p.packCols = split(p.cols, ceilDiv(p.cols, threads), nr)
			e.run(helpers, ceilDiv(p.cols, p.packCols), (*packing)(p))
		}
		p.nc = split(p.cols, min(nc, ceilDiv(p.cols, ceilDiv(threads, rowBlocks))), unit)
		p.columnBlocks = ceilDiv(p.cols, p.nc)
		e.run(helpers, rowBlocks*p.columnBlocks, (*computing)(p))
	}
}

// stripRows returns the number of rows of a strip of A that is depth columns deep: the
// largest that has at most most elements, but no fewer rows than a few tiles. It is a
// multiple of mr that divides aBand.
func stripRows(mr, depth, most int) int {
	const least = 12
	rows := aBand
	for rows/2 >= least && rows/2%mr == 0 && rows*depth > most {
		rows /= 2
	}
	return rows
}

// packing is the job that packs B beforehand, in tasks of some columns each. It pays if B
// is transposed or its rows alias, and several tasks would otherwise pack the same part.
type packing product

func (p *packing) do(task int, _ *workspace) {
	nr := p.kernel.NR
	from := task * p.packCols
	to := min(from+p.packCols, p.cols)
	steps := max(packElements/(to-from), packSteps)
	if p.B.Trans { // a panel's columns are stored rows
		steps = p.kc
	}
	for q := 0; q < p.k; q += steps {
		for j := from; j < to; j += nr {
			(*product)(p).pack(p.b.From(j*p.k+q*nr), q, p.j0+j, min(steps, p.k-q), min(nr, to-j))
		}
	}
}

// A task packs packElements elements at a time, but at least packSteps rows, across all of
// its panels, so that it reads B in memory order.
const (
	packElements = 1 << 13
	packSteps    = 16
)

// pack packs rows of B from (i, j) on, of at most a panel's columns.
func (p *product) pack(dst tensor.Elements, i, j, rows, cols int) {
	p.kernel.Pack(dst, p.kernel.NR, p.blockB(i, j, rows, cols))
}

// blockB returns a block of B or Packed. With Packed, its columns lie in one panel.
func (p *product) blockB(i, j, rows, cols int) tensor.Matrix {
	if p.Packed != nil {
		return p.Packed.block(i, j, rows, cols)
	}
	return p.B.Block(i, j, rows, cols)
}

// computing is the job that computes C, a block a task. A task goes through k in steps of
// KC, each of which continues the sums of the one before. For each step it prepares A
// strip by strip, in the L1 cache, and multiplies the strip by the block of B, which stays
// in the L2 cache for the following strips.
type computing product

func (p *computing) do(task int, own *workspace) {
	i, j := task/p.columnBlocks*p.mc, task%p.columnBlocks*p.nc
	rows, cols := min(p.mc, p.C.Rows-i), min(p.nc, p.cols-j)
	stride := cols + rowPad
	once := p.k <= p.kc // sums are complete after the first step
	if once {
		own.sums = grow(own.sums, p.strip*stride)
	} else {
		own.sums = grow(own.sums, rows*stride)
	}
	for k0 := 0; k0 == 0 || k0 < p.k; k0 += p.kc {
		depth := min(p.kc, p.k-k0)
		for r := 0; r < rows; r += p.strip {
			c := p.C.Block(i+r, p.j0+j, min(p.strip, rows-r), cols)
			memory := own.sums
			if !once {
				memory = memory[r*stride:]
			}
			sums, ldc := (*product)(p).sums(c, memory, stride, k0 == 0)
			s := strip{
				Call: micro.Call{K: depth, C: sums, LDC: ldc, Rows: c.Rows, Cols: cols, Accumulate: k0 > 0 || p.Accumulate},
				i:    i + r, j: p.j0 + j, k: k0, last: k0+p.kc >= p.k,
			}
			(*product)(p).ready(&s.Call, i, r, k0, rows, own)
			(*product)(p).multiplyStrip(s, r == 0, own)
		}
	}
}

// strip is a call of a kernel: for a strip of A or some of its rows, and for all columns
// of a task or some.
type strip struct {
	micro.Call
	i, j, k int  // the first row and column of C, and the first step
	last    bool // whether the sums are complete afterwards
}

// from returns s without its first rows and columns. It leaves B alone.
func (s *strip) from(rows, cols int) strip {
	x := *s
	x.i, x.Rows, x.A = s.i+rows, s.Rows-rows, s.A.From(rows*s.ARow)
	x.j, x.Cols, x.C = s.j+cols, s.Cols-cols, s.C[rows*s.LDC+cols:]
	return x
}

// aBand is the number of rows of a transposed A that are packed side by side, so that
// packing moves whole vectors. It is a multiple of every MR, and so has several strips.
const aBand = 48

// rowPad is the number of unused elements between the rows of a block, which keep them
// from being a multiple of 4096 bytes apart and sharing a set of the L1 cache.
const rowPad = 16

// ready prepares the rows of a block of A from r on, and points x at them. An A that is
// not transposed stays row after row. In a transposed one each step's elements are side by
// side, and several strips are packed at once.
func (p *product) ready(x *micro.Call, i, r, k0, rows int, own *workspace) {
	if p.inPlace {
		m := p.A.Block(i+r, k0, x.Rows, x.K)
		x.A, x.ARow, x.ACol = m.Elements, m.Stride, 1
		if m.Trans {
			x.ARow, x.ACol = 1, m.Stride
		}
		return
	}
	if !p.A.Trans {
		x.ARow, x.ACol = x.K+rowPad, 1
		own.a.grow(p.kernel.Panels, p.strip*x.ARow)
		p.kernel.Pack(own.a.Elements, x.ARow, p.A.Block(i+r, k0, x.Rows, x.K))
		x.A = own.a.Elements
		return
	}
	band := min(aBand, roundUp(rows, 16))
	x.ARow, x.ACol = 1, band
	if r%band == 0 {
		own.a.grow(p.kernel.Panels, band*x.K)
		p.kernel.Pack(own.a.Elements, band, p.A.Block(i+r, k0, min(band, rows-r), x.K).T())
	}
	x.A = own.a.From(r % band)
}

// multiplyStrip multiplies a strip of A by a block of B. The first strip of a task packs
// the block for the others, unless B was packed beforehand or is read in place.
func (p *product) multiplyStrip(s strip, first bool, own *workspace) {
	nr := p.kernel.NR
	if p.packed {
		s.B, s.BRow, s.BPanel = p.b.From((s.j-p.j0)*p.k+s.k*nr), nr, p.k*nr
		p.multiplyPanels(&s, own)
		return
	}
	if first {
		own.b.grow(p.kernel.Panels, s.K*roundUp(s.Cols, nr))
		if mr := p.kernel.MR; s.Rows > mr { // the first rows pack B, in one pass over it
			head := s
			head.Rows = mr
			p.multiplyStrip(head, true, own)
			s, first = s.from(mr, 0), false
		}
	}
	atOnce := s.Cols
	if p.Packed != nil {
		atOnce = packedCols
	}
	for from := 0; from < s.Cols; from += atOnce {
		x := s.from(0, from)
		x.Cols = min(atOnce, x.Cols)
		x.B, x.BRow, x.BPanel = own.b.From(from*x.K), nr, x.K*nr
		if whole := roundDown(x.Cols, nr); whole > 0 && (first || p.inPlace) && (p.Packed != nil || !p.B.Trans) {
			y, b := x, p.blockB(x.k, x.j, x.K, whole)
			y.Cols = whole
			if p.inPlace {
				y.B, y.BRow, y.BPanel = b.Elements, b.Stride, nr
				p.multiplyPanels(&y, own)
			} else {
				p.kernel.Widen(y.Call, b)
				p.finish(&y, own)
			}
			if whole == x.Cols {
				continue
			}
			x = x.from(0, whole)
			x.B = x.B.From(whole * x.K)
		}
		// A ragged panel, or after the first strip all columns.
		if first {
			for q := 0; q < x.Cols; q += nr {
				p.pack(x.B.From(q*x.K), x.k, x.j+q, x.K, min(nr, x.Cols-q))
			}
		}
		p.multiplyPanels(&x, own)
	}
}

// multiplyPanels multiplies by packed panels of B.
func (p *product) multiplyPanels(s *strip, own *workspace) {
	whole := roundDown(s.Cols, p.kernel.NR)
	if !s.last || p.kernel.Finish == nil || p.C.DType() != tensor.F16 || p.turned || whole == 0 || p.byRow && p.Bias != nil {
		p.kernel.Func(s.Call)
		p.finish(s, own)
		return
	}
	x := *s
	x.Cols = whole
	e := micro.Epilogue{Scale: p.Scale, ReLU: p.ReLU}
	if p.Bias != nil {
		e.Bias = p.Bias[s.j : s.j+whole]
	}
	if !p.kernel.Finish(x.Call, p.C.Block(s.i, s.j, s.Rows, whole), e) && p.Check {
		p.overflow.Store(true)
	}
	if whole < s.Cols {
		b := s.B.From(whole / p.kernel.NR * s.BPanel)
		rest := s.from(0, whole)
		rest.B = b
		p.kernel.Func(rest.Call)
		p.finish(&rest, own)
	}
}

// thinRows is the most rows for which a product reads B in place, as packing does not pay.
const thinRows = 8

// thinSteps is the number of rows of B that a thin product takes at a time. With the
// columns of a panel of [Packed] they fill half of a small L2 cache, so that they are
// still there for the panel's next columns.
const thinSteps = 512

// multiplyThin is multiply for at most thinRows rows and a B that is not
// transposed.
func (e *Engine) multiplyThin(p *product, helpers *crew) {
	p.kc = p.k
	if p.A.DType() != p.kernel.Panels || p.A.Trans {
		p.a.grow(p.kernel.Panels, p.A.Rows*p.k)
		p.kernel.Pack(p.a.Elements, p.k, p.A)
		p.A = tensor.Matrix{Rows: p.A.Rows, Cols: p.k, Stride: p.k, Elements: p.a.Elements}
	}
	e.run(helpers, ceilDiv(p.n, packedCols), (*thin)(p))
}

// thin is the job that computes a thin C, in tasks of some columns each.
type thin product

func (p *thin) do(task int, own *workspace) {
	j := task * packedCols
	cols := min(packedCols, p.n-j)
	c := p.C.Block(0, j, p.C.Rows, cols)
	own.sums = grow(own.sums, c.Rows*packedCols)
	sums, ldc := (*product)(p).sums(c, own.sums, packedCols, true)
	for k0 := 0; k0 == 0 || k0 < p.k; k0 += thinSteps {
		b := (*product)(p).blockB(k0, j, min(thinSteps, p.k-k0), cols)
		p.kernel.Thin(micro.Call{
			K: b.Rows, A: p.A.Elements.From(k0), ARow: p.A.Stride, ACol: 1,
			C: sums, LDC: ldc, Rows: c.Rows, Cols: cols, Accumulate: k0 > 0 || p.Accumulate,
		}, b)
	}
	(*product)(p).finish(&strip{Call: micro.Call{C: sums, LDC: ldc, Rows: c.Rows, Cols: cols}, j: j, last: true}, own)
}

// setRows is the most rows of a tile that stay in the L1 cache together if they alias: the
// number of its ways.
const setRows = 8

// sums returns the memory for the sums of a block of C, and its stride. That is C itself if it can hold
// them, unless its rows alias, a tile has more of them than the L1 cache keeps, and there
// are several blocks over k. Otherwise it is memory, of the given stride, and C's values go
// there the first time. (Six-row tiles of fp32 products by avx2, directly in a C that
// aliases, on a Zen 3: 1.04 times as fast at 1024×1024×1024, 1.08 at 512×2048×1024.)
func (p *product) sums(c tensor.Matrix, memory []float32, stride int, first bool) ([]float32, int) {
	if c.DType() == tensor.F32 && !p.turned && (!aliases(c) || p.kernel.MR <= setRows || p.k <= p.kc) {
		return c.Elements.F32(), c.Stride
	}
	if first && p.Accumulate {
		for r := range c.Rows {
			c.LoadRow(memory[r*stride:], r)
		}
	}
	return memory, stride
}

// finish stores a part of C, or passes it to the consumer, if its sums are complete.
func (p *product) finish(s *strip, own *workspace) {
	if !s.last {
		return
	}
	i, j, rows, cols := s.i, s.j, s.Rows, s.Cols
	sums, stride := s.C, s.LDC
	c := p.C.Block(i, j, rows, cols)
	if p.turned {
		own.turned = grow(own.turned, rows*cols)
		m := tensor.Matrix{Rows: rows, Cols: cols, Stride: stride, Elements: tensor.Of(sums)}
		p.kernel.Pack(tensor.Of(own.turned), rows, m.T())
		c, sums, stride = c.T(), own.turned, rows
		i, j, rows, cols = j, i, cols, rows
	}
	if p.Consumer != nil {
		p.Consumer.Consume(i, j, tensor.Matrix{Rows: rows, Cols: cols, Stride: stride, Elements: tensor.Of(sums)})
		return
	}
	if c.DType() == tensor.F32 && &c.Elements.F32()[0] == &sums[0] && p.Scale == 1 && p.Bias == nil && !p.ReLU && !p.Check {
		return // the sums are C
	}
	e := micro.Epilogue{Scale: p.Scale, ReLU: p.ReLU}
	if p.Bias != nil && !p.byRow {
		e.Bias = p.Bias[j : j+cols]
	}
	if p.Bias == nil && c.Stride == cols && stride == cols && rows*cols <= micro.MostElements { // rows without gaps are one row
		rows, cols = 1, rows*cols
		c.Rows, c.Cols = rows, cols
	}
	atOnce := max(micro.MostElements/cols, 1) // rows of a call
	if p.Bias != nil && p.byRow {
		own.bias = grow(own.bias, cols)
		e.Bias, atOnce = own.bias, 1
	}
	for r := 0; r < rows; r += atOnce {
		if p.Bias != nil && p.byRow {
			for col := range e.Bias {
				e.Bias[col] = p.Bias[i+r]
			}
		}
		part := c.Block(r, 0, min(atOnce, rows-r), cols)
		if !p.elementwise.Store(part, sums[r*stride:], stride, e) && p.Check {
			p.overflow.Store(true)
		}
	}
}
