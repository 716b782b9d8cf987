package metric_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/metric"
)

// Worked out by hand: TP, FP and FN of the four classes are 3, 1, 2; 0, 0, 4; 6, 5, 0; and
// 0, 0, 0.
func TestConfusionClass(t *testing.T) {
	matrix := [][]int{
		{3, 0, 2, 0},
		{1, 0, 3, 0},
		{0, 0, 6, 0},
		{0, 0, 0, 0},
	}
	c := newConfusion(matrix)
	if diff := cmp.Diff(matrix, c.Matrix()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var got []metric.ClassMetrics
	for k := range c.Classes() {
		got = append(got, c.Class(k))
	}
	want := []metric.ClassMetrics{
		{Support: 5, Precision: 3.0 / 4, Recall: 3.0 / 5, F1: 6.0 / 9},
		{Support: 4}, // never predicted: its precision is 0/0
		{Support: 6, Precision: 6.0 / 11, Recall: 1, F1: 12.0 / 17}, // always right
		{}, // not there at all
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// newConfusion counts the samples of a confusion matrix one by one.
func newConfusion(matrix [][]int) *metric.Confusion {
	c := metric.NewConfusion(len(matrix))
	for label, row := range matrix {
		for class, samples := range row {
			for range samples {
				c.Count(metric.Outcome{Label: label, Class: class})
			}
		}
	}
	return c
}
