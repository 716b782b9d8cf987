package nn

import (
	"github.com/halfgrad/halfgrad/tensor"
)

// ReLU is the rectifier: y = x where x > 0, and +0 where x ≤ 0. A NaN stays a
// NaN, so that an overflow in an earlier layer shows.
//
// It is a comparison and a mask, not a maximum, because the maximum
// instructions of x86 and Arm disagree about NaNs and the sign of zero.
type ReLU struct {
	output *tensor.Tensor // of the last Forward: y, or the output of the layer before if that rectified it
	y, dx  tensor.Tensor
}

// NewReLU returns a rectifier. It takes any shape.
func NewReLU() *ReLU { return new(ReLU) }

// String returns "ReLU".
func (*ReLU) String() string { return "ReLU" }

// Params returns nil: there is nothing to learn.
func (*ReLU) Params() []*Param { return nil }

// Forward rectifies x.
func (r *ReLU) Forward(ctx *Context, x *tensor.Tensor) *tensor.Tensor {
	r.y.Resize(x.DType(), x.Shape()...)
	ctx.Engine.Rectify(&r.y, x, x)
	r.output = &r.y
	return r.output
}

// Backward returns dy where the last output was positive, and +0 elsewhere.
func (r *ReLU) Backward(ctx *Context, dy *tensor.Tensor, wantDX bool) *tensor.Tensor {
	if !wantDX {
		return nil
	}
	r.dx.Resize(dy.DType(), dy.Shape()...)
	ctx.Engine.Rectify(&r.dx, dy, r.output)
	return &r.dx
}
