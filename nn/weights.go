package nn

import (
	"fmt"

	"github.com/halfgrad/halfgrad/tensor"
)

// Weights are values of a graph's parameters and buffers for inference, apart from those
// that training changes. In a type of 16 bits they take two bytes a parameter. Any number
// of plans and goroutines share them, once they are set.
type Weights struct {
	graph   *Graph
	dtype   tensor.DType
	params  []*tensor.Tensor // by parameter
	buffers [][]float32
}

// NewWeights returns values of zero, in a storage type, to be set.
func (g *Graph) NewWeights(dtype tensor.DType) (*Weights, error) {
	if g.err != nil {
		return nil, g.err
	}
	if err := checkStorage(dtype); err != nil {
		return nil, err
	}
	g.built.Store(true)
	w := &Weights{graph: g, dtype: dtype}
	for _, p := range g.params {
		w.params = append(w.params, tensor.New(dtype, p.Shape...))
	}
	for _, b := range g.buffers {
		w.buffers = append(w.buffers, make([]float32, Shape(b.Shape).Len()))
	}
	return w, nil
}

// Weights returns a copy of the parameters' and buffers' present values, rounded to a
// storage type.
func (g *Graph) Weights(dtype tensor.DType) (*Weights, error) {
	w, err := g.NewWeights(dtype)
	if err != nil {
		return nil, err
	}
	if g.Blank() {
		return nil, fmt.Errorf("nn: the graph is blank: its parameters have no values to copy")
	}
	for i, p := range g.params {
		w.params[i].Elements().Store(p.Master)
	}
	for i, b := range g.buffers {
		copy(w.buffers[i], b.Values)
	}
	return w, nil
}

// DType returns the storage type.
func (w *Weights) DType() tensor.DType { return w.dtype }

// Param returns the value of parameter i of the graph, to be set before the first plan.
func (w *Weights) Param(i int) *tensor.Tensor { return w.params[i] }

// Buffer returns the values of buffer i of the graph, to be set before the first plan.
func (w *Weights) Buffer(i int) []float32 { return w.buffers[i] }

// Bytes returns the memory that the values take.
func (w *Weights) Bytes() (bytes int) {
	for _, p := range w.params {
		bytes += p.Len() * w.dtype.Size()
	}
	for _, b := range w.buffers {
		bytes += 4 * len(b)
	}
	return bytes
}

// checkStorage returns an error unless plans can store values in a type.
func checkStorage(dtype tensor.DType) error {
	if dtype != tensor.F16 && dtype != tensor.F32 {
		return fmt.Errorf("nn: a storage type of %v: want fp16 or fp32", dtype)
	}
	return nil
}
