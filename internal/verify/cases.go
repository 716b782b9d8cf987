package verify

import (
	"math"
	"math/rand/v2"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// drawn is a case.
type drawn struct {
	group   Group
	name    string            // of the operation
	product *kernels.GemmArgs // nil unless it is one
	compute func(e *kernels.Engine) (answer bool)

	// What is hashed: the answer, if the operation has one, and all memory that
	// it may write.
	answer bool
	f16    [][]fp16.Float16
	f32    [][]float32
}

// source is what a case draws from.
type source struct{ *rand.Rand }

// draw draws case i.
func draw(seed uint64, i int) *drawn {
	s := source{rand.New(rand.NewPCG(seed, uint64(i)))}
	c := new(drawn)
	switch kind := s.IntN(16); {
	case kind < 9:
		c.group = ProductsF16
		s.gemm(c, tensor.F16)
	case kind < 12:
		c.group = ProductsF32
		s.gemm(c, tensor.F32)
	case kind < 15:
		c.group = Elementwise
		s.elementwise(c)
	default:
		c.group = Conversions
		s.conversion(c)
	}
	return c
}

func (s source) oneIn(n int) bool { return s.IntN(n) == 0 }

func pick[T any](s source, from ...T) T { return from[s.IntN(len(from))] }

// size returns a dimension: mostly a small one, or one about a multiple of what
// kernels take at once.
func (s source) size() int {
	switch s.IntN(4) {
	case 0:
		return 1 + s.IntN(70)
	case 1:
		unit := pick(s, 4, 6, 12, 16, 32)
		return unit*(1+s.IntN(64/unit)) - 1 + s.IntN(3)
	}
	return 1 + s.IntN(9)
}

// long returns a dimension of several blocks: 512 steps are the most of one.
func (s source) long() int { return 70 + s.IntN(1130) }

// gemm draws a product.
func (s source) gemm(c *drawn, operands tensor.DType) {
	m, n, k := s.size(), s.size(), s.size()
	switch one := pick(s, &m, &n, &k); {
	case s.oneIn(50):
		*one = s.long()
	case s.oneIn(120): // several blocks over k, and more than a tile
		m, n, k = 9+s.IntN(18), 9+s.IntN(40), 513+s.IntN(600)
	case s.oneIn(800): // two long ones
		m, n, k = s.long(), s.long(), s.long()
		*one = 1 + s.IntN(9)
	case s.oneIn(50):
		k = 0
	}
	values := s.mix()
	other := values
	if s.oneIn(3) {
		other = s.mix()
	}
	packed := s.oneIn(6)
	g := &kernels.GemmArgs{
		Accumulate: s.oneIn(3), ReLU: s.oneIn(3), Check: s.oneIn(2),
		Scale: pick[float32](s, 0, 0, 0.3, 64, 1.0/(1<<16), 1e-9),
	}
	g.A = s.matrix(nil, operands, m, k, s.oneIn(2), values)
	g.B = s.matrix(nil, operands, k, n, s.oneIn(2), other)
	g.C = s.matrix(c, pick(s, tensor.F16, tensor.F32), m, n, s.oneIn(3) && !packed, values)
	if s.oneIn(2) {
		g.Bias = s.floats(nil, n, values)
	}
	if packed {
		g.Packed, g.B = kernels.Pack(g.B), tensor.Matrix{}
	}
	c.name, c.product, c.compute = "Gemm", g, func(e *kernels.Engine) bool { return e.Gemm(*g) }
}

// matrix returns a rows×cols matrix, as stored of rows that mostly lie side by side.
func (s source) matrix(c *drawn, dtype tensor.DType, rows, cols int, trans bool, values mix) tensor.Matrix {
	if trans {
		rows, cols = cols, rows
	}
	m := tensor.Matrix{Rows: rows, Cols: cols, Stride: cols}
	switch {
	case s.oneIn(4):
		m.Stride += 1 + s.IntN(7)
	case rows <= 20 && s.oneIn(50): // where rows share few sets of a cache
		m.Stride = 1 << 11
	}
	if n := max((rows-1)*m.Stride+cols, 0); dtype == tensor.F16 {
		m.Elements = tensor.Of(s.halves(c, n, values))
	} else {
		m.Elements = tensor.Of(s.floats(c, n, values))
	}
	if trans {
		m = m.T()
	}
	return m
}

// length returns a number of elements: mostly a small one, at times as many as
// threads share, or more than is done at once.
func (s source) length() int {
	switch n := s.IntN(100); {
	case n < 60:
		return s.size()
	case n < 97:
		return 1 + s.IntN(1000)
	case n < 99:
		return 1<<14 + s.IntN(1<<14)
	}
	return 1<<15 + s.IntN(1<<15)
}

// elementwise draws one of the operations that are no products.
func (s source) elementwise(c *drawn) {
	values := s.mix()
	switch n := s.length(); s.IntN(8) {
	case 0:
		x, factor := s.floats(nil, n, finite), pick[float32](s, 1, 0.25, 2)
		if s.oneIn(2) {
			x[s.IntN(n)] = pick(s, float32(math.Inf(1)), float32(math.NaN()), 3e38)
		}
		c.name, c.compute = "Finite", func(e *kernels.Engine) bool { return e.Finite(x, factor) }
	case 1:
		mask, src, dst := s.halves(c, n, values), s.halves(c, n, values), s.halves(c, n, values)
		dst = pick(s, dst, src, mask)
		c.name, c.compute = "Rectify fp16", func(e *kernels.Engine) bool {
			e.Rectify(tensor.FromF16(dst, n), tensor.FromF16(src, n), tensor.FromF16(mask, n))
			return false
		}
	case 2:
		mask, src, dst := s.floats(c, n, values), s.floats(c, n, values), s.floats(c, n, values)
		dst = pick(s, dst, src, mask)
		c.name, c.compute = "Rectify fp32", func(e *kernels.Engine) bool {
			e.Rectify(tensor.FromF32(dst, n), tensor.FromF32(src, n), tensor.FromF32(mask, n))
			return false
		}
	case 3:
		rows, cols := s.size(), s.size()
		if s.oneIn(12) {
			rows, cols = 1+s.IntN(100), s.long()
		}
		sums := s.floats(c, cols, values)
		m := s.matrix(nil, pick(s, tensor.F16, tensor.F32), rows, cols, false, values)
		c.name, c.compute = "AddRows", func(e *kernels.Engine) bool { e.AddRows(sums, m); return false }
	case 4, 5:
		w, v, grad, half := s.floats(c, n, values), s.floats(c, n, values), s.floats(nil, n, values), s.maybeHalves(c, n)
		p := kernels.SGD{
			Unscale: s.unscale(), Rate: pick[float32](s, 0.1, 0.003), Momentum: pick[float32](s, 0, 0.9, 0.9),
			Decay: pick[float32](s, 0, 0.01), Nesterov: s.oneIn(2),
		}
		c.name, c.compute = "SGD", func(e *kernels.Engine) bool { e.SGD(w, v, grad, half, p); return false }
	case 6:
		w, m, v, grad, half := s.floats(c, n, values), s.floats(c, n, values), s.floats(c, n, values), s.floats(nil, n, values), s.maybeHalves(c, n)
		if !s.oneIn(8) { // as means of squares are
			for i, x := range v {
				v[i] = math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
			}
		}
		p := kernels.Adam{
			Unscale: s.unscale(), Rate: pick[float32](s, 0.01, 0.003), Decay: pick[float32](s, 0, 0.01), Keep: 0.9999,
			Beta1: 0.9, Rest1: 0.1, Beta2: 0.999, Rest2: 0.001, Correction: pick[float32](s, 0.03, 0.7), Epsilon: 1e-8, Decoupled: s.oneIn(2),
		}
		c.name, c.compute = "Adam", func(e *kernels.Engine) bool { e.Adam(w, m, v, grad, half, p); return false }
	default:
		dst, table, src := s.halves(c, n, values), (*[256]fp16.Float16)(s.halves(nil, 256, values)), make([]byte, n)
		for i := range src {
			src[i] = byte(s.Uint64())
		}
		c.name, c.compute = "Lookup", func(*kernels.Engine) bool { fp16.Lookup(dst, table, src); return false }
	}
}

func (s source) unscale() float32 { return pick[float32](s, 1, 0.3, 1.0/(1<<16)) }

func (s source) maybeHalves(c *drawn, n int) tensor.Elements {
	if s.oneIn(2) {
		return tensor.Elements{}
	}
	return tensor.Of(s.halves(c, n, anyBits))
}

// conversion draws a conversion of a slice.
func (s source) conversion(c *drawn) {
	n := s.length()
	if s.oneIn(3) {
		src, dst := s.halves(nil, n, anyBits), s.floats(c, n, anyBits)
		c.name, c.compute = "Widen", func(*kernels.Engine) bool { fp16.Widen(dst, src); return false }
		return
	}
	src, dst := make([]float32, n), s.halves(c, n, anyBits)
	for i := range src {
		src[i] = narrowed(s.Uint64())
	}
	c.name, c.compute = "Narrow", func(*kernels.Engine) bool { fp16.Narrow(dst, src); return false }
}

// narrowed makes a value to be rounded to fp16: of any bits, or within one unit in
// the last place of an fp16 value or of the middle between two.
func narrowed(r uint64) float32 {
	if r>>60 == 0 {
		return math.Float32frombits(uint32(r))
	}
	magnitude := fp16.Float16(r & 0x7fff)
	low, high := magnitude.Float32(), (magnitude + 1).Float32()
	if magnitude == 0x7bff {
		high = 1 << 16 // where the next value would be
	}
	if r>>59&1 == 0 {
		low = (low + high) / 2
	}
	bits := math.Float32bits(low)
	if step := uint32(r >> 16 & 3); step < 3 && bits != 0 {
		bits += step - 1
	}
	return math.Float32frombits(bits | uint32(r>>18&1)<<31)
}

// mix is a mixture of values: the bits of an fp16 value, made of random ones, of
// which it uses the lower 26.
type mix func(r uint64) uint16

const sign = 1 << 15

func normal(r uint64) uint16    { return uint16(r&sign | (7+r>>11&15)<<10 | r&1023) } // exponents 2⁻⁸ … 2⁷
func finite(r uint64) uint16    { return uint16(r&sign | r&0x7fff%0x7c00) }
func subnormal(r uint64) uint16 { return uint16(r&sign | r&1023) }
func huge(r uint64) uint16      { return uint16(r&sign | (0x7bff - r&7)) }
func anyBits(r uint64) uint16   { return uint16(r) }

func ties(r uint64) uint16 { // ±1 and ±2⁻¹²: sums are often in the middle between two fp32 values
	return uint16(r&sign | (3+r>>16&1*12)<<10)
}

func zeros(r uint64) uint16 { // ±0 and a rare ±1: the sign of a zero sum shows
	if r>>16&15 == 0 {
		return uint16(r&sign | 0x3c00)
	}
	return uint16(r & sign)
}

func specials(r uint64) uint16 { // now and then an infinity or a NaN
	switch r >> 16 & 1023 {
	case 0:
		return uint16(r&sign | 0x7c00)
	case 1:
		return uint16(r&sign | 0x7c00 | r&1023)
	}
	return finite(r)
}

func (s source) mix() mix {
	return pick(s, normal, normal, normal, normal, normal, normal, finite, subnormal, huge, zeros, ties, specials, anyBits)
}

// apron is the number of elements on either side of the memory of an operand, at
// least. The one in front differs, so that nothing is aligned.
const apron = 8

// halves returns n fp16 values, for c to write unless it is nil.
func (s source) halves(c *drawn, n int, values mix) []fp16.Float16 {
	before := apron + s.IntN(apron)
	all := make([]fp16.Float16, before+n+apron)
	for i := range all {
		all[i] = fp16.Float16(values(s.Uint64()))
	}
	if c != nil {
		c.f16 = append(c.f16, all)
	}
	return all[before : before+n : before+n]
}

// spread are the factors that bring fp32 values out of the range of fp16, so that
// products neither fit float32 nor always stay in its range.
var spread = [8]float64{1, 1, 1, 1, 1 << 20, 1 << 40, 1.0 / (1 << 40), 0x1p-110}

// floats returns n fp32 values, for c to write unless it is nil. They are those of a
// mixture, with 13 more bits of significand. Powers of two become a neighbour: the
// product of 1 + 2⁻²³ and 1 − 2⁻²³ is so near to 1 that a sum with it, rounded to
// float64 first, is a tie that it is not.
func (s source) floats(c *drawn, n int, values mix) []float32 {
	before := apron + s.IntN(apron)
	all := make([]float32, before+n+apron)
	for i := range all {
		r := s.Uint64()
		h := fp16.Float16(values(r))
		bits := math.Float32bits(h.Float32())
		switch {
		case !fp16.IsFinite(h) || h&0x7fff == 0:
			all[i] = math.Float32frombits(bits)
		case h&1023 == 0:
			all[i] = math.Float32frombits(bits + uint32(r>>32&3) - 2)
		default:
			x := math.Float32frombits(bits | uint32(r>>32&(1<<13-1)))
			all[i] = float32(float64(x) * spread[r>>45&7])
		}
	}
	if c != nil {
		c.f32 = append(c.f32, all)
	}
	return all[before : before+n : before+n]
}
