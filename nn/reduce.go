package nn

import (
	"fmt"
	"slices"
)

// Sum adds the sums of x over axes of a sample, which are gone afterwards; without axes, over
// all. Sums add in fp32, in row-major order, and are rounded once.
func Sum(x *Value, axes []int, opts ...Option) *Value {
	return Apply("Sum", &reduce{name: "Sum", axes: slices.Clone(axes)}, []*Value{x}, opts...)
}

// Mean is [Sum] divided by the number of elements that are added: multiplied by its
// reciprocal, rounded to fp32.
func Mean(x *Value, axes []int, opts ...Option) *Value {
	return Apply("Mean", &reduce{name: "Mean", axes: slices.Clone(axes), mean: true}, []*Value{x}, opts...)
}

type reduce struct {
	name string
	axes []int
	mean bool
	in   Shape
	out  int     // elements of a sample of the output
	to   []int32 // by element of a sample of the input, where it is added
	by   float32 // the factor of the sums
}

// String returns, for example, "Mean over [0 1]".
func (r *reduce) String() string { return fmt.Sprintf("%s over %v", r.name, r.axes) }

func (r *reduce) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	x := in[0]
	if len(r.axes) == 0 {
		for a := range x {
			r.axes = append(r.axes, a)
		}
	}
	out := Shape{}
	for a, d := range x {
		if !slices.Contains(r.axes, a) {
			out = append(out, d)
		}
	}
	if len(x) != len(out)+len(r.axes) || x.Len() > 1<<31-1 {
		return Form{}, fmt.Errorf("axes %v of an input of %v: want some of its %d axes, each once, from 0", r.axes, x, len(x))
	}
	if r.to == nil {
		r.index(x, out)
	}
	return Form{Out: out, Scratch: x.Len() + out.Len()}, nil
}

// index finds where each element is added.
func (r *reduce) index(x, out Shape) {
	r.in, r.out, r.by = x, out.Len(), 1
	if r.mean {
		r.by = 1 / float32(x.Len()/r.out)
	}
	r.to = make([]int32, x.Len())
	at := make([]int, len(x))
	for i := range r.to {
		to := 0
		for a, d := range x {
			if !slices.Contains(r.axes, a) {
				to = to*d + at[a]
			}
		}
		r.to[i] = int32(to)
		for a := len(x) - 1; a >= 0; a-- {
			if at[a]++; at[a] < x[a] {
				break
			}
			at[a] = 0
		}
	}
}

func (r *reduce) Forward(c *Call) {
	n := len(r.to)
	values, sums := c.Scratch[:n], c.Scratch[n:]
	x, y := c.In[0].Elements(), c.Out.Elements()
	for row := range c.Rows {
		x.Slice(row*n, (row+1)*n).Load(values)
		clear(sums)
		for i, v := range values {
			sums[r.to[i]] += v
		}
		if r.mean {
			for j := range sums {
				sums[j] *= r.by
			}
		}
		y.Slice(row*r.out, (row+1)*r.out).Store(sums)
	}
}

func (r *reduce) Backward(c *Call) {
	n := len(r.to)
	values, sums := c.Scratch[:n], c.Scratch[n:]
	dx, dy := c.DIn[0].Elements(), c.DOut.Elements()
	for row := range c.Rows {
		dy.Slice(row*r.out, (row+1)*r.out).Load(sums)
		if r.mean {
			for j := range sums {
				sums[j] *= r.by
			}
		}
		for i, to := range r.to {
			values[i] = sums[to]
		}
		dx.Slice(row*n, (row+1)*n).Store(values)
	}
}

// ONNX writes a ReduceSum or a ReduceMean.
func (r *reduce) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	axes := make([]int, len(r.axes))
	wide := make([]int64, len(r.axes))
	for i, a := range r.axes {
		axes[i], wide[i] = a+1, int64(a+1)
	}
	if r.mean {
		return w.Node("ReduceMean", []string{in[0].Name}, map[string]any{"axes": axes, "keepdims": 0}), nil
	}
	return w.Node("ReduceSum", []string{in[0].Name, w.Ints([]int{len(wide)}, wide...)}, map[string]any{"keepdims": 0}), nil
}
