package nn_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/portable"
	"github.com/halfgrad/halfgrad/tensor"
)

// lossCase is a case of testdata/losses.json.
type lossCase struct {
	Loss              string
	Shape             []int // of a sample of the outputs
	Outputs, Targets  []float64
	Value             float64
	Gradient          []float64
	Smoothing, Weight float32
	Delta             float32
	Weights           []float32
}

func readLosses(t *testing.T) []lossCase {
	t.Helper()
	b, err := os.ReadFile("testdata/losses.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Cases []lossCase }
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f.Cases
}

func (lc lossCase) String() string {
	return fmt.Sprintf("%s of %v, smoothing %v, weights %v and %v, delta %v", lc.Loss, lc.Shape, lc.Smoothing, lc.Weights, lc.Weight, lc.Delta)
}

func (lc lossCase) loss() nn.Loss {
	switch lc.Loss {
	case "cross-entropy":
		return nn.CrossEntropy{Smoothing: lc.Smoothing, Weights: lc.Weights}
	case "mse":
		return nn.MSE{}
	case "huber":
		return nn.Huber{Delta: lc.Delta}
	case "bce":
		return nn.BCEWithLogits{PosWeight: lc.Weight}
	}
	panic(lc.Loss)
}

func narrow(values []float64) []float32 {
	s := make([]float32, len(values))
	for i, v := range values {
		s[i] = float32(v)
	}
	return s
}

func stored(dtype tensor.DType, values []float32, shape ...int) *tensor.Tensor {
	x := tensor.New(dtype, shape...)
	x.Elements().Store(values)
	return x
}

// call makes the call of a case, with its rows.
func (lc lossCase) call(dtype tensor.DType) (*nn.LossCall, int) {
	size := nn.Shape(lc.Shape).Len()
	n := len(lc.Outputs) / size
	shape := append([]int{n}, lc.Shape...)
	c := &nn.LossCall{Outputs: []*tensor.Tensor{stored(dtype, narrow(lc.Outputs), shape...)}, DOut: []*tensor.Tensor{tensor.New(dtype, shape...)}}
	if lc.Loss == "cross-entropy" {
		classes := make([]int32, len(lc.Targets))
		for i, v := range lc.Targets {
			classes[i] = int32(v)
		}
		c.Targets = []*tensor.Tensor{tensor.FromElements(tensor.Of(classes), shape[:len(shape)-1]...)}
	} else {
		c.Targets = []*tensor.Tensor{stored(tensor.F32, narrow(lc.Targets), shape...)}
	}
	return c, n
}

// The losses and their gradients are PyTorch's: to the rounding of a few fp32 operations,
// and of the gradient to its storage type.
func TestLossesAgreeWithPyTorch(t *testing.T) {
	const scale = 64
	seen := map[string]bool{}
	for _, lc := range readLosses(t) {
		seen[lc.Loss] = true
		for _, storage := range []struct {
			dtype   tensor.DType
			epsilon float64
		}{{tensor.F32, 0}, {tensor.F16, 0x1p-11}} {
			c, _ := lc.call(storage.dtype)
			loss := lc.loss()
			if got := floats(c.Outputs[0]); !slices.Equal(got, narrow(lc.Outputs)) {
				t.Fatalf("%v: %v has not got the outputs", lc, storage.dtype)
			}
			weight := loss.Weight(c.Targets)
			c.Factor = float32(scale / weight)
			value := loss.Sum(c) / weight
			if lc.Smoothing == 0 || lc.Loss != "cross-entropy" {
				evaluation := *c
				evaluation.DOut = nil
				if other := loss.Sum(&evaluation) / weight; other != value {
					t.Errorf("%v: %v in an evaluation, and %v with gradients", lc, other, value)
				}
			}
			if !(math.Abs(value-lc.Value) <= 5e-7*max(1, math.Abs(lc.Value))) {
				t.Errorf("%v: %v, want %v", lc, value, lc.Value)
			}
			largest := 0.0
			for _, g := range lc.Gradient {
				largest = max(largest, math.Abs(g))
			}
			for i, g := range floats(c.DOut[0]) {
				want := lc.Gradient[i]
				if !(math.Abs(float64(g)/scale-want) <= 5e-7*largest+storage.epsilon*math.Abs(want)+0x1p-25/scale) {
					t.Errorf("%v in %v: the gradient [%d] is %v, want %v", lc, storage.dtype, i, g/scale, want)
					break
				}
			}
		}
	}
	if len(seen) != 4 {
		t.Errorf("the fixture has %v only", seen)
	}
}

// The sum of a batch in parts has the bits of the whole batch, and so have the gradients.
func TestLossesInParts(t *testing.T) {
	for _, lc := range readLosses(t) {
		whole, n := lc.call(tensor.F32)
		loss := lc.loss()
		whole.Factor = float32(1 / loss.Weight(whole.Targets))
		want := loss.Sum(whole)
		for size := 1; size < n; size++ {
			var part nn.LossCall
			var gradient []float32
			part.Factor = whole.Factor
			for from := 0; from < n; from += size {
				to := min(n, from+size)
				out, target, dout := new(tensor.Tensor), new(tensor.Tensor), new(tensor.Tensor)
				out.ViewRows(whole.Outputs[0], from, to)
				target.ViewRows(whole.Targets[0], from, to)
				dout.Resize(tensor.F32, out.Shape()...)
				part.Outputs, part.Targets, part.DOut = []*tensor.Tensor{out}, []*tensor.Tensor{target}, []*tensor.Tensor{dout}
				part.Sum = loss.Sum(&part)
				gradient = append(gradient, floats(dout)...)
			}
			if part.Sum != want || !slices.Equal(gradient, floats(whole.DOut[0])) {
				t.Errorf("%v in parts of %d: %v, want %v, or other gradients", lc, size, part.Sum, want)
			}
		}
	}
}

// crossEntropy is the plain loss as the published hashes have it: the sum over the rows, and
// the gradients of their mean times scale.
func crossEntropy(logits []float32, labels []int32, smoothing, scale float32) (sum float64, gradient []float32) {
	classes := len(logits) / len(labels)
	factor := scale / float32(len(labels))
	spread := smoothing / float32(classes)
	peak := 1 - smoothing + spread
	for i, label := range labels {
		row := logits[i*classes : (i+1)*classes]
		top := slices.Max(row)
		shifted, all, total := row[label]-top, float32(0), float32(0)
		var exps []float32
		for _, x := range row {
			e := portable.Exp(x - top)
			exps = append(exps, e)
			all += x - top
			total += e
		}
		if smoothing != 0 {
			shifted = float32((1-smoothing)*shifted) + float32(smoothing/float32(classes)*all)
		}
		sum += float64(portable.Log(total) - shifted)
		for j, e := range exps {
			target := spread
			if j == int(label) {
				target = peak
			}
			gradient = append(gradient, float32((e/total-target)*factor))
		}
	}
	return sum, gradient
}

// The order of operations of the plain loss is part of what published hashes stand for.
func TestCrossEntropyBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, shape := range [][2]int{{1, 1}, {1, 10}, {128, 10}, {33, 7}} {
		for _, smoothing := range []float32{0, 0.1} {
			logits, labels := make([]float32, shape[0]*shape[1]), make([]int32, shape[0])
			for i := range logits {
				logits[i] = 20*rng.Float32() - 10
			}
			for i := range labels {
				labels[i] = int32(rng.IntN(shape[1]))
			}
			const scale = 1 << 16
			sum, gradient := crossEntropy(logits, labels, smoothing, scale)
			c := nn.LossCall{
				Outputs: []*tensor.Tensor{tensor.FromF32(logits, shape[:]...)},
				Targets: []*tensor.Tensor{tensor.FromElements(tensor.Of(labels), shape[0])},
				DOut:    []*tensor.Tensor{tensor.New(tensor.F32, shape[:]...)},
				Factor:  scale / float32(shape[0]),
			}
			if got := (nn.CrossEntropy{Smoothing: smoothing}).Sum(&c); got != sum || !slices.Equal(c.DOut[0].F32(), gradient) {
				t.Errorf("%v, smoothing %v: other bits", shape, smoothing)
			}
			c.DOut = nil // an evaluation does not smooth
			if got, _ := crossEntropy(logits, labels, 0, scale); (nn.CrossEntropy{Smoothing: smoothing}).Sum(&c) != got {
				t.Errorf("%v, smoothing %v: other bits in an evaluation", shape, smoothing)
			}
		}
	}
}

// A gradient beyond fp16 shows as an infinity, and a NaN among the outputs as a NaN.
func TestLossesOverflow(t *testing.T) {
	nan := float32(math.NaN())
	for _, lc := range readLosses(t) {
		c, _ := lc.call(tensor.F16)
		c.Factor = math.MaxFloat32
		lc.loss().Sum(c)
		if c.DOut[0].FirstNonFinite() < 0 && slices.ContainsFunc(lc.Gradient, func(g float64) bool { return g != 0 }) {
			t.Errorf("%v: a finite gradient in fp16", lc)
		}
		c, _ = lc.call(tensor.F32)
		c.Factor = 1
		c.Outputs[0].F32()[0] = nan
		if sum := lc.loss().Sum(c); sum == sum && lc.Targets[0] >= 0 && (lc.Weights == nil || lc.Weights[int(lc.Targets[0])] > 0) {
			t.Errorf("%v: the loss of a NaN is %v", lc, sum)
		}
	}
}

func TestLossesAllocateNothing(t *testing.T) {
	for _, lc := range readLosses(t) {
		loss := lc.loss()
		c, _ := lc.call(tensor.F16)
		c.Factor = 1
		if n := testing.AllocsPerRun(3, func() { loss.Weight(c.Targets); loss.Sum(c) }); n != 0 {
			t.Errorf("%v: %v allocations", lc, n)
		}
	}
}

func TestLossesCheck(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	class := func(classes int, shape ...int) nn.Target {
		return nn.Target{Name: "label", Shape: shape, DType: tensor.I32, Classes: classes}
	}
	number := func(shape ...int) nn.Target { return nn.Target{Name: "price", Shape: shape, DType: tensor.F32} }
	for _, c := range []struct {
		loss   nn.Loss
		output nn.Shape
		target nn.Target
		want   string // part of the error; empty for none

	}{
		{nn.CrossEntropy{}, nn.Shape{10}, class(10), ""},
		{nn.CrossEntropy{Smoothing: 0.9, Weights: []float32{0, 1, 2}}, nn.Shape{4, 3}, class(3, 4), ""},
		{nn.MSE{}, nn.Shape{2, 2}, number(2, 2), ""},
		{nn.Huber{}, nn.Shape{1}, number(1), ""},
		{nn.BCEWithLogits{}, nn.Shape{1}, number(1), ""},
		{nn.CrossEntropy{Smoothing: nan}, nn.Shape{10}, class(10), "a smoothing of NaN: want 0 or more and less than 1"},
		{nn.CrossEntropy{Smoothing: 1}, nn.Shape{10}, class(10), "a smoothing of 1"},
		{nn.CrossEntropy{Smoothing: -0.1}, nn.Shape{10}, class(10), "a smoothing of -0.1"},
		{nn.CrossEntropy{Weights: []float32{1, 2}}, nn.Shape{3}, class(3), "2 weights for 3 classes"},
		{nn.CrossEntropy{Weights: []float32{1, nan}}, nn.Shape{2}, class(2), "the weight of class 1 is NaN"},
		{nn.CrossEntropy{Weights: []float32{-1, 1}}, nn.Shape{2}, class(2), "the weight of class 0 is -1"},
		{nn.CrossEntropy{}, nn.Shape{9}, class(10), "9 logits for 10 classes"},
		{nn.CrossEntropy{}, nn.Shape{4, 3}, class(3, 5), "want logits of"},
		{nn.CrossEntropy{}, nn.Shape{3}, number(3), "in int32"},
		{nn.CrossEntropy{}, nn.Shape{}, class(3), "want logits of"},
		{nn.MSE{}, nn.Shape{2}, number(3), "MSE"},
		{nn.MSE{}, nn.Shape{2}, class(2, 2), "fp32"},
		{nn.Huber{Delta: nan}, nn.Shape{1}, number(1), "a delta of NaN: want a finite number of more than 0"},
		{nn.Huber{Delta: -1}, nn.Shape{1}, number(1), "a delta of -1"},
		{nn.Huber{Delta: inf}, nn.Shape{1}, number(1), "a delta of +Inf"},
		{nn.BCEWithLogits{PosWeight: nan}, nn.Shape{1}, number(1), "a weight of NaN"},
		{nn.BCEWithLogits{PosWeight: -2}, nn.Shape{1}, number(1), "a weight of -2"},
	} {
		switch err := c.loss.Check([]nn.Shape{c.output}, []nn.Target{c.target}); {
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", c.loss, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v of %v: the error %v, want one with %q", c.loss, c.output, err, c.want)
		}
		if c.loss.Check(nil, nil) == nil || c.loss.Check([]nn.Shape{c.output, c.output}, []nn.Target{c.target}) == nil {
			t.Errorf("%T: no error for no outputs, or for two", c.loss)
		}
	}
}

func TestCrossEntropyPanicsOfAClassThatIsNot(t *testing.T) {
	defer func() {
		want := "nn: CrossEntropy: target 3 of row 1 is not in [0, 3)"
		if got := recover(); got != want {
			t.Errorf("panic %v, want %s", got, want)
		}
	}()
	nn.CrossEntropy{}.Sum(&nn.LossCall{
		Outputs: []*tensor.Tensor{tensor.New(tensor.F32, 2, 3)},
		Targets: []*tensor.Tensor{tensor.FromElements(tensor.Of([]int32{0, 3}), 2)},
	})
}

func TestArgmax(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		values []float32
		want   int
	}{{nil, -1}, {[]float32{1}, 0}, {[]float32{1, 3, 3}, 1}, {[]float32{inf, inf}, 0}, {[]float32{5, nan, 9, nan}, 1}} {
		if got := nn.Argmax(c.values); got != c.want {
			t.Errorf("Argmax(%v) = %d, want %d", c.values, got, c.want)
		}
	}
}
