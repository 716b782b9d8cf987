package trainer

import (
	"context"
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// Metrics says how well a model does on a data set.
type Metrics struct {
	Samples   int
	Correct   int               // samples whose largest logit is at their label
	Loss      float64           // mean cross-entropy
	Confusion *metric.Confusion // the predictions by label
}

// Accuracy returns the share of samples that are classified correctly.
func (m Metrics) Accuracy() float64 { return float64(m.Correct) / float64(max(m.Samples, 1)) }

// Prediction is what a model makes of one sample.
type Prediction struct {
	Index       int     // of the sample in its data set
	Label       int     // the true class
	Class       int     // the predicted class, that of the largest logit
	Probability float64 // of Class according to the model: the softmax, computed in fp32
	Loss        float64 // the sample's cross-entropy
}

// Evaluate runs the trainer's model over all of ds, in its precision, with the
// averaged weights if [Config].Average is set. The error is ctx's, or the
// loader's if ds is empty or fails.
func (t *Trainer) Evaluate(ctx context.Context, ds data.Dataset) (m Metrics, err error) {
	t.averaged(func() {
		m, err = Evaluate(ctx, &nn.Context{Engine: t.cfg.Engine}, t.cfg.Model, t.cfg.Precision, ds)
	})
	return m, err
}

// evalBatch is the number of samples evaluated at once.
const evalBatch = 500

// Evaluate runs a model over all of ds, in order, in the given precision. The
// error is ctx's, or the loader's if ds is empty or fails. Each function of observe gets
// the prediction for each sample, in order.
func Evaluate(ctx context.Context, nc *nn.Context, model nn.Layer, precision tensor.DType, ds data.Dataset, observe ...func(Prediction)) (Metrics, error) {
	loader, err := data.NewLoader(ds, data.LoaderConfig{BatchSize: evalBatch, DType: precision})
	if err != nil {
		return Metrics{}, fmt.Errorf("trainer: %w", err)
	}
	var loss nn.CrossEntropy
	var m Metrics
	var row *tensor.Tensor // one sample's logits
	var targets []int
	for b, ok := loader.Next(); ok; b, ok = loader.Next() {
		if err := ctx.Err(); err != nil {
			return Metrics{}, err
		}
		logits := model.Forward(nc, b.Inputs[0])
		targets = labels(targets, b)
		sum, correct := loss.Evaluate(logits, targets)
		if row == nil {
			row = tensor.New(tensor.F32, 1, logits.Matrix().Cols)
			m.Confusion = metric.NewConfusion(logits.Matrix().Cols)
		}
		for i, label := range targets {
			logits.Matrix().LoadRow(row.F32(), i)
			p := Prediction{Index: m.Samples + i, Label: label, Class: nn.Argmax(row.F32())}
			m.Confusion.Count(metric.Outcome{Label: label, Class: p.Class})
			if len(observe) == 0 {
				continue
			}
			// The cross-entropy, were it Class's sample, is −ln of the probability.
			p.Loss, _ = loss.Evaluate(row, []int{label})
			p.Probability, _ = loss.Evaluate(row, []int{p.Class})
			p.Probability = math.Exp(-p.Probability)
			for _, f := range observe {
				f(p)
			}
		}
		m.Samples += b.Len()
		m.Correct += correct
		m.Loss += sum
	}
	if err := loader.Err(); err != nil {
		return Metrics{}, fmt.Errorf("trainer: %w", err)
	}
	m.Loss /= float64(m.Samples)
	return m, nil
}
