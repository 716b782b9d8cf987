// Package trainer is the mixed-precision training loop: it connects a model, an
// optimizer, a loss scaler and a data loader.
//
// One step goes like this:
//
//	forward in fp16, fp32 inside     logits = model(x)
//	loss in fp32, gradient × scale   dlogits = scale/batch · (softmax − onehot)
//	backward in fp16, fp32 inside    fp32 gradients of the parameters, × scale
//	unscale and check, in fp32       any infinity or NaN?
//	  no:  the optimizer updates the fp32 master weights and their fp16 copies
//	  yes: nothing is updated, and the scale backs off
//
// In fp16 the last two lines are one pass if the model is [nn.Streaming], the optimizer
// is [optim.Piecewise], and gradients are neither clipped nor accumulated. A weight's
// gradient is a sum of products of activations and their gradients. If these are finite,
// which is known as soon as they are computed, so is the sum. The optimizer therefore
// takes gradients out of the cache while they are computed, and nothing stores them. A
// step with an overflow is skipped before that. The weights get the same bits.
//
// A skipped step counts neither for the optimizer nor for the learning-rate schedule.
// With [tensor.F32] as the precision the same loop runs entirely in fp32, the baseline
// that fp16 has to match.
//
// A run whose loss or weights are not finite any more ends with a [*DivergedError], and
// no checkpoint is made of such weights. An overflow in fp16 that a lower loss scale
// or the next batch may mend is not a divergence: its step is skipped.
//
// The package does not print, log or write files. It reports what happens to callbacks.
package trainer

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
	"github.com/halfgrad/halfgrad/tensor"
)

// Config holds the parts of a [Trainer], all of them needed, and options, whose zero
// values ask for nothing.
type Config struct {
	Engine    *kernels.Engine
	Model     nn.Layer        // from features to logits
	Optimizer optim.Optimizer // of Model.Params(), all of them in that order
	Scaler    *lossscale.Scaler
	Schedule  Schedule
	Precision tensor.DType // of activations and their gradients: fp16 or fp32

	Smoothing  float64 // of the labels, in [0, 1), see [nn.CrossEntropy]
	LossWeight float64 // factor of the loss that is minimised, not of the loss that is reported: 0 for 1, or from 1.2e-38 to 3.4e38
	Clip       Clip
	Average    float64 // decay of the averaged weights, in [0, 1), see [Trainer.Evaluate]; 0 for none. (--ema 0.999, measured as for Clip: 108,000.)

	Profile *nn.Profile // where not nil, gets the phases of every step

	// OnGradient, where not nil, is called before each backward pass with the gradient
	// of the loss by the logits, times the loss scale, and may change it. step is the
	// number of steps before. Tests use it to make a step overflow.
	OnGradient func(step int64, dlogits *tensor.Tensor)
}

// Clip bounds the gradients of the parameters, without the loss scale. If both bounds are
// set, values are clipped first. Each bound is 0 for none, or from 1.2e-38 to 3.4e38.
//
// A run that clips stores its gradients, which makes it slower: on one core of a Zen 4,
// 784-256-10 at a batch of 128 takes 107,000 images a second with a bounded norm and 96,000
// with both bounds, instead of 120,000 (`halfgrad train --threads 1 --epochs 4`, with
// --clip-norm 1 and --clip-value 1).
type Clip struct {
	Norm  float64 // if the norm over all parameters is larger, all gradients are multiplied by Norm / norm
	Value float64 // each gradient is moved into [−Value, Value]
}

// Trainer trains a model. It is not safe for concurrent use.
type Trainer struct {
	cfg      Config
	ctx      nn.Context // of training
	loss     nn.CrossEntropy
	labels   []int // of the batch
	params   []*nn.Param
	grads    [][]float32 // of params, in the order in which Backward makes them
	average  [][]float32 // of params' masters; nil without averaging
	progress Progress
	window   window

	// For gradients that go to the optimizer while they are computed:
	model nn.Streaming // nil where the gradients are stored
	sink  sink
}

// window holds the batches that one step takes together.
type window struct {
	first    int         // samples in the first batch
	samples  int         // in all batches
	lossSum  float64     // over the samples
	badInput bool        // whether the input of a batch whose loss is not finite is not finite
	sums     [][]float32 // of gradients, as Trainer.grads; made when first needed
	where    string      // where the first overflow was
}

// sink hands gradients to the optimizer.
type sink struct {
	optimizer optim.Piecewise
	engine    *kernels.Engine
}

// Take implements [nn.GradientSink].
func (s *sink) Take(param, from int, grad []float32) { s.optimizer.Update(s.engine, param, from, grad) }

// New returns a trainer. The error says what cfg lacks, or what in it is out of range.
func New(cfg Config) (*Trainer, error) {
	if cfg.Engine == nil || cfg.Model == nil || cfg.Optimizer == nil || cfg.Scaler == nil || cfg.Schedule == nil {
		return nil, errors.New("trainer: Config: an engine, a model, an optimizer, a scaler and a schedule are all needed")
	}
	if cfg.LossWeight == 0 {
		cfg.LossWeight = 1
	}
	switch {
	case cfg.Precision != tensor.F16 && cfg.Precision != tensor.F32:
		return nil, fmt.Errorf("trainer: Config: the precision is %v: want fp16 or fp32", cfg.Precision)
	case !(cfg.Smoothing >= 0 && cfg.Smoothing < 1):
		return nil, fmt.Errorf("trainer: Config: the label smoothing is %v: want 0 or more and less than 1", cfg.Smoothing)
	case !factor(cfg.LossWeight):
		return nil, fmt.Errorf("trainer: Config: the loss weight is %v: want a number from %.2g to %.2g", cfg.LossWeight, smallest, math.MaxFloat32)
	case cfg.Clip.Norm != 0 && !factor(cfg.Clip.Norm) || cfg.Clip.Value != 0 && !factor(cfg.Clip.Value):
		return nil, fmt.Errorf("trainer: Config: gradients clipped to a norm of %v and values of %v: want 0 for no bound, or a number from %.2g to %.2g",
			cfg.Clip.Norm, cfg.Clip.Value, smallest, math.MaxFloat32)
	case !(cfg.Average >= 0 && cfg.Average < 1):
		return nil, fmt.Errorf("trainer: Config: the decay of averaged weights is %v: want 0 or more and less than 1", cfg.Average)
	case !slices.Equal(cfg.Optimizer.Params(), cfg.Model.Params()):
		return nil, errors.New("trainer: Config: the optimizer is for other parameters than the model's: want one for Model.Params(), all of them in that order")
	}
	t := &Trainer{
		cfg: cfg, params: cfg.Model.Params(),
		ctx:  nn.Context{Engine: cfg.Engine, Profile: cfg.Profile, Training: true},
		loss: nn.CrossEntropy{Smoothing: float32(cfg.Smoothing)},
	}
	if cfg.Precision == tensor.F16 {
		for _, p := range t.params {
			p.Sync()
		}
	}
	for i := len(t.params) - 1; i >= 0; i-- {
		t.grads = append(t.grads, t.params[i].Grad)
	}
	if cfg.Average > 0 {
		for _, p := range t.params {
			t.average = append(t.average, slices.Clone(p.Master))
		}
	}
	if m, ok := cfg.Model.(nn.Streaming); ok && m.Streams() && cfg.Precision == tensor.F16 && cfg.Clip == (Clip{}) {
		if o, ok := cfg.Optimizer.(optim.Piecewise); ok {
			t.model, t.sink = m, sink{o, cfg.Engine}
		}
	}
	return t, nil
}

// smallest is the smallest normal fp32 number, 1.2e-38.
const smallest = 0x1p-126

// factor returns whether x, which a step rounds to fp32, neither underflows nor overflows.
func factor(x float64) bool { return x >= smallest && x <= math.MaxFloat32 }

// StepResult says what a step did.
type StepResult struct {
	Loss         float64         // the mean over the samples of its batches, before the step; not finite if the forward pass overflowed
	LearningRate float64         // of the step
	GradNorm     float64         // of the gradients before they were clipped by norm; 0 without such a bound, or if skipped
	Scale        lossscale.Event // what became of the loss scale
	Skipped      bool            // whether the gradients or the loss overflowed, so that no step was taken
	Overflow     string          // where they first did, if so
}

// Accumulate adds the gradients of a batch to those of the next [Trainer.Step]. That step
// takes the mean over the samples of its own batch and of all batches accumulated before
// it, as if they were one batch. Step decides once whether they overflowed, and the
// loss scale stays the same until then.
func (t *Trainer) Accumulate(b *data.Batch) error {
	dlogits, err := t.forward(b)
	if err != nil {
		return err
	}
	t.cfg.Model.Backward(&t.ctx, dlogits, false)
	w := &t.window
	if w.sums == nil {
		for _, grad := range t.grads {
			w.sums = append(w.sums, make([]float32, len(grad)))
		}
	}
	if unscale := t.cfg.Scaler.Inverse(); w.where == "" && !(finite(w.lossSum) && t.finite(unscale)) {
		w.where = t.firstOverflow(b.Inputs[0], unscale, false)
	}
	for i, grad := range t.grads {
		if w.samples == b.Len() { // the first
			copy(w.sums[i], grad)
		} else {
			t.add(w.sums[i], grad)
		}
	}
	t.progress.Batch++
	return nil
}

// OverflowError reports that the gradients go on overflowing and no loss scale helps.
type OverflowError struct {
	Step  int64  // the last step, from 1
	Where string // where it first overflowed, such as "the output of layer 0 (Linear 784→256)"
	Err   error  // a [*lossscale.DivergedError]
}

func (e *OverflowError) Error() string {
	return fmt.Sprintf("trainer: step %d: %v; the overflow began in %s", e.Step, e.Err, e.Where)
}

func (e *OverflowError) Unwrap() error { return e.Err }

// Step takes a step by the gradients of a batch, and of the batches that were accumulated
// before it. The error is
//   - a [*DivergedError] if the gradients overflow because weights are not finite or, in
//     fp32, if the loss is not finite although the inputs are;
//   - an [*OverflowError], which names the layer that overflowed first, if the gradients
//     overflow and the loss scale cannot be lowered any further;
//   - one that tells the learning rate if the schedule gives one that is negative, not
//     finite, or too large for fp32.
//
// In all these cases the model is as it was after the last step that was taken.
func (t *Trainer) Step(b *data.Batch) (StepResult, error) {
	scaler := t.cfg.Scaler
	r := StepResult{LearningRate: t.cfg.Schedule(t.cfg.Optimizer.State().Steps)}
	if !(r.LearningRate >= 0 && r.LearningRate <= math.MaxFloat32) {
		return r, fmt.Errorf("trainer: step %d: the schedule gives a learning rate of %v: want a number from 0 to %.2g",
			t.progress.Steps+1, r.LearningRate, math.MaxFloat32)
	}
	dlogits, err := t.forward(b)
	if err != nil {
		return r, err
	}

	// The gradients stay scaled: the optimizer divides them as it reads them.
	w := &t.window
	r.Loss = w.lossSum / float64(w.samples)
	unscale := scaler.Inverse()
	whole := w.samples == b.Len()
	if !whole {
		unscale /= float32(w.samples) / float32(w.first)
	}
	streams := whole && t.streams(b.Len(), unscale)
	if streams {
		r.Skipped = !t.model.BackwardInputs(&t.ctx, dlogits, b.Finite)
	} else {
		t.cfg.Model.Backward(&t.ctx, dlogits, false)
		if !whole {
			for i, grad := range t.grads {
				t.add(grad, w.sums[i])
			}
		}
		r.Skipped = !t.finite(unscale)
		t.ctx.Profile.Lap("check")
	}
	if !finite(r.Loss) {
		if t.cfg.Precision == tensor.F32 && !w.badInput {
			t.window = window{sums: w.sums}
			if err := t.diverged(t.progress.Steps + 1); err != nil {
				return r, err
			}
			return r, &DivergedError{Step: t.progress.Steps + 1, Where: "the loss", Value: r.Loss}
		}
		r.Skipped = true // a logit of −Inf would leave the gradients finite
	}
	if err := scaler.Checked(r.Skipped); err != nil {
		return r, fmt.Errorf("trainer: %w", err)
	}
	if r.Skipped {
		if r.Overflow = w.where; r.Overflow == "" {
			r.Overflow = t.firstOverflow(b.Inputs[0], unscale, streams)
		}
		t.progress.Skipped++
		t.progress.EpochSkipped++
	} else {
		if streams {
			t.sink.optimizer.Begin(r.LearningRate, unscale)
			t.model.StreamGradients(&t.ctx, &t.sink)
		} else {
			r.GradNorm, unscale = t.clip(unscale)
			t.cfg.Optimizer.Step(t.cfg.Engine, r.LearningRate, unscale)
			t.ctx.Profile.Lap("optimizer")
		}
		t.updateAverage()
		if err := scaler.Stepped(); err != nil {
			return r, fmt.Errorf("trainer: %w", err)
		}
	}
	t.window = window{sums: w.sums}
	t.progress.Steps++
	t.progress.Batch++

	r.Scale, err = scaler.Update()
	if r.Skipped {
		if err := t.diverged(t.progress.Steps); err != nil {
			return r, err
		}
	}
	if err != nil {
		return r, &OverflowError{Step: t.progress.Steps, Where: r.Overflow, Err: err}
	}
	return r, nil
}

// labels returns the one target of each sample, in the memory of into.
func labels(into []int, b *data.Batch) []int {
	into = into[:0]
	for _, label := range b.Targets[0].I32() {
		into = append(into, int(label))
	}
	return into
}

// forward computes a batch's loss, notes it, and returns its gradient by the logits,
// scaled. The gradient is the sum over the samples divided by the size of the window's
// first batch, so that the gradients of all batches can be added up.
func (t *Trainer) forward(b *data.Batch) (dlogits *tensor.Tensor, err error) {
	if b.Inputs[0].DType() != t.cfg.Precision {
		return nil, fmt.Errorf("trainer: a batch of %v for a trainer in %v", b.Inputs[0].DType(), t.cfg.Precision)
	}
	n, w, p := b.Len(), &t.window, &t.progress
	if w.samples == 0 {
		w.first = n
	}
	scale := t.cfg.Scaler.Scale() * float32(t.cfg.LossWeight)
	if n != w.first {
		scale *= float32(n) / float32(w.first)
	}
	t.ctx.Pass = uint64(p.Epoch)<<32 + uint64(p.Batch)
	logits := t.cfg.Model.Forward(&t.ctx, b.Inputs[0])
	t.labels = labels(t.labels, b)
	loss, dlogits := t.loss.Loss(logits, t.labels, scale)
	w.samples += n
	w.lossSum += loss * float64(n)
	if finite(loss) {
		p.LossSum += loss * float64(n)
		p.Samples += n
	} else { // it would hide all others of the epoch
		p.NonFinite += n
		w.badInput = w.badInput || b.Inputs[0].FirstNonFinite() >= 0
	}
	if t.cfg.OnGradient != nil {
		t.cfg.OnGradient(p.Steps, dlogits)
	}
	t.ctx.Profile.Lap("loss")
	return dlogits, nil
}

// add adds one gradient to another.
func (t *Trainer) add(sum, grad []float32) {
	t.cfg.Engine.AddRows(sum, tensor.MatrixF32(grad, 1, len(grad)))
}

// finite returns whether x is neither infinite nor NaN.
func finite(x float64) bool { return x-x == 0 }

// finite returns whether all gradients, times unscale, are finite.
func (t *Trainer) finite(unscale float32) bool {
	return !slices.ContainsFunc(t.grads, func(grad []float32) bool { return !t.cfg.Engine.Finite(grad, unscale) })
}

// clip bounds the gradients and returns their norm, if it is bounded. unscale is the factor
// that takes out the loss scale, and by the one that bounds the norm as well.
func (t *Trainer) clip(unscale float32) (norm float64, by float32) {
	c := t.cfg.Clip
	if c.Value > 0 {
		for _, grad := range t.grads {
			t.cfg.Engine.Clamp(grad, float32(c.Value/float64(unscale)))
		}
	}
	if c.Norm > 0 {
		squares := 0.0
		for _, p := range t.params {
			squares += t.cfg.Engine.SumSquares(p.Grad)
		}
		norm = math.Sqrt(squares) * float64(unscale)
		if norm > c.Norm {
			unscale *= float32(c.Norm / norm)
		}
	}
	return norm, unscale
}

// streams returns whether the optimizer can take the gradients of a batch while
// they are computed. They are sums, over the batch, of products of fp16 values. These
// sums must be finite in fp32 for any values, before and after unscaling.
func (t *Trainer) streams(batch int, unscale float32) bool {
	return t.model != nil && float64(batch)*fp16.Max*fp16.Max*max(float64(unscale), 1) < math.MaxFloat32
}

// firstOverflow says where the last pass overflowed first.
func (t *Trainer) firstOverflow(x *tensor.Tensor, unscale float32, streamed bool) string {
	if m, ok := t.cfg.Model.(interface{ FirstOverflow() string }); ok {
		if where := m.FirstOverflow(); where != "" {
			return where
		}
	}
	if x.FirstNonFinite() >= 0 {
		return "the input"
	}
	for i, grad := range t.grads {
		if !streamed && !t.cfg.Engine.Finite(grad, unscale) {
			return "the gradient of " + t.params[len(t.params)-1-i].Name
		}
	}
	return "an unknown place"
}

// Progress is how far a run has come. It is part of a checkpoint.
type Progress struct {
	Epoch   int   `json:"epoch"`   // epochs completed
	Batch   int   `json:"batch"`   // batches done in the current epoch
	Steps   int64 `json:"steps"`   // in all, skipped steps included
	Skipped int64 `json:"skipped"` // steps skipped in all

	// In the current epoch:
	LossSum      float64 `json:"loss_sum"`             // over Samples
	Samples      int     `json:"samples"`              // with a finite loss
	NonFinite    int     `json:"non_finite,omitempty"` // samples of batches whose loss was not finite
	EpochSkipped int64   `json:"epoch_skipped"`        // steps

	// In validation, see [FitConfig]:
	Best      float64 `json:"best"`       // the highest accuracy so far
	BestEpoch int     `json:"best_epoch"` // the epoch of that accuracy; 0 for none
}

// Progress returns how far the run has come.
func (t *Trainer) Progress() Progress { return t.progress }
