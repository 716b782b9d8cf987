package main

import (
	"encoding/json"
	"math"
	"os"
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
		Steps      int64  `json:"steps"` // batches done before
		Kernel     string `json:"kernel"`
		Threads    int    `json:"threads"`
		Parameters int    `json:"parameters"`
		settings
	}
	skipEvent struct {
		Event     string  `json:"event"` // "skip"
		Epoch     int     `json:"epoch"` // from 1
		Steps     int64   `json:"steps"` // batches done, this one included
		Overflow  string  `json:"overflow"`
		LossScale float32 `json:"loss_scale"` // for the next batch
	}
	epochEvent struct {
		Event              string  `json:"event"` // "epoch"
		Epoch              int     `json:"epoch"` // from 1
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

// metricsFile takes the events. The zero value drops them.
type metricsFile struct {
	file *os.File
	err  error // the first one
}

// openMetrics opens the file for the events of a run; there is none if path is
// empty. A run that is continued adds to what is there.
func openMetrics(path string, resume bool) (*metricsFile, error) {
	if path == "" {
		return &metricsFile{}, nil
	}
	mode := os.O_TRUNC
	if resume {
		mode = os.O_APPEND
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|mode, 0o644)
	return &metricsFile{file: f}, err
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
