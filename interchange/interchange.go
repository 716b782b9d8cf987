// Package interchange hands weights to other programs and takes theirs: PyTorch's
// state dicts in safetensors files, both ways, and ONNX models for inference.
//
// It computes nothing, and apart from [CheckTorch] it reads and writes no file: package
// checkpoint has the format of safetensors, and an ONNX model is returned as the bytes of
// its file. It converts neither training state (optimizers, loss scales) nor other people's ONNX models.
//
// # Layers
//
// Networks are of Linear and ReLU layers, and of Dropout, which does nothing when a
// network is used and so is not handed on. A [nn.Sequential] within one is taken apart.
// Other layers are a [*LayerError]. To add one that has parameters or computes
// something is to add it to modules here, and to the switches of [StateDict] and [ONNX].
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

// TensorError reports a tensor that does not fit what is to be made of it.
type TensorError struct {
	Name    string // in the file, or that a file would have
	Problem string
}

func (e *TensorError) Error() string {
	return fmt.Sprintf("interchange: tensor %s %s", e.Name, e.Problem)
}

// LayerError reports a layer of a type that cannot be handed on.
type LayerError struct {
	Name  string // its number, such as "2", or "0.2" in a network within a network
	Layer nn.Layer
}

func (e *LayerError) Error() string {
	return fmt.Sprintf("interchange: layer %s is a %T: want Linear, ReLU or Dropout", e.Name, e.Layer)
}

// module is a layer that is handed on, by the name that PyTorch gives it. A Linear that
// is a whole network has none.
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

// modules returns the layers of model that compute something when it is used. There
// is a Linear among them, and each takes what the one before gives.
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

// rounded returns values in fp16. The error, a [*TensorError], names the first that is
// not finite then; nobody can compute with it.
func rounded(name string, values []float32) ([]fp16.Float16, error) {
	half := make([]fp16.Float16, len(values))
	fp16.Narrow(half, values)
	if i := tensor.FromF16(half, len(half)).FirstNonFinite(); i >= 0 {
		return nil, &TensorError{name, fmt.Sprintf("has the element %v at index %d: want finite numbers, in fp16 of less than 65520", values[i], i)}
	}
	return half, nil
}

// checkFinite is the same in fp32.
func checkFinite(name string, values []float32) error {
	if i := tensor.FromF32(values, len(values)).FirstNonFinite(); i >= 0 {
		return &TensorError{name, fmt.Sprintf("has the element %v at index %d: want finite numbers", values[i], i)}
	}
	return nil
}
