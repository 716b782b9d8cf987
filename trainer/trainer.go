// Package trainer is the mixed-precision training loop: it wires a model, an
// optimizer, a loss scaler and a data loader together.
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
// Where the model is [nn.Streaming] and the optimizer [optim.Piecewise], as those of
// halfgrad are, the last two lines are one pass in fp16: a gradient of a weight is a
// sum of products of activations and their gradients, and finite if these are, which
// is known as they are computed. So the optimizer takes the gradients out of the
// cache while they are computed, and they are never stored; a step that is to be
// skipped is so before they are. The weights get the same bits.
//
// A step that is skipped did not happen for the optimizer's step count and the
// learning-rate schedule. With [tensor.F32] as the precision the same loop runs
// in fp32 throughout, which is the baseline that fp16 has to match.
//
// It does not print, log or write files: what happens is reported to callbacks.
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

// Config holds the parts of a [Trainer]. All of them are needed but Profile.
type Config struct {
	Engine    *kernels.Engine
	Model     nn.Layer // from features to logits
	Optimizer optim.Optimizer
	Scaler    *lossscale.Scaler
	Schedule  Schedule
	Precision tensor.DType // of activations and their gradients: fp16 or fp32
	Profile   *nn.Profile  // where not nil, gets the phases of every step
}

// Trainer trains a model. It is not safe for concurrent use.
type Trainer struct {
	cfg      Config
	ctx      nn.Context
	loss     nn.CrossEntropy
	params   []*nn.Param
	grads    [][]float32 // of params, in the order in which Backward makes them
	progress Progress

	// Where gradients can go to the optimizer while they are computed:
	model nn.Streaming // nil where not
	sink  sink
}

// sink hands gradients to the optimizer.
type sink struct {
	optimizer optim.Piecewise
	engine    *kernels.Engine
}

// Take implements [nn.GradientSink].
func (s *sink) Take(param, from int, grad []float32) { s.optimizer.Update(s.engine, param, from, grad) }

// Params returns the parameters of a model as an optimizer takes them: sharing
// the model's memory and, where the precision is fp16, with an fp16 copy.
func Params(model nn.Layer, precision tensor.DType) []optim.Param {
	var params []optim.Param
	for _, p := range model.Params() {
		if precision == tensor.F16 {
			p.Sync()
		}
		params = append(params, optim.Param{Name: p.Name, Master: p.Master, Half: p.Half, Grad: p.Grad})
	}
	return params
}

// New returns a trainer. The error says what cfg lacks.
func New(cfg Config) (*Trainer, error) {
	switch {
	case cfg.Engine == nil || cfg.Model == nil || cfg.Optimizer == nil || cfg.Scaler == nil || cfg.Schedule == nil:
		return nil, errors.New("trainer: Config: an engine, a model, an optimizer, a scaler and a schedule are all needed")
	case cfg.Precision != tensor.F16 && cfg.Precision != tensor.F32:
		return nil, fmt.Errorf("trainer: Config: the precision is %v: want fp16 or fp32", cfg.Precision)
	}
	t := &Trainer{cfg: cfg, ctx: nn.Context{Engine: cfg.Engine, Profile: cfg.Profile}, params: cfg.Model.Params()}
	for i := len(t.params) - 1; i >= 0; i-- {
		t.grads = append(t.grads, t.params[i].Grad)
	}
	if m, ok := cfg.Model.(nn.Streaming); ok && m.Streams() && cfg.Precision == tensor.F16 {
		if o, ok := cfg.Optimizer.(optim.Piecewise); ok {
			t.model, t.sink = m, sink{o, cfg.Engine}
		}
	}
	return t, nil
}

// StepResult says what a step did.
type StepResult struct {
	Loss         float64         // the batch's mean loss before the step; not finite if the forward pass overflowed
	LearningRate float64         // that the step was taken with
	Scale        lossscale.Event // what became of the loss scale
	Skipped      bool            // whether the gradients overflowed, so that no step was taken
	Overflow     string          // where they first did, if so
}

// Step trains on one batch. The error is not nil if the loss scale cannot be
// lowered any further and the gradients still overflow; it names the layer
// that overflowed first and wraps the scaler's error. The model is then as it
// was after the last step that was taken.
func (t *Trainer) Step(b *data.Batch) (StepResult, error) {
	if b.X.DType() != t.cfg.Precision {
		return StepResult{}, fmt.Errorf("trainer: a batch of %v for a trainer in %v", b.X.DType(), t.cfg.Precision)
	}
	var r StepResult
	scaler := t.cfg.Scaler
	logits := t.cfg.Model.Forward(&t.ctx, b.X)
	var dlogits *tensor.Tensor
	r.Loss, dlogits = t.loss.Loss(logits, b.Labels, scaler.Scale())
	t.ctx.Profile.Lap("loss")

	// The gradients stay scaled: the optimizer divides them as it reads them.
	unscale := scaler.Inverse()
	streams := t.streams(len(b.Labels), unscale)
	if streams {
		r.Skipped = !t.model.BackwardInputs(&t.ctx, dlogits, b.Finite)
	} else {
		t.cfg.Model.Backward(&t.ctx, dlogits, false)
		r.Skipped = slices.ContainsFunc(t.grads, func(grad []float32) bool { return !t.cfg.Engine.Finite(grad, unscale) })
		t.ctx.Profile.Lap("check")
	}
	err := scaler.Checked(r.Skipped)
	if err != nil {
		return r, fmt.Errorf("trainer: %w", err)
	}
	r.LearningRate = t.cfg.Schedule(t.cfg.Optimizer.State().Steps)
	if r.Skipped {
		r.Overflow = t.firstOverflow(b.X, unscale, streams)
		t.progress.Skipped++
		t.progress.EpochSkipped++
	} else {
		if streams {
			t.sink.optimizer.Begin(r.LearningRate, unscale)
			t.model.StreamGradients(&t.ctx, &t.sink)
		} else {
			t.cfg.Optimizer.Step(t.cfg.Engine, r.LearningRate, unscale)
			t.ctx.Profile.Lap("optimizer")
		}
		if err := scaler.Stepped(); err != nil {
			return r, fmt.Errorf("trainer: %w", err)
		}
	}
	if r.Loss-r.Loss == 0 { // one that is not finite would hide all others of the epoch
		t.progress.LossSum += r.Loss * float64(len(b.Labels))
		t.progress.Samples += len(b.Labels)
	}
	t.progress.Steps++
	t.progress.Batch++

	r.Scale, err = scaler.Update()
	if err != nil {
		return r, fmt.Errorf("trainer: batch %d: %w; the overflow began in %s", t.progress.Steps, err, r.Overflow)
	}
	return r, nil
}

// streams returns whether the optimizer can take the gradients of a batch while
// they are computed. They are sums, over the batch, of products of fp16 values, which
// have to be finite in fp32 whatever the values, and divided by the loss scale too.
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
	Batch   int   `json:"batch"`   // batches of the epoch under way that are done
	Steps   int64 `json:"steps"`   // batches done in all, those skipped included
	Skipped int64 `json:"skipped"` // batches skipped in all

	// Of the epoch under way:
	LossSum      float64 `json:"loss_sum"` // over Samples
	Samples      int     `json:"samples"`
	EpochSkipped int64   `json:"epoch_skipped"`
}

// Progress returns how far the run has come.
func (t *Trainer) Progress() Progress { return t.progress }

// Schedule gives the learning rate of a step from the number of steps that
// were taken before it, skipped ones not counted.
type Schedule func(step int64) float64

// Constant is the schedule that always gives rate.
func Constant(rate float64) Schedule { return func(int64) float64 { return rate } }

// Linear is the schedule that falls from rate in a straight line, to reach
// zero after the given number of steps.
func Linear(rate float64, steps int64) Schedule {
	return func(step int64) float64 {
		left := max(steps-step, 0)
		return float64(rate*float64(left)) / float64(steps)
	}
}

// CheckRate returns an error unless rate can be a learning rate: a positive,
// finite number.
func CheckRate(rate float64) error {
	if rate > 0 && !math.IsInf(rate, 1) {
		return nil
	}
	return fmt.Errorf("trainer: the learning rate is %g: want a positive, finite number", rate)
}
