// Package nn has the layers of a network and its loss, each with the backward
// pass written out by hand.
//
// There is no autograd: a [Layer] remembers in Forward what its Backward needs.
// There is no optimizer either, and no training loop; a layer computes the
// gradients of its parameters and leaves it to others to use them.
//
// # Precision
//
// The type of the input decides. Fed fp16, a layer uses the fp16 copy of its
// weights, accumulates in fp32, and hands on fp16 activations and fp16
// activation gradients. Fed fp32, it uses the master weights and stays in fp32.
// Gradients of parameters are fp32 either way, straight from the accumulators.
//
// # Memory
//
// A layer owns the tensors it returns and uses them again in its next call, so
// a training step allocates nothing once it has seen its largest batch. Gradients of
// weights need no memory either where they are handed on, see [Streaming]. The
// price is that a model belongs to one goroutine at a time, and that a result
// to be kept must be copied.
package nn

import (
	"fmt"
	"math/rand/v2"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// Context is what a pass over a model runs on.
type Context struct {
	Engine  *kernels.Engine
	Profile *Profile // where not nil, layers of networks tell it when they are done

	// Training is whether a Backward follows, and Pass is a number that tells the passes
	// of a training run apart: layers that are random, such as [Dropout], are so then, and
	// draw their numbers from it, so that a run can be continued anywhere.
	Training bool
	Pass     uint64
}

// Layer is one step of a network, or a whole network. To add one, implement
// these three methods; the example of this interface does so in a few lines.
type Layer interface {
	// Forward computes the layer's output for a batch, one sample a row. The
	// result has the type of x, belongs to the layer and is valid until the
	// next Forward. The layer may keep x until the next Backward, so the
	// caller must not change it before.
	Forward(ctx *Context, x *tensor.Tensor) *tensor.Tensor

	// Backward takes the gradient of the loss with respect to the output of
	// the last Forward and sets (not adds to) the gradients of the layer's
	// parameters. It returns the gradient with respect to the input, which
	// belongs to the layer, or nil if the caller does not want it: the first
	// layer of a network has nobody to hand it to.
	Backward(ctx *Context, dy *tensor.Tensor, wantDX bool) *tensor.Tensor

	// Params returns the parameters, always the same and in the same order.
	Params() []*Param
}

// Streaming is a [Layer] whose Backward can be had in two halves: what decides
// whether the gradients of the parameters are finite, and then these gradients,
// which are handed on as they are computed, while they are in the cache, instead of
// being stored.
type Streaming interface {
	Layer

	// Streams returns whether this layer, of those of its type, is one.
	Streams() bool

	// BackwardInputs is the first half, for passes in fp16. It returns whether the
	// gradients of all parameters are finite; if not, it may end where that shows.
	// inputFinite is whether the input of the last Forward is known to be.
	BackwardInputs(ctx *Context, dy *tensor.Tensor, inputFinite bool) (finite bool)

	// StreamGradients is the second half. It sets no Grad. The parameters may be
	// changed by those who take their gradients.
	StreamGradients(ctx *Context, sink GradientSink)
}

// GradientSink takes gradients as they are computed.
type GradientSink interface {
	// Take gets elements from, from+1, … of the gradient of a parameter, the index of
	// which is that in the layer's Params. Each element comes once. Several
	// threads call it at once. There are at most [kernels.MostElements].
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

// initStream tells the random numbers of initialisation from those that other
// parts draw from the same seed.
const initStream = 0x696e6974 // "init"

// NewRand returns the generator that initialises a model: PCG, the same on
// every machine. Each parameter with random values takes one number an
// element, in row-major order; layers take theirs in the order in which they
// are made.
func NewRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, initStream)) }
