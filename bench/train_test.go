package bench

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// The figures of a result agree with each other, and a step allocates nothing.
func TestTrainFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a measurement takes two seconds")
	}
	e, err := kernels.New(kernels.Config{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	cfg := TrainConfig{Widths: []int{20, 30, 5}, Batch: 16, Images: 100, Optimizer: "adamw", Precision: tensor.F16}
	r, err := Train(context.Background(), e, cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-3*math.Abs(b) }
	flops := 2.0 * 16 * (2*20*30 + 3*30*5)
	sum, names := 0.0, ""
	for _, phase := range r.Phases {
		sum += phase.NS
		names += phase.Name + "; "
	}
	switch {
	case r.Model != "20-30-5" || r.Batch != 16 || r.Optimizer != "adamw" || r.Precision != "fp16" || r.Threads != 2 || r.Kernel != e.Tier():
		t.Errorf("the result describes another measurement: %+v", r)
	case r.Steps < minRepetitions || r.BestStepNS > r.StepNS || r.BestStepNS <= 0 || !near(r.ImagesPerSec, 16e9/r.StepNS):
		t.Errorf("the times make no sense: %+v", r)
	case !near(r.GFLOPS, flops/r.BestStepNS) || !near(r.PeakRatio, r.GFLOPS/r.FMAPeakGFLOPS) || r.PeakRatioMedian <= 0:
		t.Errorf("the rates make no sense: %+v", r)
	case r.AllocsPerStep != 0:
		t.Errorf("%v allocations a step", r.AllocsPerStep)
	case r.ActivationBytes != 960+192+192+960 || r.GradientBytes != 4*(30+5): // two layers and their gradients, in blocks of 64 bytes; and the biases
		t.Errorf("%d bytes of activations and %d of gradients", r.ActivationBytes, r.GradientBytes)
	case sum < r.BestStepNS || !strings.HasPrefix(names, "data; forward 0 (Linear 20→30), 1 (ReLU); ") || !strings.Contains(names, "loss; backward 2"):
		t.Errorf("phases %s of %g ns, the best step takes %g", names, sum, r.BestStepNS)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Train(cancelled, e, cfg, false); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestTrainErrors(t *testing.T) {
	e, err := kernels.New(kernels.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	good := TrainConfig{Widths: []int{4, 2}, Batch: 2, Images: 4, Optimizer: "sgd", Precision: tensor.F32}
	for want, change := range map[string]func(*TrainConfig){
		"widths [4]":       func(c *TrainConfig) { c.Widths = []int{4} },
		"widths [4 0]":     func(c *TrainConfig) { c.Widths = []int{4, 0} },
		`optimizer "lion"`: func(c *TrainConfig) { c.Optimizer = "lion" },
		"0 samples":        func(c *TrainConfig) { c.Batch = 0 },
	} {
		cfg := good
		change(&cfg)
		if _, err := Train(context.Background(), e, cfg, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

// Of three groups the two faster ones count, and their phases sum to their mean.
func TestPhases(t *testing.T) {
	group := func(a, b time.Duration) stepGroup {
		return stepGroup{a + b, []nn.Phase{{Name: "a", Time: a}, {Name: "b", Time: b}}}
	}
	got := phases([]stepGroup{group(10, 30), group(1000, 1), group(30, 50)}, 2)
	if len(got) != 2 || got[0] != (PhaseResult{"a", 10}) || got[1] != (PhaseResult{"b", 20}) {
		t.Errorf("phases %v", got)
	}
}
