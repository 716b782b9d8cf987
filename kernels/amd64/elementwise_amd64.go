//go:build !purego

package amd64

import (
	"unsafe"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Elementwise has the work around the products, the fastest tier first.
var Elementwise = []micro.Elementwise{{
	Tier: "avx512", Supported: hasAVX512,
	Store: storeAVX512,
	Finite: func(x []float32, factor float32) bool {
		if len(x) == 0 {
			return true
		}
		var args finiteArgs
		args.x, args.n, args.factor = &x[0], len(x), factor
		finiteAVX512(&args)
		return args.finite
	},
	RectifyF16: func(dst, src, mask []fp16.Float16) {
		if len(mask) > 0 {
			rectifyF16AVX512(&rectifyF16Args{dst: &dst[0], src: &src[0], mask: &mask[0], n: len(mask)})
		}
	},
	RectifyF32: func(dst, src, mask []float32) {
		if len(mask) > 0 {
			rectifyF32AVX512(&rectifyF32Args{dst: &dst[0], src: &src[0], mask: &mask[0], n: len(mask)})
		}
	},
	AddRows: func(sums []float32, m tensor.Matrix) {
		var args addRowsArgs
		args.set(sums, &m)
		switch {
		case m.Rows == 0 || m.Cols == 0:
		case m.DType() == tensor.F16:
			addRowsF16AVX512(&args)
		default:
			addRowsF32AVX512(&args)
		}
	},
	SGD: func(w, v, grad []float32, half tensor.Elements, p micro.SGD) {
		if len(w) > 0 {
			sgdAVX512(&sgdArgs{w: &w[0], v: &v[0], grad: &grad[0], half: half.Pointer(), n: len(w), step: sgdStep(p)})
		}
	},
	Adam: func(w, m, v, grad []float32, half tensor.Elements, p micro.Adam) {
		if len(w) > 0 {
			adamAVX512(&adamArgs{w: &w[0], m: &m[0], v: &v[0], grad: &grad[0], half: half.Pointer(), n: len(w), step: adamStep(p)})
		}
	},
}, {
	Tier: "avx2", Supported: hasAVX2,
	Store: storeAVX2,
	Finite: func(x []float32, factor float32) bool {
		if len(x) == 0 {
			return true
		}
		var args finiteArgs
		args.x, args.n, args.factor = &x[0], len(x), factor
		finiteAVX2(&args)
		return args.finite
	},
	RectifyF16: func(dst, src, mask []fp16.Float16) {
		whole := len(mask) &^ 15
		if whole > 0 {
			rectifyF16AVX2(&rectifyF16Args{dst: &dst[0], src: &src[0], mask: &mask[0], n: whole})
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
			rectifyF32AVX2(&rectifyF32Args{dst: &dst[0], src: &src[0], mask: &mask[0], n: len(mask)})
		}
	},
	AddRows: func(sums []float32, m tensor.Matrix) {
		var args addRowsArgs
		args.set(sums, &m)
		switch {
		case m.Rows == 0 || m.Cols == 0:
		case m.DType() == tensor.F16:
			addRowsF16AVX2(&args)
		default:
			addRowsF32AVX2(&args)
		}
	},
	SGD: func(w, v, grad []float32, half tensor.Elements, p micro.SGD) {
		if len(w) > 0 {
			sgdAVX2(&sgdArgs{w: &w[0], v: &v[0], grad: &grad[0], half: half.Pointer(), n: len(w), step: sgdStep(p)})
			lastHalves(half, w)
		}
	},
	Adam: func(w, m, v, grad []float32, half tensor.Elements, p micro.Adam) {
		if len(w) > 0 {
			adamAVX2(&adamArgs{w: &w[0], m: &m[0], v: &v[0], grad: &grad[0], half: half.Pointer(), n: len(w), step: adamStep(p)})
			lastHalves(half, w)
		}
	},
}}

// lastHalves rounds the last one to eight elements of w to half.
func lastHalves(half tensor.Elements, w []float32) {
	if half.DType() != 0 {
		from := (len(w) - 1) &^ 7
		fp16.Narrow(half.F16()[from:], w[from:])
	}
}

func storeAVX512(dst tensor.Matrix, src []float32, stride int, e micro.Epilogue) bool {
	if dst.Rows == 0 || dst.Cols == 0 {
		return true
	}
	var args storeArgs
	args.set(&dst, src, stride, &e)
	if dst.DType() == tensor.F16 {
		storeF16AVX512(&args)
	} else {
		storeF32AVX512(&args)
	}
	return args.finite
}

func storeAVX2(dst tensor.Matrix, src []float32, stride int, e micro.Epilogue) bool {
	if dst.Rows == 0 || dst.Cols == 0 {
		return true
	}
	var args storeArgs
	args.set(&dst, src, stride, &e)
	if dst.DType() == tensor.F16 {
		storeF16AVX2(&args)
	} else {
		storeF32AVX2(&args)
	}
	return args.finite
}

// The arguments of the functions below. A nil bias or half stands for none.

type storeArgs struct {
	dst          unsafe.Pointer
	dstStride    int
	src          *float32
	stride       int
	rows, cols   int
	scale        float32
	bias         *float32
	relu, finite bool // finite is the result
}

func (args *storeArgs) set(dst *tensor.Matrix, src []float32, stride int, e *micro.Epilogue) {
	args.dst, args.dstStride = dst.Elements.Pointer(), dst.Stride
	args.src, args.stride, args.rows, args.cols = &src[0], stride, dst.Rows, dst.Cols
	args.scale, args.bias, args.relu = e.Scale, first(e.Bias), e.ReLU
}

type finiteArgs struct {
	x      *float32
	n      int
	factor float32
	finite bool // the result
}

type rectifyF16Args struct {
	dst, src, mask *fp16.Float16
	n              int
}

type rectifyF32Args struct {
	dst, src, mask *float32
	n              int
}

type addRowsArgs struct {
	sums       *float32
	m          unsafe.Pointer
	stride     int
	rows, cols int
}

func (args *addRowsArgs) set(sums []float32, m *tensor.Matrix) {
	args.sums, args.m = first(sums), m.Elements.Pointer()
	args.stride, args.rows, args.cols = m.Stride, m.Rows, m.Cols
}

type sgdArgs struct {
	w, v, grad *float32
	half       unsafe.Pointer
	n          int
	step       sgdStep
}

type adamArgs struct {
	w, m, v, grad *float32
	half          unsafe.Pointer
	n             int
	step          adamStep
}

// Names for types of package micro, as go_asm.h has types of this package only.
type (
	sgdStep  micro.SGD
	adamStep micro.Adam
)

// The functions are the loops of micro.Elementwise, for at least one element. Nothing
// is checked. rectifyF16AVX2 takes multiples of 16 elements. sgdAVX2 and adamAVX2 do not
// write the last one to eight elements of half.

//go:noescape
func storeF16AVX512(args *storeArgs)

//go:noescape
func storeF32AVX512(args *storeArgs)

//go:noescape
func finiteAVX512(args *finiteArgs)

//go:noescape
func rectifyF16AVX512(args *rectifyF16Args)

//go:noescape
func rectifyF32AVX512(args *rectifyF32Args)

//go:noescape
func addRowsF16AVX512(args *addRowsArgs)

//go:noescape
func addRowsF32AVX512(args *addRowsArgs)

//go:noescape
func sgdAVX512(args *sgdArgs)

//go:noescape
func adamAVX512(args *adamArgs)

//go:noescape
func storeF16AVX2(args *storeArgs)

//go:noescape
func storeF32AVX2(args *storeArgs)

//go:noescape
func finiteAVX2(args *finiteArgs)

//go:noescape
func rectifyF16AVX2(args *rectifyF16Args)

//go:noescape
func rectifyF32AVX2(args *rectifyF32Args)

//go:noescape
func addRowsF16AVX2(args *addRowsArgs)

//go:noescape
func addRowsF32AVX2(args *addRowsArgs)

//go:noescape
func sgdAVX2(args *sgdArgs)

//go:noescape
func adamAVX2(args *adamArgs)
