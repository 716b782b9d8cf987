//go:build !purego

package amd64

import (
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Elementwise is the work around the products, the fastest tier first.
var Elementwise = []micro.Elementwise{{
	Tier: "avx512", Supported: hasAVX512,
	Store: storeAVX512,
	Finite: func(x []float32, factor float32) bool {
		return len(x) == 0 || finiteAVX512(&x[0], len(x), factor)
	},
	RectifyF16: func(dst, src, mask []fp16.Float16) {
		if len(mask) > 0 {
			rectifyF16AVX512(&dst[0], &src[0], &mask[0], len(mask))
		}
	},
	RectifyF32: func(dst, src, mask []float32) {
		if len(mask) > 0 {
			rectifyF32AVX512(&dst[0], &src[0], &mask[0], len(mask))
		}
	},
	AddRows: func(sums []float32, m tensor.Matrix) {
		switch {
		case m.Rows == 0 || m.Cols == 0:
		case m.F16 != nil:
			addRowsF16AVX512(&sums[0], &m.F16[0], m.Stride, m.Rows, m.Cols)
		default:
			addRowsF32AVX512(&sums[0], &m.F32[0], m.Stride, m.Rows, m.Cols)
		}
	},
	SGD: func(w, v, grad []float32, half []fp16.Float16, p micro.SGD) {
		if len(w) > 0 {
			sgdAVX512(&w[0], &v[0], &grad[0], first(half), len(w), p.Unscale, p.Rate, p.Momentum, p.Decay, p.Nesterov)
		}
	},
	Adam: func(w, m, v, grad []float32, half []fp16.Float16, p micro.Adam) {
		if len(w) > 0 {
			adamAVX512(&w[0], &m[0], &v[0], &grad[0], first(half), len(w), p.Unscale, p.Rate, p.Decay, p.Keep,
				p.Beta1, p.Rest1, p.Beta2, p.Rest2, p.Correction, p.Epsilon, p.Decoupled)
		}
	},
	Lookup: func(dst []fp16.Float16, table *[256]fp16.Float16, src []byte) {
		if len(src) > 0 {
			lookupAVX512(&dst[0], table, &src[0], len(src))
		}
	},
}, {
	Tier: "avx2", Supported: hasAVX2,
	Store: storeAVX2,
	Finite: func(x []float32, factor float32) bool {
		return len(x) == 0 || finiteAVX2(&x[0], len(x), factor)
	},
	RectifyF16: func(dst, src, mask []fp16.Float16) {
		whole := len(mask) &^ 15
		if whole > 0 {
			rectifyF16AVX2(&dst[0], &src[0], &mask[0], whole)
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
			rectifyF32AVX2(&dst[0], &src[0], &mask[0], len(mask))
		}
	},
	AddRows: func(sums []float32, m tensor.Matrix) {
		switch {
		case m.Rows == 0 || m.Cols == 0:
		case m.F16 != nil:
			addRowsF16AVX2(&sums[0], &m.F16[0], m.Stride, m.Rows, m.Cols)
		default:
			addRowsF32AVX2(&sums[0], &m.F32[0], m.Stride, m.Rows, m.Cols)
		}
	},
	SGD: func(w, v, grad []float32, half []fp16.Float16, p micro.SGD) {
		if len(w) > 0 {
			sgdAVX2(&w[0], &v[0], &grad[0], first(half), len(w), p.Unscale, p.Rate, p.Momentum, p.Decay, p.Nesterov)
			lastHalves(half, w)
		}
	},
	Adam: func(w, m, v, grad []float32, half []fp16.Float16, p micro.Adam) {
		if len(w) > 0 {
			adamAVX2(&w[0], &m[0], &v[0], &grad[0], first(half), len(w), p.Unscale, p.Rate, p.Decay, p.Keep,
				p.Beta1, p.Rest1, p.Beta2, p.Rest2, p.Correction, p.Epsilon, p.Decoupled)
			lastHalves(half, w)
		}
	},
	Lookup: func(dst []fp16.Float16, table *[256]fp16.Float16, src []byte) {
		dst = dst[:len(src)] // spares the loop a bounds check
		for i, b := range src {
			dst[i] = table[b]
		}
	},
}}

// lastHalves rounds the last one to eight of w.
func lastHalves(half []fp16.Float16, w []float32) {
	if half != nil {
		from := (len(w) - 1) &^ 7
		fp16.Narrow(half[from:], w[from:])
	}
}

func storeAVX512(dst tensor.Matrix, src []float32, stride int, e micro.Epilogue) bool {
	switch {
	case dst.Rows == 0 || dst.Cols == 0:
		return true
	case dst.F16 != nil:
		return storeF16AVX512(&dst.F16[0], dst.Stride, &src[0], stride, dst.Rows, dst.Cols, e.Scale, first(e.Bias), e.ReLU)
	}
	return storeF32AVX512(&dst.F32[0], dst.Stride, &src[0], stride, dst.Rows, dst.Cols, e.Scale, first(e.Bias), e.ReLU)
}

func storeAVX2(dst tensor.Matrix, src []float32, stride int, e micro.Epilogue) bool {
	switch {
	case dst.Rows == 0 || dst.Cols == 0:
		return true
	case dst.F16 != nil:
		return storeF16AVX2(&dst.F16[0], dst.Stride, &src[0], stride, dst.Rows, dst.Cols, e.Scale, first(e.Bias), e.ReLU)
	}
	return storeF32AVX2(&dst.F32[0], dst.Stride, &src[0], stride, dst.Rows, dst.Cols, e.Scale, first(e.Bias), e.ReLU)
}

// The functions are the loops in package micro's documentation, for at least
// one element. A nil bias or half is none. Nothing is checked. rectifyF16AVX2 takes
// multiples of 16 elements, and sgdAVX2 and adamAVX2 leave the last one to eight
// of half alone.

//go:noescape
func storeF16AVX512(dst *fp16.Float16, dstStride int, src *float32, stride, rows, cols int, scale float32, bias *float32, relu bool) (finite bool)

//go:noescape
func storeF32AVX512(dst *float32, dstStride int, src *float32, stride, rows, cols int, scale float32, bias *float32, relu bool) (finite bool)

//go:noescape
func finiteAVX512(x *float32, n int, factor float32) bool

//go:noescape
func rectifyF16AVX512(dst, src, mask *fp16.Float16, n int)

//go:noescape
func rectifyF32AVX512(dst, src, mask *float32, n int)

//go:noescape
func addRowsF16AVX512(sums *float32, m *fp16.Float16, stride, rows, cols int)

//go:noescape
func addRowsF32AVX512(sums, m *float32, stride, rows, cols int)

//go:noescape
func sgdAVX512(w, v, grad *float32, half *fp16.Float16, n int, unscale, rate, momentum, decay float32, nesterov bool)

//go:noescape
func adamAVX512(w, m, v, grad *float32, half *fp16.Float16, n int, unscale, rate, decay, keep, beta1, rest1, beta2, rest2, correction, epsilon float32, decoupled bool)

//go:noescape
func lookupAVX512(dst *fp16.Float16, table *[256]fp16.Float16, src *byte, n int)

//go:noescape
func storeF16AVX2(dst *fp16.Float16, dstStride int, src *float32, stride, rows, cols int, scale float32, bias *float32, relu bool) (finite bool)

//go:noescape
func storeF32AVX2(dst *float32, dstStride int, src *float32, stride, rows, cols int, scale float32, bias *float32, relu bool) (finite bool)

//go:noescape
func finiteAVX2(x *float32, n int, factor float32) bool

//go:noescape
func rectifyF16AVX2(dst, src, mask *fp16.Float16, n int)

//go:noescape
func rectifyF32AVX2(dst, src, mask *float32, n int)

//go:noescape
func addRowsF16AVX2(sums *float32, m *fp16.Float16, stride, rows, cols int)

//go:noescape
func addRowsF32AVX2(sums, m *float32, stride, rows, cols int)

//go:noescape
func sgdAVX2(w, v, grad *float32, half *fp16.Float16, n int, unscale, rate, momentum, decay float32, nesterov bool)

//go:noescape
func adamAVX2(w, m, v, grad *float32, half *fp16.Float16, n int, unscale, rate, decay, keep, beta1, rest1, beta2, rest2, correction, epsilon float32, decoupled bool)
