package metric

import (
	"fmt"
	"math"
)

// Confusion counts predictions by label and class. It holds only pairs that occurred, so
// its memory grows with the classes and with the samples, not with the square of the
// classes. As a [Metric] its value is the accuracy. The zero Confusion takes the number of
// classes from the first batch.
type Confusion struct {
	Labeled   []int           // by class, the samples with this label
	Predicted []int           // by class, the samples that the model takes for it
	Counts    map[Outcome]int // samples; an outcome that never occurred is missing

	rows Rows
}

// Outcome is a label with the class that a model predicts, that of its largest output. The
// class is −1 where an output is NaN.
type Outcome struct{ Label, Class int }

// NewConfusion returns counts of zero for labels and predictions in [0, classes).
func NewConfusion(classes int) *Confusion {
	return &Confusion{Labeled: make([]int, classes), Predicted: make([]int, classes), Counts: map[Outcome]int{}}
}

func (*Confusion) Name() string         { return "confusion" }
func (*Confusion) HigherIsBetter() bool { return true }

// Reset implements [Metric].
func (c *Confusion) Reset() {
	clear(c.Labeled)
	clear(c.Predicted)
	clear(c.Counts)
}

// Add implements [Metric].
func (c *Confusion) Add(b *Batch) error {
	out, _, err := b.first()
	if err != nil {
		return err
	}
	if shape := out.Shape(); c.Counts != nil && len(shape) > 0 && shape[len(shape)-1] != c.Classes() {
		return fmt.Errorf("metric: outputs of %v: want %d classes, as before", shape, c.Classes())
	}
	return c.rows.Each(b, func(_ int, outputs []float32, class int) {
		if c.Counts == nil {
			fresh := NewConfusion(len(outputs))
			c.Labeled, c.Predicted, c.Counts = fresh.Labeled, fresh.Predicted, fresh.Counts
		}
		c.Count(Outcome{class, largest(outputs)})
	})
}

// Value returns the share of the samples whose label is predicted.
func (c *Confusion) Value() float64 {
	right, all := 0, 0
	for k, n := range c.Labeled {
		right += c.Counts[Outcome{k, k}]
		all += n
	}
	if all == 0 {
		return math.NaN()
	}
	return float64(right) / float64(all)
}

// Count counts one sample. It panics if the label or the class is out of range.
func (c *Confusion) Count(o Outcome) {
	c.Labeled[o.Label]++
	if o.Class != -1 {
		c.Predicted[o.Class]++
	}
	c.Counts[o]++
}

// Classes returns the number of classes.
func (c *Confusion) Classes() int { return len(c.Labeled) }

// Matrix returns the counts as a confusion matrix of classes² integers: element
// [label][class]. Samples without a prediction are not in it.
func (c *Confusion) Matrix() [][]int {
	n := c.Classes()
	counts := make([]int, n*n)
	rows := make([][]int, n)
	for k := range rows {
		rows[k] = counts[k*n : (k+1)*n]
	}
	for o, samples := range c.Counts {
		if o.Class != -1 {
			rows[o.Label][o.Class] = samples
		}
	}
	return rows
}

// ClassMetrics says how well a model does on one class, as scikit-learn's
// classification_report does. TP counts the samples of the class that are taken for it,
// FP the other samples that are taken for it, and FN the samples of the class that are
// not.
type ClassMetrics struct {
	Support   int     // TP + FN, the samples of the class
	Precision float64 // TP / (TP + FP); 0 if nothing is taken for the class
	Recall    float64 // TP / (TP + FN); 0 if there is no sample of the class
	F1        float64 // 2·TP / (2·TP + FP + FN), the harmonic mean of the two; 0 if both are 0
}

// Class returns the metrics of class k, in [0, c.Classes()).
func (c *Confusion) Class(k int) ClassMetrics {
	predicted, support, right := c.Predicted[k], c.Labeled[k], float64(c.Counts[Outcome{k, k}])
	ratio := func(x float64, of int) float64 { return x / float64(max(of, 1)) } // x is 0 where of is
	return ClassMetrics{
		Support: support, Precision: ratio(right, predicted), Recall: ratio(right, support),
		F1: ratio(2*right, predicted+support),
	}
}
