package nn

import (
	"fmt"
	"slices"

	"github.com/halfgrad/halfgrad/tensor"
)

// The operations of this file move elements and compute nothing. Axes count the dimensions
// of a sample, from 0.

// Reshape adds a view of x in another shape, of as many elements. It takes no time.
func Reshape(x *Value, shape []int, opts ...Option) *Value {
	return Apply("Reshape", reshape(shape), []*Value{x}, opts...)
}

// Flatten adds a view of x with one dimension.
func Flatten(x *Value, opts ...Option) *Value {
	return Apply("Flatten", reshape{x.shape.Len()}, []*Value{x}, opts...)
}

type reshape Shape

// String returns, for example, "Reshape 28×28×1".
func (r reshape) String() string { return "Reshape " + Shape(r).String() }

func (r reshape) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	if err := checkShape(r); err != nil {
		return Form{}, err
	}
	if in[0].Len() != Shape(r).Len() {
		return Form{}, fmt.Errorf("an input of %v: want as many elements as %v has, %d", in[0], Shape(r), Shape(r).Len())
	}
	return Form{Out: Shape(r), View: true}, nil
}

func (reshape) Forward(*Call)  {}
func (reshape) Backward(*Call) {}

// ONNX writes a Reshape, which leaves the batch as it is.
func (r reshape) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	dims := []int64{0}
	for _, d := range r {
		dims = append(dims, int64(d))
	}
	return w.Node("Reshape", []string{in[0].Name, w.Ints([]int{len(dims)}, dims...)}, nil), nil
}

// Transpose adds y with the axes of x in another order: axis i of y is axes[i] of x.
func Transpose(x *Value, axes []int, opts ...Option) *Value {
	return Apply("Transpose", &transpose{axes: slices.Clone(axes), from: x.shape}, []*Value{x}, opts...)
}

type transpose struct {
	axes []int
	from Shape
}

// String returns, for example, "Transpose [1 0]".
func (t *transpose) String() string { return fmt.Sprintf("Transpose %v", t.axes) }

func (t *transpose) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	n := len(in[0])
	if err := checkAxes(in[0]); err != nil {
		return Form{}, err
	}
	for i := range n {
		if len(t.axes) != n || !slices.Contains(t.axes, i) {
			return Form{}, fmt.Errorf("axes %v of an input of %v: want each of its %d axes once, from 0", t.axes, in[0], n)
		}
	}
	out := make(Shape, n)
	for i, a := range t.axes {
		out[i] = in[0][a]
	}
	return Form{Out: out}, nil
}

func (t *transpose) Forward(c *Call) {
	var p places
	p.add(c.Rows, t.from.Len())
	for _, a := range t.axes {
		p.add(t.from[a], t.from[a+1:].Len())
	}
	p.gather(c.Out.Elements(), c.In[0].Elements())
	c.OutFinite = c.InFinite[0]
}

func (t *transpose) Backward(c *Call) {
	var p places
	p.add(c.Rows, t.from.Len())
	for a := range t.from {
		i := slices.Index(t.axes, a)
		stride := 1
		for _, b := range t.axes[i+1:] {
			stride *= t.from[b]
		}
		p.add(t.from[a], stride)
	}
	p.gather(c.DIn[0].Elements(), c.DOut.Elements())
	c.DInFinite[0] = c.DOutFinite
}

// ONNX writes a Transpose.
func (t *transpose) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	perm := []int{0}
	for _, a := range t.axes {
		perm = append(perm, a+1)
	}
	return w.Node("Transpose", []string{in[0].Name}, map[string]any{"perm": perm}), nil
}

// Slice adds the part of x whose index along an axis is at least from and less than to.
func Slice(x *Value, axis, from, to int, opts ...Option) *Value {
	return Apply("Slice", slice{axis, from, to}, []*Value{x}, opts...)
}

type slice struct{ axis, from, to int }

// String returns, for example, "Slice 0:64 of axis 1".
func (s slice) String() string { return fmt.Sprintf("Slice %d:%d of axis %d", s.from, s.to, s.axis) }

func (s slice) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	if s.axis < 0 || s.axis >= len(in[0]) || s.from < 0 || s.from >= s.to || s.to > in[0][s.axis] {
		return Form{}, fmt.Errorf("an input of %v: want an axis that it has, and indices from 0 to its dimension, the first less than the last", in[0])
	}
	out := slices.Clone(in[0])
	out[s.axis] = s.to - s.from
	return Form{Out: out}, nil
}

func (s slice) Forward(c *Call) {
	copyBlocks(c.Out.Elements(), c.In[0].Elements(), c.Rows, s.axis, c.In[0].Shape(), s.from, s.to, false)
	if c.InFinite[0] == AllFinite {
		c.OutFinite = AllFinite
	}
}

func (s slice) Backward(c *Call) {
	c.DIn[0].Elements().Clear()
	copyBlocks(c.DIn[0].Elements(), c.DOut.Elements(), c.Rows, s.axis, c.In[0].Shape(), s.from, s.to, true)
	c.DInFinite[0] = c.DOutFinite
}

// copyBlocks copies the part of a whole tensor, of [rows, shape…], whose index along an axis
// of a sample is from…to−1, to the part alone or, back, from there.
func copyBlocks(dst, src tensor.Elements, rows, axis int, whole []int, from, to int, back bool) {
	outer := Shape(whole[:axis+1]).Len()
	inner := Shape(whole[axis+2:]).Len()
	width, block := whole[axis+1]*inner, (to-from)*inner
	for i := range outer {
		w, p := i*width+from*inner, i*block
		if back {
			tensor.Copy(dst.Slice(w, w+block), src.Slice(p, p+block))
		} else {
			tensor.Copy(dst.Slice(p, p+block), src.Slice(w, w+block))
		}
	}
}

// ONNX writes a Slice.
func (s slice) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	one := []int{1}
	return w.Node("Slice", []string{in[0].Name, w.Ints(one, int64(s.from)), w.Ints(one, int64(s.to)), w.Ints(one, int64(s.axis+1))}, nil), nil
}

// Concat adds the values one after the other along an axis, in which alone they may differ.
func Concat(axis int, xs []*Value, opts ...Option) *Value {
	return Apply("Concat", concat{axis}, xs, opts...)
}

type concat struct{ axis int }

// String returns, for example, "Concat along axis 2".
func (s concat) String() string { return fmt.Sprintf("Concat along axis %d", s.axis) }

func (s concat) Infer(in []Shape) (Form, error) {
	if len(in) == 0 || s.axis < 0 || s.axis >= len(in[0]) {
		return Form{}, fmt.Errorf("inputs of %v: want at least one, and an axis that they have", in)
	}
	out := slices.Clone(in[0])
	for _, x := range in[1:] {
		if len(x) != len(out) {
			return Form{}, fmt.Errorf("inputs of %v: want shapes that differ in axis %d alone", in, s.axis)
		}
		for a, d := range x {
			if a == s.axis {
				out[a] += d
			} else if d != out[a] {
				return Form{}, fmt.Errorf("inputs of %v: want shapes that differ in axis %d alone", in, s.axis)
			}
		}
	}
	return Form{Out: out}, nil
}

func (s concat) Forward(c *Call) {
	finite, from := true, 0
	for i, x := range c.In {
		to := from + x.Shape()[s.axis+1]
		copyBlocks(c.Out.Elements(), x.Elements(), c.Rows, s.axis, c.Out.Shape(), from, to, true)
		finite = finite && c.InFinite[i] == AllFinite
		from = to
	}
	if finite {
		c.OutFinite = AllFinite
	}
}

func (s concat) Backward(c *Call) {
	from := 0
	for i, x := range c.In {
		to := from + x.Shape()[s.axis+1]
		if c.DIn[i] != nil {
			copyBlocks(c.DIn[i].Elements(), c.DOut.Elements(), c.Rows, s.axis, c.DOut.Shape(), from, to, false)
			if c.DOutFinite == AllFinite {
				c.DInFinite[i] = AllFinite
			}
		}
		from = to
	}
}

// ONNX writes a Concat.
func (s concat) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	names := make([]string, len(in))
	for i, x := range in {
		names[i] = x.Name
	}
	return w.Node("Concat", names, map[string]any{"axis": s.axis + 1}), nil
}
