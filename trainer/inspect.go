package trainer

import (
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// Kind says what a [Statistic] is of.
type Kind string

// The kinds.
const (
	Activation     Kind = "activation"      // the output of a layer
	Gradient       Kind = "gradient"        // of the loss by the output of a layer
	WeightGradient Kind = "weight gradient" // of the loss by a parameter; halfgrad never rounds it to fp16
)

// Statistic says how some values, computed in fp32, fit into fp16. Shares count values
// that are not zero.
type Statistic struct {
	Layer  string // such as "0 (Linear 784→256)"
	Kind   Kind
	Name   string  // of the parameter; "" for the other kinds
	Values int     // that are not zero
	Max    float64 // the largest magnitude, with no loss scale

	// At the present loss scale, if these are gradients:
	Zero      float64 // the share that rounds to zero
	Subnormal float64 // the share that rounds to a subnormal, with less than 11 bits
	Overflow  float64 // the share that rounds to an infinity, or is an infinity or a NaN

	// With no loss scale:
	UnscaledZero      float64
	UnscaledSubnormal float64
}

// Inspect shows why the loss scale matters: it takes a batch forward and backward in fp32,
// where nothing is lost, and returns what fp16 would lose in each layer. It changes
// neither the weights nor the course of the run.
//
// The plan that it makes keeps every value, so it takes more memory than a step. The error
// says that the batch is not of fp32, or how it does not fit.
func (t *Trainer) Inspect(b *data.Batch) ([]Statistic, error) {
	for _, x := range b.Inputs {
		if x.DType() != tensor.F32 && x.DType() != tensor.I32 {
			return nil, fmt.Errorf("trainer: Inspect: a batch of %v: want fp32", x.DType())
		}
	}
	plan, err := t.cfg.Graph.Plan(nn.PlanConfig{Engine: t.cfg.Engine, Batch: b.Len(), Precision: tensor.F32, Training: true, Keep: true})
	if err != nil {
		return nil, fmt.Errorf("trainer: Inspect: %w", err)
	}
	if err := checkTargets(t.cfg.Graph, t.cfg.Loss, b); err != nil {
		return nil, err
	}
	if err := plan.Forward(nn.Position{Epoch: t.progress.Epoch, First: b.First}, b.Inputs, b.Finite); err != nil {
		return nil, fmt.Errorf("trainer: Inspect: %w", err)
	}
	call := nn.LossCall{Engine: t.cfg.Engine, Targets: b.Targets}
	if weight := t.cfg.Loss.Weight(b.Targets); weight > 0 {
		call.Factor = float32(t.cfg.LossWeight) / float32(weight)
	}
	for i := range t.cfg.Graph.Outputs() {
		call.Outputs, call.DOut = append(call.Outputs, plan.Output(i)), append(call.DOut, plan.OutputGradient(i))
	}
	t.cfg.Loss.Sum(&call)
	plan.Backward(false)

	scale := t.cfg.Scaler.Scale()
	var all []Statistic
	for _, trace := range plan.Traces() {
		layer := trace.Node.String()
		all = append(all, statistic(trace.Output.F32(), 1, Statistic{Layer: layer, Kind: Activation}))
		if trace.Gradient != nil {
			all = append(all, statistic(trace.Gradient.F32(), scale, Statistic{Layer: layer, Kind: Gradient}))
		}
		for i, p := range trace.Params {
			all = append(all, statistic(trace.Grads[i], scale, Statistic{Layer: layer, Kind: WeightGradient, Name: p.Name}))
		}
	}
	return all, nil
}

// statistic completes s for some values.
func statistic(values []float32, scale float32, s Statistic) Statistic {
	var zero, subnormal, overflow, unscaledZero, unscaledSubnormal, ignored int
	for _, v := range values {
		if v == 0 {
			continue
		}
		s.Values++
		s.Max = math.Max(s.Max, math.Abs(float64(v)))
		round(v*scale, &zero, &subnormal, &overflow)
		round(v, &unscaledZero, &unscaledSubnormal, &ignored)
	}
	share := func(n int) float64 { return float64(n) / float64(max(s.Values, 1)) }
	s.Zero, s.Subnormal, s.Overflow = share(zero), share(subnormal), share(overflow)
	s.UnscaledZero, s.UnscaledSubnormal = share(unscaledZero), share(unscaledSubnormal)
	return s
}

// round counts what v becomes in fp16 unless that is a normal number. v is not zero.
func round(v float32, zero, subnormal, overflow *int) {
	switch h := fp16.FromFloat32(v); {
	case h&0x7fff == 0:
		*zero++
	case h&0x7c00 == 0:
		*subnormal++
	case h&0x7c00 == 0x7c00:
		*overflow++
	}
}
