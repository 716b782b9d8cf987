// Package trainer is the mixed-precision training loop: it connects a model, an
// optimizer, a loss scaler and a data loader.
//
// One step goes like this:
//
//	forward in fp16, fp32 inside     outputs = graph(inputs)
//	loss in fp32, gradient × scale   for cross-entropy scale/batch · (softmax − onehot)
//	backward in fp16, fp32 inside    fp32 gradients of the parameters, × scale
//	unscale and check, in fp32       any infinity or NaN?
//	  no:  the optimizer updates the fp32 master weights and their fp16 copies
//	  yes: nothing is updated, and the scale backs off
//
// In fp16 the last two lines are one pass for the parameters whose gradients [nn.Plan]
// streams, if the optimizer is [optim.Piecewise] and gradients are neither clipped nor
// accumulated. A weight's gradient is a sum of products of activations and their
// gradients. If these are finite, which is known as soon as they are computed, so is the
// sum. The optimizer therefore takes gradients out of the cache while they are computed,
// and nothing stores them. A step with an overflow is skipped before that. The weights get
// the same bits.
//
// A batch that is larger than [Config].Batch is taken in parts. The gradients of the parts
// continue each other's chains of additions, so that the step has the bits of one pass
// over the whole batch, in less memory.
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
	Graph     *nn.Graph
	Loss      nn.Loss         // of the graph's outputs
	Optimizer optim.Optimizer // of Graph.Params(), all of them in that order
	Scaler    *lossscale.Scaler
	Schedule  Schedule
	Precision tensor.DType // of activations and their gradients: fp16 or fp32

	// Batch is the most samples of a pass: larger batches are split into parts, which
	// changes no bit of the result. 0 does not split.
	Batch int

	LossWeight float64 // factor of the loss that is minimised, not of the loss that is reported: 0 for 1, or from 1.2e-38 to 3.4e38
	Clip       Clip
	Average    float64 // decay of the averaged weights, in [0, 1), see [Trainer.Evaluate]; 0 for none. (--ema 0.999, measured as for Clip: 108,000.)

	Profile *nn.Profile // where not nil, gets the phases of every step

	// OnGradient, where not nil, is called before each backward pass with the gradient of
	// the loss by the first output, times the loss scale, and may change it. step is the
	// number of steps before. Where a pass overflows it is called again, when the trainer
	// looks for the place. Tests use it to make a step overflow.
	OnGradient func(step int64, gradient *tensor.Tensor)
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

// Trainer trains a graph. It is not safe for concurrent use.
type Trainer struct {
	cfg      Config
	params   []*nn.Param
	average  [][]float32 // of params' masters; nil without averaging
	progress Progress

	plan       *nn.Plan // nil before the first batch, and where that asks for another
	planned    int      // the rows that it is for
	splits     bool     // whether batches have been split: gradients are stored then
	maxUnscale float64  // the largest factor that it is for
	loss       nn.LossCall
	inputs     []*tensor.Tensor // the present part
	targets    []*tensor.Tensor
	sink       sink

	evaluator *evaluator // made when first needed
}

// sink hands gradients to the optimizer.
type sink struct {
	optimizer optim.Piecewise // nil if the optimizer takes whole gradients only
	engine    *kernels.Engine
}

// Take implements [nn.Sink].
func (s *sink) Take(param, from int, grad []float32) {
	s.optimizer.UpdatePart(s.engine, param, from, grad)
}

// New returns a trainer. The error says what cfg lacks, or what in it is out of range.
func New(cfg Config) (*Trainer, error) {
	if cfg.Engine == nil || cfg.Graph == nil || cfg.Loss == nil || cfg.Optimizer == nil || cfg.Scaler == nil || cfg.Schedule == nil {
		return nil, errors.New("trainer: Config: an engine, a graph, a loss, an optimizer, a scaler and a schedule are all needed")
	}
	if err := cfg.Graph.Err(); err != nil {
		return nil, fmt.Errorf("trainer: %w", err)
	}
	if cfg.LossWeight == 0 {
		cfg.LossWeight = 1
	}
	switch {
	case cfg.Precision != tensor.F16 && cfg.Precision != tensor.F32:
		return nil, fmt.Errorf("trainer: Config: the precision is %v: want fp16 or fp32", cfg.Precision)
	case cfg.Batch < 0:
		return nil, fmt.Errorf("trainer: Config: passes of %d samples: want at least 1, or 0 for whole batches", cfg.Batch)
	case !factor(cfg.LossWeight):
		return nil, fmt.Errorf("trainer: Config: the loss weight is %v: want a number from %.2g to %.2g", cfg.LossWeight, smallest, math.MaxFloat32)
	case cfg.Clip.Norm != 0 && !factor(cfg.Clip.Norm) || cfg.Clip.Value != 0 && !factor(cfg.Clip.Value):
		return nil, fmt.Errorf("trainer: Config: gradients clipped to a norm of %v and values of %v: want 0 for no bound, or a number from %.2g to %.2g",
			cfg.Clip.Norm, cfg.Clip.Value, smallest, math.MaxFloat32)
	case !(cfg.Average >= 0 && cfg.Average < 1):
		return nil, fmt.Errorf("trainer: Config: the decay of averaged weights is %v: want 0 or more and less than 1", cfg.Average)
	case cfg.Graph.Blank():
		return nil, errors.New("trainer: Config: the graph is blank: its parameters have no values to train")
	case !slices.Equal(cfg.Optimizer.Params(), cfg.Graph.Params()):
		return nil, errors.New("trainer: Config: the optimizer is for other parameters than the graph's: want one for Graph.Params(), all of them in that order")
	}
	// Find what the graph lacks, and have the working copies of the parameters made, without
	// memory for gradients.
	plan := nn.PlanConfig{Engine: cfg.Engine, Batch: 1, Precision: cfg.Precision, Training: true}
	if _, err := cfg.Graph.Measure(plan); err != nil {
		return nil, fmt.Errorf("trainer: %w", err)
	}
	plan.Training = false
	if _, err := cfg.Graph.Plan(plan); err != nil {
		return nil, fmt.Errorf("trainer: %w", err)
	}
	t := &Trainer{cfg: cfg, params: cfg.Graph.Params(), loss: nn.LossCall{Engine: cfg.Engine}}
	t.sink.engine = cfg.Engine
	if o, ok := cfg.Optimizer.(optim.Piecewise); ok && cfg.Clip == (Clip{}) {
		t.sink.optimizer = o
	}
	for range cfg.Graph.Inputs() {
		t.inputs = append(t.inputs, new(tensor.Tensor))
	}
	for _, p := range t.params {
		if cfg.Average > 0 {
			t.average = append(t.average, slices.Clone(p.Master))
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

// Step takes a step by the mean gradient of a batch. The error is
//   - a [*DivergedError] if the gradients overflow because weights are not finite or, in
//     fp32, if the loss is not finite although the inputs are;
//   - an [*OverflowError], which names the layer that overflowed first, if the gradients
//     overflow and the loss scale cannot be lowered any further;
//   - one that tells the learning rate if the schedule gives one that is negative, not
//     finite, or too large for fp32;
//   - one that says how the batch does not fit the graph or the loss.
//
// In all these cases the weights are as they were after the last step that was taken.
func (t *Trainer) Step(b *data.Batch) (StepResult, error) {
	scaler := t.cfg.Scaler
	r := StepResult{LearningRate: t.cfg.Schedule(t.cfg.Optimizer.State().Steps)}
	if !(r.LearningRate >= 0 && r.LearningRate <= math.MaxFloat32) {
		return r, fmt.Errorf("trainer: step %d: the schedule gives a learning rate of %v: want a number from 0 to %.2g",
			t.progress.Steps+1, r.LearningRate, math.MaxFloat32)
	}
	if err := t.ready(b); err != nil {
		return r, err
	}
	finiteGradients, err := t.pass(b)
	if err != nil {
		return r, err
	}
	weight := t.cfg.Loss.Weight(b.Targets)
	if weight > 0 {
		r.Loss = t.loss.Sum / weight
	}
	t.count(b, r.Loss)

	// The gradients stay scaled: the optimizer divides them as it reads them.
	unscale := scaler.Inverse()
	r.Skipped = !finiteGradients || !t.finite(unscale)
	t.cfg.Profile.Lap("check")
	if !finite(r.Loss) {
		if t.cfg.Precision == tensor.F32 && !nonFiniteInput(b) {
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
		if r.Overflow, err = t.findOverflow(b, unscale); err != nil {
			return r, err
		}
		t.progress.Skipped++
		t.progress.EpochSkipped++
	} else {
		r.GradNorm, unscale = t.clip(unscale)
		t.update(r.LearningRate, unscale)
		t.updateAverage()
		if err := scaler.Stepped(); err != nil {
			return r, fmt.Errorf("trainer: %w", err)
		}
	}
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

// ready makes a plan for a batch, unless there is one that does.
func (t *Trainer) ready(b *data.Batch) error {
	rows, parts := b.Len(), false
	if t.cfg.Batch > 0 && rows > t.cfg.Batch {
		rows, parts = t.cfg.Batch, true
	}
	unscale := float64(t.cfg.Scaler.Inverse())
	if t.plan != nil && rows <= t.planned && (t.splits || !parts) && unscale <= t.maxUnscale {
		return nil
	}
	if err := checkTargets(t.cfg.Graph, t.cfg.Loss, b); err != nil {
		return err
	}
	t.targets = t.targets[:0]
	for range b.Targets {
		t.targets = append(t.targets, new(tensor.Tensor))
	}
	t.splits = t.splits || parts
	t.planned = max(rows, t.planned, t.cfg.Batch)
	t.maxUnscale = max(t.maxUnscale, unscale)
	if c := t.cfg.Scaler.Config(); c.Mode == lossscale.Dynamic {
		t.maxUnscale = max(t.maxUnscale, 1/float64(c.Floor))
	}
	t.plan = nil // which frees its memory before there is another
	plan, err := t.cfg.Graph.Plan(nn.PlanConfig{
		Engine: t.cfg.Engine, Batch: t.planned, Precision: t.cfg.Precision, Training: true, Profile: t.cfg.Profile,
		Stream: t.sink.optimizer != nil && !t.splits, MaxUnscale: t.maxUnscale,
	})
	if err != nil {
		return fmt.Errorf("trainer: %w", err)
	}
	t.plan = plan
	t.loss.Outputs, t.loss.DOut = nil, nil
	for i := range t.cfg.Graph.Outputs() {
		t.loss.Outputs = append(t.loss.Outputs, plan.Output(i))
		t.loss.DOut = append(t.loss.DOut, plan.OutputGradient(i))
	}
	t.loss.Targets = t.targets
	return nil
}

// Memory returns the memory of the plan of the last step, or zeros before the first.
func (t *Trainer) Memory() nn.Memory {
	if t.plan == nil {
		return nn.Memory{}
	}
	return t.plan.Memory()
}

// pass goes forward and backward over all parts of a batch. It returns whether the gradients
// that are streamed are finite, and leaves the sum of the losses in t.loss.Sum.
func (t *Trainer) pass(b *data.Batch) (finite bool, err error) {
	t.loss.Sum = 0
	t.loss.Factor = 0
	if weight := t.cfg.Loss.Weight(b.Targets); weight > 0 {
		t.loss.Factor = t.cfg.Scaler.Scale() * float32(t.cfg.LossWeight) / float32(weight)
	}
	finite = true
	for from := 0; from < b.Len(); from += t.planned {
		to := min(from+t.planned, b.Len())
		for i, x := range b.Inputs {
			t.inputs[i].ViewRows(x, from, to)
		}
		for i, x := range b.Targets {
			t.targets[i].ViewRows(x, from, to)
		}
		pos := nn.Position{Epoch: t.progress.Epoch, First: b.First + from}
		if err := t.plan.Forward(pos, t.inputs, b.Finite); err != nil {
			return false, fmt.Errorf("trainer: %w", err)
		}
		t.loss.Sum = t.cfg.Loss.Sum(&t.loss)
		if t.cfg.OnGradient != nil {
			t.cfg.OnGradient(t.progress.Steps, t.loss.DOut[0])
		}
		t.cfg.Profile.Lap("loss")
		if t.plan.Overflow() == "" {
			finite = t.plan.Backward(from > 0) && finite
		}
		if t.plan.Overflow() != "" { // in the search for it
			break
		}
	}
	return finite, nil
}

// count adds a batch's loss to the epoch's.
func (t *Trainer) count(b *data.Batch, loss float64) {
	p := &t.progress
	if finite(loss) {
		p.LossSum += loss * float64(b.Len())
		p.Samples += b.Len()
	} else { // it would hide all others of the epoch
		p.NonFinite += b.Len()
	}
}

// nonFiniteInput returns whether an input of a batch is not finite.
func nonFiniteInput(b *data.Batch) bool {
	return slices.ContainsFunc(b.Inputs, func(x *tensor.Tensor) bool {
		return x.DType() != tensor.I32 && x.FirstNonFinite() >= 0
	})
}

// update has the optimizer take a step.
func (t *Trainer) update(rate float64, unscale float32) {
	t.cfg.Optimizer.Begin(rate, unscale)
	for i := range t.params {
		if grad := t.plan.Gradient(i); grad != nil {
			t.cfg.Optimizer.Update(t.cfg.Engine, i, grad)
		}
	}
	t.cfg.Profile.Lap("optimizer")
	t.plan.Stream(&t.sink)
	t.plan.Commit()
}

// finite returns whether x is neither infinite nor NaN.
func finite(x float64) bool { return x-x == 0 }

// finite returns whether all gradients that are stored, times unscale, are finite.
func (t *Trainer) finite(unscale float32) bool {
	for i := range t.params {
		if grad := t.plan.Gradient(i); grad != nil && !t.cfg.Engine.Finite(grad, unscale) {
			return false
		}
	}
	return true
}

// clip bounds the gradients and returns their norm, if it is bounded. unscale is the factor
// that takes out the loss scale, and by the one that bounds the norm as well.
func (t *Trainer) clip(unscale float32) (norm float64, by float32) {
	c := t.cfg.Clip
	if c.Value > 0 {
		for i := len(t.params) - 1; i >= 0; i-- {
			t.cfg.Engine.Clamp(t.plan.Gradient(i), float32(c.Value/float64(unscale)))
		}
	}
	if c.Norm > 0 {
		squares := 0.0
		for i := range t.params {
			squares += t.cfg.Engine.SumSquares(t.plan.Gradient(i))
		}
		norm = math.Sqrt(squares) * float64(unscale)
		if norm > c.Norm {
			unscale *= float32(c.Norm / norm)
		}
	}
	return norm, unscale
}

// findOverflow passes over a batch again and says where it overflows first.
func (t *Trainer) findOverflow(b *data.Batch, unscale float32) (string, error) {
	t.plan.Trace(true)
	defer t.plan.Trace(false)
	if _, err := t.pass(b); err != nil {
		return "", err
	}
	if where := t.plan.Overflow(); where != "" {
		return where, nil
	}
	if nonFiniteInput(b) {
		return "the input", nil
	}
	for i, p := range slices.Backward(t.params) {
		if grad := t.plan.Gradient(i); grad != nil && !t.cfg.Engine.Finite(grad, unscale) {
			return "the gradient of " + p.Name, nil
		}
	}
	return "an unknown place", nil
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
	Best      float64 `json:"best"`       // the best value so far
	BestEpoch int     `json:"best_epoch"` // its epoch; 0 for none
}

// Progress returns how far the run has come.
func (t *Trainer) Progress() Progress { return t.progress }
