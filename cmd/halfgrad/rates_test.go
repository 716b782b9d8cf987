package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/trainer"
)

// The metrics tell the course of a learning rate that bends without --log-every.
func TestRateEvents(t *testing.T) {
	data := smallData(t)
	for schedule, want := range map[string]func(steps int64) trainer.Schedule{
		"onecycle": func(steps int64) trainer.Schedule { return trainer.OneCycle(0.1, steps) },
		"linear":   nil, // the epochs' rates are enough
	} {
		file := filepath.Join(t.TempDir(), "m.jsonl")
		args, _ := trainArgs(t, data, "--schedule", schedule, "--lr", "0.1", "--metrics", file)
		succeed(t, args...)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var rates []rateEvent
		var steps int64
		for line := range strings.Lines(string(b)) {
			var e rateEvent
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			steps = max(steps, e.Steps)
			if e.Event == "rate" {
				rates = append(rates, e)
			}
		}
		if want == nil {
			if len(rates) > 0 {
				t.Errorf("%s: %d rates", schedule, len(rates))
			}
			continue
		}
		if len(rates) < 5 || rates[0].Steps != 1 {
			t.Fatalf("%s: rates %v, want some from the first step on", schedule, rates)
		}
		for _, e := range rates {
			if rate := want(steps)(e.Steps - 1); float64(e.LearningRate) != rate {
				t.Errorf("%s: the rate of step %d is %v, want %v", schedule, e.Steps, e.LearningRate, rate)
			}
		}
	}
}
