package trainer

import (
	"context"
	"fmt"
	"time"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/metric"
)

// FitConfig says what [Trainer.Fit] does. It ends at the first of the limits that are set.
type FitConfig struct {
	Train      *data.Loader
	Validation data.Dataset    // evaluated after every epoch; may be nil
	Metrics    []metric.Metric // of the validation; the first says which epoch is the best, or the loss without any

	Epochs   int   // limit of the epochs in all
	MaxSteps int64 // limit of the steps in all; 0 for none
	Patience int   // limit of the epochs in a row without a better validation; 0 for none

	OnStep  func(StepEvent) error  // called after every step; may be nil; its error ends the run
	OnEpoch func(EpochEvent) error // called after every epoch; may be nil; its error ends the run
}

// StepEvent reports a step.
type StepEvent struct {
	StepResult
	Epoch   int   // from 1
	Batch   int   // the number of the step in the epoch, from 1
	Batches int   // in an epoch
	Steps   int64 // in all
	Samples int   // in this step
}

// EpochEvent reports an epoch.
type EpochEvent struct {
	Epoch        int     // from 1
	TrainLoss    float64 // mean over the epoch's samples, each with the weights at its step
	NonFinite    int     // samples that TrainLoss leaves out: the loss of their batch was not finite, and its step was skipped
	Validation   Result  // zero if there is no validation set; FitConfig.Metrics have the rest
	Best         bool    // whether the validation is the best so far, and its loss finite
	LossScale    float32 // after the epoch
	Skipped      int64   // steps of the epoch that were skipped
	LearningRate float64 // of the next step
	ImagesPerSec float64 // samples trained a second, without evaluation
}

// Fit trains until the epochs or steps of cfg are done. It starts where the trainer
// stands: at the beginning or, after [Trainer.Restore], anywhere.
//
// If ctx is cancelled, Fit stops after the current step, in a state that can be saved and
// continued, and returns ctx's error. It returns the errors of [Trainer.Step] and of a
// data set that fails, and a [*DivergedError] if, after an epoch or at the end, no loss
// of the epoch was finite, or a weight is not. It neither evaluates nor reports such an
// epoch.
func (t *Trainer) Fit(ctx context.Context, cfg FitConfig) error {
	p := &t.progress
	if cfg.Validation != nil { // before an epoch is spent on it
		if err := CheckData(t.cfg.Graph, t.cfg.Loss, cfg.Validation); err != nil {
			return err
		}
	}
	if err := cfg.Train.Seek(p.Epoch, p.Batch); err != nil {
		return fmt.Errorf("trainer: the run to continue does not fit the data: %w", err)
	}
	done := func() bool {
		return p.Epoch >= cfg.Epochs || cfg.MaxSteps > 0 && p.Steps >= cfg.MaxSteps ||
			cfg.Patience > 0 && p.Epoch-p.BestEpoch >= cfg.Patience
	}
	for !done() {
		start, samples := time.Now(), 0
		for !done() && p.Batch < cfg.Train.Batches() {
			if err := ctx.Err(); err != nil {
				return err
			}
			e, err := t.fitStep(cfg)
			if err != nil {
				return err
			}
			samples += e.Samples
			if cfg.OnStep != nil {
				if err := cfg.OnStep(e); err != nil {
					return err
				}
			}
		}
		if p.Batch < cfg.Train.Batches() {
			break // the steps ran out within the epoch
		}
		e := EpochEvent{
			Epoch: p.Epoch + 1, TrainLoss: p.LossSum / float64(p.Samples), NonFinite: p.NonFinite, Skipped: p.EpochSkipped,
			LossScale: t.cfg.Scaler.Scale(), LearningRate: t.cfg.Schedule(t.cfg.Optimizer.State().Steps),
			ImagesPerSec: float64(samples) / time.Since(start).Seconds(),
		}
		if err := t.diverged(p.Steps); err != nil {
			return err
		}
		if !finite(e.TrainLoss) {
			return &DivergedError{Step: p.Steps, Where: fmt.Sprintf("the loss of epoch %d", e.Epoch), Value: e.TrainLoss}
		}
		// Evaluate before the epoch counts as done: a run cancelled here continues here.
		best, bestEpoch := p.Best, p.BestEpoch
		if cfg.Validation != nil {
			var err error
			if e.Validation, err = t.Evaluate(ctx, cfg.Validation, cfg.Metrics...); err != nil {
				return err
			}
			value, better := cfg.judge(e.Validation, best)
			if finite(e.Validation.Loss) && finite(value) && (bestEpoch == 0 || better) {
				e.Best, best, bestEpoch = true, value, e.Epoch
			}
		}
		*p = Progress{Epoch: e.Epoch, Steps: p.Steps, Skipped: p.Skipped, Best: best, BestEpoch: bestEpoch}
		if err := cfg.Train.Seek(p.Epoch, 0); err != nil {
			return fmt.Errorf("trainer: %w", err)
		}
		if cfg.OnEpoch != nil {
			if err := cfg.OnEpoch(e); err != nil {
				return err
			}
		}
	}
	return t.diverged(p.Steps)
}

// judge returns the value by which validations are compared, and whether it is better than
// best.
func (cfg *FitConfig) judge(r Result, best float64) (value float64, better bool) {
	if len(cfg.Metrics) == 0 {
		return r.Loss, r.Loss < best
	}
	m := cfg.Metrics[0]
	value = m.Value()
	if m.HigherIsBetter() {
		return value, value > best
	}
	return value, value < best
}

// fitStep takes a step by the next batch of the epoch.
func (t *Trainer) fitStep(cfg FitConfig) (StepEvent, error) {
	e := StepEvent{Epoch: t.progress.Epoch + 1, Batches: cfg.Train.Batches()}
	b, ok := cfg.Train.Next()
	if !ok { // in the middle of an epoch
		return e, fmt.Errorf("trainer: %w", cfg.Train.Err())
	}
	e.Samples = b.Len()
	var err error
	e.StepResult, err = t.Step(b)
	e.Batch, e.Steps = t.progress.Batch, t.progress.Steps
	return e, err
}
