package kerneltest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/portable"
)

// RunVectors checks all functions of every tier in the list against the loops in package
// micro's documentation, bit for bit, in memory whose neighbours are not mapped. A
// function that the tier lacks is skipped.
func RunVectors(t *testing.T, list []micro.Vector) {
	for _, v := range list {
		t.Run("vector-"+v.Tier, func(t *testing.T) {
			skip(t, v.Tier, v.Supported)
			for _, atEnd := range []bool{true, false} {
				m := newArena(t, atEnd)
				for _, f := range vectorFunctions(v) {
					t.Run(f.name, func(t *testing.T) { f.test(t, m) })
				}
				t.Run("flags", func(t *testing.T) { testFlags(t, v, m) })
			}
		})
	}
}

// vectorFunction is a function and its definition: one element of Dst and of its lane.
type vectorFunction struct {
	name     string
	function func(*micro.VectorCall)
	element  func(x, y, factor, lane float32) (dst, newLane float32)
	noDst    bool
	factor   float32
}

func vectorFunctions(v micro.Vector) []vectorFunction {
	forward := [micro.Activations]func(float32) float32{
		portable.Exp32, portable.Sigmoid32, portable.Tanh32, portable.SiLU32, portable.GELU32, portable.GELUTanh32,
	}
	slopes := [micro.Activations]func(float32) float32{
		func(y float32) float32 { return y },
		func(y float32) float32 { return float32(y * (1 - y)) },
		func(y float32) float32 { return portable.FMA(-y, y, 1) },
		portable.SiLUSlope32, portable.GELUSlope32, portable.GELUTanhSlope32,
	}
	var list []vectorFunction
	for a := range micro.Activations {
		list = append(list,
			vectorFunction{name: a.String(), function: v.Forward[a], element: func(x, _, _, lane float32) (float32, float32) {
				return forward[a](x), lane
			}},
			vectorFunction{name: a.String() + "-backward", function: v.Backward[a], element: func(x, y, _, lane float32) (float32, float32) {
				return x * slopes[a](y), lane
			}})
	}
	return append(list,
		vectorFunction{name: "max", function: v.Max, noDst: true, element: func(x, _, _, lane float32) (float32, float32) {
			if x > lane {
				lane = x
			}
			return 0, lane
		}},
		vectorFunction{name: "expsum", function: v.ExpSum, factor: 3.25, element: func(x, _, factor, lane float32) (float32, float32) {
			y := portable.Exp32(x - factor)
			return y, lane + y
		}},
		vectorFunction{name: "dot", function: v.Dot, noDst: true, element: func(x, y, _, lane float32) (float32, float32) {
			return 0, portable.FMA(x, y, lane)
		}},
		vectorFunction{name: "centre", function: v.Centre, factor: 0.7, element: func(x, y, factor, lane float32) (float32, float32) {
			return y * (x - factor), lane
		}},
		vectorFunction{name: "add", function: v.Add, element: func(x, y, _, lane float32) (float32, float32) { return x + y, lane }},
		vectorFunction{name: "multiply", function: v.Multiply, element: func(x, y, _, lane float32) (float32, float32) { return x * y, lane }},
		vectorFunction{name: "scale", function: v.Scale, factor: 0.3, element: func(x, _, factor, lane float32) (float32, float32) {
			return x * factor, lane
		}})
}

// test calls the function with values of all kinds, in place and not.
func (f vectorFunction) test(t *testing.T, m *arena) {
	if f.function == nil {
		t.Skip("this tier has no such function")
	}
	rng := rand.New(rand.NewPCG(6, 6))
	for n := micro.Lanes; n <= 7*micro.Lanes; n += micro.Lanes {
		for kind := range 4 {
			for alias := range 3 {
				f.check(t, m, activationValues(rng, kind, n), activationValues(rng, kind, n), alias)
			}
		}
	}
	// Every fp16 value, which the tensors of a network hold.
	for from := 0; from < 1<<16; from += 1 << 14 {
		x := make([]float32, 1<<14)
		for i := range x {
			x[i] = fp16.Float16(from + i).Float32()
		}
		f.check(t, m, x, x, 0)
	}
	// float32 values of all exponents.
	x := make([]float32, 1<<14)
	for i := range x {
		x[i] = math.Float32frombits(uint32(i)<<18 | rng.Uint32()>>14)
	}
	f.check(t, m, x, x, 0)
}

// activationValues returns values near 0, where activations bend, of a range beyond, any
// bits, and special ones.
func activationValues(rng *rand.Rand, kind, n int) []float32 {
	inf := float32(math.Inf(1))
	special := []float32{
		0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()), -float32(math.NaN()), 1e-45, -1e-45, 0x1p-126, -0x1p-126,
		88.72284, 88.72283, 89, -87.33655, -103, -103.97, -104, -104.5, 9.01, -9.01, 10, -12, -14.2, -14.6, -14.7, 14.6, math.MaxFloat32, -math.MaxFloat32, 1, -1,
	}
	x := make([]float32, n)
	for i := range x {
		switch kind {
		case 0:
			x[i] = float32(rng.NormFloat64() * 3)
		case 1:
			x[i] = float32(rng.NormFloat64() * 60)
		case 2:
			x[i] = math.Float32frombits(rng.Uint32())
		case 3:
			x[i] = special[rng.IntN(len(special))]
		}
	}
	return x
}

func (f vectorFunction) check(t *testing.T, m *arena, x, y []float32, alias int) {
	t.Helper()
	c := &micro.VectorCall{X: m.put(0, x), Y: m.put(1, y), Factor: f.factor}
	c.Dst = [][]float32{m.put(2, make([]float32, len(x))), c.X, c.Y}[alias]
	for l := range c.Lanes {
		c.Lanes[l] = float32(l) - 2
	}
	lanes, want := c.Lanes, make([]float32, len(x))
	for i := range x {
		want[i], lanes[i%micro.Lanes] = f.element(x[i], y[i], f.factor, lanes[i%micro.Lanes])
	}
	f.function(c)
	if !f.noDst {
		for i := range want {
			if !Same(c.Dst[i], want[i]) {
				t.Fatalf("%d elements, in place %d: x = %g (%#08x), y = %g give %g (%#08x), want %g (%#08x)", len(x), alias,
					x[i], math.Float32bits(x[i]), y[i], c.Dst[i], math.Float32bits(c.Dst[i]), want[i], math.Float32bits(want[i]))
			}
		}
	}
	compareF32(t, c.Lanes[:], lanes[:], "lanes of %d elements", len(x))
}

func testFlags(t *testing.T, v micro.Vector, m *arena) {
	for name, f := range map[string]struct {
		function       func(*micro.HalvesCall)
		exponent, unit uint32
	}{"fp16": {v.FlagsF16, 0x7c00, 0x0400}, "bf16": {v.FlagsBF16, 0x7f80, 0x0080}} {
		if f.function == nil {
			continue
		}
		all := Guarded[uint16](t, 1<<16, m.atEnd)
		for n := 2 * micro.Lanes; n <= 1<<16; n *= 2 {
			c := &micro.HalvesCall{X: guardedEnd(all, n, m.atEnd)}
			want := [micro.Lanes]uint32{0: 1}
			c.Flags = want
			for i := range c.X {
				c.X[i] = uint16(i * 31)
				want[i/2%micro.Lanes] |= (uint32(c.X[i])&f.exponent + f.unit) << (i % 2 * 16)
			}
			f.function(c)
			if c.Flags != want {
				t.Fatalf("%s: %d elements give %x, want %x", name, n, c.Flags, want)
			}
		}
		// One that is not finite, anywhere.
		c := &micro.HalvesCall{X: guardedEnd(all, 64, m.atEnd)}
		for at := range c.X {
			clear(c.X)
			c.X[at] = uint16(f.exponent) | uint16(at&1)<<15
			c.Flags = [micro.Lanes]uint32{}
			f.function(c)
			if want := uint32(0x8000) << (at % 2 * 16); c.Flags[at/2%micro.Lanes]&0x80008000 != want {
				t.Fatalf("%s: an infinity at %d gives the flags %x", name, at, c.Flags)
			}
		}
	}
}
