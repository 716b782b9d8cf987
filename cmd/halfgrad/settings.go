package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/checkpoint/safetensors"
	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/models"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// settings is all that decides the outcome of a run: with the same settings and
// the same data the weights come out the same, bit for bit, on any machine. A
// checkpoint carries them. Those with a name are flags of the train command, which
// cannot be changed when a run is continued, but for the epochs.
type settings struct {
	Widths       []int   `json:"widths" kong:"-"` // of the layers' outputs, the input's first
	Precision    string  `json:"precision" name:"precision" group:"The network" default:"fp16" help:"fp16: mixed precision. fp32: the baseline to compare it with." placeholder:"fp16|fp32"`
	Dropout      float64 `json:"dropout" name:"dropout" group:"The network" default:"0" help:"Probability of dropping a hidden layer's output in training." placeholder:"P"`
	InputDropout float64 `json:"input_dropout" name:"input-dropout" group:"The network" default:"0" help:"Probability of dropping a pixel in training." placeholder:"P"`

	Epochs      int     `json:"epochs" name:"epochs" group:"The training" default:"5" help:"Passes over the training images." placeholder:"N"`
	Batch       int     `json:"batch" name:"batch" group:"The training" default:"128" help:"Images in a batch." placeholder:"N"`
	Accumulate  int     `json:"accumulate" name:"accumulate" group:"The training" default:"1" help:"Batches whose gradients are added up for one step." placeholder:"N"`
	Optimizer   string  `json:"optimizer" name:"optimizer" group:"The training" default:"sgd" help:"sgd (with momentum), adam or adamw." placeholder:"NAME"`
	LR          float64 `json:"lr" name:"lr" group:"The training" help:"Learning rate: the highest of the schedule. Without it, 0.1 for sgd and 0.003 for the others." placeholder:"RATE"`
	Schedule    string  `json:"schedule" name:"schedule" group:"The training" default:"linear" help:"Learning rate: constant; linear or cosine, falling to zero at the end of the last epoch; onecycle, rising before it falls; step, multiplied by --decay after every --decay-every epochs." placeholder:"NAME"`
	Warmup      int64   `json:"warmup" name:"warmup" group:"The training" default:"0" help:"Steps in which the learning rate rises to its schedule." placeholder:"N"`
	Decay       float64 `json:"decay" name:"decay" group:"The training" default:"0.1" help:"Factor of --schedule step." placeholder:"F"`
	DecayEvery  int64   `json:"decay_every" name:"decay-every" group:"The training" default:"2" help:"Epochs of --schedule step." placeholder:"N"`
	Momentum    float64 `json:"momentum" name:"momentum" group:"The training" default:"0.9" help:"Momentum of sgd." placeholder:"M"`
	Nesterov    bool    `json:"nesterov" name:"nesterov" group:"The training" help:"Have sgd look ahead along the momentum."`
	WeightDecay float64 `json:"weight_decay" name:"weight-decay" group:"The training" help:"Weight decay. Without it, 0.01 for adamw and none for the others." placeholder:"D"`
	BiasDecay   bool    `json:"bias_decay" name:"bias-decay" group:"The training" default:"true" negatable:"" help:"Whether biases are decayed too."`
	Shift       int     `json:"shift" name:"shift" group:"The training" default:"0" help:"Move each training image by up to N pixels in each direction, at random, differently in every epoch." placeholder:"N"`
	Smoothing   float64 `json:"label_smoothing" name:"label-smoothing" group:"The training" default:"0" help:"Share of each label to spread over all classes." placeholder:"S"`
	ClipNorm    float64 `json:"clip_norm" name:"clip-norm" group:"The training" default:"0" help:"Bound for the norm of the gradients, 0 for none." placeholder:"N"`
	ClipValue   float64 `json:"clip_value" name:"clip-value" group:"The training" default:"0" help:"Bound for each gradient, 0 for none." placeholder:"V"`
	EMA         float64 `json:"ema" name:"ema" group:"The training" default:"0" help:"Average the weights with this decay, such as 0.999, and evaluate and export the average; 0 for no average." placeholder:"D"`
	LossWeight  float64 `json:"loss_weight" name:"loss-weight" group:"The training" default:"1" help:"Multiply the loss by this." placeholder:"W"`
	LossScale   string  `json:"loss_scale" name:"loss-scale" group:"The training" help:"dynamic, off, or a number for a static scale. Without it, dynamic for fp16 and off for fp32." placeholder:"SCALE"`
	EarlyStop   int     `json:"early_stop" name:"early-stop" group:"The training" default:"0" help:"Stop after N epochs without a higher validation accuracy, 0 for never." placeholder:"N"`
	Seed        uint64  `json:"seed" name:"seed" group:"The training" default:"1" help:"Seed of the weights, the shuffling, the dropout and the hold-out." placeholder:"N"`
	Holdout     int     `json:"holdout" name:"holdout" group:"The training" help:"Training images kept for validation, 0 for none. Without it, one in twelve: 5000 of MNIST's." placeholder:"N"`

	Classes int    `json:"classes" name:"classes" group:"The network" default:"0" help:"Number of classes: labels are below it. Without it, as many as the training labels tell." placeholder:"N"`
	Origin  origin `json:"data" kong:"-"` // what the run learns from; zero where unknown

	imported bool // whether the weights are another program's

	Height int     `json:"height" kong:"-"` // of the images; 0 where unknown
	Width  int     `json:"width" kong:"-"`
	Mean   float32 `json:"mean" kong:"-"` // of the training images' pixels, with which all are standardised
	Std    float32 `json:"std" kong:"-"`
}

// settingsKey is where a checkpoint's metadata holds the settings.
const settingsKey = "halfgrad.train"

// What the command line may ask for at most: far beyond any use, and far from
// where a product of sizes could overflow.
const (
	maxWidth = 1 << 16
	maxDepth = 64
	maxBatch = 1 << 20
	maxEpoch = 1 << 20

	maxShift = 1 << 10

	maxDropout = 0.99
)

// checkpointPath returns the path of a checkpoint that is told by that or by its folder.
func checkpointPath(path string) string {
	if i, err := os.Stat(path); err == nil && i.IsDir() {
		return filepath.Join(path, checkpointName)
	}
	return path
}

// save puts the settings into a checkpoint.
func (s settings) save(f *checkpoint.File) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f.Metadata[settingsKey] = string(b)
	return nil
}

// loadSettings returns the settings in the checkpoint that path held. They
// agree with the tensors in it.
func loadSettings(path string, f *checkpoint.File) (settings, error) {
	var s settings
	text, ok := f.Metadata[settingsKey]
	if !ok {
		return s, fmt.Errorf("checkpoint %s has no %q in its metadata: was it written by halfgrad train?", path, settingsKey)
	}
	if err := kong.ApplyDefaults(&s); err != nil { // of settings that were added since
		return s, err
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("checkpoint %s: %q in its metadata: %w", path, settingsKey, err)
	}
	if err := s.check(); err != nil {
		return s, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	_, s.imported = f.Metadata[importKey]
	// The tensors are in memory, so widths that agree with them are bearable.
	index := 0 // of the layer
	if s.InputDropout > 0 {
		index++
	}
	for i := range len(s.Widths) - 1 {
		name := fmt.Sprintf("%d.weight", index)
		if t, ok := f.Tensor(name); !ok || !slices.Equal(t.Shape, s.Widths[i:i+2]) {
			return s, fmt.Errorf("checkpoint %s: its settings tell of a network %s, but it has no tensor %s of that shape", path, s.shape(), name)
		}
		index += 2
		if s.Dropout > 0 {
			index++
		}
	}
	return s, nil
}

// check returns an error that names the first setting out of its range.
func (s settings) check() error {
	if len(s.Widths) < 2 || len(s.Widths) > maxDepth || s.Widths[len(s.Widths)-1] > maxWidth {
		return fmt.Errorf("a network %s: want 2 to %d widths", s.shape(), maxDepth)
	}
	for _, w := range s.Widths {
		if w < 1 || w > 1<<24 {
			return fmt.Errorf("a network %s: want widths from 1 to %d", s.shape(), maxWidth)
		}
	}
	if _, err := tensor.ParseDType(s.Precision); err != nil {
		return fmt.Errorf("--precision %s: want fp16 or fp32", s.Precision)
	}
	positive := func(x float64) bool { return trainer.CheckRate(x) == nil } // as fp32 holds it
	const positiveWant = "a positive number from 1.2e-38 to 3.4e+38"
	part := func(x float64) bool { return x >= 0 && x < 1 }
	for _, f := range []struct {
		flag  string
		value any
		ok    bool
		want  string
	}{
		{"dropout", s.Dropout, part(s.Dropout) && s.Dropout <= maxDropout, "0 or more and at most 0.99"},
		{"input-dropout", s.InputDropout, part(s.InputDropout) && s.InputDropout <= maxDropout, "0 or more and at most 0.99"},
		{"epochs", s.Epochs, s.Epochs >= 1 && s.Epochs <= maxEpoch, fmt.Sprintf("1 to %d", maxEpoch)},
		{"batch", s.Batch, s.Batch >= 1 && s.Batch <= maxBatch, fmt.Sprintf("1 to %d", maxBatch)},
		{"accumulate", s.Accumulate, s.Accumulate >= 1 && s.Accumulate <= maxBatch, fmt.Sprintf("1 to %d", maxBatch)},
		{"optimizer", s.Optimizer, slices.Contains(optimizers, s.Optimizer), "one of " + strings.Join(optimizers, ", ")},
		{"lr", s.LR, positive(s.LR), positiveWant},
		{"schedule", s.Schedule, slices.Contains(schedules, s.Schedule), "one of " + strings.Join(schedules, ", ")},
		{"warmup", s.Warmup, s.Warmup >= 0, "0 or more"},
		{"decay", s.Decay, s.Decay >= 0 && s.Decay <= 1, "0 to 1"},
		{"decay-every", s.DecayEvery, s.DecayEvery >= 1 && s.DecayEvery <= maxEpoch, fmt.Sprintf("1 to %d", maxEpoch)},
		{"momentum", s.Momentum, part(s.Momentum), "0 or more and less than 1"},
		{"weight-decay", s.WeightDecay, s.WeightDecay == 0 || positive(s.WeightDecay), "0 or " + positiveWant},
		{"shift", s.Shift, s.Shift >= 0 && s.Shift <= maxShift, fmt.Sprintf("0 to %d", maxShift)},
		{"label-smoothing", s.Smoothing, part(s.Smoothing), "0 or more and less than 1"},
		{"clip-norm", s.ClipNorm, s.ClipNorm == 0 || positive(s.ClipNorm), "0 or " + positiveWant},
		{"clip-value", s.ClipValue, s.ClipValue == 0 || positive(s.ClipValue), "0 or " + positiveWant},
		{"ema", s.EMA, part(s.EMA), "0 or more and less than 1"},
		{"loss-weight", s.LossWeight, positive(s.LossWeight), positiveWant},
		{"early-stop", s.EarlyStop, s.EarlyStop >= 0, "0 or more"},
		{"holdout", s.Holdout, s.Holdout >= 0, "0 or more"},
		{"classes", s.Classes, s.Classes >= 0 && s.Classes <= data.MaxClasses, fmt.Sprintf("1 to %d, or 0 for as many as the labels tell", data.MaxClasses)},
	} {
		if !f.ok {
			return fmt.Errorf("--%s %v: want %s", f.flag, f.value, f.want)
		}
	}
	if s.Nesterov && s.Optimizer != "sgd" {
		return fmt.Errorf("--nesterov and --optimizer %s: want it with sgd", s.Optimizer)
	}
	if s.Height < 0 || s.Width < 0 || s.Height > 1<<24 || s.Width > 1<<24 || s.Height > 0 && s.Height*s.Width != s.Widths[0] {
		return fmt.Errorf("images of %d×%d: want as many pixels as the network %s has inputs", s.Height, s.Width, s.shape())
	}
	if x := float64(s.Mean) + float64(s.Std); x-x != 0 || s.Std < 0 {
		return fmt.Errorf("pixels of mean %v and standard deviation %v: want finite numbers, the latter not negative", s.Mean, s.Std)
	}
	_, err := s.scaling()
	return err
}

// What --optimizer and --schedule take.
var (
	optimizers = []string{"sgd", "adam", "adamw"}
	schedules  = []string{"constant", "linear", "cosine", "onecycle", "step"}
)

// shape returns the widths as people write them: 784-256-10.
func (s settings) shape() string {
	parts := make([]string, len(s.Widths))
	for i, w := range s.Widths {
		parts[i] = strconv.Itoa(w)
	}
	return strings.Join(parts, "-")
}

// dtype returns the precision. It has been checked.
func (s settings) dtype() tensor.DType {
	d, err := tensor.ParseDType(s.Precision)
	if err != nil {
		panic(err)
	}
	return d
}

// scaling returns the loss scaler's settings for --loss-scale.
func (s settings) scaling() (lossscale.Config, error) {
	c := lossscale.Default()
	switch s.LossScale {
	case "dynamic":
		return c, nil
	case "off":
		c.Mode = lossscale.Off
		return c, nil
	}
	scale, err := strconv.ParseFloat(s.LossScale, 32)
	c.Mode, c.Initial = lossscale.Static, float32(scale)
	if err != nil || c.Validate() != nil {
		return c, fmt.Errorf("--loss-scale %s: want dynamic, off or a number from 2^-64 to 2^64", s.LossScale)
	}
	return c, nil
}

// newOptimizer returns the optimizer for params.
func (s settings) newOptimizer(params []*nn.Param) (optim.Optimizer, error) {
	var groups []optim.Group
	if !s.BiasDecay {
		groups = []optim.Group{optim.Undecayed()}
	}
	if s.Optimizer == "sgd" {
		return optim.NewSGD(params, optim.SGDConfig{Momentum: s.Momentum, WeightDecay: s.WeightDecay, Nesterov: s.Nesterov, Groups: groups})
	}
	c := optim.DefaultAdam()
	c.WeightDecay, c.Decoupled, c.Groups = s.WeightDecay, s.Optimizer == "adamw", groups
	return optim.NewAdam(params, c)
}

// schedule returns the learning rate's schedule for epochs of so many steps.
func (s settings) schedule(epoch int64) trainer.Schedule {
	steps := int64(s.Epochs) * epoch
	schedule := trainer.Constant(s.LR)
	switch s.Schedule {
	case "linear":
		schedule = trainer.Linear(s.LR, steps)
	case "cosine":
		schedule = trainer.Cosine(s.LR, 0, steps)
	case "onecycle":
		schedule = trainer.OneCycle(s.LR, steps)
	case "step":
		schedule = trainer.StepDecay(s.LR, s.Decay, s.DecayEvery*epoch)
	}
	if s.Warmup > 0 {
		schedule = trainer.Warmup(s.Warmup, schedule)
	}
	return schedule
}

// spec returns the description of the network.
func (s settings) spec() models.Spec {
	spec := models.MLP{Inputs: s.Widths[0], Widths: s.Widths[1:], InputDropout: s.InputDropout, Dropout: s.Dropout}.Spec()
	spec.Precision = s.Precision
	spec.Pixels = &models.Pixels{Height: s.Height, Width: s.Width, Mean: s.Mean, Std: s.Std}
	return spec
}

// loss returns what training minimises.
func (s settings) loss() nn.Loss { return nn.CrossEntropy{Smoothing: float32(s.Smoothing)} }

// network is what a checkpoint holds.
type network struct {
	settings
	model *nn.Graph
	file  *checkpoint.File
}

// readCheckpoint reads the checkpoint at path, which --checkpoint gave, with the tensors
// that are wanted.
func readCheckpoint(path string, wanted func(safetensors.Tensor) bool) (*checkpoint.File, error) {
	f, err := readTensors(path, wanted)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("there is no checkpoint %s: want one that halfgrad train wrote as --checkpoint", path)
	}
	if err != nil {
		return nil, usageError{err}
	}
	return f, nil
}

// loadNetwork returns the network in a checkpoint, which is told by its path or its
// folder.
func loadNetwork(path string) (*network, error) {
	path = checkpointPath(path)
	f, err := readCheckpoint(path, weightTensors)
	if err != nil {
		return nil, err
	}
	s, err := loadSettings(path, f)
	if err != nil {
		return nil, usageError{err}
	}
	model, err := s.restored(f)
	if err != nil {
		return nil, usageError{fmt.Errorf("checkpoint %s: %w", path, err)}
	}
	return &network{s, model, f}, nil
}

// restored returns the network that a checkpoint holds, with the averaged weights if
// the run had them.
func (s settings) restored(f *checkpoint.File) (*nn.Graph, error) {
	model, err := s.spec().Blank()
	if err != nil {
		return nil, err
	}
	return model, trainer.LoadWeights(model, f)
}

// parseModel returns the widths of the hidden layers, and if --model tells all
// of them, those of the input and output too.
func parseModel(model, hidden string, hiddenGiven bool) (widths []int, whole bool, err error) {
	if model == "mlp" {
		widths, err = parseWidths("--hidden", hidden, ",")
		return widths, false, err
	}
	if !strings.Contains(model, "-") {
		return nil, false, fmt.Errorf("--model %s: want mlp, or the widths of all layers, such as 784-256-10", model)
	}
	if hiddenGiven {
		return nil, false, errors.New("--model with widths and --hidden: want one of them")
	}
	widths, err = parseWidths("--model", model, "-")
	return widths, true, err
}

func parseWidths(flag, text, separator string) (widths []int, err error) {
	for part := range strings.SplitSeq(text, separator) {
		w, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || w < 1 || w > maxWidth {
			return nil, fmt.Errorf("%s %s: want widths from 1 to %d, separated by %q", flag, text, maxWidth, separator)
		}
		widths = append(widths, w)
	}
	if len(widths) > maxDepth-2 {
		return nil, fmt.Errorf("%s: %d widths: want at most %d", flag, len(widths), maxDepth-2)
	}
	return widths, nil
}
