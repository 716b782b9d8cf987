package nn

import (
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/portable"
	"github.com/halfgrad/halfgrad/tensor"
)

// MSE is the mean squared error between an output and targets of its shape, over all
// elements: PyTorch's MSELoss.
type MSE struct{}

// Check implements [Loss].
func (MSE) Check(outputs []Shape, targets []Target) error {
	return checkNumbers("MSE", outputs, targets)
}

// Weight implements [Loss].
func (MSE) Weight(targets []*tensor.Tensor) float64 { return float64(targets[0].Len()) }

// Sum implements [Loss].
func (MSE) Sum(c *LossCall) float64 {
	return each(c, func(x, t float32) (loss, slope float32) {
		d := x - t
		return d * d, 2 * d
	})
}

// Huber is ½·d² for differences d between an output and its target of up to Delta, and
// Delta·(|d| − ½·Delta) beyond, a mean over all elements: PyTorch's HuberLoss.
type Huber struct {
	Delta float32 // more than 0; 0 for 1
}

func (h Huber) delta() float32 {
	if h.Delta == 0 {
		return 1
	}
	return h.Delta
}

// Check implements [Loss].
func (h Huber) Check(outputs []Shape, targets []Target) error {
	if d := h.delta(); !(d > 0 && d <= math.MaxFloat32) {
		return fmt.Errorf("nn: Huber: a delta of %v: want a finite number of more than 0", d)
	}
	return checkNumbers("Huber", outputs, targets)
}

// Weight implements [Loss].
func (Huber) Weight(targets []*tensor.Tensor) float64 { return float64(targets[0].Len()) }

// Sum implements [Loss].
func (h Huber) Sum(c *LossCall) float64 {
	delta := h.delta()
	return each(c, func(x, t float32) (loss, slope float32) {
		switch d := x - t; {
		case d > delta:
			return delta * (d - 0.5*delta), delta
		case d < -delta:
			return delta * (-d - 0.5*delta), -delta
		default:
			return float32(0.5*d) * d, d
		}
	})
}

// BCEWithLogits is the binary cross-entropy between the sigmoid of an output and targets in
// [0, 1] of its shape, a mean over all elements: PyTorch's BCEWithLogitsLoss.
type BCEWithLogits struct {
	PosWeight float32 // the factor of the loss where the target is 1; 0 for 1
}

// Check implements [Loss].
func (b BCEWithLogits) Check(outputs []Shape, targets []Target) error {
	if !(b.PosWeight >= 0 && b.PosWeight <= math.MaxFloat32) {
		return fmt.Errorf("nn: BCEWithLogits: a weight of %v: want a finite number of more than 0, or 0 for 1", b.PosWeight)
	}
	return checkNumbers("BCEWithLogits", outputs, targets)
}

// Weight implements [Loss].
func (BCEWithLogits) Weight(targets []*tensor.Tensor) float64 { return float64(targets[0].Len()) }

// Sum implements [Loss].
func (b BCEWithLogits) Sum(c *LossCall) float64 {
	p := b.PosWeight
	if p == 0 {
		p = 1
	}
	// −p·t·ln σ(x) − (1−t)·ln σ(−x). Where a target is 0 or 1 nothing cancels, however small
	// the loss.
	return each(c, func(x, t float32) (loss, slope float32) {
		yes, no := float32(p*t), 1-t
		rest := portable.Log(1 + portable.Exp(-abs(x)))
		return float32(yes*(max(-x, 0)+rest)) + float32(no*(max(x, 0)+rest)),
			float32(no*portable.Sigmoid32(x)) - float32(yes*portable.Sigmoid32(-x))
	})
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// checkNumbers returns an error unless there are one output and targets of numbers of its
// shape.
func checkNumbers(name string, outputs []Shape, targets []Target) error {
	if len(outputs) != 1 || len(targets) != 1 || targets[0].DType != tensor.F32 || targets[0].Shape.Len() != outputs[0].Len() {
		return fmt.Errorf("nn: %s: outputs of %v and targets %v: want one of each, of one shape, and targets of fp32", name, outputs, targets)
	}
	return nil
}

// each adds the loss of each element to c.Sum in order, and sets the gradients, from a
// function that returns the loss of an output and a target, and its slope.
func each(c *LossCall, f func(x, t float32) (loss, slope float32)) float64 {
	values := c.Floats(c.Outputs[0].Len())
	c.Outputs[0].Elements().Load(values)
	sum := c.Sum
	for i, t := range c.Targets[0].F32() {
		loss, slope := f(values[i], t)
		sum += float64(loss)
		values[i] = slope * c.Factor
	}
	if c.DOut != nil {
		c.DOut[0].Elements().Store(values)
	}
	return sum
}
