package nn

import (
	"fmt"
	"strings"

	"github.com/halfgrad/halfgrad/kernels"
)

// Sigmoid adds y = 1/(1+e⁻ˣ), element by element.
func Sigmoid(x *Value, opts ...Option) *Value { return activate("Sigmoid", kernels.Sigmoid, x, opts) }

// Tanh adds y = tanh x, element by element.
func Tanh(x *Value, opts ...Option) *Value { return activate("Tanh", kernels.Tanh, x, opts) }

// SiLU adds y = x·sigmoid(x), element by element (Elfwing et al., "Sigmoid-Weighted Linear
// Units for Neural Network Function Approximation", 2018).
func SiLU(x *Value, opts ...Option) *Value { return activate("SiLU", kernels.SiLU, x, opts) }

// GELU adds y = x·Φ(x) = ½·x·(1 + erf(x/√2)), element by element (Hendrycks and Gimpel,
// "Gaussian Error Linear Units", 2016).
func GELU(x *Value, opts ...Option) *Value { return activate("GELU", kernels.GELU, x, opts) }

// GELUTanh adds the approximation of GELU that GPT-2 has, element by element:
// ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
func GELUTanh(x *Value, opts ...Option) *Value {
	return activate("GELUTanh", kernels.GELUTanh, x, opts)
}

func activate(name string, kind kernels.Activation, x *Value, opts []Option) *Value {
	return Apply(name, activation{name, kind}, []*Value{x}, opts...)
}

type activation struct {
	name string
	kind kernels.Activation
}

// String returns, for example, "GELU".
func (a activation) String() string { return a.name }

func (a activation) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	f := Form{Out: in[0], Backward: ReadsIn, InPlace: true}
	if a.kind.FromOutput() {
		f.Backward = ReadsOut
	}
	return f, nil
}

func (a activation) Forward(c *Call) { c.Engine.Activate(a.kind, c.Out, c.In[0]) }

func (a activation) Backward(c *Call) {
	saved := c.In[0]
	if a.kind.FromOutput() {
		saved = c.Out
	}
	c.Engine.ActivateBackward(a.kind, c.DIn[0], c.DOut, saved)
}

// ONNX writes Sigmoid, Tanh or the formula: operators of their own came later.
func (a activation) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	x := in[0].Name
	number := func(v float32) string { return w.Floats(nil, v) }
	apply := func(operator string, of ...string) string { return w.Node(operator, of, nil) }
	switch a.kind {
	case kernels.SiLU:
		return apply("Mul", x, apply("Sigmoid", x)), nil
	case kernels.GELU:
		erf := apply("Erf", apply("Mul", x, number(0.70710678)))
		return apply("Mul", apply("Mul", x, number(0.5)), apply("Add", erf, number(1))), nil
	case kernels.GELUTanh:
		cube := apply("Mul", apply("Mul", x, x), x)
		inner := apply("Mul", apply("Add", x, apply("Mul", cube, number(0.044715))), number(0.79788456))
		return apply("Mul", apply("Mul", x, number(0.5)), apply("Add", apply("Tanh", inner), number(1))), nil
	}
	return apply(strings.ToUpper(a.name[:1])+a.name[1:], x), nil
}

// Softmax adds the softmax over the last dimension: eˣ divided by the sum of eˣ.
func Softmax(x *Value, opts ...Option) *Value {
	return Apply("Softmax", softmaxOp{}, []*Value{x}, opts...)
}

type softmaxOp struct{}

// String returns "Softmax".
func (softmaxOp) String() string { return "Softmax" }

func (softmaxOp) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	if len(in[0]) == 0 {
		return Form{}, fmt.Errorf("an input of %v: want at least one dimension", in[0])
	}
	return Form{Out: in[0], Backward: ReadsOut, InPlace: true}, nil
}

func (softmaxOp) Forward(c *Call)  { c.Engine.Softmax(c.Out, c.In[0]) }
func (softmaxOp) Backward(c *Call) { c.Engine.SoftmaxBackward(c.DIn[0], c.DOut, c.Out) }

// ONNX writes a Softmax.
func (softmaxOp) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	return w.Node("Softmax", []string{in[0].Name}, map[string]any{"axis": -1}), nil
}
