package kernels_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/kernels"
)

// The reference is a sum without any rounding.
func TestSumSquares(t *testing.T) {
	want := map[int]float64{}
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{0, 1, 7, 8, 9, 8191, 8192, 8193, 100_003} {
			x, _ := values(rng, n)
			exact := new(big.Float).SetPrec(2000)
			for _, v := range x {
				w := new(big.Float).SetPrec(2000).SetFloat64(float64(v))
				exact.Add(exact, w.Mul(w, w))
			}
			reference, _ := exact.Float64()
			got := e.SumSquares(x)
			// n additions of numbers that are not negative, each off by at most 2⁻⁵³.
			if !(math.Abs(got-reference) <= reference*float64(n)*0x1p-53) {
				t.Errorf("%d elements: %g, want %g", n, got, reference)
			}
			if first, ok := want[n]; ok && got != first {
				t.Errorf("%d elements: %v here, %v on another tier or number of threads", n, got, first)
			}
			want[n] = got
		}
		if got := e.SumSquares([]float32{3e38, 4e38 / 2}); !(got > 1e76 && got < 2e77) {
			t.Errorf("large values: %g", got)
		}
	})
}

func TestClamp(t *testing.T) {
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		nan := float32(math.NaN())
		for _, n := range lengths {
			x, _ := values(rand.New(rand.NewPCG(3, 4)), n)
			want := slices.Clone(x)
			for i, v := range want {
				want[i] = float32(math.Max(-0.5, math.Min(0.5, float64(v))))
			}
			e.Clamp(x, 0.5)
			compare(t, "clamped", x, want)
		}
		x := []float32{nan, float32(math.Inf(1)), float32(math.Inf(-1)), 0.25}
		e.Clamp(x, 1)
		if x[0] == x[0] || x[1] != 1 || x[2] != -1 || x[3] != 0.25 {
			t.Errorf("special values became %v", x)
		}
	})
}

func TestAverage(t *testing.T) {
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		const keep, rest = 0.875, 0.125
		for _, n := range lengths {
			rng := rand.New(rand.NewPCG(5, 6))
			avg, _ := values(rng, n)
			x, _ := values(rng, n)
			want := make([]float32, n)
			for i := range want { // products with powers of two and few bits: one rounding is the sum's
				want[i] = float32(float64(float32(keep*float64(avg[i]))) + float64(float32(rest*float64(x[i]))))
			}
			e.Average(avg, x, keep, rest)
			compare(t, "average", avg, want)
		}
		defer func() {
			if recover() == nil {
				t.Error("lengths that differ: no panic")
			}
		}()
		e.Average(make([]float32, 2), make([]float32, 3), keep, rest)
	})
}
