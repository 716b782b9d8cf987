package main

import (
	"fmt"

	"github.com/schollz/progressbar/v3"

	"github.com/halfgrad/halfgrad/trainer"
)

// bar is the progress bar of a run on a terminal; off one it does nothing.
type bar struct {
	session  *session
	bar      *progressbar.ProgressBar
	loss     float64 // of late
	accuracy string  // in the last validation
}

func newBar(s *session) *bar { return &bar{session: s} }

// step moves the bar.
func (b *bar) step(e trainer.StepEvent) {
	s := b.session
	if !s.terminal {
		return
	}
	if b.bar == nil {
		images := s.images.Train.N - s.Holdout
		before := min(e.Batch*s.Batch, images) - e.Samples // of this epoch
		left := (s.Epochs-e.Epoch+1)*images - before
		if s.MaxSteps > 0 {
			left = min(left, int(s.MaxSteps-e.Steps+1)*s.Batch*s.Accumulate)
		}
		if b.loss == 0 {
			b.loss = e.Loss
		}
		b.bar = progressbar.NewOptions(left, progressbar.OptionSetWriter(s.stderr),
			progressbar.OptionSetWidth(20), progressbar.OptionShowIts(), progressbar.OptionSetItsString("images"),
			progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(s.frame), progressbar.OptionClearOnFinish())
	}
	if e.Loss-e.Loss == 0 {
		const memory = 0.95
		b.loss = memory*b.loss + (1-memory)*e.Loss
	}
	b.bar.Describe(fmt.Sprintf("epoch %d/%d  loss %.4f%s  scale %v", e.Epoch, s.Epochs, b.loss, b.accuracy, e.Scale.New))
	b.bar.Add(e.Samples)
}

// epoch notes the accuracy, and makes room for a line.
func (b *bar) epoch(e trainer.EpochEvent) {
	if e.Validation.Samples > 0 {
		b.accuracy = fmt.Sprintf("  accuracy %.4f", e.Validation.Accuracy())
	}
	b.clear()
}

// clear removes the bar; the next step begins another for what is left.
func (b *bar) clear() {
	if b.bar != nil {
		b.bar.Clear()
		b.bar = nil
	}
}
