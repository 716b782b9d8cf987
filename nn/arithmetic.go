package nn

import (
	"fmt"
	"slices"

	"github.com/halfgrad/halfgrad/tensor"
)

// Add adds y = a + b, element by element. Both have one shape.
func Add(a, b *Value, opts ...Option) *Value { return Apply("Add", add{}, []*Value{a, b}, opts...) }

type add struct{}

// String returns "Add".
func (add) String() string { return "Add" }

func (add) Infer(in []Shape) (Form, error) {
	if err := same(in); err != nil {
		return Form{}, err
	}
	return Form{Out: in[0], InPlace: true}, nil
}

func (add) Forward(c *Call) { c.Engine.Add(c.Out, c.In[0], c.In[1]) }

// Backward passes the gradient on to both. The first may be the memory of DOut.
func (add) Backward(c *Call) {
	for i := len(c.DIn) - 1; i >= 0; i-- {
		pass(c, i)
	}
}

// pass makes DOut the gradient by an input.
func pass(c *Call, i int) {
	if c.DIn[i] == nil {
		return
	}
	if c.DIn[i].Elements() != c.DOut.Elements() {
		tensor.Copy(c.DIn[i].Elements(), c.DOut.Elements())
	}
	c.DInFinite[i] = c.DOutFinite
}

// ONNX writes an Add.
func (add) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	return w.Node("Add", []string{in[0].Name, in[1].Name}, nil), nil
}

// Multiply adds y = a·b, element by element. Both have one shape.
func Multiply(a, b *Value, opts ...Option) *Value {
	return Apply("Multiply", multiply{}, []*Value{a, b}, opts...)
}

type multiply struct{}

// String returns "Multiply".
func (multiply) String() string { return "Multiply" }

func (multiply) Infer(in []Shape) (Form, error) {
	if err := same(in); err != nil {
		return Form{}, err
	}
	return Form{Out: in[0], Backward: ReadsIn, InPlace: true}, nil
}

func (multiply) Forward(c *Call) { c.Engine.Multiply(c.Out, c.In[0], c.In[1]) }

// Backward writes the first gradient last: it may be the memory of DOut.
func (multiply) Backward(c *Call) {
	for i := len(c.DIn) - 1; i >= 0; i-- {
		if c.DIn[i] != nil {
			c.Engine.Multiply(c.DIn[i], c.DOut, c.In[1-i])
		}
	}
}

// ONNX writes a Mul.
func (multiply) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	return w.Node("Mul", []string{in[0].Name, in[1].Name}, nil), nil
}

// same returns an error unless there are two inputs of one shape.
func same(in []Shape) error {
	if len(in) != 2 || !slices.Equal(in[0], in[1]) {
		return fmt.Errorf("inputs of %v: want two of one shape", in)
	}
	return nil
}

// Scale adds y = x·factor, element by element. The factor must be finite.
func Scale(x *Value, factor float32, opts ...Option) *Value {
	return Apply("Scale", scale(factor), []*Value{x}, opts...)
}

type scale float32

// String returns, for example, "Scale 0.125".
func (s scale) String() string { return fmt.Sprintf("Scale %v", float32(s)) }

func (s scale) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	if s-s != 0 {
		return Form{}, fmt.Errorf("a factor of %v: want a finite one", float32(s))
	}
	return Form{Out: in[0], InPlace: true}, nil
}

func (s scale) Forward(c *Call)  { c.Engine.Scale(c.Out, c.In[0], float32(s)) }
func (s scale) Backward(c *Call) { c.Engine.Scale(c.DIn[0], c.DOut, float32(s)) }

// ONNX writes a Mul.
func (s scale) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	return w.Node("Mul", []string{in[0].Name, w.Floats(nil, float32(s))}, nil), nil
}

// Bias adds y = x + b for a parameter "bias" of the last dimension, zero at first.
func Bias(x *Value, opts ...Option) *Value {
	g := x.graph
	g.check()
	if x.bad {
		return x
	}
	o := collect(opts)
	name := g.name("Bias", o)
	b := &bias{param: o.bias, width: x.shape.Last(), rows: x.shape.Len() / x.shape.Last()}
	if b.param == nil {
		g.Scope(name, func() { b.param = g.Param("bias", []int{b.width}, Zeros) })
	}
	return g.apply(name, b, []*Value{x})
}

type bias struct {
	param *Param
	width int
	rows  int // of a sample
}

// String returns, for example, "Bias 256".
func (b *bias) String() string { return fmt.Sprintf("Bias %d", b.width) }

func (b *bias) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	if in[0].Last() != b.width || b.param.Len() != b.width {
		return Form{}, fmt.Errorf("an input of %v and a bias %s of %v: want one value for each of the last dimension", in[0], b.param.Name, b.param.Shape)
	}
	return Form{Out: in[0], InPlace: true, Scratch: 2 * b.width}, nil
}

func (b *bias) Params() []*Param { return []*Param{b.param} }

func (b *bias) Forward(c *Call) {
	values, row := c.Scratch[:b.width], c.Scratch[b.width:]
	c.Params[0].Elements().Load(values)
	x, y := c.In[0].Elements(), c.Out.Elements()
	for i := 0; i < x.Len(); i += b.width {
		x.Slice(i, i+b.width).Load(row)
		for j, v := range values {
			row[j] += v
		}
		y.Slice(i, i+b.width).Store(row)
	}
}

func (b *bias) Backward(c *Call)  { pass(c, 0) }
func (b *bias) Gradients(c *Call) { c.Grads[0].AddRows(c.Engine, rowsOf(c.DOut, b.width)) }

// rowsOf returns a tensor as a matrix of so many columns.
func rowsOf(t *tensor.Tensor, cols int) tensor.Matrix {
	m := t.Matrix()
	m.Rows, m.Cols, m.Stride = t.Len()/cols, cols, cols
	return m
}

// Bound is that of a sum over the rows of all samples.
func (b *bias) Bound(rows int, most float64) float64 {
	return float64(rows) * float64(b.rows) * most
}

// ONNX writes an Add.
func (b *bias) ONNX(w ONNXWriter, in, params []ONNXValue) (string, error) {
	return w.Node("Add", []string{in[0].Name, params[0].Name}, nil), nil
}
