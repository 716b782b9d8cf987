package nn

import (
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// Linear adds a fully connected layer: y = x·W + b over the last dimension of x, for x of
// […, in], W of [in, out] and b of [out]. Its parameters are "weight" and "bias".
//
// The weights are initialised after He et al. ("Delving Deep into Rectifiers", ICCV 2015):
// uniform in ±√(6/in), which keeps the variance through ReLUs. The bias is zero. The bias
// is added to the product's fp32 sums before they are rounded.
func Linear(x *Value, out int, opts ...Option) *Value {
	g := x.graph
	g.check()
	if x.bad {
		return x
	}
	o := collect(opts)
	name := g.name("Linear", o)
	if len(x.shape) == 0 || out <= 0 {
		return g.fail(g.path(name), "a linear layer from %v to %d: want at least one dimension, and a positive number", x.shape, out)
	}
	l := &linear{in: x.shape.Last(), out: out, rows: x.shape.Len() / x.shape.Last()}
	g.Scope(name, func() {
		if l.weight = o.weight; l.weight == nil {
			init := o.init
			if init == nil {
				init = KaimingUniform(l.in)
			}
			l.weight = g.Param("weight", []int{l.in, out}, init)
		}
		if l.bias = o.bias; l.bias == nil && !o.noBias {
			l.bias = g.Param("bias", []int{out}, Zeros)
		}
	})
	return g.apply(name, l, []*Value{x})
}

// KaimingUniform returns the Init with values uniform in ±√(6/fanIn).
func KaimingUniform(fanIn int) Init { return Uniform(math.Sqrt(6 / float64(fanIn))) }

// linear is the operation of Linear, and of a ReLU that follows it.
type linear struct {
	weight, bias *Param // bias may be nil
	in, out      int
	rows         int // of a sample
	rectify      bool
}

// String returns, for example, "Linear 784→256".
func (l *linear) String() string { return fmt.Sprintf("Linear %d→%d", l.in, l.out) }

func (l *linear) Infer(in []Shape) (Form, error) {
	switch {
	case len(in) != 1 || in[0].Last() != l.in:
		return Form{}, fmt.Errorf("an input of %v: want a last dimension of %d", in, l.in)
	case l.weight.Len() != l.in*l.out || len(l.weight.Shape) != 2 || l.weight.Shape[0] != l.in:
		return Form{}, fmt.Errorf("the weight %s of %v: want %v", l.weight.Name, l.weight.Shape, []int{l.in, l.out})
	case l.bias != nil && l.bias.Len() != l.out:
		return Form{}, fmt.Errorf("the bias %s of %v: want %v", l.bias.Name, l.bias.Shape, []int{l.out})
	}
	shape := append(Shape{}, in[0]...)
	shape[len(shape)-1] = l.out
	f := Form{Out: shape, Backward: ReadsIn, Scratch: l.out}
	if l.rectify {
		f.Backward |= ReadsOut
	}
	return f, nil
}

func (l *linear) Params() []*Param {
	if l.bias == nil {
		return []*Param{l.weight}
	}
	return []*Param{l.weight, l.bias}
}

// Fuse has the product rectify its sums before it rounds them, which gives the same bits
// as after it.
func (l *linear) Fuse(next Op) (Op, bool) {
	if _, ok := next.(relu); !ok || l.rectify {
		return nil, false
	}
	fused := *l
	fused.rectify = true
	return &fused, true
}

func (l *linear) Forward(c *Call) {
	var bias []float32
	if l.bias != nil {
		bias = c.Scratch[:l.out]
		c.Params[1].Matrix().LoadRow(bias, 0)
	}
	check := c.Training && c.Out.DType() != tensor.F32
	finite := c.Engine.Gemm(kernels.GemmArgs{C: c.Out.Matrix(), A: c.In[0].Matrix(), B: c.Params[0].Matrix(), Bias: bias, ReLU: l.rectify, Check: check})
	if check {
		c.OutFinite = known(finite)
	}
}

// Backward computes dx = dy·Wᵀ. With a ReLU it first replaces dy by the gradient before that.
func (l *linear) Backward(c *Call) {
	if l.rectify {
		c.Engine.Rectify(c.DOut, c.DOut, c.Out)
		if c.DOutFinite == NonFinite { // the ReLU may have masked all that was not finite
			c.DOutFinite = Unknown
		}
	}
	if c.DIn[0] == nil {
		return
	}
	check := c.Out.DType() != tensor.F32
	finite := c.Engine.Gemm(kernels.GemmArgs{C: c.DIn[0].Matrix(), A: c.DOut.Matrix(), B: c.Params[0].Matrix().T(), Check: check})
	if check {
		c.DInFinite[0] = known(finite)
	}
}

// Gradients adds dW = xᵀ·dy and db, the column sums of dy.
func (l *linear) Gradients(c *Call) {
	dy := c.DOut.Matrix()
	c.Grads[0].Product(c.Engine, c.In[0].Matrix().T(), dy)
	if l.bias != nil {
		c.Grads[1].AddRows(c.Engine, dy)
	}
}

// Bound is that of a sum of products, one a row.
func (l *linear) Bound(rows int, most float64) float64 {
	return float64(rows) * float64(l.rows) * most * max(most, 1)
}

// ONNX writes a MatMul and an Add.
func (l *linear) ONNX(w ONNXWriter, in, params []ONNXValue) (string, error) {
	y := w.Node("MatMul", []string{in[0].Name, params[0].Name}, nil)
	if l.bias != nil {
		y = w.Node("Add", []string{y, params[1].Name}, nil)
	}
	if l.rectify {
		y = w.Node("Relu", []string{y}, nil)
	}
	return y, nil
}
