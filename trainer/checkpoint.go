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
	"github.com/halfgrad/halfgrad/tensor"
)

// metadataKey is where a checkpoint's metadata holds the trainer's state.
const metadataKey = "halfgrad.trainer"

// The names of a checkpoint's tensors are those of the parameters for the master weights,
// and begin with a prefix for all others.
const (
	slotPrefix    = "optimizer."
	halfPrefix    = "half." // weights rounded to fp16, as the layers use them
	averagePrefix = "average."
)

// MismatchError reports a sound checkpoint of another model, optimizer or kind of run than
// the one that is to take it.
type MismatchError struct{ text string }

func (e *MismatchError) Error() string { return "trainer: the checkpoint " + e.text }

func mismatchf(format string, args ...any) error { return &MismatchError{fmt.Sprintf(format, args...)} }

// state is what a checkpoint's metadata holds of a trainer.
type state struct {
	Version        int             `json:"version"`
	Precision      string          `json:"precision"`
	Progress       Progress        `json:"progress"`
	OptimizerSteps int64           `json:"optimizer_steps"`
	Scaler         lossscale.State `json:"scaler"`
}

const stateVersion = 3

// Checkpoint returns all that is needed to continue the run bit for bit. The tensors are the
// master weights under the names of the parameters, the averaged weights and the
// optimizer's slots, and for other programs the weights in fp16. The metadata holds the
// loss scaler's state and the progress, from which the order of the data and the numbers
// of random layers follow. The caller may add metadata of its own. The tensors share the
// trainer's memory.
//
// The error is a [*DivergedError] if the weights or the optimizer's state are not finite.
func (t *Trainer) Checkpoint() (*checkpoint.File, error) {
	if err := t.diverged(t.progress.Steps); err != nil {
		return nil, err
	}
	opt := t.cfg.Optimizer.State()
	s, err := json.Marshal(state{
		Version: stateVersion, Precision: t.cfg.Precision.String(), Progress: t.progress,
		OptimizerSteps: opt.Steps, Scaler: t.cfg.Scaler.State(),
	})
	if err != nil {
		return nil, fmt.Errorf("trainer: %w", err)
	}
	f := &checkpoint.File{Metadata: map[string]string{metadataKey: string(s)}}
	for i, p := range t.params {
		f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, Elements: tensor.Of(p.Master)})
		if t.cfg.Precision == tensor.F16 {
			f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: halfPrefix + p.Name, Shape: p.Shape, Elements: p.Working})
		}
		if t.average != nil {
			f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: averagePrefix + p.Name, Shape: p.Shape, Elements: tensor.Of(t.average[i])})
		}
	}
	for _, s := range opt.Slots {
		f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: slotPrefix + s.Name, Shape: []int{len(s.Values)}, Elements: tensor.Of(s.Values)})
	}
	return f, nil
}

// SavedProgress returns how far a run had come when it made the checkpoint f. The error
// is a [*MismatchError] if f holds weights but no run.
func SavedProgress(f *checkpoint.File) (Progress, error) {
	s, err := savedState(f)
	return s.Progress, err
}

func savedState(f *checkpoint.File) (s state, err error) {
	text, ok := f.Metadata[metadataKey]
	if !ok {
		return s, mismatchf("has no %q in its metadata: it holds weights, but no run to continue", metadataKey)
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("trainer: the checkpoint's %q is not the state of a trainer: %w", metadataKey, err)
	}
	if s.Version != stateVersion {
		return s, mismatchf("is of a run of version %d, want %d: the halfgrad that made it can continue it", s.Version, stateVersion)
	}
	return s, nil
}

// Restore puts the trainer where it was when f was made. The error says what in f is not
// valid, such as weights that are not finite, or does not fit the trainer's model,
// optimizer, precision or scaler. The latter is a [*MismatchError]. After an error the
// trainer is as it was before.
func (t *Trainer) Restore(f *checkpoint.File) error {
	s, err := savedState(f)
	if err != nil {
		return err
	}
	p := s.Progress
	switch {
	case s.Precision != t.cfg.Precision.String():
		return mismatchf("is of a run in %s, this one is in %v", s.Precision, t.cfg.Precision)
	case p.Epoch < 0 || p.Batch < 0 || p.Steps < 0 || p.Skipped < 0 || p.Samples < 0 || p.NonFinite < 0 || p.EpochSkipped < 0 || s.OptimizerSteps < 0 ||
		p.BestEpoch < 0 || p.BestEpoch > p.Epoch:
		return fmt.Errorf("trainer: the checkpoint's progress is not one: %+v, %d optimizer steps", p, s.OptimizerSteps)
	}
	if err := check(f, "", t.params); err != nil {
		return err
	}
	if t.average != nil {
		if err := check(f, averagePrefix, t.params); err != nil {
			return err
		}
	}
	opt := t.cfg.Optimizer.State()
	if err := checkSlots(opt, f); err != nil {
		return err
	}
	if err := t.cfg.Scaler.Restore(s.Scaler); err != nil {
		return fmt.Errorf("trainer: the checkpoint's loss scale: %w", err)
	}
	load(f, "", t.params)
	for i := range t.average {
		stored, _ := f.Tensor(averagePrefix + t.params[i].Name)
		copy(t.average[i], stored.Float32s())
	}
	for _, slot := range opt.Slots {
		stored, _ := f.Tensor(slotPrefix + slot.Name)
		copy(slot.Values, stored.Float32s())
	}
	opt.Steps, t.progress = s.OptimizerSteps, p
	return nil
}

// checkSlots returns an error unless f has all slots of an optimizer, with finite values.
func checkSlots(opt *optim.State, f *checkpoint.File) error {
	for _, slot := range opt.Slots {
		stored, ok := f.Tensor(slotPrefix + slot.Name)
		if !ok {
			return mismatchf("has no tensor %s: was it made with another optimizer?", slotPrefix+slot.Name)
		}
		if n := stored.Elements.Len(); n != len(slot.Values) {
			return mismatchf("has %d values in %s, want %d", n, stored.Name, len(slot.Values))
		}
		if err := checkFinite(stored); err != nil {
			return err
		}
	}
	return nil
}

// LoadWeights sets the parameters of a graph, which may be blank, to the weights in f: to the averaged weights if
// the run had them, else to the master weights. The error names the first parameter that
// is not finite in f or, as a [*MismatchError], that f lacks or has in another shape.
// After an error the graph is as it was before.
func LoadWeights(graph *nn.Graph, f *checkpoint.File) error {
	params, prefix := graph.Params(), ""
	if len(params) > 0 {
		if _, ok := f.Tensor(averagePrefix + params[0].Name); ok {
			prefix = averagePrefix
		}
	}
	if err := check(f, prefix, params); err != nil {
		return err
	}
	load(f, prefix, params)
	return nil
}

// check returns an error unless f has all parameters, under their names after the prefix,
// in their shapes and with finite values.
func check(f *checkpoint.File, prefix string, params []*nn.Param) error {
	for _, p := range params {
		stored, ok := f.Tensor(prefix + p.Name)
		if !ok {
			return mismatchf("has no parameter %s", prefix+p.Name)
		}
		if !slices.Equal(stored.Shape, p.Shape) {
			return mismatchf("has %s in the shape %v, the model in %v", stored.Name, stored.Shape, p.Shape)
		}
		if err := checkFinite(stored); err != nil {
			return err
		}
	}
	return nil
}

// checkFinite returns an error if a value of a tensor is not a finite floating-point number.
func checkFinite(stored checkpoint.Tensor) error {
	if t := stored.Elements.DType(); t == tensor.I32 {
		return fmt.Errorf("trainer: the checkpoint's tensor %s is of %v: want floating-point numbers", stored.Name, t)
	}
	if i := stored.Elements.FirstNonFinite(); i >= 0 {
		return fmt.Errorf("trainer: the checkpoint's tensor %s has %v at index %d: want finite numbers, which a run that diverged has lost", stored.Name, stored.Float32s()[i], i)
	}
	return nil
}

// load sets parameters to the values in f, which check has found sound.
func load(f *checkpoint.File, prefix string, params []*nn.Param) {
	for _, p := range params {
		stored, _ := f.Tensor(prefix + p.Name)
		if p.Master == nil {
			p.Master = make([]float32, p.Len())
		}
		copy(p.Master, stored.Float32s())
		p.Sync()
	}
}

// WeightsSHA256 returns the SHA-256, in hexadecimal, of a graph's fp32 master
// weights: little endian, in the order of the parameters. Two runs with the same
// hash have learned the same, bit for bit.
func WeightsSHA256(graph *nn.Graph) string {
	hash := sha256.New()
	var b []byte
	for _, p := range graph.Params() {
		b = b[:0]
		for _, w := range p.Master {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(w))
		}
		hash.Write(b)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
