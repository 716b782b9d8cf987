package nn_test

import (
	"fmt"
	"log"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// A graph with a residual, planned for inference and run on two samples.
func Example() {
	g := nn.NewGraph(1)
	x := g.Input("x", 2)
	h := nn.ReLU(nn.Linear(x, 2, nn.Named("fc"), nn.WithInit(nn.Constant(0.5))))
	g.Output("y", nn.Add(x, h))

	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		log.Fatal(err)
	}
	plan, err := g.Plan(nn.PlanConfig{Engine: engine, Batch: 8, Precision: tensor.F16})
	if err != nil {
		log.Fatal(err) // the first mistake of building, too
	}
	input := tensor.New(tensor.F16, 2, 2)
	input.Elements().Store([]float32{1, 2 /**/, -4, 1})
	if err := plan.Forward(nn.Position{}, []*tensor.Tensor{input}, true); err != nil {
		log.Fatal(err)
	}
	y := make([]float32, 4)
	plan.Output(0).Elements().Load(y)
	fmt.Println(y)
	// Output: [2.5 3.5 -4 1]
}

// A multilayer perceptron, and the parameters that it has.
func ExampleMLP() {
	g := nn.NewGraph(1)
	g.Output("logits", nn.MLP(g.Input("image", 784), 256, 10))
	for _, n := range g.Nodes() {
		fmt.Println(n)
	}
	for _, p := range g.Params() {
		fmt.Println(p.Name, p.Shape)
	}
	// Output:
	// 0 (Linear 784→256)
	// 1 (ReLU)
	// 2 (Linear 256→10)
	// 0.weight [784 256]
	// 0.bias [256]
	// 2.weight [256 10]
	// 2.bias [10]
}

// A chain of layers. A function fixes whatever a layer needs but its input.
func ExampleChain() {
	linear := func(width int) nn.Layer {
		return func(x *nn.Value, opts ...nn.Option) *nn.Value { return nn.Linear(x, width, opts...) }
	}
	g := nn.NewGraph(1)
	y := nn.Chain(g.Input("x", 8), linear(32), nn.GELU, linear(4), nn.Softmax)
	g.Output("probabilities", y)
	fmt.Println(y.Shape(), g.Err())
	for _, n := range g.Nodes() {
		fmt.Println(n)
	}
	// Output:
	// 4 <nil>
	// 0 (Linear 8→32)
	// 1 (GELU)
	// 2 (Linear 32→4)
	// 3 (Softmax)
}

// Weights in fp16, apart from those that training changes. Each goroutine makes a plan of
// its own, and all share them.
func ExampleGraph_Weights() {
	g := nn.NewGraph(1)
	g.Output("logits", nn.MLP(g.Input("image", 784), 256, 10))
	weights, err := g.Weights(tensor.F16)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(weights.Bytes(), "bytes")
	// Output: 407060 bytes
}

// A network reads as a formula, and a mistake shows when it is planned.
func ExampleGraph() {
	g := nn.NewGraph(1)
	x := g.Input("image", 4, 4, 2)
	h := nn.GELU(nn.Linear(x, 8))
	h = nn.Add(h, nn.Linear(h, 8, nn.Named("residual")))
	g.Output("logits", nn.Linear(nn.Mean(h, []int{0, 1}), 3, nn.Named("head")))
	fmt.Print(g)
	for _, p := range g.Params() {
		fmt.Println(p.Name, p.Shape)
	}

	nn.Add(x, h)
	fmt.Println(g.Err())
	// Output:
	// image: input, 4×4×2
	// linear (Linear 2→8) of image: 4×4×8
	// gelu (GELU) of linear: 4×4×8
	// residual (Linear 8→8) of gelu: 4×4×8
	// add (Add) of gelu, residual: 4×4×8
	// mean (Mean over [0 1]) of add: 8
	// head (Linear 8→3) of mean: 3
	// logits: output, head
	// linear.weight [2 8]
	// linear.bias [8]
	// residual.weight [8 8]
	// residual.bias [8]
	// head.weight [8 3]
	// head.bias [3]
	// nn: add2 (Add): inputs of [4×4×2 4×4×8]: want two of one shape
}

// A step of training by hand: forward, the loss, backward. Packages trainer and optim do the
// rest.
func ExampleCrossEntropy() {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		log.Fatal(err)
	}
	g := nn.NewGraph(1)
	g.Output("logits", nn.Bias(g.Input("x", 3)))
	plan, err := g.Plan(nn.PlanConfig{Engine: engine, Batch: 2, Precision: tensor.F32, Training: true})
	if err != nil {
		log.Fatal(err)
	}
	x := []*tensor.Tensor{tensor.FromF32([]float32{0, 0, 0, 5, 5, 5}, 2, 3)}
	if err := plan.Forward(nn.Position{}, x, true); err != nil {
		log.Fatal(err)
	}

	targets := []*tensor.Tensor{tensor.FromElements(tensor.Of([]int32{2, -1}), 2)} // the second does not count
	loss := nn.CrossEntropy{}
	weight := loss.Weight(targets)
	sum := loss.Sum(&nn.LossCall{
		Engine: engine, Targets: targets, Factor: float32(1 / weight),
		Outputs: []*tensor.Tensor{plan.Output(0)}, DOut: []*tensor.Tensor{plan.OutputGradient(0)},
	})
	plan.Backward(false)
	fmt.Printf("loss %.4f over %v target\n", sum/weight, weight)
	fmt.Printf("gradient of the bias %.4f\n", plan.Gradient(0))
	// Output:
	// loss 1.0986 over 1 target
	// gradient of the bias [0.3333 0.3333 -0.6667]
}

// Axes count the dimensions of a sample.
func ExampleTranspose() {
	g := nn.NewGraph(1)
	x := g.Input("tokens", 16, 64)
	heads := nn.Transpose(nn.Reshape(x, []int{16, 4, 16}), []int{1, 0, 2})
	fmt.Println(heads.Shape())
	// Output: 4×16×16
}
