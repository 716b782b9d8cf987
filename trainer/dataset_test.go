package trainer_test

import (
	"errors"
	"testing"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// broken is a data set that fails at its last sample.
type broken struct {
	data.Dataset
	err error
}

func (b broken) Sample(i int, to *data.Sample) error {
	if i == b.Len()-1 {
		return b.err
	}
	return b.Dataset.Sample(i, to)
}

// The error of a data set ends a run and an evaluation.
func TestErrorsOfTheDataSet(t *testing.T) {
	train, test := digits(t)
	fault := errors.New("the disk is on fire")
	for _, batch := range []int{0, 32} {
		r := newRun(t, setup{precision: tensor.F16, batch: batch})
		loader := newLoader(t, broken{train, fault}, tensor.F16)
		err := r.Fit(t.Context(), trainer.FitConfig{Train: loader, Epochs: 1})
		var sample *data.SampleError
		if !errors.Is(err, fault) || !errors.As(err, &sample) || sample.Index != train.Len()-1 {
			t.Errorf("by %d: Fit: error %v", batch, err)
		}
	}
	r := newRun(t, setup{precision: tensor.F16})
	if _, err := r.Evaluate(t.Context(), broken{test, fault}); !errors.Is(err, fault) {
		t.Errorf("Evaluate: error %v", err)
	}
	err := r.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, train, tensor.F16), Validation: broken{test, fault}, Epochs: 1})
	if !errors.Is(err, fault) {
		t.Errorf("validation: error %v", err)
	}
}
