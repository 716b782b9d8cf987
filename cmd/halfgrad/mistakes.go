package main

import (
	"cmp"
	"slices"

	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/portable"
)

// mistake is an image that a network takes for one of another class.
type mistake struct {
	Index       int     // in the data set
	Label       int     // the true class
	Class       int     // that of the largest logit
	Probability float64 // of Class according to the network
	Loss        float64 // the cross-entropy
}

// mistakes is a [metric.Metric] that notes every mistake. Its value is their number.
type mistakes struct {
	all  []mistake
	rows metric.Rows
}

func (*mistakes) Name() string         { return "mistakes" }
func (*mistakes) HigherIsBetter() bool { return false }
func (m *mistakes) Reset()             { m.all = nil }
func (m *mistakes) Value() float64     { return float64(len(m.all)) }

func (m *mistakes) Add(b *metric.Batch) error {
	return m.rows.Each(b, func(row int, logits []float32, label int) {
		class := nn.Argmax(logits)
		if class == label {
			return
		}
		nn.Probabilities(logits)
		m.all = append(m.all, mistake{b.First + row, label, class, float64(logits[class]), -float64(portable.Log(logits[label]))})
	})
}

// worst returns at most n of the mistakes, the most confident ones first. Among equals the
// larger loss comes first.
func (m *mistakes) worst(n int) []mistake {
	worst := slices.Clone(m.all)
	slices.SortStableFunc(worst, func(p, q mistake) int {
		return cmp.Or(cmp.Compare(q.Probability, p.Probability), cmp.Compare(q.Loss, p.Loss))
	})
	return worst[:min(n, len(worst))]
}
