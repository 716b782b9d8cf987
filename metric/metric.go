// Package metric measures how well outputs meet targets, over a whole data set.
//
// A [Metric] takes batch after batch and has one number at the end. A trainer knows none of
// them by type: it passes batches on and asks for names and values. Implement [Metric] to
// measure anything else; [Rows] helps with metrics of classes.
//
// The metrics of this package look at the first output and the first target of a batch:
//
//   - Metrics of classes take targets in int32 of [n, …] and outputs of [n, …, classes],
//     such as logits. Targets of [Ignored] are left out. An output that is NaN is never right.
//   - Metrics of numbers take targets in fp32 of the shape of the outputs.
//
// Dimensions of 1 at the end of a shape of targets make no difference.
package metric

import (
	"fmt"
	"math"
	"slices"

	"github.com/halfgrad/halfgrad/tensor"
)

// Ignored is the class of a target that metrics leave out.
const Ignored = -1

// Batch is what a metric learns about a batch. A metric keeps nothing of it.
type Batch struct {
	Outputs    []*tensor.Tensor // [n, …], in fp16, bf16 or fp32
	Targets    []*tensor.Tensor // [n, …], in int32 or fp32
	First      int              // the number of the first sample in the data set
	LossSum    float64          // of the losses, each times its weight
	LossWeight float64          // the sum of the weights: the mean loss is LossSum / LossWeight
}

// Metric is a number that says how well outputs meet targets.
type Metric interface {
	// Name is a key of JSON lines, such as "accuracy".
	Name() string

	// Reset forgets all batches.
	Reset()

	// Add takes a batch. The error names shapes or a class that do not fit; the metric then
	// is as it was.
	Add(b *Batch) error

	// Value returns the metric of all batches since Reset. It is NaN where there is nothing
	// to measure.
	Value() float64

	// HigherIsBetter reports whether a model with a larger value is the better one.
	HigherIsBetter() bool
}

// Rows reads the outputs of a batch row by row: the numbers of all classes for one target.
// It is for metrics of classes. Its memory is that of one row.
type Rows struct{ wide []float32 }

// Each calls f for each target that is not [Ignored], in order: with its number in the
// batch, the outputs of all classes, and the class that is right. f may change the outputs,
// which are a copy that is valid until it returns. The error says how outputs and targets
// do not fit, or which class is out of range; f has not been called then.
func (r *Rows) Each(b *Batch, f func(row int, outputs []float32, class int)) error {
	out, target, err := b.first()
	if err != nil {
		return err
	}
	shape := out.Shape()
	if len(shape) < 2 || target.DType() != tensor.I32 || !sameShape(target.Shape(), shape[:len(shape)-1]) {
		return misfit(out, target, "[n, …, classes] and int32 of [n, …]")
	}
	classes := shape[len(shape)-1]
	labels := target.I32()
	if err := checkClasses(labels, classes); err != nil {
		return err
	}
	if cap(r.wide) < classes {
		r.wide = make([]float32, classes)
	}
	wide := r.wide[:classes]
	for i, class := range labels {
		if class != Ignored {
			out.Elements().Slice(i*classes, (i+1)*classes).Load(wide)
			f(i, wide, int(class))
		}
	}
	return nil
}

// first returns the first output, of floating-point numbers, and the first target.
func (b *Batch) first() (out, target *tensor.Tensor, err error) {
	if len(b.Outputs) == 0 || len(b.Targets) == 0 {
		return nil, nil, fmt.Errorf("metric: %d outputs and %d targets: want at least one of each", len(b.Outputs), len(b.Targets))
	}
	out, target = b.Outputs[0], b.Targets[0]
	if out.DType() == tensor.I32 {
		return nil, nil, fmt.Errorf("metric: outputs of %v in int32: want floating-point numbers", out.Shape())
	}
	return out, target, nil
}

// misfit returns the error for an output and a target of the wrong shapes or types.
func misfit(out, target *tensor.Tensor, want string) error {
	return fmt.Errorf("metric: outputs of %v in %v and targets of %v in %v: want %s", out.Shape(), out.DType(), target.Shape(), target.DType(), want)
}

// sameShape reports whether two shapes are the same but for dimensions of 1 at their ends.
func sameShape(a, b []int) bool {
	trim := func(shape []int) []int {
		for len(shape) > 0 && shape[len(shape)-1] == 1 {
			shape = shape[:len(shape)-1]
		}
		return shape
	}
	return slices.Equal(trim(a), trim(b))
}

// checkClasses returns an error if a label is neither in [0, classes) nor Ignored.
func checkClasses(labels []int32, classes int) error {
	for i, class := range labels {
		if class != Ignored && uint(class) >= uint(classes) {
			return fmt.Errorf("metric: target %d is of class %d: want one from 0 to %d, or %d to be left out", i, class, classes-1, Ignored)
		}
	}
	return nil
}

// largest returns the index of the largest value, the first of equal ones, or −1 if a value
// is NaN.
func largest(values []float32) int {
	best := 0
	for i, v := range values {
		if v != v {
			return -1
		}
		if v > values[best] {
			best = i
		}
	}
	return best
}

// Perplexity is e to the mean loss. It says among how many equally likely classes a model
// hesitates if the loss is a cross-entropy in nats.
type Perplexity struct{ sum, weight float64 }

func (*Perplexity) Name() string         { return "perplexity" }
func (*Perplexity) HigherIsBetter() bool { return false }
func (p *Perplexity) Reset()             { *p = Perplexity{} }
func (p *Perplexity) Value() float64     { return math.Exp(p.sum / p.weight) }

// Add implements [Metric].
func (p *Perplexity) Add(b *Batch) error {
	p.sum += b.LossSum
	p.weight += b.LossWeight
	return nil
}
