package portable_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/halfgrad/halfgrad/portable"
)

// fmaExact takes the product and the sum in 2000-bit arithmetic, which is exact
// for every float32, and rounds once.
func fmaExact(x, y, z float32) float32 {
	wide := func(v float32) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(float64(v)) }
	sum := wide(x)
	sum.Mul(sum, wide(y))
	sum.Add(sum, wide(z))
	f, _ := sum.Float32()
	return f
}

func checkFMA(t *testing.T, x, y, z float32) {
	t.Helper()
	got := portable.FMA(x, y, z)
	special := func(v float32) bool { return v-v != 0 }
	if special(x) || special(y) || special(z) {
		// No rounding is involved: float64's own operators decide.
		want := float32(float64(float64(x)*float64(y)) + float64(z))
		if got != want && (got == got || want == want) {
			t.Fatalf("FMA(%g, %g, %g) = %g, want %g", x, y, z, got, want)
		}
		return
	}
	want := fmaExact(x, y, z)
	// The sign of an exact zero is not big.Float's business; see TestFMAZeros.
	if want == 0 && got == 0 {
		return
	}
	if math.Float32bits(got) != math.Float32bits(want) {
		t.Fatalf("FMA(%x, %x, %x) = %x, want %x", x, y, z, got, want)
	}
}

// Products that end exactly on a tie of float32, plus a z far too small for
// float64 to keep: rounding to float64 first loses z and lands on the tie.
func TestFMADoubleRounding(t *testing.T) {
	naiveDiffers := false
	for _, tie := range [][2]float32{{0x1.000002p0, 0x1.8p0}, {0x1.001p0, 0x1.001p0}, {0x1.ffep0, 0x1.003p0}} {
		for _, z := range []float32{0x1p-80, -0x1p-80, 0x1p-149, -0x1p-149, 0x1p-60} {
			for _, sign := range []float32{1, -1} {
				x, y := sign*tie[0], tie[1]
				checkFMA(t, x, y, z)
				if float32(float64(x)*float64(y)+float64(z)) != portable.FMA(x, y, z) {
					naiveDiffers = true
				}
			}
		}
	}
	if !naiveDiffers {
		t.Error("rounding twice gives the right result in every case: the cases are too easy")
	}
}

func TestFMARandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	naiveDiffers := 0
	value := func(spread int) float32 {
		// Few significant bits, so that ties are common, and near exponents.
		m := float64(rng.IntN(1<<uint(1+rng.IntN(24)))) * float64(1-2*rng.IntN(2))
		return float32(math.Ldexp(m, rng.IntN(2*spread+1)-spread))
	}
	for range 300_000 {
		spread := []int{3, 30, 100, 149}[rng.IntN(4)]
		x, y, z := value(spread), value(spread), value(spread)
		if rng.IntN(2) == 0 {
			z = float32(math.Ldexp(float64(z), rng.IntN(80)-60)) // far below or above the product
		}
		checkFMA(t, x, y, z)
		if float32(math.FMA(float64(x), float64(y), float64(z))) != portable.FMA(x, y, z) {
			naiveDiffers++
		}
	}
	if naiveDiffers == 0 {
		t.Error("no case told float32(math.FMA(…)) from a correctly rounded FMA: the cases are too easy")
	}
}

func TestFMAZeros(t *testing.T) {
	negZero := float32(math.Copysign(0, -1))
	for _, c := range []struct{ x, y, z, want float32 }{
		{0, 1, 0, 0}, {0, 1, negZero, 0}, {negZero, 1, negZero, negZero}, {negZero, 1, 0, 0},
		{1, 1, -1, 0}, {-1, 1, 1, 0}, // exact cancellation gives +0 in round-to-nearest
	} {
		if got := portable.FMA(c.x, c.y, c.z); math.Float32bits(got) != math.Float32bits(c.want) {
			t.Errorf("FMA(%g, %g, %g) = %g, want %g", c.x, c.y, c.z, got, c.want)
		}
	}
}

func FuzzFMA(f *testing.F) {
	f.Add(uint32(0x3f800001), uint32(0x3f800001), uint32(0x33800000))
	f.Add(uint32(0x7f7fffff), uint32(0x7f7fffff), uint32(0xff7fffff))
	f.Add(uint32(1), uint32(0x3f000000), uint32(0x80000001))
	f.Fuzz(func(t *testing.T, x, y, z uint32) {
		checkFMA(t, math.Float32frombits(x), math.Float32frombits(y), math.Float32frombits(z))
	})
}

// ulps returns the distance of got from the exact value in units of the last
// place of float32 at that value, for values in the normal range.
func ulps(got float32, exact float64) float64 {
	_, exp := math.Frexp(exact)
	return math.Abs(float64(got)-exact) / math.Ldexp(1, max(exp-24, -149))
}

// Over one float32 in 9973, all exponents among them, against package math's float64
// functions, whose own error (below one float64 ulp) is 2⁻²⁹ of a float32 ulp.
func TestExpLogError(t *testing.T) {
	const bound = 0.501
	worstExp, worstLog := 0.0, 0.0
	for bits := uint64(0); bits < 1<<32; bits += 9973 {
		x := math.Float32frombits(uint32(bits))
		if x != x {
			continue
		}
		if want := math.Exp(float64(x)); want >= 0x1p-126 && want < math.MaxFloat32 {
			worstExp = max(worstExp, ulps(portable.Exp(x), want))
		}
		if x > 0 && x <= math.MaxFloat32 && x != 1 {
			worstLog = max(worstLog, ulps(portable.Log(x), math.Log(float64(x))))
		}
	}
	for i := range 100_000 { // around 1, where log cancels, and the range of softmax
		x := float32(0.5 + float64(i)/100_000)
		if x != 1 {
			worstLog = max(worstLog, ulps(portable.Log(x), math.Log(float64(x))))
		}
		y := float32(-float64(i) / 2000)
		worstExp = max(worstExp, ulps(portable.Exp(y), math.Exp(float64(y))))
	}
	t.Logf("worst error: exp %.5f ulp, log %.5f ulp", worstExp, worstLog)
	if worstExp > bound || worstLog > bound {
		t.Errorf("worst error: exp %.5f ulp, log %.5f ulp; documented as %g", worstExp, worstLog, bound)
	}
}

func TestExpLogSpecial(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name string
		got  float32
		want float32
	}{
		{"Exp(0)", portable.Exp(0), 1},
		{"Exp(-0)", portable.Exp(float32(math.Copysign(0, -1))), 1},
		{"Exp(+Inf)", portable.Exp(inf), inf},
		{"Exp(-Inf)", portable.Exp(-inf), 0},
		{"Exp(NaN)", portable.Exp(nan), nan},
		{"Exp(88.72284)", portable.Exp(88.72284), inf}, // the first float32 whose exp exceeds MaxFloat32
		{"Exp(88.72283)", portable.Exp(88.72283), float32(math.Exp(float64(float32(88.72283))))},
		{"Exp(-104)", portable.Exp(-104), 0},
		{"Exp(-103)", portable.Exp(-103), math.SmallestNonzeroFloat32},
		{"Log(1)", portable.Log(1), 0},
		{"Log(0)", portable.Log(0), -inf},
		{"Log(-1)", portable.Log(-1), nan},
		{"Log(+Inf)", portable.Log(inf), inf},
		{"Log(NaN)", portable.Log(nan), nan},
		{"Log(subnormal)", portable.Log(math.SmallestNonzeroFloat32), float32(math.Log(math.SmallestNonzeroFloat32))},
	} {
		if math.Float32bits(c.got) != math.Float32bits(c.want) && (c.got == c.got || c.want == c.want) {
			t.Errorf("%s = %g, want %g", c.name, c.got, c.want)
		}
	}
}

// The reference is math/big's, by a Taylor series with 200 bits and more terms than
// any bound asks for.
func TestCosPi(t *testing.T) {
	pi, _ := new(big.Float).SetPrec(200).SetString("3.14159265358979323846264338327950288419716939937510582097494459")
	for i := range 2001 {
		x := float64(i) / 2000
		a := new(big.Float).SetPrec(200).Mul(pi, new(big.Float).SetFloat64(x))
		a.Mul(a, a)
		term, sum := big.NewFloat(1).SetPrec(200), big.NewFloat(1).SetPrec(200)
		for n := int64(1); n < 40; n++ {
			term.Mul(term, a)
			term.Quo(term, new(big.Float).SetInt64(-(2*n-1)*2*n))
			sum.Add(sum, term)
		}
		want, _ := sum.Float64()
		if got := portable.CosPi(x); !(math.Abs(got-want) <= 1e-15) {
			t.Errorf("CosPi(%v) = %v, want %v", x, got, want)
		}
	}
	for x, want := range map[float64]float64{0: 1, 0.5: 0, 1: -1} {
		if got := portable.CosPi(x); got != want {
			t.Errorf("CosPi(%v) = %v, want exactly %v", x, got, want)
		}
	}
}
