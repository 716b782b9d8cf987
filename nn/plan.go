package nn

import (
	"fmt"
	"slices"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// PlanConfig says what a [Plan] is for.
type PlanConfig struct {
	Engine    *kernels.Engine
	Batch     int          // the most rows of a pass
	Precision tensor.DType // the storage type: fp16 or fp32
	Training  bool         // whether passes go backward, too

	// Stream lets gradients of parameters go to a [Sink] while they are computed, instead of
	// being stored: see [Plan.Stream]. MaxUnscale is the largest factor that the sink
	// multiplies them by; 0 means 1.
	//
	// A gradient is streamed if the operation is [Bounded], nothing else uses the parameter,
	// and the bound shows that the gradient is finite wherever the operation's inputs and
	// output gradient are. Memory decides, too: keeping both to the end of the backward
	// pass must not take more than the gradient does, or take less than a mebibyte.
	Stream     bool
	MaxUnscale float64

	// Weights are the values of the parameters, for inference. Without them a plan reads the
	// graph's own, which training changes.
	Weights *Weights

	// Keep keeps every value and every gradient in memory of its own, and fuses nothing, so
	// that [Plan.Traces] has all of them.
	Keep bool

	Profile *Profile // where not nil, gets the time of each operation
}

// Plan is a graph made ready to run. One goroutine at a time may use it.
type Plan struct {
	graph *Graph
	cfg   PlanConfig

	steps   []*step
	cells   []*cell // the values, in the order of the graph
	inputs  []*cell // by input of the graph; nil where nothing reads it
	outputs []*cell

	tensors  []*tensor.Tensor // those with the rows of a pass
	external []*cell          // values in the callers' memory
	rows     int

	sums   [][]float32 // by parameter, its stored gradient; nil where it is streamed
	shared []shared

	regions []*region // until the plan has memory
	demands []demand

	memory   Memory
	tracing  bool
	overflow string
}

// Memory says how much memory a plan takes, in bytes.
type Memory struct {
	Activations int // of the arena with values, their gradients, and what is saved between
	Needed      int // the most of it that is in use at a time: no arrangement takes less
	Separately  int // what the arena would take if nothing shared memory
	Gradients   int // of parameters, where they are stored
	Scratch     int
}

// Total returns the sum of what the plan takes.
func (m Memory) Total() int { return m.Activations + m.Gradients + m.Scratch }

// step is an operation in a plan, and perhaps the ones after it that it computes as well.
type step struct {
	index    int
	node     *Node // the first
	op       Op
	form     Form
	params   []*Param
	weighted Weighted // nil without parameters
	stateful Stateful // nil without buffers
	in       []*cell
	out      *cell
	call     Call

	backward bool // whether a gradient by an input or a parameter is wanted
	streamed bool
	add      []*tensor.Tensor // by input, where not nil: its gradient, to which c.DIn is added

	// The phases in a profile.
	forwardPhase, backwardPhase, updatePhase string
}

// cell is a value of the graph in a plan.
type cell struct {
	value                *Value
	output               bool
	users                []*step // in order; a step that takes the value twice comes twice
	by                   *step   // nil for an input
	wanted               bool    // whether the gradient by it is wanted
	memory               *region
	tensor               *tensor.Tensor
	gradient             *tensor.Tensor
	gradMemory           *region
	contributions, added int // to the gradient: all, and those arranged so far

	finite, gradFinite Finiteness
}

// region is memory for a value or a gradient. In-place operations and views share one.
type region struct {
	block
	row      int // bytes of a row
	external bool
}

// shared is a parameter that several operations use: its gradient is the sum of theirs.
type shared struct {
	param int
	uses  []*Gradient // in the order of the backward pass
}

// Memory returns the memory that the plan takes.
func (p *Plan) Memory() Memory { return p.memory }

// Graph returns the graph that p is a plan of.
func (p *Plan) Graph() *Graph { return p.graph }

// Rows returns the rows of the last pass.
func (p *Plan) Rows() int { return p.rows }

// Forward computes the outputs for a batch of 1 to Batch rows: one tensor of [rows, shape…]
// for each input of the graph, of the storage type or int32. The plan reads them until the
// next Forward. finite says that they are known to be finite. pos matters to random
// operations in training only.
//
// The error says which input is missing, or has another type or shape than the graph's.
func (p *Plan) Forward(pos Position, inputs []*tensor.Tensor, finite bool) error {
	if err := p.take(inputs, finite); err != nil {
		return err
	}
	p.overflow = ""
	for _, s := range p.steps {
		c := &s.call
		c.Rows, c.Position = p.rows, pos
		if s.form.View {
			s.out.finite = s.in[0].finite
		} else {
			for i, in := range s.in {
				c.InFinite[i] = in.finite
			}
			c.OutFinite = Unknown
			s.op.Forward(c)
			s.out.finite = c.OutFinite
		}
		p.cfg.Profile.Lap(s.forwardPhase)
		if p.tracing {
			p.note(!s.out.valueFinite(p.cfg.Engine), "the output of layer ", s.node)
		}
	}
	return nil
}

// take checks the inputs and has the cells share them.
func (p *Plan) take(inputs []*tensor.Tensor, finite bool) error {
	if len(inputs) != len(p.inputs) {
		return fmt.Errorf("nn: %d inputs for a graph of %d", len(inputs), len(p.inputs))
	}
	rows := 0
	for i, x := range inputs {
		v := p.graph.inputs[i]
		shape := x.Shape()
		if x.DType() != p.dtype(v.dtype) || len(shape) != len(v.shape)+1 || !slices.Equal(shape[1:], []int(v.shape)) {
			return fmt.Errorf("nn: input %s is %v of %v: want %v of [rows %v]", v.name, x.DType(), shape, p.dtype(v.dtype), v.shape)
		}
		if i > 0 && shape[0] != rows {
			return fmt.Errorf("nn: input %s has %d rows, those before %d", v.name, shape[0], rows)
		}
		rows = shape[0]
	}
	if rows < 1 || rows > p.cfg.Batch {
		return fmt.Errorf("nn: a batch of %d rows for a plan of up to %d", rows, p.cfg.Batch)
	}
	if rows != p.rows {
		p.rows = rows
		for _, t := range p.tensors {
			t.SetRows(rows)
		}
	}
	for _, c := range p.external {
		root := c
		for root.by != nil {
			root = root.by.in[0]
		}
		c.tensor.Share(inputs[root.value.index].Elements())
		c.finite = Unknown
		if finite || c.tensor.DType() == tensor.I32 {
			c.finite = AllFinite
		}
	}
	return nil
}

// Output returns output i of the last Forward: [rows, shape…], valid until the next.
func (p *Plan) Output(i int) *tensor.Tensor { return p.outputs[i].tensor }

// OutputGradient returns where the gradient of the loss by output i goes, before Backward,
// which may overwrite it. If two outputs are one value, they share it.
func (p *Plan) OutputGradient(i int) *tensor.Tensor { return p.outputs[i].gradient }

// Backward computes gradients by values, from those by the outputs, and the gradients of
// the parameters that are stored. With continues it adds to these what the rows of this pass
// contribute, one row after the other, as if they had followed those of the last pass in
// the same batch.
//
// It returns false, perhaps early, if a gradient that is streamed is not known to be
// finite. What is stored is for the caller to check.
func (p *Plan) Backward(continues bool) (finite bool) {
	for _, c := range p.outputs {
		c.gradFinite = Unknown
	}
	for _, s := range slices.Backward(p.steps) {
		if !s.backward {
			continue
		}
		if p.tracing {
			p.note(!s.out.gradientFinite(p.cfg.Engine), "the gradient at the output of layer ", s.node)
		}
		if s.form.View {
			p.viewBackward(s)
			p.cfg.Profile.Lap(s.backwardPhase)
			continue
		}
		c := &s.call
		c.DOutFinite = s.out.gradFinite
		for i := range c.DInFinite {
			c.DInFinite[i] = Unknown
		}
		s.op.Backward(c)
		s.out.gradFinite = c.DOutFinite
		for i, in := range s.in {
			switch {
			case c.DIn[i] == nil:
			case s.add[i] != nil:
				p.cfg.Engine.Add(s.add[i], s.add[i], c.DIn[i])
				in.gradFinite = Unknown
			default:
				in.gradFinite = c.DInFinite[i]
			}
		}
		if s.streamed {
			ok := s.out.gradientFinite(p.cfg.Engine)
			for _, in := range s.in {
				ok = ok && in.valueFinite(p.cfg.Engine)
			}
			if !ok && !p.tracing {
				return false
			}
		} else if s.weighted != nil {
			for _, g := range c.Grads {
				g.continues = continues
			}
			s.weighted.Gradients(c)
			if p.tracing {
				for i, g := range c.Grads {
					if tensor.Of(g.sums).FirstNonFinite() >= 0 && p.overflow == "" {
						p.overflow = fmt.Sprintf("the gradient of %s (%s)", s.params[i].Name, describe(s.node.Op))
					}
				}
			}
		}
		p.cfg.Profile.Lap(s.backwardPhase)
	}
	for _, sh := range p.shared {
		total := p.sums[sh.param]
		copy(total, sh.uses[0].sums)
		for _, g := range sh.uses[1:] {
			p.cfg.Engine.AddRows(total, tensor.MatrixF32(g.sums, 1, len(g.sums)))
		}
	}
	return true
}

// viewBackward passes the gradient by a view on, unless both share memory.
func (p *Plan) viewBackward(s *step) {
	in, from := s.in[0], s.out.gradient
	switch {
	case !in.wanted:
	case s.add[0] != nil:
		p.cfg.Engine.Add(s.add[0], s.add[0], from)
		in.gradFinite = Unknown
	case in.gradMemory != s.out.gradMemory:
		tensor.Copy(in.gradient.Elements(), from.Elements())
		fallthrough
	default:
		in.gradFinite = s.out.gradFinite
	}
}

// valueFinite returns whether all elements of a value are finite.
func (c *cell) valueFinite(engine *kernels.Engine) bool {
	if c.finite == Unknown {
		c.finite = known(c.tensor.DType() == tensor.I32 || finite(engine, c.tensor))
	}
	return c.finite == AllFinite
}

// finite returns whether all elements of t are finite. A few are looked at here: that takes
// less time than handing them to an engine.
func finite(engine *kernels.Engine, t *tensor.Tensor) bool {
	if t.Len() < 256 {
		return t.FirstNonFinite() < 0
	}
	return engine.FiniteTensor(t)
}

// gradientFinite returns whether all elements of the gradient by a value are finite.
func (c *cell) gradientFinite(engine *kernels.Engine) bool {
	if c.gradFinite == Unknown {
		c.gradFinite = known(finite(engine, c.gradient))
	}
	return c.gradFinite == AllFinite
}

// Stream computes the gradients that are not stored and passes them on, after a Backward
// that has returned true. The sink may change the parameters whose gradients it takes.
func (p *Plan) Stream(sink Sink) {
	for _, s := range slices.Backward(p.steps) {
		if s.streamed {
			for _, g := range s.call.Grads {
				g.sink = sink
			}
			s.weighted.Gradients(&s.call)
			p.cfg.Profile.Lap(s.updatePhase)
		}
	}
}

// Gradient returns the gradient of parameter i, or nil if it is streamed: row-major, the sum
// over the rows since the last Backward that did not continue. It is always in the same
// memory. The caller may change it.
func (p *Plan) Gradient(i int) []float32 { return p.sums[i] }

// Commit has the buffers take over what the last pass brought, after a step that was taken.
func (p *Plan) Commit() {
	for _, s := range p.steps {
		if s.stateful != nil {
			s.stateful.Commit(&s.call)
		}
	}
}

// Trace switches looking for overflows on or off. While it is on, each pass looks at every
// value as soon as it is computed, which takes time; see [Plan.Overflow].
func (p *Plan) Trace(on bool) { p.tracing = on }

// Overflow says where the passes since the last Forward first produced an infinity or a NaN,
// in the order of computation: going forward, then backward, each gradient by a value
// before those of parameters. It returns "" if there was none, or Trace is off.
func (p *Plan) Overflow() string { return p.overflow }

func (p *Plan) note(overflow bool, what string, n *Node) {
	if overflow && p.overflow == "" {
		p.overflow = what + n.String()
	}
}

// Trace is what a training pass has left of an operation.
type Trace struct {
	Node     *Node
	Output   *tensor.Tensor
	Gradient *tensor.Tensor // of the loss by the output; nil where it is not wanted
	Params   []*Param
	Grads    [][]float32 // of the parameters
}

// Traces returns what the last Forward and Backward computed, operation by operation. Of a
// plan without [PlanConfig].Keep only the parameters are sure: the plan may have
// overwritten all else.
func (p *Plan) Traces() []Trace {
	traces := make([]Trace, len(p.steps))
	for i, s := range p.steps {
		traces[i] = Trace{Node: s.node, Output: s.out.tensor, Gradient: s.out.gradient, Params: s.params}
		for _, g := range s.call.Grads {
			traces[i].Grads = append(traces[i].Grads, g.sums)
		}
	}
	return traces
}
