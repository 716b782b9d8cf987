package nn

import (
	"strconv"
)

// Layer adds an operation to a graph: a function such as [Linear] or [ReLU] with all but
// its input given, for [Chain].
type Layer func(x *Value, opts ...Option) *Value

// Chain applies layers one after the other. Their names are their numbers, as in PyTorch's
// Sequential: "0.weight", "2.bias".
func Chain(x *Value, layers ...Layer) *Value {
	for i, add := range layers {
		x = add(x, Named(strconv.Itoa(i)))
	}
	return x
}

// MLP adds a multilayer perceptron: linear layers to the given widths, with a ReLU after
// each but the last. MLP(x, 256, 10) is Linear →256, ReLU, Linear →10.
func MLP(x *Value, widths ...int) *Value { return MLPConfig{Widths: widths}.Add(x) }

// MLPConfig describes a multilayer perceptron.
type MLPConfig struct {
	Widths       []int   // of the hidden layers and the output
	InputDropout float64 // probability of dropping a value of the input; 0 for no such layer
	Dropout      float64 // the same for the outputs of the hidden layers
}

// Add adds the network as a [Chain]: linear layers to the widths. A ReLU follows each but
// the last and, where Dropout is not 0, a [Dropout].
func (m MLPConfig) Add(x *Value) *Value {
	var layers []Layer
	dropout := func(rate float64) Layer {
		return func(x *Value, opts ...Option) *Value { return Dropout(x, rate, opts...) }
	}
	if len(m.Widths) == 0 {
		return x.graph.fail("MLP", "no widths: want at least the output's")
	}
	if m.InputDropout != 0 {
		layers = append(layers, dropout(m.InputDropout))
	}
	for i, width := range m.Widths {
		layers = append(layers, func(x *Value, opts ...Option) *Value { return Linear(x, width, opts...) })
		if i == len(m.Widths)-1 {
			break
		}
		layers = append(layers, ReLU)
		if m.Dropout != 0 {
			layers = append(layers, dropout(m.Dropout))
		}
	}
	return Chain(x, layers...)
}
