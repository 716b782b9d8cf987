package nn_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

func TestSequentialNames(t *testing.T) {
	inner := nn.NewMLP(nil, 4, 3, 2)
	model := nn.NewSequential(nn.NewLinear(nil, 5, 4), nn.NewReLU(), nn.NewSequential(inner))
	var got []string
	for _, p := range model.Params() {
		got = append(got, p.Name)
	}
	want := []string{"0.weight", "0.bias", "2.0.0.weight", "2.0.0.bias", "2.0.2.weight", "2.0.2.bias"}
	if !slices.Equal(got, want) {
		t.Errorf("parameters %v, want %v", got, want)
	}
	got = nil
	for _, tr := range model.Traces() {
		got = append(got, tr.Layer)
	}
	want = []string{"0 (Linear 5→4)", "1 (ReLU)", "2.0.0 (Linear 4→3)", "2.0.1 (ReLU)", "2.0.2 (Linear 3→2)"}
	if !slices.Equal(got, want) {
		t.Errorf("layers %v, want %v", got, want)
	}
	if got, want := model.String(), "Sequential (Linear 5→4, ReLU, Sequential (Sequential (Linear 4→3, ReLU, Linear 3→2)))"; got != want {
		t.Errorf("the network is %q, want %q", got, want)
	}
}

// A network within a network computes what its layers would in the outer one, in the
// same memory, and streams.
func TestNestedIsFlat(t *testing.T) {
	build := func(nested bool) *nn.Sequential {
		rng := nn.NewRand(3)
		l := []nn.Layer{nn.NewLinear(rng, 6, 5), nn.NewReLU(), nn.NewDropout(rng, 0.25), nn.NewLinear(rng, 5, 4), nn.NewReLU(), nn.NewLinear(rng, 4, 3)}
		if nested { // each ReLU that a Linear computes is in another network than the Linear
			return nn.NewSequential(l[0], nn.NewSequential(l[1], l[2], nn.NewSequential(l[3])), nn.NewSequential(), nn.NewSequential(l[4], l[5]))
		}
		return nn.NewSequential(l...)
	}
	ctx := newContext(t)
	ctx.Training = true
	for _, dtype := range []tensor.DType{tensor.F16, tensor.F32} {
		var want []float32
		var bytes [2]int
		for _, nested := range []bool{false, true} {
			model := build(nested)
			if !model.Streams() {
				t.Errorf("nested %v: the network does not stream", nested)
			}
			in := make([]float32, 7*6)
			for i := range in {
				in[i] = float32(i%11-5) / 4
			}
			var ce nn.CrossEntropy
			_, dy := ce.Loss(model.Forward(ctx, newTensor(dtype, in, 7, 6)), []int{0, 1, 2, 0, 1, 2, 0}, 64)
			got := slices.Clone(values(model.Backward(ctx, dy, true)))
			for _, p := range model.Params() {
				got = append(got, p.Grad...)
			}
			outputs, gradients := model.Activations()
			if !nested {
				want, bytes = got, [2]int{outputs, gradients}
				continue
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v: the gradients of the nested network differ", dtype)
			}
			if bytes != [2]int{outputs, gradients} {
				t.Errorf("%v: nested, activations of %d and %d bytes, flat %v", dtype, outputs, gradients, bytes)
			}
		}
	}
}

// Double is a layer without state, parameters or a String method.
type Double struct{}

func (Double) Params() []*nn.Param { return nil }

func (Double) Forward(_ *nn.Context, x *tensor.Tensor) *tensor.Tensor { return double(x) }

func (Double) Backward(_ *nn.Context, dy *tensor.Tensor, _ bool) *tensor.Tensor { return double(dy) }

func double(x *tensor.Tensor) *tensor.Tensor {
	y := tensor.New(tensor.F32, x.Shape()...)
	for i, v := range x.F32() {
		y.F32()[i] = 2 * v
	}
	return y
}

func TestFirstOverflowInNested(t *testing.T) {
	ctx := newContext(t)
	model := nn.NewSequential(nn.NewReLU(), nn.NewSequential(Double{}, nn.NewSequential(Double{}, Double{})))
	model.Forward(ctx, tensor.FromF32([]float32{math.MaxFloat32 / 3}, 1, 1))
	if got, want := model.FirstOverflow(), "the output of layer 1.1.0 (nn_test.Double)"; got != want {
		t.Errorf("the overflow is in %q, want %q", got, want)
	}
	model.Forward(ctx, tensor.FromF32([]float32{1}, 1, 1))
	model.Backward(ctx, tensor.FromF32([]float32{math.MaxFloat32 / 3}, 1, 1), false)
	if got, want := model.FirstOverflow(), "the gradient at the output of layer 1.0 (nn_test.Double)"; got != want {
		t.Errorf("the overflow is in %q, want %q", got, want)
	}
}

// A layer remembers one pass, and a gradient is set rather than added to, so neither a
// layer nor a parameter can be in two places. A layer without state can.
func TestSequentialRefusesTheSameTwice(t *testing.T) {
	linear, relu := nn.NewLinear(nil, 3, 3), nn.NewReLU()
	tied := nn.NewLinear(nil, 3, 3)
	tied.Weight = linear.Weight
	inner := nn.NewSequential(linear, nn.NewReLU())
	for i, c := range []struct {
		layers []nn.Layer
		want   string
	}{
		{[]nn.Layer{relu, linear, relu}, "nn: NewSequential: layer 2 (ReLU) is layer 0 (ReLU) again"},
		{[]nn.Layer{relu, inner, nn.NewReLU(), linear}, "nn: NewSequential: layer 3 (Linear 3→3) is layer 1.0 (Linear 3→3) again"},
		{[]nn.Layer{inner, inner}, "nn: NewSequential: layer 1.0 (Linear 3→3) is layer 0.0 (Linear 3→3) again"},
		{[]nn.Layer{linear, nn.NewSequential(relu, tied)}, "of layer 1.1 (Linear 3→3) is also one of layer 0 (Linear 3→3)"},
		{[]nn.Layer{Double{}, Double{}, &Double{}, &Double{}}, ""},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			before := linear.Weight.Name
			defer func() {
				message, _ := recover().(string)
				if !strings.Contains(message, c.want) || (message == "") != (c.want == "") {
					t.Errorf("panic %q, want one with %q", message, c.want)
				}
				if linear.Weight.Name != before {
					t.Errorf("a refused network has renamed %s to %s", before, linear.Weight.Name)
				}
			}()
			nn.NewSequential(c.layers...)
		})
	}
}
