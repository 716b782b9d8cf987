package interchange_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/interchange"
	"github.com/halfgrad/halfgrad/internal/datatest"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/lossscale"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/optim"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// export writes a model to a file.
func export(t *testing.T, model *nn.Graph, cfg interchange.ONNXConfig) (path string) {
	t.Helper()
	b, err := interchange.ONNX(model, cfg)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ONNX's own checker and shape inference accept the models and find in them what was
// meant.
func TestONNXChecker(t *testing.T) {
	const f32, f16 = "FLOAT ['batch', %d]", "FLOAT16 ['batch', %d]"
	shape := func(format string, width int) string { return fmt.Sprintf(format, width) }
	for _, tt := range []struct {
		name      string
		model     *nn.Graph
		cfg       interchange.ONNXConfig
		in, out   int
		operators []string
		inferred  []string // types of the values within
		constants map[string]float32
	}{
		{
			name: "fp32", model: randomModel(6, linear(5), nn.ReLU, dropout(0.5), linear(3)),
			cfg: interchange.ONNXConfig{Precision: tensor.F32, Mean: 0.25, Std: 0.5, Metadata: map[string]string{"epochs": "5", "a": "größer"}},
			in:  6, out: 3, operators: []string{"Sub", "Div", "MatMul", "Add", "Relu", "MatMul", "Add", "Identity"},
			inferred:  []string{shape(f32, 6), shape(f32, 6), shape(f32, 5), shape(f32, 5), shape(f32, 5), shape(f32, 3), shape(f32, 3)},
			constants: map[string]float32{"mean": 0.25, "std": 0.5},
		},
		{
			name: "no standardisation", model: randomModel(1, linear(1)),
			cfg: interchange.ONNXConfig{Precision: tensor.F32, Std: 1},
			in:  1, out: 1, operators: []string{"MatMul", "Add", "Identity"},
			inferred: []string{shape(f32, 1), shape(f32, 1)},
		},
		{
			name: "no deviation", model: randomModel(4, within("0", nn.ReLU, linear(2)), nn.ReLU),
			cfg: interchange.ONNXConfig{Precision: tensor.F32, Mean: -1},
			in:  4, out: 2, operators: []string{"Sub", "Relu", "MatMul", "Add", "Relu", "Identity"},
			inferred:  []string{shape(f32, 4), shape(f32, 4), shape(f32, 2), shape(f32, 2), shape(f32, 2)},
			constants: map[string]float32{"mean": -1},
		},
		{
			name: "fp16", model: randomModel(6, linear(5), nn.ReLU, linear(3)),
			cfg: interchange.ONNXConfig{Precision: tensor.F16, Std: 2},
			in:  6, out: 3, operators: []string{
				"Div", "Cast", "Cast",
				"Cast", "Cast", "MatMul", "Add", "Cast", "Cast",
				"Relu", "Cast", "Cast",
				"Cast", "Cast", "MatMul", "Add", "Cast", "Cast",
				"Identity",
			},
			inferred: []string{
				shape(f32, 6), shape(f16, 6), shape(f32, 6),
				"FLOAT [6, 5]", "FLOAT [5]", shape(f32, 5), shape(f32, 5), shape(f16, 5), shape(f32, 5),
				shape(f32, 5), shape(f16, 5), shape(f32, 5),
				"FLOAT [5, 3]", "FLOAT [3]", shape(f32, 3), shape(f32, 3), shape(f16, 3), shape(f32, 3),
			},
			constants: map[string]float32{"std": 2},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			initializers := filepath.Join(t.TempDir(), "initializers")
			var got map[string]any
			if err := json.Unmarshal([]byte(python(t, "onnx", "onnx_check.py", export(t, tt.model, tt.cfg), initializers)), &got); err != nil {
				t.Fatal(err)
			}
			slices.Sort(tt.inferred) // the checker keeps no order
			list := func(names []string) []any {
				l := []any{}
				for _, n := range names {
					l = append(l, n)
				}
				return l
			}
			if inferred, ok := got["inferred"].([]any); ok {
				slices.SortFunc(inferred, func(a, b any) int { return bytes.Compare([]byte(a.(string)), []byte(b.(string))) })
			}
			metadata := map[string]any{}
			for k, v := range tt.cfg.Metadata {
				metadata[k] = v
			}
			want := map[string]any{
				"operators": list(tt.operators), "inferred": list(tt.inferred), "opset": []any{[]any{"", 14.0}}, "producer": "halfgrad", "metadata": metadata,
				"inputs":  []any{"pixels " + shape(f32, tt.in)},
				"outputs": []any{"logits " + shape(f32, tt.out)},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}

			f, err := checkpoint.Read(initializers)
			if err != nil {
				t.Fatal(err)
			}
			params := tt.model.Params()
			if len(f.Tensors) != len(params)+len(tt.constants) {
				t.Errorf("%d initializers for %d parameters and %v", len(f.Tensors), len(params), tt.constants)
			}
			for name, v := range tt.constants {
				if c := read(t, initializers, name); len(c.Shape) != 0 || !slices.Equal(c.Elements.F32(), []float32{v}) {
					t.Errorf("%s is %v, want %v", name, c, v)
				}
			}
			for _, p := range params {
				c := read(t, initializers, p.Name)
				if !slices.Equal(c.Shape, p.Shape) || c.Elements.DType() != tt.cfg.Precision || !slices.Equal(c.Float32s(), widened(p, tt.cfg.Precision)) {
					t.Errorf("%s differs", p.Name)
				}
			}
		})
	}
}

// branching returns a graph with branches, of operations that are no layers of a chain.
func branching() *nn.Graph {
	g := nn.NewGraph(3)
	x := nn.Reshape(g.Input("pixels", 24), []int{4, 6})
	a := nn.GELU(nn.Linear(x, 6))
	b := nn.GELUTanh(nn.Transpose(nn.Reshape(nn.SiLU(x), []int{6, 4}), []int{1, 0}))
	joined := nn.Concat(1, []*nn.Value{
		nn.Add(a, b), nn.Multiply(a, nn.Sigmoid(b)), nn.Slice(nn.Tanh(x), 1, 2, 5),
	}) // 4×15
	scaled := nn.Scale(nn.Bias(nn.Linear(joined, 15, nn.WithoutBias())), 1.5)
	left := nn.Softmax(nn.Mean(scaled, []int{0}))
	right := nn.Sum(nn.ReLU(joined), []int{0})
	total := nn.Mean(joined, nil, nn.Named("total")) // one number
	g.Output("logits", nn.Concat(0, []*nn.Value{left, nn.Flatten(nn.Dropout(right, 0.5)), nn.Reshape(total, []int{1})}))
	g.Output("scaled", scaled)
	return randomized(g)
}

// ONNX's checker accepts a graph with branches and two outputs, and finds its shapes.
func TestONNXCheckerBranches(t *testing.T) {
	for _, precision := range []tensor.DType{tensor.F32, tensor.F16} {
		path := export(t, branching(), interchange.ONNXConfig{Precision: precision, Mean: 0.5, Std: 2, Input: "image", Probabilities: true})
		var got struct{ Inputs, Outputs, Operators []string }
		if err := json.Unmarshal([]byte(python(t, "onnx", "onnx_check.py", path, filepath.Join(t.TempDir(), "initializers"))), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"image FLOAT ['batch', 24]"}, got.Inputs); diff != "" {
			t.Errorf("%v: inputs (-want +got):\n%s", precision, diff)
		}
		if diff := cmp.Diff([]string{"logits FLOAT ['batch', 31]", "probabilities FLOAT ['batch', 31]", "scaled FLOAT ['batch', 4, 15]"}, got.Outputs); diff != "" {
			t.Errorf("%v: outputs (-want +got):\n%s", precision, diff)
		}
		for _, operator := range []string{"Sub", "Div", "Reshape", "MatMul", "Add", "Erf", "Transpose", "Mul", "Sigmoid", "Tanh", "Concat", "Slice", "ReduceMean", "ReduceSum", "Relu", "Softmax", "Identity"} {
			if !slices.Contains(got.Operators, operator) {
				t.Errorf("%v: no %s", precision, operator)
			}
		}
	}
}

// ONNX Runtime computes what we do where there are branches, to eight units in the last
// place of numbers from 2 to 4.
func TestONNXRuntimeBranches(t *testing.T) {
	const in, rows = 24, 9
	g, x := branching(), uniform(11, rows*in)
	ours := forward(t, g, tensor.F32, x, in)
	theirs := infer(t, export(t, g, interchange.ONNXConfig{Precision: tensor.F32}), x, 4)
	if len(ours) != len(theirs) {
		t.Fatalf("%d and %d logits", len(ours), len(theirs))
	}
	largest := 0.0
	for i, v := range ours {
		d := math.Abs(float64(v) - float64(theirs[i]))
		if !(d <= 8*0x1p-22) {
			t.Errorf("row %d: logit %d is %v, ONNX Runtime's %v", i/31, i%31, v, theirs[i])
		}
		largest = max(largest, d)
	}
	t.Logf("%d logits, at most %.3g apart", len(ours), largest)
}

func TestONNXIsAFunction(t *testing.T) {
	cfg := interchange.ONNXConfig{Precision: tensor.F16, Metadata: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}}
	model := randomModel(3, linear(2))
	first, err := interchange.ONNX(model, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if again, err := interchange.ONNX(model, cfg); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("the same model gave other bytes, error %v", err)
		}
	}
}

// infer runs a model on x in ONNX Runtime, in batches of the given size.
func infer(t *testing.T, model string, x []float32, batch int) []float32 {
	t.Helper()
	folder, dir := onnxRuntime(t), t.TempDir()
	raw, err := binary.Append(nil, binary.LittleEndian, x)
	if err != nil {
		t.Fatal(err)
	}
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join("testdata", "onnxruntime.mjs"), folder, model, in, out, fmt.Sprint(batch))
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, said)
	}
	if raw, err = os.ReadFile(out); err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, len(raw)/4)
	if _, err := binary.Decode(raw, binary.LittleEndian, logits); err != nil {
		t.Fatal(err)
	}
	return logits
}

// With numbers of so few bits that every sum is exact in fp32, in whatever order, ONNX
// Runtime's logits are ours bit for bit. Inputs and weights of the first layer are
// multiples of 1/64 below 1 and 1/2, of which 16 products add up to multiples of 2^-12
// of less than 8. Rounded to fp16, which loses bits, they stay such multiples; the weights
// of the second layer are multiples of 1/4 up to 1, so that its 24 products add up to
// multiples of 2^-14 of less than 2^8: 22 bits.
func TestONNXRuntimeSameBits(t *testing.T) {
	const in, hidden, out, n = 16, 24, 7, 301
	model := mlp(in, hidden, out)
	fill := func(values []float32, seed uint64, most, unit float32) {
		for i, v := range uniform(seed, len(values)) {
			values[i] = float32(math.Round(float64(v*most/unit))) * unit
		}
	}
	p := model.Params()
	fill(p[0].Master, 1, 0.5, 1.0/64)
	fill(p[1].Master, 2, 0.5, 1.0/64)
	fill(p[2].Master, 3, 1, 1.0/4)
	fill(p[3].Master, 4, 1, 1.0/4)
	x := make([]float32, n*in)
	fill(x, 5, 1, 1.0/64)

	var ours [2][]float32
	for i, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		ours[i] = forward(t, model, precision, x, in)
		for _, batch := range []int{n, 64, 1} { // 64 leaves a rest
			theirs := infer(t, export(t, model, interchange.ONNXConfig{Precision: precision}), x, batch)
			if i := mismatch(ours[i], theirs); i >= 0 {
				t.Errorf("%v in batches of %d: %d and %d logits; the first that differ are %v and %v", precision, batch, len(ours[i]), len(theirs), ours[i:][:1], theirs[i:][:1])
			}
		}
	}
	hidden16, final16 := 0, 0 // how often rounding has lost bits
	for row := range n {
		full, _ := exact(t, model, tensor.F32, x[row*in:(row+1)*in], 0)
		for j, v := range full {
			if float64(ours[1][row*out+j]) != v {
				t.Fatalf("row %d: logit %d is %v in fp32, want exactly %v", row, j, ours[1][row*out+j], v)
			}
			if ours[0][row*out+j] != fp16.FromFloat32(float32(v)).Float32() {
				hidden16++
			}
			if ours[0][row*out+j] != ours[1][row*out+j] {
				final16++
			}
		}
	}
	if hidden16 < 100 || final16 < 1000 {
		t.Errorf("of %d logits rounding has changed %d, of those %d within the network: the test does not see it", n*out, final16, hidden16)
	}
}

// mismatch returns the first index at which a and b differ in a bit, or −1.
func mismatch(a, b []float32) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// What fp16 cannot hold overflows to infinity there as here, and its subnormals are
// not flushed.
func TestONNXRuntimeExtremes(t *testing.T) {
	model := mlp(1, 1)
	model.Params()[0].Master[0] = 1
	x := []float32{65504, 65519.996, 65520, -1e9, 0x1p-24, 0x1.8p-25, 0x1p-25, 0x1.008p-15, 3.14159}
	ours := forward(t, model, tensor.F16, x, 1)
	theirs := infer(t, export(t, model, interchange.ONNXConfig{Precision: tensor.F16}), x, len(x))
	inf := float32(math.Inf(1))
	if want := []float32{65504, 65504, inf, -inf, 0x1p-24, 0x1p-24, 0, 0x1.008p-15, 3.140625}; !slices.Equal(ours, want) || !slices.Equal(theirs, want) {
		t.Errorf("ours %v, ONNX Runtime's %v, want %v", ours, theirs, want)
	}
}

// All of MNIST's test images get the same classes from ONNX Runtime as from us, and
// logits that differ by no more than roundings in another order explain.
func TestONNXRuntimeMNIST(t *testing.T) {
	onnxRuntime(t)
	mnist := datatest.MNIST(t)
	mean, std := mnist.Train.MeanStd()
	test := mnist.Test.Standardized(mean, std)
	pixels := make([]float32, len(mnist.Test.Pixels))
	for i, p := range mnist.Test.Pixels {
		pixels[i] = float32(p) / 255
	}
	in, n := test.Inputs()[0].Size(), test.Len()
	for _, precision := range []tensor.DType{tensor.F32, tensor.F16} {
		t.Run(precision.String(), func(t *testing.T) {
			model := trained(t, precision, mnist.Train.Standardized(mean, std), in, 64, 10)
			theirs := infer(t, export(t, model, interchange.ONNXConfig{Precision: precision, Mean: mean, Std: std}), pixels, 4096)
			x := make([]float32, n*in)
			sample := data.NewSample(test)
			for i := range n {
				test.Sample(i, sample)
				copy(x[i*in:], sample.Inputs[0].F32())
			}
			ours := forward(t, model, precision, x, in)
			if len(ours) != 10*n || len(theirs) != 10*n {
				t.Fatalf("%d and %d logits for %d images", len(ours), len(theirs), n)
			}

			// A pixel of theirs is p/255, rounded, less the mean, rounded, by the deviation,
			// rounded; ours is rounded once. These are four roundings of at most 1, divided.
			inputError := 4.01 * unit32 / float64(std)
			if precision == tensor.F16 {
				checkStandardized(t, mean, std)
				inputError = 0
			}
			right, others, near, largest, share := 0, 0, 0, 0.0, 0.0
			for i := range n {
				our, their := ours[10*i:10*i+10], theirs[10*i:10*i+10]
				_, off := exact(t, model, precision, x[i*in:(i+1)*in], inputError)
				for j, o := range off {
					d := math.Abs(float64(our[j]) - float64(their[j]))
					if !(d <= 2*o) {
						t.Errorf("image %d: logit %d is %v, ONNX Runtime's %v: want at most %v between them", i, j, our[j], their[j], 2*o)
					}
					largest, share = max(largest, d), max(share, d/(2*o))
				}
				best := argmax(our)
				if best == int(mnist.Test.Labels[i]) {
					right++
				}
				tie := slices.ContainsFunc([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, func(j int) bool {
					return j != best && float64(our[best])-float64(our[j]) <= 2*(off[best]+off[j])
				})
				if tie {
					near++
				}
				if best != argmax(their) {
					others++
					if t.Logf("image %d: logits %v, ONNX Runtime's %v", i, our, their); !tie {
						t.Errorf("image %d is of class %d, ONNX Runtime's answer is %d, and it is no near tie", i, best, argmax(their))
					}
				}
			}
			t.Logf("%d of %d images right; %d classes differ, and only of %d could they; logits differ by %.3g at most, %.2g of what is allowed", right, n, others, near, largest, share)
			if right < 9300 {
				t.Errorf("%d of %d images right: has it learned?", right, n)
			}
		})
	}
}

// checkStandardized fails unless each of the 256 pixels is the same in fp16 whether it
// is standardised as data does or in the model.
func checkStandardized(t *testing.T, mean, std float32) {
	t.Helper()
	for p := range 256 {
		ours := fp16.FromFloat32(float32((float64(p)/255 - float64(mean)) / float64(std)))
		difference := float32(p)/255 - mean
		if theirs := fp16.FromFloat32(difference / std); ours != theirs {
			t.Errorf("pixel %d is %v here and %v in the model", p, ours, theirs)
		}
	}
}

// trained returns a network after one epoch.
func trained(t *testing.T, precision tensor.DType, ds data.Dataset, in int, widths ...int) *nn.Graph {
	t.Helper()
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	model := mlp(in, widths...)
	optimizer, err := optim.NewSGD(model.Params(), optim.SGDConfig{Momentum: 0.9})
	if err != nil {
		t.Fatal(err)
	}
	scaling := lossscale.Default()
	if precision == tensor.F32 {
		scaling.Mode = lossscale.Off
	}
	scaler, err := lossscale.New(scaling)
	if err != nil {
		t.Fatal(err)
	}
	loader, err := data.NewLoader(ds, data.LoaderConfig{BatchSize: 128, DType: precision, Shuffle: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := trainer.New(trainer.Config{Engine: engine, Graph: model, Loss: nn.CrossEntropy{}, Optimizer: optimizer, Scaler: scaler, Schedule: trainer.Constant(0.05), Precision: precision})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Fit(context.Background(), trainer.FitConfig{Train: loader, Epochs: 1}); err != nil {
		t.Fatal(err)
	}
	return model
}

// argmax returns the index of the largest value, the first of those.
func argmax(v []float32) int { return slices.Index(v, slices.Max(v)) }
