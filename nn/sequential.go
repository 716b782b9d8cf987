package nn

import (
	"fmt"
	"math/rand/v2"

	"github.com/halfgrad/halfgrad/tensor"
)

// Sequential is a network in which each layer feeds the next. It is a [Layer]
// itself, so networks nest.
//
// A ReLU that follows a Linear is computed with it, in one pass, and its gradient in
// the memory of the gradient that it is handed.
type Sequential struct {
	layers []Layer
	params []*Param

	firstParam []int // of each layer, in params

	forward, backward, update []string // what a profile calls each layer's phases

	input     *tensor.Tensor   // of the last Forward
	outputs   []*tensor.Tensor // of each layer, then
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
		s.firstParam = append(s.firstParam, len(s.params))
		for _, p := range l.Params() {
			p.Name = fmt.Sprintf("%d.%s", i, p.Name)
			s.params = append(s.params, p)
		}
		s.forward = append(s.forward, fmt.Sprintf("forward %d (%v)", i, l))
		s.backward = append(s.backward, fmt.Sprintf("backward %d (%v)", i, l))
		s.update = append(s.update, fmt.Sprintf("gradients and update %d (%v)", i, l))
	}
	return s
}

// NewMLP returns a multilayer perceptron: linear layers between the given
// widths, with a ReLU after each but the last. NewMLP(rng, 784, 256, 10) is
// Linear 784→256, ReLU, Linear 256→10. It panics if fewer than two widths are
// given or one is not positive.
func NewMLP(rng *rand.Rand, widths ...int) *Sequential { return MLP{Widths: widths}.New(rng) }

// MLP describes a multilayer perceptron.
type MLP struct {
	Widths       []int   // of the input, the hidden layers and the output
	InputDropout float64 // probability of dropping a value of the input; 0 for no such layer
	Dropout      float64 // the same for the outputs of the hidden layers
}

// New returns the network: linear layers between the widths, and after each but the
// last a ReLU and, where it is asked for, a [Dropout]. It panics if there are fewer than
// two widths, one is not positive, or a probability is not in [0, 1).
func (m MLP) New(rng *rand.Rand) *Sequential {
	if len(m.Widths) < 2 {
		panic(fmt.Sprintf("nn: MLP: widths %v: want the input's and the output's at least", m.Widths))
	}
	var layers []Layer
	if m.InputDropout != 0 {
		layers = append(layers, NewDropout(rng, m.InputDropout))
	}
	for i := range len(m.Widths) - 1 {
		if i > 0 {
			layers = append(layers, NewReLU())
			if m.Dropout != 0 {
				layers = append(layers, NewDropout(rng, m.Dropout))
			}
		}
		layers = append(layers, NewLinear(rng, m.Widths[i], m.Widths[i+1]))
	}
	return NewSequential(layers...)
}

// Layers returns the layers, first to last. The caller must not change the slice.
func (s *Sequential) Layers() []Layer { return s.layers }

// Params returns the parameters of all layers, in their order.
func (s *Sequential) Params() []*Param { return s.params }

// Forward runs the layers first to last.
func (s *Sequential) Forward(ctx *Context, x *tensor.Tensor) *tensor.Tensor {
	s.input = x
	for i, l := range s.layers {
		if r, ok := l.(*ReLU); ok && s.rectified(i) {
			r.output = x // which is rectified
		} else if linear, ok := l.(*Linear); ok {
			x = linear.forward(ctx, x, s.rectified(i+1))
		} else {
			x = l.Forward(ctx, x)
		}
		s.outputs[i] = x
		ctx.Profile.Lap(s.forward[i])
	}
	return x
}

// rectified returns whether layer i is a ReLU that is computed with a Linear.
func (s *Sequential) rectified(i int) bool {
	if i < 1 || i >= len(s.layers) {
		return false
	}
	_, relu := s.layers[i].(*ReLU)
	_, linear := s.layers[i-1].(*Linear)
	return relu && linear
}

// Backward runs the layers last to first.
func (s *Sequential) Backward(ctx *Context, dy *tensor.Tensor, wantDX bool) *tensor.Tensor {
	for i := len(s.layers) - 1; i >= 0; i-- {
		s.gradients[i] = dy
		if _, ok := s.layers[i].(*ReLU); ok && (wantDX || i > 0) {
			dy = s.backwardReLU(ctx, i, dy)
		} else {
			dy = s.layers[i].Backward(ctx, dy, wantDX || i > 0)
		}
		ctx.Profile.Lap(s.backward[i])
	}
	return dy
}

// backwardReLU is Backward for layer i, which is a ReLU: in place where the gradient
// is another layer's, and not the caller's memory, which layers may hand on.
func (s *Sequential) backwardReLU(ctx *Context, i int, dy *tensor.Tensor) *tensor.Tensor {
	r := s.layers[i].(*ReLU)
	if dy == s.gradients[len(s.layers)-1] {
		return r.Backward(ctx, dy, true)
	}
	ctx.Engine.Rectify(dy, dy, r.output)
	return dy
}

// Streams implements [Streaming]: it is true if all layers are Linear, ReLU or Dropout.
func (s *Sequential) Streams() bool {
	for _, l := range s.layers {
		switch l.(type) {
		case *Linear, *ReLU, *Dropout:
		default:
			return false
		}
	}
	return true
}

// BackwardInputs implements [Streaming]. The gradient of a weight is a sum of
// products of an input and a gradient, each of which takes part in some, so that it
// is finite if both are.
func (s *Sequential) BackwardInputs(ctx *Context, dy *tensor.Tensor, inputFinite bool) (finite bool) {
	finite = dy.FirstNonFinite() < 0
	for i := len(s.layers) - 1; i >= 0; i-- {
		s.gradients[i] = dy
		switch l := s.layers[i].(type) {
		case *ReLU:
			dy = s.backwardReLU(ctx, i, dy)
			finite = finite || dy.FirstNonFinite() < 0 // it may have taken them out
		case *Dropout:
			dy = l.Backward(ctx, dy, true)
			finite = finite && dy.FirstNonFinite() < 0 // what is kept is scaled
		case *Linear:
			if !finite || !s.finiteInput(i, inputFinite) {
				return false
			}
			if s.firstParam[i] == 0 {
				return true // nobody wants the gradient of what is before
			}
			dy, finite = l.backwardInput(ctx, dy)
		}
		ctx.Profile.Lap(s.backward[i])
	}
	return true
}

// finiteInput returns whether the last input of layer i, which is a Linear, was
// finite. A Linear before it knows, the ReLU that may be between them included.
func (s *Sequential) finiteInput(i int, inputFinite bool) bool {
	before := i - 1
	if s.rectified(before) {
		before--
	}
	if before < 0 && inputFinite {
		return true
	}
	if before >= 0 {
		if l, ok := s.layers[before].(*Linear); ok {
			return l.finite
		}
	}
	return s.layers[i].(*Linear).x.FirstNonFinite() < 0
}

// StreamGradients implements [Streaming].
func (s *Sequential) StreamGradients(ctx *Context, sink GradientSink) {
	for i := len(s.layers) - 1; i >= 0; i-- {
		if l, ok := s.layers[i].(*Linear); ok {
			l.streamGradients(ctx, s.gradients[i], sink, s.firstParam[i])
			ctx.Profile.Lap(s.update[i])
		}
	}
}

// Activations returns how many bytes the outputs of the layers take, with the input
// that they were computed from, and the gradients by them, after a step. Those that
// share memory count once.
func (s *Sequential) Activations() (outputs, gradients int) {
	seen := map[*tensor.Tensor]bool{}
	bytes := func(t *tensor.Tensor) int {
		if t == nil || seen[t] {
			return 0
		}
		seen[t] = true
		return t.Len() * t.DType().Size()
	}
	outputs = bytes(s.input)
	for i := range s.layers {
		outputs += bytes(s.outputs[i])
		gradients += bytes(s.gradients[i])
	}
	return outputs, gradients
}

// Trace is what the last training pass left of a layer.
type Trace struct {
	Layer    string         // such as "0 (Linear 784→256)"
	Output   *tensor.Tensor // nil where it is that of the layer before, in the same memory
	Gradient *tensor.Tensor // of the loss by the output; nil where it is in the memory of the gradient by the input
	Params   []*Param
}

// Traces returns what the last Forward and Backward computed, layer by layer. The
// tensors are the layers' own.
func (s *Sequential) Traces() []Trace {
	traces := make([]Trace, len(s.layers))
	for i, l := range s.layers {
		t := Trace{Layer: fmt.Sprintf("%d (%v)", i, l), Output: s.outputs[i], Gradient: s.gradients[i], Params: l.Params()}
		if i+1 < len(s.layers) && s.outputs[i+1] == t.Output {
			t.Output = nil // rectified
		}
		if i > 0 && s.gradients[i-1] == t.Gradient {
			t.Gradient = nil
		}
		traces[i] = t
	}
	return traces
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
