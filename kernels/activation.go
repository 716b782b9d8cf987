package kernels

import (
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/halfgrad/halfgrad/kernels/generic"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Activation is a function that is applied to every element of a tensor.
type Activation = micro.Activation

// The activations.
const (
	Exp      = micro.Exp
	Sigmoid  = micro.Sigmoid
	Tanh     = micro.Tanh
	SiLU     = micro.SiLU
	GELU     = micro.GELU
	GELUTanh = micro.GELUTanh
)

// The tensors below may be of fp16, bf16 and fp32, each of its own type. Elements are
// widened to fp32, computed there, and rounded once, to nearest even, when they are stored.
// A result may be the same tensor as an operand, of the same type, and overlaps nothing
// else. The methods panic if a tensor has integers, or not as many elements as the others.

// Activate applies an activation to every element of src. Package portable has the
// functions and the bounds of their errors.
func (e *Engine) Activate(a Activation, dst, src *tensor.Tensor) {
	p := e.vectors.get()
	p.set("Activate", dst, src, nil)
	p.f = e.vector.Forward[a]
	e.overElements(p)
}

// ActivateBackward computes the gradient dx by the input x of an activation from the
// gradient dy by its output y: dx = dy·f′(x). saved is y if [Activation.FromOutput], else x.
func (e *Engine) ActivateBackward(a Activation, dx, dy, saved *tensor.Tensor) {
	p := e.vectors.get()
	p.set("ActivateBackward", dx, dy, saved)
	p.f = e.vector.Backward[a]
	e.overElements(p)
}

// Add sets dst to a + b, element by element.
func (e *Engine) Add(dst, a, b *tensor.Tensor) {
	p := e.vectors.get()
	p.set("Add", dst, a, b)
	p.f = e.vector.Add
	e.overElements(p)
}

// Multiply sets dst to a·b, element by element.
func (e *Engine) Multiply(dst, a, b *tensor.Tensor) {
	p := e.vectors.get()
	p.set("Multiply", dst, a, b)
	p.f = e.vector.Multiply
	e.overElements(p)
}

// Scale sets dst to src·factor, element by element.
func (e *Engine) Scale(dst, src *tensor.Tensor, factor float32) {
	p := e.vectors.get()
	p.set("Scale", dst, src, nil)
	p.f, p.factor = e.vector.Scale, factor
	e.overElements(p)
}

// Softmax sets each row of dst, along the last dimension, to the softmax of that of src:
//
//	m := the largest element of the row
//	y[i] = portable.Exp32(x[i] - m)
//	s[l] = y[l] + y[l+16] + y[l+32] + …     // 16 sums, each in this order
//	y[i] = y[i] * (1 / the sum of s)        // a tree, see micro.VectorCall.Sum
//
// A row that has a NaN or a positive infinity, or has negative infinities only, becomes
// NaN. dst has the shape of src.
func (e *Engine) Softmax(dst, src *tensor.Tensor) {
	p := e.vectors.get()
	p.set("Softmax", dst, src, nil)
	e.overRows(p, "Softmax", src, (*vectorPass).softmax)
}

// SoftmaxBackward computes the gradient dx by the input of softmax from the gradient dy by
// its output y, row by row along the last dimension:
//
//	s[l] = fma(dy[l+16], y[l+16], fma(dy[l], y[l], 0)) …   // 16 sums, as for Softmax
//	dx[i] = y[i] * (dy[i] - the sum of s)
func (e *Engine) SoftmaxBackward(dx, dy, y *tensor.Tensor) {
	p := e.vectors.get()
	p.set("SoftmaxBackward", dx, dy, y)
	e.overRows(p, "SoftmaxBackward", y, (*vectorPass).softmaxBackward)
}

// FiniteTensor reports whether t has neither an infinity nor a NaN.
func (e *Engine) FiniteTensor(t *tensor.Tensor) bool {
	switch t.DType() {
	case tensor.F32:
		return e.Finite(t.F32(), 1)
	case tensor.F16, tensor.BF16:
		p := e.vectors.get()
		p.x = t.Elements()
		p.notFinite.Store(false)
		p.run(e, t.Len(), micro.MostElements, 64, t.Len() >= serialElements, (*vectorPass).finiteHalves)
		finite := !p.notFinite.Load()
		e.vectorDone(p)
		return finite
	}
	return true
}

// Parallel calls body for parts of the indices 0 … n-1 that together are all of them, each
// once, in the engine's threads, and returns when all calls have. A part from, …, to-1 has
// at most atOnce indices. If there is one part, or if the threads are busy, the caller does
// all the work alone. body may call the engine. A body that writes nothing but what belongs
// to its indices gives the same result for any number of threads.
//
// It allocates nothing itself: a func value that is made once makes a step without
// allocations. It panics if atOnce is not positive.
func (e *Engine) Parallel(n, atOnce int, body func(from, to int)) {
	if atOnce < 1 {
		panic(fmt.Sprintf("kernels: Parallel: %d indices at once: want 1 or more", atOnce))
	}
	p := e.vectors.get()
	p.body = body
	p.run(e, n, atOnce, 1, n > atOnce, func(p *vectorPass, _ *workspace, from, to int) { p.body(from, to) })
	e.vectorDone(p)
}

const (
	// vectorElements is how many elements are widened at a time: three operands of so
	// many fit an L1 cache.
	vectorElements = 2048

	// serialActivations is the number of elements below which the caller works alone.
	serialActivations = 1 << 12
)

// vectorPass is the state of an operation that its threads share.
type vectorPass struct {
	part     func(p *vectorPass, own *workspace, from, to int) // works on elements or rows from…to-1
	n, share int                                               // their number in all, and in a task

	vector    *micro.Vector
	f         func(*micro.VectorCall)
	dst, x, y tensor.Elements // y has no type if there is none
	cols      int             // of a row
	factor    float32
	notFinite atomic.Bool
	body      func(from, to int)
}

// vectorScratch is the memory of one thread for vectors.
type vectorScratch struct {
	call  micro.VectorCall
	flags micro.HalvesCall
	wide  [3][]float32 // of the operands
}

// set sets the operands. y may be nil.
func (p *vectorPass) set(method string, dst, x, y *tensor.Tensor) {
	p.dst, p.x = dst.Elements(), x.Elements()
	p.y = tensor.Elements{}
	if y != nil {
		p.y = y.Elements()
	}
	for _, operand := range [...]*tensor.Tensor{dst, x, y} {
		if operand == nil {
			continue
		}
		switch operand.DType() {
		case tensor.F16, tensor.BF16, tensor.F32:
		default:
			panic(fmt.Sprintf("kernels: %s of %v: want floating-point numbers", method, operand.DType()))
		}
		if operand.Len() != x.Len() {
			panic(fmt.Sprintf("kernels: %s of tensors of the shapes %v and %v: want as many elements", method, operand.Shape(), x.Shape()))
		}
	}
}

func (e *Engine) vectorDone(p *vectorPass) {
	p.dst, p.x, p.y, p.f, p.body = tensor.Elements{}, tensor.Elements{}, tensor.Elements{}, nil, nil
	e.vectors.put(p)
}

// overElements calls p.f for all elements.
func (e *Engine) overElements(p *vectorPass) {
	n := p.x.Len()
	p.run(e, n, micro.MostElements, 64, n >= serialActivations, (*vectorPass).elementwise)
	e.vectorDone(p)
}

// overRows calls part for all rows of t.
func (e *Engine) overRows(p *vectorPass, method string, t *tensor.Tensor, part func(p *vectorPass, own *workspace, from, to int)) {
	shape := t.Shape()
	if len(shape) == 0 {
		panic("kernels: " + method + " of a tensor without dimensions")
	}
	if n := t.Len(); n > 0 {
		p.cols = shape[len(shape)-1]
		p.run(e, n/p.cols, max(micro.MostElements/p.cols, 1), 1, n >= serialActivations, part)
	}
	e.vectorDone(p)
}

// run runs an operation on n elements or rows, at most most at a time, and with helpers if
// it is worth it. Tasks take multiples of unit, if most allows.
func (p *vectorPass) run(e *Engine, n, most, unit int, worth bool, part func(p *vectorPass, own *workspace, from, to int)) {
	if n <= 0 {
		return
	}
	helpers := e.hire(worth)
	defer helpers.release()
	p.vector, p.part, p.n = &e.vector, part, n
	p.share = min(roundUp(ceilDiv(n, helpers.threads()), unit), most)
	e.run(helpers, ceilDiv(n, p.share), p)
}

func (p *vectorPass) do(task int, own *workspace) {
	from := task * p.share
	p.part(p, own, from, min(from+p.share, p.n))
}

// elementwise calls p.f for elements.
func (p *vectorPass) elementwise(own *workspace, from, to int) {
	c := &own.vector.call
	c.Factor = p.factor
	for from < to {
		n := min(to-from, vectorElements)
		if n > micro.Lanes { // what is left over comes last
			n = n / micro.Lanes * micro.Lanes
		}
		c.X = own.vector.load(0, p.x.Slice(from, from+n), 0)
		if p.y.DType() != 0 {
			c.Y = own.vector.load(1, p.y.Slice(from, from+n), 0)
		}
		dst := p.dst.Slice(from, from+n)
		c.Dst = own.vector.target(2, dst)
		p.f(c)
		own.vector.store(dst)
		from += n
	}
	own.vector.clear()
}

// padded returns room for n elements and those that complete the vectors.
func (s *vectorScratch) padded(i, n int) []float32 {
	s.wide[i] = grow(s.wide[i], roundUp(n, micro.Lanes))
	return s.wide[i]
}

// load returns the elements as float32 values, completed by others: in place, if they are
// that and fill their vectors.
func (s *vectorScratch) load(i int, e tensor.Elements, pad float32) []float32 {
	n := e.Len()
	if e.DType() == tensor.F32 && n%micro.Lanes == 0 {
		return e.F32()
	}
	wide := s.padded(i, n)
	e.Load(wide[:n])
	for j := range wide[n:] {
		wide[n+j] = pad
	}
	return wide
}

// target returns where float32 values for e are computed, and store stores them.
func (s *vectorScratch) target(i int, e tensor.Elements) []float32 {
	if e.DType() == tensor.F32 && e.Len()%micro.Lanes == 0 {
		return e.F32()
	}
	return s.padded(i, e.Len())
}

func (s *vectorScratch) store(e tensor.Elements) {
	if e.DType() != tensor.F32 || e.Len()%micro.Lanes != 0 {
		e.Store(s.call.Dst[:e.Len()])
	}
}

// clear forgets the caller's memory.
func (s *vectorScratch) clear() { s.call.Dst, s.call.X, s.call.Y = nil, nil, nil }

// pieces calls f for pieces of the slices that are not too long. y may be nil.
func (s *vectorScratch) pieces(f func(*micro.VectorCall), dst, x, y []float32) {
	c := &s.call
	for from := 0; from < len(x); from += micro.MostElements {
		to := min(from+micro.MostElements, len(x))
		c.Dst, c.X = dst[from:to], x[from:to]
		if y != nil {
			c.Y = y[from:to]
		}
		f(c)
	}
}

// softmax does rows.
func (p *vectorPass) softmax(own *workspace, from, to int) {
	c := &own.vector.call
	least := float32(math.Inf(-1))
	for i := from; i < to; i++ {
		dst := p.dst.Slice(i*p.cols, (i+1)*p.cols)
		x := own.vector.load(0, p.x.Slice(i*p.cols, (i+1)*p.cols), least) // e^−∞ is 0
		y := own.vector.target(2, dst)
		for l := range c.Lanes {
			c.Lanes[l] = least
		}
		own.vector.pieces(p.vector.Max, x, x, nil)
		c.Factor = least
		for _, l := range c.Lanes {
			if l > c.Factor {
				c.Factor = l
			}
		}
		c.Lanes = [micro.Lanes]float32{}
		own.vector.pieces(p.vector.ExpSum, y, x, nil)
		c.Factor = 1 / c.Sum()
		own.vector.pieces(p.vector.Scale, y, y, nil)
		c.Dst = y
		own.vector.store(dst)
	}
	own.vector.clear()
}

// softmaxBackward does rows.
func (p *vectorPass) softmaxBackward(own *workspace, from, to int) {
	c := &own.vector.call
	for i := from; i < to; i++ {
		dst := p.dst.Slice(i*p.cols, (i+1)*p.cols)
		dy := own.vector.load(0, p.x.Slice(i*p.cols, (i+1)*p.cols), 0)
		y := own.vector.load(1, p.y.Slice(i*p.cols, (i+1)*p.cols), 0)
		dx := own.vector.target(2, dst)
		c.Lanes = [micro.Lanes]float32{}
		own.vector.pieces(p.vector.Dot, dx, dy, y)
		c.Factor = c.Sum()
		own.vector.pieces(p.vector.Centre, dx, dy, y)
		c.Dst = dx
		own.vector.store(dst)
	}
	own.vector.clear()
}

// finiteHalves looks at elements of 16 bits.
func (p *vectorPass) finiteHalves(own *workspace, from, to int) {
	e := p.x.Slice(from, to)
	flags, exponent := p.vector.FlagsF16, uint16(0x7c00)
	var bits []uint16
	if e.DType() == tensor.BF16 {
		flags, exponent = p.vector.FlagsBF16, 0x7f80
		bits = unsafe.Slice((*uint16)(unsafe.SliceData(e.BF16())), e.Len())
	} else {
		bits = unsafe.Slice((*uint16)(unsafe.SliceData(e.F16())), e.Len())
	}
	c := &own.vector.flags
	c.Flags = [micro.Lanes]uint32{}
	whole := len(bits) / (2 * micro.Lanes) * (2 * micro.Lanes)
	if whole > 0 {
		c.X = bits[:whole]
		flags(c)
		c.X = nil
	}
	found := uint32(0)
	for _, f := range c.Flags {
		found |= f & 0x80008000
	}
	finite := found == 0
	for _, b := range bits[whole:] {
		finite = finite && b&exponent != exponent
	}
	if !finite {
		p.notFinite.Store(true)
	}
}

// complete returns v with the definitions in place of functions that it lacks.
func complete(v micro.Vector) micro.Vector {
	d := &generic.Vectors[0]
	or := func(f *func(*micro.VectorCall), definition func(*micro.VectorCall)) {
		if *f == nil {
			*f = definition
		}
	}
	for a := range micro.Activations {
		or(&v.Forward[a], d.Forward[a])
		or(&v.Backward[a], d.Backward[a])
	}
	or(&v.Max, d.Max)
	or(&v.ExpSum, d.ExpSum)
	or(&v.Dot, d.Dot)
	or(&v.Centre, d.Centre)
	or(&v.Add, d.Add)
	or(&v.Multiply, d.Multiply)
	or(&v.Scale, d.Scale)
	if v.FlagsF16 == nil {
		v.FlagsF16 = d.FlagsF16
	}
	if v.FlagsBF16 == nil {
		v.FlagsBF16 = d.FlagsBF16
	}
	return v
}
