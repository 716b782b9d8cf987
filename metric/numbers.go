package metric

import (
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/tensor"
)

// numbers reads the outputs and targets of metrics of numbers.
type numbers struct{ wide []float32 }

// of returns the outputs, widened, and the targets of a batch, and the number of values of a
// sample. The error says how they do not fit.
func (n *numbers) of(b *Batch) (out, target []float32, columns int, err error) {
	o, t, err := b.first()
	if err != nil {
		return nil, nil, 0, err
	}
	if len(o.Shape()) == 0 || t.DType() != tensor.F32 || !sameShape(o.Shape(), t.Shape()) {
		return nil, nil, 0, misfit(o, t, "fp32 of the shape of the outputs")
	}
	columns = 1
	for _, d := range o.Shape()[1:] {
		columns *= d
	}
	n.wide = widened(n.wide, o)
	return n.wide, t.F32(), columns, nil
}

// RMSE is the root of the mean square of the differences between outputs and targets.
type RMSE struct {
	sum float64
	n   int
	in  numbers
}

func (*RMSE) Name() string         { return "rmse" }
func (*RMSE) HigherIsBetter() bool { return false }
func (r *RMSE) Reset()             { r.sum, r.n = 0, 0 }
func (r *RMSE) Value() float64     { return math.Sqrt(r.sum / float64(r.n)) }

// Add implements [Metric].
func (r *RMSE) Add(b *Batch) error {
	out, target, _, err := r.in.of(b)
	for i, y := range out {
		d := float64(y) - float64(target[i])
		r.sum += float64(d * d)
	}
	r.n += len(out)
	return err
}

// MeanAbsoluteError is the mean size of the differences between outputs and targets.
type MeanAbsoluteError struct {
	sum float64
	n   int
	in  numbers
}

func (*MeanAbsoluteError) Name() string         { return "mae" }
func (*MeanAbsoluteError) HigherIsBetter() bool { return false }
func (m *MeanAbsoluteError) Reset()             { m.sum, m.n = 0, 0 }
func (m *MeanAbsoluteError) Value() float64     { return m.sum / float64(m.n) }

// Add implements [Metric].
func (m *MeanAbsoluteError) Add(b *Batch) error {
	out, target, _, err := m.in.of(b)
	for i, y := range out {
		m.sum += math.Abs(float64(y) - float64(target[i]))
	}
	m.n += len(out)
	return err
}

// R2 is the coefficient of determination: 1 − Σ(target − output)² / Σ(target − mean)². It is
// 1 where all outputs are right, and 0 for outputs that are always the targets' mean. Where
// a sample has several values it is the mean of theirs. A value whose targets are all the
// same has 1 if its outputs are right, and 0 otherwise. All this is as in scikit-learn's
// r2_score.
type R2 struct {
	columns []spread // the values of a sample
	n       int      // samples
	in      numbers
}

// spread has the sums of one value.
type spread struct {
	errors     float64 // Σ(target − output)²
	mean       float64 // of the targets so far
	deviations float64 // Σ(target − mean)², by Welford's recurrence
}

func (*R2) Name() string         { return "r2" }
func (*R2) HigherIsBetter() bool { return true }

// Reset implements [Metric].
func (r *R2) Reset() { r.columns, r.n = r.columns[:0], 0 }

// Add implements [Metric].
func (r *R2) Add(b *Batch) error {
	out, target, columns, err := r.in.of(b)
	if err != nil {
		return err
	}
	if r.n == 0 {
		if cap(r.columns) < columns {
			r.columns = make([]spread, columns)
		}
		r.columns = r.columns[:columns]
		clear(r.columns)
	}
	if columns != len(r.columns) {
		return fmt.Errorf("metric: outputs of %v: want %d values a sample, as before", b.Outputs[0].Shape(), len(r.columns))
	}
	for ; len(out) > 0; out, target = out[columns:], target[columns:] {
		r.n++
		for k := range r.columns {
			c := &r.columns[k]
			y, t := float64(out[k]), float64(target[k])
			c.errors += float64((t - y) * (t - y))
			before := t - c.mean
			c.mean += before / float64(r.n)
			c.deviations += float64(before * (t - c.mean))
		}
	}
	return nil
}

// Value implements [Metric].
func (r *R2) Value() float64 {
	if r.n == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, c := range r.columns {
		switch {
		case c.deviations != 0:
			sum += 1 - c.errors/c.deviations
		case c.errors == 0:
			sum++
		}
	}
	return sum / float64(len(r.columns))
}
