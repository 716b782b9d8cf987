package interchange_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/interchange"
	"github.com/halfgrad/halfgrad/internal/require"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// chain returns a graph of layers, from the input "pixels" to the output "logits".
func chain(g *nn.Graph, in int, layers ...nn.Layer) *nn.Graph {
	g.Output("logits", nn.Chain(g.Input("pixels", in), layers...))
	return g
}

// linear and dropout are layers of a chain; within is a chain as one layer.
func linear(out int) nn.Layer {
	return func(x *nn.Value, opts ...nn.Option) *nn.Value { return nn.Linear(x, out, opts...) }
}

func dropout(rate float64) nn.Layer {
	return func(x *nn.Value, opts ...nn.Option) *nn.Value { return nn.Dropout(x, rate, opts...) }
}

func within(name string, layers ...nn.Layer) nn.Layer {
	return func(x *nn.Value, _ ...nn.Option) (y *nn.Value) {
		x.Graph().Scope(name, func() { y = nn.Chain(x, layers...) })
		return y
	}
}

// mlp returns a graph of linear layers with a ReLU between any two, from "pixels" to "logits".
func mlp(in int, widths ...int) *nn.Graph {
	g := nn.NewGraph(1)
	g.Output("logits", nn.MLP(g.Input("pixels", in), widths...))
	return g
}

// randomModel returns a chain whose biases are random too.
func randomModel(in int, layers ...nn.Layer) *nn.Graph {
	return randomized(chain(nn.NewGraph(7), in, layers...))
}

// randomized sets all parameters of a graph to random values.
func randomized(g *nn.Graph) *nn.Graph {
	for i, p := range g.Params() {
		bound := float32(math.Sqrt(1.5 / float64(p.Shape[0])))
		for j, v := range uniform(uint64(100+i), p.Len()) {
			p.Master[j] = bound * v
		}
	}
	return g
}

// uniform returns n numbers from -1 to 1.
func uniform(seed uint64, n int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*rng.Float32() - 1
	}
	return x
}

// forward returns the first output of a graph for x of [rows, in] in a precision.
func forward(t *testing.T, g *nn.Graph, precision tensor.DType, x []float32, in int) []float32 {
	t.Helper()
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	rows := len(x) / in
	input := tensor.FromF32(x, rows, in)
	if precision == tensor.F16 {
		half := make([]fp16.Float16, len(x))
		fp16.Narrow(half, x)
		input = tensor.FromF16(half, rows, in)
	}
	plan, err := g.Plan(nn.PlanConfig{Engine: engine, Batch: rows, Precision: precision})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Forward(nn.Position{}, []*tensor.Tensor{input}, false); err != nil {
		t.Fatal(err)
	}
	y := plan.Output(0)
	wide := make([]float32, y.Len())
	y.Elements().Load(wide)
	return wide
}

const (
	unit32 = 0x1p-24 // the unit roundoff of fp32
	unit16 = 0x1p-11 // and of fp16
)

// exact returns the logits of a network with weights of the given precision for one
// input, in float64, and for each how far from it anybody may be who sums in fp32 in any
// order, and in fp16 rounds the input and every layer's output to fp16.
//
// A sum of k products and a bias, of terms whose absolute values add up to s, is off by
// γ·s at most, with γ = n·u/(1−n·u) and n = k+2 roundings (Higham, "Accuracy and
// Stability of Numerical Algorithms", 2002, chapter 3). An error e of an input makes
// that of the output e·|w|. Rounding a value v to fp16 adds |v|/2^11, or half the smallest
// subnormal. inputError is how far each input may be off, apart from fp16.
func exact(t *testing.T, g *nn.Graph, precision tensor.DType, x []float32, inputError float64) (y, off []float64) {
	t.Helper()
	y, off = make([]float64, len(x)), make([]float64, len(x))
	round := func() {
		if precision == tensor.F16 {
			for j := range y {
				off[j] += unit16*(math.Abs(y[j])+off[j]) + 0x1p-25
			}
		}
	}
	for i, v := range x {
		y[i], off[i] = float64(v), inputError
	}
	if precision == tensor.F16 && inputError == 0 { // all round it to the same
		for i, v := range x {
			y[i] = float64(fp16.FromFloat32(v).Float32())
		}
	} else {
		round()
	}
	for _, n := range g.Nodes() {
		switch kind, _, _ := strings.Cut(fmt.Sprint(n.Op), " "); kind {
		case "Linear":
			weight := param(t, g, n.Name+".weight")
			in, out := weight.Shape[0], weight.Shape[1]
			w, b := widened(weight, precision), widened(param(t, g, n.Name+".bias"), precision)
			sums, errors, sizes := make([]float64, out), make([]float64, out), make([]float64, out)
			for j := range out {
				sums[j], sizes[j] = float64(b[j]), math.Abs(float64(b[j]))
			}
			for i := range in {
				a, e := y[i], off[i]
				for j, v := range w[i*out : (i+1)*out] {
					v := float64(v)
					sums[j] += a * v
					v = math.Abs(v)
					errors[j] += e * v
					sizes[j] += (math.Abs(a) + e) * v
				}
			}
			gamma := float64(in+2) * unit32
			gamma /= 1 - gamma
			for j := range out {
				errors[j] += gamma * sizes[j]
			}
			y, off = sums, errors
			round()
		case "ReLU": // brings nothing further apart
			for j := range y {
				y[j] = max(y[j], 0)
			}
		case "Dropout":
		default:
			t.Fatalf("%v: want a Linear, a ReLU or a Dropout", n)
		}
	}
	return y, off
}

// param returns the parameter of a name.
func param(t *testing.T, g *nn.Graph, name string) *nn.Param {
	t.Helper()
	for _, p := range g.Params() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("the graph has no parameter %s", name)
	return nil
}

// widened returns the values of a parameter as a precision has them.
func widened(p *nn.Param, precision tensor.DType) []float32 {
	w := slices.Clone(p.Master)
	if precision == tensor.F16 {
		for i, v := range w {
			w[i] = fp16.FromFloat32(v).Float32()
		}
	}
	return w
}

// python runs a script in testdata with the first Python that has a module of the name
// that HALFGRAD_REQUIRE uses, and returns what it prints.
func python(t *testing.T, module, script string, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: Python's packages take seconds to load")
	}
	for _, program := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(program, "-c", "import numpy, "+module).Run() != nil {
			continue
		}
		cmd := exec.Command(program, append([]string{"-B", filepath.Join("testdata", script)}, args...)...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
		}
		return string(out)
	}
	require.Missing(t, module, "no Python here has %s; in Debian: apt-get install python3-%s", module, module)
	panic("unreachable")
}

// onnxRuntimeVersion is the version of the package onnxruntime-node, that of bench/peers.
const onnxRuntimeVersion = "1.30.0"

// onnxRuntime returns a folder with onnxruntime-node. It is the cache of bench/peers. If
// HALFGRAD_REQUIRE lists "onnxruntime", it is installed if it is not there.
func onnxRuntime(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: ONNX Runtime takes seconds to start")
	}
	if _, err := exec.LookPath("node"); err != nil {
		require.Missing(t, "onnxruntime", "there is no Node to run ONNX Runtime in; in Debian: apt-get install nodejs npm")
	}
	cache := os.Getenv(data.EnvCache)
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			require.Missing(t, "onnxruntime", "%v", err)
		}
		cache = filepath.Join(user, "halfgrad")
	}
	folder := filepath.Join(cache, "peers")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "onnxruntime-node")); err == nil {
		return folder
	}
	if !require.Listed("onnxruntime") {
		t.Skipf("ONNX Runtime is not in %s: with HALFGRAD_REQUIRE=onnxruntime it is installed there", folder)
	}
	cmd := exec.Command("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, "onnxruntime-node@"+onnxRuntimeVersion)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return folder
}

// strange is an operation of somebody else that cannot be exported.
type strange struct{}

func (strange) Infer(in []nn.Shape) (nn.Form, error) { return nn.Form{Out: in[0], View: true}, nil }
func (strange) Forward(*nn.Call)                     {}
func (strange) Backward(*nn.Call)                    {}

// failing says itself that it cannot be exported.
type failing struct{ strange }

var errFailing = errors.New("no operator does this")

func (failing) ONNX(nn.ONNXWriter, []nn.ONNXValue, []nn.ONNXValue) (string, error) {
	return "", errFailing
}

func foreign(op nn.Op) nn.Layer {
	return func(x *nn.Value, opts ...nn.Option) *nn.Value {
		return nn.Apply("Foreign", op, []*nn.Value{x}, opts...)
	}
}

func TestNotHandedOn(t *testing.T) {
	overflowing := mlp(2, 3)
	overflowing.Params()[0].Master[4] = 65520 // the middle between fp16's largest and infinity
	nan := mlp(2, 3, 1)
	nan.Params()[3].Master[0] = float32(math.NaN())
	for _, tt := range []struct {
		name  string
		graph *nn.Graph
		dtype tensor.DType
		want  string
		as    any // a pointer to the type of the error
	}{
		{"blank", chain(nn.NewBlankGraph(), 2, linear(3)), tensor.F32, "the graph has no values", nil},
		{"overflow", overflowing, tensor.F16, "tensor 0.weight has the element 65520 at index", new(*interchange.TensorError)},
		{"NaN", nan, tensor.F32, "tensor 2.bias has the element NaN at index 0", new(*interchange.TensorError)},
		{"NaN in fp16", nan, tensor.F16, "tensor 2.bias has the element NaN at index 0", new(*interchange.TensorError)},
		{"no type", mlp(2, 3), 0, "DType(0): want fp16 or fp32", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := interchange.StateDict(tt.graph, tt.dtype)
			checkError(t, err, tt.want, tt.as)
			_, err = interchange.ONNX(tt.graph, interchange.ONNXConfig{Precision: tt.dtype})
			checkError(t, err, tt.want, tt.as)
		})
	}
	if _, err := interchange.StateDict(overflowing, tensor.F32); err != nil {
		t.Error(err)
	}
	_, err := interchange.StateDict(chain(nn.NewGraph(1), 2, nn.ReLU, dropout(0.5)), tensor.F32)
	checkError(t, err, "the graph has no parameters", nil)

	// What has no state to hand on, and what ONNX alone does not take.
	noOutput := nn.NewGraph(1)
	nn.Linear(noOutput.Input("x", 2), 3)
	op := func(graph *nn.Graph, precision tensor.DType, want string, as any) error {
		_, err := interchange.ONNX(graph, interchange.ONNXConfig{Precision: precision})
		checkError(t, err, want, as)
		return err
	}
	op(noOutput, tensor.F32, "the graph has no output", nil)
	op(chain(nn.NewGraph(1), 2, linear(2), foreign(strange{})), tensor.F32, "1 (strange) is a interchange_test.strange", new(*interchange.OpError))
	op(chain(nn.NewGraph(1), 2, within("block", nn.ReLU, foreign(strange{}))), tensor.F16, "block.1 (strange) is a interchange_test.strange", new(*interchange.OpError))
	if err := op(chain(nn.NewGraph(1), 2, foreign(failing{})), tensor.F32, "0 (failing): no operator does this", new(*interchange.OpError)); !errors.Is(err, errFailing) {
		t.Errorf("error %v, want it to wrap %v", err, errFailing)
	}
	echo := nn.NewGraph(1)
	echo.Output("x", nn.Linear(echo.Input("x", 2), 3))
	op(echo, tensor.F32, `two values of the ONNX model have the name "x"`, nil)
	for _, cfg := range []interchange.ONNXConfig{{Input: "logits"}, {Input: "0.weight"}, {Input: "mean"}, {Input: "probabilities", Probabilities: true}} {
		cfg.Precision = tensor.F32
		_, err := interchange.ONNX(mlp(2, 3), cfg)
		checkError(t, err, fmt.Sprintf("two values of the ONNX model have the name %q", cfg.Input), nil)
	}
	for _, cfg := range []interchange.ONNXConfig{{Mean: float32(math.NaN())}, {Std: -1}, {Std: float32(math.Inf(1))}} {
		cfg.Precision = tensor.F32
		_, err := interchange.ONNX(overflowing, cfg)
		checkError(t, err, "want finite numbers, the latter not negative", nil)
	}
}

// checkError fails unless err is one line with a text, of the type that as points to.
func checkError(t *testing.T, err error, want string, as any) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), "interchange: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want %q", err, want)
	}
	if as != nil && !errors.As(err, as) {
		t.Errorf("error of type %T, want %T", err, as)
	}
}
