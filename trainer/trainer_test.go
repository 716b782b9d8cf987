package trainer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/internal/datatest"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// setup describes the run that a test wants. The zero value is a sensible run.
type setup struct {
	kernel    string
	threads   int
	precision tensor.DType
	widths    []int // 784-32-10 where nil
	adam      bool
	scale     lossscale.Config // dynamic where zero
	schedule  trainer.Schedule // constant 0.05 (Adam: 0.002) where nil
	momentum  float64
	stored    bool    // the gradients are stored, and the optimizer reads them
	batch     int     // samples of a pass
	network   network // instead of widths
}

// run is a trainer with its parts.
type run struct {
	*trainer.Trainer
	model     *nn.Graph
	scaler    *lossscale.Scaler
	optimizer optim.Optimizer
}

func newRun(t testing.TB, s setup) *run {
	t.Helper()
	if s.widths == nil {
		s.widths = []int{784, 32, 10}
	}
	if s.network.Widths == nil {
		s.network.Widths = s.widths
	}
	if s.scale == (lossscale.Config{}) {
		s.scale = lossscale.Default()
	}
	if s.schedule == nil {
		s.schedule = trainer.Constant(0.05)
		if s.adam {
			s.schedule = trainer.Constant(0.002)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	engine, err := kernels.New(kernels.Config{Kernel: s.kernel, Threads: s.threads})
	must(err)
	r := &run{model: s.network.graph(1)}
	r.scaler, err = lossscale.New(s.scale)
	must(err)
	params := r.model.Params()
	if s.adam {
		r.optimizer, err = optim.NewAdam(params, optim.DefaultAdamW())
	} else {
		r.optimizer, err = optim.NewSGD(params, optim.SGDConfig{Momentum: s.momentum})
	}
	must(err)
	optimizer := r.optimizer
	if s.stored {
		optimizer = whole{optimizer}
	}
	r.Trainer, err = trainer.New(trainer.Config{
		Engine: engine, Graph: r.model, Loss: nn.CrossEntropy{}, Optimizer: optimizer, Scaler: r.scaler,
		Schedule: s.schedule, Precision: s.precision, Batch: s.batch,
	})
	must(err)
	return r
}

// whole is an optimizer that takes whole gradients only: it hides UpdatePart.
type whole struct{ optim.Optimizer }

// network describes a multilayer perceptron.
type network struct {
	Widths                []int // with the input's
	InputDropout, Dropout float64
}

// graph returns the network with values from a seed or, if that is 0, zeros.
func (n network) graph(seed uint64) *nn.Graph {
	g := nn.NewGraph(seed)
	g.Output("logits", nn.MLPConfig{Widths: n.Widths[1:], InputDropout: n.InputDropout, Dropout: n.Dropout}.Add(g.Input("x", n.Widths[0])))
	if g.Err() != nil {
		panic(g.Err())
	}
	if seed == 0 {
		for _, p := range g.Params() {
			clear(p.Master)
		}
	}
	return g
}

func newMLP(seed uint64, widths ...int) *nn.Graph { return network{Widths: widths}.graph(seed) }

// accuracy evaluates a run.
func accuracy(t *testing.T, r *trainer.Trainer, ds data.Dataset) float64 {
	t.Helper()
	var m metric.Accuracy
	if _, err := r.Evaluate(t.Context(), ds, &m); err != nil {
		t.Fatal(err)
	}
	return m.Value()
}

// digits is a small synthetic data set: 400 training and 200 test images.
func digits(t testing.TB) (train, test data.Dataset) {
	t.Helper()
	mnist, err := data.LoadMNIST(context.Background(), data.Source{Dir: datatest.Folder(t, 400, 200, 1)})
	if err != nil {
		t.Fatal(err)
	}
	mean, std := mnist.Train.MeanStd()
	return mnist.Train.Standardized(mean, std), mnist.Test.Standardized(mean, std)
}

func newLoader(t testing.TB, ds data.Dataset, precision tensor.DType) *data.Loader {
	t.Helper()
	l, err := data.NewLoader(ds, data.LoaderConfig{BatchSize: 64, DType: precision, Shuffle: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// batchOf makes one batch of rows of equal length.
func batchOf(precision tensor.DType, labels []int, values ...float32) *data.Batch {
	cols := len(values) / len(labels)
	x := tensor.FromF32(values, len(labels), cols)
	if precision == tensor.F16 {
		half := tensor.New(tensor.F16, len(labels), cols)
		fp16.Narrow(half.F16(), values)
		x = half
	}
	targets := make([]int32, len(labels))
	for i, label := range labels {
		targets[i] = int32(label)
	}
	return &data.Batch{Inputs: []*tensor.Tensor{x}, Targets: []*tensor.Tensor{tensor.FromElements(tensor.Of(targets), len(labels))}}
}

func step(t *testing.T, r *run, b *data.Batch) trainer.StepResult {
	t.Helper()
	result, err := r.Step(b)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// weights returns a copy of all master weights.
func weights(m *nn.Graph) (w []float32) {
	for _, p := range m.Params() {
		w = append(w, p.Master...)
	}
	return w
}

func TestLearns(t *testing.T) {
	train, test := digits(t)
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		for _, adam := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/adam=%v", precision, adam), func(t *testing.T) {
				r := newRun(t, setup{precision: precision, adam: adam, momentum: 0.9})
				before := accuracy(t, r.Trainer, test)
				if err := r.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, train, precision), Epochs: 10}); err != nil {
					t.Fatal(err)
				}
				if after := accuracy(t, r.Trainer, test); before > 0.3 || after < 0.95 {
					t.Errorf("before %v, after %v: want an accuracy of at least 0.95", before, after)
				}
			})
		}
	}
}

func TestLearnsMNIST(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: an epoch of MNIST is for machines that are not emulated")
	}
	mnist := datatest.MNIST(t)
	mean, std := mnist.Train.MeanStd()
	r := newRun(t, setup{precision: tensor.F16, momentum: 0.9})
	loader := newLoader(t, mnist.Train.Standardized(mean, std), tensor.F16)
	if err := r.Fit(t.Context(), trainer.FitConfig{Train: loader, Epochs: 1}); err != nil {
		t.Fatal(err)
	}
	// Correct implementations have about 0.95 with 32 hidden units after an epoch.
	if a := accuracy(t, r.Trainer, mnist.Test.Standardized(mean, std)); a < 0.93 {
		t.Errorf("an accuracy of %v: want at least 0.93", a)
	}
}

// Every tier learns the same bits, at any number of threads.
func TestSameBitsEverywhere(t *testing.T) {
	train, _ := digits(t)
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		var want string
		for _, tier := range kernels.Supported() {
			for _, threads := range []int{1, 2, 3} {
				r := newRun(t, setup{kernel: tier, threads: threads, precision: precision, adam: true, widths: []int{784, 257, 33, 10}})
				if err := r.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, train, precision), Epochs: 1}); err != nil {
					t.Fatal(err)
				}
				got := trainer.WeightsSHA256(r.model)
				if want == "" {
					want = got
				} else if got != want {
					t.Errorf("%v on %s with %d threads: weights %s, want %s", precision, tier, threads, got, want)
				}
			}
		}
	}
}

// reference is the textbook's 3-4-2 network under SGD with momentum, in float64.
type reference struct {
	w1, w2, v1, v2 []float64 // [3, 4] and [4, 2], and their momentum
	b1, b2, u1, u2 []float64
}

func (n *reference) step(x []float64, labels []int, rate, momentum float64) (loss float64) {
	batch := len(labels)
	h, p := make([]float64, batch*4), make([]float64, batch*2)
	dw1, dw2, db1, db2 := make([]float64, 12), make([]float64, 8), make([]float64, 4), make([]float64, 2)
	for i, label := range labels {
		for j := range 4 {
			sum := n.b1[j]
			for k := range 3 {
				sum += x[i*3+k] * n.w1[k*4+j]
			}
			h[i*4+j] = max(sum, 0)
		}
		total := 0.0
		for j := range 2 {
			sum := n.b2[j]
			for k := range 4 {
				sum += h[i*4+k] * n.w2[k*2+j]
			}
			p[i*2+j] = math.Exp(sum)
			total += p[i*2+j]
		}
		for j := range 2 {
			p[i*2+j] /= total
		}
		loss -= math.Log(p[i*2+label]) / float64(batch)
		p[i*2+label]--
		for j := range 2 {
			d := p[i*2+j] / float64(batch)
			db2[j] += d
			for k := range 4 {
				dw2[k*2+j] += h[i*4+k] * d
			}
		}
		for k := range 4 {
			if h[i*4+k] <= 0 {
				continue
			}
			d := 0.0
			for j := range 2 {
				d += p[i*2+j] / float64(batch) * n.w2[k*2+j]
			}
			db1[k] += d
			for l := range 3 {
				dw1[l*4+k] += x[i*3+l] * d
			}
		}
	}
	update := func(w, v, d []float64) {
		for i := range w {
			v[i] = momentum*v[i] + d[i]
			w[i] -= rate * v[i]
		}
	}
	update(n.w1, n.v1, dw1)
	update(n.b1, n.u1, db1)
	update(n.w2, n.v2, dw2)
	update(n.b2, n.u2, db2)
	return loss
}

// Twenty steps agree with the textbook at any loss scale, in fp32 to the last digits and in
// fp16 to its rounding.
func TestStepAgainstFloat64(t *testing.T) {
	x := []float32{0.5, -1, 2, 1.5, 0.25, -0.75, -2, 1, 0.125, 0.75, 0.5, 1, -1, -0.5, 0.25}
	labels := []int{0, 1, 1, 0, 1}
	static := func(scale float32) lossscale.Config {
		return lossscale.Config{Mode: lossscale.Static, Initial: scale, Patience: 1}
	}
	for _, tt := range []struct {
		precision tensor.DType
		scale     lossscale.Config
		tolerance float64
	}{
		{tensor.F32, lossscale.Config{Mode: lossscale.Off, Initial: 1, Patience: 1}, 2e-6},
		{tensor.F32, static(1 << 16), 2e-6},
		{tensor.F32, static(1000), 2e-6}, // not a power of two
		{tensor.F16, static(1), 3e-3},
		{tensor.F16, static(1 << 12), 3e-3},
	} {
		r := newRun(t, setup{precision: tt.precision, widths: []int{3, 4, 2}, scale: tt.scale, momentum: 0.9, schedule: trainer.Constant(0.1)})
		wide := func(w []float32) []float64 {
			s := make([]float64, len(w))
			for i := range w {
				s[i] = float64(w[i])
			}
			return s
		}
		params := r.model.Params()
		ref := &reference{
			w1: wide(params[0].Master), b1: wide(params[1].Master), w2: wide(params[2].Master), b2: wide(params[3].Master),
			v1: make([]float64, 12), u1: make([]float64, 4), v2: make([]float64, 8), u2: make([]float64, 2),
		}
		for i := range 20 {
			want := ref.step(wide(x), labels, 0.1, 0.9)
			got := step(t, r, batchOf(tt.precision, labels, x...))
			if math.Abs(got.Loss-want) > tt.tolerance || got.Skipped {
				t.Fatalf("%v, scale %v, step %d: loss %v, want %v", tt.precision, tt.scale.Initial, i, got.Loss, want)
			}
		}
		got, want := weights(r.model), slices.Concat(ref.w1, ref.b1, ref.w2, ref.b2)
		for i := range want {
			if math.Abs(float64(got[i])-want[i]) > 2*tt.tolerance {
				t.Errorf("%v, scale %v: weight %d is %v, want %v", tt.precision, tt.scale.Initial, i, got[i], want[i])
			}
		}
	}
}

// The optimizer sees unscaled gradients: scales that are powers of two do not change a bit
// in fp32.
func TestScaleLeavesNoTrace(t *testing.T) {
	train, _ := digits(t)
	var hashes []string
	for _, scale := range []float32{1.0 / 1024, 1, 1 << 16} {
		r := newRun(t, setup{precision: tensor.F32, scale: lossscale.Config{Mode: lossscale.Static, Initial: scale, Patience: 1}, adam: true})
		if err := r.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, train, tensor.F32), Epochs: 1}); err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, trainer.WeightsSHA256(r.model))
	}
	if hashes[0] != hashes[1] || hashes[1] != hashes[2] {
		t.Errorf("the weights depend on the scale: %v", hashes)
	}
}

// A step that overflows changes only the scale: neither the weights and their copies, nor
// the optimizer's slots and count, nor the schedule.
func TestSkippedStep(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for name, bad := range map[string]float32{"Inf": inf, "-Inf": -inf, "NaN": nan} {
		for _, adam := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/adam=%v", name, adam), func(t *testing.T) {
				var asked []int64 // the steps that the schedule was asked for
				schedule := func(n int64) float64 {
					asked = append(asked, n)
					return 0.01
				}
				r := newRun(t, setup{precision: tensor.F16, widths: []int{3, 4, 2}, adam: adam, momentum: 0.9, schedule: schedule})
				good := batchOf(tensor.F16, []int{0, 1}, 1, 2, 3, 0.5, -1, 2)
				step(t, r, good)

				before, half := weights(r.model), slices.Clone(r.model.Params()[0].Working.F16())
				var slots [][]float32
				for _, s := range r.optimizer.State().Slots {
					slots = append(slots, slices.Clone(s.Values))
				}
				result := step(t, r, batchOf(tensor.F16, []int{0, 1}, 1, bad, 3, 0.5, -1, 2))
				if !result.Skipped || result.Scale.Cause != lossscale.BackedOff || result.Overflow != "the output of layer 0 (Linear 3→4)" {
					t.Errorf("the step gave %+v, want it skipped for the output of layer 0", result)
				}
				if !slices.Equal(weights(r.model), before) || !slices.Equal(r.model.Params()[0].Working.F16(), half) {
					t.Error("the weights have changed")
				}
				for i, s := range r.optimizer.State().Slots {
					if !slices.Equal(s.Values, slots[i]) {
						t.Errorf("%s has changed", s.Name)
					}
				}
				if n := r.optimizer.State().Steps; n != 1 {
					t.Errorf("the optimizer counts %d steps, want 1", n)
				}
				if r.scaler.Scale() != 1<<15 {
					t.Errorf("the scale is %v, want 32768", r.scaler.Scale())
				}

				result = step(t, r, good)
				if result.Skipped || slices.Equal(weights(r.model), before) {
					t.Error("the step after the skipped one was not taken")
				}
				if want := []int64{0, 1, 1}; !slices.Equal(asked, want) {
					t.Errorf("the schedule was asked for the steps %v, want %v", asked, want)
				}
				if p := r.Progress(); p.Steps != 3 || p.Skipped != 1 || p.Samples != 4 {
					t.Errorf("progress %+v, want 3 steps, 1 of them skipped, and the loss of 4 samples", p)
				}
			})
		}
	}
}

// The scale falls until the gradients fit, here below 1: the unscaled gradient at the
// hidden layer is 120000, too large for fp16. A floor of 1 would skip every step for ever.
func TestScaleRecoversBelowOne(t *testing.T) {
	r := newRun(t, setup{precision: tensor.F16, widths: []int{1, 1, 2}, schedule: trainer.Constant(1e-9)})
	w := r.model.Params()
	w[0].Master[0] = 1
	w[2].Master[0], w[2].Master[1] = 60000, -60000
	for _, p := range w {
		p.Sync()
	}
	b := batchOf(tensor.F16, []int{1}, 0.001)
	var where []string
	for r.scaler.Scale() > 0.01 {
		result := step(t, r, b)
		if !result.Skipped {
			break
		}
		if !slices.Contains(where, result.Overflow) {
			where = append(where, result.Overflow)
		}
	}
	if r.scaler.Scale() != 0.5 || r.optimizer.State().Steps != 1 {
		t.Errorf("a scale of %v and %d steps taken, want 0.5 and 1", r.scaler.Scale(), r.optimizer.State().Steps)
	}
	// At 65536 the logits' gradient overflows too, from 32768 down only the hidden one.
	want := []string{"the gradient at the output of layer 2 (Linear 1→2)", "the gradient at the output of layer 0 (Linear 1→1)"}
	if diff := cmp.Diff(want, where); diff != "" {
		t.Errorf("the overflows were elsewhere:\n%s", diff)
	}
}

// If no scale helps, the run ends with an error that names the layer, and with the weights
// unchanged.
func TestDiverged(t *testing.T) {
	nan := float32(math.NaN())
	for _, mode := range []lossscale.Mode{lossscale.Dynamic, lossscale.Static, lossscale.Off} {
		for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
			cfg := lossscale.Default()
			cfg.Mode, cfg.Patience = mode, 3
			r := newRun(t, setup{precision: precision, widths: []int{2, 2, 2}, scale: cfg})
			before := weights(r.model)
			var err error
			steps := 0
			for ; err == nil && steps < 1000; steps++ {
				_, err = r.Step(batchOf(precision, []int{0}, nan, 1))
			}
			var diverged *lossscale.DivergedError
			var overflow *trainer.OverflowError
			if !errors.As(err, &diverged) || !errors.As(err, &overflow) || overflow.Where != "the output of layer 0 (Linear 2→2)" || !strings.Contains(err.Error(), "layer 0 (Linear 2→2)") {
				t.Errorf("%v, %v: error %v, want a DivergedError that names layer 0", mode, precision, err)
			}
			// 30 halvings lead from 2¹⁶ to the floor of 2⁻¹⁴.
			want := 3
			if mode == lossscale.Dynamic {
				want = 33
			}
			if steps != want {
				t.Errorf("%v, %v: gave up after %d steps, want %d", mode, precision, steps, want)
			}
			if !slices.Equal(weights(r.model), before) {
				t.Errorf("%v, %v: the weights have changed", mode, precision)
			}
		}
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		r := newRun(t, setup{precision: precision, threads: 1, adam: true})
		train, _ := digits(t)
		b, _ := newLoader(t, train, precision).Next()
		step(t, r, b)
		if n := testing.AllocsPerRun(10, func() {
			if _, err := r.Step(b); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: a step allocates %v times", precision, n)
		}
	}
}

func TestStepRefusesTheOtherPrecision(t *testing.T) {
	r := newRun(t, setup{precision: tensor.F16, widths: []int{3, 2}})
	if _, err := r.Step(batchOf(tensor.F32, []int{0}, 1, 2, 3)); err == nil || !strings.Contains(err.Error(), "input x is fp32 of [1 3]: want fp16 of [rows 3]") {
		t.Errorf("error %v", err)
	}
}

func TestNewErrors(t *testing.T) {
	r := newRun(t, setup{precision: tensor.F16})
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	good := trainer.Config{Engine: engine, Graph: r.model, Loss: nn.CrossEntropy{}, Optimizer: r.optimizer, Scaler: r.scaler, Schedule: trainer.Constant(1), Precision: tensor.F16}
	if _, err := trainer.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*trainer.Config){
		"engine":    func(c *trainer.Config) { c.Engine = nil },
		"graph":     func(c *trainer.Config) { c.Graph = nil },
		"loss":      func(c *trainer.Config) { c.Loss = nil },
		"optimizer": func(c *trainer.Config) { c.Optimizer = nil },
		"scaler":    func(c *trainer.Config) { c.Scaler = nil },
		"schedule":  func(c *trainer.Config) { c.Schedule = nil },
		"precision": func(c *trainer.Config) { c.Precision = 0 },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := trainer.New(cfg); err == nil {
			t.Errorf("no error without %s", name)
		}
	}
}

// An optimizer of other parameters would train another model, or use the gradients of
// other parameters.
func TestNewRefusesAnotherModelsOptimizer(t *testing.T) {
	r := newRun(t, setup{precision: tensor.F16})
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := r.model.Params()
	for name, params := range map[string][]*nn.Param{
		"another model": newMLP(1, 784, 32, 10).Params(),
		"another order": {p[1], p[0], p[2], p[3]},
		"not all":       p[:3],
		"none":          nil,
	} {
		optimizer, err := optim.NewSGD(params, optim.SGDConfig{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = trainer.New(trainer.Config{Engine: engine, Graph: r.model, Loss: nn.CrossEntropy{}, Optimizer: optimizer, Scaler: r.scaler, Schedule: trainer.Constant(1), Precision: tensor.F16})
		if err == nil || !strings.Contains(err.Error(), "the optimizer is for other parameters than the graph's") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSchedules(t *testing.T) {
	linear := trainer.Linear(0.4, 4)
	for step, want := range []float64{0.4, 0.3, 0.2, 0.1, 0, 0} {
		if got := linear(int64(step)); math.Abs(got-want) > 1e-15 {
			t.Errorf("Linear at step %d: %v, want %v", step, got, want)
		}
	}
	if got := trainer.Constant(0.3)(1 << 40); got != 0.3 {
		t.Errorf("Constant: %v", got)
	}
	for _, rate := range []float64{0, -1, 1e-300, 1e39, math.NaN(), math.Inf(1), math.Inf(-1)} {
		if trainer.CheckRate(rate) == nil {
			t.Errorf("CheckRate(%v) finds nothing wrong", rate)
		}
	}
	for _, rate := range []float64{1e-37, 0.1, 1e38} {
		if err := trainer.CheckRate(rate); err != nil {
			t.Error(err)
		}
	}
}

func TestFitEvents(t *testing.T) {
	train, test := digits(t)
	r := newRun(t, setup{precision: tensor.F16})
	var lossSum float64
	var samples int
	var steps []int64
	var epochs []trainer.EpochEvent
	err := r.Fit(t.Context(), trainer.FitConfig{
		Train: newLoader(t, train, tensor.F16), Validation: test, Epochs: 2,
		OnStep: func(e trainer.StepEvent) error {
			if e.Epoch != len(epochs)+1 || e.Batches != 7 || e.Batch != (len(steps)%7)+1 {
				t.Errorf("step %d is batch %d of %d in epoch %d", e.Steps, e.Batch, e.Batches, e.Epoch)
			}
			steps = append(steps, e.Steps)
			lossSum += e.Loss * float64(e.Samples)
			samples += e.Samples
			return nil
		},
		OnEpoch: func(e trainer.EpochEvent) error {
			if samples != 400 || math.Abs(e.TrainLoss-lossSum/400) > 1e-12 {
				t.Errorf("epoch %d: a mean loss of %v over %d samples, want %v over 400", e.Epoch, e.TrainLoss, samples, lossSum/400)
			}
			m, err := r.Evaluate(t.Context(), test)
			if err != nil {
				return err
			}
			if m != e.Validation {
				t.Errorf("epoch %d: validation %+v, want %+v", e.Epoch, e.Validation, m)
			}
			lossSum, samples = 0, 0
			epochs = append(epochs, e)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(epochs) != 2 || epochs[0].Epoch != 1 || epochs[1].Epoch != 2 || len(steps) != 14 || steps[13] != 14 {
		t.Errorf("epochs %+v and steps %v", epochs, steps)
	}
	if epochs[1].LossScale != r.scaler.Scale() || epochs[1].LearningRate != 0.05 || epochs[1].ImagesPerSec <= 0 {
		t.Errorf("the last epoch is %+v", epochs[1])
	}

	broken := errors.New("the disk is full")
	err = r.Fit(t.Context(), trainer.FitConfig{
		Train: newLoader(t, train, tensor.F16), Epochs: 4,
		OnEpoch: func(trainer.EpochEvent) error { return broken },
	})
	if !errors.Is(err, broken) || r.Progress().Epoch != 3 {
		t.Errorf("error %v after epoch %d, want that of OnEpoch after epoch 3", err, r.Progress().Epoch)
	}
}

func TestMaxSteps(t *testing.T) {
	train, _ := digits(t)
	for _, tt := range []struct {
		max           int64
		epoch, batch  int
		epochsOfEvent int
	}{{1, 0, 1, 0}, {6, 0, 6, 0}, {7, 1, 0, 1}, {8, 1, 1, 1}, {14, 2, 0, 2}, {100, 3, 0, 3}} {
		r := newRun(t, setup{precision: tensor.F16})
		events := 0
		err := r.Fit(t.Context(), trainer.FitConfig{
			Train: newLoader(t, train, tensor.F16), Epochs: 3, MaxSteps: tt.max,
			OnEpoch: func(trainer.EpochEvent) error { events++; return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if p := r.Progress(); p.Steps != min(tt.max, 21) || p.Epoch != tt.epoch || p.Batch != tt.batch || events != tt.epochsOfEvent {
			t.Errorf("at most %d steps: %+v and %d epoch events, want epoch %d, batch %d and %d", tt.max, p, events, tt.epoch, tt.batch, tt.epochsOfEvent)
		}
	}
}

// A run that is interrupted after every third step, saved to a file, and continued by a
// new trainer with another number of threads has the same bits and epoch events as one
// without a break.
func TestResume(t *testing.T) {
	train, test := digits(t)
	const epochs = 2
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		for _, adam := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/adam=%v", precision, adam), func(t *testing.T) {
				s := setup{precision: precision, adam: adam, momentum: 0.9, schedule: trainer.Linear(0.01, 14)}
				s.scale = lossscale.Default()
				s.scale.Interval = 4 // so that there is something to remember
				type event struct {
					loss     float64
					accuracy float64
					scale    float32
					skipped  int64
				}
				var want, got []event
				var right metric.Accuracy
				note := func(to *[]event) func(trainer.EpochEvent) error {
					return func(e trainer.EpochEvent) error {
						*to = append(*to, event{e.TrainLoss, right.Value(), e.LossScale, e.Skipped})
						return nil
					}
				}
				whole := newRun(t, s)
				if err := whole.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, train, precision), Validation: test, Metrics: []metric.Metric{&right}, Epochs: epochs, OnEpoch: note(&want)}); err != nil {
					t.Fatal(err)
				}

				path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
				parts := 0
				for ; ; parts++ {
					s.threads = parts%3 + 1
					r := newRun(t, s)
					if parts > 0 {
						f, err := checkpoint.Read(path)
						if err != nil {
							t.Fatal(err)
						}
						if err := r.Restore(f); err != nil {
							t.Fatal(err)
						}
					}
					ctx, cancel := context.WithCancel(t.Context())
					steps := 0
					err := r.Fit(ctx, trainer.FitConfig{
						Train: newLoader(t, train, precision), Validation: test, Metrics: []metric.Metric{&right}, Epochs: epochs, OnEpoch: note(&got),
						OnStep: func(trainer.StepEvent) error {
							if steps++; steps == 3 {
								cancel()
							}
							return nil
						},
					})
					cancel()
					if err == nil {
						if h, w := trainer.WeightsSHA256(r.model), trainer.WeightsSHA256(whole.model); h != w {
							t.Errorf("weights %s, want %s", h, w)
						}
						break
					}
					if !errors.Is(err, context.Canceled) {
						t.Fatal(err)
					}
					f, err := r.Checkpoint()
					if err != nil {
						t.Fatal(err)
					}
					if err := checkpoint.Write(path, f); err != nil {
						t.Fatal(err)
					}
				}
				if parts != 4 {
					t.Errorf("interrupted %d times, want 4", parts)
				}
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(event{})); diff != "" {
					t.Errorf("the events differ:\n%s", diff)
				}
			})
		}
	}
}

// Restore takes all of a checkpoint, or returns an error and changes nothing.
func TestRestoreErrors(t *testing.T) {
	train, _ := digits(t)
	newOne := func() *run { return newRun(t, setup{precision: tensor.F16, momentum: 0.9}) }
	source := newOne()
	if err := source.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, train, tensor.F16), Epochs: 1}); err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) func(*checkpoint.File) {
		return func(f *checkpoint.File) {
			meta := f.Metadata["halfgrad.trainer"]
			if !strings.Contains(meta, old) {
				t.Fatalf("no %s in %s", old, meta)
			}
			f.Metadata["halfgrad.trainer"] = strings.Replace(meta, old, new, 1)
		}
	}
	remove := func(name string) func(*checkpoint.File) {
		return func(f *checkpoint.File) {
			n := len(f.Tensors)
			f.Tensors = slices.DeleteFunc(f.Tensors, func(t checkpoint.Tensor) bool { return t.Name == name })
			if len(f.Tensors) != n-1 {
				t.Fatalf("no tensor %s", name)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(*checkpoint.File)
		want  string
	}{
		{"no state", func(f *checkpoint.File) { delete(f.Metadata, "halfgrad.trainer") }, "no run to continue"},
		{"not JSON", func(f *checkpoint.File) { f.Metadata["halfgrad.trainer"] = "{" }, "not the state of a trainer"},
		{"version", edit(`"version":3`, `"version":2`), "of a run of version 2, want 3"},
		{"precision", edit(`"precision":"fp16"`, `"precision":"fp32"`), "a run in fp32, this one is in fp16"},
		{"progress", edit(`"epoch":1`, `"epoch":-1`), "progress is not one"},
		{"optimizer steps", edit(`"optimizer_steps":7`, `"optimizer_steps":-7`), "progress is not one"},
		{"scale", edit(`"scale":65536`, `"scale":0`), "loss scale"},
		{"scaler's settings", edit(`"growth":2`, `"growth":0`), "growth factor"},
		{"a weight missing", remove("2.bias"), "no parameter 2.bias"},
		{"another shape", func(f *checkpoint.File) { f.Tensors[0].Shape = []int{32, 784} }, "0.weight in the shape [32 784], the model in [784 32]"},
		{"integers", func(f *checkpoint.File) { f.Tensors[0].Elements = tensor.Make(tensor.I32, f.Tensors[0].Elements.Len()) }, "tensor 0.weight is of int32: want floating-point numbers"},
		{"a slot missing", remove("optimizer.momentum.0.weight"), "no tensor optimizer.momentum.0.weight: was it made with another optimizer?"},
		{"a slot of another size", func(f *checkpoint.File) {
			last := &f.Tensors[len(f.Tensors)-1]
			last.Elements, last.Shape = last.Elements.Slice(0, 9), []int{9}
		}, "9 values in optimizer.momentum.2.bias, want 10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := source.Checkpoint()
			if err != nil {
				t.Fatal(err)
			}
			tt.spoil(f)
			r := newOne()
			before, state := weights(r.model), r.scaler.State()
			err = r.Restore(f)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if !slices.Equal(weights(r.model), before) || r.scaler.State() != state || r.Progress() != (trainer.Progress{}) || r.optimizer.State().Steps != 0 {
				t.Error("the trainer is not as it was")
			}
		})
	}
}

// Continuing a run with other data, or other batches, is an error.
func TestFitAfterTheEndOfTheEpoch(t *testing.T) {
	train, _ := digits(t)
	r := newRun(t, setup{precision: tensor.F16})
	if err := r.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, train, tensor.F16), Epochs: 1, MaxSteps: 5}); err != nil {
		t.Fatal(err)
	}
	less := data.Subset(train, []int{1, 2, 3})
	if err := r.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, less, tensor.F16), Epochs: 1}); err == nil || !strings.Contains(err.Error(), "does not fit the data") {
		t.Errorf("error %v", err)
	}
}

func TestLoadWeights(t *testing.T) {
	source := newRun(t, setup{precision: tensor.F16, widths: []int{3, 2}})
	step(t, source, batchOf(tensor.F16, []int{1}, 1, 2, 3))
	f, err := source.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	model := newMLP(0, 3, 2)
	model.Params()[0].Working = tensor.Make(tensor.F16, 6) // a stale copy
	if err := trainer.LoadWeights(model, f); err != nil {
		t.Fatal(err)
	}
	if trainer.WeightsSHA256(model) != trainer.WeightsSHA256(source.model) {
		t.Error("the weights differ")
	}
	if !slices.Equal(model.Params()[0].Working.F16(), source.model.Params()[0].Working.F16()) {
		t.Error("the fp16 copy is stale")
	}
	if err := trainer.LoadWeights(newMLP(0, 3, 3), f); err == nil || !strings.Contains(err.Error(), "0.weight in the shape [3 2], the model in [3 3]") {
		t.Errorf("error %v for another model", err)
	}
}

func TestWeightsSHA256(t *testing.T) {
	model := newMLP(0, 1, 2)
	copy(model.Params()[0].Master, []float32{1, -2})
	copy(model.Params()[1].Master, []float32{0.5, float32(math.Copysign(0, -1))})
	// python3 -c 'import hashlib,struct; print(hashlib.sha256(struct.pack("<4f",1,-2,.5,-0.)).hexdigest())'
	const want = "b9adffed992d57229bb65899717e338c77456dd5a9b551cb014892dda9388d6c"
	if got := trainer.WeightsSHA256(model); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// rows is a data set given by its samples.
type rows struct {
	values  [][]float32
	labels  []int
	classes int // 3 where 0
}

func (r rows) Len() int             { return len(r.labels) }
func (r rows) Inputs() []data.Field { return []data.Field{data.Numbers("x", len(r.values[0]))} }
func (r rows) Targets() []data.Field {
	if r.classes == 0 {
		r.classes = 3
	}
	return []data.Field{data.Classes("label", r.classes)}
}

func (r rows) Sample(i int, to *data.Sample) error {
	copy(to.Inputs[0].F32(), r.values[i])
	to.Targets[0].I32()[0] = int32(r.labels[i])
	return nil
}

// With an identity as the model, the logits are the samples.
func TestEvaluate(t *testing.T) {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	model := newMLP(0, 3, 3)
	for i := range 3 {
		model.Params()[0].Master[i*3+i] = 1
	}
	var ds rows
	correct, loss := 0, 0.0
	for i := range 1203 { // more than two batches
		v := []float32{float32(i % 7), float32(i % 5), float32(i % 11)}
		label := i % 3
		ds.values, ds.labels = append(ds.values, v), append(ds.labels, label)
		if v[label] == slices.Max(v) && slices.Index(v, slices.Max(v)) == label {
			correct++
		}
		sum := 0.0
		for _, x := range v {
			sum += math.Exp(float64(x))
		}
		loss += (math.Log(sum) - float64(v[label])) / 1203
	}
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} { // small integers are exact in both
		var right metric.Accuracy
		got, err := trainer.Evaluate(t.Context(), trainer.Evaluation{Engine: engine, Graph: model, Precision: precision, Loss: nn.CrossEntropy{}}, ds, &right)
		if err != nil {
			t.Fatal(err)
		}
		if got.Samples != 1203 || right.Correct != correct || math.Abs(got.Loss-loss) > 1e-6 {
			t.Errorf("%v: %+v and %d correct, want %d and a loss of %v", precision, got, right.Correct, correct, loss)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := trainer.Evaluate(ctx, trainer.Evaluation{Engine: engine, Graph: model, Precision: tensor.F16, Loss: nn.CrossEntropy{}}, ds); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if _, err := trainer.Evaluate(t.Context(), trainer.Evaluation{Engine: engine, Graph: model, Precision: tensor.F16, Loss: nn.CrossEntropy{}}, rows{values: ds.values[:1]}); err == nil {
		t.Error("no error for an empty data set")
	}
}

// Streaming gradients to the optimizer gives the same weights as storing them, and skips
// the same steps: with inputs that are not finite, at scales below 1, and at scales at
// which the gradient of the loss or of an earlier layer overflows, with and without a
// ReLU behind it.
func TestStreamedStepsAreStoredSteps(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, net := range []network{
		{Widths: []int{3, 2}}, {Widths: []int{3, 5, 2}}, {Widths: []int{3, 70, 33, 2}},
		{Widths: []int{3, 5, 2}, Dropout: 0.25}, {Widths: []int{3, 70, 33, 2}, InputDropout: 0.25, Dropout: 0.5},
	} {
		for _, adam := range []bool{false, true} {
			for _, scale := range []float32{0x1p-40, 0.5, 1, 1 << 16, 1 << 22, 1 << 24} {
				s := setup{precision: tensor.F16, network: net, adam: adam, momentum: 0.9, scale: lossscale.Default(), threads: 2}
				s.scale.Initial, s.scale.Floor = scale, 0x1p-60
				streamed := newRun(t, s)
				s.stored = true
				stored := newRun(t, s)
				skipped := 0
				for n, x := range []float32{1, inf, 2, -inf, nan, 0, 60000, -60000, 0.25, 3e-8, 1} {
					for _, finite := range []bool{false, x-x == 0} {
						b := batchOf(tensor.F16, []int{0, 1, 1}, 1, x, 3, 0.5, -1, 2, -x, 0, 0.125)
						b.Finite = finite
						got, want := step(t, streamed, b), step(t, stored, b)
						if diff := cmp.Diff(want, got, cmp.Comparer(func(x, y float64) bool { return x == y || x != x && y != y })); diff != "" {
							t.Fatalf("%+v, adam %v, scale %v, step %d: (-stored +streamed)\n%s", net, adam, scale, n, diff)
						}
						if got.Skipped {
							skipped++
						}
						if a, b := weights(streamed.model), weights(stored.model); !slices.Equal(a, b) {
							t.Fatalf("%+v, adam %v, scale %v, step %d: the weights differ", net, adam, scale, n)
						}
					}
				}
				if skipped < 6 || skipped == 22 {
					t.Errorf("%+v, adam %v, scale %v: %d of 22 steps were skipped", net, adam, scale, skipped)
				}
			}
		}
	}
}
