// Package bf16 is bfloat16, the upper half of a float32: its sign, its eight exponent
// bits and the upper seven bits of its fraction. It has the conversions to and from
// float32, one value at a time and over slices.
//
// It does no arithmetic, and neither does package fp16. The product of two bf16 values is
// exact in float32 (8+8 significand bits fit in 24) unless it over- or underflows.
// bf16 has float32's range, so that gradients need no loss scale, and an eighth of fp16's
// precision.
//
// Widening is exact. Narrowing rounds to nearest with ties to even, keeps subnormals,
// makes infinities of magnitudes from (2−2⁻⁸)·2¹²⁷ up, and keeps NaNs (made quiet, with
// their sign and the top bits of their payload). The bits are the same on every
// architecture.
package bf16

import (
	"math"
	"strconv"
)

// BFloat16 is a bfloat16 value: the upper 16 bits of a float32.
type BFloat16 uint16

// The limits of the format.
const (
	Max               = 0x1.fep127 // largest finite value, (2−2⁻⁷)·2¹²⁷
	SmallestNormal    = 0x1p-126   // that of float32
	SmallestSubnormal = 0x1p-133
	Epsilon           = 0x1p-7 // the gap between 1 and the next value
)

// The fields of the 16 bits.
const (
	exponentMask = 0x7f80
	quietBit     = 0x0040 // set in a quiet NaN, clear in a signalling one
)

// FromFloat32 rounds x to the nearest bf16 value, ties to even.
func FromFloat32(x float32) BFloat16 {
	bits := math.Float32bits(x)
	if x != x {
		return BFloat16(bits>>16) | quietBit
	}
	// The lower half decides: more than 0x8000 rounds up, and 0x8000, the tie, does where
	// the upper half is odd. A carry out of the fraction raises the exponent, from Max to
	// infinity.
	return BFloat16((bits + 0x7fff + bits>>16&1) >> 16)
}

// Float32 returns b as a float32, exactly. A signalling NaN stays one.
func (b BFloat16) Float32() float32 { return math.Float32frombits(uint32(b) << 16) }

// String returns the shortest decimal number that reads back as b.Float32().
func (b BFloat16) String() string {
	return strconv.FormatFloat(float64(b.Float32()), 'f', -1, 32)
}

// IsFinite reports whether b is neither an infinity nor a NaN.
func IsFinite(b BFloat16) bool { return b&exponentMask != exponentMask }

// Widen converts src to float32, exactly:
//
//	for i := range src { dst[i] = src[i].Float32() }
//
// It panics if dst and src differ in length. They must not overlap.
func Widen(dst []float32, src []BFloat16) {
	if len(dst) != len(src) {
		panic("bf16: Widen: dst and src differ in length")
	}
	for i, b := range src {
		dst[i] = b.Float32()
	}
}

// Narrow rounds src to bf16, to nearest with ties to even:
//
//	for i := range src { dst[i] = FromFloat32(src[i]) }
//
// It panics if dst and src differ in length. They must not overlap.
func Narrow(dst []BFloat16, src []float32) {
	if len(dst) != len(src) {
		panic("bf16: Narrow: dst and src differ in length")
	}
	for i, x := range src {
		dst[i] = FromFloat32(x)
	}
}
