package bench

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/models"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// TrainConfig says which training step to measure.
type TrainConfig struct {
	Widths    []int // of a multilayer perceptron's layers, with the input and the output
	Batch     int
	Images    int          // to choose from, rounded down to whole batches
	Optimizer string       // "sgd", with momentum, "adam" or "adamw"
	Precision tensor.DType // fp16, with dynamic loss scaling, or fp32
	Scale     float32      // the initial loss scale; 0 for lossscale.Default's
}

// TrainResult says how fast training steps are.
type TrainResult struct {
	Model           string  `json:"model"`
	Batch           int     `json:"batch"`
	Optimizer       string  `json:"optimizer"`
	Precision       string  `json:"precision"`
	Threads         int     `json:"threads"`
	Kernel          string  `json:"kernel"`  // the tier
	Steps           int     `json:"steps"`   // measured
	StepNS          float64 `json:"step_ns"` // the median
	BestStepNS      float64 `json:"best_step_ns"`
	ImagesPerSec    float64 `json:"images_per_sec"`  // of the median step
	AllocsPerStep   float64 `json:"allocs_per_step"` // the median of groups of steps: the Go runtime allocates now and then
	GFLOPS          float64 `json:"gflops"`          // the products of a step, over the time of the best step
	FMAPeakGFLOPS   float64 `json:"fma_peak_gflops"`
	PeakRatio       float64 `json:"peak_ratio"`        // GFLOPS / FMAPeakGFLOPS
	PeakRatioMedian float64 `json:"peak_ratio_median"` // of the median step against the median of the peaks

	ActivationBytes   int `json:"activation_bytes"`    // of the arena: values, their gradients, and what is saved between
	GradientBytes     int `json:"gradient_bytes"`      // of parameters, where they are stored
	PeakResidentBytes int `json:"peak_resident_bytes"` // of the process, the images included; 0 if unknown

	Phases []PhaseResult `json:"phases,omitempty"` // with a profile
}

// PhaseResult is the time of a phase of a step. The phases sum to the mean of the
// faster half of the steps.
type PhaseResult struct {
	Name string  `json:"name"`
	NS   float64 `json:"ns"` // the mean
}

// Train measures training steps, from choosing a batch to the updated weights, on
// images of random pixels. cfg.Images should be too many for the caches. It takes
// about three seconds. The error is ctx's, or says what is wrong with cfg.
func Train(ctx context.Context, e *kernels.Engine, cfg TrainConfig, profile bool) (TrainResult, error) {
	var p *nn.Profile
	if profile {
		p = new(nn.Profile)
	}
	t, err := NewTrainee(e, cfg, p)
	if err != nil {
		return TrainResult{}, err
	}
	const warmUp, group = 5, 16
	for range warmUp {
		if _, err := t.Step(); err != nil {
			return TrainResult{}, err
		}
	}
	peak := NewPeak(e)
	var times, peaks, allocations []float64
	var groups []stepGroup
	var before, after runtime.MemStats
	for start := time.Now(); len(times) < minRepetitions || time.Since(start) < minDuration; {
		if err := ctx.Err(); err != nil {
			return TrainResult{}, err
		}
		peaks = append(peaks, peak.Measure())
		times = slices.Grow(times, group)
		p.Reset()
		taken := 0
		runtime.ReadMemStats(&before)
		began := time.Now()
		for range group {
			at := time.Now()
			step, err := t.Step()
			if err != nil {
				return TrainResult{}, err
			}
			if took := time.Since(at); !step.Skipped {
				times = append(times, float64(took.Nanoseconds()))
				taken++
			}
		}
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		allocations = append(allocations, float64(after.Mallocs-before.Mallocs)/group)
		if p != nil && taken == group {
			groups = append(groups, stepGroup{took, slices.Clone(p.Phases())})
		}
	}
	memory := t.trainer.Memory()
	best, median, top := slices.Min(times), Median(times), slices.Max(peaks)
	r := TrainResult{
		Model: cfg.Model(), Batch: cfg.Batch, Optimizer: cfg.Optimizer, Precision: cfg.Precision.String(),
		Threads: e.Threads(), Kernel: e.Tier(), Steps: len(times), StepNS: median, BestStepNS: best,
		ImagesPerSec: float64(cfg.Batch) / median * 1e9, AllocsPerStep: Median(allocations),
		GFLOPS: cfg.FLOPs() / best, FMAPeakGFLOPS: top, PeakRatio: cfg.FLOPs() / best / top,
		PeakRatioMedian: cfg.FLOPs() / median / Median(peaks),
		ActivationBytes: memory.Activations, GradientBytes: memory.Gradients, PeakResidentBytes: peakResident(),
		Phases: phases(groups, group),
	}
	return r, nil
}

// stepGroup is the time and the profile of some steps in a row.
type stepGroup struct {
	took   time.Duration
	phases []nn.Phase
}

// phases returns the mean of each phase over the faster half of the groups, which other
// processes disturbed least. They sum to the mean step.
func phases(groups []stepGroup, steps int) []PhaseResult {
	if len(groups) == 0 {
		return nil
	}
	slices.SortFunc(groups, func(a, b stepGroup) int { return cmp.Compare(a.took, b.took) })
	groups = groups[:(len(groups)+1)/2]
	var results []PhaseResult
	for _, g := range groups {
		for _, phase := range g.phases {
			ns := float64(phase.Time.Nanoseconds()) / float64(steps*len(groups))
			i := slices.IndexFunc(results, func(r PhaseResult) bool { return r.Name == phase.Name })
			if i < 0 {
				results = append(results, PhaseResult{phase.Name, ns})
			} else {
				results[i].NS += ns
			}
		}
	}
	return results
}

// peakResident returns the largest resident size of the process so far in bytes, with
// the images, or 0 where the system does not tell.
func peakResident() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 {
		return 0
	}
	kib, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0
	}
	return kib << 10
}

// Model returns the widths as people write them: 784-256-10.
func (cfg TrainConfig) Model() string {
	parts := make([]string, len(cfg.Widths))
	for i, w := range cfg.Widths {
		parts[i] = strconv.Itoa(w)
	}
	return strings.Join(parts, "-")
}

// FLOPs returns the floating-point operations of a step's products: forward, the
// gradients of the weights and, except in the first layer, those of the input.
func (cfg TrainConfig) FLOPs() float64 {
	sum := 0.0
	for i := range len(cfg.Widths) - 1 {
		products := 3.0
		if i == 0 {
			products = 2
		}
		sum += products * 2 * float64(cfg.Batch) * float64(cfg.Widths[i]) * float64(cfg.Widths[i+1])
	}
	return sum
}

// Trainee is a training run as [Train] measures it.
type Trainee struct {
	Images data.Bytes // in whole batches
	Model  *nn.Graph

	trainer *trainer.Trainer
	loader  *data.Loader
	profile *nn.Profile
}

// NewTrainee returns a run before its first step. profile may be nil. The error says
// what is wrong with cfg.
func NewTrainee(e *kernels.Engine, cfg TrainConfig, profile *nn.Profile) (*Trainee, error) {
	switch {
	case len(cfg.Widths) < 2 || slices.Min(cfg.Widths) < 1:
		return nil, fmt.Errorf("bench: widths %v: want two or more, of at least 1", cfg.Widths)
	case cfg.Batch < 1:
		return nil, fmt.Errorf("bench: a batch of %d samples: want at least 1", cfg.Batch)
	}
	features, classes := cfg.Widths[0], cfg.Widths[len(cfg.Widths)-1]
	images := images(cfg.Images, cfg.Batch, features, min(classes, 256))
	loader, err := data.NewLoader(images, data.LoaderConfig{
		BatchSize: cfg.Batch, DType: cfg.Precision, Shuffle: true,
		Ahead: e.Threads() > 1 && cfg.Batch*features >= data.AheadFrom,
	})
	if err != nil {
		return nil, err
	}
	model, err := models.MLP{Inputs: features, Widths: cfg.Widths[1:]}.Spec().Graph(1)
	if err != nil {
		return nil, err
	}
	scaling := lossscale.Default()
	if cfg.Scale != 0 {
		scaling.Initial = cfg.Scale
	}
	if cfg.Precision == tensor.F32 {
		scaling.Mode = lossscale.Off
	}
	scaler, err := lossscale.New(scaling)
	if err != nil {
		return nil, err
	}
	params := model.Params()
	var optimizer optim.Optimizer
	switch cfg.Optimizer {
	case "sgd":
		optimizer, err = optim.NewSGD(params, optim.SGDConfig{Momentum: 0.9})
	case "adam":
		optimizer, err = optim.NewAdam(params, optim.DefaultAdam())
	case "adamw":
		optimizer, err = optim.NewAdam(params, optim.DefaultAdamW())
	default:
		err = fmt.Errorf("bench: optimizer %q: want sgd, adam or adamw", cfg.Optimizer)
	}
	if err != nil {
		return nil, err
	}
	t, err := trainer.New(trainer.Config{
		Engine: e, Graph: model, Loss: nn.CrossEntropy{}, Optimizer: optimizer, Scaler: scaler, Schedule: trainer.Constant(1e-4), Precision: cfg.Precision, Profile: profile,
	})
	if err != nil {
		return nil, err
	}
	return &Trainee{Images: images, Model: model, trainer: t, loader: loader, profile: profile}, nil
}

// Step trains on the next batch.
func (t *Trainee) Step() (trainer.StepResult, error) {
	t.profile.Start()
	b, ok := t.loader.Next()
	if !ok {
		epoch, _ := t.loader.Position()
		if err := t.loader.Seek(epoch+1, 0); err != nil {
			return trainer.StepResult{}, err
		}
		b, _ = t.loader.Next()
	}
	t.profile.Lap("data")
	r, err := t.trainer.Step(b)
	t.profile.Lap("rest")
	return r, err
}

// images returns whole batches of about so many images, with random pixels and labels.
func images(about, batch, features, classes int) data.Bytes {
	n := max(about/batch, 1) * batch
	im := &data.Images{N: n, H: 1, W: features, Classes: classes, Pixels: make([]byte, n*features), Labels: make([]int32, n)}
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(im.Pixels)
	for i := range im.Labels {
		im.Labels[i] = int32(rng.Uint64() % uint64(classes))
	}
	return im.Standardized(im.MeanStd())
}
