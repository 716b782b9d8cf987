// Package halfgrad opens trained networks for use.
//
//	p, err := halfgrad.Load("run/checkpoint.safetensors")
//	if err != nil {
//		log.Fatal(err)
//	}
//	probabilities, err := p.Probabilities(pixels) // from any goroutine
//
// Training is in package trainer, graphs are in package nn, and the command is
// cmd/halfgrad.
package halfgrad

import (
	"fmt"
	"strings"
	"sync"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/checkpoint/safetensors"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/models"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// Config says how a [Predictor] computes. The zero value is fine.
type Config struct {
	Kernels   kernels.Config
	Precision tensor.DType // 0 for that of the training
	Batch     int          // the most samples of a pass; 0 for 64
}

// Predictor computes a network's outputs. Any number of goroutines may use it at once: they
// share the weights, at two bytes a parameter in fp16, and each pass has a plan of its own.
type Predictor struct {
	spec    models.Spec
	graph   *nn.Graph
	weights *nn.Weights
	config  nn.PlanConfig
	plans   sync.Pool // of *pass
}

// pass is a plan with the memory for its input.
type pass struct {
	plan  *nn.Plan
	input *tensor.Tensor
	wide  []float32
}

// Load opens a checkpoint of halfgrad: the file that training wrote. If the run averaged
// its weights, these are taken.
func Load(path string) (*Predictor, error) { return Config{}.Load(path) }

// Load is [Load] with a configuration. The error says what in the file or in c is wrong.
func (c Config) Load(path string) (*Predictor, error) {
	header, err := checkpoint.ReadHeader(path)
	if err != nil {
		return nil, err
	}
	prefix := ""
	for _, t := range header.Tensors {
		switch {
		case strings.HasPrefix(t.Name, "average."):
			prefix = "average."
		case strings.HasPrefix(t.Name, "half.") && prefix == "" && c.Precision != tensor.F32:
			prefix = "half."
		}
	}
	f, err := checkpoint.ReadSome(path, func(t safetensors.Tensor) bool {
		if prefix != "" {
			return strings.HasPrefix(t.Name, prefix)
		}
		return !strings.HasPrefix(t.Name, "optimizer.")
	})
	if err != nil {
		return nil, err
	}
	for i := range f.Tensors {
		f.Tensors[i].Name = strings.TrimPrefix(f.Tensors[i].Name, prefix)
	}
	p, err := c.predictor(f)
	if err != nil {
		return nil, fmt.Errorf("halfgrad: %s: %w", path, err)
	}
	return p, nil
}

// predictor makes a Predictor of a file's tensors.
func (c Config) predictor(f *checkpoint.File) (*Predictor, error) {
	spec, err := models.Of(f)
	if err != nil {
		return nil, err
	}
	graph, err := spec.Blank()
	if err != nil {
		return nil, err
	}
	if c.Precision == 0 {
		c.Precision = tensor.F16
		if spec.Precision != "" {
			if c.Precision, err = tensor.ParseDType(spec.Precision); err != nil {
				return nil, err
			}
		}
	}
	if c.Batch == 0 {
		c.Batch = 64
	}
	weights, err := graph.NewWeights(c.Precision)
	if err != nil {
		return nil, err
	}
	set := func(name string, shape []int, store func([]float32)) error {
		t, ok := f.Tensor(name)
		if !ok {
			return fmt.Errorf("there is no parameter %s", name)
		}
		if fmt.Sprint(t.Shape) != fmt.Sprint(shape) {
			return fmt.Errorf("%s has the shape %v, the network %v", name, t.Shape, shape)
		}
		if d := t.Elements.DType(); d == tensor.I32 {
			return fmt.Errorf("%s is of %v: want floating-point numbers", name, d)
		}
		store(t.Float32s())
		return nil
	}
	for i, w := range graph.Params() {
		if err := set(w.Name, w.Shape, weights.Param(i).Elements().Store); err != nil {
			return nil, err
		}
		if j := weights.Param(i).FirstNonFinite(); j >= 0 {
			return nil, fmt.Errorf("%s[%d] is not finite in %v", w.Name, j, c.Precision)
		}
	}
	for i, b := range graph.Buffers() {
		if err := set(b.Name, b.Shape, func(v []float32) { copy(weights.Buffer(i), v) }); err != nil {
			return nil, err
		}
	}
	if n := len(graph.Inputs()); n != 1 {
		return nil, fmt.Errorf("the network has %d inputs: want one", n)
	}
	engine, err := kernels.New(c.Kernels)
	if err != nil {
		return nil, err
	}
	p := &Predictor{spec: spec, graph: graph, weights: weights, config: nn.PlanConfig{Engine: engine, Batch: c.Batch, Precision: c.Precision, Weights: weights}}
	first, err := p.newPass() // now, rather than when it is too late for an error
	if err != nil {
		return nil, err
	}
	p.plans.Put(first)
	return p, nil
}

func (p *Predictor) newPass() (*pass, error) {
	plan, err := p.graph.Plan(p.config)
	if err != nil {
		return nil, err
	}
	shape := p.graph.Inputs()[0].Shape()
	return &pass{
		plan: plan, input: tensor.New(p.config.Precision, append([]int{p.config.Batch}, shape...)...),
		wide: make([]float32, p.config.Batch*shape.Len()),
	}, nil
}

// Spec describes the network.
func (p *Predictor) Spec() models.Spec { return p.spec }

// Graph returns the network's topology. Its parameters have no values.
func (p *Predictor) Graph() *nn.Graph { return p.graph }

// Bytes returns the memory that the weights take.
func (p *Predictor) Bytes() int { return p.weights.Bytes() }

// Predict returns the network's first output for one or more samples, sample after sample:
// logits, if it classifies. The input has the samples one after the other, in row-major
// order; pixels are from 0 to 1, and are standardised as in training.
func (p *Predictor) Predict(input []float32) ([]float32, error) {
	return p.predict(len(input), func(i int) float64 { return float64(input[i]) })
}

// PredictBytes is [Predictor.Predict] for pixels from 0 to 255.
func (p *Predictor) PredictBytes(pixels []byte) ([]float32, error) {
	return p.predict(len(pixels), func(i int) float64 { return float64(pixels[i]) / 255 })
}

// Probabilities is the softmax of [Predictor.Predict], sample by sample.
func (p *Predictor) Probabilities(input []float32) ([]float32, error) {
	out, err := p.Predict(input)
	if err != nil {
		return nil, err
	}
	classes := p.graph.Outputs()[0].Value.Shape().Last()
	for i := 0; i < len(out); i += classes {
		nn.Probabilities(out[i : i+classes])
	}
	return out, nil
}

func (p *Predictor) predict(n int, at func(int) float64) ([]float32, error) {
	width := p.graph.Inputs()[0].Shape().Len()
	if n == 0 || n%width != 0 {
		return nil, fmt.Errorf("halfgrad: an input of %d numbers: want %d for each sample", n, width)
	}
	pass, ok := p.plans.Get().(*pass)
	if !ok {
		var err error
		if pass, err = p.newPass(); err != nil {
			return nil, err
		}
	}
	defer p.plans.Put(pass)
	each := p.graph.Outputs()[0].Value.Shape().Len()
	out := make([]float32, n/width*each)
	for row := 0; row < n/width; row += p.config.Batch {
		rows := min(p.config.Batch, n/width-row)
		values := pass.wide[:rows*width]
		for i := range values {
			values[i] = p.spec.Pixels.Standardize(at(row*width + i))
		}
		pass.input.SetRows(rows)
		pass.input.Elements().Store(values)
		if err := pass.plan.Forward(nn.Position{}, []*tensor.Tensor{pass.input}, false); err != nil {
			return nil, fmt.Errorf("halfgrad: %w", err)
		}
		pass.plan.Output(0).Elements().Load(out[row*each:][:rows*each])
	}
	return out, nil
}
