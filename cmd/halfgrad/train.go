package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/cmd/halfgrad/internal/runfolder"
	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/trainer"
)

type trainCmd struct {
	Model  string `group:"The network" default:"mlp" help:"mlp, with the hidden layers of --hidden, or the widths of all layers, such as 784-256-10." placeholder:"MODEL"`
	Hidden string `group:"The network" default:"256" help:"Widths of the hidden layers, separated by commas." placeholder:"N,…"`
	settings
	Recipe   string `group:"The training" help:"Settings that have proved good, for the flags that are not given: ${recipes}." placeholder:"NAME"`
	MaxSteps int64  `group:"The training" help:"Stop after N steps, even within an epoch." placeholder:"N"`

	Config          configFile `group:"Files" help:"Read flags from this file, TOML or JSON, by their names. Flags on the command line take precedence. Every run leaves run.toml in --out, which repeats it." placeholder:"FILE"`
	dataFlags       `group:"Files"`
	Init            string     `group:"Files" help:"Begin with the weights of this checkpoint, a file or its folder, and with its network unless --hidden or --model is given." placeholder:"FILE"`
	Out             string     `group:"Files" default:"halfgrad-run" help:"Folder of the run: checkpoint.safetensors, written after every epoch, at the end and at Ctrl-C; best.safetensors, with the highest validation accuracy; run.toml. An earlier run there is moved to earlier-1 below it." placeholder:"DIR"`
	Overwrite       bool       `group:"Files" help:"Replace an earlier run in --out, instead of keeping it."`
	CheckpointEvery int64      `group:"Files" help:"Write the checkpoint after every N steps, too." placeholder:"N"`
	Keep            int        `group:"Files" help:"Keep the checkpoints of the last N epochs too, as epoch-0001.safetensors and so on." placeholder:"N"`
	ResumeMode      resumeMode `group:"Files" name:"resume" help:"Continue the run in --out, with its settings; only --epochs can be changed. --resume=auto starts a new run where there is none, for job schedulers." placeholder:"auto"`
	Resume          bool       `kong:"-"` // whether a run is continued
	Metrics         string     `group:"Files" help:"Write events as JSON lines, for 'halfgrad plot'." placeholder:"FILE.jsonl"`
	Tensorboard     string     `group:"Files" help:"Write an event file for TensorBoard into this folder: loss, learning rate, loss scale and skipped steps of each step, or of every --log-every steps, and what each epoch comes to." placeholder:"DIR"`
	LogEvery        int64      `group:"Files" help:"Add an event to the metrics every N steps: loss, learning rate, loss scale." placeholder:"N"`
	Stats           bool       `group:"Files" help:"Add to the metrics, after every epoch, what fp16 would lose of each layer's values and gradients: what 'halfgrad inspect' shows."`

	Threads int    `group:"The machine (never changes the result)" help:"Threads; without it, all cores." placeholder:"N"`
	Kernel  string `group:"The machine (never changes the result)" default:"auto" help:"Kernel tier: auto, or one that 'halfgrad info' lists." placeholder:"TIER"`

	InjectOverflow steps `group:"Testing" help:"Make the gradients of these steps infinite, counted from 0, such as 100, 100-102 or 100-." placeholder:"STEPS"`
}

// Help is what --help tells besides the flags.
func (*trainCmd) Help() string {
	return `Trains on MNIST, or on --data, and leaves a checkpoint in --out:

  halfgrad train --recipe mnist                settings that have proved good
  halfgrad train --epochs 20 --metrics run.jsonl
  halfgrad train --resume                      after Ctrl-C, or a crash
  halfgrad train --config halfgrad-run/run.toml --seed 2
                                               the same with another seed

On the same data, the flags of the network and of the training decide the result to
the last bit. The machine, --kernel and --threads do not.`
}

// The files in --out, besides those of epochs.
const (
	checkpointName = runfolder.Checkpoint
	bestName       = runfolder.Best
)

// session is a run of the train command under way.
type session struct {
	*trainCmd
	*env
	images   *data.MNIST
	fitted   data.Dataset // the training images without the hold-out
	train    *data.Loader
	val      data.Dataset // nil without a hold-out
	test     data.Dataset
	engine   *kernels.Engine
	model    *nn.Graph
	accuracy metric.Accuracy // of the last evaluation of the validation images
	scaler   *lossscale.Scaler
	trainer  *trainer.Trainer
	metrics  *metricsFile
	board    *board
	bar      *bar
	folder   *runfolder.Folder
	initial  *initial // nil without --init
	stale    bool     // whether files of an earlier run may be in --out
	kept     string   // what became of an earlier run in --out, for people
}

func (c *trainCmd) Run(ctx context.Context, e *env) (err error) {
	if err := c.chooseResume(); err != nil {
		return err
	}
	s := &session{trainCmd: c, env: e, stale: c.Overwrite}
	defer func() { err = errors.Join(err, s.leave()) }()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := c.checkOutputs(); err != nil {
		return err
	}
	pipe, err := openPipe(c.Metrics)
	if err != nil {
		return err
	}
	board, err := newBoard(c.Tensorboard, s.trainer.Progress())
	if err != nil {
		return usageError{fmt.Errorf("--tensorboard: %w", err)}
	}
	if !c.Resume && !c.Overwrite {
		kept, err := keepEarlier(e, c.Out, c.Metrics)
		if err != nil {
			return fmt.Errorf("--out: the earlier run cannot be kept: %w", err)
		}
		s.kept = kept
	}
	if err := s.writeConfig(); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	metrics := &metricsFile{file: pipe}
	if pipe == nil {
		if metrics, err = openMetrics(c.Metrics, c.Resume, s.trainer.Progress()); err != nil {
			return usageError{fmt.Errorf("--metrics: %w", err)}
		}
	}
	s.metrics, s.board, s.bar = metrics, board, newBar(s)
	if err = s.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		err = s.failed(err)
	}
	if closing := metrics.close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("--metrics: %w", closing))
	}
	if closing := board.close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("--tensorboard: %w", closing))
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
	for _, f := range []struct {
		flag  string
		value int64
	}{{"max-steps", s.MaxSteps}, {"checkpoint-every", s.CheckpointEvery}, {"keep", int64(s.Keep)}, {"log-every", s.LogEvery}} {
		if f.value < 0 {
			return usagef("--%s %d: want 1 or more, or 0 for none", f.flag, f.value)
		}
	}
	if s.engine, err = newEngine(s.Kernel, s.Threads); err != nil {
		return err
	}
	if !s.Resume { // else continued has entered it
		if err := s.enter(); err != nil {
			return usageError{err}
		}
	}
	if s.Keep > 0 {
		if err := s.folder.CheckEpochs(s.Epochs); err != nil {
			return usageError{fmt.Errorf("--out: %w", err)}
		}
	}
	if s.Resume {
		s.images, s.Origin, err = s.loadFor(ctx, s.env, filepath.Join(s.Out, checkpointName), s.settings, bothParts, false)
	} else {
		err = s.loadFresh(ctx)
	}
	if err != nil {
		return err
	}
	if err := s.fitToData(); err != nil {
		return usageError{err}
	}
	return s.build(saved)
}

// fresh completes the settings that the flags give.
func (s *session) fresh() error {
	if s.Recipe != "" {
		apply, ok := recipes[s.Recipe]
		if !ok {
			return fmt.Errorf("--recipe %s: want one of %s", s.Recipe, recipeNames())
		}
		given := *s.trainCmd
		apply(s.trainCmd)
		copyGiven(&s.settings, &given.settings, s.explicit)
		if s.explicit["hidden"] || s.explicit["model"] {
			s.Hidden, s.Model = given.Hidden, given.Model
		}
	}
	taken, err := s.readInit()
	if err != nil {
		return err
	}
	if !taken {
		hidden, whole, err := parseModel(s.Model, s.Hidden, s.explicit["hidden"])
		if err != nil {
			return err
		}
		s.Widths = hidden
		if !whole { // the images tell the ends
			s.Widths = append([]int{1}, append(hidden, 1)...)
		}
	}
	if s.LR == 0 && !s.explicit["lr"] {
		s.LR = map[string]float64{"sgd": 0.1}[s.Optimizer]
		if s.LR == 0 {
			s.LR = 0.003
		}
	}
	if s.WeightDecay == 0 && !s.explicit["weight-decay"] && s.Optimizer == "adamw" {
		s.WeightDecay = 0.01
	}
	if s.LossScale == "" {
		s.LossScale = "dynamic"
		if s.Precision == "fp32" {
			s.LossScale = "off"
		}
	}
	return s.check()
}

// continued takes the settings from the checkpoint. Flags that were given must
// agree with them.
func (s *session) continued() (*checkpoint.File, error) {
	for _, flag := range []string{"init", "recipe"} {
		if s.explicit[flag] && !s.fromFile[flag] && s.ResumeMode != resumeAuto { // which did so at the start
			return nil, fmt.Errorf("--resume and --%s: want one of them", flag)
		}
	}
	path := filepath.Join(s.Out, checkpointName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--resume: there is no checkpoint %s: want the folder of an earlier run as --out", path)
	}
	if err := s.enter(); err != nil { // first: another run may be writing it
		return nil, err
	}
	f, err := readTensors(path, allTensors)
	if err != nil {
		return nil, err
	}
	saved, err := loadSettings(path, f)
	if err != nil {
		return nil, err
	}
	if err := checkResumable(path, f); err != nil {
		return nil, err
	}
	if s.explicit["model"] || s.explicit["hidden"] {
		widths, whole, err := parseModel(s.Model, s.Hidden, s.explicit["hidden"])
		if err != nil {
			return nil, err
		}
		if !whole {
			widths = append([]int{saved.Widths[0]}, append(widths, saved.Widths[len(saved.Widths)-1])...)
		}
		if network := (settings{Widths: widths}).shape(); network != saved.shape() {
			return nil, fmt.Errorf("--resume: the checkpoint is of a network %s, not %s", saved.shape(), network)
		}
	}
	asked := saved
	copyGiven(&asked, &s.settings, s.explicit)
	next, stop := iter.Pull(flags(&asked))
	defer stop()
	for f := range flags(&saved) {
		if given, _ := next(); f.name != "epochs" && !given.value.Equal(f.value) {
			return nil, fmt.Errorf("--resume: --%s is %v in the checkpoint, not %v, and cannot be changed", f.name, f.value, given.value)
		}
	}
	s.settings = asked
	return f, asked.check()
}

// fitToData completes the settings by what the images tell, or checks that the
// images are those of the run to continue.
func (s *session) fitToData() error {
	train := s.images.Train
	features, widths := train.H*train.W, s.Widths
	mean, std := train.MeanStd()
	switch ends := [2]int{widths[0], widths[len(widths)-1]}; {
	case s.Resume && (mean != s.Mean || std != s.Std):
		return fmt.Errorf("the training images are others than those of the checkpoint: mean %v and deviation %v of the pixels, not %v and %v",
			mean, std, s.Mean, s.Std)
	case !s.Resume && s.Classes == 0 && train.Classes < 2:
		return fmt.Errorf("all labels of the training images are 0: want at least two classes, or --classes")
	case !s.Resume && !strings.Contains(s.Model, "-"):
		widths[0], widths[len(widths)-1] = features, train.Classes
	case ends != [2]int{features, train.Classes}:
		return fmt.Errorf("a network %s for images of %d×%d in %d classes: want one from %d to %d", s.shape(), train.H, train.W, train.Classes, features, train.Classes)
	}
	s.Mean, s.Std, s.Height, s.Width, s.Classes = mean, std, train.H, train.W, train.Classes
	if !s.Resume && !s.explicit["holdout"] {
		s.Holdout = train.N / 12
	}
	images := train.Standardized(mean, std)
	s.fitted = images
	if s.Holdout > 0 {
		var err error
		if s.fitted, s.val, err = data.Split(images, s.Holdout, s.Seed); err != nil {
			return fmt.Errorf("--holdout %d: there are %d training images: want fewer held out", s.Holdout, train.N)
		}
	} else if s.EarlyStop > 0 {
		return fmt.Errorf("--early-stop %d and --holdout 0: want images to validate with", s.EarlyStop)
	}
	s.test = s.images.Test.Standardized(mean, std)
	dealt := s.fitted
	if s.Shift > 0 {
		dealt = data.Shift(dealt.(data.Bytes), train.H, train.W, s.Shift)
	}
	if err := s.checkTrainingMemory(); err != nil {
		return err
	}
	var err error
	s.train, err = data.NewLoader(dealt, data.LoaderConfig{
		BatchSize: s.Batch * s.Accumulate, DType: s.dtype(), Shuffle: true, Seed: s.Seed,
		Ahead: s.engine.Threads() > 1 && s.Batch*s.Accumulate*features >= data.AheadFrom,
	})
	return err
}

// build makes the trainer, and puts it where saved left off.
func (s *session) build(saved *checkpoint.File) error {
	var err error
	if s.model, err = s.spec().Graph(s.Seed); err != nil {
		return usageError{err}
	}
	if err := s.initialize(); err != nil {
		return usageError{err}
	}
	scaling, err := s.scaling()
	if err != nil {
		return usageError{err}
	}
	if s.scaler, err = lossscale.New(scaling); err != nil {
		return usageError{err}
	}
	optimizer, err := s.newOptimizer(s.model.Params())
	if err != nil {
		return usageError{err}
	}
	s.trainer, err = trainer.New(trainer.Config{
		Engine: s.engine, Graph: s.model, Loss: s.loss(), Optimizer: optimizer, Scaler: s.scaler, Precision: s.dtype(),
		Schedule: s.schedule(int64(s.train.Batches())), Batch: s.Batch,
		LossWeight: s.LossWeight, Average: s.EMA,
		Clip:       trainer.Clip{Norm: s.ClipNorm, Value: s.ClipValue},
		OnGradient: s.InjectOverflow.inject(),
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
	err := s.trainer.Fit(ctx, trainer.FitConfig{
		Train: s.train, Validation: s.val, Metrics: []metric.Metric{&s.accuracy},
		Epochs: s.Epochs, MaxSteps: s.MaxSteps, Patience: s.EarlyStop,
		OnStep:  s.stepDone,
		OnEpoch: func(e trainer.EpochEvent) error { return s.epochDone(ctx, e) },
	})
	s.bar.clear()
	if ctx.Err() != nil {
		return s.interrupted(ctx.Err())
	}
	if err != nil {
		return err // a checkpoint of the last epoch is there
	}
	var right metric.Accuracy
	m, err := s.trainer.Evaluate(ctx, s.test, &right)
	if err != nil {
		return s.interrupted(err)
	}
	if err := s.checkTestLoss(m); err != nil {
		return err
	}
	if err := s.save(checkpointName); err != nil {
		return err
	}
	p, hash := s.trainer.Progress(), trainer.WeightsSHA256(s.model)
	accuracy, loss := number(right.Value()), number(m.Loss)
	s.metrics.add(doneEvent{Event: "done", Epochs: p.Epoch, Steps: p.Steps, SkippedSteps: p.Skipped, TestAccuracy: &accuracy, TestLoss: &loss, WeightsSHA256: hash})
	if s.EarlyStop > 0 && p.Epoch-p.BestEpoch >= s.EarlyStop {
		fmt.Fprintf(s.stdout, "stopped  early: no validation accuracy above that of epoch %d, %.4f, in %d epochs\n", p.BestEpoch, p.Best, s.EarlyStop)
	}
	fmt.Fprintf(s.stdout, "saved %s, weights sha256 %s\n", filepath.Join(s.Out, checkpointName), s.shortened(hash))
	fmt.Fprintf(s.stdout, "test accuracy %.4f (%d of %d images) after %d epochs, in %.1f s\n", right.Value(), right.Correct, m.Samples, p.Epoch, time.Since(start).Seconds())
	return nil
}

// announce tells what is going to be trained on what.
func (s *session) announce() {
	c := s.settings
	parameters := 0
	for _, p := range s.model.Params() {
		parameters += p.Len()
	}
	p := s.trainer.Progress()
	s.metrics.add(startEvent{
		Event: map[bool]string{false: "start", true: "resume"}[s.Resume], Epoch: p.Epoch, Steps: p.Steps,
		Kernel: s.engine.Tier(), Threads: s.engine.Threads(), Parameters: parameters, settings: c,
	})
	if s.kept != "" {
		fmt.Fprintln(s.stdout, s.kept)
	}
	im := s.images
	fmt.Fprintf(s.stdout, "data     %d training, %d validation and %d test images of %d×%d\n", im.Train.N-c.Holdout, c.Holdout, im.Test.N, im.Train.H, im.Train.W)
	fmt.Fprintf(s.stdout, "network  %s, %d parameters, in %s on %s with %d threads\n", c.shape(), parameters, c.Precision, s.engine.Tier(), s.engine.Threads())
	optimizer := fmt.Sprintf("%s, learning rate %g %s", c.Optimizer, c.LR, c.Schedule)
	if c.Optimizer == "sgd" {
		optimizer += fmt.Sprintf(", momentum %g", c.Momentum)
	}
	for _, option := range []struct {
		what  string
		value float64
	}{
		{"warm-up", float64(c.Warmup)}, {"weight decay", c.WeightDecay}, {"dropout", c.Dropout}, {"input dropout", c.InputDropout}, {"shift", float64(c.Shift)},
		{"label smoothing", c.Smoothing}, {"clipped to norm", c.ClipNorm}, {"clipped to", c.ClipValue}, {"averaged by", c.EMA},
	} {
		if option.value > 0 {
			optimizer += fmt.Sprintf(", %s %g", option.what, option.value)
		}
	}
	batch := fmt.Sprint(c.Batch)
	if c.Accumulate > 1 {
		batch += fmt.Sprintf(" × %d", c.Accumulate)
	}
	fmt.Fprintf(s.stdout, "training %s, batch %s, %d epochs, loss scale %s, seed %d\n", optimizer, batch, c.Epochs, c.LossScale, c.Seed)
	if s.Resume {
		fmt.Fprintf(s.stdout, "resumed  after %d epochs and %d batches\n", p.Epoch, p.Batch)
	}
	if s.ResumeMode == resumeAuto && !s.Resume {
		fmt.Fprintf(s.stdout, "started  anew: there is no run in %s to continue\n", s.Out)
	}
	if p.Epoch < s.Epochs {
		for _, path := range staleExports(s.Out) {
			fmt.Fprintf(s.stdout, "note     %s is of the checkpoint before: export it again after this run\n", path)
		}
	}
}

// stepDone reports a step, and saves after some.
func (s *session) stepDone(e trainer.StepEvent) error {
	s.bar.step(e)
	scale := scaleEvent{Epoch: e.Epoch, Steps: e.Steps, LossScale: e.Scale.New}
	if e.Skipped {
		s.metrics.add(skipEvent{Event: "skip", Overflow: e.Overflow, scaleEvent: scale})
	} else if e.Scale.New != e.Scale.Old {
		s.metrics.add(skipEvent{Event: "scale", scaleEvent: scale})
	}
	s.board.step(e, s.LogEvery == 0 || e.Steps%s.LogEvery == 0)
	if s.LogEvery > 0 && e.Steps%s.LogEvery == 0 {
		s.metrics.add(stepEvent{
			Event: "step", scaleEvent: scale, Loss: number(e.Loss), LearningRate: number(e.LearningRate), GradNorm: number(e.GradNorm),
		})
	} else if s.bends() && (e.Steps == 1 || e.Steps%s.ratesEvery() == 0) {
		s.metrics.add(rateEvent{Event: "rate", Epoch: e.Epoch, Steps: e.Steps, LearningRate: number(e.LearningRate)})
	}
	if s.CheckpointEvery > 0 && e.Steps%s.CheckpointEvery == 0 {
		return s.save(checkpointName)
	}
	return nil
}

// bends returns whether the learning rate is no straight line over the run, so that
// the epochs' rates alone would draw another.
func (s *session) bends() bool {
	return s.Warmup > 0 || s.Schedule != "constant" && s.Schedule != "linear"
}

// ratesEvery returns after how many steps each the metrics tell the learning rate:
// often enough to draw the schedule, and some hundred times in all.
func (s *session) ratesEvery() int64 {
	steps := int64(s.Epochs) * int64(s.train.Batches())
	return max(1, steps/128)
}

// epochDone reports and saves an epoch. The events come first: those that the
// checkpoint knows nothing of are dropped when the run is continued.
func (s *session) epochDone(ctx context.Context, e trainer.EpochEvent) error {
	s.bar.epoch(e)
	s.warnNonFinite(e)
	p := s.trainer.Progress()
	event := epochEvent{
		Event: "epoch", Epoch: e.Epoch, Steps: p.Steps, TrainLoss: number(e.TrainLoss), LossScale: e.LossScale,
		SkippedSteps: e.Skipped, LearningRate: number(e.LearningRate), ImagesPerSec: number(math.Round(e.ImagesPerSec)),
	}
	if s.val != nil {
		loss, accuracy := number(e.Validation.Loss), number(s.accuracy.Value())
		event.ValidationLoss, event.ValidationAccuracy = &loss, &accuracy
	}
	fmt.Fprintln(s.stdout, s.epochLine(e))
	if s.Metrics != "" || s.board != nil {
		var right metric.Accuracy
		if _, err := s.trainer.Evaluate(ctx, s.test, &right); err != nil {
			return err
		}
		event.TestAccuracy = number(right.Value())
		s.metrics.add(event)
		s.board.epoch(event)
	}
	if s.Stats {
		if err := s.statistics(); err != nil {
			return err
		}
	}
	if e.Best {
		if err := s.save(bestName); err != nil {
			return err
		}
	}
	if s.Keep > 0 {
		if err := s.save(runfolder.Epoch(e.Epoch)); err != nil {
			return err
		}
		// Those after this one are of an earlier run.
		if err := s.folder.Prune(e.Epoch-s.Keep+1, e.Epoch); err != nil {
			return err
		}
	}
	return s.save(checkpointName)
}

// statistics adds what fp16 would lose of each layer to the events.
func (s *session) statistics() error {
	all, err := inspect(s.trainer, s.fitted)
	if err != nil {
		return err
	}
	for _, st := range all {
		s.metrics.add(newLayerEvent(s.trainer.Progress(), st))
	}
	return nil
}

// save writes a checkpoint. With the first one of a new run, the best one of an earlier
// run is gone, too; those of its epochs go where this one keeps some.
func (s *session) save(name string) error {
	f, err := s.trainer.Checkpoint()
	if err != nil {
		return err
	}
	if err := errors.Join(s.settings.save(f), s.spec().Note(f)); err != nil {
		return err
	}
	if s.stale && name != bestName {
		if err := s.folder.Remove(bestName); err != nil {
			return err
		}
	}
	s.stale = false
	return checkpoint.Write(s.folder.Path(name), f)
}

// interrupted saves what there is after Ctrl-C and says how to go on.
func (s *session) interrupted(cause error) error {
	if err := s.save(checkpointName); err != nil {
		return err
	}
	p := s.trainer.Progress()
	s.metrics.add(doneEvent{Event: "interrupted", Epochs: p.Epoch, Steps: p.Steps, SkippedSteps: p.Skipped, WeightsSHA256: trainer.WeightsSHA256(s.model)})
	text := fmt.Sprintf("interrupted after %d epochs and %d batches; saved %s, go on with:", p.Epoch, p.Batch, filepath.Join(s.Out, checkpointName))
	return &interruptedError{cause: cause, text: text, command: s.resumeCommand(s.Out, s.Origin)}
}

// interruptedError tells where an interrupted run stands.
type interruptedError struct {
	cause   error
	text    string
	command string // with which to go on, or ""
}

func (e *interruptedError) Error() string { return strings.TrimSpace(e.text + " " + e.command) }
func (e *interruptedError) Unwrap() error { return e.cause }
