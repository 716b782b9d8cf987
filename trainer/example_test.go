package trainer_test

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

// rings is a custom data set: points of the plane, in classes by their distance from the
// origin.
type rings struct{ side int }

func (r rings) Len() int              { return r.side * r.side }
func (r rings) Inputs() []data.Field  { return []data.Field{data.Numbers("point", 2)} }
func (r rings) Targets() []data.Field { return []data.Field{data.Classes("ring", 2)} }

func (r rings) Sample(i int, to *data.Sample) error {
	x := 2*float32(i%r.side)/float32(r.side-1) - 1
	y := 2*float32(i/r.side)/float32(r.side-1) - 1
	point, ring := to.Inputs[0].F32(), to.Targets[0].I32()
	point[0], point[1], ring[0] = x, y, 0
	if x*x+y*y < 0.5 {
		ring[0] = 1
	}
	return nil
}

// A run put together from all its parts.
func Example() {
	const precision = tensor.F16
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		log.Fatal(err)
	}
	model := nn.NewGraph(1)
	model.Output("logits", nn.MLP(model.Input("point", 2), 32, 2))
	optimizer, err := optim.NewSGD(model.Params(), optim.SGDConfig{Momentum: 0.9})
	if err != nil {
		log.Fatal(err)
	}
	scaler, err := lossscale.New(lossscale.Default())
	if err != nil {
		log.Fatal(err)
	}
	t, err := trainer.New(trainer.Config{
		Engine: engine, Graph: model, Loss: nn.CrossEntropy{}, Optimizer: optimizer, Scaler: scaler,
		Schedule: trainer.Constant(0.1), Precision: precision,
	})
	if err != nil {
		log.Fatal(err)
	}

	train, validation, err := data.Split(rings{side: 40}, 200, 1)
	if err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(train, data.LoaderConfig{BatchSize: 32, DType: precision, Shuffle: true, Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	var accuracy metric.Accuracy
	err = t.Fit(context.Background(), trainer.FitConfig{
		Train: loader, Validation: validation, Metrics: []metric.Metric{&accuracy}, Epochs: 20,
		OnEpoch: func(e trainer.EpochEvent) error {
			if e.Epoch == 20 {
				fmt.Println("20 epochs; more than 95 % right:", accuracy.Value() > 0.95)
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 20 epochs; more than 95 % right: true
}
