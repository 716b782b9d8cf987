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
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
)

// Param is a parameter as an optimizer sees it: slices that it shares with the
// model, all of one length.
type Param struct {
	Name   string
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
