// Package nn has the layers of a network and its loss, each with a handwritten
// backward pass.
//
// There is no autograd: a [Layer] remembers in Forward what its Backward needs.
// There is no optimizer and no training loop either: a layer computes the
// gradients of its parameters, and its callers use them.
//
// # Precision
//
// The type of the input decides. Given fp16, a layer uses the fp16 copy of its
// weights, accumulates in fp32, and returns fp16 activations and fp16
// activation gradients. Given fp32, it uses the master weights and stays in fp32.
// Gradients of parameters are fp32 in both cases, straight from the accumulators.
//
// # Memory
//
// A layer owns the tensors it returns and reuses them in its next call, so
// a training step allocates nothing after its largest batch. Gradients of
// weights that go straight to the optimizer need no memory, see [Streaming]. The
// price is that one goroutine at a time may use a model, and that callers must
// copy the results they want to keep.
package nn

import (
	"fmt"
	"math/rand/v2"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// Context holds what a pass over a model needs besides its input.
type Context struct {
	Engine  *kernels.Engine
	Profile *Profile // where not nil, gets the time of each layer of a network

	// Training is whether a Backward follows. Random layers, such as [Dropout], are
	// random only then.
	Training bool

	// Pass is a number that no other pass of the training run has. Random layers derive
	// their numbers from it, so that a run can be continued anywhere.
	Pass uint64
}

// Layer is one step of a network, or a whole network. To add a layer, implement
// these three methods, as the example does in a few lines.
type Layer interface {
	// Forward computes the layer's output for a batch, one sample a row. The
	// result has the type of x, belongs to the layer and is valid until the
	// next Forward. The layer may keep x until the next Backward, so the
	// caller must not change x before that.
	Forward(ctx *Context, x *tensor.Tensor) *tensor.Tensor

	// Backward takes the gradient of the loss by the output of the last Forward
	// and sets (does not add to) the gradients of the layer's parameters. It
	// returns the gradient by the input, which belongs to the layer. If wantDX is
	// false, as for the first layer of a network, it may return nil instead.
	Backward(ctx *Context, dy *tensor.Tensor, wantDX bool) *tensor.Tensor

	// Params returns the parameters: in each call the same ones in the same order.
	Params() []*Param
}

// Streaming is a [Layer] that can split Backward in two. The first half finds out whether
// the gradients of the parameters are finite. The second passes each part of these
// gradients on as soon as it is computed, while it is in the cache, instead of storing it.
type Streaming interface {
	Layer

	// Streams returns whether this value can, when others of its type cannot.
	Streams() bool

	// BackwardInputs is the first half, for passes in fp16. It returns whether the
	// gradients of all parameters are finite, and may return false early. inputFinite
	// says that the input of the last Forward is known to be finite.
	BackwardInputs(ctx *Context, dy *tensor.Tensor, inputFinite bool) (finite bool)

	// StreamGradients is the second half. It sets no Grad. The sink may change the
	// parameters whose gradients it takes.
	StreamGradients(ctx *Context, sink GradientSink)
}

// GradientSink takes gradients as they are computed.
type GradientSink interface {
	// Take gets elements from, from+1, … of the gradient of a parameter. param is its
	// index in the layer's Params, and grad has at most [kernels.MostElements]
	// elements. Each element comes once. Several threads call Take at once.
	Take(param, from int, grad []float32)
}

// Param is a parameter of a layer: a tensor that training changes. Layers, optimizers and
// trainers share it by its pointer, so that there is one value to update.
//
// Whoever changes Master keeps Half in step, where it is not nil: optimizers write both,
// and all others call Sync.
type Param struct {
	Name   string // within the model, such as "0.weight"
	Shape  []int
	Master []float32      // the value, row-major
	Half   []fp16.Float16 // Master rounded to fp16; nil until a pass in fp16 needs it
	Grad   []float32      // the gradient of the last Backward, times the loss scale
}

// NewParam returns a parameter of zeros. It panics unless there is at least one
// dimension and all are positive.
func NewParam(name string, shape ...int) *Param {
	n := 1
	for _, d := range shape {
		n *= max(d, 0)
	}
	if n == 0 || len(shape) == 0 {
		panic(fmt.Sprintf("nn: NewParam: %s has the shape %v: want positive dimensions", name, shape))
	}
	return &Param{Name: name, Shape: shape, Master: make([]float32, n), Grad: make([]float32, n)}
}

// Sync rounds Master to Half, which it makes if there is none. Call it after changing
// Master by hand.
func (p *Param) Sync() {
	if p.Half == nil {
		p.Half = make([]fp16.Float16, len(p.Master))
	}
	fp16.Narrow(p.Half, p.Master)
}

// Matrix returns the parameter's value in the given type as a matrix: Master for fp32,
// Half for fp16. The columns are the last dimension, the rows all others. The first call
// for fp16 makes Half.
func (p *Param) Matrix(dtype tensor.DType) tensor.Matrix {
	cols := p.Shape[len(p.Shape)-1]
	if dtype == tensor.F32 {
		return tensor.MatrixF32(p.Master, len(p.Master)/cols, cols)
	}
	if p.Half == nil {
		p.Sync()
	}
	return tensor.MatrixF16(p.Half, len(p.Half)/cols, cols)
}

// initStream separates the random numbers of initialisation from others of the same seed.
const initStream = 0x696e6974 // "init"

// NewRand returns the generator that initialises a model: PCG, with the same numbers on
// every machine. A parameter with random values takes one number for each element, in
// row-major order. Layers take their numbers in the order in which they are made.
func NewRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, initStream)) }
