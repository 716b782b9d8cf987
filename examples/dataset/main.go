// Dataset trains on data of one's own: two spirals, points of the plane in two classes.
//
// A data set needs four methods and no file format. Split, Loader and Trainer take it
// from there.
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

// spirals are two arms that wind around each other, with so many points on each.
type spirals struct{ points int }

func (s spirals) Len() int { return 2 * s.points }

// Inputs and Targets describe a sample: x and y of a point, and its arm.
func (s spirals) Inputs() []data.Field  { return []data.Field{data.Numbers("point", 2)} }
func (s spirals) Targets() []data.Field { return []data.Field{data.Classes("arm", 2)} }

// Sample sets to to point i and its arm. A data set that reads files returns their
// errors here.
func (s spirals) Sample(i int, to *data.Sample) error {
	arm := i % 2
	radius := float64(i/2+1) / float64(s.points)
	angle := 3*math.Pi*radius + float64(arm)*math.Pi
	point := to.Inputs[0].F32()
	point[0], point[1] = float32(radius*math.Cos(angle)), float32(radius*math.Sin(angle))
	to.Targets[0].I32()[0] = int32(arm)
	return nil
}

func main() {
	accuracy, err := train(spirals{points: 1000})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f %% of the points held out are on the right arm\n", 100*accuracy)
}

// train returns the accuracy on a fifth of the data that was held out.
func train(all data.Dataset) (float64, error) {
	const epochs = 60
	train, validation, err := data.Split(all, all.Len()/5, 1)
	if err != nil {
		return 0, err
	}
	loader, err := data.NewLoader(train, data.LoaderConfig{BatchSize: 32, DType: tensor.F16, Shuffle: true, Seed: 1})
	if err != nil {
		return 0, err
	}
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		return 0, err
	}
	model := nn.NewGraph(1)
	model.Output("logits", nn.MLP(model.Input("point", 2), 64, 64, all.Targets()[0].Classes))
	optimizer, err := optim.NewAdam(model.Params(), optim.DefaultAdam())
	if err != nil {
		return 0, err
	}
	scaler, err := lossscale.New(lossscale.Default())
	if err != nil {
		return 0, err
	}
	t, err := trainer.New(trainer.Config{
		Engine: engine, Graph: model, Loss: nn.CrossEntropy{}, Optimizer: optimizer, Scaler: scaler,
		Schedule: trainer.Cosine(0.01, 0, int64(epochs*loader.Batches())), Precision: tensor.F16,
	})
	if err != nil {
		return 0, err
	}
	if err := t.Fit(context.Background(), trainer.FitConfig{Train: loader, Epochs: epochs}); err != nil {
		return 0, err
	}
	var accuracy metric.Accuracy
	_, err = t.Evaluate(context.Background(), validation, &accuracy)
	return accuracy.Value(), err
}
