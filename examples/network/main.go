// Network defines a network with a residual, two branches and shared weights, and trains it
// on points of two spirals: the same bits on every machine, with any number of threads, for
// any split of the batch.
package main

import (
	"context"
	"fmt"
	"log"
	"math"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// build returns the network.
func build(seed uint64) *nn.Graph {
	g := nn.NewGraph(seed)
	x := g.Input("point", 2)
	h := nn.Tanh(nn.Linear(x, 32))
	shared := g.Param("shared", []int{32, 32}, nn.KaimingUniform(32))
	for i := range 2 { // the same weights twice, with a bias each
		g.Scope(fmt.Sprintf("block.%d", i), func() {
			left := nn.GELU(nn.Linear(h, 32, nn.WithWeight(shared)))
			right := nn.Sigmoid(nn.Linear(h, 32, nn.Named("gate")))
			h = nn.Add(h, nn.Multiply(left, right)) // a residual
		})
	}
	both := nn.Concat(0, []*nn.Value{h, nn.Linear(x, 4, nn.Named("skip"))})
	g.Output("logits", nn.Linear(both, 2, nn.Named("head")))
	return g
}

// spirals are two arms that wind around each other, with so many points on each.
type spirals struct{ points int }

func (s spirals) Len() int              { return 2 * s.points }
func (s spirals) Inputs() []data.Field  { return []data.Field{data.Numbers("point", 2)} }
func (s spirals) Targets() []data.Field { return []data.Field{data.Classes("arm", 2)} }
func (s spirals) Sample(i int, to *data.Sample) error {
	radius := float64(i/2+1) / float64(s.points)
	angle := 2*math.Pi*radius + float64(i%2)*math.Pi
	point := to.Inputs[0].F32()
	point[0], point[1] = float32(radius*math.Cos(angle)), float32(radius*math.Sin(angle))
	to.Targets[0].I32()[0] = int32(i % 2)
	return nil
}

// train returns the share of points that are right, and the hash of the weights. A batch of
// 64 is taken in parts of at most so many rows.
func train(cfg kernels.Config, part int) (accuracy float64, hash string, err error) {
	engine, err := kernels.New(cfg)
	if err != nil {
		return 0, "", err
	}
	g := build(1)
	optimizer, err := optim.NewAdam(g.Params(), optim.DefaultAdamW())
	if err != nil {
		return 0, "", err
	}
	scaler, err := lossscale.New(lossscale.Default())
	if err != nil {
		return 0, "", err
	}
	t, err := trainer.New(trainer.Config{
		Engine: engine, Graph: g, Loss: nn.CrossEntropy{}, Optimizer: optimizer, Scaler: scaler,
		Schedule: trainer.Constant(0.01), Precision: tensor.F16, Batch: part,
	})
	if err != nil {
		return 0, "", err
	}
	all := spirals{points: 200}
	loader, err := data.NewLoader(all, data.LoaderConfig{BatchSize: 64, DType: tensor.F16, Shuffle: true, Seed: 1})
	if err != nil {
		return 0, "", err
	}
	if err := t.Fit(context.Background(), trainer.FitConfig{Train: loader, Epochs: 60}); err != nil {
		return 0, "", err
	}
	var right metric.Accuracy
	_, err = t.Evaluate(context.Background(), all, &right)
	return right.Value(), trainer.WeightsSHA256(g), err
}

func main() {
	for _, part := range []int{64, 10} {
		accuracy, hash, err := train(kernels.Config{}, part)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("in parts of %d: %.1f %% right, weights %.12s\n", part, 100*accuracy, hash)
	}
}
