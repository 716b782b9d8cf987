package nn_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

func newEngine(t testing.TB, tier string, threads int) *kernels.Engine {
	t.Helper()
	e, err := kernels.New(kernels.Config{Kernel: tier, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newPlan(t testing.TB, g *nn.Graph, cfg nn.PlanConfig) *nn.Plan {
	t.Helper()
	p, err := g.Plan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// numbers returns a tensor of [rows, shape…] with values in ±1 that depend on where alone.
func numbers(dtype tensor.DType, first, rows int, shape ...int) *tensor.Tensor {
	x := tensor.New(dtype, append([]int{rows}, shape...)...)
	values := make([]float32, x.Len())
	for i := range values {
		values[i] = float32(math.Sin(float64(1 + i + first*len(values)/rows)))
	}
	x.Elements().Store(values)
	return x
}

func floats(x *tensor.Tensor) []float32 {
	v := make([]float32, x.Len())
	x.Elements().Load(v)
	return v
}

// tangle is a network with a residual, two branches, weights that three layers share, and
// a value that is used three times.
func tangle(g *nn.Graph) {
	x := g.Input("x", 6)
	h := nn.Tanh(nn.Linear(x, 8))
	w := g.Param("shared", []int{8, 8}, nn.KaimingUniform(8))
	a := nn.ReLU(nn.Linear(h, 8, nn.WithWeight(w), nn.Named("a")))
	b := nn.GELU(nn.Linear(h, 8, nn.WithWeight(w), nn.WithoutBias(), nn.Named("b")))
	h = nn.Add(h, nn.Multiply(a, b))
	h = nn.Concat(0, []*nn.Value{h, nn.Scale(nn.Linear(h, 8, nn.WithWeight(w), nn.Named("c")), 0.5)})
	h = nn.Transpose(nn.Reshape(h, []int{4, 4}), []int{1, 0})
	g.Output("y", nn.Linear(nn.Flatten(nn.Softmax(h)), 3, nn.Named("head")))
}

// lossOf returns ½·Σ y² and sets its gradient.
func lossOf(p *nn.Plan) float64 {
	sum := 0.0
	for _, v := range floats(p.Output(0)) {
		sum += float64(v) * float64(v) / 2
	}
	if p.OutputGradient(0) != nil {
		tensor.Copy(p.OutputGradient(0).Elements(), p.Output(0).Elements())
	}
	return sum
}

// The gradients of all parameters agree with central differences.
func TestGradientsOfATangle(t *testing.T) {
	g := nn.NewGraph(3)
	tangle(g)
	for _, keep := range []bool{false, true} {
		p := newPlan(t, g, nn.PlanConfig{Engine: newEngine(t, "", 1), Batch: 4, Precision: tensor.F32, Training: true, Keep: keep})
		in := []*tensor.Tensor{numbers(tensor.F32, 0, 4, 6)}
		loss := func() float64 {
			if err := p.Forward(nn.Position{}, in, true); err != nil {
				t.Fatal(err)
			}
			return lossOf(p)
		}
		for i, w := range g.Params() {
			for j := range w.Master {
				const step = 1.0 / 128
				was := w.Master[j]
				w.Master[j] = was + step
				up := loss()
				w.Master[j] = was - step
				down := loss()
				w.Master[j] = was
				loss()
				p.Backward(false)
				want := (up - down) / (2 * step)
				if got := float64(p.Gradient(i)[j]); math.Abs(got-want) > 1e-3 {
					t.Fatalf("keep %v: the gradient of %s[%d] is %v, by differences %v", keep, w.Name, j, got, want)
				}
			}
		}
	}
}

// sums is a sink that stores.
type sums struct {
	mu    sync.Mutex
	grads map[int][]float32
}

func (s *sums) Take(param, from int, grad []float32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.grads[param]) < from+len(grad) {
		s.grads[param] = append(s.grads[param], 0)
	}
	copy(s.grads[param][from:], grad)
}

// gradients returns those of a tangle for a batch that is taken in parts.
func gradients(t *testing.T, e *kernels.Engine, cfg nn.PlanConfig, rows int, parts []int) [][]float32 {
	g := nn.NewGraph(3)
	tangle(g)
	cfg.Engine, cfg.Batch, cfg.Training = e, slices.Max(parts), true
	p := newPlan(t, g, cfg)
	first := 0
	for i, n := range parts {
		if err := p.Forward(nn.Position{First: first}, []*tensor.Tensor{numbers(cfg.Precision, first, n, 6)}, false); err != nil {
			t.Fatal(err)
		}
		lossOf(p)
		if !p.Backward(i > 0) {
			t.Fatal("a gradient is not finite")
		}
		first += n
	}
	s := sums{grads: map[int][]float32{}}
	p.Stream(&s)
	streamed := 0
	for i := range g.Params() {
		if grad := p.Gradient(i); grad != nil {
			s.grads[i] = grad
		} else {
			streamed++
		}
	}
	if cfg.Stream != (streamed > 0) {
		t.Errorf("%d gradients are streamed, with Stream %v", streamed, cfg.Stream)
	}
	var all [][]float32
	for i := range g.Params() {
		all = append(all, s.grads[i])
	}
	return all
}

// Gradients have the same bits on every tier, with any number of threads, streamed or
// stored, and for any split of the batch, though weights are shared.
func TestSameGradients(t *testing.T) {
	const rows = 21
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		var want [][]float32
		check := func(what string, got [][]float32) {
			if want == nil {
				want = got
			}
			for i := range want {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("%v, %s: the gradient of parameter %d differs", precision, what, i)
				}
			}
		}
		for _, tier := range kernels.Supported() {
			for _, threads := range []int{1, 3} {
				e := newEngine(t, tier, threads)
				for _, parts := range [][]int{{21}, {11, 10}, {7, 7, 7}, {3, 3, 3, 3, 3, 3, 3}, {1, 20}} {
					check(fmt.Sprintf("%s, %d threads, parts of %v", tier, threads, parts), gradients(t, e, nn.PlanConfig{Precision: precision}, rows, parts))
				}
				if precision == tensor.F16 {
					check(tier+", streamed", gradients(t, e, nn.PlanConfig{Precision: precision, Stream: true}, rows, []int{21}))
				}
				check(tier+", kept", gradients(t, e, nn.PlanConfig{Precision: precision, Keep: true}, rows, []int{21}))
			}
		}
	}
}

// A plan of fifty layers for inference needs memory for two values, and takes no more than
// it says.
func TestMemoryOfAPlan(t *testing.T) {
	g := nn.NewGraph(1)
	x := g.Input("x", 64)
	for range 50 {
		x = nn.ReLU(nn.Linear(x, 64))
	}
	g.Output("y", x)
	cfg := nn.PlanConfig{Engine: newEngine(t, "", 1), Batch: 100, Precision: tensor.F16}
	m := newPlan(t, g, cfg).Memory()
	value := (100*64*2 + 63) / 64 * 64
	if m.Activations != 2*value || m.Needed != 2*value || m.Separately != 50*value {
		t.Errorf("%+v, want two values of %d bytes, and 50 separately", m, value)
	}
	measured, err := g.Measure(cfg)
	if err != nil || measured != m {
		t.Errorf("Measure says %+v, %v, the plan %+v", measured, err, m)
	}
	cfg.Training = true
	if m := newPlan(t, g, cfg).Memory(); m.Activations < m.Needed || m.Activations >= m.Separately || m.Activations > m.Needed*11/10 {
		t.Errorf("training: %+v", m)
	}
}

// Blocks that are needed at one time do not overlap.
func TestPlanReadsWhatItWrote(t *testing.T) {
	g := nn.NewGraph(5)
	tangle(g)
	e := newEngine(t, "", 1)
	in := []*tensor.Tensor{numbers(tensor.F16, 0, 9, 6)}
	var want []float32
	for _, cfg := range []nn.PlanConfig{{Keep: true, Training: true}, {Training: true}, {}, {Batch: 40}} {
		cfg.Engine, cfg.Precision, cfg.Batch = e, tensor.F16, max(cfg.Batch, 9)
		p := newPlan(t, g, cfg)
		if err := p.Forward(nn.Position{}, in, false); err != nil {
			t.Fatal(err)
		}
		got := floats(p.Output(0))
		if want == nil {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("%+v: %v, want %v", cfg, got, want)
		}
	}
}

// A pass allocates nothing, whatever the number of rows.
func TestPassAllocatesNothing(t *testing.T) {
	g := nn.NewGraph(5)
	tangle(g)
	p := newPlan(t, g, nn.PlanConfig{Engine: newEngine(t, "", 1), Batch: 9, Precision: tensor.F16, Training: true, Stream: true})
	inputs := [][]*tensor.Tensor{{numbers(tensor.F16, 0, 9, 6)}, {numbers(tensor.F16, 0, 2, 6)}}
	s := discard{}
	step := func() {
		for _, in := range inputs {
			if err := p.Forward(nn.Position{}, in, true); err != nil {
				t.Fatal(err)
			}
			p.Backward(false)
			p.Stream(s)
		}
	}
	step()
	if n := testing.AllocsPerRun(10, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type discard struct{}

func (discard) Take(int, int, []float32) {}

// Sixteen goroutines infer at once from one graph, while it is trained.
func TestGoroutinesShareAGraph(t *testing.T) {
	g := nn.NewGraph(5)
	tangle(g)
	weights, err := g.Weights(tensor.F16)
	if err != nil {
		t.Fatal(err)
	}
	parameters := 0
	for _, p := range g.Params() {
		parameters += p.Len()
	}
	if weights.Bytes() != 2*parameters {
		t.Errorf("%d bytes for %d parameters, want two each", weights.Bytes(), parameters)
	}
	e := newEngine(t, "", 2)
	in := []*tensor.Tensor{numbers(tensor.F16, 0, 5, 6)}
	predict := func() []float32 {
		p, err := g.Plan(nn.PlanConfig{Engine: e, Batch: 5, Precision: tensor.F16, Weights: weights})
		if err != nil {
			t.Error(err)
			return nil
		}
		if err := p.Forward(nn.Position{}, in, false); err != nil {
			t.Error(err)
		}
		return floats(p.Output(0))
	}
	want := predict()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 5 {
				if got := predict(); !slices.Equal(got, want) {
					t.Errorf("%v, want %v", got, want)
				}
			}
		})
	}
	p := newPlan(t, g, nn.PlanConfig{Engine: e, Batch: 5, Precision: tensor.F16, Training: true})
	for range 5 {
		if err := p.Forward(nn.Position{}, in, false); err != nil {
			t.Fatal(err)
		}
		lossOf(p)
		p.Backward(false)
		for i, w := range g.Params() {
			for j, d := range p.Gradient(i) {
				w.Master[j] -= 0.1 * d
			}
			w.Sync()
		}
	}
	all.Wait()
}

// count is an operation that counts its training passes in a buffer.
type count struct{ buffer *nn.Buffer }

func (c count) Infer(in []nn.Shape) (nn.Form, error) { return nn.Form{Out: in[0]}, nil }
func (c count) Forward(call *nn.Call) {
	tensor.Copy(call.Out.Elements(), call.In[0].Elements())
}
func (c count) Backward(call *nn.Call) {
	if call.DIn[0] != nil {
		tensor.Copy(call.DIn[0].Elements(), call.DOut.Elements())
	}
}
func (c count) Buffers() []*nn.Buffer { return []*nn.Buffer{c.buffer} }
func (c count) Commit(call *nn.Call)  { call.State[0][0] += float32(call.Rows) }

// Buffers change when a step is taken, and only then.
func TestBuffersChangeOnCommit(t *testing.T) {
	g := nn.NewGraph(1)
	x := g.Input("x", 2)
	b := g.Buffer("seen", []int{1}, 0)
	g.Output("y", nn.Linear(nn.Apply("Count", count{b}, []*nn.Value{x}), 1))
	p := newPlan(t, g, nn.PlanConfig{Engine: newEngine(t, "", 1), Batch: 4, Precision: tensor.F32, Training: true})
	for n, want := range []float32{0, 3, 3, 6} {
		if b.Values[0] != want {
			t.Errorf("after %d passes: %v, want %v", n, b.Values[0], want)
		}
		if err := p.Forward(nn.Position{}, []*tensor.Tensor{numbers(tensor.F32, 0, 3, 2)}, true); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			p.Commit()
		}
	}
}

// Mistakes are kept, and name the place and the shapes.
func TestMistakesOfBuilding(t *testing.T) {
	other := nn.NewGraph(1).Input("z", 2)
	for want, build := range map[string]func(g *nn.Graph, x *nn.Value){
		"nn: encoder.add (Add): inputs of [6 3]: want two of one shape": func(g *nn.Graph, x *nn.Value) {
			g.Scope("encoder", func() { nn.Add(x, nn.Linear(x, 3)) })
		},
		"nn: fc: two operations have this name": func(g *nn.Graph, x *nn.Value) {
			nn.ReLU(nn.Linear(x, 3, nn.Named("fc")), nn.Named("fc"))
		},
		"nn: fc.weight: the name is taken": func(g *nn.Graph, x *nn.Value) {
			nn.Linear(x, 3, nn.Named("fc"))
			nn.Linear(x, 3, nn.Named("fc"))
		},
		"nn: add: input 1 is z of another graph":            func(g *nn.Graph, x *nn.Value) { nn.Add(x, other) },
		"nn: linear: a linear layer from 6 to 0":            func(g *nn.Graph, x *nn.Value) { nn.Linear(x, 0) },
		"nn: dropout: a dropout rate of 1: want one from 0": func(g *nn.Graph, x *nn.Value) { nn.Dropout(x, 1) },
		"nn: dropout: a dropout rate of NaN":                func(g *nn.Graph, x *nn.Value) { nn.Dropout(x, math.NaN()) },
		"nn: scale (Scale NaN): a factor of NaN":            func(g *nn.Graph, x *nn.Value) { nn.Scale(x, float32(math.NaN())) },
		"nn: reshape (Reshape 4×2): an input of 6: want as many elements as 4×2 has, 8": func(g *nn.Graph, x *nn.Value) {
			nn.Reshape(x, []int{4, 2})
		},
		"nn: relu (ReLU): tokens is of int32: want numbers": func(g *nn.Graph, x *nn.Value) { nn.ReLU(g.Integers("tokens", 6)) },
		"nn: transpose (Transpose [1 0]): axes [1 0] of an input of 6: want each of its 1 axes once": func(g *nn.Graph, x *nn.Value) {
			nn.Transpose(x, []int{1, 0})
		},
		"nn: slice (Slice 4:7 of axis 0): an input of 6: want an axis that it has, and indices": func(g *nn.Graph, x *nn.Value) {
			nn.Slice(x, 0, 4, 7)
		},
		"nn: mean (Mean over [1]): axes [1] of an input of 6: want some of its 1 axes": func(g *nn.Graph, x *nn.Value) {
			nn.Mean(x, []int{1})
		},
		"nn: concat (Concat along axis 0): inputs of [": func(g *nn.Graph, x *nn.Value) {
			nn.Concat(0, []*nn.Value{x, nn.Reshape(x, []int{2, 3})})
		},
		"nn: x: the name is taken": func(g *nn.Graph, x *nn.Value) { g.Input("x", 6) },
		"nn: linear (Linear 6→4): the weight w of [5 4]: want [6 4]": func(g *nn.Graph, x *nn.Value) {
			nn.Linear(x, 4, nn.WithWeight(g.Param("w", []int{5, 4}, nn.Zeros)))
		},
	} {
		g := nn.NewGraph(1)
		x := g.Input("x", 6)
		build(g, x)
		g.Output("y", nn.Linear(x, 1, nn.Named("last")))
		_, err := g.Plan(nn.PlanConfig{Engine: newEngine(t, "", 1), Batch: 1, Precision: tensor.F32})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestMistakesOfPlanning(t *testing.T) {
	g := nn.NewGraph(1)
	g.Output("y", nn.Linear(g.Input("x", 2), 1))
	blank := nn.NewBlankGraph()
	blank.Output("y", nn.Linear(blank.Input("x", 2), 1))
	weights, err := blank.NewWeights(tensor.F16)
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, "", 1)
	for want, cfg := range map[string]nn.PlanConfig{
		"a batch of 0 rows":                      {Engine: e, Precision: tensor.F16},
		"a storage type of int32":                {Engine: e, Precision: tensor.I32, Batch: 1},
		"no engine":                              {Precision: tensor.F16, Batch: 1},
		"the weights are those of another graph": {Engine: e, Precision: tensor.F16, Batch: 1, Weights: weights},
		"more than memory can hold":              {Engine: e, Precision: tensor.F16, Batch: math.MaxInt / 2},
		"for inference only":                     {Engine: e, Precision: tensor.F16, Batch: 1, Weights: weights, Training: true},
	} {
		if _, err := g.Plan(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := blank.Plan(nn.PlanConfig{Engine: e, Precision: tensor.F16, Batch: 1}); err == nil || !strings.Contains(err.Error(), "blank") {
		t.Errorf("a blank graph: error %v", err)
	}
	p := newPlan(t, g, nn.PlanConfig{Engine: e, Precision: tensor.F16, Batch: 2})
	for want, in := range map[string][]*tensor.Tensor{
		"0 inputs for a graph of 1":                       nil,
		"input x is fp32 of [1 2]: want fp16 of [rows 2]": {tensor.New(tensor.F32, 1, 2)},
		"input x is fp16 of [1 3]: want fp16 of [rows 2]": {tensor.New(tensor.F16, 1, 3)},
		"a batch of 3 rows for a plan of up to 2":         {tensor.New(tensor.F16, 3, 2)},
	} {
		if err := p.Forward(nn.Position{}, in, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// Dropout draws by epoch, sample and place: parts of a batch draw what the whole does.
func TestDropoutBySample(t *testing.T) {
	g := nn.NewGraph(9)
	x := g.Input("x", 1000)
	g.Output("y", nn.Bias(nn.Dropout(x, 0.25)))
	p := newPlan(t, g, nn.PlanConfig{Engine: newEngine(t, "", 1), Batch: 8, Precision: tensor.F32, Training: true})
	pass := func(epoch, first, rows int) []float32 {
		in := tensor.New(tensor.F32, rows, 1000)
		for i := range in.F32() {
			in.F32()[i] = 3
		}
		if err := p.Forward(nn.Position{Epoch: epoch, First: first}, []*tensor.Tensor{in}, true); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(p.Output(0).F32())
	}
	whole := pass(1, 10, 8)
	kept := 0
	for i, v := range whole {
		if v != 0 && v != 4 {
			t.Fatalf("value %d is %v, want 0 or 3/0.75", i, v)
		}
		if v == 4 {
			kept++
		}
	}
	if kept < 5850 || kept > 6150 { // ± 4 standard deviations
		t.Errorf("%d of 8000 are kept, want about 6000", kept)
	}
	if parts := slices.Concat(pass(1, 10, 3), pass(1, 13, 1), pass(1, 14, 4)); !slices.Equal(parts, whole) {
		t.Error("parts draw other numbers")
	}
	same := func(a, b []float32) (n int) {
		for i := range a {
			if a[i] == b[i] {
				n++
			}
		}
		return n
	}
	// Independent draws agree where both keep or both drop: ¾² + ¼² = ⅝ of the places.
	for what, n := range map[string]int{
		"two epochs":  same(whole, pass(2, 10, 8)),
		"two batches": same(whole, pass(1, 18, 8)),
		"two samples": 8 * same(whole[:1000], whole[1000:2000]),
	} {
		if n < 4700 || n > 5300 {
			t.Errorf("%s: %d of 8000 places agree, want about 5000", what, n)
		}
	}
}

// A plan of a hundred operations is made quickly: 300 regions are placed.
func BenchmarkPlan(b *testing.B) {
	e := newEngine(b, "", 1)
	for b.Loop() {
		g := nn.NewGraph(1)
		x := g.Input("x", 64)
		for range 33 {
			x = nn.Add(x, nn.GELU(nn.Linear(x, 64)))
		}
		g.Output("y", x)
		newPlan(b, g, nn.PlanConfig{Engine: e, Batch: 32, Precision: tensor.F16, Training: true, Stream: true})
	}
}
