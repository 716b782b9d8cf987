package fp16_test

import (
	"math"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/internal/kerneltest"
)

// widenByFormula reads the fields of h as IEEE 754-2019 §3.4 defines them, in
// float64, where every fp16 value is exact. It shares nothing with the code
// under test.
func widenByFormula(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exponent, fraction := int(h>>10&0x1f), float64(h&0x3ff)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

func allPatterns() []fp16.Float16 {
	all := make([]fp16.Float16, 1<<16)
	for i := range all {
		all[i] = fp16.Float16(i)
	}
	return all
}

func TestWidenEveryPattern(t *testing.T) {
	all := allPatterns()
	got := make([]float32, len(all))
	fp16.Widen(got, all)
	for i, h := range all {
		want := float32(widenByFormula(uint16(i))) // exact: fp16 is a subset of fp32
		if want != want {
			// A NaN stays one, quiet, with its sign and the top of its payload.
			wantBits := uint32(i)>>15<<31 | 0x7fc00000 | uint32(i)&0x3ff<<13
			if bits := math.Float32bits(got[i]); bits != wantBits {
				t.Fatalf("Widen(%#04x) = %#08x, want the NaN %#08x", i, bits, wantBits)
			}
		} else if math.Float32bits(got[i]) != math.Float32bits(want) {
			t.Fatalf("Widen(%#04x) = %g, want %g", i, got[i], want)
		}
		if scalar := h.Float32(); math.Float32bits(scalar) != math.Float32bits(got[i]) {
			t.Fatalf("Widen(%#04x) = %g, but Float32 says %g", i, got[i], scalar)
		}
	}
}

// Every fp32 value that lies between two adjacent fp16 values rounds to one of
// them, and the choice changes at the midpoint only. So these decide the whole
// of Narrow: each fp16 value, the midpoint above it, and the fp32 neighbours
// of both.
func TestNarrowEveryRoundingBoundary(t *testing.T) {
	type boundary struct {
		x    float32
		want uint16
	}
	var cases []boundary
	for _, sign := range []uint16{0, 0x8000} {
		add := func(x float64, want uint16) {
			if sign != 0 {
				x = -x
			}
			f := float32(x)
			if float64(f) != x {
				t.Fatalf("%g is not an fp32 value: the test is wrong", x)
			}
			cases = append(cases, boundary{f, want | sign})
		}
		next := func(x, towards float64) float64 {
			return float64(math.Nextafter32(float32(x), float32(towards)))
		}
		for h := uint16(0); h < 0x7c00; h++ { // every finite value from 0 up to Max
			low := widenByFormula(h)
			high := widenByFormula(h + 1)
			if h == 0x7bff {
				high = 65536 // the overflow threshold rounds as if the exponent went on
			}
			mid := (low + high) / 2
			even := h
			if h&1 == 1 {
				even = h + 1
			}
			add(low, h)
			add(next(low, math.Inf(1)), h)
			add(next(mid, 0), h)
			add(mid, even)
			add(next(mid, math.Inf(1)), h+1)
			add(next(high, 0), h+1)
		}
		add(65536, 0x7c00)
		add(math.MaxFloat32, 0x7c00)
		add(math.Inf(1), 0x7c00)
		add(math.SmallestNonzeroFloat32, 0)
		add(0x1p-126, 0) // smallest normal fp32
		add(0x1p-25, 0)  // half of the smallest subnormal: tie, to even
		add(0x1.000002p-25, 1)
	}
	src := make([]float32, len(cases))
	for i, c := range cases {
		src[i] = c.x
	}
	got := make([]fp16.Float16, len(src))
	fp16.Narrow(got, src)
	for i, c := range cases {
		if uint16(got[i]) != c.want {
			t.Fatalf("Narrow(%g = %#08x) = %#04x, want %#04x", c.x, math.Float32bits(c.x), uint16(got[i]), c.want)
		}
		if scalar := fp16.FromFloat32(c.x); scalar != got[i] {
			t.Fatalf("Narrow(%g) = %#04x, but FromFloat32 says %#04x", c.x, got[i], scalar)
		}
	}
}

func TestNarrowNaN(t *testing.T) {
	// Quiet and signalling, both signs, payload only in bits that fp16 drops.
	for _, bits := range []uint32{0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fa00000, 0x7fffffff} {
		src := make([]float32, 8)
		for i := range src {
			src[i] = math.Float32frombits(bits)
		}
		got := make([]fp16.Float16, len(src))
		fp16.Narrow(got, src)
		want := uint16(bits>>31<<15 | 0x7e00 | bits>>13&0x3ff)
		for _, h := range got {
			if uint16(h) != want {
				t.Fatalf("Narrow(NaN %#08x) = %#04x, want %#04x", bits, uint16(h), want)
			}
		}
	}
}

// Every length around the vector widths, at every offset within a vector, must
// convert exactly its elements and leave the neighbours alone.
func TestSliceEdges(t *testing.T) {
	const guard = 40
	for offset := range 8 {
		for n := range 140 {
			wide := make([]float32, guard+offset+n+guard)
			half := make([]fp16.Float16, guard+offset+n+guard)
			src := make([]fp16.Float16, offset+n)
			for i := range src {
				src[i] = fp16.Float16(i*449 + 0x3c00)
			}
			for i := range wide {
				wide[i], half[i] = -7, 0x5555
			}
			at := guard + offset
			fp16.Widen(wide[at:at+n], src[offset:])
			fp16.Narrow(half[at:at+n], wide[at:at+n])
			for i := range wide {
				if i < at || i >= at+n {
					if wide[i] != -7 || half[i] != 0x5555 {
						t.Fatalf("offset=%d n=%d: element %d outside the slice was written", offset, n, i-at)
					}
					continue
				}
				if h := src[offset+i-at]; !h.IsNaN() && half[i] != h {
					t.Fatalf("offset=%d n=%d: element %d went from %#04x to %#04x and back", offset, n, i-at, h, half[i])
				}
			}
		}
	}
}

// More elements than one assembly call converts.
func TestLongSlices(t *testing.T) {
	src := make([]fp16.Float16, 3<<16+13)
	for i := range src {
		src[i] = fp16.Float16(i % 0x7c00)
	}
	wide := make([]float32, len(src))
	back := make([]fp16.Float16, len(src))
	fp16.Widen(wide, src)
	fp16.Narrow(back, wide)
	for i := range src {
		if back[i] != src[i] {
			t.Fatalf("element %d went from %#04x to %#04x and back", i, src[i], back[i])
		}
	}
}

// Every length around the vector width, at every offset within a vector, of all bytes and
// a table of distinct values: exactly the elements are replaced.
func TestLookup(t *testing.T) {
	var table [256]fp16.Float16
	for i := range table {
		table[i] = fp16.Float16(i*251 + 7) // odd, so that no two are the same
	}
	const guard = 40
	for offset := range 32 {
		for _, n := range []int{0, 1, 2, 15, 16, 31, 32, 33, 63, 64, 65, 255, 256, 257, 784} {
			src := make([]byte, offset+n)
			for i := range src {
				src[i] = byte(i*167 + offset)
			}
			dst := make([]fp16.Float16, guard+offset+n+guard)
			for i := range dst {
				dst[i] = 0x5555
			}
			at := guard + offset
			fp16.Lookup(dst[at:at+n], &table, src[offset:])
			for i, h := range dst {
				want := fp16.Float16(0x5555)
				if i >= at && i < at+n {
					want = table[src[offset+i-at]]
				}
				if h != want {
					t.Fatalf("offset=%d n=%d: element %d is %#04x, want %#04x", offset, n, i-at, uint16(h), uint16(want))
				}
			}
		}
	}
	src := make([]byte, 1<<17+13) // more than one assembly call takes
	for i := range src {
		src[i] = byte(i % 251)
	}
	dst := make([]fp16.Float16, len(src))
	fp16.Lookup(dst, &table, src)
	for i, h := range dst {
		if h != table[src[i]] {
			t.Fatalf("element %d of %d is %#04x, want %#04x", i, len(src), uint16(h), uint16(table[src[i]]))
		}
	}
	if n := testing.AllocsPerRun(10, func() { fp16.Lookup(dst, &table, src) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Slices of every length around the vector widths, next to pages that fault on any
// access: nothing beyond them is read or written.
func TestBounds(t *testing.T) {
	const most = 200
	for _, atEnd := range []bool{false, true} {
		half, wide := kerneltest.Guarded[fp16.Float16](t, most, atEnd), kerneltest.Guarded[float32](t, most, atEnd)
		bytes, table := kerneltest.Guarded[byte](t, most, atEnd), kerneltest.Guarded[fp16.Float16](t, 256, atEnd)
		for n := range most + 1 {
			h, w, b := half[:n], wide[:n], bytes[:n]
			if atEnd {
				h, w, b = half[most-n:], wide[most-n:], bytes[most-n:]
			}
			fp16.Widen(w, h)
			fp16.Narrow(h, w)
			fp16.Lookup(h, (*[256]fp16.Float16)(table), b)
		}
	}
}

func TestLengthMismatchPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"Widen":  func() { fp16.Widen(make([]float32, 3), make([]fp16.Float16, 4)) },
		"Narrow": func() { fp16.Narrow(make([]fp16.Float16, 4), make([]float32, 3)) },
		"Lookup": func() { fp16.Lookup(make([]fp16.Float16, 4), new([256]fp16.Float16), make([]byte, 3)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if msg, _ := recover().(string); !strings.Contains(msg, name) {
					t.Errorf("panic %q does not name %s", msg, name)
				}
			}()
			f()
		})
	}
}

func TestClasses(t *testing.T) {
	for i := range 1 << 16 {
		h := fp16.Float16(i)
		x := widenByFormula(uint16(i))
		if got, want := fp16.IsFinite(h), !math.IsInf(x, 0) && !math.IsNaN(x); got != want {
			t.Fatalf("IsFinite(%#04x) = %v", i, got)
		}
		if got, want := fp16.IsSubnormal(h), x != 0 && math.Abs(x) < fp16.SmallestNormal; got != want {
			t.Fatalf("IsSubnormal(%#04x) = %v", i, got)
		}
	}
	for bits, x := range map[uint16]float64{
		0x7bff: fp16.Max, 0x0400: fp16.SmallestNormal, 0x0001: fp16.SmallestSubnormal, 0x3c01: 1 + fp16.Epsilon,
	} {
		if widenByFormula(bits) != x {
			t.Errorf("the constant for %#04x is %g, want %g", bits, x, widenByFormula(bits))
		}
	}
}

// FuzzNarrow compares Narrow with a rounding done in float64 by the definition:
// scale so that the fp16 unit in the last place is 1, round to an integer, ties
// to even, scale back.
func FuzzNarrow(f *testing.F) {
	for _, bits := range []uint32{0, 0x3f800000, 0x477fe000, 0x477fefff, 0x477ff000, 0x33000000, 0x33000001, 0x7f800000} {
		f.Add(bits)
	}
	f.Fuzz(func(t *testing.T, bits uint32) {
		x := math.Float32frombits(bits)
		src := [8]float32{x, x, x, x, x, x, x, x}
		var got [8]fp16.Float16
		fp16.Narrow(got[:], src[:])
		for _, h := range got {
			if h != got[0] {
				t.Fatalf("lanes differ: %v", got)
			}
		}
		if x != x {
			if !got[0].IsNaN() {
				t.Fatalf("Narrow(NaN) = %#04x", got[0])
			}
			return
		}
		_, exp := math.Frexp(float64(x))
		ulp := math.Ldexp(1, max(exp-11, -24))
		want := math.RoundToEven(float64(x)/ulp) * ulp
		if math.Abs(want) > fp16.Max {
			want = math.Inf(int(math.Copysign(1, want)))
		}
		if g := widenByFormula(uint16(got[0])); g != want || math.Signbit(g) != math.Signbit(float64(x)) {
			t.Fatalf("Narrow(%g) = %g, want %g", x, g, want)
		}
	})
}
