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
	w := nn.NewParam("w", 1)
	opt, err := optim.NewSGD([]*nn.Param{w}, optim.SGDConfig{Momentum: 0.5})
	if err != nil {
		log.Fatal(err)
	}
	for range 60 {
		w.Grad[0] = 2 * (w.Master[0] - 3)
		opt.Step(engine, 0.1, 1)
	}
	fmt.Printf("w = %.3f after %d steps\n", w.Master[0], opt.State().Steps)
	// Output: w = 3.000 after 60 steps
}

// clipped is a custom optimizer: gradient descent with each element of the gradient kept
// within a limit.
type clipped struct {
	params []*nn.Param
	limit  float32
	state  optim.State
}

func (c *clipped) Params() []*nn.Param { return c.params }

func (c *clipped) State() *optim.State { return &c.state }

func (c *clipped) Step(_ *kernels.Engine, learningRate float64, unscale float32) {
	for _, p := range c.params {
		for i, g := range p.Grad {
			g = min(max(g*unscale, -c.limit), c.limit)
			p.Master[i] -= float32(float32(learningRate) * g)
		}
		if p.Half != nil {
			p.Sync()
		}
	}
	c.state.Steps++
}

func ExampleOptimizer() {
	w := nn.NewParam("w", 3)
	copy(w.Master, []float32{1, 1, 1})
	copy(w.Grad, []float32{8192, -1024, 512})
	var opt optim.Optimizer = &clipped{params: []*nn.Param{w}, limit: 2}
	opt.Step(nil, 0.25, 1.0/1024) // this optimizer needs no engine
	fmt.Println(w.Master, opt.State().Steps)
	// Output: [0.5 1.25 0.875] 1
}
