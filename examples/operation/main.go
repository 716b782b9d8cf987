// Operation adds an operation of one's own to a graph: the hard swish of MobileNetV3
// (Howard et al., 2019), with a learned factor. It checks a gradient against a difference
// quotient.
//
// An operation needs three methods. As it has a parameter, it has two more; with a bound
// the gradient can go straight to the optimizer, and with ONNX it can be exported.
package main

import (
	"fmt"
	"log"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// HardSwish adds y = s·x·clamp(x+3, 0, 6)/6, element by element, with a parameter s.
func HardSwish(x *nn.Value, opts ...nn.Option) *nn.Value {
	s := x.Graph().Param("swish.scale", []int{1}, nn.Constant(1))
	return nn.Apply("HardSwish", &hardSwish{s}, []*nn.Value{x}, opts...)
}

type hardSwish struct{ scale *nn.Param }

func (h *hardSwish) String() string { return "HardSwish" }

// Infer says that the output has the input's shape, and that Backward reads the input.
func (h *hardSwish) Infer(in []nn.Shape) (nn.Form, error) {
	if len(in) != 1 {
		return nn.Form{}, fmt.Errorf("%d inputs: want one", len(in))
	}
	return nn.Form{Out: in[0], Backward: nn.ReadsIn, Scratch: 1 + 2*in[0].Len()}, nil
}

// swish returns x·clamp(x+3, 0, 6)/6 and its slope.
func swish(x float32) (y, slope float32) {
	switch {
	case x <= -3:
		return 0, 0
	case x >= 3:
		return x, 1
	}
	return x * (x + 3) / 6, (2*x + 3) / 6
}

// rows calls f with each sample of two tensors, widened to fp32, and the scale. It stores
// what f leaves in the first.
func (h *hardSwish) rows(c *nn.Call, to, from, with *tensor.Tensor, f func(scale float32, a, b []float32)) {
	n := from.Len() / c.Rows
	scale, a, b := c.Scratch[:1], c.Scratch[1:1+n], c.Scratch[1+n:]
	c.Params[0].Elements().Load(scale)
	for at := 0; at < from.Len(); at += n {
		from.Elements().Slice(at, at+n).Load(a)
		with.Elements().Slice(at, at+n).Load(b)
		f(scale[0], a, b)
		if to != nil {
			to.Elements().Slice(at, at+n).Store(a)
		}
	}
}

func (h *hardSwish) Forward(c *nn.Call) {
	h.rows(c, c.Out, c.In[0], c.In[0], func(scale float32, x, _ []float32) {
		for i, v := range x {
			y, _ := swish(v)
			x[i] = scale * y
		}
	})
}

func (h *hardSwish) Backward(c *nn.Call) {
	if c.DIn[0] == nil {
		return
	}
	h.rows(c, c.DIn[0], c.DOut, c.In[0], func(scale float32, dy, x []float32) {
		for i, v := range x {
			_, slope := swish(v)
			dy[i] = dy[i] * scale * slope
		}
	})
}

func (h *hardSwish) Params() []*nn.Param { return []*nn.Param{h.scale} }

// Gradients adds the rows one after the other, so that a batch may come in parts.
func (h *hardSwish) Gradients(c *nn.Call) {
	sum := c.Grads[0].Begin()
	h.rows(c, nil, c.DOut, c.In[0], func(_ float32, dy, x []float32) {
		for i, v := range x {
			y, _ := swish(v)
			sum[0] += float32(dy[i] * y)
		}
	})
	c.Grads[0].End()
}

// Bound is that of a sum over all elements of products of dy and at most x.
func (h *hardSwish) Bound(rows int, most float64) float64 { return 1e6 * float64(rows) * most * most }

// ONNX writes the operator that ONNX has for it.
func (h *hardSwish) ONNX(w nn.ONNXWriter, in, params []nn.ONNXValue) (string, error) {
	y := w.Node("HardSwish", []string{in[0].Name}, nil)
	return w.Node("Mul", []string{y, params[0].Name}, nil), nil
}

func main() {
	numeric, computed, err := slopes()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("the derivative is %.5f by differences, and %.5f by Backward\n", numeric, computed)
}

// slopes returns the derivative of a loss by a weight before the operation.
func slopes() (numeric, computed float64, err error) {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		return 0, 0, err
	}
	g := nn.NewGraph(1)
	g.Output("logits", nn.Linear(HardSwish(nn.Linear(g.Input("x", 3), 8)), 2))
	plan, err := g.Plan(nn.PlanConfig{Engine: engine, Batch: 2, Precision: tensor.F32, Training: true})
	if err != nil {
		return 0, 0, err
	}
	x := []*tensor.Tensor{tensor.FromF32([]float32{0.5, -1, 2, 1, 0.25, -0.5}, 2, 3)}
	call := nn.LossCall{
		Engine: engine, Factor: 0.5, // of a mean over two rows
		Outputs: []*tensor.Tensor{plan.Output(0)}, DOut: []*tensor.Tensor{plan.OutputGradient(0)},
		Targets: []*tensor.Tensor{tensor.FromElements(tensor.Of([]int32{1, 0}), 2)},
	}
	loss := func() float64 {
		if e := plan.Forward(nn.Position{}, x, true); e != nil {
			err = e
		}
		return nn.CrossEntropy{}.Sum(&call) / 2
	}
	w := &g.Params()[0].Master[4]
	const step = 1e-2
	*w += step
	up := loss()
	*w -= 2 * step
	down := loss()
	*w += step
	loss()
	plan.Backward(false)
	return (up - down) / (2 * step), float64(plan.Gradient(0)[4]), err
}
