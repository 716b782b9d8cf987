package trainer

import (
	"context"
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// Metrics says how well a model does on a data set.
type Metrics struct {
	Samples   int
	Correct   int       // samples whose largest logit is at their label
	Loss      float64   // mean cross-entropy
	Confusion Confusion // the predictions by label
}

// Accuracy returns the share of samples that are classified correctly.
func (m Metrics) Accuracy() float64 { return float64(m.Correct) / float64(max(m.Samples, 1)) }

// Confusion counts predictions by label and class. It holds only pairs that occurred, so
// its memory grows with the classes and with the samples, not with the square of the
// classes. [NewConfusion] makes one.
type Confusion struct {
	Labeled   []int           // by class, the samples with this label
	Predicted []int           // by class, the samples that the model takes for it
	Counts    map[Outcome]int // samples; an outcome that never occurred is missing
}

// Outcome is a label with the class that a model predicts, that of its largest logit.
type Outcome struct{ Label, Class int }

// NewConfusion returns counts of zero for labels and predictions in [0, classes).
func NewConfusion(classes int) Confusion {
	return Confusion{Labeled: make([]int, classes), Predicted: make([]int, classes), Counts: map[Outcome]int{}}
}

// Add counts one sample.
func (c Confusion) Add(o Outcome) {
	c.Labeled[o.Label]++
	c.Predicted[o.Class]++
	c.Counts[o]++
}

// Classes returns the number of classes.
func (c Confusion) Classes() int { return len(c.Labeled) }

// Matrix returns the counts as a confusion matrix of classes² integers: element
// [label][class].
func (c Confusion) Matrix() [][]int {
	n := c.Classes()
	counts := make([]int, n*n)
	rows := make([][]int, n)
	for k := range rows {
		rows[k] = counts[k*n : (k+1)*n]
	}
	for o, samples := range c.Counts {
		rows[o.Label][o.Class] = samples
	}
	return rows
}

// ClassMetrics says how well a model does on one class, as scikit-learn's
// classification_report does. TP counts the samples of the class that are taken for it,
// FP the other samples that are taken for it, and FN the samples of the class that are
// taken for others.
type ClassMetrics struct {
	Support   int     // TP + FN, the samples of the class
	Precision float64 // TP / (TP + FP); 0 if nothing is taken for the class
	Recall    float64 // TP / (TP + FN); 0 if there is no sample of the class
	F1        float64 // 2·TP / (2·TP + FP + FN), the harmonic mean of the two; 0 if both are 0
}

// Class returns the metrics of class k, in [0, c.Classes()).
func (c Confusion) Class(k int) ClassMetrics {
	predicted, support, right := c.Predicted[k], c.Labeled[k], float64(c.Counts[Outcome{k, k}])
	ratio := func(x float64, of int) float64 { return x / float64(max(of, 1)) } // x is 0 where of is
	return ClassMetrics{
		Support: support, Precision: ratio(right, predicted), Recall: ratio(right, support),
		F1: ratio(2*right, predicted+support),
	}
}

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
			m.Confusion = NewConfusion(logits.Matrix().Cols)
		}
		for i, label := range targets {
			logits.Matrix().LoadRow(row.F32(), i)
			p := Prediction{Index: m.Samples + i, Label: label, Class: nn.Argmax(row.F32())}
			m.Confusion.Add(Outcome{label, p.Class})
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
