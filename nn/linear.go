package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// Linear is a fully connected layer: y = x·W + b, for x of [batch, in], W of
// [in, out] and b of [out].
//
// The bias is added to the product's fp32 sums before they are rounded.
type Linear struct {
	Weight, Bias *Param
	in, out      int

	x        *tensor.Tensor // the last input
	y        tensor.Tensor
	dx       tensor.Tensor
	row      []float32 // the bias in fp32
	finite   bool      // whether the last output was finite, in fp16
	consumer consumer
}

// NewLinear returns a layer initialised after He et al. ("Delving Deep into
// Rectifiers", ICCV 2015): weights uniform in ±√(6/in), which keeps the
// variance through ReLUs, and a bias of zero. A nil rng leaves the weights at
// zero, for a layer whose parameters will be loaded. NewLinear panics unless in and
// out are positive.
func NewLinear(rng *rand.Rand, in, out int) *Linear {
	if in <= 0 || out <= 0 {
		panic(fmt.Sprintf("nn: NewLinear: %d inputs and %d outputs: want at least one of each", in, out))
	}
	l := &Linear{Weight: NewParam("weight", in, out), Bias: NewParam("bias", out), in: in, out: out}
	if rng != nil {
		KaimingUniform(rng, l.Weight.Master, in)
	}
	return l
}

// KaimingUniform fills w with values uniform in ±√(6/fanIn).
func KaimingUniform(rng *rand.Rand, w []float32, fanIn int) {
	bound := float32(math.Sqrt(6 / float64(fanIn)))
	for i := range w {
		w[i] = float32((2*rng.Float32() - 1) * bound)
	}
}

// String returns, for example, "Linear 784→256".
func (l *Linear) String() string { return fmt.Sprintf("Linear %d→%d", l.in, l.out) }

// Params returns the weight and the bias.
func (l *Linear) Params() []*Param { return []*Param{l.Weight, l.Bias} }

// Forward returns x·W + b. It panics if x is not [batch, in].
func (l *Linear) Forward(ctx *Context, x *tensor.Tensor) *tensor.Tensor {
	return l.forward(ctx, x, false)
}

// forward is Forward, and rectifies the result if asked. Rectifying before rounding gives
// the same bits as after it.
func (l *Linear) forward(ctx *Context, x *tensor.Tensor, rectify bool) *tensor.Tensor {
	dtype, a := x.DType(), x.Matrix()
	if a.Cols != l.in {
		panic(fmt.Sprintf("nn: %v: the input has %d columns", l, a.Cols))
	}
	l.x = x
	l.y.Resize(dtype, a.Rows, l.out)
	l.row = grow(l.row, l.out)
	l.Bias.Matrix(dtype).LoadRow(l.row, 0)
	l.finite = ctx.Engine.Gemm(kernels.GemmArgs{C: l.y.Matrix(), A: a, B: l.Weight.Matrix(dtype), Bias: l.row, ReLU: rectify, Check: dtype == tensor.F16})
	return &l.y
}

// Backward sets dW = xᵀ·dy and db = the column sums of dy, and returns
// dx = dy·Wᵀ. The column sums add the rows in ascending order.
func (l *Linear) Backward(ctx *Context, dy *tensor.Tensor, wantDX bool) *tensor.Tensor {
	g := dy.Matrix()
	ctx.Engine.Gemm(kernels.GemmArgs{
		C: tensor.MatrixF32(l.Weight.Grad, l.in, l.out), A: l.x.Matrix().T(), B: g,
	})

	clear(l.Bias.Grad)
	ctx.Engine.AddRows(l.Bias.Grad, g)

	if !wantDX {
		return nil
	}
	dx, _ := l.backwardInput(ctx, dy)
	return dx
}

// backwardInput returns dx, and in fp16 whether all of it is finite.
func (l *Linear) backwardInput(ctx *Context, dy *tensor.Tensor) (dx *tensor.Tensor, finite bool) {
	dtype, g := dy.DType(), dy.Matrix()
	l.dx.Resize(dtype, g.Rows, l.in)
	finite = ctx.Engine.Gemm(kernels.GemmArgs{C: l.dx.Matrix(), A: g, B: l.Weight.Matrix(dtype).T(), Check: dtype == tensor.F16})
	return &l.dx, finite
}

// streamGradients passes dW and db to sink as the parameters first and first+1.
func (l *Linear) streamGradients(ctx *Context, dy *tensor.Tensor, sink GradientSink, first int) {
	l.consumer = consumer{sink, first, l.out}
	ctx.Engine.Gemm(kernels.GemmArgs{C: tensor.Matrix{Rows: l.in, Cols: l.out}, A: l.x.Matrix().T(), B: dy.Matrix(), Consumer: &l.consumer})
	clear(l.Bias.Grad)
	ctx.Engine.AddRows(l.Bias.Grad, dy.Matrix())
	for from := 0; from < l.out; from += kernels.MostElements {
		sink.Take(first+1, from, l.Bias.Grad[from:min(from+kernels.MostElements, l.out)])
	}
}

// consumer passes the elements of a weight's gradient on to a sink.
type consumer struct {
	sink         GradientSink
	param, width int
}

// Consume implements [kernels.Consumer]. It moves short whole rows together, which takes
// less time than a call of the sink for each.
func (c *consumer) Consume(i, j int, sums tensor.Matrix) {
	values := sums.Elements.F32()
	if sums.Cols < c.width || sums.Cols > moveBelow {
		for r := range sums.Rows {
			c.sink.Take(c.param, (i+r)*c.width+j, values[r*sums.Stride:][:sums.Cols])
		}
		return
	}
	if sums.Stride > sums.Cols {
		for r := 1; r < sums.Rows; r++ {
			copy(values[r*sums.Cols:(r+1)*sums.Cols], values[r*sums.Stride:])
		}
	}
	n := sums.Rows * sums.Cols
	for from := 0; from < n; from += kernels.MostElements {
		c.sink.Take(c.param, i*c.width+from, values[from:min(from+kernels.MostElements, n)])
	}
}

// moveBelow is the largest number of elements of a row that is moved. (`halfgrad bench train
// --threads 1 --batch 1 --profile` on a Zen 4: the update of 256 rows of 10 takes 1.6
// instead of 7.4 µs; rows of 256 elements gain nothing.)
const moveBelow = 64

// grow returns a slice of length n, in s's memory if that is large enough. Its elements
// are unspecified.
func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
