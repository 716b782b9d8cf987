package kernels

import (
	"fmt"
	"math"
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

	// Consumer gets the sums instead of C, which has a shape but no elements then.
	// There is nothing to accumulate, and none of what is done before sums are stored.
	Consumer Consumer
}

// Consumer takes the elements of a product as they get ready, out of the cache.
type Consumer interface {
	// Consume gets some rows and columns of the product, in fp32 and not transposed,
	// whose first element is (i, j). Each element comes once, to whichever thread
	// computed it. The memory is the engine's, and Consume may change it.
	Consume(i, j int, sums tensor.Matrix)
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

// consumerCost is how many times larger than others a product has to be for helpers to
// be worth it, if it has a consumer: where there are few steps, the consumer's memory
// is what takes time, and then goes from core to core. (784×256×1 with an update of the
// weights takes 72 µs on one core of a Zen 4, 108 µs on two; with 4 steps two are as
// good as one, with 8 better.)
const consumerCost = 4

// turns returns whether the transpose of a narrow C is computed instead. A kernel
// broadcasts the elements of A, and those of B fill its vectors, so that it is
// better for B to be the one that is wide, if more columns would be idle than it
// costs to turn A into panels; a transposed A has not to be turned.
//
// BenchmarkNarrow is the measurement: not turned, a C takes as long as one whose
// columns fill the vectors. On a Zen 4, of m = 784 and k = 128, 12 columns take
// 33 µs on AVX-512 and 16 take 37, 40 take 87 and 48 take 95; with a transposed A
// 14 take 32 and 16 take 38. AVX2 takes longer to turn: 9 columns 51 µs, and 16
// take 39; with a transposed A 12 take 39, and 14, which are not turned, 43.
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
			return fmt.Errorf("matrix C is transposed and B is packed: want it as it is")
		}
	}
	if g.Consumer != nil {
		if c.F16 != nil || c.F32 != nil || c.Trans || g.Accumulate || g.Scale != 0 || g.Bias != nil || g.ReLU || g.Check {
			return fmt.Errorf("a consumer, and something that is to be done to C: want only its shape")
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

// aliases reports whether the rows of m are a multiple of 4096 bytes apart, so that a
// panel's rows share a few sets of the caches. Such a B is packed beforehand. (In fp16
// on a Zen 4 that makes 2048×2048×2048 3 to 8 % faster, 4096×4096×512 8 %;
// 1000×1000×1000, whose rows do not alias, gains nothing, 2000×2016×2000 loses 3 %.)
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

// mostCols is the most columns that a kernel is given at once, so that its time
// is bounded where k is small.
const mostCols = 1 << 11

// product is one call of Gemm under way: what its threads share. Products are
// used again, with the memory they hold.
type product struct {
	GemmArgs // C is not transposed, unless it is turned
	n, k     int
	turned   bool // C's transpose is computed; Bias has a value for each row then too
	byRow    bool // Bias has a value for each row, not for each column

	*plan
	elementwise *micro.Elementwise
	overflow    atomic.Bool // whether something that is not finite was stored, if Check asks

	kc      int
	strip   int  // rows of A that are made ready at a time
	inPlace bool // operands are read where they are, as far as possible

	// The columns of B and C under way: cols of them from j0.
	j0, cols int
	a        micro.Operand // all of A, for a thin product that cannot use it as it is
	b        micro.Operand // B's, in panels of NR columns and all of k, if they are packed beforehand
	packed   bool          // whether they are

	packCols     int // the columns of a task that packs B
	mc, nc       int // the rows and columns of a task that computes C
	columnBlocks int // such tasks across
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
	// As many blocks of rows for each thread as for any other and, where there
	// are too few rows for that, more blocks of columns.
	rowBlocks := 1
	if k > p.kc {
		mc := max(p.blocking.MC*p.blocking.NC/nc, p.kernel.MR)
		rowBlocks = ceilDiv(m, mc+mc/4) // rather some more rows than a few in a block of their own
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
		p.grow(&p.b, k*roundUp(min(atOnce, n), nr))
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

// grow makes n elements of the panels' type of memory, as the function grow does.
func (p *product) grow(memory *micro.Operand, n int) {
	if p.kernel.Panels == tensor.F16 {
		memory.F16 = grow(memory.F16, n)
	} else {
		memory.F32 = grow(memory.F32, n)
	}
}

// operand returns the elements of m.
func operand(m tensor.Matrix) micro.Operand { return micro.Operand{F32: m.F32, F16: m.F16} }

// stripRows returns how many rows of A, depth deep, make at most so many
// elements, but a few tiles of small kernels at least: a multiple of MR that
// divides aBand.
func stripRows(mr, depth, most int) int {
	const least = 12
	rows := aBand
	for rows/2 >= least && rows/2%mr == 0 && rows*depth > most {
		rows /= 2
	}
	return rows
}

// packing is the job of packing B beforehand, which is done if it lies badly and
// more than one task would have to: a task is a share of its columns.
type packing product

func (p *packing) do(task int, _ *workspace) {
	nr := p.kernel.NR
	from := task * p.packCols
	to := min(from+p.packCols, p.cols)
	steps := max(packElements/(to-from), packSteps)
	if p.B.Trans { // a panel has whole rows of what is stored
		steps = p.kc
	}
	for q := 0; q < p.k; q += steps {
		for j := from; j < to; j += nr {
			(*product)(p).pack(p.b.From(j*p.k+q*nr), q, p.j0+j, min(steps, p.k-q), min(nr, to-j))
		}
	}
}

// B is packed some rows at a time, across all panels of a task: they are read in
// the order in which they lie. That is so many elements, but no fewer rows than
// packSteps.
const (
	packElements = 1 << 13
	packSteps    = 16
)

// pack packs some rows of columns of B that make a panel, or less.
func (p *product) pack(dst micro.Operand, i, j, rows, cols int) {
	p.kernel.Pack(dst, p.kernel.NR, p.blockB(i, j, rows, cols))
}

// blockB returns a part of B, of columns that lie together if B is packed.
func (p *product) blockB(i, j, rows, cols int) tensor.Matrix {
	if p.Packed != nil {
		return p.Packed.block(i, j, rows, cols)
	}
	return p.B.Block(i, j, rows, cols)
}

// computing is the job of computing C: a task is a block of it, and a chain of
// products, each continuing the sums of the one before. Strip by strip, the
// rows of A are made ready, which stay in the L1 cache meanwhile, and multiplied
// by the block of B, which stays in the L2 cache for the strips to come.
type computing product

func (p *computing) do(task int, own *workspace) {
	i, j := task/p.columnBlocks*p.mc, task%p.columnBlocks*p.nc
	rows, cols := min(p.mc, p.C.Rows-i), min(p.nc, p.cols-j)
	stride := cols + rowPad
	once := p.k <= p.kc // a strip's sums are complete after its first product
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
			sums := (*product)(p).sums(c, memory, stride, k0 == 0)
			s := strip{
				Call: micro.Call{K: depth, C: sums.F32, LDC: sums.Stride, Rows: c.Rows, Cols: cols, Accumulate: k0 > 0 || p.Accumulate},
				i:    i + r, j: p.j0 + j, k: k0, last: k0+p.kc >= p.k,
			}
			(*product)(p).ready(&s.Call, i, r, k0, rows, own)
			(*product)(p).multiplyStrip(s, r == 0, own)
		}
	}
}

// strip is what a kernel is asked to do for a strip of A or some of its rows, and
// for all columns of a task or some.
type strip struct {
	micro.Call
	i, j, k int  // the first row and column of C, and the first step
	last    bool // whether the sums are complete then
}

// from returns s without its first rows and columns; B is not looked at.
func (s *strip) from(rows, cols int) strip {
	x := *s
	x.i, x.Rows, x.A = s.i+rows, s.Rows-rows, s.A.From(rows*s.ARow)
	x.j, x.Cols, x.C = s.j+cols, s.Cols-cols, s.C[rows*s.LDC+cols:]
	return x
}

// aBand is how many rows of a transposed A lie side by side, those of several
// strips, so that packing moves whole vectors. All MR divide it.
const aBand = 48

// rowPad keeps the rows of a block from lying a multiple of 4096 bytes apart,
// where they would share one set of the L1 cache.
const rowPad = 16

// ready makes row r and those after it of a block of A ready for x. A strip that
// is not transposed stays as it is, row after row; of one that is, each step's
// elements lie side by side, and several strips are made ready at once.
func (p *product) ready(x *micro.Call, i, r, k0, rows int, own *workspace) {
	if p.inPlace {
		m := p.A.Block(i+r, k0, x.Rows, x.K)
		x.A, x.ARow, x.ACol = operand(m), m.Stride, 1
		if m.Trans {
			x.ARow, x.ACol = 1, m.Stride
		}
		return
	}
	if !p.A.Trans {
		x.ARow, x.ACol = x.K+rowPad, 1
		p.grow(&own.a, p.strip*x.ARow)
		p.kernel.Pack(own.a, x.ARow, p.A.Block(i+r, k0, x.Rows, x.K))
		x.A = own.a
		return
	}
	band := min(aBand, roundUp(rows, 16))
	x.ARow, x.ACol = 1, band
	if r%band == 0 {
		p.grow(&own.a, band*x.K)
		p.kernel.Pack(own.a, band, p.A.Block(i+r, k0, min(band, rows-r), x.K).T())
	}
	x.A = own.a.From(r % band)
}

// multiplyStrip multiplies a strip of A by a block of B. The first strip of a task
// finds B as it is and leaves it packed for the others.
func (p *product) multiplyStrip(s strip, first bool, own *workspace) {
	nr := p.kernel.NR
	if p.packed {
		s.B, s.BRow, s.BPanel = p.b.From((s.j-p.j0)*p.k+s.k*nr), nr, p.k*nr
		p.multiplyPanels(&s, own)
		return
	}
	if first {
		p.grow(&own.b, s.K*roundUp(s.Cols, nr))
		if mr := p.kernel.MR; s.Rows > mr { // no more than these leave it packed
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
				y.B, y.BRow, y.BPanel = operand(b), b.Stride, nr
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
		// The rest of the columns: a ragged panel, or all after the first strip.
		if first {
			for q := 0; q < x.Cols; q += nr {
				p.pack(x.B.From(q*x.K), x.k, x.j+q, x.K, min(nr, x.Cols-q))
			}
		}
		p.multiplyPanels(&x, own)
	}
}

// multiplyPanels multiplies by panels of B that are ready.
func (p *product) multiplyPanels(s *strip, own *workspace) {
	whole := roundDown(s.Cols, p.kernel.NR)
	if !s.last || p.kernel.Finish == nil || p.C.F16 == nil || p.turned || whole == 0 || p.byRow && p.Bias != nil {
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
	if p.A.DType() != p.kernel.Panels || p.A.Trans {
		p.grow(&p.a, p.A.Rows*p.k)
		p.kernel.Pack(p.a, p.k, p.A)
		if rows := p.A.Rows; p.kernel.Panels == tensor.F16 {
			p.A = tensor.MatrixF16(p.a.F16, rows, p.k)
		} else {
			p.A = tensor.MatrixF32(p.a.F32, rows, p.k)
		}
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
		p.kernel.Thin(micro.Call{
			K: b.Rows, A: operand(p.A).From(k0), ARow: p.A.Stride, ACol: 1,
			C: sums.F32, LDC: sums.Stride, Rows: c.Rows, Cols: cols, Accumulate: k0 > 0 || p.Accumulate,
		}, b)
	}
	(*product)(p).finish(&strip{Call: micro.Call{C: sums.F32, LDC: sums.Stride, Rows: c.Rows, Cols: cols}, j: j, last: true}, own)
}

// sums returns where the sums of a block of C are kept. That is C itself if it
// can hold them, unless its rows are a multiple of 4096 bytes apart: those of a
// tile would share few sets of the L1 cache, once for each block of k. Else it is
// memory, with rows so far apart; the first time C's values go there.
func (p *product) sums(c tensor.Matrix, memory []float32, stride int, first bool) tensor.Matrix {
	if c.F32 != nil && !p.turned && (c.Stride%1024 != 0 || p.k <= p.kc) {
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

// finish makes some of C of its sums, if they are complete.
func (p *product) finish(s *strip, own *workspace) {
	if !s.last {
		return
	}
	i, j, rows, cols := s.i, s.j, s.Rows, s.Cols
	sums, stride := s.C, s.LDC
	c := p.C.Block(i, j, rows, cols)
	if p.turned {
		own.turned = grow(own.turned, rows*cols)
		m := tensor.Matrix{F32: sums, Rows: rows, Cols: cols, Stride: stride}
		p.kernel.Pack(micro.Operand{F32: own.turned}, rows, m.T())
		c, sums, stride = c.T(), own.turned, rows
		i, j, rows, cols = j, i, cols, rows
	}
	if p.Consumer != nil {
		p.Consumer.Consume(i, j, tensor.Matrix{F32: sums, Rows: rows, Cols: cols, Stride: stride})
		return
	}
	if c.F32 != nil && &c.F32[0] == &sums[0] && p.Scale == 1 && p.Bias == nil && !p.ReLU && !p.Check {
		return // nothing is left to do
	}
	e := micro.Epilogue{Scale: p.Scale, ReLU: p.ReLU}
	if p.Bias != nil && !p.byRow {
		e.Bias = p.Bias[j : j+cols]
	}
	if p.Bias == nil && c.Stride == cols && stride == cols && rows*cols <= micro.MostElements { // it might as well be one row
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
