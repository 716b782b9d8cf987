package trainer

import (
	"errors"
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
// The error says that the batch is not of fp32, that gradients have been accumulated,
// or that the model lacks the Traces method of [nn.Sequential].
func (t *Trainer) Inspect(b *data.Batch) ([]Statistic, error) {
	model, ok := t.cfg.Model.(interface{ Traces() []nn.Trace })
	switch {
	case !ok:
		return nil, errors.New("trainer: Inspect: the model has no Traces")
	case b.Inputs[0].DType() != tensor.F32:
		return nil, fmt.Errorf("trainer: Inspect: a batch of %v: want fp32", b.Inputs[0].DType())
	case t.window.samples > 0:
		return nil, errors.New("trainer: Inspect: in the middle of a step")
	}
	ctx := t.ctx
	ctx.Profile = nil
	_, dlogits := t.loss.Loss(t.cfg.Model.Forward(&ctx, b.Inputs[0]), labels(nil, b), float32(t.cfg.LossWeight))
	t.cfg.Model.Backward(&ctx, dlogits, false)

	scale := t.cfg.Scaler.Scale()
	var all []Statistic
	for _, trace := range model.Traces() {
		if trace.Output != nil {
			all = append(all, statistic(trace.Output.F32(), 1, Statistic{Layer: trace.Layer, Kind: Activation}))
		}
		if trace.Gradient != nil {
			all = append(all, statistic(trace.Gradient.F32(), scale, Statistic{Layer: trace.Layer, Kind: Gradient}))
		}
		for _, p := range trace.Params {
			all = append(all, statistic(p.Grad, scale, Statistic{Layer: trace.Layer, Kind: WeightGradient, Name: p.Name}))
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
