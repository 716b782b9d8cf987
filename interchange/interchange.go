// Package interchange converts networks to and from the formats of other programs:
// PyTorch's state dicts in safetensors files, both ways, and ONNX models for inference.
//
// It computes nothing. Apart from [CheckTorch] it reads and writes no files: package
// checkpoint reads and writes safetensors, and [ONNX] returns the bytes of a file. It
// converts no training state (optimizers, loss scales), and reads no ONNX models.
//
// # Layers
//
// Networks consist of Linear and ReLU layers. Dropout does nothing in inference and is
// left out. A [nn.Sequential] inside another is flattened. Other layers are a
// [*LayerError]. To support another layer, add it to flatten, and to the switches of
// [StateDict] and [ONNX].
package interchange

import (
	"errors"
	"fmt"
	"strconv"
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

// LayerError reports a layer of a type that cannot be converted.
type LayerError struct {
	Name  string // its index, such as "2", or "0.2" in a nested network
	Layer nn.Layer
}

func (e *LayerError) Error() string {
	return fmt.Sprintf("interchange: layer %s is a %T: want Linear, ReLU or Dropout", e.Name, e.Layer)
}

// module is a layer with the name that PyTorch gives it. The name is empty for a Linear
// that is the whole network.
type module struct {
	name  string
	layer nn.Layer
}

// What PyTorch calls a Linear's parameters.
const (
	weight = "weight"
	bias   = "bias"
)

// parameter returns the name of a parameter in a state dict.
func (m module) parameter(name string) string {
	if m.name == "" {
		return name
	}
	return m.name + "." + name
}

// split is the inverse of parameter.
func split(tensor string) (m module, parameter string) {
	i := strings.LastIndexByte(tensor, '.')
	return module{name: tensor[:max(i, 0)]}, tensor[i+1:]
}

// modules returns the layers of model that compute something in inference. It makes sure
// that there is a Linear, and that each Linear has as many inputs as the one before has
// outputs.
func modules(model *nn.Sequential) ([]module, error) {
	list, err := flatten(nil, model, "")
	if err != nil {
		return nil, err
	}
	width := 0 // of the last Linear's output
	for _, m := range list {
		l, ok := m.layer.(*nn.Linear)
		if !ok {
			continue
		}
		in, out := l.Weight.Shape[0], l.Weight.Shape[1]
		if width != 0 && in != width {
			return nil, &TensorError{m.parameter(weight), fmt.Sprintf("is of a layer with %d inputs: want %d, the outputs of the layer before", in, width)}
		}
		width = out
	}
	if width == 0 {
		return nil, errors.New("interchange: the network has no Linear layer: want at least one")
	}
	return list, nil
}

func flatten(list []module, s *nn.Sequential, prefix string) ([]module, error) {
	for i, layer := range s.Layers() {
		name := prefix + strconv.Itoa(i)
		switch layer := layer.(type) {
		case *nn.Linear, *nn.ReLU:
			list = append(list, module{name, layer})
		case *nn.Dropout:
		case *nn.Sequential:
			var err error
			if list, err = flatten(list, layer, name+"."); err != nil {
				return nil, err
			}
		default:
			return nil, &LayerError{name, layer}
		}
	}
	return list, nil
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
