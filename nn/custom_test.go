package nn_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// gain is an operation from outside the package: y = x·w over the last dimension, with the
// parameter w.
type gain struct {
	w    *nn.Param
	rows int // of a sample
}

var _ interface {
	nn.Bounded
	nn.ONNX
} = (*gain)(nil)

func newGain(x *nn.Value, name string) *nn.Value {
	g, o := x.Graph(), &gain{rows: x.Shape().Len() / x.Shape().Last()}
	g.Scope(name, func() { o.w = g.Param("weight", []int{x.Shape().Last()}, nn.Constant(1)) })
	return nn.Apply("Gain", o, []*nn.Value{x}, nn.Named(name))
}

func (o *gain) Infer(in []nn.Shape) (nn.Form, error) {
	if len(in) != 1 || in[0].Last() != o.w.Len() {
		return nn.Form{}, fmt.Errorf("an input of %v: want a last dimension of %d", in, o.w.Len())
	}
	return nn.Form{Out: in[0], Backward: nn.ReadsIn, Scratch: 3 * o.w.Len()}, nil
}

// each calls f with w and with the rows of two tensors, in order. It stores what f leaves in
// the first, in to.
func (o *gain) each(c *nn.Call, to, a, b *tensor.Tensor, f func(w, a, b []float32)) {
	n := o.w.Len()
	w, x, y := c.Scratch[:n], c.Scratch[n:2*n], c.Scratch[2*n:]
	c.Params[0].Elements().Load(w)
	for at := 0; at < a.Len(); at += n {
		a.Elements().Slice(at, at+n).Load(x)
		b.Elements().Slice(at, at+n).Load(y)
		f(w, x, y)
		if to != nil {
			to.Elements().Slice(at, at+n).Store(x)
		}
	}
}

func scaleBy(w, x, _ []float32) {
	for i := range x {
		x[i] *= w[i]
	}
}

func (o *gain) Forward(c *nn.Call) { o.each(c, c.Out, c.In[0], c.In[0], scaleBy) }

func (o *gain) Backward(c *nn.Call) {
	if c.DIn[0] != nil {
		o.each(c, c.DIn[0], c.DOut, c.DOut, scaleBy)
	}
}

func (o *gain) Params() []*nn.Param { return []*nn.Param{o.w} }

func (o *gain) Gradients(c *nn.Call) {
	sums := c.Grads[0].Begin()
	o.each(c, nil, c.DOut, c.In[0], func(_, dy, x []float32) {
		for i, v := range x {
			sums[i] += float32(dy[i] * v)
		}
	})
	c.Grads[0].End()
}

func (o *gain) Bound(rows int, most float64) float64 {
	return float64(rows) * float64(o.rows) * most * most
}

func (o *gain) ONNX(w nn.ONNXWriter, in, params []nn.ONNXValue) (string, error) {
	return w.Node("Mul", []string{in[0].Name, params[0].Name}, nil), nil
}

// Two gains, trained on ½·Σ y²: the gradients by their weights v and w are Σ y·w·x and
// Σ y·v·x, with y = v·w·x.
func TestOperationOfOnesOwn(t *testing.T) {
	const rows, inner, width = 12, 3, 5
	v, w := []float32{0.5, -1, 2, 1.5, 0.25}, []float32{1, 0.75, -0.5, 2, -1.25}
	for _, precision := range []tensor.DType{tensor.F32, tensor.F16} {
		x := numbers(precision, 0, rows, inner, width)
		want := [2][]float64{make([]float64, width), make([]float64, width)}
		largest := 0.0
		for i, value := range floats(x) {
			j, value := i%width, float64(value)
			y := float64(v[j]) * float64(w[j]) * value
			want[0][j] += y * float64(w[j]) * value
			want[1][j] += y * float64(v[j]) * value
			largest = max(largest, math.Abs(want[0][j]), math.Abs(want[1][j]))
		}
		var first [2][]float32
		for _, tier := range kernels.Supported() {
			for _, stream := range []bool{false, true} {
				for _, parts := range [][]int{{12}, {5, 7}, {4, 4, 4}} {
					if stream && (len(parts) > 1 || precision == tensor.F32) {
						continue // a sink takes gradients of whole batches, with a bound
					}
					g := nn.NewGraph(1)
					g.Output("y", newGain(newGain(g.Input("x", inner, width), "v"), "w"))
					if got := g.Params()[0].Name; got != "v.weight" {
						t.Fatalf("the first parameter is %s", got)
					}
					p := newPlan(t, g, nn.PlanConfig{Engine: newEngine(t, tier, 2), Batch: rows, Precision: precision, Training: true, Stream: stream})
					copy(g.Params()[0].Master, v)
					copy(g.Params()[1].Master, w)
					g.Params()[0].Sync()
					g.Params()[1].Sync()
					from := 0
					for i, n := range parts {
						part := new(tensor.Tensor)
						part.ViewRows(x, from, from+n)
						if err := p.Forward(nn.Position{First: from}, []*tensor.Tensor{part}, true); err != nil {
							t.Fatal(err)
						}
						lossOf(p)
						if !p.Backward(i > 0) {
							t.Fatal("a gradient is not finite")
						}
						from += n
					}
					s := sums{grads: map[int][]float32{}}
					p.Stream(&s)
					for i := range want {
						got := slices.Clone(p.Gradient(i))
						if stream != (got == nil) {
							t.Fatalf("with Stream %v the gradient of parameter %d is stored: %v", stream, i, got != nil)
						}
						if stream {
							got = s.grads[i]
						}
						if first[i] == nil {
							first[i] = got
						}
						if !slices.Equal(got, first[i]) {
							t.Errorf("%s in %v, streamed %v, in parts of %v: parameter %d has other bits", tier, precision, stream, parts, i)
						}
						tolerance := map[tensor.DType]float64{tensor.F32: 1e-6, tensor.F16: 4 * 0x1p-11}[precision]
						for j, g := range got {
							if math.Abs(float64(g)-want[i][j]) > tolerance*largest {
								t.Errorf("%v: the gradient of parameter %d[%d] is %v, want %v", precision, i, j, g, want[i][j])
							}
						}
					}
				}
			}
		}
	}
	g := nn.NewGraph(1)
	nn.Apply("Gain", &gain{w: g.Param("w", []int{4}, nn.Zeros)}, []*nn.Value{g.Input("x", 5)})
	if err, want := g.Err(), "nn: gain (gain): an input of [5]: want a last dimension of 4"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
