package nn

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"

	"github.com/halfgrad/halfgrad/tensor"
)

// Sequential is a network in which each layer feeds the next. It is a [Layer]
// itself, so networks nest: the layers of an inner network run as layers of the outer
// one, under names such as "2.1".
//
// A ReLU that follows a Linear is computed in the same pass, and its gradient replaces
// the gradient by its output, in the same memory.
type Sequential struct {
	layers []Layer
	params []*Param
	nodes  []node // the layers that are not networks themselves, in order

	input *tensor.Tensor // of the last Forward
}

// node is a layer within a network, and what the last passes left of it.
type node struct {
	layer      Layer
	name       string // such as "2.1 (Linear 256→10)"
	firstParam int    // index of its first parameter in the network's

	forward, backward, update string // its phases in a profile

	output   *tensor.Tensor // of the last Forward
	gradient *tensor.Tensor // of the loss by output, in the last Backward
}

// NewSequential returns a network of the given layers, first to last. It puts
// each layer's number before the names of its parameters, as PyTorch does:
// "0.weight", "2.bias", and "2.1.weight" in a network within the network.
//
// A network that becomes part of another one gets the names there, so it should be used
// only as that part.
//
// NewSequential panics if a layer occurs twice, in this network or in one within it, or
// if two layers share a parameter: a layer remembers one Forward for its Backward, and
// Backward sets gradients instead of adding to them.
func NewSequential(layers ...Layer) *Sequential {
	s := &Sequential{layers: layers}
	layerNames, paramNames := map[Layer]string{}, map[*Param]string{}
	s.add("", layers, layerNames, paramNames)
	for i, l := range layers {
		for _, p := range l.Params() {
			p.Name = fmt.Sprintf("%d.%s", i, p.Name)
		}
	}
	return s
}

// add appends the layers of a network, whose names begin with prefix. Both maps hold the
// names of the layers so far: by layer, and by parameter.
func (s *Sequential) add(prefix string, layers []Layer, layerNames map[Layer]string, paramNames map[*Param]string) {
	for i, l := range layers {
		index := prefix + strconv.Itoa(i)
		if inner, ok := l.(*Sequential); ok {
			s.add(index+".", inner.layers, layerNames, paramNames)
			continue
		}
		name := fmt.Sprintf("%s (%s)", index, describe(l))
		if hasState(l) {
			if first, twice := layerNames[l]; twice {
				panic(fmt.Sprintf("nn: NewSequential: layer %s is layer %s again: want each layer once", name, first))
			}
			layerNames[l] = name
		}
		s.nodes = append(s.nodes, node{
			layer: l, name: name, firstParam: len(s.params),
			forward: "forward " + name, backward: "backward " + name, update: "gradients and update " + name,
		})
		for _, p := range l.Params() {
			if first, twice := paramNames[p]; twice {
				panic(fmt.Sprintf("nn: NewSequential: parameter %s of layer %s is also one of layer %s: want each parameter once", p.Name, name, first))
			}
			paramNames[p] = name
			s.params = append(s.params, p)
		}
	}
}

// hasState returns whether a layer is a pointer to something: only then can it remember
// a pass, and only then do two equal interface values mean one layer.
func hasState(l Layer) bool {
	t := reflect.TypeOf(l)
	return t.Kind() == reflect.Pointer && t.Elem().Size() > 0
}

// describe returns what a layer calls itself or, if it has no String method, its type.
func describe(l Layer) string {
	if named, ok := l.(fmt.Stringer); ok {
		return named.String()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", l), "*")
}

// String returns, for example, "Sequential (Linear 784→256, ReLU, Linear 256→10)".
func (s *Sequential) String() string {
	names := make([]string, len(s.layers))
	for i, l := range s.layers {
		names[i] = describe(l)
	}
	return "Sequential (" + strings.Join(names, ", ") + ")"
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

// New returns the network: linear layers between the widths. A ReLU follows each but the
// last and, where Dropout is not 0, a [Dropout]. New panics if there are fewer than
// two widths, one is not positive, or a probability is not in [0, 1).
func (m MLP) New(rng *rand.Rand) *Sequential {
	if len(m.Widths) < 2 {
		panic(fmt.Sprintf("nn: MLP: widths %v: want at least the input's and the output's", m.Widths))
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

// Layers returns the layers that the network was made of, first to last. The caller must
// not change the slice.
func (s *Sequential) Layers() []Layer { return s.layers }

// Params returns the parameters of all layers, in their order.
func (s *Sequential) Params() []*Param { return s.params }

// Forward runs the layers first to last.
func (s *Sequential) Forward(ctx *Context, x *tensor.Tensor) *tensor.Tensor {
	s.input = x
	for i := range s.nodes {
		n := &s.nodes[i]
		if r, ok := n.layer.(*ReLU); ok && s.rectified(i) {
			r.output = x // the Linear before has rectified it
		} else if linear, ok := n.layer.(*Linear); ok {
			x = linear.forward(ctx, x, s.rectified(i+1))
		} else {
			x = n.layer.Forward(ctx, x)
		}
		n.output = x
		ctx.Profile.Lap(n.forward)
	}
	return x
}

// rectified returns whether node i is a ReLU that the Linear before it computes.
func (s *Sequential) rectified(i int) bool {
	if i < 1 || i >= len(s.nodes) {
		return false
	}
	_, relu := s.nodes[i].layer.(*ReLU)
	_, linear := s.nodes[i-1].layer.(*Linear)
	return relu && linear
}

// Backward runs the layers last to first.
func (s *Sequential) Backward(ctx *Context, dy *tensor.Tensor, wantDX bool) *tensor.Tensor {
	for i := len(s.nodes) - 1; i >= 0; i-- {
		n := &s.nodes[i]
		n.gradient = dy
		if _, ok := n.layer.(*ReLU); ok && (wantDX || i > 0) {
			dy = s.backwardReLU(ctx, i, dy)
		} else {
			dy = n.layer.Backward(ctx, dy, wantDX || i > 0)
		}
		ctx.Profile.Lap(n.backward)
	}
	return dy
}

// backwardReLU is Backward of node i, a ReLU. It works in place unless dy is the caller's
// memory, which layers may hand on.
func (s *Sequential) backwardReLU(ctx *Context, i int, dy *tensor.Tensor) *tensor.Tensor {
	r := s.nodes[i].layer.(*ReLU)
	if dy == s.nodes[len(s.nodes)-1].gradient {
		return r.Backward(ctx, dy, true)
	}
	ctx.Engine.Rectify(dy, dy, r.output)
	return dy
}

// Streams implements [Streaming]. A network streams if all its layers, those of inner
// networks included, are Linear, ReLU or Dropout.
func (s *Sequential) Streams() bool {
	for _, n := range s.nodes {
		switch n.layer.(type) {
		case *Linear, *ReLU, *Dropout:
		default:
			return false
		}
	}
	return true
}

// BackwardInputs implements [Streaming]. The gradient of a weight is a sum of products of
// an input and an output gradient. Each of these takes part in some weight's gradient, so
// all are finite if the inputs and the output gradients are.
func (s *Sequential) BackwardInputs(ctx *Context, dy *tensor.Tensor, inputFinite bool) (finite bool) {
	finite = dy.FirstNonFinite() < 0
	for i := len(s.nodes) - 1; i >= 0; i-- {
		n := &s.nodes[i]
		n.gradient = dy
		switch l := n.layer.(type) {
		case *ReLU:
			dy = s.backwardReLU(ctx, i, dy)
			finite = finite || dy.FirstNonFinite() < 0 // it may have masked all that was not
		case *Dropout:
			dy = l.Backward(ctx, dy, true)
			finite = finite && dy.FirstNonFinite() < 0 // it scales what it keeps
		case *Linear:
			if !finite || !s.finiteInput(i, inputFinite) {
				return false
			}
			if n.firstParam == 0 {
				return true // no layer before it has parameters
			}
			dy, finite = l.backwardInput(ctx, dy)
		}
		ctx.Profile.Lap(n.backward)
	}
	return true
}

// finiteInput returns whether the last input of node i, a Linear, was finite. Where a
// Linear made that input, with or without a ReLU between, it has checked its output.
func (s *Sequential) finiteInput(i int, inputFinite bool) bool {
	before := i - 1
	if s.rectified(before) {
		before--
	}
	if before < 0 && inputFinite {
		return true
	}
	if before >= 0 {
		if l, ok := s.nodes[before].layer.(*Linear); ok {
			return l.finite
		}
	}
	return s.nodes[i].layer.(*Linear).x.FirstNonFinite() < 0
}

// StreamGradients implements [Streaming].
func (s *Sequential) StreamGradients(ctx *Context, sink GradientSink) {
	for i := len(s.nodes) - 1; i >= 0; i-- {
		n := &s.nodes[i]
		if l, ok := n.layer.(*Linear); ok {
			l.streamGradients(ctx, n.gradient, sink, n.firstParam)
			ctx.Profile.Lap(n.update)
		}
	}
}

// Activations returns how many bytes the last step's activations take: the input and the
// outputs of all layers, and the gradients by those outputs. Tensors that share memory
// count once.
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
	for _, n := range s.nodes {
		outputs += bytes(n.output)
		gradients += bytes(n.gradient)
	}
	return outputs, gradients
}

// Trace is what the last training pass left of a layer.
type Trace struct {
	Layer    string         // such as "0 (Linear 784→256)"
	Output   *tensor.Tensor // nil where the next layer has overwritten it
	Gradient *tensor.Tensor // of the loss by the output; nil where the gradient by the input has overwritten it
	Params   []*Param
}

// Traces returns what the last Forward and Backward computed, layer by layer. Inner
// networks appear as their layers. The tensors belong to the layers.
func (s *Sequential) Traces() []Trace {
	traces := make([]Trace, len(s.nodes))
	for i, n := range s.nodes {
		t := Trace{Layer: n.name, Output: n.output, Gradient: n.gradient, Params: n.layer.Params()}
		if i+1 < len(s.nodes) && s.nodes[i+1].output == t.Output {
			t.Output = nil // rectified
		}
		if i > 0 && s.nodes[i-1].gradient == t.Gradient {
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
// It looks at every element, so call it after an overflow has been found.
func (s *Sequential) FirstOverflow() string {
	for _, n := range s.nodes {
		if n.output != nil && n.output.FirstNonFinite() >= 0 {
			return "the output of layer " + n.name
		}
	}
	for i := len(s.nodes) - 1; i >= 0; i-- {
		n := &s.nodes[i]
		if n.gradient != nil && n.gradient.FirstNonFinite() >= 0 {
			return "the gradient at the output of layer " + n.name
		}
		for _, p := range n.layer.Params() {
			if tensor.FromF32(p.Grad, p.Shape...).FirstNonFinite() >= 0 {
				return fmt.Sprintf("the gradient of %s (%s)", p.Name, describe(n.layer))
			}
		}
	}
	return ""
}
