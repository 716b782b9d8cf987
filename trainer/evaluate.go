package trainer

import (
	"context"
	"fmt"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// Evaluation is what [Evaluate] needs besides the data.
type Evaluation struct {
	Engine    *kernels.Engine
	Graph     *nn.Graph
	Weights   *nn.Weights // nil for the graph's own values
	Precision tensor.DType
	Loss      nn.Loss
	Batch     int // samples of a pass; 0 for 500
}

// evalBatch is the number of samples evaluated at once.
const evalBatch = 500

// Result says how well a graph does on a data set.
type Result struct {
	Samples int
	Loss    float64 // mean
}

// Evaluate runs the trainer's graph over all of ds, in its precision, with the averaged
// weights if [Config].Average is set. It resets the metrics and adds all batches to them.
// The error is ctx's, the loader's if ds is empty or fails, or that of a metric.
func (t *Trainer) Evaluate(ctx context.Context, ds data.Dataset, metrics ...metric.Metric) (r Result, err error) {
	if t.evaluator == nil {
		t.evaluator, err = newEvaluator(Evaluation{Engine: t.cfg.Engine, Graph: t.cfg.Graph, Precision: t.cfg.Precision, Loss: t.cfg.Loss})
		if err != nil {
			return r, err
		}
	}
	t.averaged(func() { r, err = t.evaluator.run(ctx, ds, metrics) })
	return r, err
}

// Evaluate runs a graph over all of ds, in order. It resets the metrics and adds all batches
// to them. The error is ctx's, the loader's if ds is empty or fails, that of a metric, or
// says how the data set does not fit the graph or the loss.
func Evaluate(ctx context.Context, e Evaluation, ds data.Dataset, metrics ...metric.Metric) (Result, error) {
	v, err := newEvaluator(e)
	if err != nil {
		return Result{}, err
	}
	return v.run(ctx, ds, metrics)
}

// evaluator is a plan for evaluations.
type evaluator struct {
	Evaluation
	plan *nn.Plan
	loss nn.LossCall
}

func newEvaluator(e Evaluation) (*evaluator, error) {
	if e.Batch == 0 {
		e.Batch = evalBatch
	}
	plan, err := e.Graph.Plan(nn.PlanConfig{Engine: e.Engine, Batch: e.Batch, Precision: e.Precision, Weights: e.Weights})
	if err != nil {
		return nil, fmt.Errorf("trainer: %w", err)
	}
	v := &evaluator{Evaluation: e, plan: plan, loss: nn.LossCall{Engine: e.Engine}}
	for i := range e.Graph.Outputs() {
		v.loss.Outputs = append(v.loss.Outputs, plan.Output(i))
	}
	return v, nil
}

func (v *evaluator) run(ctx context.Context, ds data.Dataset, metrics []metric.Metric) (r Result, err error) {
	if err := CheckData(v.Graph, v.Loss, ds); err != nil {
		return r, err
	}
	loader, err := data.NewLoader(ds, data.LoaderConfig{BatchSize: v.Batch, DType: v.Precision})
	if err != nil {
		return r, fmt.Errorf("trainer: %w", err)
	}
	for _, m := range metrics {
		m.Reset()
	}
	total := 0.0 // of the weights
	sum := 0.0
	for b, ok := loader.Next(); ok; b, ok = loader.Next() {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		if err := v.plan.Forward(nn.Position{First: b.First}, b.Inputs, b.Finite); err != nil {
			return Result{}, fmt.Errorf("trainer: %w", err)
		}
		v.loss.Targets, v.loss.Sum = b.Targets, 0
		batch := metric.Batch{Outputs: v.loss.Outputs, Targets: b.Targets, First: r.Samples, LossSum: v.Loss.Sum(&v.loss), LossWeight: v.Loss.Weight(b.Targets)}
		for _, m := range metrics {
			if err := m.Add(&batch); err != nil {
				return Result{}, fmt.Errorf("trainer: %w", err)
			}
		}
		r.Samples += b.Len()
		sum += batch.LossSum
		total += batch.LossWeight
	}
	if err := loader.Err(); err != nil {
		return Result{}, fmt.Errorf("trainer: %w", err)
	}
	if r.Loss = sum; total > 0 {
		r.Loss = sum / total
	}
	return r, nil
}

// CheckData returns an error unless the inputs of a data set have the shapes and types of a
// graph's, and the loss can be taken of its outputs and the data set's targets. The error
// names what does not fit.
func CheckData(g *nn.Graph, loss nn.Loss, ds data.Dataset) error {
	fields := ds.Inputs()
	if len(fields) != len(g.Inputs()) {
		return fmt.Errorf("trainer: the data set has %d inputs, the graph %d", len(fields), len(g.Inputs()))
	}
	for i, v := range g.Inputs() {
		f := fields[i]
		if f.Size() != v.Shape().Len() || len(f.Shape) != len(v.Shape()) || (f.DType == tensor.I32) != (v.DType() == tensor.I32) {
			return fmt.Errorf("trainer: input %q of the data set has the shape %v in %v, input %s of the graph %v", f.Name, nn.Shape(f.Shape), f.DType, v.Name(), v.Shape())
		}
	}
	var targets []nn.Target
	for _, f := range ds.Targets() {
		targets = append(targets, nn.Target{Name: f.Name, Shape: f.Shape, DType: f.DType, Classes: f.Classes})
	}
	return checkLoss(g, loss, targets)
}

// checkLoss returns an error unless the loss can be taken of the outputs and targets.
func checkLoss(g *nn.Graph, loss nn.Loss, targets []nn.Target) error {
	var outputs []nn.Shape
	for _, o := range g.Outputs() {
		outputs = append(outputs, o.Value.Shape())
	}
	return loss.Check(outputs, targets)
}

// checkTargets returns an error unless the loss can be taken of the outputs and a batch's
// targets.
func checkTargets(g *nn.Graph, loss nn.Loss, b *data.Batch) error {
	var targets []nn.Target
	for i, x := range b.Targets {
		targets = append(targets, nn.Target{Name: fmt.Sprintf("target %d", i), Shape: x.Shape()[1:], DType: x.DType()})
	}
	return checkLoss(g, loss, targets)
}
