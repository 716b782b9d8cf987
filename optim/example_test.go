package optim_test

import (
	"fmt"
	"log"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/optim"
)

// Minimise (w − 3)² by hand.
func Example() {
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		log.Fatal(err)
	}
	w := optim.Param{Name: "w", Master: []float32{0}, Grad: make([]float32, 1)}
	opt, err := optim.NewSGD([]optim.Param{w}, optim.SGDConfig{Momentum: 0.5})
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

// clipped is an optimizer of one's own: plain descent along a gradient whose elements
// are kept within a limit.
type clipped struct {
	params []optim.Param
	limit  float32
	state  optim.State
}

func (c *clipped) State() *optim.State { return &c.state }

func (c *clipped) Step(_ *kernels.Engine, learningRate float64, unscale float32) {
	for _, p := range c.params {
		for i, g := range p.Grad {
			g = min(max(g*unscale, -c.limit), c.limit)
			p.Master[i] -= float32(float32(learningRate) * g)
		}
		if p.Half != nil {
			fp16.Narrow(p.Half, p.Master)
		}
	}
	c.state.Steps++
}

func ExampleOptimizer() {
	w := optim.Param{Name: "w", Master: []float32{1, 1, 1}, Grad: []float32{8192, -1024, 512}}
	var opt optim.Optimizer = &clipped{params: []optim.Param{w}, limit: 2}
	opt.Step(nil, 0.25, 1.0/1024) // on no engine, which this one does without
	fmt.Println(w.Master, opt.State().Steps)
	// Output: [0.5 1.25 0.875] 1
}
