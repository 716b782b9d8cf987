package optim_test

import (
	"fmt"
	"log"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
)

// Minimise (w − 3)² by hand.
func Example() {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		log.Fatal(err)
	}
	w := nn.NewGraph(1).Param("w", []int{1}, nn.Zeros)
	opt, err := optim.NewSGD([]*nn.Param{w}, optim.SGDConfig{Momentum: 0.5})
	if err != nil {
		log.Fatal(err)
	}
	for range 60 {
		slope := 2 * (w.Master[0] - 3)
		optim.Step(opt, engine, [][]float32{{slope}}, 0.1, 1)
	}
	fmt.Printf("w = %.3f after %d steps\n", w.Master[0], opt.State().Steps)
	// Output: w = 3.000 after 60 steps
}

// clipped is a custom optimizer: gradient descent with each element of the gradient kept
// within a limit.
type clipped struct {
	params  []*nn.Param
	limit   float32
	rate    float32
	unscale float32
	state   optim.State
}

func (c *clipped) Params() []*nn.Param { return c.params }

func (c *clipped) State() *optim.State { return &c.state }

func (c *clipped) Begin(learningRate float64, unscale float32) {
	c.rate, c.unscale = float32(learningRate), unscale
	c.state.Steps++
}

func (c *clipped) Update(_ *kernels.Engine, param int, grad []float32) {
	w := c.params[param]
	for i, g := range grad {
		g = min(max(g*c.unscale, -c.limit), c.limit)
		w.Master[i] -= float32(c.rate * g)
	}
	w.Sync()
}

func ExampleOptimizer() {
	w := nn.NewGraph(1).Param("w", []int{3}, nn.Constant(1))
	var opt optim.Optimizer = &clipped{params: []*nn.Param{w}, limit: 2}
	optim.Step(opt, nil, [][]float32{{8192, -1024, 512}}, 0.25, 1.0/1024) // this optimizer needs no engine
	fmt.Println(w.Master, opt.State().Steps)
	// Output: [0.5 1.25 0.875] 1
}
