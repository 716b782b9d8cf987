package nn_test

import (
	"fmt"
	"log"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// One pass over a batch of two samples, forward and backward, in fp16.
func Example() {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := &nn.Context{Engine: engine}
	model := nn.NewMLP(nn.NewRand(1), 4, 8, 3)

	x := tensor.New(tensor.F16, 2, 4)
	for i := range x.F16() {
		x.F16()[i] = 0x3c00 // 1
	}
	logits := model.Forward(ctx, x)
	var loss nn.CrossEntropy
	_, dlogits := loss.Loss(logits, []int{0, 2}, 1024)
	model.Backward(ctx, dlogits, false)

	fmt.Println("logits:", logits.Shape(), logits.DType())
	for _, p := range model.Params() {
		fmt.Println(p.Name, p.Shape, len(p.Grad))
	}
	// Output:
	// logits: [2 3] fp16
	// 0.weight [4 8] 32
	// 0.bias [8] 8
	// 2.weight [8 3] 24
	// 2.bias [3] 3
}

// Scale is a custom layer: it multiplies each feature by a learned weight.
type Scale struct {
	weight    *nn.Param
	x         *tensor.Tensor // of the last Forward
	y, dx     tensor.Tensor
	row, grad []float32 // of x and of dy, in fp32
}

func (s *Scale) Params() []*nn.Param { return []*nn.Param{s.weight} }

func (s *Scale) Forward(_ *nn.Context, x *tensor.Tensor) *tensor.Tensor {
	s.x = x
	s.y.Resize(x.DType(), x.Shape()...)
	for i := range x.Matrix().Rows {
		x.Matrix().LoadRow(s.row, i)
		for j, w := range s.weight.Master {
			s.row[j] *= w
		}
		s.y.Matrix().StoreRow(s.row, i)
	}
	return &s.y
}

func (s *Scale) Backward(_ *nn.Context, dy *tensor.Tensor, _ bool) *tensor.Tensor {
	clear(s.weight.Grad)
	s.dx.Resize(dy.DType(), dy.Shape()...)
	for i := range dy.Matrix().Rows {
		s.x.Matrix().LoadRow(s.row, i)
		dy.Matrix().LoadRow(s.grad, i)
		for j, w := range s.weight.Master {
			s.weight.Grad[j] += float32(s.grad[j] * s.row[j])
			s.grad[j] *= w
		}
		s.dx.Matrix().StoreRow(s.grad, i)
	}
	return &s.dx
}

func ExampleLayer() {
	layer := &Scale{weight: nn.NewParam("weight", 3), row: make([]float32, 3), grad: make([]float32, 3)}
	copy(layer.weight.Master, []float32{1, 2, -1})
	model, ctx := nn.NewSequential(layer), new(nn.Context) // with a Linear it would need an engine
	fmt.Println(model.Forward(ctx, tensor.FromF32([]float32{5, 6, 7}, 1, 3)).F32())
	fmt.Println(model.Backward(ctx, tensor.FromF32([]float32{1, 0, 10}, 1, 3), true).F32(), layer.weight.Grad)
	// Output:
	// [5 12 -7]
	// [1 0 -10] [5 0 70]
}
