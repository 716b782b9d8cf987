package portable_test

import (
	"math"
	"os"
	"testing"

	"github.com/halfgrad/halfgrad/portable"
)

// sigmoid and normal are the logistic function and the normal distribution, in float64.
func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
func normal(x float64) float64  { return math.Erfc(-x/math.Sqrt2) / 2 }

// inner is the argument of the sigmoid in the approximation of GELU, and its derivative.
func inner(x float64) (f, slope float64) {
	a := 2 * math.Sqrt(2/math.Pi)
	b := a * 0.044715
	return x * (a + b*x*x), a + 3*b*x*x
}

// The bounds in the documentation, against float64 formulas that keep their relative
// precision. One float32 in 1009 is tried, all exponents among them; in 9973 with -short,
// and in 31 with HALFGRAD_TEST=full.
func TestActivationError(t *testing.T) {
	stride := uint64(1009)
	if testing.Short() {
		stride = 9973
	} else if os.Getenv("HALFGRAD_TEST") == "full" {
		stride = 31
	}
	const everywhere = -math.MaxFloat32
	type bound struct {
		from   float64 // for x from here on, up to the next bound's
		ulps   float64 // 0 for none
		abs    float64 // 0 for none
		scaled float64 // times max(1, |x|); 0 for none
	}
	for _, c := range []struct {
		name   string
		f      func(float32) float32
		exact  func(float64) float64
		bounds []bound
	}{
		{"Exp32", portable.Exp32, math.Exp, []bound{{everywhere, 1, 0, 0}}},
		{"Sigmoid32", portable.Sigmoid32, func(x float64) float64 {
			if x < 0 { // keeps results that are subnormal in float32
				return math.Exp(x) / (1 + math.Exp(x))
			}
			return sigmoid(x)
		}, []bound{{everywhere, 2.5, 0, 0}}},
		{"Tanh32", portable.Tanh32, math.Tanh, []bound{{everywhere, 2.7, 0, 0}}},
		{"Erf32", portable.Erf32, math.Erf, []bound{{everywhere, 1.5, 0, 0}}},
		{"SiLU32", portable.SiLU32, func(x float64) float64 {
			if x < 0 {
				return x * math.Exp(x) / (1 + math.Exp(x))
			}
			return x * sigmoid(x)
		}, []bound{{everywhere, 0, 0x1p-141, 0}, {-87, 3.5, 0, 0}}},
		{"SiLUSlope32", portable.SiLUSlope32, func(x float64) float64 {
			return sigmoid(x) * (1 + x*sigmoid(-x))
		}, []bound{{everywhere, 0, 0x1p-22, 0}}},
		{"GELU32", portable.GELU32, func(x float64) float64 { return x * normal(x) }, []bound{{everywhere, 6, 0, 0}}},
		{"GELUSlope32", portable.GELUSlope32, func(x float64) float64 {
			return normal(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
		}, []bound{{everywhere, 0, 0x1p-22, 0}}},
		{"GELUTanh32", portable.GELUTanh32, func(x float64) float64 {
			u, _ := inner(x)
			return x * sigmoid(u)
		}, []bound{{everywhere, 0, 0, 0x1p-23}, {-5, 40, 0, 0x1p-23}, {-0.5, 4, 0, 0x1p-23}}},
		{"GELUTanhSlope32", portable.GELUTanhSlope32, func(x float64) float64 {
			u, slope := inner(x)
			return sigmoid(u) + x*sigmoid(u)*sigmoid(-u)*slope
		}, []bound{{everywhere, 0, 0x1p-22, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			worst := make([]bound, len(c.bounds))
			for bits := uint64(0); bits < 1<<32; bits += stride {
				x := math.Float32frombits(uint32(bits))
				exact := c.exact(float64(x))
				if math.IsNaN(exact) || math.IsInf(float64(x), 0) || math.Abs(exact) > math.MaxFloat32 {
					continue
				}
				got := c.f(x)
				b := 0
				for b+1 < len(c.bounds) && float64(x) >= c.bounds[b+1].from {
					b++
				}
				u, a := ulps(got, exact), math.Abs(float64(got)-exact)
				r := a / max(1, math.Abs(float64(x)))
				if limit := c.bounds[b]; limit.ulps > 0 && !(u <= limit.ulps) || limit.abs > 0 && !(a <= limit.abs) || limit.scaled > 0 && !(r <= limit.scaled) {
					t.Fatalf("%g gives %g, which is %.3f ulp, 2^%.2f or 2^%.2f·max(1, |x|) off %g", x, got, u, math.Log2(a), math.Log2(r), exact)
				}
				w := &worst[b]
				w.ulps, w.abs, w.scaled = max(w.ulps, u), max(w.abs, a), max(w.scaled, r)
			}
			for i, w := range worst {
				t.Logf("from %g: %.3f ulp, 2^%.2f, 2^%.2f·max(1, |x|)", c.bounds[i].from, w.ulps, math.Log2(w.abs), math.Log2(w.scaled))
			}
		})
	}
}

func TestActivationSpecial(t *testing.T) {
	inf, nan, zero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	for name, c := range map[string]struct {
		f      func(float32) float32
		values [5]float32 // at −Inf, −0, +0, +Inf and NaN
	}{
		"Exp32":           {portable.Exp32, [5]float32{0, 1, 1, inf, nan}},
		"Sigmoid32":       {portable.Sigmoid32, [5]float32{0, 0.5, 0.5, 1, nan}},
		"Tanh32":          {portable.Tanh32, [5]float32{-1, zero, 0, 1, nan}},
		"Erf32":           {portable.Erf32, [5]float32{-1, zero, 0, 1, nan}},
		"SiLU32":          {portable.SiLU32, [5]float32{zero, zero, 0, inf, nan}},
		"SiLUSlope32":     {portable.SiLUSlope32, [5]float32{zero, 0.5, 0.5, 1, nan}},
		"GELU32":          {portable.GELU32, [5]float32{zero, zero, 0, inf, nan}},
		"GELUSlope32":     {portable.GELUSlope32, [5]float32{zero, 0.5, 0.5, 1, nan}},
		"GELUTanh32":      {portable.GELUTanh32, [5]float32{zero, zero, 0, inf, nan}},
		"GELUTanhSlope32": {portable.GELUTanhSlope32, [5]float32{zero, 0.5, 0.5, 1, nan}},
	} {
		for i, x := range []float32{-inf, zero, 0, inf, nan} {
			got, want := c.f(x), c.values[i]
			if got != got && want != want || got == want && (got != 0 || x != zero && x != 0 || math.Signbit(float64(got)) == math.Signbit(float64(want))) {
				continue
			}
			t.Errorf("%s(%g) = %g, want %g", name, x, got, want)
		}
	}
	for _, c := range []struct{ x, want float32 }{
		{88.72284, inf}, {-104, 0}, {-103, math.SmallestNonzeroFloat32}, {-inf, 0}, {math.MaxFloat32, inf}, {-math.MaxFloat32, 0},
	} {
		if got := portable.Exp32(c.x); got != c.want {
			t.Errorf("Exp32(%g) = %g, want %g", c.x, got, c.want)
		}
	}
}
