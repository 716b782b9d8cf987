package nn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/halfgrad/halfgrad/tensor"
)

// Graph is the topology of a network and its parameters. It is built once, by [Graph.Input],
// functions such as [Linear] and [ReLU], and [Graph.Output], and does not change after the
// first [Graph.Plan]: any number of goroutines may plan it, and run their plans. The values
// of the parameters are shared, see [Weights].
//
// Mistakes while building, such as shapes that do not fit, are kept: the functions go on
// with values that are good for nothing else, and Plan and [Graph.Err] return the first
// error, as those of bufio.Writer do. Building reads as a formula this way.
type Graph struct {
	rng *rand.Rand // nil in a blank graph

	nodes   []*Node
	inputs  []*Value
	outputs []Output
	params  []*Param
	buffers []*Buffer

	scope      []string
	taken      map[string]bool // names of parameters, buffers and inputs
	operations map[string]bool // names of operations
	last       map[string]int  // by scope and kind, the operations that have got a name by number
	err        error

	built atomic.Bool
	mu    sync.Mutex // guards making the working copies of parameters
}

// initStream separates the random numbers of initialisation from others of the same seed.
const initStream = 0x696e6974 // "init"

// NewGraph returns an empty graph. Parameters with random values take them from the seed,
// in the order in which they are made: one number an element, in row-major order, from
// PCG, with the same numbers on every machine.
func NewGraph(seed uint64) *Graph {
	g := NewBlankGraph()
	g.rng = rand.New(rand.NewPCG(seed, initStream))
	return g
}

// NewBlankGraph returns an empty graph whose parameters have no values and take no memory.
// It is for inference by [Weights] from elsewhere, and for asking for shapes and sizes.
func NewBlankGraph() *Graph {
	return &Graph{taken: map[string]bool{}, operations: map[string]bool{}, last: map[string]int{}}
}

// Blank returns whether parameters have no values.
func (g *Graph) Blank() bool {
	return slices.ContainsFunc(g.params, func(p *Param) bool { return p.Master == nil })
}

// Value is an input of a graph or what an operation makes: a tensor of [rows, shape…] in
// each plan.
type Value struct {
	graph *Graph
	name  string
	shape Shape
	dtype tensor.DType // 0 for the storage type of a plan
	node  *Node        // that makes it; nil for an input
	index int          // of an input
	bad   bool         // after an error
}

// Name returns the name of the operation or the input.
func (v *Value) Name() string { return v.name }

// Shape returns the shape of a sample, which the caller must not change.
func (v *Value) Shape() Shape { return v.shape }

// DType returns the type of the elements, or 0 for the storage type of a plan.
func (v *Value) DType() tensor.DType { return v.dtype }

// Graph returns the graph that v is part of.
func (v *Value) Graph() *Graph { return v.graph }

// Node is an operation at its place in a graph.
type Node struct {
	Name string // with its scopes, such as "encoder.layer.0.attention"
	Op   Op
	In   []*Value
	Out  *Value

	index  int
	params []*Param
}

// String returns, for example, "0 (Linear 784→256)".
func (n *Node) String() string { return fmt.Sprintf("%s (%s)", n.Name, describe(n.Op)) }

// describe returns what an operation calls itself or, if it has no String method, its type.
func describe(op Op) string {
	if named, ok := op.(fmt.Stringer); ok {
		return named.String()
	}
	name := fmt.Sprintf("%T", op)
	return name[strings.LastIndexByte(name, '.')+1:]
}

// Output is a named result of a graph.
type Output struct {
	Name  string
	Value *Value
}

// Param is a parameter: a tensor that training changes. Operations, optimizers and
// trainers share it by its pointer.
//
// Whoever changes Master calls Sync: the working copy, where there is one, has to follow.
// Optimizers write both.
type Param struct {
	Name   string // with its scopes, such as "encoder.layer.0.attention.weight"
	Shape  []int
	Master []float32 // the value, row-major; nil in a blank graph

	// Working is Master rounded to the storage type of a training run. It has no elements
	// until a plan needs it, and none in fp32.
	Working tensor.Elements

	index int // in Graph.Params
}

// Len returns the number of elements.
func (p *Param) Len() int { return Shape(p.Shape).Len() }

// Sync rounds Master to the working copy, if there is one.
func (p *Param) Sync() {
	if p.Working.Len() > 0 {
		p.Working.Store(p.Master)
	}
}

// Buffer is a tensor of fp32 that training changes, but not by gradients.
type Buffer struct {
	Name   string
	Shape  []int
	Values []float32 // row-major; nil in a blank graph

	index int
}

// Init sets the first values of a parameter. rng is the graph's; an Init that takes numbers
// takes one an element.
type Init func(rng *rand.Rand, values []float32)

// Zeros leaves all values at zero.
func Zeros(*rand.Rand, []float32) {}

// Constant returns the Init that sets all values to c.
func Constant(c float32) Init {
	return func(_ *rand.Rand, values []float32) {
		for i := range values {
			values[i] = c
		}
	}
}

// Uniform returns the Init with values uniform in ±bound.
func Uniform(bound float64) Init {
	return func(rng *rand.Rand, values []float32) {
		b := float32(bound)
		for i := range values {
			values[i] = float32((2*rng.Float32() - 1) * b)
		}
	}
}

// Option changes how an operation is added.
type Option func(*options)

type options struct {
	name         string
	weight, bias *Param
	noBias       bool
	init         Init
}

// Named gives an operation a name within the present scope, and its parameters names below
// it: "fc" for "encoder.fc" and "encoder.fc.weight". Without it, the name is that of the
// operation in lower case, with a number if it is not the first of the scope.
func Named(name string) Option { return func(o *options) { o.name = name } }

// WithInit sets the first values of the operation's weight.
func WithInit(init Init) Option { return func(o *options) { o.init = init } }

// WithWeight has the operation use a parameter that exists already: weights are tied by
// sharing them. The gradients of all uses add up.
func WithWeight(p *Param) Option { return func(o *options) { o.weight = p } }

// WithBias is WithWeight for the bias.
func WithBias(p *Param) Option { return func(o *options) { o.bias = p } }

// WithoutBias leaves the bias out.
func WithoutBias() Option { return func(o *options) { o.noBias = true } }

func collect(opts []Option) (o options) {
	for _, f := range opts {
		f(&o)
	}
	return o
}

// check panics if the graph may not change any more.
func (g *Graph) check() {
	if g.built.Load() {
		panic("nn: the graph has been planned: build all of it first")
	}
}

// fail keeps the first error, and returns a value for use after it.
func (g *Graph) fail(name string, format string, args ...any) *Value {
	if g.err == nil {
		g.err = fmt.Errorf("nn: %s: %w", name, fmt.Errorf(format, args...))
	}
	return &Value{graph: g, name: name, bad: true}
}

// Err returns the first error of building.
func (g *Graph) Err() error { return g.err }

// Scope calls build with name before the names of all that it adds to the graph:
// "layer.0" for "layer.0.fc.weight". Scopes nest.
func (g *Graph) Scope(name string, build func()) {
	g.check()
	if err := checkName(name); err != nil {
		g.fail(g.path(name), "%w", err)
	}
	g.scope = append(g.scope, name)
	build()
	g.scope = g.scope[:len(g.scope)-1]
}

// path returns a name with the present scopes before it.
func (g *Graph) path(name string) string {
	if len(g.scope) == 0 {
		return name
	}
	return strings.Join(g.scope, ".") + "." + name
}

// checkName returns an error unless a name can be part of a parameter's name in a file.
func checkName(name string) error {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '"' }) || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") {
		return fmt.Errorf("the name %q: want letters without spaces, quotes and dots at its ends", name)
	}
	return nil
}

// checkShape returns an error unless all dimensions are positive, with a product that memory
// may hold.
func checkShape(shape []int) error {
	n := 1
	for _, d := range shape {
		if d <= 0 {
			return fmt.Errorf("the shape %v: want positive dimensions", shape)
		}
		if n > maxElements/d {
			return fmt.Errorf("the shape %v: more elements than memory can hold", shape)
		}
		n *= d
	}
	return nil
}

// maxElements is the most elements of a shape: an int counts their bytes.
const maxElements = int(^uint(0)>>1) / 8

// claim takes a name, or returns an error if it is taken or is not one.
func (g *Graph) claim(path string) error {
	if err := checkName(path); err != nil {
		return err
	}
	if g.taken[path] {
		return errors.New("the name is taken: want each name once")
	}
	g.taken[path] = true
	return nil
}

// Input adds an input: a value that each pass is given, of the plan's storage type.
func (g *Graph) Input(name string, shape ...int) *Value { return g.input(name, 0, shape) }

// Integers adds an input of int32: tokens or classes.
func (g *Graph) Integers(name string, shape ...int) *Value { return g.input(name, tensor.I32, shape) }

func (g *Graph) input(name string, dtype tensor.DType, shape []int) *Value {
	g.check()
	path := g.path(name)
	if err := errors.Join(g.claim(path), checkShape(shape)); err != nil {
		return g.fail(path, "%w", err)
	}
	v := &Value{graph: g, name: path, shape: slices.Clone(shape), dtype: dtype, index: len(g.inputs)}
	g.inputs = append(g.inputs, v)
	return v
}

// Output makes v a result of the graph. Names of outputs are their own: they have no scopes.
func (g *Graph) Output(name string, v *Value) {
	g.check()
	switch taken := slices.ContainsFunc(g.outputs, func(o Output) bool { return o.Name == name }); {
	case v.bad:
	case v.graph != g:
		g.fail(name, "the output is %s of another graph", v.name)
	case checkName(name) != nil:
		g.fail(name, "%w", checkName(name))
	case taken:
		g.fail(name, "two outputs have this name: want each name once")
	default:
		g.outputs = append(g.outputs, Output{name, v})
	}
}

// Param adds a parameter under a name within the present scope.
func (g *Graph) Param(name string, shape []int, init Init) *Param {
	g.check()
	p := &Param{Name: g.path(name), Shape: slices.Clone(shape), index: len(g.params)}
	err := errors.Join(g.claim(p.Name), checkShape(shape))
	if len(shape) == 0 {
		err = errors.Join(err, errors.New("no dimensions: want at least one"))
	}
	if err != nil {
		g.fail(p.Name, "%w", err)
		p.Shape = []int{1}
		return p
	}
	if g.rng != nil {
		p.Master = make([]float32, p.Len())
		init(g.rng, p.Master)
	}
	g.params = append(g.params, p)
	return p
}

// Buffer adds a buffer under a name within the present scope, with all values at c.
func (g *Graph) Buffer(name string, shape []int, c float32) *Buffer {
	g.check()
	b := &Buffer{Name: g.path(name), Shape: slices.Clone(shape), index: len(g.buffers)}
	if err := errors.Join(g.claim(b.Name), checkShape(shape)); err != nil {
		g.fail(b.Name, "%w", err)
		return b
	}
	if g.rng != nil {
		b.Values = make([]float32, Shape(shape).Len())
		Constant(c)(nil, b.Values)
	}
	g.buffers = append(g.buffers, b)
	return b
}

// Apply adds an operation of one's own to the graph of its inputs and returns its output.
// The name is that of the option [Named], or kind in lower case with a number.
func Apply(kind string, op Op, in []*Value, opts ...Option) *Value {
	if len(in) == 0 {
		panic(fmt.Sprintf("nn: Apply: %s without inputs: want at least one", kind))
	}
	g := in[0].graph
	g.check()
	return g.apply(g.name(kind, collect(opts)), op, in)
}

// name returns the name of the next operation within the present scope.
func (g *Graph) name(kind string, o options) string {
	if o.name != "" {
		return o.name
	}
	key := g.path(strings.ToLower(kind))
	g.last[key]++
	if n := g.last[key]; n > 1 {
		return strings.ToLower(kind) + strconv.Itoa(n)
	}
	return strings.ToLower(kind)
}

// apply adds an operation under a name within the present scope.
func (g *Graph) apply(name string, op Op, in []*Value) *Value {
	path := g.path(name)
	shapes := make([]Shape, len(in))
	for i, v := range in {
		switch {
		case v.bad:
			return &Value{graph: g, name: path, bad: true}
		case v.graph != g:
			return g.fail(path, "input %d is %s of another graph: want values of one graph", i, v.name)
		}
		shapes[i] = v.shape
	}
	if g.operations[path] {
		return g.fail(path, "two operations have this name: want each name once")
	}
	if err := checkName(path); err != nil {
		return g.fail(path, "%w", err)
	}
	g.operations[path] = true
	form, err := op.Infer(shapes)
	if err == nil {
		err = checkShape(form.Out)
	}
	for _, v := range in {
		if err == nil && v.dtype == tensor.I32 && !form.Integers {
			err = fmt.Errorf("%s is of int32: want numbers", v.name)
		}
	}
	if err != nil {
		return g.fail(fmt.Sprintf("%s (%s)", path, describe(op)), "%w", err)
	}
	n := &Node{Name: path, Op: op, In: slices.Clone(in), index: len(g.nodes)}
	if w, ok := op.(Weighted); ok {
		n.params = w.Params()
	}
	n.Out = &Value{graph: g, name: path, shape: form.Out, dtype: form.DType, node: n}
	g.nodes = append(g.nodes, n)
	return n.Out
}

// Nodes returns the operations in the order in which they were added: each after those
// that make its inputs. The caller must not change the slice.
func (g *Graph) Nodes() []*Node { return g.nodes }

// Inputs returns the inputs in the order in which they were added, which is that of the
// tensors of [Plan.Forward].
func (g *Graph) Inputs() []*Value { return g.inputs }

// Outputs returns the outputs in the order in which they were added.
func (g *Graph) Outputs() []Output { return g.outputs }

// Params returns the parameters in the order in which they were added, each once.
func (g *Graph) Params() []*Param { return g.params }

// Buffers returns the buffers in the order in which they were added.
func (g *Graph) Buffers() []*Buffer { return g.buffers }

// String lists the inputs, operations and outputs, a line each.
func (g *Graph) String() string {
	var b strings.Builder
	for _, v := range g.inputs {
		fmt.Fprintf(&b, "%s: input, %v\n", v.name, v.shape)
	}
	for _, n := range g.nodes {
		from := make([]string, len(n.In))
		for i, v := range n.In {
			from[i] = v.name
		}
		fmt.Fprintf(&b, "%v of %s: %v\n", n, strings.Join(from, ", "), n.Out.shape)
	}
	for _, o := range g.outputs {
		fmt.Fprintf(&b, "%s: output, %s\n", o.Name, o.Value.name)
	}
	return b.String()
}
