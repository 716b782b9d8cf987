package nn

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// operations are the operations of this package with definitions in float64, which know a
// sample at a time. want gets a sample of each input, and the parameters.
var operations = []struct {
	name   string
	shapes [][]Shape // of the inputs, for several runs
	build  func(xs []*Value) *Value
	want   func(in []array, params []array) []float64
}{
	{"Linear", [][]Shape{{{2, 3}}, {{1}}, {{17}}}, func(xs []*Value) *Value { return Linear(xs[0], 4) }, func(in, params []array) (out []float64) {
		k := in[0].shape.Last()
		for r := 0; r < len(in[0].values); r += k {
			for j := range 4 {
				sum := params[1].values[j]
				for i, v := range in[0].values[r : r+k] {
					sum += v * params[0].values[4*i+j]
				}
				out = append(out, sum)
			}
		}
		return out
	}},
	{"Bias", [][]Shape{{{2, 3}}, {{1}}, {{}}, {{33}}}, func(xs []*Value) *Value { return Bias(xs[0]) }, func(in, params []array) (out []float64) {
		for i, v := range in[0].values {
			out = append(out, v+params[0].values[i%len(params[0].values)])
		}
		return out
	}},
	{"ReLU", every, func(xs []*Value) *Value { return ReLU(xs[0]) }, each1(func(x float64) float64 {
		if x <= 0 {
			return 0
		}
		return x
	})},
	{"Sigmoid", every, func(xs []*Value) *Value { return Sigmoid(xs[0]) }, each1(sigmoid64)},
	{"Tanh", every, func(xs []*Value) *Value { return Tanh(xs[0]) }, each1(math.Tanh)},
	{"SiLU", every, func(xs []*Value) *Value { return SiLU(xs[0]) }, each1(func(x float64) float64 { return x * sigmoid64(x) })},
	{"GELU", every, func(xs []*Value) *Value { return GELU(xs[0]) }, each1(func(x float64) float64 {
		return x / 2 * math.Erfc(-x/math.Sqrt2)
	})},
	{"GELUTanh", every, func(xs []*Value) *Value { return GELUTanh(xs[0]) }, each1(func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	})},
	{"Softmax", [][]Shape{{{3, 4}}, {{1}}, {{67}}, {{2, 1}}, {{16}}}, func(xs []*Value) *Value { return Softmax(xs[0]) }, func(in, _ []array) (out []float64) {
		n := in[0].shape.Last()
		for r := 0; r < len(in[0].values); r += n {
			row := in[0].values[r : r+n]
			top, sum := slices.Max(row), 0.0
			for _, x := range row {
				sum += math.Exp(x - top)
			}
			for _, x := range row {
				out = append(out, math.Exp(x-top)/sum)
			}
		}
		return out
	}},
	{"Add", twice, func(xs []*Value) *Value { return Add(xs[0], xs[1]) }, each2(func(a, b float64) float64 { return a + b })},
	{"Multiply", twice, func(xs []*Value) *Value { return Multiply(xs[0], xs[1]) }, each2(func(a, b float64) float64 { return a * b })},
	{"Scale", every, func(xs []*Value) *Value { return Scale(xs[0], 0.375) }, each1(func(x float64) float64 { return x * 0.375 })},
	{"Concat 1", [][]Shape{{{2, 3}, {2, 1}, {2, 2}}, {{3, 2}}, {{2, 1, 2}, {2, 3, 2}}}, func(xs []*Value) *Value { return Concat(1, xs) }, concatenated(1)},
	{"Concat 0", [][]Shape{{{1, 2}, {3, 2}}, {{1}, {1}}, {{5}, {2}, {9}}}, func(xs []*Value) *Value { return Concat(0, xs) }, concatenated(0)},
	{"Transpose 2 0 1", [][]Shape{{{2, 3, 4}}, {{1, 5, 1}}, {{3, 1, 7}}}, func(xs []*Value) *Value { return Transpose(xs[0], []int{2, 0, 1}) }, func(in, _ []array) (out []float64) {
		s := in[0].shape
		for k := range s[2] {
			for i := range s[0] {
				for j := range s[1] {
					out = append(out, in[0].at(i, j, k))
				}
			}
		}
		return out
	}},
	{"Slice 1 1 3", [][]Shape{{{2, 4, 3}}, {{1, 3}}, {{5, 3, 1, 2}}}, func(xs []*Value) *Value { return Slice(xs[0], 1, 1, 3) }, func(in, _ []array) (out []float64) {
		in[0].each(func(at []int, v float64) {
			if at[1] == 1 || at[1] == 2 {
				out = append(out, v)
			}
		})
		return out
	}},
	{"Sum 0 2", [][]Shape{{{2, 3, 4}}, {{1, 1, 1}}, {{7, 2, 9}}}, func(xs []*Value) *Value { return Sum(xs[0], []int{0, 2}) }, func(in, _ []array) []float64 {
		out := make([]float64, in[0].shape[1])
		in[0].each(func(at []int, v float64) { out[at[1]] += v })
		return out
	}},
	{"Mean 1", [][]Shape{{{2, 3, 4}}, {{3, 1}}, {{2, 11}}}, func(xs []*Value) *Value { return Mean(xs[0], []int{1}) }, func(in, _ []array) []float64 {
		s := in[0].shape
		inner := s[2:].Len()
		out := make([]float64, s[0]*inner)
		in[0].each(func(at []int, v float64) {
			last := 0
			if len(at) > 2 {
				last = at[2]
			}
			out[at[0]*inner+last] += v / float64(s[1])
		})
		return out
	}},
	{"Mean", every, func(xs []*Value) *Value { return Mean(xs[0], nil) }, func(in, _ []array) []float64 {
		sum := 0.0
		for _, v := range in[0].values {
			sum += v
		}
		return []float64{sum / float64(len(in[0].values))}
	}},
}

var (
	every = [][]Shape{{{3, 4}}, {{1}}, {{}}, {{16}}, {{2, 3, 5}}, {{37}}}
	twice = [][]Shape{{{3, 4}, {3, 4}}, {{1}, {1}}, {{}, {}}, {{37}, {37}}}
)

// array is a sample or a parameter in float64, row-major.
type array struct {
	shape  Shape
	values []float64
}

func (a array) at(index ...int) float64 {
	at := 0
	for i, d := range a.shape {
		at = at*d + index[i]
	}
	return a.values[at]
}

// each calls f for all elements in order.
func (a array) each(f func(at []int, v float64)) {
	for i, v := range a.values {
		at := make([]int, len(a.shape))
		for d := len(at) - 1; d >= 0; d-- {
			at[d] = i % a.shape[d]
			i /= a.shape[d]
		}
		f(at, v)
	}
}

func each1(f func(float64) float64) func(in, params []array) []float64 {
	return func(in, _ []array) (out []float64) {
		for _, x := range in[0].values {
			out = append(out, f(x))
		}
		return out
	}
}

func each2(f func(a, b float64) float64) func(in, params []array) []float64 {
	return func(in, _ []array) (out []float64) {
		for i, x := range in[0].values {
			out = append(out, f(x, in[1].values[i]))
		}
		return out
	}
}

func concatenated(axis int) func(in, params []array) []float64 {
	return func(in, _ []array) (out []float64) {
		for o := range in[0].shape[:axis].Len() {
			for _, x := range in {
				n := x.shape[axis:].Len()
				out = append(out, x.values[o*n:(o+1)*n]...)
			}
		}
		return out
	}
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// trial is an operation with all that a pass is given.
type trial struct {
	op     Op
	form   Form
	shapes []Shape
	rows   int
	in     [][]float32
	dout   []float32
	params [][]float32
}

// newTrial returns an operation of inputs of the given shapes, without values.
func newTrial(t *testing.T, build func(xs []*Value) *Value, shapes []Shape, rows int) trial {
	t.Helper()
	g := NewGraph(1)
	var xs []*Value
	for i, s := range shapes {
		xs = append(xs, g.Input(fmt.Sprint("x", i), s...))
	}
	build(xs)
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	r := trial{op: g.Nodes()[0].Op, shapes: shapes, rows: rows}
	var err error
	if r.form, err = r.op.Infer(shapes); err != nil {
		t.Fatal(err)
	}
	return r
}

// fill takes values that are exact in fp16: odd multiples of 1/128, so none is zero.
func (r *trial) fill(rng *rand.Rand) {
	grid := func(n int) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(2*rng.IntN(384)-383) / 128
		}
		return values
	}
	for _, s := range r.shapes {
		r.in = append(r.in, grid(r.rows*s.Len()))
	}
	r.dout = grid(r.rows * r.form.Out.Len())
	if w, ok := r.op.(Weighted); ok {
		for _, p := range w.Params() {
			r.params = append(r.params, grid(p.Len()))
		}
	}
}

// result is what passes have computed.
type result struct {
	out   []float32
	din   [][]float32
	grads [][]float32 // of the parameters
}

// way says how a trial is run.
type way struct {
	engine  *kernels.Engine
	dtype   tensor.DType
	inPlace bool
	parts   []int // the rows of each pass; nil for all in one
	halve   bool  // round the output to fp16 before it is read backward
}

// run goes forward and backward. It fails the test if the operation reads what Form does
// not keep, or says what is not so.
func (r trial) run(t *testing.T, w way) result {
	t.Helper()
	got := result{din: make([][]float32, len(r.in))}
	var grads []*Gradient
	for _, p := range r.params {
		grads = append(grads, &Gradient{elements: len(p), sums: make([]float32, len(p))})
	}
	parts := w.parts
	if parts == nil {
		parts = []int{r.rows}
	}
	first := 0
	for _, rows := range parts {
		makeTensor := func(s Shape, values []float32) *tensor.Tensor {
			x := tensor.New(w.dtype, append([]int{rows}, s...)...)
			if values == nil {
				spoil(x)
				return x
			}
			x.Elements().Store(values[first*s.Len() : (first+rows)*s.Len()])
			return x
		}
		c := &Call{Engine: w.engine, Rows: rows, Training: true, Position: Position{0, first}, Grads: grads, Scratch: make([]float32, r.form.Scratch)}
		for i := range c.Scratch {
			c.Scratch[i] = float32(math.NaN())
		}
		for i, s := range r.shapes {
			c.In = append(c.In, makeTensor(s, r.in[i]))
			c.InFinite = append(c.InFinite, finiteness(c.In[i]))
		}
		for i, p := range r.params {
			value := tensor.New(w.dtype, r.op.(Weighted).Params()[i].Shape...)
			value.Elements().Store(p)
			c.Params = append(c.Params, value)
		}
		for _, m := range r.form.Saved {
			c.Saved = append(c.Saved, makeTensor(m.Shape, nil))
		}
		c.Out = makeTensor(r.form.Out, nil)
		if w.inPlace && r.form.Backward&ReadsIn == 0 {
			c.Out = c.In[0]
		}
		if r.form.View {
			tensor.Copy(c.Out.Elements(), c.In[0].Elements())
		} else {
			r.op.Forward(c)
		}
		claim(t, "the output", c.OutFinite, c.Out)
		got.out = append(got.out, load(c.Out)...)
		if w.halve {
			half := tensor.Make(tensor.F16, c.Out.Len())
			half.Store(load(c.Out))
			rounded := make([]float32, c.Out.Len())
			half.Load(rounded)
			c.Out.Elements().Store(rounded)
		}
		for _, x := range c.In {
			if r.form.Backward&ReadsIn == 0 && x != c.Out {
				spoil(x)
			}
		}
		if r.form.Backward&ReadsOut == 0 && !r.form.View {
			spoil(c.Out)
		}
		for i := range c.Scratch {
			c.Scratch[i] = float32(math.NaN())
		}
		c.DOut = makeTensor(r.form.Out, r.dout)
		c.DOutFinite = finiteness(c.DOut)
		c.DInFinite = make([]Finiteness, len(c.In))
		for i, s := range r.shapes {
			c.DIn = append(c.DIn, makeTensor(s, nil))
			if w.inPlace && i == 0 && len(r.params) == 0 {
				c.DIn[0] = c.DOut
			}
		}
		if r.form.View {
			tensor.Copy(c.DIn[0].Elements(), c.DOut.Elements())
		} else {
			r.op.Backward(c)
		}
		for i, dx := range c.DIn {
			claim(t, fmt.Sprint("the gradient of input ", i), c.DInFinite[i], dx)
			got.din[i] = append(got.din[i], load(dx)...)
		}
		if weighted, ok := r.op.(Weighted); ok {
			weighted.Gradients(c)
		}
		for _, g := range grads {
			g.continues = true
		}
		first += rows
	}
	for _, g := range grads {
		got.grads = append(got.grads, g.sums)
	}
	return got
}

// spoil sets all elements to NaN.
func spoil(x *tensor.Tensor) {
	values := make([]float32, x.Len())
	for i := range values {
		values[i] = float32(math.NaN())
	}
	x.Elements().Store(values)
}

func load(x *tensor.Tensor) []float32 {
	values := make([]float32, x.Len())
	x.Elements().Load(values)
	return values
}

func finiteness(x *tensor.Tensor) Finiteness { return known(x.FirstNonFinite() < 0) }

// claim fails the test if an operation says what is not so.
func claim(t *testing.T, what string, said Finiteness, x *tensor.Tensor) {
	t.Helper()
	if said != Unknown && said != finiteness(x) {
		t.Errorf("%s: the operation says %v (1: all finite, 2: not), and it is %v", what, said, finiteness(x))
	}
}

func engineOf(t testing.TB, tier string, threads int) *kernels.Engine {
	t.Helper()
	e, err := kernels.New(kernels.Config{Kernel: tier, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// wanted returns the outputs, and the gradients by central differences, in float64.
func (r trial) wanted(want func(in, params []array) []float64) (out []float64, din, grads [][]float64) {
	params := make([]array, len(r.params))
	for i, p := range r.params {
		params[i] = array{r.op.(Weighted).Params()[i].Shape, wide(p)}
	}
	in := make([][]float64, len(r.in))
	for i, x := range r.in {
		in[i] = wide(x)
	}
	sample := func(row int) []float64 {
		arrays := make([]array, len(in))
		for i, s := range r.shapes {
			arrays[i] = array{s, in[i][row*s.Len() : (row+1)*s.Len()]}
		}
		return want(arrays, params)
	}
	width := r.form.Out.Len()
	loss := func(row int) (sum float64) {
		for i, v := range sample(row) {
			sum += v * float64(r.dout[row*width+i])
		}
		return sum
	}
	const h = 1.0 / (1 << 16)
	slope := func(x *float64, row int) float64 {
		at := *x
		*x = at + h
		more := loss(row)
		*x = at - h
		less := loss(row)
		*x = at
		return (more - less) / (2 * h)
	}
	din, grads = make([][]float64, len(in)), make([][]float64, len(params))
	for row := range r.rows {
		out = append(out, sample(row)...)
		for i, s := range r.shapes {
			for j := range s.Len() {
				din[i] = append(din[i], slope(&in[i][row*s.Len()+j], row))
			}
		}
		for i, p := range params {
			if grads[i] == nil {
				grads[i] = make([]float64, len(p.values))
			}
			for j := range p.values {
				grads[i][j] += slope(&p.values[j], row)
			}
		}
	}
	return out, din, grads
}

func wide(s []float32) []float64 {
	w := make([]float64, len(s))
	for i, v := range s {
		w[i] = float64(v)
	}
	return w
}

// near fails the test unless the elements differ by at most tolerance, times the largest
// magnitude that is wanted if that is more than 1.
func near(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	size := 1.0
	for _, w := range want {
		size = max(size, math.Abs(w))
	}
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= tolerance*size) {
			t.Errorf("%s: element %d is %v, want %v", what, i, got[i], w)
			return
		}
	}
}

// equal fails the test unless both have the same bits; NaNs are equal.
func equal(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if math.Float32bits(got[i]) != math.Float32bits(w) && (got[i] == got[i] || w == w) {
			t.Errorf("%s: element %d is %v, want %v", what, i, got[i], w)
			return
		}
	}
}

func (got result) equal(t *testing.T, what string, want result) {
	t.Helper()
	equal(t, what+": the output", got.out, want.out)
	for i := range want.din {
		equal(t, fmt.Sprint(what, ": the gradient of input ", i), got.din[i], want.din[i])
	}
	for i := range want.grads {
		equal(t, fmt.Sprint(what, ": the gradient of parameter ", i), got.grads[i], want.grads[i])
	}
}

// halves rounds the outputs and their gradients to fp16.
func (got result) halves() result {
	round := func(values []float32) []float32 {
		half, back := tensor.Make(tensor.F16, len(values)), make([]float32, len(values))
		half.Store(values)
		half.Load(back)
		return back
	}
	rounded := result{out: round(got.out), grads: got.grads}
	for _, d := range got.din {
		rounded.din = append(rounded.din, round(d))
	}
	return rounded
}

// slack is more than the error of a few roundings in fp32, and of central differences.
const slack = 2e-6

func TestOperations(t *testing.T) {
	best := engineOf(t, kernels.Auto, 1)
	for _, o := range operations {
		for _, shapes := range o.shapes {
			for _, rows := range []int{1, 5} {
				t.Run(fmt.Sprintf("%s/%v/%d", o.name, shapes, rows), func(t *testing.T) {
					r := newTrial(t, o.build, shapes, rows)
					r.fill(rand.New(rand.NewPCG(1, 2)))
					got := r.run(t, way{engine: best, dtype: tensor.F32})
					out, din, grads := r.wanted(o.want)
					near(t, "the output", got.out, out, slack)
					for i := range din {
						near(t, fmt.Sprint("the gradient of input ", i), got.din[i], din[i], slack)
					}
					for i := range grads {
						near(t, fmt.Sprint("the gradient of parameter ", i), got.grads[i], grads[i], slack)
					}
					half := r.run(t, way{engine: best, dtype: tensor.F16})
					half.equal(t, "fp16 and fp32 that is rounded once", r.run(t, way{engine: best, dtype: tensor.F32, halve: true}).halves())

					for dtype, want := range map[tensor.DType]result{tensor.F32: got, tensor.F16: half} {
						if rows > 1 {
							r.run(t, way{engine: best, dtype: dtype, parts: []int{2, rows - 3, 1}}).equal(t, "in parts", want)
						}
						if r.form.InPlace {
							r.run(t, way{engine: best, dtype: dtype, inPlace: true}).equal(t, "in place", want)
						}
						for _, tier := range kernels.Supported() {
							r.run(t, way{engine: engineOf(t, tier, 2), dtype: dtype}).equal(t, tier, want)
						}
					}
				})
			}
		}
	}
}

// What is not finite shows wherever it does in float64, and nowhere else.
func TestOperationsOfNaNAndInfinity(t *testing.T) {
	e := engineOf(t, kernels.Auto, 1)
	for _, o := range operations {
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			r := newTrial(t, o.build, o.shapes[0], 3)
			r.fill(rand.New(rand.NewPCG(3, 4)))
			clean := r.run(t, way{engine: e, dtype: tensor.F16})
			r.in[0][len(r.in[0])/2] = float32(bad)
			want, _, _ := r.wanted(o.want)
			for _, dtype := range []tensor.DType{tensor.F16, tensor.F32} {
				got := r.run(t, way{engine: e, dtype: dtype})
				for i, w := range want {
					g := float64(got.out[i])
					switch {
					case math.IsNaN(w) != math.IsNaN(g), math.IsInf(w, 0) != math.IsInf(g, 0):
						t.Errorf("%s of %v in %v: element %d is %v, want %v", o.name, bad, dtype, i, g, w)
					case dtype == tensor.F16 && w-w == 0 && i < len(clean.out)/3 && got.out[i] != clean.out[i]:
						t.Errorf("%s of %v in %v: element %d of another sample is %v, was %v", o.name, bad, dtype, i, g, clean.out[i])
					}
				}
			}
			r.in[0][len(r.in[0])/2] = 1
			r.dout[len(r.dout)/2] = float32(bad)
			got := r.run(t, way{engine: e, dtype: tensor.F16})
			for _, d := range got.din {
				if first := tensor.Of(d[:len(d)/3]).FirstNonFinite(); first >= 0 {
					t.Errorf("%s: a gradient of %v in one sample makes element %d of another %v", o.name, bad, first, d[first])
				}
			}
		}
	}
}

func TestOperationsAllocateNothing(t *testing.T) {
	e := engineOf(t, kernels.Auto, 1)
	for _, o := range operations {
		g := NewGraph(1)
		var xs []*Value
		var in []*tensor.Tensor
		for i, s := range o.shapes[0] {
			x := g.Input(fmt.Sprint("x", i), s...)
			xs = append(xs, Bias(x)) // so that the gradients are wanted
			in = append(in, tensor.New(tensor.F16, append([]int{3}, s...)...))
		}
		g.Output("y", o.build(xs))
		p, err := g.Plan(PlanConfig{Engine: e, Batch: 3, Precision: tensor.F16, Training: true})
		if err != nil {
			t.Fatal(o.name, err)
		}
		pass := func() {
			if err := p.Forward(Position{}, in, true); err != nil {
				t.Fatal(err)
			}
			p.OutputGradient(0).Elements().Clear()
			p.Backward(false)
		}
		pass()
		if n := testing.AllocsPerRun(5, pass); n != 0 {
			t.Errorf("%s: %v allocations a pass", o.name, n)
		}
	}
}

// pytorch is what testdata/operations.py writes.
type pytorch struct {
	Rows       int
	Operations []struct {
		Name       string
		Shapes     []Shape
		In, Params [][]float32
		Dout       []float32
		Out        []float64
		Grads      [][]float64
		DParams    [][]float64
	}
}

func readPyTorch(t *testing.T) (p pytorch) {
	t.Helper()
	text, err := os.ReadFile("testdata/operations.json")
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOperationsAgreeWithPyTorch(t *testing.T) {
	e := engineOf(t, kernels.Auto, 1)
	seen := 0
	for _, o := range operations {
		for _, p := range readPyTorch(t).Operations {
			if p.Name != o.name {
				continue
			}
			seen++
			r := newTrial(t, o.build, p.Shapes, readPyTorch(t).Rows)
			r.in, r.params, r.dout = p.In, p.Params, p.Dout
			got := r.run(t, way{engine: e, dtype: tensor.F32})
			near(t, p.Name, got.out, p.Out, slack)
			for i, want := range p.Grads {
				near(t, fmt.Sprint(p.Name, ": the gradient of input ", i), got.din[i], want, slack)
			}
			for i, want := range p.DParams {
				near(t, fmt.Sprint(p.Name, ": the gradient of parameter ", i), got.grads[i], want, slack)
			}
		}
	}
	if seen != len(operations) {
		t.Errorf("PyTorch has results of %d operations of %d", seen, len(operations))
	}
}
