package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

// Plan returns a plan of all outputs. Its error is that of building the graph, or says
// what in cfg is wrong. The graph must not change afterwards.
func (g *Graph) Plan(cfg PlanConfig) (*Plan, error) {
	p, err := g.arrange(cfg)
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.Engine == nil:
		return nil, errors.New("nn: Plan: no engine")
	case cfg.Weights == nil && g.Blank():
		return nil, errors.New("nn: Plan: the graph is blank: its parameters have no values")
	}
	p.allocate()
	return p, nil
}

// Measure returns the memory of a plan, without making it. It needs no engine.
func (g *Graph) Measure(cfg PlanConfig) (Memory, error) {
	p, err := g.arrange(cfg)
	if err != nil {
		return Memory{}, err
	}
	return p.memory, nil
}

// arrange makes a plan without memory.
func (g *Graph) arrange(cfg PlanConfig) (*Plan, error) {
	g.built.Store(true)
	switch {
	case g.err != nil:
		return nil, g.err
	case len(g.outputs) == 0:
		return nil, errors.New("nn: Plan: the graph has no output")
	case cfg.Batch < 1:
		return nil, fmt.Errorf("nn: Plan: a batch of %d rows: want at least 1", cfg.Batch)
	case checkStorage(cfg.Precision) != nil:
		return nil, checkStorage(cfg.Precision)
	case cfg.Weights != nil && cfg.Training:
		return nil, errors.New("nn: Plan: weights apart from the graph's are for inference only")
	case cfg.Weights != nil && cfg.Weights.graph != g:
		return nil, errors.New("nn: Plan: the weights are those of another graph")
	case cfg.Weights != nil && cfg.Weights.dtype != cfg.Precision:
		return nil, fmt.Errorf("nn: Plan: weights in %v for a plan in %v", cfg.Weights.dtype, cfg.Precision)
	}
	if cfg.MaxUnscale == 0 {
		cfg.MaxUnscale = 1
	}
	p := &Plan{graph: g, cfg: cfg, rows: cfg.Batch}
	if err := p.fuse(); err != nil {
		return nil, err
	}
	p.stream()
	return p, p.arrangeMemory()
}

// fuse makes the steps and cells: of the operations that an output needs, each with those
// that it computes as well.
func (p *Plan) fuse() error {
	g := p.graph
	needed := map[*Value]bool{}
	for _, o := range g.outputs {
		needed[o.Value] = true
	}
	readers := map[*Value][]*Node{}
	for i := len(g.nodes) - 1; i >= 0; i-- {
		if n := g.nodes[i]; needed[n.Out] {
			for _, v := range n.In {
				needed[v] = true
				readers[v] = append(readers[v], n)
			}
		}
	}
	at := map[*Value]*cell{}
	add := func(v *Value, by *step) *cell {
		c := &cell{value: v, by: by}
		c.output = slices.ContainsFunc(g.outputs, func(o Output) bool { return o.Value == v })
		at[v] = c
		p.cells = append(p.cells, c)
		return c
	}
	for _, v := range g.inputs {
		c := (*cell)(nil)
		if needed[v] {
			c = add(v, nil)
		}
		p.inputs = append(p.inputs, c)
	}
	within := map[*Node]bool{} // operations that another one computes
	for _, n := range g.nodes {
		if !needed[n.Out] || within[n] {
			continue
		}
		s := &step{index: len(p.steps), node: n, op: n.Op, params: n.params}
		name := n.String()
		out := n.Out
		for !p.cfg.Keep && !slices.ContainsFunc(g.outputs, func(o Output) bool { return o.Value == out }) && len(readers[out]) == 1 {
			next := readers[out][0]
			fuser, ok := s.op.(Fuser)
			if !ok || len(next.In) != 1 {
				break
			}
			fused, ok := fuser.Fuse(next.Op)
			if !ok {
				break
			}
			s.op, out = fused, next.Out
			within[next] = true
			name += ", " + next.String()
		}
		shapes := make([]Shape, len(n.In))
		for i, v := range n.In {
			shapes[i] = v.shape
			s.in = append(s.in, at[v])
			at[v].users = append(at[v].users, s)
			s.backward = s.backward || at[v].wanted
		}
		form, err := s.op.Infer(shapes)
		if err == nil && !slices.Equal(form.Out, out.shape) {
			err = fmt.Errorf("the shape %v after fusing, %v before", form.Out, out.shape)
		}
		if err != nil {
			return fmt.Errorf("nn: %v: %w", n, err)
		}
		s.form = form
		if w, ok := s.op.(Weighted); ok {
			s.weighted, s.params = w, w.Params()
			s.backward = s.backward || len(s.params) > 0
		}
		s.stateful, _ = s.op.(Stateful)
		s.backward = s.backward && p.cfg.Training
		s.out = add(out, s)
		s.out.wanted = s.backward
		s.forwardPhase, s.backwardPhase, s.updatePhase = "forward "+name, "backward "+name, "gradients and update "+name
		p.steps = append(p.steps, s)
	}
	for _, o := range g.outputs {
		c := at[o.Value]
		if p.cfg.Training && !c.wanted {
			return fmt.Errorf("nn: Plan: output %s has no parameters to train", o.Name)
		}
		p.outputs = append(p.outputs, c)
	}
	return nil
}

// The times of a plan of n steps. Step k goes forward at k and backward at 2n−k, and is
// streamed at 3n+1−k. The loss is computed at n.
func (p *Plan) lossTime() int { return len(p.steps) }
func (p *Plan) endTime() int  { return 4*len(p.steps) + 2 }

func (p *Plan) backwardTime(s *step) int { return 2*len(p.steps) - s.index }

// lastTime is when a step last reads what the forward and the backward pass have left.
func (p *Plan) lastTime(s *step) int {
	if s.streamed {
		return 3*len(p.steps) + 1 - s.index
	}
	return p.backwardTime(s)
}

// stream decides which steps stream the gradients of their parameters.
func (p *Plan) stream() {
	if !p.cfg.Training || !p.cfg.Stream || p.cfg.Precision != tensor.F16 {
		return
	}
	uses := map[*Param]int{}
	for _, s := range p.steps {
		for _, w := range s.params {
			uses[w]++
		}
	}
	for _, s := range p.steps {
		b, ok := s.op.(Bounded)
		if !ok || len(s.params) == 0 || b.Bound(p.cfg.Batch, fp16.Max)*max(p.cfg.MaxUnscale, 1) >= math.MaxFloat32 {
			continue
		}
		stored := 0
		once := true
		for _, w := range s.params {
			stored += 4 * w.Len()
			once = once && uses[w] == 1
		}
		kept := s.out.value.shape.Len()
		for _, in := range s.in {
			if in.by != nil && s.form.Backward&ReadsIn != 0 {
				kept += in.value.shape.Len()
			}
		}
		s.streamed = once && p.cfg.Batch*kept*p.cfg.Precision.Size() <= max(stored, streamBelow)
	}
}

// streamBelow is the number of bytes that streaming a gradient may keep even if the
// gradient takes less: streaming saves the time of storing it.
const streamBelow = 1 << 20

// dtype returns a type, or the storage type for 0.
func (p *Plan) dtype(d tensor.DType) tensor.DType {
	if d == 0 {
		return p.cfg.Precision
	}
	return d
}

// region returns new memory for a batch of values, needed from one time to another.
func (p *Plan) region(m Saved, from, to int) *region {
	if p.cfg.Keep {
		from, to = -1, p.endTime()
	}
	r := &region{block: block{from: from, to: to}, row: m.Shape.Len() * p.dtype(m.DType).Size()}
	p.regions = append(p.regions, r)
	return r
}

// tensor returns a tensor that gets memory in a region.
func (p *Plan) tensor(r *region, m Saved) *tensor.Tensor {
	t := new(tensor.Tensor)
	p.demands = append(p.demands, demand{t, r, m.Shape, p.dtype(m.DType)})
	return t
}

// demand is a tensor without memory.
type demand struct {
	tensor *tensor.Tensor
	region *region
	shape  Shape
	dtype  tensor.DType
}

// arrangeMemory gives every value, gradient and saved tensor a region, shares regions where
// operations work in place, and places them in the arena.
func (p *Plan) arrangeMemory() error {
	for _, c := range p.cells {
		p.arrangeValue(c)
	}
	if p.cfg.Training {
		for _, c := range p.cells {
			if c.output {
				c.contributions++ // the loss's
			}
			for _, s := range c.users {
				if s.backward {
					c.contributions++
				}
			}
		}
		for _, c := range p.outputs {
			if c.gradient == nil {
				p.newGradient(c, p.lossTime())
				c.added = 1
			}
		}
		for _, s := range slices.Backward(p.steps) {
			if s.backward {
				p.arrangeBackward(s)
			}
		}
	}
	blocks := make([]*block, len(p.regions))
	for i, r := range p.regions {
		if r.row > 0 && p.cfg.Batch > maxElements/r.row {
			return fmt.Errorf("nn: Plan: a batch of %d rows of %d bytes each: more than memory can hold", p.cfg.Batch, r.row)
		}
		r.bytes = p.cfg.Batch * r.row
		blocks[i] = &r.block
	}
	p.memory.Activations = place(blocks)
	p.memory.Needed = needed(blocks)
	scratch := 0
	for _, s := range p.steps {
		scratch = max(scratch, s.form.Scratch)
	}
	p.memory.Scratch = 4 * scratch
	for _, d := range p.demands {
		if !d.region.external {
			p.memory.Separately += p.cfg.Batch * d.shape.Len() * d.dtype.Size()
		}
	}
	p.arrangeSums()
	return nil
}

// arrangeValue gives a value memory.
func (p *Plan) arrangeValue(c *cell) {
	last := -1 // when it is last read
	for _, s := range c.users {
		last = max(last, s.index)
		if s.backward && s.form.Backward&ReadsIn != 0 {
			last = max(last, p.lastTime(s))
		}
	}
	if c.output {
		last = p.endTime()
	}
	like := Saved{c.value.dtype, c.value.shape}
	s := c.by
	switch {
	case s == nil:
		c.memory = &region{external: true}
	case s.form.View:
		c.memory = s.in[0].memory
	case p.worksInPlace(s) && !s.in[0].memory.external && s.in[0].memory.to <= s.index:
		c.memory = s.in[0].memory
	default:
		c.memory = p.region(like, s.index, s.index)
	}
	if s != nil && s.backward && s.form.Backward&ReadsOut != 0 {
		last = max(last, p.lastTime(s))
	}
	c.memory.to = max(c.memory.to, last)
	c.tensor = p.tensor(c.memory, like)
	if c.memory.external {
		p.external = append(p.external, c)
	}
	if s != nil && p.cfg.Training {
		for _, m := range s.form.Saved {
			s.call.Saved = append(s.call.Saved, p.tensor(p.region(m, s.index, p.lastTime(s)), m))
		}
	}
}

// worksInPlace returns whether a step's output may take the place of its first input, and
// its first input's gradient that of the output's.
func (p *Plan) worksInPlace(s *step) bool {
	in, out := s.in[0].value, s.out.value
	return s.form.InPlace && !p.cfg.Keep && in.shape.Len() == out.shape.Len() && p.dtype(in.dtype) == p.dtype(out.dtype)
}

// newGradient gives the gradient by a value memory of its own.
func (p *Plan) newGradient(c *cell, from int) {
	like := Saved{c.value.dtype, c.value.shape}
	c.gradMemory = p.region(like, from, p.lastTime(c.by))
	c.gradient = p.tensor(c.gradMemory, like)
}

// arrangeBackward gives the gradients by a step's inputs memory. The gradients of values
// that are used several times add up in the order of the backward pass, after the loss's.
func (p *Plan) arrangeBackward(s *step) {
	now := p.backwardTime(s)
	s.call.DIn = make([]*tensor.Tensor, len(s.in))
	s.add = make([]*tensor.Tensor, len(s.in))
	for i, c := range s.in {
		if !c.wanted {
			continue
		}
		like := Saved{c.value.dtype, c.value.shape}
		c.added++
		switch {
		case c.added > 1 && s.form.View: // run adds the output's gradient
			s.add[i] = c.gradient
		case c.added > 1:
			s.add[i] = c.gradient
			s.call.DIn[i] = p.tensor(p.region(like, now, now), like)
		case c.contributions == 1 && !p.cfg.Keep && (s.form.View || i == 0 && s.weighted == nil && p.worksInPlace(s)):
			c.gradMemory = s.out.gradMemory
			c.gradMemory.to = max(c.gradMemory.to, p.lastTime(c.by))
			c.gradient = p.tensor(c.gradMemory, like)
			s.call.DIn[i] = c.gradient
		default:
			p.newGradient(c, now)
			s.call.DIn[i] = c.gradient
		}
	}
}

// arrangeSums lists where the gradients of parameters go.
func (p *Plan) arrangeSums() {
	p.sums = make([][]float32, len(p.graph.params))
	if !p.cfg.Training {
		return
	}
	users := make([][]*Gradient, len(p.graph.params))
	for _, s := range slices.Backward(p.steps) {
		for _, w := range s.params {
			g := &Gradient{param: w.index, width: w.Shape[len(w.Shape)-1], streamed: s.streamed, elements: w.Len()}
			s.call.Grads = append(s.call.Grads, g)
			users[w.index] = append(users[w.index], g)
			if !s.streamed || len(w.Shape) == 1 { // which streams its sums, and not parts of a product
				p.memory.Gradients += 4 * w.Len()
			}
		}
	}
	for i, uses := range users {
		if len(uses) > 1 {
			p.shared = append(p.shared, shared{i, uses})
			p.memory.Gradients += 4 * p.graph.params[i].Len()
		}
	}
}

// allocate makes the arena, and all calls.
func (p *Plan) allocate() {
	cfg := &p.cfg
	arena := make([]byte, p.memory.Activations+alignment)
	arena = arena[(alignment-int(uintptr(unsafe.Pointer(&arena[0]))%alignment))%alignment:]
	for _, d := range p.demands {
		shape := append([]int{cfg.Batch}, d.shape...)
		if d.region.external { // gets the caller's memory in each pass
			shape[0] = 0
			*d.tensor = *tensor.New(d.dtype, shape...)
			continue
		}
		*d.tensor = *tensor.FromElements(tensor.View(arena[d.region.offset:], d.dtype, cfg.Batch*d.shape.Len()), shape...)
		p.tensors = append(p.tensors, d.tensor)
	}
	scratch := make([]float32, p.memory.Scratch/4)
	p.graph.mu.Lock()
	defer p.graph.mu.Unlock()
	for _, s := range p.steps {
		c := &s.call
		c.Engine, c.Training, c.Scratch = cfg.Engine, cfg.Training, scratch[:s.form.Scratch]
		c.Out, c.DOut = s.out.tensor, s.out.gradient
		for _, in := range s.in {
			c.In = append(c.In, in.tensor)
		}
		c.InFinite, c.DInFinite = make([]Finiteness, len(s.in)), make([]Finiteness, len(s.in))
		for _, w := range s.params {
			c.Params = append(c.Params, p.param(w))
		}
		for _, g := range c.Grads {
			if !g.streamed || len(p.graph.params[g.param].Shape) == 1 {
				g.sums = make([]float32, g.elements)
			}
			if !g.streamed {
				p.sums[g.param] = g.sums
			}
		}
		if s.stateful != nil {
			for _, b := range s.stateful.Buffers() {
				state := b.Values
				if cfg.Weights != nil {
					state = cfg.Weights.buffers[b.index]
				}
				c.State = append(c.State, state)
			}
		}
	}
	for _, sh := range p.shared {
		p.sums[sh.param] = make([]float32, p.graph.params[sh.param].Len())
	}
	p.demands, p.regions = nil, nil
}

// param returns the value of a parameter in the storage type.
func (p *Plan) param(w *Param) *tensor.Tensor {
	switch {
	case p.cfg.Weights != nil:
		return p.cfg.Weights.params[w.index]
	case p.cfg.Precision == tensor.F32:
		return tensor.FromF32(w.Master, w.Shape...)
	case w.Working.Len() == 0:
		w.Working = tensor.Make(p.cfg.Precision, w.Len())
		w.Sync()
	}
	return tensor.FromElements(w.Working, w.Shape...)
}
