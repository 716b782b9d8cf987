package trainer

import (
	"context"
	"fmt"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// Metrics says how well a model does on a data set.
type Metrics struct {
	Samples int
	Correct int     // samples whose largest logit is at their label
	Loss    float64 // mean cross-entropy
}

// Accuracy returns the share of samples that are classified correctly.
func (m Metrics) Accuracy() float64 { return float64(m.Correct) / float64(max(m.Samples, 1)) }

// Evaluate runs the trainer's model over all of ds, in its precision, with the
// averaged weights where Config.Average asks for them. The error is ctx's, or the
// loader's if ds is empty.
func (t *Trainer) Evaluate(ctx context.Context, ds data.Dataset) (m Metrics, err error) {
	t.averaged(func() {
		m, err = Evaluate(ctx, &nn.Context{Engine: t.cfg.Engine}, t.cfg.Model, t.cfg.Precision, ds)
	})
	return m, err
}

// evalBatch is the number of samples evaluated at once.
const evalBatch = 500

// Evaluate runs a model over all of ds, in order, in the given precision. The
// error is ctx's, or the loader's if ds is empty.
func Evaluate(ctx context.Context, nc *nn.Context, model nn.Layer, precision tensor.DType, ds data.Dataset) (Metrics, error) {
	loader, err := data.NewLoader(ds, data.LoaderConfig{BatchSize: evalBatch, DType: precision, Engine: nc.Engine})
	if err != nil {
		return Metrics{}, fmt.Errorf("trainer: %w", err)
	}
	var loss nn.CrossEntropy
	var m Metrics
	for b, ok := loader.Next(); ok; b, ok = loader.Next() {
		if err := ctx.Err(); err != nil {
			return Metrics{}, err
		}
		sum, correct := loss.Evaluate(model.Forward(nc, b.X), b.Labels)
		m.Samples += len(b.Labels)
		m.Correct += correct
		m.Loss += sum
	}
	m.Loss /= float64(m.Samples)
	return m, nil
}
