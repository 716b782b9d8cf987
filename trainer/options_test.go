package trainer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// fixture is what testdata/pytorch.py wrote.
type fixture struct {
	Torch     string
	Schedules map[string][]float64
	Start     []float32
	Sizes     []int
	X         [][]float32
	Labels    [][]int
	Runs      map[string]struct{ Losses, Norms, Weights, Average []float64 }
}

func loadFixture(t *testing.T) (f fixture) {
	t.Helper()
	b, err := os.ReadFile("testdata/pytorch.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSchedulesAgainstPyTorch(t *testing.T) {
	f := loadFixture(t)
	for name, s := range map[string]trainer.Schedule{
		"step":          trainer.StepDecay(0.1, 0.3, 4),
		"cosine":        trainer.Cosine(0.1, 0.01, 20),
		"onecycle":      trainer.OneCycle(0.1, 20),
		"onecycle long": trainer.OneCycle(0.1, 1001),
		"warmup cosine": trainer.Warmup(5, trainer.Cosine(0.1, 0, 20)),
	} {
		want := f.Schedules[name]
		if len(want) < 15 {
			t.Errorf("%s: %d rates in the fixture", name, len(want))
		}
		for step, w := range want {
			if got := s(int64(step)); math.Abs(got-w) > 1e-13 {
				t.Errorf("%s: %v at step %d, PyTorch %s has %v", name, got, step, f.Torch, w)
			}
		}
		// Beyond its end a schedule stays constant or goes on falling, and is never negative.
		if last, beyond := s(int64(len(want)-1)), s(1<<40); !(beyond >= 0 && beyond <= last+1e-12) {
			t.Errorf("%s: %v at the end, %v beyond", name, last, beyond)
		}
	}
}

// optionsOf returns the trainer's options for a run of the fixture, and how many of its
// batches are one batch that is taken in parts.
func optionsOf(name string) (c trainer.Config, window int) {
	window, c.Loss = 1, nn.CrossEntropy{}
	switch name {
	case "clipped by norm":
		c.Clip.Norm = 0.25
	case "clipped by value":
		c.Clip.Value = 0.05
	case "clipped by both":
		c.Clip = trainer.Clip{Value: 0.1, Norm: 0.15}
	case "accumulated":
		window, c.Batch = 2, 2
	case "accumulated, clipped":
		window, c.Batch, c.Clip.Norm = 2, 3, 0.2
	case "smoothed":
		c.Loss = nn.CrossEntropy{Smoothing: 0.2}
	case "weighted":
		c.LossWeight = 0.125
	case "averaged":
		c.Average = 0.3
	}
	return c, window
}

// newOptions returns a trainer of a 3-4-2 network from the fixture's weights.
func newOptions(t *testing.T, f fixture, c trainer.Config, scale float32, threads int) (*trainer.Trainer, *nn.Graph) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	model := newMLP(0, 3, 4, 2)
	start := f.Start
	for _, p := range model.Params() {
		start = start[copy(p.Master, start):]
	}
	var err error
	c.Graph, c.Schedule = model, trainer.Constant(0.1)
	c.Engine, err = kernels.New(kernels.Config{Threads: threads})
	must(err)
	c.Optimizer, err = optim.NewSGD(model.Params(), optim.SGDConfig{Momentum: 0.9})
	must(err)
	scaling := lossscale.Default()
	scaling.Mode, scaling.Initial = lossscale.Static, scale
	c.Scaler, err = lossscale.New(scaling)
	must(err)
	tr, err := trainer.New(c)
	must(err)
	return tr, model
}

// Runs with options agree with PyTorch at any loss scale, in fp32 and, to fp16's rounding,
// in fp16. Clipping sees gradients without the loss scale, and accumulation is a mean over
// samples.
func TestOptionsAgainstPyTorch(t *testing.T) {
	f := loadFixture(t)
	if len(f.Runs) != 9 {
		t.Fatalf("the fixture has %d runs", len(f.Runs))
	}
	for name, want := range f.Runs {
		for _, kind := range []struct {
			precision tensor.DType
			scale     float32
			tolerance float64
		}{
			{tensor.F32, 1, 3e-6},
			{tensor.F32, 1 << 16, 3e-6},
			{tensor.F32, 1000, 3e-6}, // not a power of two
			{tensor.F16, 1 << 10, 6e-3},
		} {
			t.Run(fmt.Sprintf("%s/%v/%v", name, kind.precision, kind.scale), func(t *testing.T) {
				c, window := optionsOf(name)
				c.Precision = kind.precision
				tr, model := newOptions(t, f, c, kind.scale, 1)
				for i := range f.Sizes {
					if i%window < window-1 {
						continue
					}
					labels := slices.Concat(f.Labels[i-window+1 : i+1]...)
					b := batchOf(kind.precision, labels, slices.Concat(f.X[i-window+1:i+1]...)...)
					r, err := tr.Step(b)
					if err != nil || r.Skipped {
						t.Fatal(r, err)
					}
					if w := want.Losses[i/window]; math.Abs(r.Loss-w) > kind.tolerance {
						t.Errorf("step %d: loss %v, want %v", i/window, r.Loss, w)
					}
					if len(want.Norms) > 0 {
						if w := want.Norms[i/window]; math.Abs(r.GradNorm-w) > 2*kind.tolerance {
							t.Errorf("step %d: norm %v, want %v", i/window, r.GradNorm, w)
						}
					}
				}
				compare := func(what string, got []float32, want []float64) {
					for i, w := range want {
						if math.Abs(float64(got[i])-w) > 3*kind.tolerance {
							t.Errorf("%s %d is %v, want %v", what, i, got[i], w)
						}
					}
				}
				compare("weight", weights(model), want.Weights)
				if c.Average > 0 {
					file, err := tr.Checkpoint()
					if err != nil {
						t.Fatal(err)
					}
					if err := trainer.LoadWeights(model, file); err != nil {
						t.Fatal(err)
					}
					compare("averaged weight", weights(model), want.Average)
				}
			})
		}
	}
}

// The runs have the same bits on every tier and at any number of threads.
func TestOptionsSameBits(t *testing.T) {
	train, _ := digits(t)
	for _, c := range []trainer.Config{
		{Clip: trainer.Clip{Norm: 0.5, Value: 0.01}, Loss: nn.CrossEntropy{Smoothing: 0.1}},
		{Average: 0.99, LossWeight: 3},
	} {
		var want string
		for _, tier := range kernels.Supported() {
			for _, threads := range []int{1, 3} {
				model := network{Widths: []int{784, 64, 10}, InputDropout: 0.1, Dropout: 0.5}.graph(1)
				r := wire(t, c, model, tier, threads)
				if err := r.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, train, tensor.F16), Epochs: 1}); err != nil {
					t.Fatal(err)
				}
				f, err := r.Checkpoint()
				if err != nil {
					t.Fatal(err)
				}
				if err := trainer.LoadWeights(model, f); err != nil { // the averaged ones
					t.Fatal(err)
				}
				got := trainer.WeightsSHA256(model)
				if want == "" {
					want = got
				} else if got != want {
					t.Errorf("%s, %d threads: %s, want %s", tier, threads, got, want)
				}
			}
		}
	}
}

// wire returns a trainer for a model, in fp16 with AdamW that does not decay biases.
func wire(t *testing.T, c trainer.Config, model *nn.Graph, tier string, threads int) *trainer.Trainer {
	t.Helper()
	engine, err := kernels.New(kernels.Config{Kernel: tier, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	adam := optim.DefaultAdamW()
	adam.Groups = []optim.Group{optim.Undecayed()}
	optimizer, err := optim.NewAdam(model.Params(), adam)
	if err != nil {
		t.Fatal(err)
	}
	scaler, err := lossscale.New(lossscale.Default())
	if err != nil {
		t.Fatal(err)
	}
	c.Engine, c.Graph, c.Optimizer, c.Scaler, c.Precision = engine, model, optimizer, scaler, tensor.F16
	if c.Loss == nil {
		c.Loss = nn.CrossEntropy{}
	}
	if c.Schedule == nil {
		c.Schedule = trainer.Warmup(3, trainer.Cosine(0.002, 0, 8))
	}
	r, err := trainer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A run with dropout, batches in parts, averaging and clipping that is saved and continued
// after any step ends in the same bits.
func TestResumeWithOptions(t *testing.T) {
	train, test := digits(t)
	for _, c := range []trainer.Config{{Average: 0.9, Batch: 50}, {Clip: trainer.Clip{Norm: 1}, Average: 0.9}} {
		path := filepath.Join(t.TempDir(), "c.safetensors")
		fit := trainer.FitConfig{Validation: test, Epochs: 2, Patience: 5}
		newOne := func(threads int) (*trainer.Trainer, *nn.Graph) {
			model := network{Widths: []int{784, 32, 10}, InputDropout: 0.1, Dropout: 0.5}.graph(1)
			return wire(t, c, model, "", threads), model
		}
		whole, model := newOne(1)
		fit.Train = newLoader(t, train, tensor.F16)
		if err := whole.Fit(t.Context(), fit); err != nil {
			t.Fatal(err)
		}
		want, progress := trainer.WeightsSHA256(model), whole.Progress()
		for steps := int64(1); ; steps++ {
			r, model := newOne(int(steps)%2 + 1)
			if steps > 1 {
				f, err := checkpoint.Read(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Restore(f); err != nil {
					t.Fatal(err)
				}
			}
			fit.Train, fit.MaxSteps = newLoader(t, train, tensor.F16), steps
			if err := r.Fit(t.Context(), fit); err != nil {
				t.Fatal(err)
			}
			if p := r.Progress(); p.Epoch == 2 {
				if got := trainer.WeightsSHA256(model); got != want || p != progress || steps != 14 {
					t.Errorf("%+v: weights %s and progress %+v after %d parts, want %s and %+v after 14", c, got, p, steps, want, progress)
				}
				break
			}
			f, err := r.Checkpoint()
			if err != nil {
				t.Fatal(err)
			}
			if err := checkpoint.Write(path, f); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// An overflow in one part of a batch skips the whole step, once, and is named; the next step
// is not affected.
func TestPitfallOverflowInAPart(t *testing.T) {
	inf := float32(math.Inf(1))
	for bad := range 3 {
		r := newRun(t, setup{precision: tensor.F16, widths: []int{3, 4, 2}, batch: 1})
		before := weights(r.model)
		x := []float32{1, 1, 3, 1, 2, 3, 1, 2, 3}
		good := batchOf(tensor.F16, []int{1, 1, 0}, slices.Clone(x)...)
		x[3*bad+1] = inf
		result := step(t, r, batchOf(tensor.F16, []int{1, 1, 0}, x...))
		if !result.Skipped || result.Overflow != "the output of layer 0 (Linear 3→4)" || !slices.Equal(weights(r.model), before) || r.scaler.Scale() != 1<<15 {
			t.Errorf("%+v, weights changed: %v", result, !slices.Equal(weights(r.model), before))
		}
		if p := r.Progress(); p.Steps != 1 || p.Batch != 1 || p.Skipped != 1 {
			t.Errorf("progress %+v", p)
		}
		if result = step(t, r, good); result.Skipped || slices.Equal(weights(r.model), before) {
			t.Errorf("the step after it: %+v", result)
		}
	}
}

// A batch that is taken in parts ends in the bits of one that is not, with dropout, with
// any optimizer, in both precisions.
func TestPartsAreTheWhole(t *testing.T) {
	train, _ := digits(t)
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		for _, adam := range []bool{false, true} {
			var want string
			for _, batch := range []int{0, 64, 32, 22, 10, 1} { // 1, 1, 2, 3, 7 and 64 parts
				r := newRun(t, setup{precision: precision, adam: adam, momentum: 0.9, batch: batch, network: network{Widths: []int{784, 33, 17, 10}, InputDropout: 0.1, Dropout: 0.5}})
				if err := r.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, train, precision), Epochs: 1}); err != nil {
					t.Fatal(err)
				}
				got := trainer.WeightsSHA256(r.model)
				if want == "" {
					want = got
				} else if got != want {
					t.Errorf("%v, adam %v, by %d: weights %s, want %s", precision, adam, batch, got, want)
				}
			}
		}
	}
}

// Steps with injected infinities and NaNs are skipped, the scale backs off and recovers,
// and the weights stay finite. A run that never recovers ends with an error that names
// the place of the first overflow.
func TestInjectedOverflow(t *testing.T) {
	train, test := digits(t)
	for _, bad := range []fp16.Float16{0x7c00, 0xfc00, 0x7e00} { // ∞, −∞, NaN
		for _, forever := range []bool{false, true} {
			s := lossscale.Default()
			s.Interval, s.Patience = 5, 3
			model := newMLP(1, 784, 32, 10)
			r := wire(t, trainer.Config{
				Schedule: trainer.Constant(0.003),
				OnGradient: func(step int64, dlogits *tensor.Tensor) {
					if step >= 10 && (step < 13 || forever) {
						dlogits.F16()[7] = bad
					}
				},
			}, model, "", 1)
			scales, skipped := []float32{}, []int64{}
			err := r.Fit(t.Context(), trainer.FitConfig{
				Train: newLoader(t, train, tensor.F16), Epochs: 10,
				OnStep: func(e trainer.StepEvent) error {
					scales = append(scales, e.Scale.New)
					if e.Skipped {
						skipped = append(skipped, e.Steps-1)
						if want := "the gradient at the output of layer 2 (Linear 32→10)"; e.Overflow != want {
							t.Errorf("overflow in %s, want %s", e.Overflow, want)
						}
					}
					return nil
				},
			})
			for _, w := range weights(model) {
				if w-w != 0 {
					t.Fatal("a weight is not finite")
				}
			}
			if forever {
				var diverged *lossscale.DivergedError
				if !errors.As(err, &diverged) || !strings.Contains(err.Error(), "layer 2 (Linear 32→10)") {
					t.Errorf("error %v, want a DivergedError that names layer 2", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(skipped, []int64{10, 11, 12}) || scales[12] != scales[9]/8 {
				t.Errorf("skipped %v, scale %v → %v", skipped, scales[9], scales[12])
			}
			if a := accuracy(t, r, test); a < 0.95 {
				t.Errorf("accuracy %v", a)
			}
		}
	}
}

// After enough clean steps the scale is back where it was.
func TestScaleRecoversAfterInjection(t *testing.T) {
	s := lossscale.Default()
	s.Interval = 5
	r := newRun(t, setup{precision: tensor.F16, widths: []int{3, 4, 2}, scale: s})
	good, bad := batchOf(tensor.F16, []int{0}, 1, 2, 3), batchOf(tensor.F16, []int{0}, 1, float32(math.NaN()), 3)
	step(t, r, bad)
	for n := range 5 {
		if r.scaler.Scale() != 1<<15 {
			t.Errorf("after %d clean steps the scale is %v", n, r.scaler.Scale())
		}
		step(t, r, good)
	}
	if r.scaler.Scale() != 1<<16 {
		t.Errorf("after 5 clean steps the scale is %v, want 65536 again", r.scaler.Scale())
	}
}

// The averaged weights follow only steps that are taken (pytorch#44511 is the same for
// schedules).
func TestPitfallAverageAfterSkip(t *testing.T) {
	model := newMLP(1, 3, 4, 2)
	r := wire(t, trainer.Config{Average: 0.9}, model, "", 1)
	average := func() []float32 {
		f, err := r.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		other := newMLP(0, 3, 4, 2)
		if err := trainer.LoadWeights(other, f); err != nil {
			t.Fatal(err)
		}
		return weights(other)
	}
	good, bad := batchOf(tensor.F16, []int{0}, 1, 2, 3), batchOf(tensor.F16, []int{0}, 1, float32(math.Inf(1)), 3)
	before := average()
	if _, err := r.Step(bad); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(average(), before) {
		t.Error("a skipped step moved the averages")
	}
	if _, err := r.Step(good); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(average(), before) {
		t.Error("a step did not move the averages")
	}
	// Evaluation uses the averaged weights and does not change the master weights.
	now := weights(model)
	if _, err := r.Evaluate(t.Context(), rows{values: [][]float32{{1, 2, 3}}, labels: []int{0}, classes: 2}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(weights(model), now) {
		t.Error("evaluation changed the weights")
	}
	for i, p := range model.Params() {
		for j, h := range p.Working.F16() {
			if h != fp16.FromFloat32(p.Master[j]) {
				t.Fatalf("after evaluation the fp16 copy of parameter %d is not that of the weights", i)
			}
		}
	}
}

// A run ends after so many epochs without a better one, even if it is continued.
func TestPatience(t *testing.T) {
	train, test := digits(t)
	for _, patience := range []int{1, 2, 3} {
		r := newRun(t, setup{precision: tensor.F16, schedule: trainer.Constant(1e-9)}) // learns nothing
		fit := trainer.FitConfig{Train: newLoader(t, train, tensor.F16), Validation: test, Metrics: []metric.Metric{new(metric.Accuracy)}, Epochs: 10, Patience: patience}
		best := 0
		fit.OnEpoch = func(e trainer.EpochEvent) error {
			if e.Best {
				best++
			}
			return nil
		}
		for range 2 { // the second finds that there is nothing to do
			if err := r.Fit(t.Context(), fit); err != nil {
				t.Fatal(err)
			}
			if p := r.Progress(); p.Epoch != 1+patience || p.BestEpoch != 1 || best != 1 {
				t.Errorf("patience %d: %+v after %d best epochs", patience, p, best)
			}
		}
	}
}

// The statistics of a layer, counted by hand.
func TestInspect(t *testing.T) {
	model := newMLP(0, 2, 2)
	// The logits are the inputs, and a sample's gradients by them are ±p with p = σ(x₁−x₀).
	copy(model.Params()[0].Master, []float32{1, 0, 0, 1})
	r := wire(t, trainer.Config{}, model, "", 1)
	b := batchOf(tensor.F32, []int{0, 0, 0, 0},
		0, 0, // p = 1/2
		0, -11, // e⁻¹¹ = 1.7e-5: over 4 samples 4.2e-6, which is subnormal in fp16
		0, -20, // e⁻²⁰/4 = 5e-10 is zero there; times 2¹⁶ it is 3.4e-5, subnormal. p−1 is 0 in fp32
		60000, 0) // e⁻⁶⁰⁰⁰⁰ is zero in fp32
	all, err := r.Inspect(b)
	if err != nil {
		t.Fatal(err)
	}
	want := trainer.Statistic{
		Layer: "0 (Linear 2→2)", Kind: trainer.Gradient, Values: 5, Max: 0.125,
		Zero: 0, Subnormal: 1. / 5, Overflow: 0, UnscaledZero: 1. / 5, UnscaledSubnormal: 2. / 5,
	}
	if len(all) != 4 || all[1] != want {
		t.Errorf("%+v,\nwant %+v as the second of 4", all, want)
	}
	if a := all[0]; a.Kind != trainer.Activation || a.Values != 3 || a.Max != 60000 || a.Overflow != 0 {
		t.Errorf("activations: %+v", a)
	}
	if w := all[2]; w.Kind != trainer.WeightGradient || w.Name != "0.weight" {
		t.Errorf("weight gradient: %+v", w)
	}
	if got := r.Progress(); got != (trainer.Progress{}) {
		t.Errorf("progress %+v after an inspection", got)
	}
	if _, err := r.Inspect(batchOf(tensor.F16, []int{0}, 1, 2)); err == nil {
		t.Error("a batch of fp16: no error")
	}
	b = batchOf(tensor.F32, []int{1, 1}, 5, 0, 70000, 0)
	if all, err = r.Inspect(b); err != nil || all[0].Overflow != 0.5 {
		t.Errorf("70000 does not overflow: %+v, %v", all, err)
	}
}

// An inspection does not change the run.
func TestInspectLeavesNoTrace(t *testing.T) {
	train, _ := digits(t)
	var hashes []string
	for _, inspect := range []bool{false, true} {
		model := network{Widths: []int{784, 32, 10}, Dropout: 0.5}.graph(1)
		r := wire(t, trainer.Config{}, model, "", 1)
		err := r.Fit(t.Context(), trainer.FitConfig{
			Train: newLoader(t, train, tensor.F16), Epochs: 1,
			OnStep: func(trainer.StepEvent) error {
				if !inspect {
					return nil
				}
				b, _ := newLoader(t, train, tensor.F32).Next()
				_, err := r.Inspect(b)
				return err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, trainer.WeightsSHA256(model))
	}
	if hashes[0] != hashes[1] {
		t.Errorf("weights %s without, %s with inspections", hashes[0], hashes[1])
	}
}

func TestBadOptions(t *testing.T) {
	nan := math.NaN()
	for want, c := range map[string]trainer.Config{
		"loss weight is -1":   {LossWeight: -1},
		"loss weight is +Inf": {LossWeight: math.Inf(1)},
		"loss weight is 1e-300: want a number from 1.2e-38 to 3.4e+38": {LossWeight: 1e-300},
		"loss weight is 1e+39":     {LossWeight: 1e39},
		"norm of -1":               {Clip: trainer.Clip{Norm: -1}},
		"norm of 1e-300":           {Clip: trainer.Clip{Norm: 1e-300}},
		"values of 1e-300":         {Clip: trainer.Clip{Value: 1e-300}},
		"values of NaN":            {Clip: trainer.Clip{Value: nan}},
		"passes of -1 samples":     {Batch: -1},
		"averaged weights is 1":    {Average: 1},
		"averaged weights is -0.5": {Average: -0.5},
	} {
		r := newRun(t, setup{precision: tensor.F16})
		c.Engine, _ = kernels.New(kernels.Config{})
		c.Loss, c.Graph, c.Optimizer, c.Scaler, c.Schedule, c.Precision = nn.CrossEntropy{}, r.model, r.optimizer, r.scaler, trainer.Constant(1), tensor.F16
		if _, err := trainer.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
