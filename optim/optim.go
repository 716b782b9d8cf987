// Package optim has the optimizers: they turn gradients into new weights.
//
// All state is fp32: the master weights, momenta and second moments. The square
// of a gradient would overflow fp16 at 256. fp16 appears only as the rounded copy
// of the new weights, which a step writes along with them.
//
// An optimizer neither scales losses nor skips steps. It gets finite gradients and
// the factor that takes the loss scale out of them. To skip a step, do not call it:
// its step count, and with it Adam's bias correction, then stays where it is.
//
// Every operation is rounded on its own, in a fixed order, so that the weights
// have the same bits on every machine.
package optim

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// Optimizer updates the parameters that it was made for. A step is Begin, and then an
// Update of each parameter.
type Optimizer interface {
	// Begin begins a step with the given learning rate. The gradients that follow are to be
	// multiplied by unscale, the reciprocal of the loss scale, or 1.
	Begin(learningRate float64, unscale float32)

	// Update updates a parameter, given by its index in Params, by all of its gradient, on
	// e. It sets Master and, where there is one, the working copy.
	Update(e *kernels.Engine, param int, grad []float32)

	// Params returns the parameters that it was made for, in their order. The
	// caller must not change the slice.
	Params() []*nn.Param

	// State returns the optimizer's state itself, not a copy: read it to save the
	// state, write to it to restore the state.
	State() *State
}

// Piecewise is an [Optimizer] that can also take a gradient in pieces, while it is computed.
type Piecewise interface {
	Optimizer

	// UpdatePart updates elements from, from+1, … of a parameter. grad has at most
	// [kernels.MostElements] elements. A step updates each element once. Several threads
	// may call UpdatePart at once.
	UpdatePart(e *kernels.Engine, param, from int, grad []float32)
}

// Step takes a step by gradients that are all at hand, in the order of o.Params().
func Step(o Optimizer, e *kernels.Engine, grads [][]float32, learningRate float64, unscale float32) {
	o.Begin(learningRate, unscale)
	for i, grad := range grads {
		o.Update(e, i, grad)
	}
}

// Group gives some parameters options of their own. A parameter belongs to the first
// group that matches it. If none does, the optimizer's own options hold.
type Group struct {
	Match       func(*nn.Param) bool
	RateFactor  float64 // multiplies the learning rate; at least 0, and 0 freezes the parameter
	WeightDecay float64 // λ, at least 0
}

// Undecayed returns the group of the biases and all other parameters of one dimension,
// without weight decay, which is the usual choice.
func Undecayed() Group {
	return Group{Match: func(p *nn.Param) bool { return len(p.Shape) == 1 }, RateFactor: 1}
}

// grouped returns all groups and, for each parameter, the index of its group. The last
// group holds the optimizer's own options, with the given weight decay.
func grouped(params []*nn.Param, groups []Group, decay float64) (all []Group, of []int, err error) {
	all = append(slices.Clone(groups), Group{RateFactor: 1, WeightDecay: decay})
	for i, g := range all {
		err = errors.Join(err,
			checkRange(fmt.Sprintf("the rate factor of group %d", i), g.RateFactor, 0, math.Inf(1)),
			checkRange("the weight decay", g.WeightDecay, 0, math.Inf(1)))
		if g.Match == nil && i < len(groups) {
			err = errors.Join(err, fmt.Errorf("optim: group %d has no Match", i))
		}
	}
	if err != nil {
		return nil, nil, err
	}
	for _, p := range params {
		of = append(of, slices.IndexFunc(all, func(g Group) bool { return g.Match == nil || g.Match(p) }))
	}
	return all, of, nil
}

// State is all that an optimizer remembers from step to step.
type State struct {
	Steps int64  // taken so far
	Slots []Slot // in the order of the parameters
}

// Slot is one running quantity of one parameter.
type Slot struct {
	Name   string // such as "momentum.0.weight"
	Values []float32
}

// slot adds a slot of zeros for p to the state and returns its values.
func (s *State) slot(kind string, p *nn.Param) []float32 {
	values := make([]float32, len(p.Master))
	s.Slots = append(s.Slots, Slot{kind + "." + p.Name, values})
	return values
}

// checkParams returns an error if a parameter comes twice or has no values.
func checkParams(params []*nn.Param) error {
	seen := map[*nn.Param]bool{}
	for _, p := range params {
		if seen[p] {
			return fmt.Errorf("optim: parameter %s comes twice: want each once", p.Name)
		}
		seen[p] = true
		if p.Master == nil {
			return fmt.Errorf("optim: parameter %s has no values: its graph is blank", p.Name)
		}
	}
	return nil
}

// half returns elements from, …, to−1 of the working copy of p, or none if p has none.
func half(p *nn.Param, from, to int) tensor.Elements {
	if p.Working.Len() == 0 {
		return tensor.Elements{}
	}
	return p.Working.Slice(from, to)
}

// checkRange returns an error unless low ≤ v < high. NaN is in no range.
func checkRange(name string, v, low, high float64) error {
	if v >= low && v < high {
		return nil
	}
	if math.IsInf(high, 1) {
		return fmt.Errorf("optim: %s is %g: want a finite number of at least %g", name, v, low)
	}
	return fmt.Errorf("optim: %s is %g: want at least %g and less than %g", name, v, low, high)
}
