package interchange_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/interchange"
	"github.com/halfgrad/halfgrad/tensor"
)

func Example() {
	// A network as PyTorch saves it: class Net with fc1 = Linear(2, 3) and fc2 = Linear(3, 1).
	theirs := &checkpoint.File{Tensors: []checkpoint.Tensor{
		{Name: "fc1.weight", Shape: []int{3, 2}, Elements: tensor.Of([]float32{1, 2, 3, 4, 5, 6})}, // [out, in]
		{Name: "fc1.bias", Shape: []int{3}, Elements: tensor.Of([]float32{0.1, 0.2, 0.3})},
		{Name: "fc2.weight", Shape: []int{1, 3}, Elements: tensor.Of([]float32{7, 8, 9})},
		{Name: "fc2.bias", Shape: []int{1}, Elements: tensor.Of([]float32{-1})},
	}}
	model, err := interchange.FromStateDict(theirs)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(model)

	// And back, in fp16, by the names of torch.nn.Sequential.
	ours, err := interchange.StateDict(model, tensor.F16)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range ours.Tensors {
		fmt.Println(t.Name, t.Shape, t.Float32s())
	}

	// Or to any runtime of ONNX models.
	onnx, err := interchange.ONNX(model, interchange.ONNXConfig{Precision: tensor.F16, Mean: 0.5, Std: 0.25})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(onnx) > 0)
	// Output:
	// image: input, 2
	// 0 (Linear 2→3) of image: 3
	// 1 (ReLU) of 0: 3
	// 2 (Linear 3→1) of 1: 1
	// logits: output, 2
	// 0.weight [3 2] [1 2 3 4 5 6]
	// 0.bias [3] [0.099975586 0.19995117 0.30004883]
	// 2.weight [1 3] [7 8 9]
	// 2.bias [1] [-1]
	// true
}
