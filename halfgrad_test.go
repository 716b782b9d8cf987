package halfgrad_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/halfgrad/halfgrad"
	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/models"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// save writes a network that was not trained, as a run of a precision does.
func save(t testing.TB, precision tensor.DType) (path string, g *nn.Graph, spec models.Spec) {
	t.Helper()
	spec = models.MLP{Inputs: 6, Widths: []int{9, 4}, Dropout: 0.5}.Spec()
	spec.Precision, spec.Pixels = precision.String(), &models.Pixels{Height: 2, Width: 3, Mean: 0.25, Std: 0.5}
	g, err := spec.Graph(7)
	if err != nil {
		t.Fatal(err)
	}
	f := new(checkpoint.File)
	for _, p := range g.Params() {
		f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, Elements: tensor.Of(p.Master)})
		if precision == tensor.F16 {
			half := tensor.Make(tensor.F16, p.Len())
			half.Store(p.Master)
			f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: "half." + p.Name, Shape: p.Shape, Elements: half})
		}
	}
	if err := spec.Note(f); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "c.safetensors")
	if err := checkpoint.Write(path, f); err != nil {
		t.Fatal(err)
	}
	return path, g, spec
}

// A network that was loaded computes what its graph does, for any number of samples and
// goroutines.
func TestLoad(t *testing.T) {
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		path, g, spec := save(t, precision)
		engine, err := kernels.New(kernels.Config{})
		if err != nil {
			t.Fatal(err)
		}
		const rows = 150 // more than two passes
		pixels := make([]byte, rows*6)
		x := make([]float32, len(pixels))
		for i := range pixels {
			pixels[i] = byte(i * 37)
			x[i] = spec.Pixels.Standardize(float64(pixels[i]) / 255)
		}
		in := tensor.New(precision, rows, 6)
		in.Elements().Store(x)
		plan, err := g.Plan(nn.PlanConfig{Engine: engine, Batch: rows, Precision: precision})
		if err != nil {
			t.Fatal(err)
		}
		if err := plan.Forward(nn.Position{}, []*tensor.Tensor{in}, false); err != nil {
			t.Fatal(err)
		}
		want := make([]float32, rows*4)
		plan.Output(0).Elements().Load(want)

		p, err := halfgrad.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		parameters := 6*9 + 9 + 9*4 + 4
		if p.Bytes() != parameters*precision.Size() {
			t.Errorf("%v: %d bytes for %d parameters", precision, p.Bytes(), parameters)
		}
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if got, err := p.PredictBytes(pixels); err != nil || !slices.Equal(got, want) {
					t.Errorf("%v: other outputs, error %v", precision, err)
				}
				one, err := p.PredictBytes(pixels[6:12])
				if err != nil || !slices.Equal(one, want[4:8]) {
					t.Errorf("%v: one sample: %v, want %v, error %v", precision, one, want[4:8], err)
				}
			})
		}
		all.Wait()
		sum := 0.0
		probabilities, err := p.Probabilities([]float32{0, 0.1, 0.2, 0.3, 0.4, 1})
		for _, v := range probabilities {
			sum += float64(v)
		}
		if err != nil || math.Abs(sum-1) > 1e-6 {
			t.Errorf("probabilities %v, error %v", probabilities, err)
		}
		for _, n := range []int{0, 5, 7} {
			if _, err := p.Predict(make([]float32, n)); err == nil || !strings.Contains(err.Error(), "want 6 for each sample") {
				t.Errorf("%d numbers: error %v", n, err)
			}
		}
	}
}

func TestLoadErrors(t *testing.T) {
	weight := func(f *checkpoint.File) *checkpoint.Tensor {
		return &f.Tensors[slices.IndexFunc(f.Tensors, func(t checkpoint.Tensor) bool { return t.Name == "0.weight" })]
	}
	path, _, _ := save(t, tensor.F32)
	for want, spoil := range map[string]func(f *checkpoint.File){
		"no parameter 0.bias": func(f *checkpoint.File) {
			f.Tensors = slices.DeleteFunc(f.Tensors, func(t checkpoint.Tensor) bool { return t.Name == "0.bias" })
		},
		"0.weight has the shape [9 6]":        func(f *checkpoint.File) { weight(f).Shape = []int{9, 6} },
		"0.weight is of int32":                func(f *checkpoint.File) { weight(f).Elements = tensor.Make(tensor.I32, weight(f).Elements.Len()) },
		"0.weight[3] is not finite":           func(f *checkpoint.File) { weight(f).Elements.F32()[3] = float32(math.Inf(1)) },
		`there is no architecture "nonesuch"`: func(f *checkpoint.File) { f.Metadata[models.MetadataKey] = `{"name":"nonesuch"}` },
		"is not a description of a network":   func(f *checkpoint.File) { f.Metadata[models.MetadataKey] = `{` },
		"mlp of 0 inputs":                     func(f *checkpoint.File) { f.Metadata[models.MetadataKey] = `{"name":"mlp","config":{"widths":[3]}}` },
		"unknown field":                       func(f *checkpoint.File) { f.Metadata[models.MetadataKey] = `{"name":"mlp","config":{"depth":[3]}}` },
	} {
		f, err := checkpoint.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		spoil(f)
		bad := filepath.Join(t.TempDir(), "bad.safetensors")
		if err := checkpoint.Write(bad, f); err != nil {
			t.Fatal(err)
		}
		if _, err := halfgrad.Load(bad); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), bad) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := halfgrad.Load(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no error for a file that is not there")
	}
}

// Checkpoints from before there were descriptions tell their widths by their tensors.
func TestLoadWithoutDescription(t *testing.T) {
	path, _, _ := save(t, tensor.F32)
	f, err := checkpoint.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	delete(f.Metadata, models.MetadataKey)
	for i := range f.Tensors { // as without dropout
		f.Tensors[i].Name = strings.Replace(f.Tensors[i].Name, "3.", "2.", 1)
	}
	if err := checkpoint.Write(path, f); err != nil {
		t.Fatal(err)
	}
	p, err := halfgrad.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(p.Spec().Config); got != `{"inputs":6,"widths":[9,4]}` {
		t.Errorf("%s", got)
	}
}

// Throughput by goroutines: `go test -bench Predict -cpu 1,2`.
func BenchmarkPredict(b *testing.B) {
	path, _, _ := save(b, tensor.F16)
	p, err := halfgrad.Config{Kernels: kernels.Config{Threads: 1}}.Load(path)
	if err != nil {
		b.Fatal(err)
	}
	x := make([]float32, 64*6)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Predict(x); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func Example() {
	path := filepath.Join("examples", "nothing") // such as run/checkpoint.safetensors
	p, err := halfgrad.Load(path)
	if err != nil {
		fmt.Println("no network")
		return
	}
	fmt.Println(p.Predict(make([]float32, 784)))
	// Output: no network
}
