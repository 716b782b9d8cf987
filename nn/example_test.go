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

// Scale is a custom layer: it multiplies by a learned number.
type Scale struct {
	factor *nn.Param
	x      *tensor.Tensor
	y, dx  tensor.Tensor
	row    []float32
}

func NewScale() *Scale {
	s := &Scale{factor: nn.NewParam("factor", 1)}
	s.factor.Master[0] = 1
	return s
}

func (s *Scale) Params() []*nn.Param { return []*nn.Param{s.factor} }

func (s *Scale) Forward(_ *nn.Context, x *tensor.Tensor) *tensor.Tensor {
	s.x = x
	return s.times(&s.y, x)
}

func (s *Scale) Backward(_ *nn.Context, dy *tensor.Tensor, _ bool) *tensor.Tensor {
	s.factor.Grad[0] = 0
	x, g := s.x.Matrix(), dy.Matrix()
	other := make([]float32, g.Cols)
	for i := range g.Rows {
		g.LoadRow(s.row, i)
		x.LoadRow(other, i)
		for j := range other {
			s.factor.Grad[0] += float32(s.row[j] * other[j])
		}
	}
	return s.times(&s.dx, dy)
}

func (s *Scale) times(dst, src *tensor.Tensor) *tensor.Tensor {
	dst.Resize(src.DType(), src.Shape()...)
	s.row = make([]float32, src.Matrix().Cols)
	for i := range src.Matrix().Rows {
		src.Matrix().LoadRow(s.row, i)
		for j := range s.row {
			s.row[j] *= s.factor.Master[0]
		}
		dst.Matrix().StoreRow(s.row, i)
	}
	return dst
}

func ExampleLayer() {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		log.Fatal(err)
	}
	model := nn.NewSequential(NewScale(), nn.NewReLU())
	y := model.Forward(&nn.Context{Engine: engine}, tensor.FromF32([]float32{-1, 2, 3}, 1, 3))
	fmt.Println(y.F32(), model.Params()[0].Name)
	// Output: [0 2 3] 0.factor
}
