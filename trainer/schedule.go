package trainer

import (
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/portable"
)

// Schedule gives the learning rate of a step from the number of steps that were taken
// before it, without the skipped ones. The rate must be from 0 to the largest fp32
// number, or [Trainer.Step] returns an error.
type Schedule func(step int64) float64

// Constant is the schedule that always gives rate.
func Constant(rate float64) Schedule { return func(int64) float64 { return rate } }

// Linear is the schedule that falls from rate in a straight line and reaches
// zero after the given number of steps.
func Linear(rate float64, steps int64) Schedule {
	return func(step int64) float64 {
		left := max(steps-step, 0)
		return float64(rate*float64(left)) / float64(steps)
	}
}

// StepDecay is the schedule that multiplies rate by factor after every so many steps,
// as PyTorch's StepLR does. It panics unless every is positive.
func StepDecay(rate, factor float64, every int64) Schedule {
	if every <= 0 {
		panic(fmt.Sprintf("trainer: StepDecay: every %d steps: want a positive number", every))
	}
	return func(step int64) float64 {
		r := rate
		for n := step / every; n > 0 && r != 0; n-- {
			r *= factor
		}
		return r
	}
}

// Cosine is the schedule that falls from rate to final along half a cosine, within the
// given number of steps, and stays there (Loshchilov and Hutter, "SGDR: Stochastic
// Gradient Descent with Warm Restarts", ICLR 2017, without restarts).
func Cosine(rate, final float64, steps int64) Schedule {
	return func(step int64) float64 { return anneal(rate, final, float64(min(step, steps))/float64(max(steps, 1))) }
}

// anneal returns the value of half a cosine from a to b at part, from 0 to 1.
func anneal(a, b, part float64) float64 {
	return b + float64((a-b)/2*(1+portable.CosPi(part)))
}

// The shape of [OneCycle], as in PyTorch's OneCycleLR.
const (
	oneCycleRise  = 0.3  // the part of the steps in which the rate rises
	oneCycleStart = 25   // the highest rate divided by the first
	oneCycleEnd   = 25e4 // the highest rate divided by the last
)

// OneCycle is the schedule that rises from rate/25 to rate in the first 30 % of the
// steps and falls to rate/250,000 in the others, both along half a cosine (Smith and
// Topin, "Super-Convergence", 2018, with the numbers of PyTorch's OneCycleLR). Unlike
// there, the momentum stays constant.
func OneCycle(rate float64, steps int64) Schedule {
	last := max(steps-1, 1)
	top := float64(oneCycleRise*float64(steps)) - 1
	return func(step int64) float64 {
		at := float64(min(step, last))
		if at <= top {
			return anneal(rate/oneCycleStart, rate, at/top)
		}
		return anneal(rate, rate/oneCycleEnd, (at-top)/(float64(last)-top))
	}
}

// Warmup is the schedule s with the rates of its first steps multiplied by 1/steps,
// 2/steps, and so on.
func Warmup(steps int64, s Schedule) Schedule {
	return func(step int64) float64 {
		if step >= steps {
			return s(step)
		}
		return float64(s(step)*float64(step+1)) / float64(steps)
	}
}

// CheckRate returns an error unless rate can be the highest learning rate of a run: a
// number from 1.2e-38 to 3.4e38, as fp32 holds it.
func CheckRate(rate float64) error {
	if factor(rate) {
		return nil
	}
	return fmt.Errorf("trainer: the learning rate is %g: want a number from %.2g to %.2g", rate, smallest, math.MaxFloat32)
}
