package nn

import (
	"fmt"
	"slices"

	"github.com/halfgrad/halfgrad/tensor"
)

// Sum adds the sums of x over axes of a sample, which are gone afterwards; without axes, over
// all. A sum is one chain of fp32 additions, from +0, over the elements in row-major order,
// and is rounded once.
func Sum(x *Value, axes []int, opts ...Option) *Value {
	return Apply("Sum", reduction("Sum", x, axes), []*Value{x}, opts...)
}

// Mean is [Sum] divided, in fp32, by the number of elements that are added.
func Mean(x *Value, axes []int, opts ...Option) *Value {
	return Apply("Mean", reduction("Mean", x, axes), []*Value{x}, opts...)
}

func reduction(name string, x *Value, axes []int) reduce {
	if len(axes) == 0 {
		axes = make([]int, len(x.shape))
		for a := range axes {
			axes[a] = a
		}
	}
	return reduce{name, slices.Clone(axes)}
}

type reduce struct {
	name string // Sum or Mean
	axes []int
}

// String returns, for example, "Mean over [0 1]".
func (r reduce) String() string { return fmt.Sprintf("%s over %v", r.name, r.axes) }

func (r reduce) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	x := in[0]
	if err := checkAxes(x); err != nil {
		return Form{}, err
	}
	out := Shape{}
	for a, d := range x {
		if !slices.Contains(r.axes, a) {
			out = append(out, d)
		}
	}
	if len(x) != len(out)+len(r.axes) {
		return Form{}, fmt.Errorf("axes %v of an input of %v: want some of its %d axes, each once, from 0", r.axes, x, len(x))
	}
	return Form{Out: out}, nil
}

// layout says where in a sample the elements lie that a sum adds, and where those of the
// other sums lie. The last axes of one kind are apart: their elements lie together, in runs.
type layout struct {
	sums, added places // without the run
	run         int    // elements
	within      bool   // whether a sum adds a run, and not one element of it
	divisor     float32
}

func (r reduce) layout(x Shape) (l layout) {
	last := len(x)
	l.run, l.divisor = 1, 1
	for ; last > 0; last-- {
		within := slices.Contains(r.axes, last-1)
		if last < len(x) && within != l.within {
			break
		}
		l.within = within
		l.run *= x[last-1]
	}
	for a, d := range x[:last] {
		if stride := x[a+1:].Len(); slices.Contains(r.axes, a) {
			l.added.add(d, stride)
		} else {
			l.sums.add(d, stride)
		}
	}
	if r.name == "Mean" {
		n := l.added.len()
		if l.within {
			n *= l.run
		}
		l.divisor = float32(n)
	}
	return l
}

// reduceAtOnce is the number of elements that are widened at a time, on the stack.
const reduceAtOnce = 256

func (r reduce) Forward(c *Call) {
	x, y := c.In[0].Elements(), c.Out.Elements()
	l := r.layout(c.In[0].Shape()[1:])
	n, m := x.Len()/c.Rows, y.Len()/c.Rows
	for i := range c.Rows {
		if from, to := x.Slice(i*n, (i+1)*n), y.Slice(i*m, (i+1)*m); l.within {
			l.addRuns(to, from)
		} else {
			l.addAcross(to, from)
		}
	}
}

// addRuns computes sums of runs.
func (l *layout) addRuns(y, x tensor.Elements) {
	var sums, values [reduceAtOnce]float32
	for from := 0; from < y.Len(); from += reduceAtOnce {
		part := sums[:min(reduceAtOnce, y.Len()-from)]
		for k := range part {
			sum := float32(0)
			for i := range l.added.len() {
				at := l.sums.at(from+k) + l.added.at(i)
				for j := 0; j < l.run; j += reduceAtOnce {
					run := values[:min(reduceAtOnce, l.run-j)]
					x.Slice(at+j, at+j+len(run)).Load(run)
					for _, v := range run {
						sum += v
					}
				}
			}
			part[k] = sum / l.divisor
		}
		y.Slice(from, from+len(part)).Store(part)
	}
}

// addAcross computes sums of elements at the same place in several runs.
func (l *layout) addAcross(y, x tensor.Elements) {
	var sums, values [reduceAtOnce]float32
	for k := range l.sums.len() {
		for j := 0; j < l.run; j += reduceAtOnce {
			part := sums[:min(reduceAtOnce, l.run-j)]
			clear(part)
			for i := range l.added.len() {
				at := l.sums.at(k) + l.added.at(i) + j
				x.Slice(at, at+len(part)).Load(values[:len(part)])
				for q, v := range values[:len(part)] {
					part[q] += v
				}
			}
			l.divide(part)
			y.Slice(k*l.run+j, k*l.run+j+len(part)).Store(part)
		}
	}
}

func (l *layout) divide(values []float32) {
	if l.divisor != 1 {
		for i := range values {
			values[i] /= l.divisor
		}
	}
}

// Backward gives every element the gradient by its sum, divided as the sum was.
func (r reduce) Backward(c *Call) {
	dx, dy := c.DIn[0].Elements(), c.DOut.Elements()
	l := r.layout(c.DIn[0].Shape()[1:])
	n, m := dx.Len()/c.Rows, dy.Len()/c.Rows
	for i := range c.Rows {
		if to, from := dx.Slice(i*n, (i+1)*n), dy.Slice(i*m, (i+1)*m); l.within {
			l.spreadRuns(to, from)
		} else {
			l.spreadAcross(to, from)
		}
	}
	if c.DOutFinite == AllFinite {
		c.DInFinite[0] = AllFinite
	}
}

func (l *layout) spreadRuns(dx, dy tensor.Elements) {
	var slopes, values [reduceAtOnce]float32
	for from := 0; from < dy.Len(); from += reduceAtOnce {
		part := slopes[:min(reduceAtOnce, dy.Len()-from)]
		dy.Slice(from, from+len(part)).Load(part)
		l.divide(part)
		for k, slope := range part {
			for j := range values[:min(reduceAtOnce, l.run)] {
				values[j] = slope
			}
			for i := range l.added.len() {
				at := l.sums.at(from+k) + l.added.at(i)
				for j := 0; j < l.run; j += reduceAtOnce {
					run := values[:min(reduceAtOnce, l.run-j)]
					dx.Slice(at+j, at+j+len(run)).Store(run)
				}
			}
		}
	}
}

func (l *layout) spreadAcross(dx, dy tensor.Elements) {
	var slopes [reduceAtOnce]float32
	for k := range l.sums.len() {
		for j := 0; j < l.run; j += reduceAtOnce {
			part := slopes[:min(reduceAtOnce, l.run-j)]
			dy.Slice(k*l.run+j, k*l.run+j+len(part)).Load(part)
			l.divide(part)
			for i := range l.added.len() {
				at := l.sums.at(k) + l.added.at(i) + j
				dx.Slice(at, at+len(part)).Store(part)
			}
		}
	}
}

// ONNX writes a ReduceSum or a ReduceMean.
func (r reduce) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	axes := make([]int, len(r.axes))
	wide := make([]int64, len(r.axes))
	for i, a := range r.axes {
		axes[i], wide[i] = a+1, int64(a+1)
	}
	if r.name == "Mean" {
		return w.Node("ReduceMean", []string{in[0].Name}, map[string]any{"axes": axes, "keepdims": 0}), nil
	}
	return w.Node("ReduceSum", []string{in[0].Name, w.Ints([]int{len(wide)}, wide...)}, map[string]any{"keepdims": 0}), nil
}
