package figure

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/halfgrad/halfgrad/lossscale"
)

// Run is what a metrics file tells of a training run.
type Run struct {
	Name string

	lines     []line  // those that figures are made of, in order; a resumed run's lost ones are not there
	batches   int64   // in an epoch; 0 if the file does not tell
	steps     int64   // done in all
	rate      float64 // of the first step, where the settings alone tell it; else 0
	lossScale float64 // to begin with; 0 if the file does not tell
	settings  settings
	ending    string // the event that the file ends with: done, interrupted or error; empty if none
}

// line is an event of the file. What the line lacks, or has as null, is nil.
type line struct {
	Event string
	Epoch int64  // from 1
	Steps *int64 // done in all

	TrainLoss          *float64 `json:"train_loss"`
	ValidationLoss     *float64 `json:"validation_loss"`
	ValidationAccuracy *float64 `json:"validation_accuracy"`
	TestAccuracy       *float64 `json:"test_accuracy"`
	Loss               *float64
	LearningRate       *float64 `json:"lr"`
	LossScale          *float64 `json:"loss_scale"`
	SkippedSteps       *float64 `json:"skipped_steps"`
	ImagesPerSec       *float64 `json:"images_per_sec"`
	GradNorm           *float64 `json:"grad_norm"`

	// The shares of the values that a layer's statistics tell.
	Layer, Kind       string
	Zero, Subnormal   *float64
	UnscaledZero      *float64 `json:"unscaled_zero"`
	UnscaledSubnormal *float64 `json:"unscaled_subnormal"`
}

// start is the first line of a run, or of its continuation.
type start struct {
	Epoch, Steps int64    // done before
	Epochs       int64    // to do in all
	LossScale    string   `json:"loss_scale"` // dynamic, off or a number
	LearningRate *float64 `json:"lr"`
	Schedule     string
	Warmup       int64
}

// done is the last line of a run.
type done struct{ Epochs, Steps int64 }

// maxRunBytes is the size of the file of a run with an event for each of a million
// steps. Devices such as /dev/zero have no end.
const maxRunBytes = 256 << 20

// ReadRun reads a metrics file, the JSON lines that halfgrad train --metrics
// writes. Events and fields that it does not know are ignored, and so is a last line
// that was cut short, as that of a run that was killed may be. What a run did
// after the checkpoint from which it was continued later was lost, and is left
// out. The error for anything else names the file as name does, and the line.
func ReadRun(name string, r io.Reader) (*Run, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxRunBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(content) > maxRunBytes {
		return nil, fmt.Errorf("%s: more than %d MiB: want a file that halfgrad train --metrics wrote", name, maxRunBytes>>20)
	}
	run := &Run{Name: name}
	var planned int64 // epochs
	number := 0
	for text := range bytes.Lines(content) {
		number++
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if err := run.add(text, &planned); err != nil {
			if !bytes.HasSuffix(text, []byte("\n")) && !json.Valid(text) {
				break // cut short
			}
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	if len(run.lines) == 0 && run.ending != "" {
		return nil, fmt.Errorf("%s: the run ended after %d steps, before anything was recorded that could be drawn", name, run.steps)
	}
	if len(run.lines) == 0 {
		return nil, fmt.Errorf("%s: no event of a training run in it: want a file that halfgrad train --metrics wrote", name)
	}
	return run, nil
}

// add takes in a line of the file. planned is how many epochs the run is to have.
func (r *Run) add(text []byte, planned *int64) error {
	var kind struct{ Event string }
	if err := json.Unmarshal(text, &kind); err != nil {
		return fmt.Errorf("want an event as a JSON object: %w", err)
	}
	switch kind.Event {
	case "":
		return fmt.Errorf(`want a JSON object with an "event"`)
	case "start", "resume":
		var s start
		if err := json.Unmarshal(text, &s); err != nil {
			return fmt.Errorf("%s event: %w", kind.Event, err)
		}
		if err := check(s.Epoch, s.Steps, s.LearningRate); err != nil {
			return fmt.Errorf("%s event: %w", kind.Event, err)
		}
		r.restart(s)
		if err := json.Unmarshal(text, &r.settings); err != nil {
			return fmt.Errorf("%s event: %w", kind.Event, err)
		}
		*planned = s.Epochs
	case "done", "interrupted", "error":
		var d done
		if err := json.Unmarshal(text, &d); err != nil {
			return fmt.Errorf("%s event: %w", kind.Event, err)
		}
		if err := check(d.Epochs, d.Steps); err != nil {
			return fmt.Errorf("%s event: %w", kind.Event, err)
		}
		r.steps = max(r.steps, d.Steps)
		r.ending = kind.Event
		if r.batches == 0 && d.Epochs > 0 && d.Epochs == *planned { // it ended with an epoch
			r.batches = d.Steps / d.Epochs
		}
	case "epoch", "step", "rate", "skip", "scale", "layer":
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return fmt.Errorf("%s event: %w", kind.Event, err)
		}
		steps := int64(0)
		if l.Steps != nil {
			steps = *l.Steps
		}
		if err := check(l.Epoch, steps, l.TrainLoss, l.ValidationLoss, l.ValidationAccuracy, l.TestAccuracy, l.Loss, l.LearningRate, l.LossScale,
			l.SkippedSteps, l.ImagesPerSec, l.GradNorm, l.Zero, l.Subnormal, l.UnscaledZero, l.UnscaledSubnormal); err != nil {
			return fmt.Errorf("%s event: %w", kind.Event, err)
		}
		r.lines = append(r.lines, l)
		r.steps = max(r.steps, steps)
		if l.Event == "epoch" && l.Epoch > 0 && steps > 0 {
			r.batches = steps / l.Epoch
		}
	}
	return nil
}

// restart begins the run, or goes on from where s stands.
func (r *Run) restart(s start) {
	r.lines = slices.DeleteFunc(r.lines, func(l line) bool {
		if l.Steps != nil {
			return *l.Steps > s.Steps
		}
		return l.Epoch > s.Epoch
	})
	r.steps, r.ending = s.Steps, ""
	if s.Steps > 0 {
		return
	}
	r.lossScale, r.rate, r.settings = 0, 0, nil
	switch scale, err := strconv.ParseFloat(s.LossScale, 32); {
	case s.LossScale == "dynamic":
		r.lossScale = float64(lossscale.Default().Initial)
	case s.LossScale == "off":
		r.lossScale = 1
	case err == nil && scale > 0 && !math.IsInf(scale, 0):
		r.lossScale = scale
	}
	// A warm-up and a one-cycle schedule begin below the rate that they are set to.
	if s.LearningRate != nil && s.Warmup == 0 && s.Schedule != "onecycle" {
		r.rate = *s.LearningRate
	}
}

// check returns an error for numbers that no run can have.
func check(epoch, steps int64, values ...*float64) error {
	if epoch < 0 || epoch > 1<<40 || steps < 0 || steps > 1<<50 {
		return fmt.Errorf("epoch %d, steps %d: want counts of a training run", epoch, steps)
	}
	for _, v := range values {
		// Beyond the range of fp32 by far, and a chart of it would overflow.
		if v != nil && math.Abs(*v) > 1e100 {
			return fmt.Errorf("the number %v: want one of a training run", *v)
		}
	}
	return nil
}

// Axis says what the progress of runs is counted in.
type Axis int

const (
	Epochs Axis = iota
	Steps
)

func (a Axis) String() string {
	if a == Steps {
		return "step"
	}
	return "epoch"
}

// at returns where on the axis a line stands, if that can be told.
func (r *Run) at(a Axis, l line) (x float64, ok bool) {
	switch {
	case a == Epochs && l.Event == "epoch":
		return float64(l.Epoch), true
	case a == Epochs && r.batches > 0 && l.Steps != nil:
		return float64(*l.Steps) / float64(r.batches), true
	case a == Epochs && l.Epoch > 0:
		return float64(l.Epoch) - 0.5, true // somewhere in it
	case a == Steps && l.Steps != nil:
		return float64(*l.Steps), true
	case a == Steps && r.batches > 0 && l.Event == "epoch":
		return float64(l.Epoch) * float64(r.batches), true
	}
	return 0, false
}

// end returns how far the run came.
func (r *Run) end(a Axis) (x float64) {
	for _, l := range r.lines {
		if at, ok := r.at(a, l); ok {
			x = max(x, at)
		}
	}
	if a == Steps {
		return max(x, float64(r.steps))
	}
	if r.batches > 0 {
		return max(x, float64(r.steps)/float64(r.batches))
	}
	return x
}

// hasEpochs tells whether epochs are a measure for the run: whether it has
// completed one, or tells how long one is.
func (r *Run) hasEpochs() bool {
	return r.batches > 0 || slices.ContainsFunc(r.lines, func(l line) bool { return l.Event == "epoch" })
}

// hasSteps tells whether every epoch can be placed among the steps.
func (r *Run) hasSteps() bool {
	return !slices.ContainsFunc(r.lines, func(l line) bool {
		_, ok := r.at(Steps, l)
		return !ok
	})
}

// point is a value at some time of a run.
type point struct{ x, y float64 }

// series returns the values of the lines that have one, in order of x.
func (r *Run) series(a Axis, event string, value func(line) *float64) (s []point) {
	for _, l := range r.lines {
		if l.Event != event {
			continue
		}
		if x, ok := r.at(a, l); ok {
			if v := value(l); v != nil {
				s = append(s, point{x, *v})
			}
		}
	}
	slices.SortStableFunc(s, byX)
	return s
}

func byX(p, q point) int {
	switch {
	case p.x < q.x:
		return -1
	case p.x > q.x:
		return 1
	}
	return 0
}

// lossScales returns the loss scale wherever a line tells it, after that line.
func (r *Run) lossScales(a Axis) (s []point) {
	if r.lossScale > 0 {
		s = append(s, point{0, r.lossScale})
	}
	for _, event := range []string{"step", "skip", "scale", "epoch"} { // the order within a step
		for _, p := range r.series(a, event, func(l line) *float64 { return l.LossScale }) {
			if p.y > 0 {
				s = append(s, p)
			}
		}
	}
	slices.SortStableFunc(s, byX)
	return s
}

// skipped returns how many steps were skipped so far, wherever that rises. A
// file that does not tell of every skip tells of the epochs' counts.
func (r *Run) skipped(a Axis) (s []point) {
	single := r.series(a, "skip", func(line) *float64 { one := 1.0; return &one })
	perEpoch := r.series(a, "epoch", func(l line) *float64 { return l.SkippedSteps })
	if len(single) == 0 {
		single = perEpoch
	}
	sum := 0.0
	for _, p := range single {
		if p.y > 0 {
			sum += p.y
			s = append(s, point{p.x, sum})
		}
	}
	return s
}

// underflow is what becomes of a layer's values in fp16, as shares of those that are not
// zero, the mean over the run: with loss scaling and without.
type underflow struct {
	layer, kind                                      string
	zero, subnormal, unscaledZero, unscaledSubnormal float64
	lines                                            float64 // that tell of it
}

// underflows returns one for each layer and kind of gradients, in the file's order.
func (r *Run) underflows() (all []*underflow) {
	value := func(v *float64) float64 {
		if v == nil {
			return 0
		}
		return min(max(*v, 0), 1)
	}
	for _, l := range r.lines {
		if l.Event != "layer" || l.Kind != "gradient" && l.Kind != "weight gradient" || l.Zero == nil && l.UnscaledZero == nil {
			continue
		}
		i := slices.IndexFunc(all, func(u *underflow) bool { return u.layer == l.Layer && u.kind == l.Kind })
		if i < 0 {
			i = len(all)
			all = append(all, &underflow{layer: l.Layer, kind: l.Kind})
		}
		u := all[i]
		u.lines++
		u.zero += value(l.Zero)
		u.subnormal += value(l.Subnormal)
		u.unscaledZero += value(l.UnscaledZero)
		u.unscaledSubnormal += value(l.UnscaledSubnormal)
	}
	for _, u := range all {
		u.zero /= u.lines
		u.subnormal /= u.lines
		u.unscaledZero /= u.lines
		u.unscaledSubnormal /= u.lines
	}
	return all
}
