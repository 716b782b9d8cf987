//go:build !purego

package arm64

import (
	"unsafe"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Elementwise are the elementwise operations, the same for both tiers.
var Elementwise = []micro.Elementwise{elementwise("neonfhm", hasFHM), elementwise("neon", hasNEON)}

func elementwise(tier string, supported bool) micro.Elementwise {
	return micro.Elementwise{
		Tier: tier, Supported: supported,
		Store: store,
		Finite: func(x []float32, factor float32) bool {
			if len(x) == 0 {
				return true
			}
			args := finiteArgs{x: &x[0], n: len(x), factor: factor}
			finiteNEON(&args)
			return args.finite
		},
		RectifyF16: func(dst, src, mask []fp16.Float16) {
			whole := len(mask) &^ 7
			if whole > 0 {
				rectifyF16NEON(&rectifyF16Args{dst: &dst[0], src: &src[0], mask: &mask[0], n: whole})
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
				rectifyF32NEON(&rectifyF32Args{dst: &dst[0], src: &src[0], mask: &mask[0], n: len(mask)})
			}
		},
		AddRows: func(sums []float32, m tensor.Matrix) {
			args := addRowsArgs{sums: first(sums), m: m.Elements.Pointer(), stride: m.Stride, rows: m.Rows, cols: m.Cols}
			switch {
			case m.Rows == 0 || m.Cols == 0:
			case m.DType() == tensor.F16:
				addRowsF16NEON(&args)
			default:
				addRowsF32NEON(&args)
			}
		},
		SGD: func(w, v, grad []float32, half tensor.Elements, p micro.SGD) {
			if len(w) > 0 {
				sgdNEON(&sgdArgs{w: &w[0], v: &v[0], grad: &grad[0], half: half.Pointer(), n: len(w), step: sgdStep(p)})
			}
		},
		Adam: func(w, m, v, grad []float32, half tensor.Elements, p micro.Adam) {
			if len(w) > 0 {
				adamNEON(&adamArgs{w: &w[0], m: &m[0], v: &v[0], grad: &grad[0], half: half.Pointer(), n: len(w), step: adamStep(p)})
			}
		},
	}
}

func store(dst tensor.Matrix, src []float32, stride int, e micro.Epilogue) bool {
	if dst.Rows == 0 || dst.Cols == 0 {
		return true
	}
	args := storeArgs{
		dst: dst.Elements.Pointer(), dstStride: dst.Stride, src: &src[0], stride: stride,
		rows: dst.Rows, cols: dst.Cols, scale: e.Scale, bias: first(e.Bias), relu: e.ReLU,
	}
	if dst.DType() == tensor.F16 {
		storeF16NEON(&args)
	} else {
		storeF32NEON(&args)
	}
	return args.finite
}

// The arguments of the functions below, which assembly finds by their offsets in
// go_asm.h. A nil bias or half is none.

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

// go_asm.h has the offsets of this package's types only.
type (
	sgdStep  micro.SGD
	adamStep micro.Adam
)

// The functions are the loops in package micro's documentation, for at least one
// element. Nothing is checked. rectifyF16NEON takes multiples of 8 elements.

//go:noescape
func storeF16NEON(args *storeArgs)

//go:noescape
func storeF32NEON(args *storeArgs)

//go:noescape
func finiteNEON(args *finiteArgs)

//go:noescape
func rectifyF16NEON(args *rectifyF16Args)

//go:noescape
func rectifyF32NEON(args *rectifyF32Args)

//go:noescape
func addRowsF16NEON(args *addRowsArgs)

//go:noescape
func addRowsF32NEON(args *addRowsArgs)

//go:noescape
func sgdNEON(args *sgdArgs)

//go:noescape
func adamNEON(args *adamArgs)
