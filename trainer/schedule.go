package trainer

import (
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/portable"
)

// Schedule gives the learning rate of a step from the number of steps that
// were taken before it, skipped ones not counted.
type Schedule func(step int64) float64

// Constant is the schedule that always gives rate.
func Constant(rate float64) Schedule { return func(int64) float64 { return rate } }

// Linear is the schedule that falls from rate in a straight line, to reach
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

// anneal returns where half a cosine from a to b is after the given part of the way.
func anneal(a, b, part float64) float64 {
	return b + float64((a-b)/2*(1+portable.CosPi(part)))
}

// The shape of [OneCycle], that of PyTorch's OneCycleLR.
const (
	oneCycleRise  = 0.3  // the part of the steps in which the rate rises
	oneCycleStart = 25   // what the highest rate is of the first
	oneCycleEnd   = 25e4 // and of the last
)

// OneCycle is the schedule that rises from rate/25 to rate in the first 30 % of the
// steps and falls to rate/250,000 in the others, both along half a cosine (Smith and
// Topin, "Super-Convergence", 2018; the numbers are those of PyTorch's OneCycleLR). The
// momentum, which others move against the rate, stays as it is.
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

// Warmup is the schedule s but for its first steps, in which its rate is multiplied by
// 1/steps, 2/steps, and so on.
func Warmup(steps int64, s Schedule) Schedule {
	return func(step int64) float64 {
		if step >= steps {
			return s(step)
		}
		return float64(s(step)*float64(step+1)) / float64(steps)
	}
}

// CheckRate returns an error unless rate can be a learning rate: a positive,
// finite number.
func CheckRate(rate float64) error {
	if rate > 0 && !math.IsInf(rate, 1) {
		return nil
	}
	return fmt.Errorf("trainer: the learning rate is %g: want a positive, finite number", rate)
}
