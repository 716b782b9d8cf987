package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"

	"github.com/halfgrad/halfgrad/internal/files"
	"github.com/halfgrad/halfgrad/trainer"
)

// number is a float that JSON may lack: infinities and NaN are null.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if x := float64(n); math.IsInf(x, 0) || x != x {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// The lines of the metrics file, one JSON object each.
type (
	startEvent struct {
		Event      string `json:"event"` // "start", or "resume" where a run is continued
		Epoch      int    `json:"epoch"` // epochs done before
		Steps      int64  `json:"steps"` // done before
		Kernel     string `json:"kernel"`
		Threads    int    `json:"threads"`
		Parameters int    `json:"parameters"`
		settings
	}
	scaleEvent struct {
		Epoch     int     `json:"epoch"`      // from 1
		Steps     int64   `json:"steps"`      // this one included
		LossScale float32 `json:"loss_scale"` // for the next step
	}
	skipEvent struct {
		Event    string `json:"event"` // "skip", or "scale" where the loss scale has grown
		Overflow string `json:"overflow,omitempty"`
		scaleEvent
	}
	stepEvent struct {
		Event        string `json:"event"` // "step", see --log-every
		Loss         number `json:"loss"`
		LearningRate number `json:"lr"`
		GradNorm     number `json:"grad_norm,omitempty"` // where it is bounded
		scaleEvent
	}
	rateEvent struct {
		Event        string `json:"event"` // "rate": a point of a schedule that bends, where --log-every asks for no step
		Epoch        int    `json:"epoch"`
		Steps        int64  `json:"steps"` // this one included
		LearningRate number `json:"lr"`    // of this step
	}
	layerEvent struct {
		Event string `json:"event"` // "layer", see --stats and trainer.Statistic
		Epoch int    `json:"epoch"`
		Steps int64  `json:"steps"`
		Layer string `json:"layer"`
		Kind  string `json:"kind"`
		Name  string `json:"name,omitempty"`
		Max   number `json:"max"`

		Zero              float64 `json:"zero"`
		Subnormal         float64 `json:"subnormal"`
		Overflow          float64 `json:"overflow"`
		UnscaledZero      float64 `json:"unscaled_zero"`
		UnscaledSubnormal float64 `json:"unscaled_subnormal"`
	}
	epochEvent struct {
		Event              string  `json:"event"` // "epoch"
		Epoch              int     `json:"epoch"` // from 1
		Steps              int64   `json:"steps"` // done
		TrainLoss          number  `json:"train_loss"`
		ValidationLoss     *number `json:"validation_loss,omitempty"`
		ValidationAccuracy *number `json:"validation_accuracy,omitempty"`
		TestAccuracy       number  `json:"test_accuracy"` // for the record: nothing is decided by it
		LossScale          float32 `json:"loss_scale"`
		SkippedSteps       int64   `json:"skipped_steps"` // in this epoch
		LearningRate       number  `json:"lr"`            // of the next step
		ImagesPerSec       number  `json:"images_per_sec"`
	}
	doneEvent struct {
		Event         string  `json:"event"` // "done", or "interrupted" with no test figures
		Epochs        int     `json:"epochs"`
		Steps         int64   `json:"steps"`
		SkippedSteps  int64   `json:"skipped_steps"` // in all
		TestAccuracy  *number `json:"test_accuracy,omitempty"`
		TestLoss      *number `json:"test_loss,omitempty"`
		WeightsSHA256 string  `json:"weights_sha256"`
	}
)

// newLayerEvent returns the event for what was found out of a layer after p.
func newLayerEvent(p trainer.Progress, st trainer.Statistic) layerEvent {
	return layerEvent{
		Event: "layer", Epoch: p.Epoch, Steps: p.Steps, Layer: st.Layer, Kind: string(st.Kind), Name: st.Name, Max: number(st.Max),
		Zero: st.Zero, Subnormal: st.Subnormal, Overflow: st.Overflow, UnscaledZero: st.UnscaledZero, UnscaledSubnormal: st.UnscaledSubnormal,
	}
}

// metricsFile takes the events. The zero value drops them.
type metricsFile struct {
	file *os.File
	err  error // the first one
}

// openMetrics opens the file for the events of a run; there is none if path is
// empty. A run that is continued adds to what is there of the part before p.
func openMetrics(path string, resume bool, p trainer.Progress) (*metricsFile, error) {
	if path == "" {
		return &metricsFile{}, nil
	}
	if resume {
		if err := rewindMetrics(path, p); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		return &metricsFile{file: f}, err
	}
	f, err := os.Create(path)
	return &metricsFile{file: f}, err
}

// rewindMetrics takes out of a file what happened after the checkpoint that a run is
// continued from: it will happen again. If the run was killed, half a line may be at
// the end. Lines that are not ours stay.
func rewindMetrics(path string, p trainer.Progress) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept []byte
	for line := range bytes.Lines(text) {
		var e struct {
			Event string
			Epoch int
			Steps int64
		}
		again := !bytes.HasSuffix(line, []byte("\n")) // half a line
		if !again && json.Unmarshal(line, &e) == nil {
			again = e.Steps > p.Steps
			if e.Event == "epoch" || e.Event == "layer" {
				again = e.Epoch > p.Epoch
			}
		}
		if !again {
			kept = append(kept, line...)
		}
	}
	if len(kept) == len(text) {
		return nil
	}
	return files.WriteFile(path, kept)
}

// add writes an event as a line at once. An error is kept for close.
func (m *metricsFile) add(event any) {
	if m.file == nil || m.err != nil {
		return
	}
	b, err := json.Marshal(event)
	if err == nil {
		_, err = m.file.Write(append(b, '\n'))
	}
	m.err = err
}

// close closes the file and returns the first error there was.
func (m *metricsFile) close() error {
	if m.file == nil {
		return nil
	}
	if err := m.file.Close(); m.err == nil {
		m.err = err
	}
	return m.err
}
