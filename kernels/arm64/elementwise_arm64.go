//go:build !purego

package arm64

import (
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Elementwise is the work around the products, the same for both tiers.
var Elementwise = []micro.Elementwise{elementwise("neonfhm", hasFHM), elementwise("neon", hasNEON)}

func elementwise(tier string, supported bool) micro.Elementwise {
	return micro.Elementwise{
		Tier: tier, Supported: supported,
		Store: store,
		Finite: func(x []float32, factor float32) bool {
			return len(x) == 0 || finiteNEON(&x[0], len(x), factor)
		},
		RectifyF16: func(dst, src, mask []fp16.Float16) {
			whole := len(mask) &^ 7
			if whole > 0 {
				rectifyF16NEON(&dst[0], &src[0], &mask[0], whole)
			}
			for i, m := range mask[whole:] {
				if m == 0 || m >= 1<<15 && m <= 0xfc00 { // at most 0
					dst[whole+i] = 0
				} else {
					dst[whole+i] = src[whole+i]
				}
			}
		},
		RectifyF32: func(dst, src, mask []float32) {
			if len(mask) > 0 {
				rectifyF32NEON(&dst[0], &src[0], &mask[0], len(mask))
			}
		},
		AddRows: func(sums []float32, m tensor.Matrix) {
			switch {
			case m.Rows == 0 || m.Cols == 0:
			case m.F16 != nil:
				addRowsF16NEON(&sums[0], &m.F16[0], m.Stride, m.Rows, m.Cols)
			default:
				addRowsF32NEON(&sums[0], &m.F32[0], m.Stride, m.Rows, m.Cols)
			}
		},
		SGD: func(w, v, grad []float32, half []fp16.Float16, p micro.SGD) {
			if len(w) > 0 {
				sgdNEON(&w[0], &v[0], &grad[0], first(half), len(w), p.Unscale, p.Rate, p.Momentum, p.Decay, p.Nesterov)
			}
		},
		Adam: func(w, m, v, grad []float32, half []fp16.Float16, p micro.Adam) {
			if len(w) > 0 {
				adamNEON(&w[0], &m[0], &v[0], &grad[0], first(half), len(w), p.Unscale, p.Rate, p.Decay, p.Keep,
					p.Beta1, p.Rest1, p.Beta2, p.Rest2, p.Correction, p.Epsilon, p.Decoupled)
			}
		},
		Lookup: func(dst []fp16.Float16, table *[256]fp16.Float16, src []byte) {
			dst = dst[:len(src)] // spares the loop a bounds check
			for i, b := range src {
				dst[i] = table[b]
			}
		},
	}
}

func store(dst tensor.Matrix, src []float32, stride int, e micro.Epilogue) bool {
	switch {
	case dst.Rows == 0 || dst.Cols == 0:
		return true
	case dst.F16 != nil:
		return storeF16NEON(&dst.F16[0], dst.Stride, &src[0], stride, dst.Rows, dst.Cols, e.Scale, first(e.Bias), e.ReLU)
	}
	return storeF32NEON(&dst.F32[0], dst.Stride, &src[0], stride, dst.Rows, dst.Cols, e.Scale, first(e.Bias), e.ReLU)
}

// The functions are the loops in package micro's documentation, for at least one
// element. A nil bias or half is none. Nothing is checked. rectifyF16NEON takes
// multiples of 8 elements.

//go:noescape
func storeF16NEON(dst *fp16.Float16, dstStride int, src *float32, stride, rows, cols int, scale float32, bias *float32, relu bool) (finite bool)

//go:noescape
func storeF32NEON(dst *float32, dstStride int, src *float32, stride, rows, cols int, scale float32, bias *float32, relu bool) (finite bool)

//go:noescape
func finiteNEON(x *float32, n int, factor float32) bool

//go:noescape
func rectifyF16NEON(dst, src, mask *fp16.Float16, n int)

//go:noescape
func rectifyF32NEON(dst, src, mask *float32, n int)

//go:noescape
func addRowsF16NEON(sums *float32, m *fp16.Float16, stride, rows, cols int)

//go:noescape
func addRowsF32NEON(sums, m *float32, stride, rows, cols int)

//go:noescape
func sgdNEON(w, v, grad *float32, half *fp16.Float16, n int, unscale, rate, momentum, decay float32, nesterov bool)

//go:noescape
func adamNEON(w, m, v, grad *float32, half *fp16.Float16, n int, unscale, rate, decay, keep, beta1, rest1, beta2, rest2, correction, epsilon float32, decoupled bool)
