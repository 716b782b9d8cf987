package nn_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

func newContext(t testing.TB) *nn.Context {
	t.Helper()
	e, err := kernels.New(kernels.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &nn.Context{Engine: e}
}

// fixture is what testdata/pytorch.py wrote.
type fixture struct {
	Torch  string
	Widths []int
	Batch  int
	X      []float64
	Labels []int
	Logits []float64
	Loss   float64
	DX     []float64
	Params map[string]struct{ Value, Grad []float64 }
	CE     []struct {
		Logits []float64
		Label  int
		Loss   float64
		Grad   []float64
	} `json:"cross_entropy"`
	Smooth []struct {
		Smoothing float32
		Logits    []float64
		Labels    []int
		Loss      float64
		Grad      []float64
	}
}

func loadFixture(t *testing.T) (f fixture) {
	t.Helper()
	b, err := os.ReadFile("testdata/pytorch.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func narrow(values []float64) []float32 {
	s := make([]float32, len(values))
	for i, v := range values {
		s[i] = float32(v)
	}
	return s
}

// newTensor rounds values into a tensor of the given type.
func newTensor(dtype tensor.DType, values []float32, shape ...int) *tensor.Tensor {
	x := tensor.FromF32(values, shape...)
	if dtype == tensor.F32 {
		return x
	}
	h := tensor.New(tensor.F16, shape...)
	fp16.Narrow(h.F16(), values)
	return h
}

// values returns the elements of x, widened.
func values(x *tensor.Tensor) []float32 {
	if x.DType() == tensor.F32 {
		return x.F32()
	}
	wide := make([]float32, x.Len())
	fp16.Widen(wide, x.F16())
	return wide
}

// near fails unless got and want agree to within tolerance × the largest |want|.
func near(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	scale := 0.0
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i]) <= tolerance*scale) {
			t.Errorf("%s[%d] = %g, want %g (within %g of %g)", what, i, got[i], want[i], tolerance, scale)
		}
	}
}

// In fp32 the passes agree with float64 to fp32's rounding. In fp16 they agree
// to its rounding of activations and activation gradients: ε/2 = 2⁻¹¹ each,
// a few of which add up over three layers.
func TestAgainstPyTorch(t *testing.T) {
	f := loadFixture(t)
	for _, c := range []struct {
		dtype     tensor.DType
		tolerance float64
		scale     float32
	}{
		{tensor.F32, 5e-7, 1},
		{tensor.F32, 5e-7, 1024},
		{tensor.F16, 4 * 0x1p-11, 1024},
	} {
		t.Run(c.dtype.String(), func(t *testing.T) {
			model := nn.NewMLP(nil, f.Widths...)
			for _, p := range model.Params() {
				copy(p.Master, narrow(f.Params[p.Name].Value))
			}
			var loss nn.CrossEntropy
			ctx := newContext(t)
			x := newTensor(c.dtype, narrow(f.X), f.Batch, f.Widths[0])
			logits := model.Forward(ctx, x)
			near(t, "logits", values(logits), f.Logits, c.tolerance)
			got, dlogits := loss.Loss(logits, f.Labels, c.scale)
			near(t, "loss", []float32{float32(got)}, []float64{f.Loss}, c.tolerance)
			dx := model.Backward(ctx, dlogits, true)
			near(t, "dx", unscale(values(dx), c.scale), f.DX, c.tolerance)
			for _, p := range model.Params() {
				near(t, "the gradient of "+p.Name, unscale(p.Grad, c.scale), f.Params[p.Name].Grad, c.tolerance)
			}
		})
	}
}

func unscale(values []float32, scale float32) []float32 {
	s := slices.Clone(values)
	for i := range s {
		s[i] /= scale
	}
	return s
}

// lossFloat64 is the loss of an MLP in float64, by the textbook: a second
// implementation for the central differences to differentiate.
func lossFloat64(weights map[string][]float64, widths []int, x []float64, labels []int) float64 {
	total := 0.0
	for i, label := range labels {
		row := x[i*widths[0] : (i+1)*widths[0]]
		for l := range len(widths) - 1 {
			name := string(rune('0' + 2*l))
			next := slices.Clone(weights[name+".bias"])
			for j := range next {
				for k, v := range row {
					next[j] += v * weights[name+".weight"][k*len(next)+j]
				}
				if l < len(widths)-2 {
					next[j] = max(next[j], 0)
				}
			}
			row = next
		}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(v)
		}
		total += math.Log(sum) - row[label]
	}
	return total / float64(len(labels))
}

// Every gradient, of every parameter, is the slope of the loss.
func TestCentralDifferences(t *testing.T) {
	widths := []int{5, 7, 6, 3}
	const batch, h = 11, 1e-6
	rng := rand.New(rand.NewPCG(3, 1))
	model := nn.NewMLP(nn.NewRand(5), widths...)
	weights := map[string][]float64{}
	for _, p := range model.Params() {
		weights[p.Name] = make([]float64, len(p.Master))
		for i := range p.Master {
			if strings.HasSuffix(p.Name, "bias") {
				p.Master[i] = rng.Float32() - 0.5
			}
			weights[p.Name][i] = float64(p.Master[i])
		}
	}
	x32, x64, labels := make([]float32, batch*widths[0]), make([]float64, batch*widths[0]), make([]int, batch)
	for i := range x32 {
		x32[i] = rng.Float32()*2 - 1
		x64[i] = float64(x32[i])
	}
	for i := range labels {
		labels[i] = rng.IntN(widths[3])
	}

	ctx := newContext(t)
	var loss nn.CrossEntropy
	got, dlogits := loss.Loss(model.Forward(ctx, tensor.FromF32(x32, batch, widths[0])), labels, 1)
	if want := lossFloat64(weights, widths, x64, labels); math.Abs(got-want) > 1e-6 {
		t.Fatalf("loss %g, want %g", got, want)
	}
	dx := model.Backward(ctx, dlogits, true)

	slope := func(values []float64, i int) float64 {
		v := values[i]
		values[i] = v + h
		above := lossFloat64(weights, widths, x64, labels)
		values[i] = v - h
		below := lossFloat64(weights, widths, x64, labels)
		values[i] = v
		return (above - below) / (2 * h)
	}
	for _, p := range model.Params() {
		for i, g := range p.Grad {
			if want := slope(weights[p.Name], i); math.Abs(float64(g)-want) > 2e-7 {
				t.Errorf("d loss / d %s[%d] = %g, the slope is %g", p.Name, i, g, want)
			}
		}
	}
	for i, g := range dx.F32() {
		if want := slope(x64, i); math.Abs(float64(g)-want) > 2e-7 {
			t.Errorf("d loss / d x[%d] = %g, the slope is %g", i, g, want)
		}
	}
}

func TestCrossEntropyAgainstPyTorch(t *testing.T) {
	for _, c := range loadFixture(t).CE {
		var ce nn.CrossEntropy
		logits := tensor.FromF32(narrow(c.Logits), 1, len(c.Logits))
		loss, grad := ce.Loss(logits, []int{c.Label}, 1)
		if math.Abs(loss-c.Loss) > 2e-7*max(1, math.Abs(c.Loss)) {
			t.Errorf("%v, label %d: loss %g, want %g", c.Logits, c.Label, loss, c.Loss)
		}
		for i, g := range grad.F32() {
			if math.Abs(float64(g)-c.Grad[i]) > 2e-7 {
				t.Errorf("%v, label %d: gradient %v, want %v", c.Logits, c.Label, grad.F32(), c.Grad)
				break
			}
		}
	}
}

func TestLabelSmoothingAgainstPyTorch(t *testing.T) {
	cases := loadFixture(t).Smooth
	if len(cases) != 3 {
		t.Fatalf("the fixture has %d cases", len(cases))
	}
	for _, c := range cases {
		ce := nn.CrossEntropy{Smoothing: c.Smoothing}
		logits := tensor.FromF32(narrow(c.Logits), len(c.Labels), 5)
		loss, grad := ce.Loss(logits, c.Labels, 1024)
		if math.Abs(loss-c.Loss) > 5e-7*c.Loss {
			t.Errorf("smoothing %g: loss %g, want %g", c.Smoothing, loss, c.Loss)
		}
		scaled := slices.Clone(c.Grad)
		for i := range scaled {
			scaled[i] *= 1024
		}
		near(t, "gradient", grad.F32(), scaled, 5e-7)
		// Evaluation does not smooth.
		smooth, _ := ce.Evaluate(logits, c.Labels)
		if plain, _ := new(nn.CrossEntropy).Evaluate(logits, c.Labels); smooth != plain {
			t.Errorf("smoothing %g: the loss in evaluation is %g, without it %g", c.Smoothing, smooth, plain)
		}
	}
}

func TestCrossEntropyOverflow(t *testing.T) {
	logits := newTensor(tensor.F16, []float32{-4, 4}, 1, 2)
	var ce nn.CrossEntropy
	// p − 1 is about −1: times 2¹⁷ it is beyond fp16, and must show as an
	// infinity rather than be clamped.
	_, grad := ce.Loss(logits, []int{0}, 1<<17)
	if !grad.F16()[0].IsInf(-1) || !grad.F16()[1].IsInf(1) {
		t.Errorf("gradient %v, want ∓Inf", values(grad))
	}
	// A NaN anywhere in a row makes its loss NaN.
	loss, _ := ce.Loss(tensor.FromF32([]float32{0, float32(math.NaN()), 1}, 1, 3), []int{0}, 1)
	if loss == loss {
		t.Errorf("the loss of a row with a NaN is %g", loss)
	}
}

func TestCrossEntropyPanics(t *testing.T) {
	var ce nn.CrossEntropy
	logits := tensor.New(tensor.F32, 2, 3)
	for _, labels := range [][]int{{0}, {0, 3}, {-1, 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("labels %v for two rows of three: no panic", labels)
				}
			}()
			ce.Loss(logits, labels, 1)
		}()
	}
}

func TestEvaluate(t *testing.T) {
	logits := newTensor(tensor.F16, []float32{1, 2, 0, 5, 5, 1, 0, 0, 3}, 3, 3)
	var ce nn.CrossEntropy
	loss, correct := ce.Evaluate(logits, []int{1, 1, 2})
	if correct != 2 { // the tie in the second row goes to class 0
		t.Errorf("%d correct, want 2", correct)
	}
	want := 0.0
	for _, r := range [][4]float64{{1, 2, 0, 2}, {5, 5, 1, 5}, {0, 0, 3, 3}} {
		want += math.Log(math.Exp(r[0])+math.Exp(r[1])+math.Exp(r[2])) - r[3]
	}
	if math.Abs(loss-want) > 1e-6 {
		t.Errorf("the losses sum to %g, want %g", loss, want)
	}
}

// ReLU over every fp16 value, against its definition in float32.
func TestReLUEveryValue(t *testing.T) {
	x := tensor.New(tensor.F16, 1<<16)
	dy := tensor.New(tensor.F16, 1<<16)
	for i := range x.F16() {
		x.F16()[i] = fp16.Float16(i)
		dy.F16()[i] = 0xbc00 // −1
	}
	wide := tensor.FromF32(slices.Clone(values(x)), 1<<16)
	ctx := newContext(t)
	relu, relu32 := nn.NewReLU(), nn.NewReLU()
	y, y32 := relu.Forward(ctx, x), relu32.Forward(ctx, wide)
	dx := relu.Backward(ctx, dy, true)
	dx32 := relu32.Backward(ctx, tensor.FromF32(slices.Clone(values(dy)), 1<<16), true)
	for i := range y.F16() {
		v := fp16.Float16(i).Float32()
		want, wantGrad := v, float32(-1)
		if v <= 0 { // a NaN is not
			want, wantGrad = 0, 0
		}
		for _, got := range []float32{y.F16()[i].Float32(), y32.F32()[i]} {
			if math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
				t.Fatalf("ReLU(%g) = %g, want %g", v, got, want)
			}
		}
		for _, got := range []float32{dx.F16()[i].Float32(), dx32.F32()[i]} {
			if math.Float32bits(got) != math.Float32bits(wantGrad) {
				t.Fatalf("ReLU'(%g)·(−1) = %g, want %g", v, got, wantGrad)
			}
		}
	}
}

func TestKaimingUniform(t *testing.T) {
	l := nn.NewLinear(nn.NewRand(1), 600, 500)
	bound := math.Sqrt(6.0 / 600)
	sum, squares, largest := 0.0, 0.0, 0.0
	for _, w := range l.Weight.Master {
		v := float64(w)
		sum, squares, largest = sum+v, squares+v*v, max(largest, math.Abs(v))
	}
	n := float64(len(l.Weight.Master))
	if largest > bound || largest < 0.999*bound {
		t.Errorf("the largest weight is %g, the bound %g", largest, bound)
	}
	// Five standard errors around a mean of 0 and a variance of bound²/3 = 2/600.
	if mean := sum / n; math.Abs(mean) > 5*bound/math.Sqrt(3*n) {
		t.Errorf("the mean is %g", mean)
	}
	if variance := squares / n; math.Abs(variance*300-1) > 5*math.Sqrt(0.8/n) {
		t.Errorf("the variance is %g, want %g", variance, 2.0/600)
	}
	for _, b := range l.Bias.Master {
		if b != 0 {
			t.Fatalf("bias %g, want 0", b)
		}
	}
	if again := nn.NewLinear(nn.NewRand(1), 600, 500); !slices.Equal(again.Weight.Master, l.Weight.Master) {
		t.Error("one seed, two models")
	}
	if other := nn.NewLinear(nn.NewRand(2), 600, 500); slices.Equal(other.Weight.Master, l.Weight.Master) {
		t.Error("two seeds, one model")
	}
}

// Every tier computes the same bits, at any number of threads.
func TestPassIsReproducible(t *testing.T) {
	x := tensor.New(tensor.F16, 33, 50)
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range x.F16() {
		x.F16()[i] = fp16.FromFloat32(rng.Float32()*4 - 2)
	}
	labels := make([]int, 33)
	for i := range labels {
		labels[i] = rng.IntN(10)
	}
	var want [][]float32
	for _, tier := range kernels.Supported() {
		for _, threads := range []int{1, 2, 3} {
			e, err := kernels.New(kernels.Config{Kernel: tier, Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			ctx := &nn.Context{Engine: e}
			model := nn.NewMLP(nn.NewRand(1), 50, 70, 10)
			var ce nn.CrossEntropy
			_, dlogits := ce.Loss(model.Forward(ctx, x), labels, 4096)
			dx := model.Backward(ctx, dlogits, true)
			got := [][]float32{values(dx)}
			for _, p := range model.Params() {
				got = append(got, p.Grad)
			}
			if want == nil {
				want = got
			}
			for i := range got {
				if !slices.Equal(got[i], want[i]) {
					t.Fatalf("%s with %d threads differs from %s", tier, threads, kernels.Supported()[0])
				}
			}
		}
	}
}

func TestFirstOverflow(t *testing.T) {
	ctx := newContext(t)
	var ce nn.CrossEntropy
	pass := func(model *nn.Sequential, scale float32) string {
		x := newTensor(tensor.F16, []float32{1, 1, 1, 1}, 2, 2)
		_, dlogits := ce.Loss(model.Forward(ctx, x), []int{0, 1}, scale)
		model.Backward(ctx, dlogits, false)
		return model.FirstOverflow()
	}
	model := nn.NewMLP(nn.NewRand(1), 2, 3, 2)
	if got := pass(model, 1024); got != "" {
		t.Errorf("a finite pass overflowed in %s", got)
	}
	if got := pass(model, 1<<20); got != "the gradient at the output of layer 2 (Linear 3→2)" {
		t.Errorf("too large a scale overflowed in %q", got)
	}
	last := model.Params()[2] // the scaled gradient overflows on its way down
	for i := range last.Master {
		last.Master[i] = 60000 * float32(1-2*(i%2))
	}
	for i := range model.Params()[0].Master {
		model.Params()[0].Master[i] = 0.001
	}
	last.Sync()
	model.Params()[0].Sync()
	if got := pass(model, 1024); got != "the gradient at the output of layer 1 (ReLU)" {
		t.Errorf("large weights overflowed in %q", got)
	}
	first := model.Params()[0]
	for i := range first.Master {
		first.Master[i] = 65504
	}
	first.Sync()
	if got := pass(model, 1); got != "the output of layer 0 (Linear 2→3)" {
		t.Errorf("huge weights overflowed in %q", got)
	}
}

// A smaller batch after a larger one uses the same memory. The values left there must not
// change its results.
func TestBatchSizesMayVary(t *testing.T) {
	ctx := newContext(t)
	model, fresh := nn.NewMLP(nn.NewRand(1), 6, 5, 3), nn.NewMLP(nn.NewRand(1), 6, 5, 3)
	pass := func(m *nn.Sequential, rows int) []float32 {
		x := tensor.New(tensor.F16, rows, 6)
		for i := range x.F16() {
			x.F16()[i] = fp16.FromFloat32(float32(i%7) - 3)
		}
		var ce nn.CrossEntropy
		_, d := ce.Loss(m.Forward(ctx, x), make([]int, rows), 64)
		return slices.Concat(values(m.Backward(ctx, d, true)), m.Params()[0].Grad, m.Params()[1].Grad)
	}
	pass(model, 20)
	if got, want := pass(model, 3), pass(fresh, 3); !slices.Equal(got, want) {
		t.Errorf("after a larger batch: %v, want %v", got, want)
	}
}

func TestShapePanics(t *testing.T) {
	for name, f := range map[string]func(){
		"nn: Linear 3→2: the input has 4 columns":      func() { nn.NewLinear(nil, 3, 2).Forward(newContext(t), tensor.New(tensor.F32, 2, 4)) },
		"nn: NewLinear: 0 inputs":                      func() { nn.NewLinear(nil, 0, 2) },
		"nn: MLP: widths [3]":                          func() { nn.NewMLP(nil, 3) },
		"nn: NewParam: w has the shape [2 -1]":         func() { nn.NewParam("w", 2, -1) },
		"nn: CrossEntropy: 1 labels for 2 rows":        func() { new(nn.CrossEntropy).Loss(tensor.New(tensor.F16, 2, 4), []int{1}, 1) },
		"nn: CrossEntropy: label 4 of row 1 is not in": func() { new(nn.CrossEntropy).Evaluate(tensor.New(tensor.F16, 2, 4), []int{1, 4}) },
	} {
		func() {
			defer func() {
				if msg, _ := recover().(string); !strings.HasPrefix(msg, name) {
					t.Errorf("panic %q, want %q", msg, name)
				}
			}()
			f()
		}()
	}
}

// A network of Linear and ReLU keeps one output and one gradient a Linear, half as
// large in fp16 as in fp32.
func TestActivations(t *testing.T) {
	ctx := newContext(t)
	for dtype, size := range map[tensor.DType]int{tensor.F16: 2, tensor.F32: 4} {
		m := nn.NewMLP(nn.NewRand(1), 7, 5, 4, 3)
		m.Forward(ctx, tensor.New(dtype, 10, 7))
		m.Backward(ctx, tensor.New(dtype, 10, 3), false)
		outputs, gradients := m.Activations()
		if want := 10 * (7 + 5 + 4 + 3) * size; outputs != want {
			t.Errorf("%v: outputs of %d bytes, want %d", dtype, outputs, want)
		}
		if want := 10 * (3 + 4 + 5) * size; gradients != want {
			t.Errorf("%v: gradients of %d bytes, want %d", dtype, gradients, want)
		}
	}
}
