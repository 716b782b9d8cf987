package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// dropped returns which of n values a layer with this seed drops, by the documentation.
func dropped(seed, pass uint64, rate float64, n int) []bool {
	pcg := rand.NewPCG(seed, pass)
	drop := make([]bool, n)
	var r uint64
	for i := range drop {
		if i%4 == 0 {
			r = pcg.Uint64()
		}
		drop[i] = float64(r>>(16*(i%4))&0xffff) < math.Round(rate*65536)
	}
	return drop
}

func TestDropout(t *testing.T) {
	ctx := newContext(t)
	ctx.Training = true
	for _, dtype := range []tensor.DType{tensor.F16, tensor.F32} {
		for _, rate := range []float64{0.25, 0.5} { // 1/(1−¼) is not exact, 1/(1−½) is
			for _, shape := range [][2]int{{1, 1}, {3, 21}, {1, 64}, {5, 13}, {7, 1024}, {33, 200}} {
				name := fmt.Sprintf("%v/%g/%v", dtype, rate, shape)
				layer, seed := nn.NewDropout(nn.NewRand(5), rate), nn.NewRand(5).Uint64()
				n := shape[0] * shape[1]
				in, gradient := make([]float32, n), make([]float32, n)
				for i := range in {
					in[i], gradient[i] = float32(i%13-6)/4, float32(i%11-5)
				}
				x, dy := newTensor(dtype, in, shape[:]...), newTensor(dtype, gradient, shape[:]...)
				for pass := range uint64(3) {
					ctx.Pass = pass
					want, wantDX := make([]float32, n), make([]float32, n)
					for i, drop := range dropped(seed, pass, rate, n) {
						if !drop {
							want[i], wantDX[i] = float32(float64(in[i])/(1-rate)), float32(float64(gradient[i])/(1-rate))
						}
					}
					// Round the expected values to dtype.
					want, wantDX = values(newTensor(dtype, want, n)), values(newTensor(dtype, wantDX, n))
					tolerance := map[tensor.DType]float64{tensor.F16: 0x1p-11, tensor.F32: 0x1p-23}[dtype]
					y := layer.Forward(ctx, x)
					near(t, name+": y", values(y), wide(want), tolerance)
					near(t, name+": dx", values(layer.Backward(ctx, dy, true)), wide(wantDX), tolerance)
				}
			}
		}
	}
}

func wide(s []float32) []float64 {
	w := make([]float64, len(s))
	for i, v := range s {
		w[i] = float64(v)
	}
	return w
}

// The share of dropped values is the rate: for 2^16 draws to within five standard
// deviations, √(p·(1−p)/n). No two passes or seeds drop the same values.
func TestDropoutShare(t *testing.T) {
	ctx := newContext(t)
	ctx.Training = true
	const n = 1 << 16
	ones := tensor.New(tensor.F32, 1, n)
	for i := range ones.F32() {
		ones.F32()[i] = 1
	}
	var seen [][]float32
	for _, rate := range []float64{0, 0.1, 0.5, 0.9} {
		layer := nn.NewDropout(nn.NewRand(1), rate)
		for pass := range uint64(2) {
			ctx.Pass = pass
			y := slices.Clone(layer.Forward(ctx, ones).F32())
			zeros, sum := 0, 0.0
			for _, v := range y {
				if v == 0 {
					zeros++
				}
				sum += float64(v)
			}
			deviation := math.Sqrt(rate * (1 - rate) / n)
			if got := float64(zeros) / n; math.Abs(got-rate) > 5*deviation {
				t.Errorf("rate %g: drops %g", rate, got)
			}
			if mean := sum / n; math.Abs(mean-1) > 5*deviation/(1-rate)+1e-6 {
				t.Errorf("rate %g: the mean of ones is %g", rate, mean)
			}
			if rate > 0 && slices.ContainsFunc(seen, func(s []float32) bool { return slices.Equal(s, y) }) {
				t.Errorf("rate %g, pass %d: drops what another pass did", rate, pass)
			}
			seen = append(seen, y)
		}
	}
}

// In evaluation, and with nothing to drop, the layer returns its input itself.
func TestDropoutIsNothingInUse(t *testing.T) {
	ctx := newContext(t)
	x := tensor.FromF32([]float32{1, 2, 3}, 1, 3)
	if layer := nn.NewDropout(nn.NewRand(1), 0.5); layer.Forward(ctx, x) != x || layer.Backward(ctx, x, true) != x {
		t.Error("outside of training it changes something")
	}
	ctx.Training = true
	if layer := nn.NewDropout(nn.NewRand(1), 0); layer.Forward(ctx, x) != x {
		t.Error("with a rate of 0 it changes something")
	}
	// The gradient it returns is still the caller's: a ReLU before it does not change it.
	model := nn.NewSequential(nn.NewLinear(nn.NewRand(1), 3, 2), nn.NewReLU(), nn.NewDropout(nil, 0))
	model.Params()[1].Master[0] = -1000 // so that the ReLU stops one of the two
	dy := tensor.FromF32([]float32{5, 6}, 1, 2)
	model.Forward(ctx, x)
	if dx := model.Backward(ctx, dy, true); !slices.Equal(dy.F32(), []float32{5, 6}) || dx == nil {
		t.Errorf("the caller's gradient is %v now", dy.F32())
	}
	for _, rate := range []float64{-0.1, 1, 0.999999, math.NaN()} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("rate %g: no panic", rate)
				}
			}()
			nn.NewDropout(nil, rate)
		}()
	}
}

func TestMLPLayers(t *testing.T) {
	model := nn.MLP{Widths: []int{4, 3, 2}, InputDropout: 0.25, Dropout: 0.5}.New(nn.NewRand(1))
	var got []string
	for _, l := range model.Layers() {
		got = append(got, fmt.Sprint(l))
	}
	want := []string{"Dropout 0.25", "Linear 4→3", "ReLU", "Dropout 0.5", "Linear 3→2"}
	if !slices.Equal(got, want) || model.Params()[0].Name != "1.weight" || model.Params()[3].Name != "4.bias" {
		t.Errorf("layers %v, first and last parameter %s and %s", got, model.Params()[0].Name, model.Params()[3].Name)
	}
}

// Traces leave out rectified outputs and their gradients, which share memory with the layer before.
func TestTraces(t *testing.T) {
	ctx := newContext(t)
	model := nn.NewMLP(nn.NewRand(1), 3, 4, 2)
	logits := model.Forward(ctx, tensor.FromF32([]float32{1, 2, 3}, 1, 3))
	model.Backward(ctx, logits, false)
	traces := model.Traces()
	if len(traces) != 3 || traces[0].Layer != "0 (Linear 3→4)" {
		t.Fatalf("%+v", traces)
	}
	if traces[0].Output != nil || traces[1].Output == nil || traces[2].Output != logits {
		t.Error("want the outputs of layers 1 and 2, layer 0's being in the memory of layer 1's")
	}
	if traces[0].Gradient == nil || traces[1].Gradient != nil || traces[2].Gradient != logits {
		t.Error("want the gradients of layers 0 and 2, layer 1's being in the memory of layer 0's")
	}
}
