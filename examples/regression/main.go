// Regression fits a curve: a target that is a number, the Huber loss and the root of the
// mean squared error instead of classes.
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

// curve is sin 3x + x/2 at points from −1 to 1.
type curve struct{ points int }

func (c curve) Len() int              { return c.points }
func (c curve) Inputs() []data.Field  { return []data.Field{data.Numbers("x", 1)} }
func (c curve) Targets() []data.Field { return []data.Field{data.Numbers("y", 1)} }
func (c curve) Sample(i int, to *data.Sample) error {
	x := 2*float64(i)/float64(c.points-1) - 1
	to.Inputs[0].F32()[0] = float32(x)
	to.Targets[0].F32()[0] = float32(math.Sin(3*x) + x/2)
	return nil
}

// fit returns the error of the curve that was learned.
func fit(epochs int) (rmse float64, err error) {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		return 0, err
	}
	g := nn.NewGraph(1)
	h := nn.SiLU(nn.Linear(g.Input("x", 1), 32))
	g.Output("y", nn.Linear(nn.SiLU(nn.Linear(h, 32)), 1))
	optimizer, err := optim.NewAdam(g.Params(), optim.DefaultAdam())
	if err != nil {
		return 0, err
	}
	scaler, err := lossscale.New(lossscale.Default())
	if err != nil {
		return 0, err
	}
	all := curve{points: 512}
	loader, err := data.NewLoader(all, data.LoaderConfig{BatchSize: 32, DType: tensor.F16, Shuffle: true, Seed: 1})
	if err != nil {
		return 0, err
	}
	t, err := trainer.New(trainer.Config{
		Engine: engine, Graph: g, Loss: nn.Huber{Delta: 1}, Optimizer: optimizer, Scaler: scaler,
		Schedule: trainer.Cosine(0.01, 0, int64(epochs*loader.Batches())), Precision: tensor.F16,
	})
	if err != nil {
		return 0, err
	}
	if err := t.Fit(context.Background(), trainer.FitConfig{Train: loader, Epochs: epochs}); err != nil {
		return 0, err
	}
	var m metric.RMSE
	_, err = t.Evaluate(context.Background(), all, &m)
	return m.Value(), err
}

func main() {
	rmse, err := fit(60)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("root of the mean squared error: %.4f\n", rmse)
}
