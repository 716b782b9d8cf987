package interchange_test

import (
	"errors"
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

// randomModel returns a network whose biases are random too.
func randomModel(layers ...nn.Layer) *nn.Sequential {
	model := nn.NewSequential(layers...)
	rng := nn.NewRand(7)
	for _, p := range model.Params() {
		nn.KaimingUniform(rng, p.Master, 4*p.Shape[0])
		p.Sync()
	}
	return model
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

// forward returns model's logits for x of [·, in] in a precision.
func forward(t *testing.T, model *nn.Sequential, precision tensor.DType, x []float32, in int) []float32 {
	t.Helper()
	engine, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	input := tensor.FromF32(x, len(x)/in, in)
	if precision == tensor.F16 {
		half := make([]fp16.Float16, len(x))
		fp16.Narrow(half, x)
		input = tensor.FromF16(half, len(x)/in, in)
	}
	y := model.Forward(&nn.Context{Engine: engine}, input)
	if precision == tensor.F32 {
		return slices.Clone(y.F32())
	}
	wide := make([]float32, y.Len())
	fp16.Widen(wide, y.F16())
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
func exact(model *nn.Sequential, precision tensor.DType, x []float32, inputError float64) (y, off []float64) {
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
	for _, l := range model.Layers() {
		switch l := l.(type) {
		case *nn.Linear:
			in, out := l.Weight.Shape[0], l.Weight.Shape[1]
			w, b := widened(l.Weight, precision), widened(l.Bias, precision)
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
		case *nn.ReLU: // brings nothing further apart
			for j := range y {
				y[j] = max(y[j], 0)
			}
		}
	}
	return y, off
}

func widened(p *nn.Param, precision tensor.DType) []float32 {
	if precision == tensor.F32 {
		return p.Master
	}
	w := make([]float32, len(p.Master))
	fp16.Widen(w, p.Half)
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

// strange is a layer of somebody else.
type strange struct{ nn.ReLU }

func TestNotHandedOn(t *testing.T) {
	relu, linear := nn.NewReLU, func(in, out int) nn.Layer { return nn.NewLinear(nil, in, out) }
	overflowing := nn.NewMLP(nil, 2, 3)
	overflowing.Params()[0].Master[4] = 65520 // the middle between fp16's largest and infinity
	nan := nn.NewMLP(nil, 2, 3, 1)
	nan.Params()[3].Master[0] = float32(math.NaN())
	for _, tt := range []struct {
		name  string
		model *nn.Sequential
		dtype tensor.DType
		want  string
		as    any // a pointer to the type of the error
	}{
		{"no layers", nn.NewSequential(), tensor.F32, "has no Linear layer", nil},
		{"nothing to learn", nn.NewSequential(relu(), nn.NewDropout(nil, 0.5)), tensor.F32, "has no Linear layer", nil},
		{"unknown layer", nn.NewSequential(linear(2, 2), new(strange)), tensor.F32, "layer 1 is a *interchange_test.strange", new(*interchange.LayerError)},
		{"unknown layer within", nn.NewSequential(linear(2, 2), nn.NewSequential(relu(), new(strange))), tensor.F16, "layer 1.1 is a *interchange_test.strange", new(*interchange.LayerError)},
		{"widths", nn.NewSequential(linear(2, 3), relu(), linear(4, 1)), tensor.F32, "tensor 2.weight is of a layer with 4 inputs: want 3", new(*interchange.TensorError)},
		{"overflow", overflowing, tensor.F16, "tensor 0.weight has the element 65520 at index", new(*interchange.TensorError)},
		{"NaN", nan, tensor.F32, "tensor 2.bias has the element NaN at index 0", new(*interchange.TensorError)},
		{"NaN in fp16", nan, tensor.F16, "tensor 2.bias has the element NaN at index 0", new(*interchange.TensorError)},
		{"no type", nn.NewMLP(nil, 2, 3), 0, "DType(0): want fp16 or fp32", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := interchange.StateDict(tt.model, tt.dtype)
			checkError(t, err, tt.want, tt.as)
			_, err = interchange.ONNX(tt.model, interchange.ONNXConfig{Precision: tt.dtype})
			checkError(t, err, tt.want, tt.as)
		})
	}
	if _, err := interchange.StateDict(overflowing, tensor.F32); err != nil {
		t.Error(err)
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
