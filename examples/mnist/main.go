// Mnist trains a network on MNIST in fp16 with the library alone: no flags, no files.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

func main() {
	if err := run(context.Background(), 3); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, epochs int) error {
	mnist, err := data.LoadMNIST(ctx, data.Source{}) // from the cache, or fetched
	if err != nil {
		return err
	}
	mean, std := mnist.Train.MeanStd()
	train, validation, err := data.Split(mnist.Train.Standardized(mean, std), 5000, 1)
	if err != nil {
		return err
	}
	engine, err := kernels.New(kernels.Config{}) // the fastest kernels that this machine has, all cores
	if err != nil {
		return err
	}
	loader, err := data.NewLoader(train, data.LoaderConfig{BatchSize: 128, DType: tensor.F16, Shuffle: true, Seed: 1})
	if err != nil {
		return err
	}
	model := nn.NewGraph(1)
	model.Output("logits", nn.MLP(model.Input("image", 784), 256, 10))
	optimizer, err := optim.NewSGD(model.Params(), optim.SGDConfig{Momentum: 0.9})
	if err != nil {
		return err
	}
	scaler, err := lossscale.New(lossscale.Default())
	if err != nil {
		return err
	}
	t, err := trainer.New(trainer.Config{
		Engine: engine, Graph: model, Loss: nn.CrossEntropy{}, Optimizer: optimizer, Scaler: scaler,
		Schedule: trainer.Linear(0.1, int64(epochs*loader.Batches())), Precision: tensor.F16,
	})
	if err != nil {
		return err
	}
	var accuracy metric.Accuracy
	err = t.Fit(ctx, trainer.FitConfig{Train: loader, Validation: validation, Metrics: []metric.Metric{&accuracy}, Epochs: epochs, OnEpoch: func(e trainer.EpochEvent) error {
		fmt.Printf("epoch %d: %.2f %% of the validation images right\n", e.Epoch, 100*accuracy.Value())
		return nil
	}})
	if err != nil {
		return err
	}
	if _, err := t.Evaluate(ctx, mnist.Test.Standardized(mean, std), &accuracy); err != nil {
		return err
	}
	fmt.Printf("test: %.2f %% right; weights %.12s on every machine\n", 100*accuracy.Value(), trainer.WeightsSHA256(model))
	return nil
}
