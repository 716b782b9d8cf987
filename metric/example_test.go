package metric_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/tensor"
)

// hits is a metric of one's own: the share of the rare class 2 that is found.
type hits struct {
	found, all int
	rows       metric.Rows
}

func (*hits) Name() string         { return "hits" }
func (*hits) HigherIsBetter() bool { return true }
func (h *hits) Reset()             { h.found, h.all = 0, 0 }
func (h *hits) Value() float64     { return float64(h.found) / float64(h.all) }

func (h *hits) Add(b *metric.Batch) error {
	return h.rows.Each(b, func(_ int, outputs []float32, class int) {
		if class != 2 {
			return
		}
		h.all++
		if outputs[2] > outputs[0] && outputs[2] > outputs[1] {
			h.found++
		}
	})
}

func Example() {
	metrics := []metric.Metric{new(metric.Accuracy), new(hits)}
	b := &metric.Batch{
		Outputs: []*tensor.Tensor{tensor.FromF32([]float32{5, 1, 0 /**/, 1, 0, 3 /**/, 2, 4, 3}, 3, 3)},
		Targets: []*tensor.Tensor{tensor.FromElements(tensor.Of([]int32{0, 2, 2}), 3)},
	}
	for _, m := range metrics {
		if err := m.Add(b); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %.3f\n", m.Name(), m.Value())
	}
	// Output:
	// accuracy 0.667
	// hits 0.500
}
