package kernels

import (
	"fmt"
	"sync/atomic"

	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// SGD and Adam hold the numbers of a step of these optimizers.
type (
	SGD  = micro.SGD
	Adam = micro.Adam
)

// MostElements is the most elements of a call of a tier's operation.
const MostElements = micro.MostElements

// serialElements is the number of elements below which the caller does an elementwise
// operation alone: about a microsecond's work, as for products.
const serialElements = 1 << 14

// Elementwise returns the tier's elementwise operations, for callers with threads of their
// own, such as a [Consumer]. A call takes at most [MostElements] elements.
func (e *Engine) Elementwise() *micro.Elementwise { return &e.elementwise }

// Finite returns whether x[i]·factor is finite for all i.
func (e *Engine) Finite(x []float32, factor float32) bool {
	p := e.passes.get()
	p.grad, p.factor = x, factor
	p.notFinite.Store(false)
	e.pass(p, len(x), func(p *pass, from, to int) {
		if !p.Elementwise.Finite(p.grad[from:to], p.factor) {
			p.notFinite.Store(true)
		}
	})
	finite := !p.notFinite.Load()
	e.done(p)
	return finite
}

// Rectify sets dst to src where mask is positive or a NaN, and to +0 elsewhere:
//
//	if mask[i] <= 0 { dst[i] = +0 } else { dst[i] = src[i] }
//
// With src as the mask it is the rectifier; with the rectifier's output as the mask it is
// the gradient. dst may be src or mask. It panics unless all three have the same type, fp16
// or fp32, and number of elements.
func (e *Engine) Rectify(dst, src, mask *tensor.Tensor) {
	if dst.DType() != src.DType() || dst.DType() != mask.DType() || dst.Len() != src.Len() || dst.Len() != mask.Len() {
		panic(fmt.Sprintf("kernels: Rectify: dst is %v %v, src %v %v and mask %v %v: want one type and length",
			dst.DType(), dst.Shape(), src.DType(), src.Shape(), mask.DType(), mask.Shape()))
	}
	p := e.passes.get()
	p.dst, p.src, p.mask = dst.Elements(), src.Elements(), mask.Elements()
	switch dst.DType() {
	case tensor.F16:
		e.pass(p, dst.Len(), func(p *pass, from, to int) {
			p.RectifyF16(p.dst.F16()[from:to], p.src.F16()[from:to], p.mask.F16()[from:to])
		})
	case tensor.F32:
		e.pass(p, dst.Len(), func(p *pass, from, to int) {
			p.RectifyF32(p.dst.F32()[from:to], p.src.F32()[from:to], p.mask.F32()[from:to])
		})
	default:
		panic("kernels: Rectify of " + dst.DType().String() + ": want fp16 or fp32")
	}
	e.done(p)
}

// AddRows adds the rows of m to sums, one after the other:
//
//	for i := range m.Rows { for j := range m.Cols { sums[j] += m(i, j) } }
//
// It panics if m is inconsistent (see [tensor.Matrix.Check]), transposed or neither fp16 nor
// fp32, or if sums has another length than m.Cols.
func (e *Engine) AddRows(sums []float32, m tensor.Matrix) {
	if err := m.Check("m"); err != nil {
		panic("kernels: AddRows: " + err.Error())
	}
	if m.Trans || len(sums) != m.Cols {
		panic(fmt.Sprintf("kernels: AddRows: %d sums and a matrix of %d columns, transposed: %v: want equal numbers, and false", len(sums), m.Cols, m.Trans))
	}
	if t := m.DType(); t != tensor.F16 && t != tensor.F32 {
		panic("kernels: AddRows: a matrix of " + t.String() + ": want fp16 or fp32")
	}
	p := e.passes.get()
	p.w, p.matrix = sums, m
	// Tasks split the columns: rows are added in their order.
	const atOnce = 512
	p.run(e, m.Cols, atOnce, m.Rows*m.Cols >= serialElements, func(p *pass, from, to int) {
		rows := micro.MostElements / atOnce
		for i := 0; i < p.matrix.Rows; i += rows {
			p.Elementwise.AddRows(p.w[from:to], p.matrix.Block(i, from, min(rows, p.matrix.Rows-i), to-from))
		}
	})
	e.done(p)
}

// SGD takes a step of gradient descent with momentum, defined in [micro.Elementwise]. w are
// the weights and v the velocities. half gets the new weights rounded to fp16, unless it is
// the zero Elements. It panics unless all have the same length and half is of fp16.
func (e *Engine) SGD(w, v, grad []float32, half tensor.Elements, s SGD) {
	if len(v) != len(w) || len(grad) != len(w) {
		panic("kernels: SGD: slices of different lengths")
	}
	checkHalf("SGD", half, len(w))
	p := e.passes.get()
	p.w, p.v, p.grad, p.half, p.sgd = w, v, grad, half, s
	e.pass(p, len(w), func(p *pass, from, to int) {
		p.Elementwise.SGD(p.w[from:to], p.v[from:to], p.grad[from:to], p.halves(from, to), p.sgd)
	})
	e.done(p)
}

// Adam takes a step of Adam or AdamW, defined in [micro.Elementwise]. w are the weights, m
// and v the moments. half gets the new weights rounded to fp16, unless it is the zero
// Elements. It panics unless all have the same length and half is of fp16.
func (e *Engine) Adam(w, m, v, grad []float32, half tensor.Elements, a Adam) {
	if len(m) != len(w) || len(v) != len(w) || len(grad) != len(w) {
		panic("kernels: Adam: slices of different lengths")
	}
	checkHalf("Adam", half, len(w))
	p := e.passes.get()
	p.w, p.m, p.v, p.grad, p.half, p.adam = w, m, v, grad, half, a
	e.pass(p, len(w), func(p *pass, from, to int) {
		p.Elementwise.Adam(p.w[from:to], p.m[from:to], p.v[from:to], p.grad[from:to], p.halves(from, to), p.adam)
	})
	e.done(p)
}

// checkHalf panics unless half is a copy in fp16 of n weights, or none.
func checkHalf(operation string, half tensor.Elements, n int) {
	switch t := half.DType(); {
	case t != 0 && t != tensor.F16:
		panic(fmt.Sprintf("kernels: %s: a copy of the weights in %v: want fp16", operation, t))
	case t != 0 && half.Len() != n:
		panic("kernels: " + operation + ": slices of different lengths")
	}
}

// pass is the state of an elementwise operation that its threads share: how it is split,
// and the operands. Each operation uses some of the fields.
type pass struct {
	*micro.Elementwise
	part     func(p *pass, from, to int) // works on elements, columns or blocks from…to-1
	n, share int                         // their number in all, and in a task

	w, m, v, grad   []float32
	half            tensor.Elements
	dst, src, mask  tensor.Elements
	matrix          tensor.Matrix
	factor, factor2 float32
	sums            []float64 // of blocks
	notFinite       atomic.Bool
	sgd             SGD
	adam            Adam
}

func (p *pass) do(task int, _ *workspace) {
	from := task * p.share
	p.part(p, from, min(from+p.share, p.n))
}

func (p *pass) halves(from, to int) tensor.Elements {
	if p.half.DType() == 0 {
		return p.half
	}
	return p.half.Slice(from, to)
}

// pass runs an operation on n elements.
func (e *Engine) pass(p *pass, n int, part func(p *pass, from, to int)) {
	p.run(e, n, micro.MostElements, n >= serialElements, part)
}

// run runs an operation on n elements, columns or blocks, at most most at a time, and with
// helpers if it is worth it. Tasks take multiples of 64 if most allows, so that they write
// to different cache lines.
func (p *pass) run(e *Engine, n, most int, worth bool, part func(p *pass, from, to int)) {
	if n == 0 {
		return
	}
	helpers := e.hire(worth)
	p.Elementwise, p.part, p.n = &e.elementwise, part, n
	p.share = min(roundUp(ceilDiv(n, helpers.threads()), 64), most)
	e.run(helpers, ceilDiv(n, p.share), p)
	helpers.release()
}

// done returns p to the pool, without references to the caller's memory.
func (e *Engine) done(p *pass) {
	none := tensor.Elements{}
	p.w, p.m, p.v, p.grad, p.half, p.dst, p.src, p.mask, p.matrix = nil, nil, nil, nil, none, none, none, none, tensor.Matrix{}
	e.passes.put(p)
}
