package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/halfgrad/halfgrad/trainer"
)

// errorEvent is the last line of the metrics of a run that failed.
type errorEvent struct {
	Event        string `json:"event"` // "error"
	Epochs       int    `json:"epochs"`
	Steps        int64  `json:"steps"`
	SkippedSteps int64  `json:"skipped_steps"` // in all
	Error        string `json:"error"`
}

// failed notes in the metrics why a run ends, and adds to a divergence what to do about it.
func (s *session) failed(err error) error {
	p := s.trainer.Progress()
	s.metrics.add(errorEvent{Event: "error", Epochs: p.Epoch, Steps: p.Steps, SkippedSteps: p.Skipped, Error: err.Error()})
	var diverged *trainer.DivergedError
	var overflow *trainer.OverflowError
	if !errors.As(err, &diverged) && !errors.As(err, &overflow) {
		return err
	}
	saved := ""
	path := filepath.Join(s.Out, checkpointName)
	if _, missing := os.Stat(path); missing == nil && !s.stale {
		saved = "; the last checkpoint is " + path
	}
	return fmt.Errorf("%w; try a lower --lr than %g, --warmup or --clip-norm%s", err, s.LR, saved)
}

// checkTestLoss returns a [*trainer.DivergedError] if the test loss at the end is not finite.
func (s *session) checkTestLoss(m trainer.Result) error {
	if m.Loss-m.Loss == 0 {
		return nil
	}
	return &trainer.DivergedError{Step: s.trainer.Progress().Steps, Where: "the test loss", Value: m.Loss}
}

// warnNonFinite tells of an epoch's images whose loss was not finite.
func (s *session) warnNonFinite(e trainer.EpochEvent) {
	if e.NonFinite > 0 {
		fmt.Fprintf(s.stderr, "halfgrad: warning: epoch %d leaves %d images out of the mean loss: the loss of their batches was not finite\n", e.Epoch, e.NonFinite)
	}
}
