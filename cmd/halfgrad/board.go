package main

import (
	"time"

	"github.com/halfgrad/halfgrad/cmd/halfgrad/internal/tensorboard"
	"github.com/halfgrad/halfgrad/trainer"
)

// board draws a run's curves in TensorBoard. A nil board draws none.
type board struct {
	w       *tensorboard.Writer
	skipped int64 // steps in all
}

// newBoard makes an event file in the folder dir for a run that is at p; there is
// none if dir is empty.
func newBoard(dir string, p trainer.Progress) (*board, error) {
	if dir == "" {
		return nil, nil
	}
	w, err := tensorboard.Create(dir, time.Now(), p.Steps+1)
	return &board{w, p.Skipped}, err
}

// step adds what a step has shown, if it is one to be drawn.
func (b *board) step(e trainer.StepEvent, drawn bool) {
	if b == nil {
		return
	}
	if e.Skipped {
		b.skipped++
	}
	if drawn {
		// An error stays with the writer until it is closed.
		b.w.Add(time.Now(), e.Steps,
			tensorboard.Scalar{Tag: "step/loss", Value: e.Loss},
			tensorboard.Scalar{Tag: "step/learning_rate", Value: e.LearningRate},
			tensorboard.Scalar{Tag: "step/loss_scale", Value: float64(e.Scale.New)},
			tensorboard.Scalar{Tag: "step/skipped", Value: float64(b.skipped)})
	}
}

// epoch adds what an epoch has come to.
func (b *board) epoch(e epochEvent) {
	if b == nil {
		return
	}
	scalars := []tensorboard.Scalar{
		{Tag: "epoch/train_loss", Value: float64(e.TrainLoss)},
		{Tag: "epoch/test_accuracy", Value: float64(e.TestAccuracy)},
		{Tag: "epoch/images_per_sec", Value: float64(e.ImagesPerSec)},
	}
	if e.ValidationLoss != nil {
		scalars = append(scalars,
			tensorboard.Scalar{Tag: "epoch/validation_loss", Value: float64(*e.ValidationLoss)},
			tensorboard.Scalar{Tag: "epoch/validation_accuracy", Value: float64(*e.ValidationAccuracy)})
	}
	b.w.Add(time.Now(), e.Steps, scalars...)
}

// close writes what is left, and returns the first error there was.
func (b *board) close() error {
	if b == nil {
		return nil
	}
	return b.w.Close()
}
