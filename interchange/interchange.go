// Package interchange converts networks to and from the formats of other programs:
// PyTorch's state dicts in safetensors files, both ways, and ONNX models for inference.
//
// It computes nothing. Apart from [CheckTorch] it reads and writes no files: package
// checkpoint reads and writes safetensors, and [ONNX] returns the bytes of a file. It
// converts no training state (optimizers, loss scales), and reads no ONNX models.
//
// # Graphs
//
// [ONNX] exports graphs of operations that implement [nn.ONNX], your own included.
// [StateDict] exports the parameters of any graph. A state dict does not tell how its
// tensors are connected: [FromStateDict] reads chains of linear layers, and [Load] the
// parameters of a graph that is there.
package interchange

import (
	"fmt"
	"strings"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// TensorError reports a tensor that does not fit into the network or the file.
type TensorError struct {
	Name    string // in the file that was read, or in the one to be written
	Problem string
}

func (e *TensorError) Error() string {
	return fmt.Sprintf("interchange: tensor %s %s", e.Name, e.Problem)
}

// OpError reports an operation that cannot be exported.
type OpError struct {
	Node *nn.Node
	Err  error // what it says itself; nil if it does not implement [nn.ONNX]
}

func (e *OpError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("interchange: %v: %v", e.Node, e.Err)
	}
	return fmt.Sprintf("interchange: %v is a %T, which does not say how to export it: want an operation with an ONNX method", e.Node, e.Node.Op)
}

func (e *OpError) Unwrap() error { return e.Err }

// What PyTorch calls a Linear's parameters.
const (
	weight = "weight"
	bias   = "bias"
)

// parameter returns the name of a layer's parameter in a state dict. The layer's name is
// empty for a Linear that is the whole network.
func parameter(layer, name string) string {
	if layer == "" {
		return name
	}
	return layer + "." + name
}

// split is the inverse of parameter.
func split(tensor string) (layer, parameter string) {
	i := strings.LastIndexByte(tensor, '.')
	return tensor[:max(i, 0)], tensor[i+1:]
}

// rounded returns values in fp16. The error, a [*TensorError], names the first value that
// is not finite after rounding.
func rounded(name string, values []float32) ([]fp16.Float16, error) {
	half := make([]fp16.Float16, len(values))
	fp16.Narrow(half, values)
	if i := tensor.FromF16(half, len(half)).FirstNonFinite(); i >= 0 {
		return nil, &TensorError{name, fmt.Sprintf("has the element %v at index %d: want finite numbers, in fp16 of less than 65520", values[i], i)}
	}
	return half, nil
}

// checkFinite returns a [*TensorError] that names the first value that is not finite.
func checkFinite(name string, values []float32) error {
	if i := tensor.FromF32(values, len(values)).FirstNonFinite(); i >= 0 {
		return &TensorError{name, fmt.Sprintf("has the element %v at index %d: want finite numbers", values[i], i)}
	}
	return nil
}
