// Package kerneltest is the one conformance suite that every kernel of every
// tier passes, and the test values and memory that other tests of kernels
// borrow from it. It is used from tests only.
//
// A kernel is compared with the loop in package micro's documentation by ==,
// never with a tolerance; NaNs compare as a class.
package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/portable"
	"github.com/halfgrad/halfgrad/tensor"
)

// EnvRequire is the environment variable that lists what must not be skipped.
const EnvRequire = "HALFGRAD_REQUIRE"

// Required returns whether HALFGRAD_REQUIRE, a comma-separated list, names what.
func Required(what string) bool {
	return slices.ContainsFunc(strings.Split(os.Getenv(EnvRequire), ","), func(s string) bool {
		return strings.TrimSpace(s) == what
	})
}

// Run checks every kernel in the list, each in a subtest of its name. A kernel
// that the machine does not support is skipped, unless HALFGRAD_REQUIRE names
// its tier: then it fails.
func Run(t *testing.T, kernels []micro.Kernel) {
	for _, k := range kernels {
		t.Run(k.Name, func(t *testing.T) {
			if !k.Supported {
				if Required(k.Tier) {
					t.Fatalf("%s requires the tier %s, which this machine does not support", EnvRequire, k.Tier)
				}
				t.Skipf("this machine does not support the tier %s", k.Tier)
			}
			testName(t, k)
			for _, mix := range Mixes {
				t.Run("values="+mix.Name, func(t *testing.T) { testValues(t, k, mix) })
			}
			t.Run("bounds", func(t *testing.T) { testBounds(t, k) })
		})
	}
}

func testName(t *testing.T, k micro.Kernel) {
	operands := map[tensor.DType]string{tensor.F16: "f16f32acc", tensor.F32: "f32"}[k.Operands]
	if want := fmt.Sprintf("%s-%dx%d-%s", operands, k.MR, k.NR, k.Tier); k.Name != want {
		t.Errorf("the kernel is named %q; its fields say %q", k.Name, want)
	}
}

// depths are around every unrolling a kernel is likely to use, and long.
var depths = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 16, 17, 31, 32, 33, 64, 100, 257, 784}

// testValues compares results on every depth with the definition, the tile
// lying in a larger matrix whose other elements must stay as they are.
func testValues(t *testing.T, k micro.Kernel, mix Mix) {
	rng := rand.New(rand.NewPCG(1, uint64(k.MR*1000+k.NR)))
	for _, depth := range depths {
		for _, gap := range []int{0, 1, 13} {
			for _, accumulate := range []bool{false, true} {
				ldc := k.NR + gap
				a := mix.Slice(rng, k.Operands, k.MR*depth)
				b := mix.Slice(rng, k.Operands, k.NR*depth)
				c := mix.Slice(rng, tensor.F32, k.MR*ldc)
				want := slices.Clone(c)
				reference(k, depth, a, b, want, ldc, accumulate)
				k.Func(depth, a, b, c, ldc, accumulate)
				for i := range c {
					if !Same(c[i], want[i]) {
						t.Fatalf("k=%d ldc=%d accumulate=%v: C[%d,%d] = %g (%#08x), want %g (%#08x)", depth, ldc, accumulate,
							i/ldc, i%ldc, c[i], math.Float32bits(c[i]), want[i], math.Float32bits(want[i]))
					}
				}
			}
		}
	}
}

// testBounds puts each operand against the end of its memory, and then against
// the beginning, where the next byte is not mapped: a stray read is a fault.
func testBounds(t *testing.T, k micro.Kernel) {
	rng := rand.New(rand.NewPCG(2, 3))
	for _, atEnd := range []bool{true, false} {
		for _, depth := range depths {
			a := GuardedFloats(t, k.MR*depth, atEnd)
			b := GuardedFloats(t, k.NR*depth, atEnd)
			c := GuardedFloats(t, (k.MR-1)*(k.NR+3)+k.NR, atEnd)
			copy(a, Mixes[0].Slice(rng, k.Operands, len(a)))
			copy(b, Mixes[0].Slice(rng, k.Operands, len(b)))
			want := slices.Clone(c)
			for _, accumulate := range []bool{false, true} {
				reference(k, depth, a, b, want, k.NR+3, accumulate)
				k.Func(depth, a, b, c, k.NR+3, accumulate)
				if !slices.EqualFunc(c, want, Same) {
					t.Fatalf("k=%d accumulate=%v: the results differ at a page boundary", depth, accumulate)
				}
			}
		}
	}
}

// reference is the loop of package micro's documentation.
func reference(k micro.Kernel, depth int, a, b, c []float32, ldc int, accumulate bool) {
	for i := range k.MR {
		for j := range k.NR {
			var acc float32
			if accumulate {
				acc = c[i*ldc+j]
			}
			for p := range depth {
				acc = MulAdd(k.Operands, a[p*k.MR+i], b[p*k.NR+j], acc)
			}
			c[i*ldc+j] = acc
		}
	}
}

// MulAdd is one step of the chain: x·y + z, rounded once. For operands that
// were fp16 the product is exact, and the plain operators round once too.
func MulAdd(operands tensor.DType, x, y, z float32) float32 {
	if operands == tensor.F16 {
		return float32(x*y) + z
	}
	return portable.FMA(x, y, z)
}

// Same reports whether x and y have the same bits, or are both NaN.
func Same(x, y float32) bool {
	return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
}

// Mix is a mixture of values to test with.
type Mix struct {
	Name  string
	value func(rng *rand.Rand) uint16 // the bits of an fp16 value
}

// Mixes are the mixtures every kernel is tested with. The first is free of
// infinities and NaNs and rounds in nearly every addition.
var Mixes = []Mix{
	{"normal", func(rng *rand.Rand) uint16 { // both signs, exponents 2⁻⁸ … 2⁷
		return uint16(rng.IntN(2)<<15 | (7+rng.IntN(16))<<10 | rng.IntN(1024))
	}},
	{"subnormal", func(rng *rand.Rand) uint16 { return uint16(rng.IntN(2)<<15 | rng.IntN(1024)) }},
	{"huge", func(rng *rand.Rand) uint16 { return uint16(rng.IntN(2)<<15 | 0x7bff - rng.IntN(8)) }},
	{"zeros", func(rng *rand.Rand) uint16 { // ±0 and a rare ±1: the sign of a zero sum shows
		if rng.IntN(16) == 0 {
			return uint16(rng.IntN(2)<<15 | 0x3c00)
		}
		return uint16(rng.IntN(2) << 15)
	}},
	{"specials", func(rng *rand.Rand) uint16 { // now and then an infinity or a NaN
		switch rng.IntN(400) {
		case 0:
			return uint16(rng.IntN(2)<<15 | 0x7c00)
		case 1:
			return uint16(rng.IntN(2)<<15 | 0x7c01 + rng.IntN(1023))
		}
		return uint16(rng.IntN(2)<<15 | rng.IntN(0x7c00))
	}},
	{"bits", func(rng *rand.Rand) uint16 { return uint16(rng.IntN(1 << 16)) }},
}

// Half returns n fp16 values of the mixture.
func (m Mix) Half(rng *rand.Rand, n int) []fp16.Float16 {
	s := make([]fp16.Float16, n)
	for i := range s {
		s[i] = fp16.Float16(m.value(rng))
	}
	return s
}

// Slice returns n values of the mixture as float32. For tensor.F16 they are
// fp16 values, widened; for tensor.F32 they have 13 more significand bits, and
// exponents as far from zero again, so that products neither fit float32 nor
// always stay in its range.
func (m Mix) Slice(rng *rand.Rand, operands tensor.DType, n int) []float32 {
	s := make([]float32, n)
	fp16.Widen(s, m.Half(rng, n))
	if operands == tensor.F32 {
		for i, x := range s {
			if x != 0 && x-x == 0 {
				x = math.Float32frombits(math.Float32bits(x) | uint32(rng.IntN(1<<13)))
				s[i] = float32(math.Ldexp(float64(x), []int{0, 0, 0, 40, -40, -110}[rng.IntN(6)]))
			}
		}
	}
	return s
}
