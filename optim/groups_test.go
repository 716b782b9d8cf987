package optim_test

import (
	"math"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
)

func TestGroupsAgainstPyTorch(t *testing.T) {
	f := loadFixture(t)
	bias := optim.Undecayed()
	bias.RateFactor = 0.5
	groups := []optim.Group{bias}
	for name, c := range map[string]struct {
		rate float64
		make func([]*nn.Param) optim.Optimizer
	}{
		"sgd momentum decay": {0.05, func(p []*nn.Param) optim.Optimizer {
			return must(optim.NewSGD(p, optim.SGDConfig{Momentum: 0.9, WeightDecay: 0.01, Groups: groups}))
		}},
		"sgd nesterov decay": {0.05, func(p []*nn.Param) optim.Optimizer {
			return must(optim.NewSGD(p, optim.SGDConfig{Momentum: 0.9, WeightDecay: 0.01, Nesterov: true, Groups: groups}))
		}},
		"adam decay": {0.01, func(p []*nn.Param) optim.Optimizer {
			return must(optim.NewAdam(p, optim.AdamConfig{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.1, Groups: groups}))
		}},
		"adamw decay": {0.01, func(p []*nn.Param) optim.Optimizer {
			return must(optim.NewAdam(p, optim.AdamConfig{Beta1: 0.8, Beta2: 0.95, Epsilon: 1e-6, WeightDecay: 0.1, Decoupled: true, Groups: groups}))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want := f.Groups[name]
			for _, pieces := range []bool{false, true} {
				w, b := newParam(f.Start[:4]), newParam(f.Start[4:])
				w.Shape, b.Shape = []int{2, 2}, []int{3}
				opt := c.make([]*nn.Param{w, b}).(optim.Piecewise)
				for _, grads := range f.Grads {
					if pieces {
						opt.Begin(c.rate, 1)
						opt.UpdatePart(engine, 1, 0, grads[4:])
						opt.UpdatePart(engine, 0, 2, grads[2:4])
						opt.UpdatePart(engine, 0, 0, grads[:2])
					} else {
						optim.Step(opt, engine, [][]float32{grads[:4], grads[4:]}, c.rate, 1)
					}
				}
				for i, got := range append(w.Master, b.Master...) {
					if diff := math.Abs(float64(got - want[i])); !(diff <= 4e-7*math.Max(1, math.Abs(float64(want[i])))) {
						t.Errorf("in pieces %v: weight %d is %g, PyTorch %s has %g", pieces, i, got, f.Torch, want[i])
					}
				}
			}
		})
	}
}

func TestBadGroups(t *testing.T) {
	for want, g := range map[string]optim.Group{
		"no Match":                     {RateFactor: 1},
		"rate factor of group 0 is -1": {Match: func(*nn.Param) bool { return true }, RateFactor: -1},
		"weight decay is NaN":          {Match: func(*nn.Param) bool { return true }, WeightDecay: math.NaN()},
	} {
		_, sgd := optim.NewSGD(nil, optim.SGDConfig{Groups: []optim.Group{g}})
		cfg := optim.DefaultAdam()
		cfg.Groups = []optim.Group{g}
		_, adam := optim.NewAdam(nil, cfg)
		for _, err := range []error{sgd, adam} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v does not say %q", err, want)
			}
		}
	}
}
