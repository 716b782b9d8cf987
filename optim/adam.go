package optim

import (
	"errors"
	"math"
	"slices"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
)

// AdamConfig holds the hyperparameters of [Adam]. [DefaultAdam] has the usual ones.
type AdamConfig struct {
	Beta1, Beta2 float64 // decay of the first and second moment, in [0, 1)
	Epsilon      float64 // added to the denominator, more than 0
	WeightDecay  float64 // λ, at least 0
	Decoupled    bool    // AdamW: decay the weights directly instead of adding to the gradient
	Groups       []Group // parameters with options of their own
}

// DefaultAdam returns the defaults of torch.optim.Adam.
func DefaultAdam() AdamConfig { return AdamConfig{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8} }

// DefaultAdamW returns the defaults of torch.optim.AdamW.
func DefaultAdamW() AdamConfig {
	return AdamConfig{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.01, Decoupled: true}
}

// Adam is the optimizer of Kingma and Ba ("Adam: A Method for Stochastic
// Optimization", ICLR 2015) and, where decoupled, that of Loshchilov and
// Hutter ("Decoupled Weight Decay Regularization", ICLR 2019). In step t:
//
//	g = g + λ·w                  (Adam)     or     w = w − η·λ·w      (AdamW)
//	m = β₁·m + (1−β₁)·g
//	v = β₂·v + (1−β₂)·g²
//	w = w − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)
//
// The order of operations is PyTorch's.
type Adam struct {
	params         []*nn.Param
	moment, second [][]float32 // by parameter
	cfg            AdamConfig
	groups         []Group
	group          []int // index of each parameter's group
	state          State
	steps          []kernels.Adam // the coefficients of the current step, by group
}

// NewAdam returns an optimizer for the given parameters. The error names the
// hyperparameter that is out of range, or the parameter that comes twice.
func NewAdam(params []*nn.Param, cfg AdamConfig) (*Adam, error) {
	if err := errors.Join(
		checkParams(params),
		checkRange("beta1", cfg.Beta1, 0, 1),
		checkRange("beta2", cfg.Beta2, 0, 1),
		checkRange("epsilon", cfg.Epsilon, math.SmallestNonzeroFloat32, math.Inf(1)),
	); err != nil {
		return nil, err
	}
	groups, group, err := grouped(params, cfg.Groups, cfg.WeightDecay)
	if err != nil {
		return nil, err
	}
	a := &Adam{params: slices.Clone(params), cfg: cfg, groups: groups, group: group, steps: make([]kernels.Adam, len(groups))}
	for _, p := range params {
		a.moment = append(a.moment, a.state.slot("moment1", p))
		a.second = append(a.second, a.state.slot("moment2", p))
	}
	return a, nil
}

// Params implements [Optimizer].
func (a *Adam) Params() []*nn.Param { return a.params }

// State implements [Optimizer]. Each parameter has two slots, its moments.
func (a *Adam) State() *State { return &a.state }

// Begin implements [Optimizer].
func (a *Adam) Begin(learningRate float64, unscale float32) {
	a.state.Steps++
	c := a.cfg
	for i, g := range a.groups {
		rate := learningRate * g.RateFactor
		a.steps[i] = kernels.Adam{
			Unscale: unscale,
			Beta1:   float32(c.Beta1), Rest1: float32(1 - c.Beta1),
			Beta2: float32(c.Beta2), Rest2: float32(1 - c.Beta2),
			Rate:       float32(rate / (1 - power(c.Beta1, a.state.Steps))),
			Correction: float32(math.Sqrt(1 - power(c.Beta2, a.state.Steps))),
			Epsilon:    float32(c.Epsilon),
			Decay:      float32(g.WeightDecay),
			Keep:       float32(1 - float64(rate*g.WeightDecay)),
			Decoupled:  c.Decoupled,
		}
	}
}

// Update implements [Optimizer].
func (a *Adam) Update(e *kernels.Engine, param int, grad []float32) {
	w := a.params[param]
	e.Adam(w.Master, a.moment[param], a.second[param], grad, half(w, 0, len(grad)), a.steps[a.group[param]])
}

// UpdatePart implements [Piecewise].
func (a *Adam) UpdatePart(e *kernels.Engine, param, from int, grad []float32) {
	p, to := a.params[param], from+len(grad)
	e.Elementwise().Adam(p.Master[from:to], a.moment[param][from:to], a.second[param][from:to], grad, half(p, from, to), a.steps[a.group[param]])
}

// power returns xⁿ by repeated squaring. The last bits of math.Pow may differ
// between architectures.
func power(x float64, n int64) float64 {
	result := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result *= x
		}
		x *= x
	}
	return result
}
