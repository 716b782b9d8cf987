package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/trainer"
)

type trainCmd struct {
	Model       string   `group:"The network" default:"mlp" help:"mlp, whose hidden layers --hidden tells, or the widths of all layers, such as 784-256-10." placeholder:"MODEL"`
	Hidden      string   `group:"The network" default:"256" help:"Widths of the hidden layers, separated by commas." placeholder:"N,…"`
	Precision   string   `group:"The network" default:"fp16" help:"fp16: mixed precision, the point of it all. fp32: the baseline." placeholder:"fp16|fp32"`
	Epochs      int      `group:"The training" default:"5" help:"Passes over the training images." placeholder:"N"`
	Batch       int      `group:"The training" default:"128" help:"Images in a step." placeholder:"N"`
	Optimizer   string   `group:"The training" default:"sgd" help:"sgd (with momentum), adam or adamw." placeholder:"NAME"`
	LR          *float64 `group:"The training" name:"lr" help:"Learning rate to begin with. Without it, 0.1 for sgd and 0.003 for the others." placeholder:"RATE"`
	Schedule    string   `group:"The training" default:"linear" help:"Learning rate: linear, falling to zero at the end of the last epoch, or constant." placeholder:"NAME"`
	Momentum    float64  `group:"The training" default:"0.9" help:"Momentum of sgd." placeholder:"M"`
	WeightDecay *float64 `group:"The training" help:"Weight decay. Without it, 0.01 for adamw and none for the others." placeholder:"D"`
	LossScale   string   `group:"The training" help:"dynamic, off, or a number for a static scale. Without it, dynamic for fp16 and off for fp32." placeholder:"SCALE"`
	Seed        uint64   `group:"The training" default:"1" help:"Seed of the weights, the shuffling and the hold-out." placeholder:"N"`
	Holdout     *int     `group:"The training" help:"Training images kept for validation, 0 for none. Without it, one in twelve: 5000 of MNIST's." placeholder:"N"`
	MaxSteps    int64    `group:"The training" help:"Stop after so many batches, even within an epoch." placeholder:"N"`

	dataFlags `group:"Files"`
	Out       string `group:"Files" default:"halfgrad-run" help:"Folder for checkpoint.safetensors, written after every epoch, at the end, and at Ctrl-C. One that is there is replaced." placeholder:"DIR"`
	Resume    bool   `group:"Files" help:"Continue the run whose checkpoint is in --out, with its settings. Only --epochs can be changed."`
	Metrics   string `group:"Files" help:"Write events as JSON lines." placeholder:"FILE.jsonl"`

	Threads int    `group:"The machine (never changes the result)" help:"Threads; without it, all cores." placeholder:"N"`
	Kernel  string `group:"The machine (never changes the result)" default:"auto" help:"Kernel tier: auto, or one that 'halfgrad info' lists." placeholder:"TIER"`
}

// checkpointName is the file in --out.
const checkpointName = "checkpoint.safetensors"

// session is a run of the train command under way.
type session struct {
	*trainCmd
	*env
	settings settings
	images   *data.MNIST
	train    *data.Loader
	val      data.Dataset // nil without a hold-out
	test     data.Dataset
	engine   *kernels.Engine
	model    *nn.Sequential
	trainer  *trainer.Trainer
	metrics  *metricsFile
}

func (c *trainCmd) Run(ctx context.Context, e *env) error {
	s := &session{trainCmd: c, env: e}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	metrics, err := openMetrics(c.Metrics, c.Resume)
	if err != nil {
		return usageError{fmt.Errorf("--metrics: %w", err)}
	}
	s.metrics = metrics
	err = s.run(ctx)
	if closing := metrics.close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("--metrics: %w", closing))
	}
	return err
}

// prepare checks and makes everything, and writes nothing but the folder --out.
func (s *session) prepare(ctx context.Context) (err error) {
	var saved *checkpoint.File
	if s.Resume {
		if saved, err = s.continued(); err != nil {
			return usageError{err}
		}
	} else if err := s.fresh(); err != nil {
		return usageError{err}
	}
	if s.MaxSteps < 0 {
		return usagef("--max-steps %d: want 1 or more, or 0 for no limit", s.MaxSteps)
	}
	if s.engine, err = newEngine(s.Kernel, s.Threads); err != nil {
		return err
	}
	if err := checkFolder(s.Out); err != nil {
		return usageError{fmt.Errorf("--out: %w", err)}
	}
	if s.images, err = s.load(ctx, s.env); err != nil {
		return err
	}
	if err := s.fitToData(); err != nil {
		return usageError{err}
	}
	return s.build(saved)
}

// fresh takes the settings from the flags.
func (s *session) fresh() error {
	hidden, whole, err := parseModel(s.Model, s.Hidden, s.explicit["hidden"])
	if err != nil {
		return err
	}
	s.settings = settings{
		Widths: hidden, Precision: s.Precision, Epochs: s.Epochs, Batch: s.Batch, Optimizer: s.Optimizer,
		Schedule: s.Schedule, Momentum: s.Momentum, LossScale: s.LossScale, Seed: s.Seed,
		LR: or(s.LR, 0.003), WeightDecay: or(s.WeightDecay, 0), Holdout: or(s.Holdout, 0),
	}
	if !whole { // the images tell the ends
		s.settings.Widths = append([]int{1}, append(hidden, 1)...)
	}
	if s.LR == nil && s.Optimizer == "sgd" {
		s.settings.LR = 0.1
	}
	if s.WeightDecay == nil && s.Optimizer == "adamw" {
		s.settings.WeightDecay = 0.01
	}
	if s.LossScale == "" {
		s.settings.LossScale = "dynamic"
		if s.Precision == "fp32" {
			s.settings.LossScale = "off"
		}
	}
	return s.settings.check()
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// continued takes the settings from the checkpoint. Flags that were given must
// agree with them.
func (s *session) continued() (*checkpoint.File, error) {
	path := filepath.Join(s.Out, checkpointName)
	f, err := checkpoint.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--resume: there is no checkpoint %s: want the folder of an earlier run as --out", path)
	}
	if err != nil {
		return nil, err
	}
	if s.settings, err = loadSettings(path, f); err != nil {
		return nil, err
	}
	saved := &s.settings
	if s.explicit["epochs"] {
		saved.Epochs = s.Epochs
	}
	if s.explicit["model"] || s.explicit["hidden"] {
		widths, whole, err := parseModel(s.Model, s.Hidden, s.explicit["hidden"])
		if err != nil {
			return nil, err
		}
		if !whole {
			widths = append([]int{saved.Widths[0]}, append(widths, saved.Widths[len(saved.Widths)-1])...)
		}
		if asked := (settings{Widths: widths}).network(); asked != saved.network() {
			return nil, fmt.Errorf("--resume: the checkpoint is of a network %s, not %s", saved.network(), asked)
		}
	}
	for _, flag := range []struct {
		name         string
		given, saved any
	}{
		{"precision", s.Precision, saved.Precision},
		{"batch", s.Batch, saved.Batch},
		{"optimizer", s.Optimizer, saved.Optimizer},
		{"lr", or(s.LR, 0), saved.LR},
		{"schedule", s.Schedule, saved.Schedule},
		{"momentum", s.Momentum, saved.Momentum},
		{"weight-decay", or(s.WeightDecay, 0), saved.WeightDecay},
		{"loss-scale", s.LossScale, saved.LossScale},
		{"seed", s.Seed, saved.Seed},
		{"holdout", or(s.Holdout, 0), saved.Holdout},
	} {
		if s.explicit[flag.name] && flag.given != flag.saved {
			return nil, fmt.Errorf("--resume: --%s is %v in the checkpoint, not %v, and cannot be changed", flag.name, flag.saved, flag.given)
		}
	}
	return f, saved.check()
}

// checkFolder makes the folder dir and sees whether files can be made in it,
// lest that be found out after an hour.
func checkFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".halfgrad-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// fitToData completes the settings by what the images tell, or checks that the
// images are those of the run to continue.
func (s *session) fitToData() error {
	train := s.images.Train
	features, mean, std := train.H*train.W, float32(0), float32(0)
	mean, std = train.MeanStd()
	widths := s.settings.Widths
	switch ends := [2]int{widths[0], widths[len(widths)-1]}; {
	case s.Resume && (mean != s.settings.Mean || std != s.settings.Std):
		return fmt.Errorf("--resume: the training images are others than before: mean %v and deviation %v of the pixels, not %v and %v",
			mean, std, s.settings.Mean, s.settings.Std)
	case !s.Resume && s.Model == "mlp":
		widths[0], widths[len(widths)-1] = features, train.Classes
	case ends != [2]int{features, train.Classes}:
		return fmt.Errorf("a network %s for images of %d×%d in %d classes: want one from %d to %d", s.settings.network(), train.H, train.W, train.Classes, features, train.Classes)
	}
	s.settings.Mean, s.settings.Std = mean, std
	if !s.Resume && s.Holdout == nil {
		s.settings.Holdout = train.N / 12
	}
	images := train.Standardized(mean, std)
	fitted := images
	if s.settings.Holdout > 0 {
		var err error
		if fitted, s.val, err = data.Split(images, s.settings.Holdout, s.settings.Seed); err != nil {
			return fmt.Errorf("--holdout %d: there are %d training images: want fewer held out", s.settings.Holdout, train.N)
		}
	}
	s.test = s.images.Test.Standardized(mean, std)
	var err error
	s.train, err = data.NewLoader(fitted, data.LoaderConfig{
		BatchSize: s.settings.Batch, DType: s.settings.dtype(), Shuffle: true, Seed: s.settings.Seed,
		Engine: s.engine, Ahead: s.engine.Threads() > 1 && s.settings.Batch*features >= data.AheadFrom,
	})
	return err
}

// build makes the trainer, and puts it where saved left off.
func (s *session) build(saved *checkpoint.File) error {
	s.model = nn.NewMLP(nn.NewRand(s.settings.Seed), s.settings.Widths...)
	scaling, err := s.settings.scaling()
	if err != nil {
		return usageError{err}
	}
	scaler, err := lossscale.New(scaling)
	if err != nil {
		return usageError{err}
	}
	optimizer, err := s.settings.newOptimizer(trainer.Params(s.model, s.settings.dtype()))
	if err != nil {
		return usageError{err}
	}
	s.trainer, err = trainer.New(trainer.Config{
		Engine: s.engine, Model: s.model, Optimizer: optimizer, Scaler: scaler, Precision: s.settings.dtype(),
		Schedule: s.settings.schedule(int64(s.settings.Epochs) * int64(s.train.Batches())),
	})
	if err != nil || saved == nil {
		return err
	}
	if err := s.trainer.Restore(saved); err != nil {
		return usageError{err}
	}
	return nil
}

// run trains, evaluates and saves.
func (s *session) run(ctx context.Context) error {
	s.announce()
	start := time.Now()
	bar := s.newBar()
	err := s.trainer.Fit(ctx, trainer.FitConfig{
		Train: s.train, Validation: s.val, Epochs: s.settings.Epochs, MaxSteps: s.MaxSteps,
		OnStep: func(e trainer.StepEvent) error {
			bar.step(e)
			if e.Skipped {
				s.metrics.add(skipEvent{Event: "skip", Epoch: e.Epoch, Steps: e.Steps, Overflow: e.Overflow, LossScale: e.Scale.New})
			}
			return nil
		},
		OnEpoch: func(e trainer.EpochEvent) error {
			bar.clear()
			return s.epochDone(ctx, e)
		},
	})
	bar.clear()
	if ctx.Err() != nil {
		return s.interrupted(ctx.Err())
	}
	if err != nil {
		return err // a checkpoint of the last epoch is there
	}
	if err := s.save(); err != nil {
		return err
	}
	m, err := s.trainer.Evaluate(ctx, s.test)
	if err != nil {
		return s.interrupted(err)
	}
	p, hash := s.trainer.Progress(), trainer.WeightsSHA256(s.model)
	accuracy, loss := number(m.Accuracy()), number(m.Loss)
	s.metrics.add(doneEvent{Event: "done", Epochs: p.Epoch, Steps: p.Steps, SkippedSteps: p.Skipped, TestAccuracy: &accuracy, TestLoss: &loss, WeightsSHA256: hash})
	fmt.Fprintf(s.stdout, "saved %s, weights sha256 %s\n", filepath.Join(s.Out, checkpointName), hash)
	fmt.Fprintf(s.stdout, "test accuracy %.4f (%d of %d images) after %d epochs, in %.1f s\n", m.Accuracy(), m.Correct, m.Samples, p.Epoch, time.Since(start).Seconds())
	return nil
}

// announce tells what is going to be trained on what.
func (s *session) announce() {
	c := s.settings
	parameters := 0
	for _, p := range s.model.Params() {
		parameters += len(p.Master)
	}
	p := s.trainer.Progress()
	s.metrics.add(startEvent{
		Event: map[bool]string{false: "start", true: "resume"}[s.Resume], Epoch: p.Epoch, Steps: p.Steps,
		Kernel: s.engine.Tier(), Threads: s.engine.Threads(), Parameters: parameters, settings: c,
	})
	im := s.images
	fmt.Fprintf(s.stdout, "data     %d training, %d validation and %d test images of %d×%d\n", im.Train.N-c.Holdout, c.Holdout, im.Test.N, im.Train.H, im.Train.W)
	fmt.Fprintf(s.stdout, "network  %s, %d parameters, in %s on %s with %d threads\n", c.network(), parameters, c.Precision, s.engine.Tier(), s.engine.Threads())
	optimizer := fmt.Sprintf("%s, learning rate %g %s", c.Optimizer, c.LR, c.Schedule)
	if c.Optimizer == "sgd" {
		optimizer += fmt.Sprintf(", momentum %g", c.Momentum)
	}
	if c.WeightDecay > 0 {
		optimizer += fmt.Sprintf(", weight decay %g", c.WeightDecay)
	}
	fmt.Fprintf(s.stdout, "training %s, batch %d, %d epochs, loss scale %s, seed %d\n", optimizer, c.Batch, c.Epochs, c.LossScale, c.Seed)
	if s.Resume {
		fmt.Fprintf(s.stdout, "resumed  after %d epochs and %d batches\n", p.Epoch, p.Batch)
	}
}

// epochDone saves and reports an epoch.
func (s *session) epochDone(ctx context.Context, e trainer.EpochEvent) error {
	if err := s.save(); err != nil {
		return err
	}
	event := epochEvent{
		Event: "epoch", Epoch: e.Epoch, TrainLoss: number(e.TrainLoss), LossScale: e.LossScale,
		SkippedSteps: e.Skipped, LearningRate: number(e.LearningRate), ImagesPerSec: number(math.Round(e.ImagesPerSec)),
	}
	line := fmt.Sprintf("epoch %*d/%d  loss %.4f", len(fmt.Sprint(s.settings.Epochs)), e.Epoch, s.settings.Epochs, e.TrainLoss)
	if s.val != nil {
		loss, accuracy := number(e.Validation.Loss), number(e.Validation.Accuracy())
		event.ValidationLoss, event.ValidationAccuracy = &loss, &accuracy
		line += fmt.Sprintf("  validation accuracy %.4f", e.Validation.Accuracy())
	}
	fmt.Fprintf(s.stdout, "%s  loss scale %v  skipped %d  %.0f images/s\n", line, e.LossScale, e.Skipped, e.ImagesPerSec)
	if s.Metrics != "" {
		m, err := s.trainer.Evaluate(ctx, s.test)
		if err != nil {
			return err
		}
		event.TestAccuracy = number(m.Accuracy())
		s.metrics.add(event)
	}
	return nil
}

// save writes the checkpoint.
func (s *session) save() error {
	f, err := s.trainer.Checkpoint()
	if err != nil {
		return err
	}
	if err := s.settings.save(f); err != nil {
		return err
	}
	return checkpoint.Write(filepath.Join(s.Out, checkpointName), f)
}

// interrupted saves what there is after Ctrl-C and says how to go on.
func (s *session) interrupted(cause error) error {
	if err := s.save(); err != nil {
		return err
	}
	p := s.trainer.Progress()
	s.metrics.add(doneEvent{Event: "interrupted", Epochs: p.Epoch, Steps: p.Steps, SkippedSteps: p.Skipped, WeightsSHA256: trainer.WeightsSHA256(s.model)})
	return &interruptedError{cause: cause, text: fmt.Sprintf("interrupted after %d epochs and %d batches; saved %s, go on with: halfgrad train --resume --out %s",
		p.Epoch, p.Batch, filepath.Join(s.Out, checkpointName), s.Out)}
}

// interruptedError tells where an interrupted run stands.
type interruptedError struct {
	cause error
	text  string
}

func (e *interruptedError) Error() string { return e.text }
func (e *interruptedError) Unwrap() error { return e.cause }

// bar is the progress bar of an epoch on a terminal; off one it does nothing.
type bar struct {
	session *session
	bar     *progressbar.ProgressBar
}

func (s *session) newBar() *bar { return &bar{session: s} }

func (b *bar) step(e trainer.StepEvent) {
	if !b.session.terminal {
		return
	}
	if b.bar == nil {
		total := b.session.images.Train.N - b.session.settings.Holdout
		b.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(b.session.stderr),
			progressbar.OptionSetWidth(30), progressbar.OptionShowIts(), progressbar.OptionSetItsString("images"),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetDescription(fmt.Sprintf("epoch %d/%d", e.Epoch, b.session.settings.Epochs)))
	}
	b.bar.Add(e.Samples)
}

// clear removes the bar; the next step begins another.
func (b *bar) clear() {
	if b.bar != nil {
		b.bar.Clear()
		b.bar = nil
	}
}
