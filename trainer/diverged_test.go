package trainer_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// wantDiverged fails unless err is a DivergedError of this step that begins with where.
func wantDiverged(t *testing.T, err error, step int64, where string) {
	t.Helper()
	var diverged *trainer.DivergedError
	if !errors.As(err, &diverged) || diverged.Step != step || !strings.HasPrefix(diverged.Where, where) {
		t.Errorf("error %v, want a DivergedError of step %d in %s", err, step, where)
	}
}

// extremes is a data set of three batches of 64, whose gradients are about 10. bad replaces
// the first feature of some samples.
func extremes(bad map[int]float32) rows {
	ds := rows{classes: 2}
	for i := range 192 {
		x, ok := bad[i]
		if !ok {
			x = float32(i%5) * 16
		}
		ds.values, ds.labels = append(ds.values, []float32{x, 1}), append(ds.labels, i%2)
	}
	return ds
}

// A step that is too large ends the run with an error, even if it is the last one. No epoch
// is reported, and nothing can be saved.
func TestWeightsDiverge(t *testing.T) {
	for _, tt := range []struct {
		precision tensor.DType
		rate      float64
		value     string
	}{
		{tensor.F32, 3e38, "Inf"},
		{tensor.F16, 3e38, "Inf"},
		{tensor.F16, 1e30, ", too large for fp16"},
	} {
		for _, steps := range []int64{1, 2, 3, 100} {
			t.Run(fmt.Sprintf("%v/%g/%d", tt.precision, tt.rate, steps), func(t *testing.T) {
				r := newRun(t, setup{precision: tt.precision, widths: []int{2, 2}, schedule: trainer.Constant(tt.rate), momentum: 0.9})
				ds := extremes(nil)
				err := r.Fit(t.Context(), trainer.FitConfig{
					Train: newLoader(t, ds, tt.precision), Validation: ds, Epochs: 2, MaxSteps: steps,
					OnEpoch: func(e trainer.EpochEvent) error {
						t.Errorf("an epoch is reported: %+v", e)
						return nil
					},
				})
				wantDiverged(t, err, min(steps, 2), "0.weight")
				if err == nil || !strings.Contains(err.Error(), tt.value) {
					t.Errorf("error %v does not say %q", err, tt.value)
				}
				_, err = r.Checkpoint()
				wantDiverged(t, err, r.Progress().Steps, "0.weight")
				if p := r.Progress(); p.BestEpoch != 0 || p.Epoch != 0 {
					t.Errorf("progress %+v", p)
				}
			})
		}
	}
}

// Weights that are too large but finite show in the loss of the next step.
func TestWeightsTooLargeForFP32(t *testing.T) {
	r := newRun(t, setup{precision: tensor.F32, widths: []int{2, 2}, schedule: trainer.Constant(3e36)})
	err := r.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, extremes(nil), tensor.F32), Epochs: 1})
	wantDiverged(t, err, 2, "the loss")
}

// A logit far below the others makes the loss infinite and the gradients finite. In fp32
// that is the end, with the weights as they were. In fp16 it is an overflow like any other.
func TestInfiniteLossWithFiniteGradients(t *testing.T) {
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		r := newRun(t, setup{precision: precision, widths: []int{1, 2}})
		weight := r.model.Params()[0]
		copy(weight.Master, []float32{0, -60000})
		weight.Sync()
		x := float32(2) // −120000 is −Inf in fp16
		if precision == tensor.F32 {
			copy(weight.Master, []float32{3e38, -3e38})
			x = 1
		}
		before := weights(r.model)
		bad := batchOf(precision, []int{1, 0}, x, x)
		result, err := r.Step(bad)
		if !math.IsInf(result.Loss, 1) || !slices.Equal(weights(r.model), before) {
			t.Errorf("%v: loss %v, weights changed: %v", precision, result.Loss, !slices.Equal(weights(r.model), before))
		}
		if precision == tensor.F32 {
			wantDiverged(t, err, 1, "the loss")
			if _, err := r.Checkpoint(); err != nil {
				t.Errorf("a checkpoint of finite weights: error %v", err)
			}
			continue
		}
		if err != nil || !result.Skipped || result.Overflow != "the output of layer 0 (Linear 1→2)" || r.Progress().NonFinite != 2 {
			t.Errorf("fp16: %+v, %v, progress %+v", result, err, r.Progress())
		}
		if result := step(t, r, batchOf(precision, []int{1, 0}, 1e-3, 1e-3)); result.Skipped {
			t.Errorf("fp16: the next batch is skipped too: %+v", result)
		}
	}
}

// Losses that are not finite are left out of an epoch's mean, and counted. An epoch of
// nothing else has a mean of NaN, which is an error and not a loss of zero.
func TestLossOfAnEpoch(t *testing.T) {
	nan := float32(math.NaN())
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		r := newRun(t, setup{precision: precision, widths: []int{2, 2}})
		loader := newLoader(t, extremes(map[int]float32{5: nan}), precision)
		sum, samples, epochs := 0.0, 0, 0
		err := r.Fit(t.Context(), trainer.FitConfig{
			Train: loader, Epochs: 1, Validation: extremes(map[int]float32{0: nan}),
			OnStep: func(e trainer.StepEvent) error {
				if !e.Skipped {
					sum, samples = sum+e.Loss*float64(e.Samples), samples+e.Samples
				}
				return nil
			},
			OnEpoch: func(e trainer.EpochEvent) error {
				if epochs++; e.TrainLoss != sum/float64(samples) || samples != 128 || e.NonFinite != 64 || e.Skipped != 1 {
					t.Errorf("%v: %+v, want a loss of %v over 128 samples", precision, e, sum/float64(samples))
				}
				if e.Best || e.Validation.Loss == e.Validation.Loss {
					t.Errorf("%v: a validation loss of %v is the best: %v", precision, e.Validation.Loss, e.Best)
				}
				return nil
			},
		})
		if err != nil || epochs != 1 {
			t.Errorf("%v: error %v after %d epochs", precision, err, epochs)
		}

		all := map[int]float32{}
		for i := range 192 {
			all[i] = nan
		}
		r = newRun(t, setup{precision: precision, widths: []int{2, 2}})
		err = r.Fit(t.Context(), trainer.FitConfig{Train: newLoader(t, extremes(all), precision), Epochs: 5})
		wantDiverged(t, err, 3, "the loss of epoch 1")
	}
}

// A bad learning rate is an error before the step. It would spoil the weights, and every
// later step would be skipped.
func TestBadScheduleIsAnError(t *testing.T) {
	for text, rate := range map[string]float64{"NaN": math.NaN(), "-0.1": -0.1, "+Inf": math.Inf(1), "1e+39": 1e39} {
		r := newRun(t, setup{precision: tensor.F16, widths: []int{3, 2}, schedule: func(n int64) float64 {
			if n == 2 {
				return rate
			}
			return 0.01
		}})
		b := batchOf(tensor.F16, []int{1}, 1, 2, 3)
		step(t, r, b)
		step(t, r, b)
		before := weights(r.model)
		_, err := r.Step(b)
		if err == nil || !strings.Contains(err.Error(), "step 3: the schedule gives a learning rate of "+text) {
			t.Errorf("rate %v: error %v", rate, err)
		}
		if !slices.Equal(weights(r.model), before) || r.Progress().Steps != 2 {
			t.Errorf("rate %v: the step was taken", rate)
		}
		if _, err := r.Checkpoint(); err != nil {
			t.Errorf("rate %v: %v", rate, err)
		}
	}
}

// Checkpoints with values that are not finite, which earlier versions wrote, are refused.
func TestCheckpointsThatAreNotFinite(t *testing.T) {
	source := newRun(t, setup{precision: tensor.F16, widths: []int{3, 2}, momentum: 0.9})
	step(t, source, batchOf(tensor.F16, []int{1}, 1, 2, 3))
	for _, name := range []string{"0.weight", "0.bias", "optimizer.momentum.0.weight"} {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
			f, err := source.Checkpoint()
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(f.Tensors, func(t checkpoint.Tensor) bool { return t.Name == name })
			values := slices.Clone(f.Tensors[i].Elements.F32())
			values[1] = bad
			f.Tensors[i].Elements = tensor.Of(values)
			want := fmt.Sprintf("tensor %s has %v at index 1", name, bad)

			r := newRun(t, setup{precision: tensor.F16, widths: []int{3, 2}, momentum: 0.9})
			before := weights(r.model)
			if err := r.Restore(f); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Restore: error %v, want one with %q", err, want)
			}
			err = trainer.LoadWeights(r.model, f)
			if weight := !strings.HasPrefix(name, "optimizer."); weight != (err != nil && strings.Contains(err.Error(), want)) {
				t.Errorf("LoadWeights: error %v for %s", err, name)
			}
			if err != nil && !slices.Equal(weights(r.model), before) {
				t.Errorf("%s: the weights have changed", name)
			}
		}
	}
}
