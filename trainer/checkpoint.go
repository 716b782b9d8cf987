package trainer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
)

// metadataKey is where a checkpoint's metadata holds the trainer's state.
const metadataKey = "halfgrad.trainer"

// slotPrefix precedes the names of the optimizer's tensors in a checkpoint.
const slotPrefix = "optimizer."

// state is what a checkpoint holds of a trainer, next to its tensors.
type state struct {
	Version        int             `json:"version"`
	Precision      string          `json:"precision"`
	Progress       Progress        `json:"progress"`
	OptimizerSteps int64           `json:"optimizer_steps"`
	Scaler         lossscale.State `json:"scaler"`
}

const stateVersion = 1

// Checkpoint returns all that is needed to continue the run bit for bit: the
// master weights under the names of the parameters, the optimizer's slots, and
// in the metadata the loss scaler's state and the progress. The tensors share
// the trainer's memory. The caller may add metadata of its own.
func (t *Trainer) Checkpoint() (*checkpoint.File, error) {
	opt := t.cfg.Optimizer.State()
	s, err := json.Marshal(state{
		Version: stateVersion, Precision: t.cfg.Precision.String(), Progress: t.progress,
		OptimizerSteps: opt.Steps, Scaler: t.cfg.Scaler.State(),
	})
	if err != nil {
		return nil, fmt.Errorf("trainer: %w", err)
	}
	f := &checkpoint.File{Metadata: map[string]string{metadataKey: string(s)}}
	for _, p := range t.params {
		f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, Values: p.Master})
	}
	for _, s := range opt.Slots {
		f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: slotPrefix + s.Name, Shape: []int{len(s.Values)}, Values: s.Values})
	}
	return f, nil
}

// Restore puts the trainer where it was when f was made. The error says what
// of f does not fit the trainer's model, optimizer, precision or scaler; the
// trainer is then as it was.
func (t *Trainer) Restore(f *checkpoint.File) error {
	var s state
	if err := json.Unmarshal([]byte(f.Metadata[metadataKey]), &s); err != nil {
		return fmt.Errorf("trainer: the checkpoint's %q is not the state of a trainer: %w", metadataKey, err)
	}
	p := s.Progress
	switch {
	case s.Version != stateVersion:
		return fmt.Errorf("trainer: the checkpoint is of version %d, want %d", s.Version, stateVersion)
	case s.Precision != t.cfg.Precision.String():
		return fmt.Errorf("trainer: the checkpoint is of a run in %s, this one is in %v", s.Precision, t.cfg.Precision)
	case p.Epoch < 0 || p.Batch < 0 || p.Steps < 0 || p.Skipped < 0 || p.Samples < 0 || p.EpochSkipped < 0 || s.OptimizerSteps < 0:
		return fmt.Errorf("trainer: the checkpoint's progress is not one: %+v, %d optimizer steps", p, s.OptimizerSteps)
	}
	if err := checkWeights(t.cfg.Model, f); err != nil {
		return err
	}
	opt := t.cfg.Optimizer.State()
	if err := checkSlots(opt, f); err != nil {
		return err
	}
	if err := t.cfg.Scaler.Restore(s.Scaler); err != nil {
		return fmt.Errorf("trainer: the checkpoint's loss scale: %w", err)
	}
	loadWeights(t.cfg.Model, f)
	for _, slot := range opt.Slots {
		stored, _ := f.Tensor(slotPrefix + slot.Name)
		copy(slot.Values, stored.Values)
	}
	opt.Steps, t.progress = s.OptimizerSteps, p
	return nil
}

func checkSlots(opt *optim.State, f *checkpoint.File) error {
	for _, slot := range opt.Slots {
		stored, ok := f.Tensor(slotPrefix + slot.Name)
		if !ok {
			return fmt.Errorf("trainer: the checkpoint has no tensor %s: was it made with another optimizer?", slotPrefix+slot.Name)
		}
		if len(stored.Values) != len(slot.Values) {
			return fmt.Errorf("trainer: the checkpoint's %s has %d values, want %d", stored.Name, len(stored.Values), len(slot.Values))
		}
	}
	return nil
}

// LoadWeights sets the parameters of model to the master weights in f. The
// error names the first parameter that f lacks or has in another shape; the
// model is then as it was.
func LoadWeights(model nn.Layer, f *checkpoint.File) error {
	if err := checkWeights(model, f); err != nil {
		return err
	}
	loadWeights(model, f)
	return nil
}

func checkWeights(model nn.Layer, f *checkpoint.File) error {
	for _, p := range model.Params() {
		stored, ok := f.Tensor(p.Name)
		if !ok {
			return fmt.Errorf("trainer: the checkpoint has no parameter %s", p.Name)
		}
		if !slices.Equal(stored.Shape, p.Shape) {
			return fmt.Errorf("trainer: the checkpoint's %s has the shape %v, the model's %v", p.Name, stored.Shape, p.Shape)
		}
	}
	return nil
}

func loadWeights(model nn.Layer, f *checkpoint.File) {
	for _, p := range model.Params() {
		stored, _ := f.Tensor(p.Name)
		copy(p.Master, stored.Values)
		if p.Half != nil {
			p.Sync()
		}
	}
}

// WeightsSHA256 returns the SHA-256, in hexadecimal, of a model's fp32 master
// weights: little endian, in the order of the parameters. Two runs that agree
// in it agree in every bit of what they learned.
func WeightsSHA256(model nn.Layer) string {
	hash := sha256.New()
	var b []byte
	for _, p := range model.Params() {
		b = b[:0]
		for _, w := range p.Master {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(w))
		}
		hash.Write(b)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
