package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/internal/require"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

var lesson = bench.TrainConfig{Widths: []int{20, 30, 5}, Images: 320, Optimizer: "sgd", Precision: tensor.F16}

// lessons are what the workers of this binary that train do.
var lessons = map[string]bench.TrainConfig{
	"student":  lesson,
	"in fp32":  inFP32("sgd"),
	"stranger": inFP32("adam"),
}

func inFP32(optimizer string) bench.TrainConfig {
	cfg := lesson
	cfg.Optimizer, cfg.Precision = optimizer, tensor.F32
	return cfg
}

// newRace returns a race of fakes.
func newRace(t *testing.T, behaviours ...string) *race {
	t.Helper()
	r := &race{threads: []int{1, 2}, rounds: 3, turn: time.Millisecond}
	for _, b := range behaviours {
		e := entrant{name: b}
		for range r.threads {
			w, err := fake(t, b, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			e.workers = append(e.workers, w)
		}
		r.entrants = append(r.entrants, e)
	}
	return r
}

func TestRace(t *testing.T) {
	skipEmulated(t)
	t.Setenv("TMPDIR", t.TempDir())
	r := newRace(t, "student", "in fp32")
	h, err := r.measure(context.Background(), 16)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.times) != 2 || len(h.peaks) != 2 {
		t.Fatalf("%+v", h)
	}
	for i, times := range h.times {
		for k := range r.threads {
			if len(times[k]) != r.rounds || slices.Min(times[k]) <= 0 || len(h.peaks[k]) != r.rounds || slices.Min(h.peaks[k]) <= 0 {
				t.Errorf("entrant %d, %d threads: times %v, peaks %v", i, r.threads[k], times[k], h.peaks[k])
			}
		}
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.measure(cancelled, 16); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "halfgrad-peers-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("what was trained on is left in %v, error %v", left, err)
	}
}

// Who trains another way is found out.
func TestBadTrainers(t *testing.T) {
	skipEmulated(t)
	t.Setenv("TMPDIR", t.TempDir())
	for behaviour, want := range map[string]string{
		"stranger": "trains another way than halfgrad: with 16 images a step",
		"garbage":  `answered "four" to "prepare 16 `,
		"wrong":    "want ok and three numbers",
		"dies":     "ended instead of answering",
		"good":     "unknown command",
	} {
		_, err := newRace(t, "student", behaviour).measure(context.Background(), 16)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), behaviour) {
			t.Errorf("%s: error %v does not say %q", behaviour, err, want)
		}
	}
}

func TestStudentErrors(t *testing.T) {
	e, err := kernels.New(kernels.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	answer := student(e, lesson)
	for _, line := range []string{"train 3", "prepare", "prepare 16", "prepare 0 " + t.TempDir(), "prepare 16 " + t.TempDir() + "/none", "nonsense"} {
		if got := answer(line); !strings.HasPrefix(got, "error ") {
			t.Errorf("answer %q to %q, want an error", got, line)
		}
	}
	if got := answer("prepare 16 " + t.TempDir()); !strings.HasPrefix(got, "ok ") {
		t.Errorf("answer %q", got)
	}
	if got := answer("train 0"); !strings.HasPrefix(got, "error ") {
		t.Errorf("answer %q to no steps", got)
	}
}

// The loss of the first step follows from what is published.
func TestPublish(t *testing.T) {
	e, err := kernels.New(kernels.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	cfg := inFP32("sgd")
	cfg.Batch = 16
	run, err := bench.NewTrainee(e, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := publish(run, folder); err != nil {
		t.Fatal(err)
	}
	read := func(name string, content any) {
		f, err := os.Open(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := binary.Read(f, binary.LittleEndian, content); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if rest, err := io.ReadAll(f); len(rest) > 0 || err != nil {
			t.Fatalf("%s has %d bytes more, error %v", name, len(rest), err)
		}
	}
	var (
		pixels     [320][20]byte
		labels     [320]byte
		values     [256]float32
		order      [320]int64
		parameters struct {
			W1 [20][30]float32
			B1 [30]float32
			W2 [30][5]float32
			B2 [5]float32
		}
	)
	for name, content := range map[string]any{"pixels": &pixels, "labels": &labels, "values": &values, "order": &order, "parameters": &parameters} {
		read(name, content)
	}
	want := 0.0
	for _, i := range order[:cfg.Batch] {
		var hidden [30]float64
		for h := range hidden {
			sum := float64(parameters.B1[h])
			for f, pixel := range pixels[i] {
				sum += float64(values[pixel]) * float64(parameters.W1[f][h])
			}
			hidden[h] = max(sum, 0)
		}
		var logits [5]float64
		all := 0.0
		for l := range logits {
			logits[l] = float64(parameters.B2[l])
			for h, v := range hidden {
				logits[l] += v * float64(parameters.W2[h][l])
			}
			all += math.Exp(logits[l])
		}
		want += (math.Log(all) - logits[labels[i]]) / float64(cfg.Batch)
	}
	o, err := begin(run, cfg.Batch)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(o.first-want) > 1e-5 {
		t.Errorf("the first loss is %g, want %g", o.first, want)
	}
	if o.last == o.first || o.moved <= 0 {
		t.Errorf("outcome %+v", o)
	}
}

func TestAgrees(t *testing.T) {
	want := outcome{first: 2, last: 0.01, moved: 0.1}
	for _, c := range []struct {
		o  outcome
		ok bool
	}{
		{want, true},
		{outcome{2.05, 0.02, 0.1015}, true},
		{outcome{2.07, 0.01, 0.1}, false},
		{outcome{2, 0.04, 0.1}, false},
		{outcome{2, 0.01, 0.103}, false},
		{outcome{math.NaN(), 0.01, 0.1}, false},
	} {
		if c.o.agrees(want) != c.ok {
			t.Errorf("%+v agrees with %+v: %v", c.o, want, !c.ok)
		}
	}
}

// PyTorch trains as we do: in fp32 almost to the bit, by every optimizer.
func TestPyTorch(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: PyTorch takes seconds to start")
	}
	skipEmulated(t)
	python, err := pythonWithTorch([]string{"python3", "/usr/bin/python3"})
	if err != nil {
		require.Missing(t, "torch", "%v", err)
	}
	cpus, err := available()
	if err != nil {
		t.Skip(err)
	}
	drivers, folder := t.TempDir(), t.TempDir()
	if err := unpack(drivers); err != nil {
		t.Fatal(err)
	}
	e, err := kernels.New(kernels.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	const batch = 16
	for _, c := range []struct{ precision, optimizer string }{{"fp32", "sgd"}, {"fp32", "adam"}, {"fp32", "adamw"}, {"bf16", "adam"}} {
		cfg := inFP32(c.optimizer)
		cfg.Batch = batch
		run, err := bench.NewTrainee(e, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := publish(run, folder); err != nil {
			t.Fatal(err)
		}
		want, err := begin(run, batch)
		if err != nil {
			t.Fatal(err)
		}
		w, err := start("pytorch", trainer(python, drivers, c.precision, cfg, 1), cpus[:1], time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.stop)
		if _, err := w.steps(1); err == nil || !strings.Contains(err.Error(), "nothing is prepared") {
			t.Errorf("steps before all: error %v", err)
		}
		got, err := w.prepareSteps(batch, folder)
		if err != nil {
			t.Fatal(err)
		}
		off := max(math.Abs(got.first-want.first), math.Abs(got.last-want.last), math.Abs(got.moved-want.moved))
		if !got.agrees(want) || c.precision == "fp32" && off > 1e-5 || c.precision == "bf16" && off < 1e-5 {
			t.Errorf("%v: outcome %+v, want %+v", c, got, want)
		}
		for range 2 { // into the second epoch and the third
			if ns, err := w.steps(12); err != nil || ns < 1e3 {
				t.Errorf("%v: a step of %g ns, error %v", c, ns, err)
			}
		}
	}
}
