// Package optim has the optimizers: they turn gradients into new weights.
//
// All state is fp32: the master weights, momenta and second moments. fp16 has
// no part in it but as the place where the rounded copy of the new weights
// goes; the square of a gradient would overflow it at 256.
//
// An optimizer neither scales losses nor skips steps. It is handed gradients
// that are finite, and what to multiply them by; a step that is to be skipped
// is one that is not taken: its step count, and with it Adam's bias correction,
// then stays where it is.
//
// Every operation is rounded on its own, in a fixed order, so that the weights
// have the same bits on every machine.
package optim

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
)

// Param is a parameter as an optimizer sees it: slices that it shares with the
// model, all of one length.
type Param struct {
	Name   string
	Shape  []int          // of the others, row-major; may be nil
	Master []float32      // the value; changed by Step
	Grad   []float32      // the gradient, times the loss scale; read by Step
	Half   []fp16.Float16 // where not nil, Step leaves Master here, rounded
}

// Optimizer updates the parameters that it was made for.
type Optimizer interface {
	// Step takes one step of the given learning rate, on e. The gradients are
	// Grad·unscale: unscale is the reciprocal of the loss scale, or 1.
	Step(e *kernels.Engine, learningRate float64, unscale float32)

	// State returns the optimizer's state itself, not a copy: to save it, read
	// it; to restore it, write to it.
	State() *State
}

// Piecewise is an [Optimizer] that takes the gradients of a step as they get ready,
// instead of reading Grad.
type Piecewise interface {
	Optimizer

	// Begin begins a step, as Step does.
	Begin(learningRate float64, unscale float32)

	// Update updates elements from, from+1, … of a parameter, the index of which is
	// that of [Param] as the optimizer got them, by grad·unscale. In a step each
	// element is updated once. Several threads may do so at once. There are at most
	// [kernels.MostElements].
	Update(e *kernels.Engine, param, from int, grad []float32)
}

// Group gives some parameters options of their own. A parameter is in the first group
// that it matches; if it matches none, the optimizer's own options hold.
type Group struct {
	Match       func(Param) bool
	RateFactor  float64 // multiplies the learning rate; at least 0, and 0 freezes
	WeightDecay float64 // λ, at least 0
}

// Undecayed returns the group of the biases, and of all other parameters that have one
// dimension: they are not decayed, which is the usual choice.
func Undecayed() Group {
	return Group{Match: func(p Param) bool { return len(p.Shape) == 1 }, RateFactor: 1}
}

// grouped returns, for each parameter, the index in groups of the one that it is in.
// The optimizer's own options, with the given weight decay, are added as the last.
func grouped(params []Param, groups []Group, decay float64) (all []Group, of []int, err error) {
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
	Name   string // "momentum.0.weight", say
	Values []float32
}

// slot adds a slot of zeros for p to the state and returns its values.
func (s *State) slot(kind string, p Param) []float32 {
	values := make([]float32, len(p.Master))
	s.Slots = append(s.Slots, Slot{kind + "." + p.Name, values})
	return values
}

func checkParams(params []Param) error {
	for _, p := range params {
		if len(p.Grad) != len(p.Master) || p.Half != nil && len(p.Half) != len(p.Master) {
			return fmt.Errorf("optim: parameter %s: %d values, %d gradients, %d halves: want as many of each, or no halves",
				p.Name, len(p.Master), len(p.Grad), len(p.Half))
		}
	}
	return nil
}

// piece returns elements from to to of the parameter's copy in fp16, if it has one.
func (p *Param) piece(from, to int) []fp16.Float16 {
	if p.Half == nil {
		return nil
	}
	return p.Half[from:to]
}

// checkRange returns an error unless low ≤ v < high, which a NaN never is.
func checkRange(name string, v, low, high float64) error {
	if v >= low && v < high {
		return nil
	}
	if math.IsInf(high, 1) {
		return fmt.Errorf("optim: %s is %g: want a finite number of at least %g", name, v, low)
	}
	return fmt.Errorf("optim: %s is %g: want at least %g and less than %g", name, v, low, high)
}
