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
	Epochs     int          // when to stop: so many epochs in all …
	MaxSteps   int64        // … or so many batches in all, if that is not 0

	OnStep  func(StepEvent)        // called after every batch; may be nil
	OnEpoch func(EpochEvent) error // called after every epoch; may be nil; its error ends the run
}

// StepEvent reports a batch.
type StepEvent struct {
	StepResult
	Epoch   int   // from 1
	Batch   int   // from 1, of the epoch
	Batches int   // in an epoch
	Steps   int64 // batches done in all
	Samples int   // in this batch
}

// EpochEvent reports an epoch.
type EpochEvent struct {
	Epoch        int     // from 1
	TrainLoss    float64 // mean over the epoch's samples, each as the weights were when it came
	Validation   Metrics // zero if there is no validation set
	LossScale    float32 // after the epoch
	Skipped      int64   // batches of the epoch that were skipped
	LearningRate float64 // of the next step
	ImagesPerSec float64 // samples trained a second, evaluation not counted
}

// Fit trains until the epochs or steps of cfg are done, from where the trainer
// stands: at the beginning or, after [Trainer.Restore], anywhere.
//
// If ctx is cancelled it stops after the batch under way, in a state that can
// be saved and continued from, and returns ctx's error. It returns the error
// of [Trainer.Step] where the run cannot be saved.
func (t *Trainer) Fit(ctx context.Context, cfg FitConfig) error {
	p := &t.progress
	if err := cfg.Train.Seek(p.Epoch, p.Batch); err != nil {
		return fmt.Errorf("trainer: the run to continue does not fit the data: %w", err)
	}
	done := func() bool { return cfg.MaxSteps > 0 && p.Steps >= cfg.MaxSteps }
	for p.Epoch < cfg.Epochs && !done() {
		start, samples := time.Now(), 0
		for !done() {
			if err := ctx.Err(); err != nil {
				return err
			}
			b, ok := cfg.Train.Next()
			if !ok {
				break
			}
			r, err := t.Step(b)
			if err != nil {
				return err
			}
			samples += len(b.Labels)
			if cfg.OnStep != nil {
				cfg.OnStep(StepEvent{
					StepResult: r, Epoch: p.Epoch + 1, Batch: p.Batch, Batches: cfg.Train.Batches(),
					Steps: p.Steps, Samples: len(b.Labels),
				})
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
		if cfg.Validation != nil {
			var err error
			if e.Validation, err = t.Evaluate(ctx, cfg.Validation); err != nil {
				return err
			}
		}
		*p = Progress{Epoch: p.Epoch + 1, Steps: p.Steps, Skipped: p.Skipped}
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
