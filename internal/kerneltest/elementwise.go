package kerneltest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// RunElementwise checks all of every tier in the list, as [Run] does for
// kernels of products: each function against the loop in package micro's
// documentation, bit for bit, in memory whose neighbours are not mapped.
func RunElementwise(t *testing.T, list []micro.Elementwise) {
	for _, e := range list {
		t.Run("elementwise-"+e.Tier, func(t *testing.T) {
			skip(t, e.Tier, e.Supported)
			for _, atEnd := range []bool{true, false} {
				m := newArena(t, atEnd)
				t.Run("store", func(t *testing.T) { testStore(t, e, m) })
				t.Run("finite", func(t *testing.T) { testFinite(t, e, m) })
				t.Run("rectify", func(t *testing.T) { testRectify(t, e, m) })
				t.Run("addrows", func(t *testing.T) { testAddRows(t, e, m) })
				t.Run("sgd", func(t *testing.T) { testSGD(t, e, m) })
				t.Run("adam", func(t *testing.T) { testAdam(t, e, m) })
			}
		})
	}
}

// lengths are around every vector that an operation is likely to use.
var lengths = []int{0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100, 127, 128, 129, 255, 1000}

// arena is memory at a guard page: several operands of each type.
type arena struct {
	f32   [5][]float32
	f16   [3][]fp16.Float16
	atEnd bool
}

const arenaSize = 1 << 16

func newArena(t *testing.T, atEnd bool) *arena {
	m := &arena{atEnd: atEnd}
	for i := range m.f32 {
		m.f32[i] = Guarded[float32](t, arenaSize, atEnd)
	}
	for i := range m.f16 {
		m.f16[i] = Guarded[fp16.Float16](t, arenaSize, atEnd)
	}
	return m
}

// put copies values into operand i.
func (m *arena) put(i int, values []float32) []float32 {
	s := guardedEnd(m.f32[i], len(values), m.atEnd)
	copy(s, values)
	return s
}

func (m *arena) putHalf(i int, values []fp16.Float16) []fp16.Float16 {
	s := guardedEnd(m.f16[i], len(values), m.atEnd)
	copy(s, values)
	return s
}

// sameHalf is Same for fp16.
func sameHalf(x, y fp16.Float16) bool { return x == y || x.IsNaN() && y.IsNaN() }

func isFinite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

// compareF32 fails the test unless got and want are the same.
func compareF32(t *testing.T, got, want []float32, format string, args ...any) {
	t.Helper()
	for i := range want {
		if !Same(got[i], want[i]) {
			t.Fatalf(format+": element %d is %g (%#08x), want %g (%#08x)",
				append(args, i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))...)
		}
	}
}

func compareF16(t *testing.T, got, want []fp16.Float16, format string, args ...any) {
	t.Helper()
	for i := range want {
		if !sameHalf(got[i], want[i]) {
			t.Fatalf(format+": element %d is %#04x, want %#04x", append(args, i, uint16(got[i]), uint16(want[i]))...)
		}
	}
}

// storeReference is the loop of micro.Elementwise.Store.
func storeReference(dst tensor.Matrix, src []float32, stride int, e micro.Epilogue) (finite bool) {
	finite = true
	for i := range dst.Rows {
		for j := range dst.Cols {
			x := float32(src[i*stride+j] * e.Scale)
			if e.Bias != nil {
				x += e.Bias[j]
			}
			if e.ReLU && x <= 0 {
				x = 0
			}
			if dst.DType() == tensor.F16 {
				h := fp16.FromFloat32(x)
				dst.Elements.F16()[i*dst.Stride+j] = h
				x = h.Float32()
			} else {
				dst.Elements.F32()[i*dst.Stride+j] = x
			}
			finite = finite && isFinite(x)
		}
	}
	return finite
}

func testStore(t *testing.T, e micro.Elementwise, m *arena) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, cols := range lengths {
		for _, mix := range Mixes {
			for form := range 1 << 4 {
				half, inPlace := form&1 != 0, form&8 != 0
				if half && inPlace {
					continue
				}
				ep := micro.Epilogue{Scale: []float32{1, 0.3, 4096}[rng.IntN(3)], ReLU: form&2 != 0}
				if form&4 != 0 && cols > 0 {
					ep.Bias = m.put(2, mix.Slice(rng, tensor.F32, cols))
				}
				rows, gap := rng.IntN(6), rng.IntN(3)
				stride, dstStride := cols+gap, cols+rng.IntN(3)
				src := m.put(0, mix.Slice(rng, tensor.F32, max((rows-1)*stride+cols, 0)))
				dst := tensor.Matrix{Rows: rows, Cols: cols, Stride: dstStride}
				size := max((rows-1)*dstStride+cols, 0)
				want := dst
				switch {
				case half:
					dst.Elements = tensor.Of(m.putHalf(0, mix.Half(rng, size)))
					want.Elements = tensor.Of(slices.Clone(dst.Elements.F16()))
				case inPlace:
					dst.Elements, dst.Stride, want.Stride = tensor.Of(src), stride, stride
					want.Elements = tensor.Of(slices.Clone(src))
				default:
					dst.Elements = tensor.Of(m.put(1, mix.Slice(rng, tensor.F32, size)))
					want.Elements = tensor.Of(slices.Clone(dst.Elements.F32()))
				}
				finite := storeReference(want, src, stride, ep)
				if got := e.Store(dst, src, stride, ep); got != finite {
					t.Fatalf("%s: %d×%d, form %d: finite is %v, want %v", mix.Name, rows, cols, form, got, finite)
				}
				if half {
					compareF16(t, dst.Elements.F16(), want.Elements.F16(), "%s: %d×%d, form %d, %+v", mix.Name, rows, cols, form, ep)
				} else {
					compareF32(t, dst.Elements.F32(), want.Elements.F32(), "%s: %d×%d, form %d, %+v", mix.Name, rows, cols, form, ep)
				}
			}
		}
	}
	// One element that is not finite, or only becomes so in fp16, anywhere.
	for cols := 1; cols < 40; cols++ {
		for at := range cols {
			src := m.put(0, make([]float32, cols))
			wide := tensor.MatrixF32(m.put(1, src), 1, cols)
			narrow := tensor.MatrixF16(guardedEnd(m.f16[0], cols, m.atEnd), 1, cols)
			for bad, inF32 := range map[float32]bool{65519: true, 65520: true, float32(math.Inf(-1)): false, float32(math.NaN()): false} {
				src[at] = bad
				if got := e.Store(wide, src, cols, micro.Epilogue{Scale: 1}); got != inF32 {
					t.Fatalf("fp32: %g at %d of %d: finite is %v", bad, at, cols, got)
				}
				if got := e.Store(narrow, src, cols, micro.Epilogue{Scale: 1}); got != (bad == 65519) {
					t.Fatalf("fp16: %g at %d of %d: finite is %v", bad, at, cols, got)
				}
			}
		}
	}
}

func testFinite(t *testing.T, e micro.Elementwise, m *arena) {
	const factor = 1 << 100
	for _, n := range append([]int{1000}, upTo(70)...) {
		x := m.put(0, make([]float32, n))
		for i := range x { // as large as they may be, so that no sum of two is finite
			x[i] = math.MaxFloat32 / factor
		}
		if !e.Finite(x, factor) {
			t.Fatalf("%d finite products are not finite", n)
		}
		for at := 0; at < n; at += 1 + at/70*100 {
			keep := x[at]
			for _, bad := range []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), -math.MaxFloat32} {
				x[at] = bad
				if e.Finite(x, factor) {
					t.Fatalf("%g times 2^100 at %d of %d is finite", bad, at, n)
				}
			}
			x[at] = keep
		}
	}
	if x := m.put(0, make([]float32, 33)); e.Finite(x, float32(math.Inf(1))) {
		t.Error("zero times infinity is finite")
	}
}

// upTo returns 0 … n.
func upTo(n int) []int {
	s := make([]int, n+1)
	for i := range s {
		s[i] = i
	}
	return s
}

func testRectify(t *testing.T, e micro.Elementwise, m *arena) {
	rng := rand.New(rand.NewPCG(2, 2))
	check16 := func(mask []fp16.Float16, src []fp16.Float16, alias int) {
		t.Helper()
		want := make([]fp16.Float16, len(mask))
		for i, h := range mask {
			if x := h.Float32(); !(x <= 0) {
				want[i] = src[i]
			}
		}
		mask, src = m.putHalf(0, mask), m.putHalf(1, src)
		dst := [][]fp16.Float16{guardedEnd(m.f16[2], len(mask), m.atEnd), mask, src}[alias]
		e.RectifyF16(dst, src, mask)
		compareF16(t, dst, want, "fp16, %d elements, in place %d", len(mask), alias)
	}
	every := make([]fp16.Float16, 1<<16)
	for i := range every {
		every[i] = fp16.Float16(i)
	}
	for alias := range 3 {
		check16(every, Mixes[len(Mixes)-1].Half(rng, len(every)), alias)
		for _, n := range lengths {
			for _, mix := range Mixes {
				check16(mix.Half(rng, n), mix.Half(rng, n), alias)

				mask, src := m.put(0, mix.Slice(rng, tensor.F32, n)), m.put(1, mix.Slice(rng, tensor.F32, n))
				want := make([]float32, n)
				for i, x := range mask {
					if !(x <= 0) {
						want[i] = src[i]
					}
				}
				dst := [][]float32{guardedEnd(m.f32[2], n, m.atEnd), mask, src}[alias]
				e.RectifyF32(dst, src, mask)
				compareF32(t, dst, want, "fp32: %s, %d elements, in place %d", mix.Name, n, alias)
			}
		}
	}
}

func testAddRows(t *testing.T, e micro.Elementwise, m *arena) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, cols := range lengths {
		for _, mix := range Mixes {
			for rows := range 10 {
				b := tensor.Matrix{Rows: rows, Cols: cols, Stride: cols + rng.IntN(3)}
				size := max((rows-1)*b.Stride+cols, 0)
				if rng.IntN(2) == 0 {
					b.Elements = tensor.Of(m.putHalf(0, mix.Half(rng, size)))
				} else {
					b.Elements = tensor.Of(m.put(0, mix.Slice(rng, tensor.F32, size)))
				}
				sums := m.put(1, mix.Slice(rng, tensor.F32, cols))
				want := slices.Clone(sums)
				for i := range rows {
					for j := range cols {
						want[j] += element(b, i, j)
					}
				}
				e.AddRows(sums, b)
				compareF32(t, sums, want, "%s: %d×%d of %v", mix.Name, rows, cols, b.DType())
			}
		}
	}
}

func testSGD(t *testing.T, e micro.Elementwise, m *arena) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, n := range lengths {
		for _, mix := range Mixes {
			for form := range 1 << 3 {
				p := micro.SGD{Unscale: 0.3, Rate: 0.1, Momentum: []float32{0, 0.9}[rng.IntN(2)], Nesterov: form&1 != 0}
				if form&2 != 0 {
					p.Decay = 0.01
				}
				w, v, grad := m.put(0, mix.Slice(rng, tensor.F32, n)), m.put(1, mix.Slice(rng, tensor.F32, n)), m.put(2, mix.Slice(rng, tensor.F32, n))
				wantW, wantV := slices.Clone(w), slices.Clone(v)
				for i, g := range grad {
					g = float32(g * p.Unscale)
					if p.Decay != 0 {
						g += float32(p.Decay * wantW[i])
					}
					wantV[i] = float32(p.Momentum*wantV[i]) + g
					d := wantV[i]
					if p.Nesterov {
						d = g + float32(p.Momentum*d)
					}
					wantW[i] -= float32(p.Rate * d)
				}
				var half tensor.Elements
				if form&4 != 0 {
					half = tensor.Of(guardedEnd(m.f16[0], n, m.atEnd))
				}
				e.SGD(w, v, grad, half, p)
				compareF32(t, v, wantV, "%s, %d elements, %+v: v", mix.Name, n, p)
				compareF32(t, w, wantW, "%s, %d elements, %+v: w", mix.Name, n, p)
				compareHalves(t, half, wantW)
			}
		}
	}
}

func testAdam(t *testing.T, e micro.Elementwise, m *arena) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, n := range lengths {
		for _, mix := range Mixes {
			for form := range 1 << 3 {
				p := micro.Adam{
					Unscale: 0.3, Rate: 0.01, Keep: 0.999, Beta1: 0.9, Rest1: 0.1, Beta2: 0.99, Rest2: 0.01,
					Correction: 0.7, Epsilon: 1e-8, Decoupled: form&1 != 0,
				}
				if form&2 != 0 {
					p.Decay = 0.01
				}
				values := func(i int) []float32 { return m.put(i, mix.Slice(rng, tensor.F32, n)) }
				w, mo, v, grad := values(0), values(1), values(2), values(3)
				for i, x := range v { // a sum of squares, but for a few
					if rng.IntN(10) != 0 {
						v[i] = float32(math.Abs(float64(x)))
					}
				}
				wantW, wantM, wantV := slices.Clone(w), slices.Clone(mo), slices.Clone(v)
				for i, g := range grad {
					g, x := float32(g*p.Unscale), wantW[i]
					if p.Decoupled {
						x = float32(x * p.Keep)
					} else if p.Decay != 0 {
						g += float32(p.Decay * x)
					}
					wantM[i] = float32(p.Beta1*wantM[i]) + float32(p.Rest1*g)
					wantV[i] = float32(p.Beta2*wantV[i]) + float32(float32(p.Rest2*g)*g)
					d := float32(math.Sqrt(float64(wantV[i])))/p.Correction + p.Epsilon
					wantW[i] = x - float32(p.Rate*float32(wantM[i]/d))
				}
				var half tensor.Elements
				if form&4 != 0 {
					half = tensor.Of(guardedEnd(m.f16[0], n, m.atEnd))
				}
				e.Adam(w, mo, v, grad, half, p)
				compareF32(t, mo, wantM, "%s, %d elements, %+v: m", mix.Name, n, p)
				compareF32(t, v, wantV, "%s, %d elements, %+v: v", mix.Name, n, p)
				compareF32(t, w, wantW, "%s, %d elements, %+v: w", mix.Name, n, p)
				compareHalves(t, half, wantW)
			}
		}
	}
}

// compareHalves fails the test unless half is w, rounded, or the zero Elements.
func compareHalves(t *testing.T, half tensor.Elements, w []float32) {
	t.Helper()
	if half.DType() == 0 {
		return
	}
	for i, h := range half.F16() {
		if want := fp16.FromFloat32(w[i]); !sameHalf(h, want) {
			t.Fatalf("half, element %d of %d: %g is %#04x, want %#04x", i, len(w), w[i], uint16(h), uint16(want))
		}
	}
}
