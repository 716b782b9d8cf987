// Layer puts a layer of one's own, SiLU, into a network and checks its gradient
// against a difference quotient.
//
// A layer needs three methods. It keeps what Backward needs, and owns the tensors that
// it returns: the next call writes to them again.
package main

import (
	"fmt"
	"log"
	"math"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// SiLU is x·σ(x), element by element (Elfwing et al., 2018, arXiv:1702.03118).
type SiLU struct {
	x     *tensor.Tensor // the input of the last Forward
	y, dx tensor.Tensor
	a, b  []float32 // a row each, widened to fp32
}

func (s *SiLU) String() string      { return "SiLU" }
func (s *SiLU) Params() []*nn.Param { return nil }

// Forward takes and returns [batch, features], in fp16 or fp32.
func (s *SiLU) Forward(_ *nn.Context, x *tensor.Tensor) *tensor.Tensor {
	s.x = x
	s.y.Resize(x.DType(), x.Shape()...)
	in, out := x.Matrix(), s.y.Matrix()
	s.a = make([]float32, in.Cols)
	for i := range in.Rows {
		in.LoadRow(s.a, i)
		for j, v := range s.a {
			s.a[j] = v * sigmoid(v)
		}
		out.StoreRow(s.a, i)
	}
	return &s.y
}

// Backward returns dy·σ(x)·(1 + x·(1−σ(x))).
func (s *SiLU) Backward(_ *nn.Context, dy *tensor.Tensor, wantDX bool) *tensor.Tensor {
	if !wantDX {
		return nil
	}
	s.dx.Resize(dy.DType(), dy.Shape()...)
	in, grad, out := s.x.Matrix(), dy.Matrix(), s.dx.Matrix()
	s.b = make([]float32, in.Cols)
	for i := range in.Rows {
		in.LoadRow(s.a, i)
		grad.LoadRow(s.b, i)
		for j, v := range s.a {
			g := sigmoid(v)
			s.b[j] *= g * (1 + v*(1-g))
		}
		out.StoreRow(s.b, i)
	}
	return &s.dx
}

// sigmoid is 1/(1+e^−x). Go's Exp differs between architectures in the last bit; package
// portable has an exponential with the same bits everywhere.
func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

func main() {
	numeric, computed, err := slopes()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("d loss / d weight: %.4f by differences, %.4f by Backward\n", numeric, computed)
}

// slopes returns the derivative of a network's loss by its first weight, once by a
// central difference and once by the backward pass.
func slopes() (numeric, computed float64, err error) {
	engine, err := kernels.New(kernels.Config{Threads: 1})
	if err != nil {
		return 0, 0, err
	}
	ctx := &nn.Context{Engine: engine}
	rng := nn.NewRand(1)
	model := nn.NewSequential(nn.NewLinear(rng, 3, 8), &SiLU{}, nn.NewLinear(rng, 8, 2))
	x := tensor.New(tensor.F32, 4, 3)
	for i := range x.F32() {
		x.F32()[i] = float32(i%5) - 2
	}
	var entropy nn.CrossEntropy
	loss := func() (float64, *tensor.Tensor) {
		return entropy.Loss(model.Forward(ctx, x), []int{0, 1, 1, 0}, 1)
	}

	_, dlogits := loss()
	model.Backward(ctx, dlogits, false)
	weight := model.Params()[0]
	computed = float64(weight.Grad[0])

	const h = 1e-2
	w := weight.Master[0]
	weight.Master[0] = w + h
	above, _ := loss()
	weight.Master[0] = w - h
	below, _ := loss()
	return (above - below) / (2 * h), computed, nil
}
