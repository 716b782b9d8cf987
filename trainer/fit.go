package trainer

import (
	"context"
	"fmt"
	"time"

	"github.com/halfgrad/halfgrad/data"
)

// FitConfig says what [Trainer.Fit] shall do.
type FitConfig struct {
	Train      *data.Loader
	Validation data.Dataset // evaluated after every epoch; may be nil
	Accumulate int          // batches a step, see [Trainer.Accumulate]; 0 means 1. The last step of an epoch takes what is left
	Epochs     int          // when to stop: so many epochs in all …
	MaxSteps   int64        // … or so many steps in all, if that is not 0 …
	Patience   int          // … or after so many epochs without a higher accuracy in the validation, if that is not 0

	OnStep  func(StepEvent) error  // called after every step; may be nil; its error ends the run
	OnEpoch func(EpochEvent) error // called after every epoch; may be nil; its error ends the run
}

// StepEvent reports a step.
type StepEvent struct {
	StepResult
	Epoch   int   // from 1
	Batch   int   // from 1, of the epoch: the last of the step
	Batches int   // in an epoch
	Steps   int64 // in all
	Samples int   // in this step
}

// EpochEvent reports an epoch.
type EpochEvent struct {
	Epoch        int     // from 1
	TrainLoss    float64 // mean over the epoch's samples, each as the weights were when it came
	Validation   Metrics // zero if there is no validation set
	Best         bool    // whether the accuracy in it is the highest so far
	LossScale    float32 // after the epoch
	Skipped      int64   // steps of the epoch that were skipped
	LearningRate float64 // of the next step
	ImagesPerSec float64 // samples trained a second, evaluation not counted
}

// Fit trains until the epochs or steps of cfg are done, from where the trainer
// stands: at the beginning or, after [Trainer.Restore], anywhere.
//
// If ctx is cancelled it stops after the step under way, in a state that can
// be saved and continued from, and returns ctx's error. It returns the error of
// [Trainer.Step] where the run cannot be saved, and the error of a data set that fails.
func (t *Trainer) Fit(ctx context.Context, cfg FitConfig) error {
	p := &t.progress
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
			Epoch: p.Epoch + 1, TrainLoss: p.LossSum / float64(max(p.Samples, 1)), Skipped: p.EpochSkipped,
			LossScale: t.cfg.Scaler.Scale(), LearningRate: t.cfg.Schedule(t.cfg.Optimizer.State().Steps),
			ImagesPerSec: float64(samples) / time.Since(start).Seconds(),
		}
		// Before the epoch counts as done: cancelled here, the run continues here.
		best, bestEpoch := p.Best, p.BestEpoch
		if cfg.Validation != nil {
			var err error
			if e.Validation, err = t.Evaluate(ctx, cfg.Validation); err != nil {
				return err
			}
			if accuracy := e.Validation.Accuracy(); bestEpoch == 0 || accuracy > best {
				e.Best, best, bestEpoch = true, accuracy, e.Epoch
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
	return nil
}

// fitStep takes a step by the next batches of the epoch.
func (t *Trainer) fitStep(cfg FitConfig) (StepEvent, error) {
	e := StepEvent{Epoch: t.progress.Epoch + 1, Batches: cfg.Train.Batches()}
	for n := 1; ; n++ {
		b, ok := cfg.Train.Next()
		if !ok { // in the middle of an epoch
			return e, fmt.Errorf("trainer: %w", cfg.Train.Err())
		}
		e.Samples += len(b.Labels)
		var err error
		if n < cfg.Accumulate && t.progress.Batch+1 < e.Batches {
			err = t.Accumulate(b)
		} else {
			e.StepResult, err = t.Step(b)
			e.Batch, e.Steps = t.progress.Batch, t.progress.Steps
			return e, err
		}
		if err != nil {
			return e, err
		}
	}
}
