package optim

import (
	"errors"
	"slices"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
)

// SGDConfig holds the hyperparameters of [SGD]. The zero value is plain
// gradient descent.
type SGDConfig struct {
	Momentum    float64 // μ, in [0, 1)
	WeightDecay float64 // λ, at least 0: adds λ·w to the gradient
	Nesterov    bool    // look ahead along the momentum
	Groups      []Group // parameters with options of their own
}

// SGD is stochastic gradient descent with momentum, as in torch.optim.SGD with
// a dampening of zero:
//
//	g = g + λ·w
//	v = μ·v + g
//	w = w − η·v          (Nesterov: w − η·(g + μ·v))
type SGD struct {
	params   []*nn.Param
	velocity [][]float32 // by parameter
	cfg      SGDConfig
	groups   []Group
	group    []int // index of each parameter's group
	state    State
	steps    []kernels.SGD // the coefficients of the current step, by group
}

// NewSGD returns an optimizer for the given parameters. The error names the
// hyperparameter that is out of range, or the parameter that comes twice.
func NewSGD(params []*nn.Param, cfg SGDConfig) (*SGD, error) {
	if err := errors.Join(
		checkParams(params),
		checkRange("the momentum", cfg.Momentum, 0, 1),
	); err != nil {
		return nil, err
	}
	groups, group, err := grouped(params, cfg.Groups, cfg.WeightDecay)
	if err != nil {
		return nil, err
	}
	s := &SGD{params: slices.Clone(params), cfg: cfg, groups: groups, group: group, steps: make([]kernels.SGD, len(groups))}
	for _, p := range params {
		s.velocity = append(s.velocity, s.state.slot("momentum", p))
	}
	return s, nil
}

// Params implements [Optimizer].
func (s *SGD) Params() []*nn.Param { return s.params }

// State implements [Optimizer]. Each parameter has one slot, its momentum.
func (s *SGD) State() *State { return &s.state }

// Begin implements [Optimizer].
func (s *SGD) Begin(learningRate float64, unscale float32) {
	s.state.Steps++
	for i, g := range s.groups {
		s.steps[i] = kernels.SGD{
			Unscale: unscale, Rate: float32(learningRate * g.RateFactor),
			Momentum: float32(s.cfg.Momentum), Decay: float32(g.WeightDecay), Nesterov: s.cfg.Nesterov,
		}
	}
}

// Update implements [Optimizer].
func (s *SGD) Update(e *kernels.Engine, param int, grad []float32) {
	w := s.params[param]
	e.SGD(w.Master, s.velocity[param], grad, half(w, 0, len(grad)), s.steps[s.group[param]])
}

// UpdatePart implements [Piecewise].
func (s *SGD) UpdatePart(e *kernels.Engine, param, from int, grad []float32) {
	p, to := s.params[param], from+len(grad)
	e.Elementwise().SGD(p.Master[from:to], s.velocity[param][from:to], grad, half(p, from, to), s.steps[s.group[param]])
}
