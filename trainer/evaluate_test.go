package trainer_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// A matrix of so many classes would take 320 GB.
func TestEvaluateManyClasses(t *testing.T) {
	const classes, last = 200_000, 199_999
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	model := newMLP(0, 1, classes)
	weight := model.Params()[0].Master // class 7 for samples above 0, the last class below
	weight[7], weight[last] = 5, -5
	var confusion metric.Confusion
	ds := rows{values: [][]float32{{1}, {2}, {-1}, {3}}, labels: []int{7, 7, last, last}, classes: classes}
	m, err := trainer.Evaluate(t.Context(), trainer.Evaluation{Engine: engine, Graph: model, Precision: tensor.F32, Loss: nn.CrossEntropy{}, Batch: 4}, ds, &confusion)
	if err != nil {
		t.Fatal(err)
	}
	if confusion.Value() != 0.75 || m.Samples != 4 || confusion.Classes() != classes {
		t.Errorf("%v of %d right in %d classes, want 3 of 4 in %d", confusion.Value(), m.Samples, confusion.Classes(), classes)
	}
	got := []metric.ClassMetrics{confusion.Class(7), confusion.Class(last), confusion.Class(8)}
	want := []metric.ClassMetrics{
		{Support: 2, Precision: 2.0 / 3, Recall: 1, F1: 4.0 / 5},
		{Support: 2, Precision: 1, Recall: 1.0 / 2, F1: 2.0 / 3},
		{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Each evaluation in fp16 in the middle of a run in fp32 uses the current weights. In a run
// in fp16 the optimizer may be made before the fp16 copies.
func TestHalvesFollowTheWeights(t *testing.T) {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	evaluate := func(g *nn.Graph, ds data.Dataset) (trainer.Result, error) {
		return trainer.Evaluate(t.Context(), trainer.Evaluation{Engine: engine, Graph: g, Precision: tensor.F16, Loss: nn.CrossEntropy{}}, ds)
	}
	ds := rows{values: [][]float32{{1, 2, 3}, {-1, 0.5, 2}}, labels: []int{0, 2}}
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		for _, adam := range []bool{false, true} {
			r := newRun(t, setup{precision: precision, widths: []int{3, 5, 3}, adam: adam})
			for n := range 3 {
				step(t, r, batchOf(precision, []int{0, 2}, 1, 2, 3, -1, 0.5, 2))
				got, err := evaluate(r.model, ds)
				if err != nil {
					t.Fatal(err)
				}
				fresh := newMLP(0, 3, 5, 3)
				for i, p := range fresh.Params() {
					copy(p.Master, r.model.Params()[i].Master)
				}
				want, err := evaluate(fresh, ds)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
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
