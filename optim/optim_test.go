package optim_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
	"github.com/halfgrad/halfgrad/tensor"
)

// fixture is what testdata/pytorch.py wrote.
type fixture struct {
	Torch string
	Start []float32
	Grads [][]float32
	Cases map[string][][]float32

	Groups map[string][]float32 // the weights at the end: four of one parameter, three of a bias
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

// engine runs the steps.
var engine = func() *kernels.Engine {
	e, err := kernels.New(kernels.Config{})
	if err != nil {
		panic(err)
	}
	return e
}()

func newParam(start []float32) *nn.Param {
	p := nn.NewGraph(1).Param("w", []int{len(start)}, nn.Zeros)
	copy(p.Master, start)
	half(p)
	return p
}

// half gives a parameter a working copy in fp16.
func half(p *nn.Param) {
	p.Working = tensor.Make(tensor.F16, p.Len())
	p.Sync()
}

func must[O optim.Optimizer](o O, err error) optim.Optimizer {
	if err != nil {
		panic(err)
	}
	return o
}

var cases = map[string]struct {
	rate float64
	make func([]*nn.Param) optim.Optimizer
}{
	"sgd":          {0.1, func(p []*nn.Param) optim.Optimizer { return must(optim.NewSGD(p, optim.SGDConfig{})) }},
	"sgd momentum": {0.05, func(p []*nn.Param) optim.Optimizer { return must(optim.NewSGD(p, optim.SGDConfig{Momentum: 0.9})) }},
	"sgd momentum decay": {0.05, func(p []*nn.Param) optim.Optimizer {
		return must(optim.NewSGD(p, optim.SGDConfig{Momentum: 0.9, WeightDecay: 0.01}))
	}},
	"sgd nesterov decay": {0.05, func(p []*nn.Param) optim.Optimizer {
		return must(optim.NewSGD(p, optim.SGDConfig{Momentum: 0.9, WeightDecay: 0.01, Nesterov: true}))
	}},
	"adam": {0.01, func(p []*nn.Param) optim.Optimizer { return must(optim.NewAdam(p, optim.DefaultAdam())) }},
	"adam decay": {0.01, func(p []*nn.Param) optim.Optimizer {
		return must(optim.NewAdam(p, optim.AdamConfig{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.1}))
	}},
	"adamw": {0.01, func(p []*nn.Param) optim.Optimizer { return must(optim.NewAdam(p, optim.DefaultAdamW())) }},
	"adamw decay": {0.01, func(p []*nn.Param) optim.Optimizer {
		return must(optim.NewAdam(p, optim.AdamConfig{Beta1: 0.8, Beta2: 0.95, Epsilon: 1e-6, WeightDecay: 0.1, Decoupled: true}))
	}},
}

// PyTorch computes the same formulas in fp32, but fuses some of them, so the
// results agree to a few units in the last place of the weights and steps.
func TestAgainstPyTorch(t *testing.T) {
	f := loadFixture(t)
	if len(f.Cases) != len(cases) {
		t.Errorf("the fixture has %d cases, the test %d", len(f.Cases), len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := newParam(f.Start)
			opt := c.make([]*nn.Param{p})
			for step, grads := range f.Grads {
				optim.Step(opt, engine, [][]float32{grads}, c.rate, 1)
				for i, got := range p.Master {
					want := f.Cases[name][step][i]
					if diff := math.Abs(float64(got - want)); !(diff <= 4e-7*math.Max(1, math.Abs(float64(want)))) {
						t.Fatalf("step %d: w[%d] = %g, PyTorch %s has %g", step+1, i, got, f.Torch, want)
					}
					if p.Working.F16()[i] != fp16.FromFloat32(got) {
						t.Fatalf("step %d: the fp16 copy of w[%d] is %g, the weight %g", step+1, i, p.Working.F16()[i].Float32(), got)
					}
				}
			}
			if got := opt.State().Steps; got != int64(len(f.Grads)) {
				t.Errorf("Steps = %d after %d steps", got, len(f.Grads))
			}
		})
	}
}

// An optimizer that gets the state of another continues bit for bit.
func TestStateRestores(t *testing.T) {
	f := loadFixture(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			whole := newParam(f.Start)
			opt := c.make([]*nn.Param{whole})
			var resumed *nn.Param
			var second optim.Optimizer
			for step, grads := range f.Grads {
				if step == 5 {
					resumed = newParam(whole.Master)
					second = c.make([]*nn.Param{resumed})
					second.State().Steps = opt.State().Steps
					for i, s := range opt.State().Slots {
						if got := second.State().Slots[i].Name; got != s.Name {
							t.Fatalf("slot %d is %q in one and %q in the other", i, s.Name, got)
						}
						copy(second.State().Slots[i].Values, s.Values)
					}
				}
				optim.Step(opt, engine, [][]float32{grads}, c.rate, 1)
				if second != nil {
					optim.Step(second, engine, [][]float32{grads}, c.rate, 1)
				}
			}
			if !slices.Equal(whole.Master, resumed.Master) {
				t.Errorf("resumed at step 5: %v, without a break: %v", resumed.Master, whole.Master)
			}
		})
	}
}

// A parameter may get its fp16 copy after the optimizer was made, and steps keep that
// copy up to date.
func TestHalfMadeLater(t *testing.T) {
	for name, c := range cases {
		for _, pieces := range []bool{false, true} {
			p := nn.NewGraph(1).Param("w", []int{3}, nn.Zeros)
			opt := c.make([]*nn.Param{p}).(optim.Piecewise)
			for step := range 3 {
				if step == 1 {
					half(p)
				}
				grad := []float32{1, -2, 3}
				if pieces {
					opt.Begin(c.rate, 1)
					opt.UpdatePart(engine, 0, 1, grad[1:])
					opt.UpdatePart(engine, 0, 0, grad[:1])
				} else {
					optim.Step(opt, engine, [][]float32{grad}, c.rate, 1)
				}
				if p.Working.Len() == 0 {
					continue
				}
				for i, h := range p.Working.F16() {
					if h != fp16.FromFloat32(p.Master[i]) {
						t.Errorf("%s, in pieces %v, step %d: the fp16 copy of w[%d] is %g, the weight %g", name, pieces, step, i, h.Float32(), p.Master[i])
					}
				}
			}
		}
	}
}

// Dividing the gradients during the step equals dividing them before it.
func TestUnscale(t *testing.T) {
	f := loadFixture(t)
	const scale = 3 // not a power of two: the division rounds
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			during, before := newParam(f.Start), newParam(f.Start)
			opt, second := c.make([]*nn.Param{during}), c.make([]*nn.Param{before})
			for _, grads := range f.Grads {
				divided := make([]float32, len(grads))
				for i, g := range grads {
					divided[i] = g * (1 / float32(scale))
				}
				optim.Step(opt, engine, [][]float32{grads}, c.rate, 1/float32(scale))
				optim.Step(second, engine, [][]float32{divided}, c.rate, 1)
			}
			if !slices.Equal(during.Master, before.Master) || slices.Equal(during.Master, f.Start) {
				t.Errorf("divided during the step: %v, before: %v", during.Master, before.Master)
			}
		})
	}
}

// Adam's second moment of a gradient far beyond √65504 needs fp32
// (github.com/warner-benjamin/optimi, pull request 15).
func TestPitfallSecondMomentInHalf(t *testing.T) {
	p := newParam([]float32{1, 1})
	opt := must(optim.NewAdam([]*nn.Param{p}, optim.DefaultAdam()))
	for range 10 {
		optim.Step(opt, engine, [][]float32{{60000, 1e-6}}, 0.1, 1)
	}
	// A constant gradient moves the weight by the learning rate a step, whatever its size
	// (for 1e-6, ε = 1e-8 takes one percent of that).
	if math.Abs(float64(p.Master[0])) > 1e-4 || math.Abs(float64(p.Master[1])-0.01) > 2e-3 {
		t.Errorf("after 10 steps of 0.1 from 1: %v, want about 0 and 0.01", p.Master)
	}
}

func TestBadHyperparameters(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	adam := func(change func(*optim.AdamConfig)) error {
		cfg := optim.DefaultAdamW()
		change(&cfg)
		_, err := optim.NewAdam(nil, cfg)
		return err
	}
	sgd := func(cfg optim.SGDConfig) error { _, err := optim.NewSGD(nil, cfg); return err }
	for i, c := range []struct {
		err  error
		want string
	}{
		{sgd(optim.SGDConfig{Momentum: 1}), "momentum is 1"},
		{sgd(optim.SGDConfig{Momentum: -0.1}), "momentum is -0.1"},
		{sgd(optim.SGDConfig{Momentum: nan}), "momentum is NaN"},
		{sgd(optim.SGDConfig{WeightDecay: -1}), "weight decay is -1"},
		{sgd(optim.SGDConfig{WeightDecay: inf}), "weight decay is +Inf"},
		{adam(func(c *optim.AdamConfig) { c.Beta1 = 1 }), "beta1 is 1"},
		{adam(func(c *optim.AdamConfig) { c.Beta2 = nan }), "beta2 is NaN"},
		{adam(func(c *optim.AdamConfig) { c.Epsilon = 0 }), "epsilon is 0"},
		{adam(func(c *optim.AdamConfig) { c.WeightDecay = nan }), "weight decay is NaN"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("case %d: error %v does not say %q", i, c.err, c.want)
		}
	}
	if _, err := optim.NewSGD([]*nn.Param{nn.NewBlankGraph().Param("w", []int{3}, nn.Zeros)}, optim.SGDConfig{}); err == nil {
		t.Error("a parameter without values: no error")
	}
	w := newParam(make([]float32, 2))
	twice := []*nn.Param{w, newParam(make([]float32, 2)), w}
	_, sgdErr := optim.NewSGD(twice, optim.SGDConfig{})
	_, adamErr := optim.NewAdam(twice, optim.DefaultAdam())
	for _, err := range []error{sgdErr, adamErr} {
		if err == nil || !strings.Contains(err.Error(), "parameter w comes twice") {
			t.Errorf("a parameter that comes twice: error %v", err)
		}
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	for name, c := range cases {
		opt := c.make([]*nn.Param{newParam(make([]float32, 100))})
		grads := [][]float32{make([]float32, 100)}
		if n := testing.AllocsPerRun(10, func() { optim.Step(opt, engine, grads, 0.1, 1) }); n != 0 {
			t.Errorf("%s: %v allocations a step", name, n)
		}
	}
}
