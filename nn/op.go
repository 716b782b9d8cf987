package nn

import (
	"fmt"
	"strings"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// Shape is the dimensions of one sample of a value, outermost first. In a plan the value
// is a tensor of [rows, shape…], one sample a row, in row-major order.
type Shape []int

// Len returns the number of elements of a sample: the product of the dimensions.
func (s Shape) Len() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Last returns the last dimension, or 1 if there is none.
func (s Shape) Last() int {
	if len(s) == 0 {
		return 1
	}
	return s[len(s)-1]
}

// String returns, for example, "28×28×1".
func (s Shape) String() string {
	if len(s) == 0 {
		return "one number"
	}
	text := make([]string, len(s))
	for i, d := range s {
		text[i] = fmt.Sprint(d)
	}
	return strings.Join(text, "×")
}

// Op is an operation: a stateless value that several plans and goroutines use at once.
// Whatever a pass has to remember is in the [Call]. To add an operation, implement these
// three methods and give it to [Apply]; see the example.
//
// An operation may have more methods: [Weighted] and [Bounded] for parameters,
// [Stateful] for buffers, [Fuser] to compute the next operation as well, [ONNX] for
// export, and String for its name in messages, such as "Linear 784→256".
//
// Each sample's results must depend on that sample alone, and not on the other rows of
// the batch. Then a batch that is split into parts gives the same bits.
type Op interface {
	// Infer checks the shapes of the inputs and says what the operation needs. Its error
	// says what is wrong with the shapes; the graph adds the place.
	Infer(in []Shape) (Form, error)

	// Forward computes c.Out, and c.Saved where c.Training is set, from c.In and c.Params.
	Forward(c *Call)

	// Backward computes c.DIn, the gradients of the loss by the inputs, from c.DOut, that by
	// the output. An element of DIn is nil where that gradient is not wanted. Backward
	// sets DIn and does not add to it. It may overwrite DOut with a gradient that
	// Gradients is to read. It is called if any gradient by an input or a parameter is
	// wanted.
	Backward(c *Call)
}

// Form says what an operation makes and needs.
type Form struct {
	Out   Shape        // of a sample of the output
	DType tensor.DType // of the output; 0 for the plan's storage type

	// Backward says what of the forward pass Backward and Gradients read. The plan may
	// overwrite all else.
	Backward Reads

	// Saved lists memory that Forward fills for Backward.
	Saved []Saved

	// InPlace says that Out may be the memory of In[0], and DIn[0] that of DOut. The plan
	// makes use of it where no one else reads In[0].
	InPlace bool

	// View says that Out has the elements of In[0] in their order, in another shape.
	// Forward and Backward are not called.
	View bool

	// Integers says that inputs may be int32. Without it such an input is an error.
	Integers bool

	// Scratch is the number of elements of c.Scratch.
	Scratch int
}

// Reads says what of the forward pass a backward pass reads.
type Reads uint8

// What a backward pass reads.
const (
	ReadsIn  Reads = 1 << iota // Call.In
	ReadsOut                   // Call.Out
)

// Saved is a tensor of [rows, shape…].
type Saved struct {
	DType tensor.DType // 0 for the plan's storage type
	Shape Shape
}

// Weighted is an operation with parameters.
type Weighted interface {
	Op

	// Params returns the parameters: the same ones in the same order at every call.
	Params() []*Param

	// Gradients adds the gradients of the parameters to c.Grads, from c.In and c.DOut and
	// whatever else [Form] keeps. The plan calls it after Backward: at once or, where
	// gradients are streamed, after the whole backward pass.
	//
	// Each element of a gradient must be a chain of additions over the rows in ascending
	// order, as the methods of [Gradient] make it. Then the parts of a batch continue
	// the chain, and add up to the bits of the whole batch.
	Gradients(c *Call)
}

// Bounded is an operation whose gradients stay finite as long as In and DOut are: they
// can be streamed into the optimizer while they are computed, see [PlanConfig].
type Bounded interface {
	Weighted

	// Bound returns the largest magnitude that any partial sum of a gradient can have, if
	// c.In and c.DOut have rows samples and no element larger than most.
	Bound(rows int, most float64) float64
}

// Stateful is an operation with buffers: numbers that a training run changes without
// gradients, such as running averages.
type Stateful interface {
	Op

	// Buffers returns the buffers: the same ones in the same order at every call.
	Buffers() []*Buffer

	// Commit changes the buffers after a step that was taken. Steps that are skipped leave
	// them as they are.
	Commit(c *Call)
}

// Fuser is an operation that can compute the next one as well.
type Fuser interface {
	Op

	// Fuse returns an operation that computes this one and then next, with the same bits
	// as both, if there is one. The plan asks where nothing else reads the value in
	// between.
	Fuse(next Op) (fused Op, ok bool)
}

// Call is what an operation works on in a pass. All tensors are the plan's and have the
// plan's storage type, but for those of [Form] with a type of their own. All memory is
// made beforehand: an operation should allocate nothing.
type Call struct {
	Engine   *kernels.Engine
	Rows     int  // the samples of this pass
	Training bool // whether the pass is part of training: random operations are random only then
	Position Position

	In     []*tensor.Tensor // [rows, shape…]
	Out    *tensor.Tensor
	Saved  []*tensor.Tensor
	Params []*tensor.Tensor // the values of Params(), in the storage type
	State  [][]float32      // the values of Buffers()

	DOut  *tensor.Tensor
	DIn   []*tensor.Tensor // nil where not wanted
	Grads []*Gradient      // of Params()

	Scratch []float32 // Form.Scratch elements, of any value

	// What is known of the values, as stored. An operation that has looked says so;
	// whatever stays Unknown is looked at when it matters. Forward sets OutFinite, Backward
	// sets DInFinite, and DOutFinite if it changed DOut. All are Unknown before, but for
	// InFinite and DOutFinite.
	InFinite   []Finiteness
	OutFinite  Finiteness
	DOutFinite Finiteness
	DInFinite  []Finiteness
}

// Position says which samples a pass takes. Random operations derive their numbers from
// it, and from nothing that depends on how an epoch is split into batches.
type Position struct {
	Epoch int
	First int // the number, in the epoch, of the sample in row 0
}

// Finiteness says what is known about the elements of a tensor.
type Finiteness uint8

// What is known.
const (
	Unknown   Finiteness = iota
	AllFinite            // no element is an infinity or a NaN
	NonFinite            // at least one is
)

// known returns AllFinite or NonFinite.
func known(finite bool) Finiteness {
	if finite {
		return AllFinite
	}
	return NonFinite
}

// ONNX is an operation that can be exported to ONNX.
type ONNX interface {
	Op

	// ONNX writes nodes that compute the operation, from the names of its inputs and
	// parameters, and returns the name of the output. The shapes are those of Infer.
	ONNX(w ONNXWriter, in []ONNXValue, params []ONNXValue) (out string, err error)
}

// ONNXValue is a tensor in an ONNX graph.
type ONNXValue struct {
	Name  string
	Shape Shape // of a sample; of a parameter, all of it
}

// ONNXWriter takes the nodes of an ONNX graph.
type ONNXWriter interface {
	// Node adds a node with one output and returns the output's name. Attributes are int,
	// float32, string or []int.
	Node(operator string, in []string, attributes map[string]any) (out string)

	// Floats and Ints add constants of the given shape, and return their names. Floats
	// have the type of the graph's activations.
	Floats(shape []int, values ...float32) (name string)
	Ints(shape []int, values ...int64) (name string)
}

// one returns an error unless there is one input.
func one(in []Shape) error {
	if len(in) != 1 {
		return fmt.Errorf("%d inputs: want one", len(in))
	}
	return nil
}
