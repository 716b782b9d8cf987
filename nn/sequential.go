package nn

import (
	"fmt"
	"math/rand/v2"

	"github.com/halfgrad/halfgrad/tensor"
)

// Sequential is a network in which each layer feeds the next. It is a [Layer]
// itself, so networks nest.
type Sequential struct {
	layers []Layer
	params []*Param

	outputs   []*tensor.Tensor // of each layer, in the last Forward
	gradients []*tensor.Tensor // of the loss by each layer's output, in the last Backward
}

// NewSequential returns a network of the given layers, first to last. It puts
// each layer's number before the names of its parameters, as PyTorch does:
// "0.weight", "2.bias".
func NewSequential(layers ...Layer) *Sequential {
	s := &Sequential{
		layers:    layers,
		outputs:   make([]*tensor.Tensor, len(layers)),
		gradients: make([]*tensor.Tensor, len(layers)),
	}
	for i, l := range layers {
		for _, p := range l.Params() {
			p.Name = fmt.Sprintf("%d.%s", i, p.Name)
			s.params = append(s.params, p)
		}
	}
	return s
}

// NewMLP returns a multilayer perceptron: linear layers between the given
// widths, with a ReLU after each but the last. NewMLP(rng, 784, 256, 10) is
// Linear 784→256, ReLU, Linear 256→10. It panics if fewer than two widths are
// given or one is not positive.
func NewMLP(rng *rand.Rand, widths ...int) *Sequential {
	if len(widths) < 2 {
		panic(fmt.Sprintf("nn: NewMLP: widths %v: want the input's and the output's at least", widths))
	}
	var layers []Layer
	for i := range len(widths) - 1 {
		if i > 0 {
			layers = append(layers, NewReLU())
		}
		layers = append(layers, NewLinear(rng, widths[i], widths[i+1]))
	}
	return NewSequential(layers...)
}

// Layers returns the layers, first to last. The caller must not change the slice.
func (s *Sequential) Layers() []Layer { return s.layers }

// Params returns the parameters of all layers, in their order.
func (s *Sequential) Params() []*Param { return s.params }

// Forward runs the layers first to last.
func (s *Sequential) Forward(ctx *Context, x *tensor.Tensor) *tensor.Tensor {
	for i, l := range s.layers {
		x = l.Forward(ctx, x)
		s.outputs[i] = x
	}
	return x
}

// Backward runs the layers last to first.
func (s *Sequential) Backward(ctx *Context, dy *tensor.Tensor, wantDX bool) *tensor.Tensor {
	for i := len(s.layers) - 1; i >= 0; i-- {
		s.gradients[i] = dy
		dy = s.layers[i].Backward(ctx, dy, wantDX || i > 0)
	}
	return dy
}

// FirstOverflow says where the last pass first produced an infinity or a NaN,
// in the order of computation: going forward, then backward, then in the
// gradients of the parameters. It returns "" if everything is finite.
//
// It looks at every element, so it is for after an overflow has been found.
func (s *Sequential) FirstOverflow() string {
	for i, y := range s.outputs {
		if y != nil && y.FirstNonFinite() >= 0 {
			return fmt.Sprintf("the output of layer %d (%v)", i, s.layers[i])
		}
	}
	for i := len(s.layers) - 1; i >= 0; i-- {
		if g := s.gradients[i]; g != nil && g.FirstNonFinite() >= 0 {
			return fmt.Sprintf("the gradient at the output of layer %d (%v)", i, s.layers[i])
		}
		for _, p := range s.layers[i].Params() {
			if tensor.FromF32(p.Grad, p.Shape...).FirstNonFinite() >= 0 {
				return fmt.Sprintf("the gradient of %s (%v)", p.Name, s.layers[i])
			}
		}
	}
	return ""
}
