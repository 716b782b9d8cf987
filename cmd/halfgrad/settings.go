package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// settings is all that decides the outcome of a run: with the same settings and
// the same data the weights come out the same, bit for bit, on any machine. A
// checkpoint carries them.
type settings struct {
	Widths      []int   `json:"widths"` // of the layers' outputs, the input's first
	Precision   string  `json:"precision"`
	Epochs      int     `json:"epochs"`
	Batch       int     `json:"batch"`
	Optimizer   string  `json:"optimizer"`
	LR          float64 `json:"lr"`
	Schedule    string  `json:"schedule"`
	Momentum    float64 `json:"momentum"`
	WeightDecay float64 `json:"weight_decay"`
	LossScale   string  `json:"loss_scale"` // "dynamic", "off" or a number
	Seed        uint64  `json:"seed"`
	Holdout     int     `json:"holdout"` // training images kept for validation
	Mean        float32 `json:"mean"`    // of the training images' pixels, with which all are standardised
	Std         float32 `json:"std"`
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
)

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
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("checkpoint %s: %q in its metadata: %w", path, settingsKey, err)
	}
	if err := s.check(); err != nil {
		return s, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	// The tensors are in memory, so widths that agree with them are bearable.
	for i := range len(s.Widths) - 1 {
		name := fmt.Sprintf("%d.weight", 2*i)
		if t, ok := f.Tensor(name); !ok || !slices.Equal(t.Shape, s.Widths[i:i+2]) {
			return s, fmt.Errorf("checkpoint %s: its settings tell of a network %s, but it has no tensor %s of that shape", path, s.network(), name)
		}
	}
	return s, nil
}

// check returns an error that names the first setting out of its range.
func (s settings) check() error {
	if len(s.Widths) < 2 || len(s.Widths) > maxDepth || s.Widths[len(s.Widths)-1] > maxWidth {
		return fmt.Errorf("a network %s: want 2 to %d widths", s.network(), maxDepth)
	}
	for _, w := range s.Widths {
		if w < 1 || w > 1<<24 {
			return fmt.Errorf("a network %s: want widths from 1 to %d", s.network(), maxWidth)
		}
	}
	if _, err := tensor.ParseDType(s.Precision); err != nil {
		return fmt.Errorf("--precision %s: want fp16 or fp32", s.Precision)
	}
	switch {
	case s.Epochs < 1 || s.Epochs > maxEpoch:
		return fmt.Errorf("--epochs %d: want 1 to %d", s.Epochs, maxEpoch)
	case s.Batch < 1 || s.Batch > maxBatch:
		return fmt.Errorf("--batch %d: want 1 to %d", s.Batch, maxBatch)
	case !slices.Contains(optimizers, s.Optimizer):
		return fmt.Errorf("--optimizer %s: want one of %s", s.Optimizer, strings.Join(optimizers, ", "))
	case trainer.CheckRate(s.LR) != nil:
		return fmt.Errorf("--lr %v: want a positive, finite number", s.LR)
	case s.Schedule != "linear" && s.Schedule != "constant":
		return fmt.Errorf("--schedule %s: want linear or constant", s.Schedule)
	case !(s.Momentum >= 0 && s.Momentum < 1):
		return fmt.Errorf("--momentum %v: want 0 or more and less than 1", s.Momentum)
	case !(s.WeightDecay >= 0) || math.IsInf(s.WeightDecay, 1):
		return fmt.Errorf("--weight-decay %v: want 0 or a positive, finite number", s.WeightDecay)
	case s.Holdout < 0:
		return fmt.Errorf("--holdout %d: want 0 or more", s.Holdout)
	}
	if x := float64(s.Mean) + float64(s.Std); x-x != 0 || s.Std < 0 {
		return fmt.Errorf("pixels of mean %v and standard deviation %v: want finite numbers, the latter not negative", s.Mean, s.Std)
	}
	_, err := s.scaling()
	return err
}

var optimizers = []string{"sgd", "adam", "adamw"}

// network returns the widths as people write them: 784-256-10.
func (s settings) network() string {
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
func (s settings) newOptimizer(params []optim.Param) (optim.Optimizer, error) {
	if s.Optimizer == "sgd" {
		return optim.NewSGD(params, optim.SGDConfig{Momentum: s.Momentum, WeightDecay: s.WeightDecay})
	}
	c := optim.DefaultAdam()
	c.WeightDecay, c.Decoupled = s.WeightDecay, s.Optimizer == "adamw"
	return optim.NewAdam(params, c)
}

// schedule returns the learning rate's schedule for a run of so many steps.
func (s settings) schedule(steps int64) trainer.Schedule {
	if s.Schedule == "constant" {
		return trainer.Constant(s.LR)
	}
	return trainer.Linear(s.LR, steps)
}

// restored returns the network that a checkpoint holds.
func (s settings) restored(f *checkpoint.File) (*nn.Sequential, error) {
	model := nn.NewMLP(nil, s.Widths...)
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
