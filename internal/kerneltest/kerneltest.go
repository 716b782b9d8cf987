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
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/internal/require"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/portable"
	"github.com/halfgrad/halfgrad/tensor"
)

// Run checks every kernel in the list, each in a subtest of its name. A kernel
// that the machine does not support is skipped, unless HALFGRAD_REQUIRE names
// its tier: then it fails.
func Run(t *testing.T, kernels []micro.Kernel) {
	for _, k := range kernels {
		t.Run(k.Name, func(t *testing.T) {
			skip(t, k.Tier, k.Supported)
			testName(t, k)
			for _, mix := range Mixes {
				t.Run("values="+mix.Name, func(t *testing.T) { testValues(t, k, mix) })
			}
			t.Run("edges", func(t *testing.T) { testEdges(t, k) })
			t.Run("bounds", func(t *testing.T) { testBounds(t, k) })
			t.Run("thin", func(t *testing.T) { testThin(t, k) })
			t.Run("widen", func(t *testing.T) { testWiden(t, k) })
			t.Run("finish", func(t *testing.T) { testFinish(t, k) })
			t.Run("pack", func(t *testing.T) { testPack(t, k) })
		})
	}
}

// skip skips the test of a tier that the machine does not support, or fails it.
func skip(t *testing.T, tier string, supported bool) {
	t.Helper()
	if supported {
		return
	}
	require.Missing(t, tier, "this machine does not support the tier %s", tier)
}

func testName(t *testing.T, k micro.Kernel) {
	operands := map[tensor.DType]string{tensor.F16: "f16f32acc", tensor.F32: "f32"}[k.Operands]
	if want := fmt.Sprintf("%s-%dx%d-%s", operands, k.MR, k.NR, k.Tier); k.Name != want {
		t.Errorf("the kernel is named %q; its fields say %q", k.Name, want)
	}
}

// depths are around every unrolling a kernel is likely to use, and long.
var depths = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 16, 17, 31, 32, 33, 64, 100, 257, 784}

// tile is a call of a kernel.
type tile struct {
	depth, rows, cols int
	byColumn          bool // A lies column after column
	beside            bool // the panels of B lie side by side, as in a matrix, not one after the other
	gap               int  // elements between the rows of A, or columns, and between those of B and C
	accumulate        bool
}

// strides returns those of A, and how many elements A has.
func (x tile) strides() (aRow, aCol, n int) {
	if x.depth == 0 {
		return 1, 1, 0
	}
	if x.byColumn {
		aCol = x.rows + x.gap
		return 1, aCol, (x.depth-1)*aCol + x.rows
	}
	aRow = x.depth + x.gap
	return aRow, 1, (x.rows-1)*aRow + x.depth
}

// call returns the call, but for C, with values for A and B: those between the
// rows are NaN, which would show in the result.
func (x tile) call(rng *rand.Rand, mix Mix, k micro.Kernel) micro.Call {
	aRow, aCol, sizeA := x.strides()
	panels := (x.cols + k.NR - 1) / k.NR
	width := panels * k.NR
	bRow, bPanel := k.NR+x.gap, x.depth*(k.NR+x.gap)
	if x.beside {
		bRow, bPanel = width+x.gap, k.NR
	}
	c := micro.Call{
		K: x.depth, ARow: aRow, ACol: aCol, BRow: bRow, BPanel: bPanel,
		LDC: x.cols + x.gap, Rows: x.rows, Cols: x.cols, Accumulate: x.accumulate,
	}
	c.A = operand(k, spread(mix.Slice(rng, k.Operands, x.rows*x.depth), x.depth, sizeA, aRow, aCol))
	var b []float32
	if x.depth > 0 {
		b = make([]float32, (panels-1)*bPanel+(x.depth-1)*bRow+k.NR)
	}
	for i := range b {
		b[i] = float32(math.NaN())
	}
	for i, v := range mix.Slice(rng, k.Operands, x.depth*width) {
		p, j := i/width, i%width
		b[j/k.NR*bPanel+p*bRow+j%k.NR] = v
	}
	c.B = operand(k, b)
	return c
}

// operand returns values as the kernel gets them. Rounding them to fp16 changes
// none: where the panels are of that type, so are the values.
func operand(k micro.Kernel, values []float32) tensor.Elements {
	e := tensor.Make(k.Panels, len(values))
	e.Store(values)
	return e
}

// at returns element i of e.
func at(e tensor.Elements, i int) float32 {
	if e.DType() == tensor.F16 {
		return e.F16()[i].Float32()
	}
	return e.F32()[i]
}

// guarded returns a copy of e in memory at a guard page.
func guarded(t *testing.T, e tensor.Elements, atEnd bool) tensor.Elements {
	if e.DType() == tensor.F16 {
		s := Guarded[fp16.Float16](t, e.Len(), atEnd)
		copy(s, e.F16())
		return tensor.Of(s)
	}
	s := Guarded[float32](t, e.Len(), atEnd)
	copy(s, e.F32())
	return tensor.Of(s)
}

// spread puts rows of so many values at two strides into n elements, which are
// NaN otherwise.
func spread(values []float32, width, n, row, col int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(math.NaN())
	}
	for i, v := range values {
		s[i/width*row+i%width*col] = v
	}
	return s
}

// check calls k and compares with the definition, the tile lying in a larger
// matrix whose other elements must stay as they are.
func (x tile) check(t *testing.T, rng *rand.Rand, mix Mix, k micro.Kernel) {
	t.Helper()
	c := x.call(rng, mix, k)
	c.C = mix.Slice(rng, tensor.F32, (x.rows+1)*c.LDC)
	want := c
	want.C = slices.Clone(c.C)
	reference(k, want)
	k.Func(c)
	for i, got := range c.C {
		if !Same(got, want.C[i]) {
			t.Fatalf("%+v: C[%d,%d] = %g (%#08x), want %g (%#08x)", x,
				i/c.LDC, i%c.LDC, got, math.Float32bits(got), want.C[i], math.Float32bits(want.C[i]))
		}
	}
}

// reference is the loop of package micro's documentation.
func reference(k micro.Kernel, x micro.Call) {
	for i := range x.Rows {
		for j := range x.Cols {
			var acc float32
			if x.Accumulate {
				acc = x.C[i*x.LDC+j]
			}
			for p := range x.K {
				acc = MulAdd(k.Operands, at(x.A, i*x.ARow+p*x.ACol), at(x.B, j/k.NR*x.BPanel+p*x.BRow+j%k.NR), acc)
			}
			x.C[i*x.LDC+j] = acc
		}
	}
}

// testValues takes whole tiles, at every depth.
func testValues(t *testing.T, k micro.Kernel, mix Mix) {
	rng := rand.New(rand.NewPCG(1, uint64(k.MR*1000+k.NR)))
	for n, depth := range depths {
		for _, gap := range []int{0, 1, 13} {
			for _, accumulate := range []bool{false, true} {
				for _, byColumn := range []bool{false, true} {
					tile{depth, k.MR, (1 + n%2) * k.NR, byColumn, n%4 > 1, gap, accumulate}.check(t, rng, mix, k)
				}
			}
		}
	}
}

// testEdges takes every number of rows that can be left of several tiles, and
// every number of columns that can be left of a panel or two.
func testEdges(t *testing.T, k micro.Kernel) {
	rng := rand.New(rand.NewPCG(4, uint64(k.MR*1000+k.NR)))
	for rows := 1; rows <= 3*k.MR; rows++ {
		for cols := 1; cols <= 2*k.NR+1; cols++ {
			for _, accumulate := range []bool{false, true} {
				for _, byColumn := range []bool{false, true} {
					tile{1 + rng.IntN(20), rows, cols, byColumn, rng.IntN(2) == 1, rng.IntN(3), accumulate}.check(t, rng, Mixes[0], k)
				}
			}
		}
	}
	// More columns than a byte counts, or a register has bits.
	for _, panels := range []int{7, 8, 9, 33} {
		tile{depth: 3, rows: k.MR + 1, cols: panels*k.NR - 1}.check(t, rng, Mixes[0], k)
	}
}

// testBounds puts each operand against the end of its memory, and then against
// the beginning, where the next byte is not mapped: a stray read is a fault.
func testBounds(t *testing.T, k micro.Kernel) {
	rng := rand.New(rand.NewPCG(2, 3))
	for _, atEnd := range []bool{true, false} {
		for n, depth := range depths {
			for _, byColumn := range []bool{false, true} {
				x := tile{depth: depth, rows: 2*k.MR - n%(2*k.MR), cols: 2*k.NR - n%min(k.NR, 7), byColumn: byColumn, beside: n%2 == 1, gap: 3}
				c := x.call(rng, Mixes[0], k)
				c.A, c.B = guarded(t, c.A, atEnd), guarded(t, c.B, atEnd)
				c.C = Guarded[float32](t, (x.rows-1)*c.LDC+x.cols, atEnd)
				want := c
				want.C = slices.Clone(c.C)
				for _, accumulate := range []bool{false, true} {
					c.Accumulate, want.Accumulate = accumulate, accumulate
					reference(k, want)
					k.Func(c)
					if !slices.EqualFunc(c.C, want.C, Same) {
						t.Fatalf("%+v: the results differ at a page boundary", x)
					}
				}
			}
		}
	}
}

// thinCols are around every strip of columns that a thin product is likely to
// take, and unpackedDepths around every unrolling.
var (
	thinCols       = []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 63, 64, 65, 100, 127, 128, 129, 200, 300}
	unpackedDepths = []int{0, 1, 2, 3, 4, 5, 8, 33}
)

// testThin takes thin products of every number of rows there is code for.
func testThin(t *testing.T, k micro.Kernel) {
	testUnpacked(t, k, 11, thinCols, []bool{false}, k.Thin)
}

// testWiden takes every number of rows that can be left of several tiles, and
// looks at the panels that are left behind.
func testWiden(t *testing.T, k micro.Kernel) {
	cols := []int{k.NR, 2 * k.NR, 3 * k.NR}
	size := slices.Max(cols) * slices.Max(unpackedDepths)
	mem := guarded(t, operand(k, make([]float32, size)), true)
	testUnpacked(t, k, 3*k.MR, cols, []bool{false, true}, func(c micro.Call, b tensor.Matrix) {
		before := size - b.Rows*b.Cols
		fill(mem, 0.125)
		panels := mem.From(before)
		c.B, c.BRow, c.BPanel = panels, k.NR, b.Rows*k.NR
		k.Widen(c, b)
		for i := range b.Rows * b.Cols {
			got := at(panels, i)
			p, j := i/k.NR%b.Rows, i/k.NR/b.Rows*k.NR+i%k.NR
			if want := element(b, p, j); !Same(got, want) {
				t.Fatalf("%d×%d: B[%d,%d] is left as %g, want %g", b.Rows, b.Cols, p, j, got, want)
			}
		}
		for i := range before {
			if at(mem, i) != 0.125 {
				t.Fatalf("%d×%d: wrote before the panels", b.Rows, b.Cols)
			}
		}
	})
}

// fill sets all elements of e.
func fill(e tensor.Elements, value float32) {
	values := make([]float32, e.Len())
	for i := range values {
		values[i] = value
	}
	e.Store(values)
}

// testFinish takes every number of rows that can be left of several tiles, and
// every epilogue.
func testFinish(t *testing.T, k micro.Kernel) {
	if k.Finish == nil {
		return
	}
	const mostPanels, gap = 2, 3
	for _, atEnd := range []bool{true, false} {
		mem := Guarded[fp16.Float16](t, 3*k.MR*(mostPanels*k.NR+gap), atEnd)
		memBias := Guarded[float32](t, mostPanels*k.NR, atEnd)
		for n, mix := range Mixes {
			rng := rand.New(rand.NewPCG(8, uint64(n)))
			for rows := 1; rows <= 3*k.MR; rows++ {
				for form := range 1 << 3 {
					x := tile{
						depth: depths[rng.IntN(12)], rows: rows, cols: (1 + rng.IntN(mostPanels)) * k.NR, byColumn: rng.IntN(2) == 1,
						beside: rng.IntN(2) == 1, gap: rng.IntN(gap + 1), accumulate: form&1 != 0,
					}
					c := x.call(rng, mix, k)
					c.C = mix.Slice(rng, tensor.F32, x.rows*c.LDC)
					sums := c
					sums.C = slices.Clone(c.C)
					reference(k, sums)
					e := micro.Epilogue{Scale: []float32{1, 0.3, 4096}[rng.IntN(3)], ReLU: form&2 != 0}
					if form&4 != 0 {
						e.Bias = guardedEnd(memBias, x.cols, atEnd)
						copy(e.Bias, mix.Slice(rng, tensor.F32, x.cols))
					} else if !e.ReLU && rng.IntN(2) == 1 {
						e.Scale = 1 // nothing to do but to convert
					}
					dst := tensor.Matrix{Rows: rows, Cols: x.cols, Stride: x.cols + rng.IntN(gap+1)}
					stored := guardedEnd(mem, (rows-1)*dst.Stride+x.cols, atEnd)
					copy(stored, mix.Half(rng, len(stored)))
					wanted := slices.Clone(stored)
					want := dst
					dst.Elements, want.Elements = tensor.Of(stored), tensor.Of(wanted)
					finite := storeReference(want, sums.C, c.LDC, e)
					before := slices.Clone(c.C)
					if got := k.Finish(c, dst, e); got != finite {
						t.Fatalf("%s: %+v, %+v: finite is %v, want %v", mix.Name, x, e, got, finite)
					}
					compareF16(t, stored, wanted, "%s: %+v, %+v", mix.Name, x, e)
					compareF32(t, c.C, before, "%s: %+v: C, which is not to be written", mix.Name, x)
				}
			}
		}
	}
}

// testUnpacked checks a product with a B that is read where it is, in memory
// whose neighbours are not mapped.
func testUnpacked(t *testing.T, k micro.Kernel, mostRows int, allCols []int, byColumn []bool,
	multiply func(c micro.Call, b tensor.Matrix)) {
	const mostGap = 3
	mostCols, mostDepth := slices.Max(allCols), slices.Max(unpackedDepths)
	mostA, mostB, mostC := (mostRows+mostGap)*(mostDepth+mostGap), mostDepth*(mostCols+mostGap), mostRows*(mostCols+mostGap)
	for _, atEnd := range []bool{true, false} {
		memA, memC := guarded(t, operand(k, make([]float32, mostA)), atEnd), Guarded[float32](t, mostC, atEnd)
		memB16, memB32 := Guarded[fp16.Float16](t, mostB, atEnd), Guarded[float32](t, mostB, atEnd)
		for n, mix := range Mixes {
			rng := rand.New(rand.NewPCG(7, uint64(n)))
			for rows := 1; rows <= mostRows; rows++ {
				for _, cols := range allCols {
					x := tile{depth: unpackedDepths[rng.IntN(len(unpackedDepths))], rows: rows, cols: cols,
						byColumn: byColumn[rng.IntN(len(byColumn))], gap: rng.IntN(mostGap + 1)}
					aRow, aCol, sizeA := x.strides()
					ldc := cols + x.gap
					b := tensor.Matrix{Rows: x.depth, Cols: cols, Stride: cols + x.gap}
					sizeB := max((x.depth-1)*b.Stride+cols, 0)
					if k.Operands == tensor.F16 {
						b16 := guardedEnd(memB16, sizeB, atEnd)
						copy(b16, mix.Half(rng, sizeB))
						b.Elements = tensor.Of(b16)
					} else {
						b32 := guardedEnd(memB32, sizeB, atEnd)
						copy(b32, mix.Slice(rng, k.Operands, sizeB))
						b.Elements = tensor.Of(b32)
					}
					values := operand(k, spread(mix.Slice(rng, k.Operands, rows*x.depth), x.depth, sizeA, aRow, aCol))
					var a tensor.Elements
					if k.Panels == tensor.F16 {
						a16 := guardedEnd(memA.F16(), values.Len(), atEnd)
						copy(a16, values.F16())
						a = tensor.Of(a16)
					} else {
						a32 := guardedEnd(memA.F32(), values.Len(), atEnd)
						copy(a32, values.F32())
						a = tensor.Of(a32)
					}
					c := guardedEnd(memC, (rows-1)*ldc+cols, atEnd)
					for _, x.accumulate = range []bool{false, true} {
						copy(c, mix.Slice(rng, tensor.F32, len(c)))
						want := slices.Clone(c)
						for i := range rows {
							for j := range cols {
								var acc float32
								if x.accumulate {
									acc = want[i*ldc+j]
								}
								for p := range x.depth {
									acc = MulAdd(k.Operands, at(values, i*aRow+p*aCol), element(b, p, j), acc)
								}
								want[i*ldc+j] = acc
							}
						}
						multiply(micro.Call{
							K: x.depth, A: a, ARow: aRow, ACol: aCol,
							C: c, LDC: ldc, Rows: rows, Cols: cols, Accumulate: x.accumulate,
						}, b)
						for i := range c {
							if !Same(c[i], want[i]) {
								t.Fatalf("%s: %+v: C[%d,%d] = %g (%#08x), want %g (%#08x)", mix.Name, x,
									i/ldc, i%ldc, c[i], math.Float32bits(c[i]), want[i], math.Float32bits(want[i]))
							}
						}
					}
				}
			}
		}
	}
}

// guardedEnd returns n elements of guarded memory that touch the guard.
func guardedEnd[T any](mem []T, n int, atEnd bool) []T {
	if atEnd {
		return mem[len(mem)-n:]
	}
	return mem[:n:n]
}

// packSizes are around every vector that packing is likely to use.
var packSizes = []int{0, 1, 3, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 50}

// testPack packs matrices of all forms, in memory whose neighbours are not
// mapped, and compares bit for bit.
func testPack(t *testing.T, k micro.Kernel) {
	rng := rand.New(rand.NewPCG(5, 6))
	mix := Mixes[len(Mixes)-1] // any bits
	const most = 60 * 60
	for _, atEnd := range []bool{true, false} {
		halves, floats := Guarded[fp16.Float16](t, most, atEnd), Guarded[float32](t, most, atEnd)
		packed := guarded(t, operand(k, make([]float32, most)), atEnd)
		copy(halves, mix.Half(rng, most))
		copy(floats, mix.Slice(rng, tensor.F32, most))
		for _, rows := range packSizes {
			for _, cols := range packSizes {
				for form := range 1 << 2 {
					trans, half := form&1 != 0, form&2 != 0
					if !half && k.Panels == tensor.F16 {
						continue
					}
					stored, width := rows, cols
					if trans {
						stored, width = cols, rows
					}
					m := tensor.Matrix{Rows: rows, Cols: cols, Stride: width + rng.IntN(3), Trans: trans}
					n := max((stored-1)*m.Stride+width, 0)
					if half {
						m.Elements = tensor.Of(guardedEnd(halves, n, atEnd))
					} else {
						m.Elements = tensor.Of(guardedEnd(floats, n, atEnd))
					}
					stride := cols + rng.IntN(3)
					n = max((rows-1)*stride+cols, 0)
					first := 0
					if atEnd {
						first = most - n
					}
					fill(packed, 0.125)
					k.Pack(packed.From(first), stride, m)
					for i := range most {
						at, got, want := i-first, at(packed, i), float32(0.125)
						if at >= 0 && at < n {
							if i, j := at/stride, at%stride; j < cols {
								want = element(m, i, j)
							}
							if !Same(got, want) {
								t.Fatalf("%d×%d, transposed %v, to rows of %d: dst[%d] is %g, want %g", rows, cols, trans, stride, at, got, want)
							}
						} else if got != want {
							t.Fatalf("%d×%d, transposed %v, to rows of %d: wrote beyond dst", rows, cols, trans, stride)
						}
					}
				}
			}
		}
	}
}

// element returns element (i, j) of m.
func element(m tensor.Matrix, i, j int) float32 {
	if m.Trans {
		return at(m.Elements, j*m.Stride+i)
	}
	return at(m.Elements, i*m.Stride+j)
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
