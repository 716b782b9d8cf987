package trainer_test

import (
	"context"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// counts compares all that Confusions count.
var counts = cmpopts.IgnoreUnexported(metric.Confusion{})

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

// A matrix of so many classes would take 320 GB.
func TestEvaluateManyClasses(t *testing.T) {
	const classes, last = 200_000, 199_999
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	model := nn.NewMLP(nil, 1, classes)
	weight := model.Params()[0].Master // class 7 for samples above 0, the last class below
	weight[7], weight[last] = 5, -5
	m, err := trainer.Evaluate(t.Context(), &nn.Context{Engine: engine}, model, tensor.F32, rows{values: [][]float32{{1}, {2}, {-1}, {3}}, labels: []int{7, 7, last, last}, classes: classes})
	if err != nil {
		t.Fatal(err)
	}
	if m.Correct != 3 || m.Samples != 4 || m.Confusion.Classes() != classes {
		t.Errorf("%d of %d right in %d classes, want 3 of 4 in %d", m.Correct, m.Samples, m.Confusion.Classes(), classes)
	}
	got := []metric.ClassMetrics{m.Confusion.Class(7), m.Confusion.Class(last), m.Confusion.Class(8)}
	want := []metric.ClassMetrics{
		{Support: 2, Precision: 2.0 / 3, Recall: 1, F1: 4.0 / 5},
		{Support: 2, Precision: 1, Recall: 1.0 / 2, F1: 2.0 / 3},
		{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// With an identity as the model, the logits are the samples. The expected values are
// NumPy's, in float64:
//
//	p = np.exp(x) / np.exp(x).sum(1, keepdims=True); p.max(1); -np.log(p[range(6), labels])
func TestEvaluateObserved(t *testing.T) {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	model := nn.NewMLP(nil, 3, 3)
	for i := range 3 {
		model.Params()[0].Master[i*3+i] = 1
	}
	ds := rows{
		values: [][]float32{{2, 1, 0}, {2, 1, 0}, {-4, 3, 3}, {0, 0, 8}, {1, 0.5, 2}, {-1, -2, -30}},
		labels: []int{0, 1, 2, 0, 2, 1},
	}
	want := []trainer.Prediction{
		{Index: 0, Label: 0, Class: 0, Probability: 0.66524096, Loss: 0.40760596},
		{Index: 1, Label: 1, Class: 0, Probability: 0.66524096, Loss: 1.40760596},
		{Index: 2, Label: 2, Class: 1, Probability: 0.49977213, Loss: 0.69360302}, // the first of two
		{Index: 3, Label: 0, Class: 2, Probability: 0.99932952, Loss: 8.00067070},
		{Index: 4, Label: 2, Class: 2, Probability: 0.62853172, Loss: 0.46436878},
		{Index: 5, Label: 1, Class: 0, Probability: 0.73105858, Loss: 1.31326169},
	}
	confusion := newConfusion([][]int{{1, 0, 1}, {2, 0, 0}, {0, 1, 1}})
	close := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Max(1, math.Abs(b)) })
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} { // the logits are exact in both
		var got, again []trainer.Prediction
		nc := &nn.Context{Engine: engine}
		m, err := trainer.Evaluate(t.Context(), nc, model, precision, ds,
			func(p trainer.Prediction) { got = append(got, p) }, func(p trainer.Prediction) { again = append(again, p) })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, close); diff != "" {
			t.Errorf("%v: (-want +got)\n%s", precision, diff)
		}
		if !cmp.Equal(got, again) {
			t.Errorf("%v: two observers see %v and %v", precision, got, again)
		}
		if diff := cmp.Diff(confusion, m.Confusion, counts); diff != "" {
			t.Errorf("%v: (-want +got)\n%s", precision, diff)
		}
		plain, err := trainer.Evaluate(t.Context(), nc, model, precision, ds)
		if diff := cmp.Diff(m, plain, counts); err != nil || diff != "" {
			t.Errorf("%v: observed, the metrics are others: %v\n%s", precision, err, diff)
		}
	}
}

// Over several batches the metrics agree with the predictions.
func TestEvaluateAddsUp(t *testing.T) {
	r := newRun(t, setup{precision: tensor.F16})
	_, test := digits(t)
	sample := data.NewSample(test)
	var indices, labels []int
	for i := range 1203 {
		indices = append(indices, i%test.Len())
		if err := test.Sample(i%test.Len(), sample); err != nil {
			t.Fatal(err)
		}
		labels = append(labels, int(sample.Targets[0].I32()[0]))
	}
	confusion := metric.NewConfusion(10)
	correct, loss, next := 0, 0.0, 0
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := trainer.Evaluate(context.Background(), &nn.Context{Engine: engine}, r.model, tensor.F16, data.Subset(test, indices), func(p trainer.Prediction) {
		if p.Index != next || p.Label != labels[next] || !(p.Probability >= 0.1-1e-6 && p.Probability <= 1) {
			t.Errorf("sample %d: %+v", next, p)
		}
		if p.Class == p.Label {
			correct++
			if math.Abs(p.Loss+math.Log(p.Probability)) > 1e-6 {
				t.Errorf("sample %d is right, but its loss is not −ln of its probability: %+v", next, p)
			}
		}
		confusion.Count(metric.Outcome{Label: p.Label, Class: p.Class})
		loss += p.Loss
		next++
	})
	if err != nil {
		t.Fatal(err)
	}
	want := trainer.Metrics{Samples: 1203, Correct: correct, Loss: loss / 1203, Confusion: confusion}
	if diff := cmp.Diff(want, m, counts, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })); diff != "" {
		t.Errorf("(-by predictions +metrics)\n%s", diff)
	}
}

// Each evaluation in fp16 in the middle of a run in fp32 uses the current weights. In a run
// in fp16 the optimizer may be made before the fp16 copies.
func TestHalvesFollowTheWeights(t *testing.T) {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	nc := &nn.Context{Engine: engine}
	ds := rows{values: [][]float32{{1, 2, 3}, {-1, 0.5, 2}}, labels: []int{0, 2}}
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		for _, adam := range []bool{false, true} {
			r := newRun(t, setup{precision: precision, widths: []int{3, 5, 3}, adam: adam})
			for n := range 3 {
				step(t, r, batchOf(precision, []int{0, 2}, 1, 2, 3, -1, 0.5, 2))
				got, err := trainer.Evaluate(t.Context(), nc, r.model, tensor.F16, ds)
				if err != nil {
					t.Fatal(err)
				}
				fresh := nn.NewMLP(nil, 3, 5, 3)
				for i, p := range fresh.Params() {
					copy(p.Master, r.model.Params()[i].Master)
				}
				want, err := trainer.Evaluate(t.Context(), nc, fresh, tensor.F16, ds)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, counts); diff != "" {
					t.Errorf("%v, adam %v: after step %d (-of the same weights +of the model)\n%s", precision, adam, n+1, diff)
				}
			}
			f, err := r.Checkpoint()
			if err != nil {
				t.Fatal(err)
			}
			if _, half := f.Tensor("half.0.weight"); half != (precision == tensor.F16) {
				t.Errorf("a checkpoint of a run in %v has weights in fp16: %v", precision, half)
			}
		}
	}
}
