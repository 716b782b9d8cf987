package main

import (
	"fmt"
	"unicode/utf8"

	"github.com/halfgrad/halfgrad/trainer"
)

// bar shows on a terminal how far an epoch is, a line for each epoch.
type bar struct {
	session  *session
	line     *progressLine
	loss     float64 // of late
	accuracy string  // in the last validation
}

func newBar(s *session) *bar { return &bar{session: s} }

// step draws the state after a step.
func (b *bar) step(e trainer.StepEvent) {
	s := b.session
	if !s.terminal {
		return
	}
	images := s.fitted.Len()
	if b.line == nil {
		b.line = &progressLine{
			env: s.env, what: fmt.Sprintf("epoch %d/%d", e.Epoch, s.Epochs), total: int64(images),
			rate: func(perSecond float64) string { return fmt.Sprintf("%.0f images/s", perSecond) },
		}
	}
	if e.Loss-e.Loss == 0 {
		if b.loss == 0 {
			b.loss = e.Loss
		}
		const memory = 0.95
		b.loss = memory*b.loss + (1-memory)*e.Loss
	}
	fields := []string{fmt.Sprintf("loss %.4f", b.loss), fmt.Sprintf("scale %v", e.Scale.New)}
	if b.accuracy != "" {
		fields = append(fields, b.accuracy)
	}
	b.line.show(int64(min(e.Batch*s.Batch*s.Accumulate, images)), fields...)
}

// epoch notes the accuracy, and makes room for a line.
func (b *bar) epoch(e trainer.EpochEvent) {
	if e.Validation.Samples > 0 {
		b.accuracy = fmt.Sprintf("accuracy %.4f", b.session.accuracy.Value())
	}
	b.clear()
}

// clear removes the line; the next step begins another.
func (b *bar) clear() {
	if b.line != nil {
		b.line.clear()
		b.line = nil
	}
}

// epochLine returns what is printed of an epoch. A narrow terminal gets the most
// important part of it, so that an epoch is one line everywhere.
func (s *session) epochLine(e trainer.EpochEvent) string {
	line := fmt.Sprintf("epoch %*d/%d  loss %.4f", len(fmt.Sprint(s.Epochs)), e.Epoch, s.Epochs, e.TrainLoss)
	accuracy := ""
	if e.Validation.Samples > 0 {
		accuracy = fmt.Sprintf("accuracy %.4f", s.accuracy.Value())
	}
	speed := fmt.Sprintf("  %.0f images/s", e.ImagesPerSec)
	full := line
	if accuracy != "" {
		full += "  validation " + accuracy
	}
	full += fmt.Sprintf("  loss scale %v  skipped %d", e.LossScale, e.Skipped) + speed
	if s.wrap == nil || utf8.RuneCountInString(full) <= s.wrap() {
		return full
	}
	short := []string{fmt.Sprintf("  scale %v", e.LossScale), speed}
	if e.Skipped > 0 {
		short = []string{short[0], fmt.Sprintf("  skipped %d", e.Skipped), speed}
	}
	if accuracy != "" {
		line += "  " + accuracy
	}
	for _, part := range short {
		if utf8.RuneCountInString(line+part) > s.wrap() {
			break
		}
		line += part
	}
	return line
}

// shortened returns the first digits of a hash where a terminal is too narrow for all.
func (e *env) shortened(hash string) string {
	const indent = len("saved ")
	if e.wrap != nil && e.wrap() < indent+len(hash) {
		return hash[:12] + "…"
	}
	return hash
}
