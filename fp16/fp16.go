// Package fp16 is the element type of halfgrad: IEEE 754 binary16 and its
// conversions to and from float32, one value at a time and over slices.
//
// It does no arithmetic. halfgrad computes every product in float32, where that of two
// fp16 values is exact (11+11 significand bits fit in 24). fp16 is a storage format, and
// this package converts to and from it.
//
// Conversions follow IEEE 754 in every corner: widening is exact, narrowing rounds to
// nearest with ties to even, subnormals are kept on both sides, values of magnitude 65520
// and above become infinities, and NaNs stay NaNs (made quiet, the top bits of their
// payload kept). They give the same bits on every architecture. Slices are converted by
// assembly on arm64, and on amd64 with F16C.
package fp16

import "github.com/x448/float16"

// Float16 is an IEEE 754 binary16 value. It is an alias of github.com/x448/float16's
// type, with its methods (Float32, IsNaN, IsInf, Signbit, Bits, …).
type Float16 = float16.Float16

// The limits of the format.
const (
	Max               = 65504           // largest finite value, (2−2⁻¹⁰)·2¹⁵
	SmallestNormal    = 1.0 / (1 << 14) // 2⁻¹⁴
	SmallestSubnormal = 1.0 / (1 << 24) // 2⁻²⁴
	Epsilon           = 1.0 / (1 << 10) // 2⁻¹⁰, the gap between 1 and the next value
)

// The fields of the 16 bits.
const (
	exponentMask = 0x7c00
	absMask      = 0x7fff
)

// FromFloat32 rounds x to the nearest fp16 value, ties to even.
func FromFloat32(x float32) Float16 { return float16.Fromfloat32(x) }

// IsFinite reports whether h is neither an infinity nor a NaN.
func IsFinite(h Float16) bool { return h&exponentMask != exponentMask }

// IsSubnormal reports whether h is nonzero and smaller in magnitude than
// [SmallestNormal], so that it may have lost precision to underflow.
func IsSubnormal(h Float16) bool { return h&exponentMask == 0 && h&absMask != 0 }

// Widen converts src to float32, exactly:
//
//	for i := range src { dst[i] = src[i].Float32() }
//
// It panics if dst and src differ in length. They must not overlap.
func Widen(dst []float32, src []Float16) {
	if len(dst) != len(src) {
		panic("fp16: Widen: dst and src differ in length")
	}
	widen(dst, src)
}

// Narrow rounds src to fp16, to nearest with ties to even:
//
//	for i := range src { dst[i] = FromFloat32(src[i]) }
//
// It panics if dst and src differ in length. They must not overlap.
func Narrow(dst []Float16, src []float32) {
	if len(dst) != len(src) {
		panic("fp16: Narrow: dst and src differ in length")
	}
	narrow(dst, src)
}

// Lookup replaces bytes by the values that a table has for them, such as the brightness
// of pixels by standardised values:
//
//	for i, b := range src { dst[i] = table[b] }
//
// It panics if dst and src differ in length. They must not overlap, nor may dst and
// table. On amd64 with AVX-512BW the table stays in registers.
func Lookup(dst []Float16, table *[256]Float16, src []byte) {
	if len(dst) != len(src) {
		panic("fp16: Lookup: dst and src differ in length")
	}
	lookup(dst, table, src)
}

// widenGo, narrowGo and lookupGo run where there is no assembly, which must match them
// bit for bit.

func widenGo(dst []float32, src []Float16) {
	for i, h := range src {
		dst[i] = h.Float32()
	}
}

func narrowGo(dst []Float16, src []float32) {
	for i, x := range src {
		dst[i] = float16.Fromfloat32(x)
	}
}

func lookupGo(dst []Float16, table *[256]Float16, src []byte) {
	dst = dst[:len(src)] // spares the loop a bounds check
	for i, b := range src {
		dst[i] = table[b]
	}
}
