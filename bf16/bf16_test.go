package bf16_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/bf16"
)

// widenByFormula reads the fields of b as the format defines them, in float64, where
// every bf16 value is exact. It shares nothing with the code under test.
func widenByFormula(b uint16) float64 {
	sign := 1 - 2*float64(b>>15)
	exponent, fraction := int(b>>7&0xff), float64(b&0x7f)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -133)
	case 255:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(128+fraction, exponent-134)
}

func TestWidenEveryPattern(t *testing.T) {
	all := make([]bf16.BFloat16, 1<<16)
	for i := range all {
		all[i] = bf16.BFloat16(i)
	}
	wide, back := make([]float32, len(all)), make([]bf16.BFloat16, len(all))
	bf16.Widen(wide, all)
	bf16.Narrow(back, wide)
	for i, b := range all {
		bits := math.Float32bits(wide[i])
		if bits != math.Float32bits(b.Float32()) {
			t.Fatalf("Widen(%#04x) = %#08x, but Float32 says %#08x", i, bits, math.Float32bits(b.Float32()))
		}
		want := widenByFormula(uint16(i))
		if math.IsNaN(want) {
			if wide[i] == wide[i] || bits != uint32(i)<<16 {
				t.Fatalf("Widen(%#04x) = %#08x, want the NaN %#08x", i, bits, uint32(i)<<16)
			}
			if back[i] != b|0x40 {
				t.Fatalf("Narrow(Widen(%#04x)) = %#04x, want the quiet NaN %#04x", i, uint16(back[i]), i|0x40)
			}
		} else if bits != math.Float32bits(float32(want)) {
			t.Fatalf("Widen(%#04x) = %g, want %g", i, wide[i], want)
		} else if back[i] != b {
			t.Fatalf("Narrow(Widen(%#04x)) = %#04x", i, uint16(back[i]))
		}
		if got, want := bf16.IsFinite(b), !math.IsNaN(want) && !math.IsInf(want, 0); got != want {
			t.Fatalf("IsFinite(%#04x) = %v", i, got)
		}
	}
}

// Every fp32 value between two adjacent bf16 values rounds to one of them, and the choice
// changes at the midpoint only. So these decide the whole of Narrow: each bf16 value, the
// midpoint above it, and the fp32 neighbours of both.
func TestNarrowEveryRoundingBoundary(t *testing.T) {
	var src []float32
	var want []uint16
	for b := uint16(0); b < 0x7f80; b++ { // every finite value from 0 up to Max
		low := widenByFormula(b)
		high := widenByFormula(b + 1)
		if b == 0x7f7f {
			high = 0x1p128 // the overflow threshold rounds as if the exponent went on
		}
		mid := float32((low + high) / 2)
		if float64(mid) != (low+high)/2 {
			t.Fatalf("%g is not an fp32 value: the test is wrong", (low+high)/2)
		}
		infinity := float32(math.Inf(1))
		src = append(src, float32(low), math.Nextafter32(float32(low), infinity),
			math.Nextafter32(mid, 0), mid, math.Nextafter32(mid, infinity), math.Nextafter32(float32(high), 0))
		want = append(want, b, b, b, b+b&1, b+1, b+1)
	}
	// The largest fp32 value is the last of these: float32(0x1p128) is an infinity.
	src, want = append(src, float32(math.Inf(1))), append(want, 0x7f80)
	for i := range src {
		src, want = append(src, -src[i]), append(want, 0x8000|want[i])
	}
	got := make([]bf16.BFloat16, len(src))
	bf16.Narrow(got, src)
	for i, x := range src {
		if uint16(got[i]) != want[i] {
			t.Fatalf("Narrow(%g = %#08x) = %#04x, want %#04x", x, math.Float32bits(x), uint16(got[i]), want[i])
		}
	}
}

// The rounding of package big, at as many bits as the result has, agrees on values of
// every exponent.
func TestNarrowAgreesWithBig(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for exponent := range uint32(255) {
		for range 200 {
			x := math.Float32frombits(random.Uint32()&0x807fffff | exponent<<23)
			if x == 0 {
				continue
			}
			// Below the normal numbers, each binade has one bit less.
			value := new(big.Float).SetFloat64(float64(x))
			precision := min(8, 8+value.MantExp(nil)+125)
			var want float64
			if precision >= 1 {
				want, _ = value.SetMode(big.ToNearestEven).SetPrec(uint(precision)).Float64()
			} else if math.Abs(float64(x)) > 0x1p-134 {
				want = 0x1p-133 // more than half of the smallest subnormal
			}
			if math.Abs(want) >= 0x1p128 {
				want = math.Inf(1)
			}
			want = math.Copysign(want, float64(x))
			if got := float64(bf16.FromFloat32(x).Float32()); got != want || math.Signbit(got) != math.Signbit(want) {
				t.Fatalf("FromFloat32(%g = %#08x) = %g, want %g", x, math.Float32bits(x), got, want)
			}
		}
	}
}

func TestNarrowNaN(t *testing.T) {
	// Quiet and signalling, both signs, payload only in bits that bf16 drops.
	for _, bits := range []uint32{0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fa00000, 0x7fffffff, 0xffffffff} {
		want := uint16(bits>>16 | 0x0040)
		if got := uint16(bf16.FromFloat32(math.Float32frombits(bits))); got != want {
			t.Errorf("FromFloat32(NaN %#08x) = %#04x, want %#04x", bits, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	for pattern, want := range map[bf16.BFloat16]float32{
		0x7f7f: bf16.Max, 0x0080: bf16.SmallestNormal, 0x0001: bf16.SmallestSubnormal, 0x3f81: 1 + bf16.Epsilon,
	} {
		if got := pattern.Float32(); got != want {
			t.Errorf("%#04x is %g, want %g", uint16(pattern), got, want)
		}
	}
}

func TestString(t *testing.T) {
	for x, want := range map[float32]string{0: "0", -1.5: "-1.5", 0.1: "0.100097656", 256: "256", float32(math.Inf(-1)): "-Inf"} {
		if got := bf16.FromFloat32(x).String(); got != want {
			t.Errorf("%g as bf16 is %q, want %q", x, got, want)
		}
	}
}

func TestLengthsMustAgree(t *testing.T) {
	for want, f := range map[string]func(){
		"bf16: Widen: dst and src differ in length":  func() { bf16.Widen(make([]float32, 2), make([]bf16.BFloat16, 3)) },
		"bf16: Narrow: dst and src differ in length": func() { bf16.Narrow(make([]bf16.BFloat16, 3), make([]float32, 2)) },
	} {
		func() {
			defer func() {
				if msg, _ := recover().(string); !strings.HasPrefix(msg, want) {
					t.Errorf("panic %q, want %q", msg, want)
				}
			}()
			f()
		}()
	}
}
