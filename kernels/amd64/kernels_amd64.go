//go:build !purego

package amd64

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"golang.org/x/sys/cpu"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Masks are computed by BMI2, which every processor with AVX-512 has.
var (
	hasAVX2   = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C
	hasAVX512 = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512DQ && cpu.X86.HasBMI2
)

// halves512 reports whether the processor splits 512-bit operations in two, as a Zen 4
// does.
var halves512 = cpuid.CPU.VendorID == cpuid.AMD && cpuid.CPU.Family == 0x19

// Kernels are the kernels of this architecture, the fastest tier first.
//
// FMA rounds once, so one function serves both kinds of operands.
var Kernels = []micro.Kernel{
	{Name: "f16f32acc-12x32-avx512", Tier: "avx512", Operands: tensor.F16, Panels: tensor.F32, MR: 12, NR: 32, Supported: hasAVX512, Func: avx512, Widen: widenAVX512, Finish: finishAVX512, TurnCost: 3, Thin: thinAVX512(halves512), Pack: packAVX512},
	{Name: "f32-12x32-avx512", Tier: "avx512", Operands: tensor.F32, Panels: tensor.F32, MR: 12, NR: 32, Supported: hasAVX512, Func: avx512, Widen: widenAVX512, Finish: finishAVX512, TurnCost: 3, Thin: thinAVX512(halves512), Pack: packAVX512},
	{Name: "f16f32acc-6x16-avx2", Tier: "avx2", Operands: tensor.F16, Panels: tensor.F32, MR: 6, NR: 16, Supported: hasAVX2, Func: avx2, Widen: widenAVX2, TurnCost: 9, Thin: thinAVX2, Pack: packAVX2},
	{Name: "f32-6x16-avx2", Tier: "avx2", Operands: tensor.F32, Panels: tensor.F32, MR: 6, NR: 16, Supported: hasAVX2, Func: avx2, Widen: widenAVX2, TurnCost: 9, Thin: thinAVX2, Pack: packAVX2},
}

// PeakLoops measure the FMA peak of each tier.
var PeakLoops = []micro.PeakLoop{
	{Tier: "avx512", Supported: hasAVX512, FLOPs: 12 * 16 * 2, Func: peakAVX512},
	{Tier: "avx2", Supported: hasAVX2, FLOPs: 12 * 8 * 2, Func: peakAVX2},
}

// first returns the address of the first element, or nil for a nil slice. The address
// of an empty slice must not be read from. With K = 0 the assembly reads nothing.
func first[T any](s []T) *T { return unsafe.SliceData(s) }

// An assembly function takes a pointer to a struct. It finds the fields by the offsets
// that the compiler writes to go_asm.h, and writes none but a result. go_asm.h has
// types of this package only, so those of other packages get a name here. Addresses of
// elements are untyped: the function that is called knows their type.
type call micro.Call

//lint:ignore U1000 the assembly uses its offsets
type elements tensor.Elements

// widenArgs are the arguments of a product by a matrix B, see micro.Kernel.Widen.
type widenArgs struct {
	call *call
	b    unsafe.Pointer
	bRow int // elements from a row of the matrix to the next
}

// finishArgs are the arguments of a product that ends in dst, see micro.Kernel.Finish.
type finishArgs struct {
	call      *call
	dst       *fp16.Float16
	dstStride int
	scale     float32
	bias      *float32 // nil for none
	relu      bool
	finite    bool // the result
}

// gemmFrame is the stack frame of the products by panels.
//
//lint:ignore U1000 the assembly uses its offsets and size
type gemmFrame struct {
	call uintptr
	b    uintptr // its first row
	c    uintptr // its first row of the pass
	rows int     // rows left
	left int     // columns left of the pass
	next int     // bytes from the end of a panel to the next

	// For finishArgs.
	tile  uintptr // dst at the tile
	bias  uintptr // the bias of the panel, or 0
	dst   uintptr // its first row of the pass
	plain uint32  // 1 if the sums are only converted
	over  uint32  // not 0 if a stored value is not finite
}

func avx512(x micro.Call) { gemm12x32AVX512((*call)(&x)) }

func widenAVX512(x micro.Call, b tensor.Matrix) {
	args := &widenArgs{call: (*call)(&x), b: b.Elements.Pointer(), bRow: b.Stride}
	if b.DType() == tensor.F16 {
		widen12x32F16AVX512(args)
	} else {
		widen12x32F32AVX512(args)
	}
}

func finishAVX512(x micro.Call, dst tensor.Matrix, e micro.Epilogue) bool {
	args := &finishArgs{
		call: (*call)(&x), dst: &dst.Elements.F16()[0], dstStride: dst.Stride, scale: e.Scale, bias: first(e.Bias), relu: e.ReLU,
	}
	finish12x32F16AVX512(args)
	return args.finite
}

// avx2 computes the last columns, which do not fill a panel, in a buffer and copies
// them, as the tier has no masks.
func avx2(x micro.Call) {
	const mr, nr = 6, 16
	cols := x.Cols % nr
	x.Cols -= cols
	if x.Cols > 0 {
		gemm6x16AVX2((*call)(&x))
	}
	if cols == 0 {
		return
	}
	var tile [mr * nr]float32
	a, c, ldc, rows := x.A, x.C[x.Cols:], x.LDC, x.Rows
	x.B, x.BPanel = x.B.From(x.Cols/nr*x.BPanel), 0
	x.C, x.LDC, x.Cols = tile[:], nr, nr
	for from := 0; from < rows; from += mr {
		x.A, x.Rows = a.From(from*x.ARow), min(mr, rows-from)
		if x.Accumulate {
			for i := range x.Rows {
				copy(tile[i*nr:], c[(from+i)*ldc:][:cols])
			}
		}
		gemm6x16AVX2((*call)(&x))
		for i := range x.Rows {
			copy(c[(from+i)*ldc:][:cols], tile[i*nr:])
		}
	}
}

func widenAVX2(x micro.Call, b tensor.Matrix) {
	args := &widenArgs{call: (*call)(&x), b: b.Elements.Pointer(), bRow: b.Stride}
	if b.DType() == tensor.F16 {
		widen6x16F16AVX2(args)
	} else {
		widen6x16F32AVX2(args)
	}
}

// thinArgs are the arguments of the thin products.
type thinArgs struct {
	k          int
	a          unsafe.Pointer
	aRow       int
	b          unsafe.Pointer
	bRow       int
	c          *float32
	ldc, cols  int
	accumulate bool
}

// set fills in the fields that are the same for all rows of x.
//
// Argument structs here are filled field by field, or are literals with & before them.
// The compiler builds other literals in a temporary and copies that, 16 bytes at a time.
// Those loads wait for the smaller stores before them: 12 ns a call on a Zen 3.
func (args *thinArgs) set(x *micro.Call, b *tensor.Matrix) {
	args.k, args.aRow, args.ldc, args.cols, args.accumulate = x.K, x.ARow, x.LDC, x.Cols, x.Accumulate
	args.b, args.bRow = b.Elements.Pointer(), b.Stride
}

// thinRows returns how many rows to multiply next: 8, 4, 2 or 1, as there are functions
// for.
func thinRows(left int) int {
	n := 8
	for n > left {
		n /= 2
	}
	return n
}

// thinAVX512 returns the Thin of the tier. If halves is set, it multiplies a single fp16
// row in vectors of 256 bits.
func thinAVX512(halves bool) func(micro.Call, tensor.Matrix) {
	return func(x micro.Call, b tensor.Matrix) {
		var args thinArgs
		args.set(&x, &b)
		for i, n := 0, 0; i < x.Rows; i += n {
			n = thinRows(x.Rows - i)
			args.a, args.c = x.A.From(i*x.ARow).Pointer(), &x.C[i*x.LDC]
			switch f16 := b.DType() == tensor.F16; {
			case n == 8 && f16:
				thin8F16AVX512(&args)
			case n == 4 && f16:
				thin4F16AVX512(&args)
			case n == 2 && f16:
				thin2F16AVX512(&args)
			case f16 && halves:
				thin1F16HalvesAVX512(&args)
			case f16:
				thin1F16AVX512(&args)
			case n == 8:
				thin8F32AVX512(&args)
			case n == 4:
				thin4F32AVX512(&args)
			case n == 2:
				thin2F32AVX512(&args)
			default:
				thin1F32AVX512(&args)
			}
		}
	}
}

func thinAVX2(x micro.Call, b tensor.Matrix) {
	var args thinArgs
	args.set(&x, &b)
	for i, n := 0, 0; i < x.Rows; i += n {
		n = thinRows(x.Rows - i)
		args.a, args.c = x.A.From(i*x.ARow).Pointer(), &x.C[i*x.LDC]
		switch f16 := b.DType() == tensor.F16; {
		case n == 8 && f16:
			thin8F16AVX2(&args)
		case n == 4 && f16:
			thin4F16AVX2(&args)
		case n == 2 && f16:
			thin2F16AVX2(&args)
		case f16:
			thin1F16AVX2(&args)
		case n == 8:
			thin8F32AVX2(&args)
		case n == 4:
			thin4F32AVX2(&args)
		case n == 2:
			thin2F32AVX2(&args)
		default:
			thin1F32AVX2(&args)
		}
	}
}

// packArgs are the arguments of packing.
type packArgs struct {
	dst        *float32
	stride     int
	src        unsafe.Pointer
	srcStride  int
	rows, cols int
}

func packAVX512(to tensor.Elements, stride int, m tensor.Matrix) {
	if m.Rows == 0 || m.Cols == 0 {
		return
	}
	var args packArgs
	args.dst, args.stride, args.rows, args.cols = &to.F32()[0], stride, m.Rows, m.Cols
	args.src, args.srcStride = m.Elements.Pointer(), m.Stride
	switch f16 := m.DType() == tensor.F16; {
	case f16 && !m.Trans:
		packRowsF16AVX512(&args)
	case f16:
		packColsF16AVX512(&args)
	case !m.Trans:
		packRowsF32AVX512(&args)
	default:
		packColsF32AVX512(&args)
	}
}

// packAVX2 packs in Go what does not fill a vector.
func packAVX2(to tensor.Elements, stride int, m tensor.Matrix) {
	dst := to.F32()
	rows, cols := m.Rows, m.Cols
	if m.Trans {
		rows, cols = rows&^7, cols&^7
		packEdge(dst[min(rows*stride, len(dst)):], stride, m.Block(rows, 0, m.Rows-rows, m.Cols))
		packEdge(dst[min(cols, len(dst)):], stride, m.Block(0, cols, rows, m.Cols-cols))
	} else if cols < 8 {
		packEdge(dst, stride, m)
		return
	}
	if rows == 0 || cols == 0 {
		return
	}
	var args packArgs
	args.dst, args.stride, args.rows, args.cols = &dst[0], stride, rows, cols
	args.src, args.srcStride = m.Elements.Pointer(), m.Stride
	switch f16 := m.DType() == tensor.F16; {
	case f16 && !m.Trans:
		packRowsF16AVX2(&args)
	case f16:
		packColsF16AVX2(&args)
	case !m.Trans:
		packRowsF32AVX2(&args)
	default:
		packColsF32AVX2(&args)
	}
}

// packEdge is the definition of micro.Kernel.Pack.
func packEdge(dst []float32, stride int, m tensor.Matrix) {
	row, col := m.Stride, 1
	if m.Trans {
		row, col = 1, m.Stride
	}
	for i := range m.Rows {
		for j := range m.Cols {
			if m.DType() == tensor.F16 {
				dst[i*stride+j] = m.Elements.F16()[i*row+j*col].Float32()
			} else {
				dst[i*stride+j] = m.Elements.F32()[i*row+j*col]
			}
		}
	}
}

// Products by panels: the loops of micro.Kernel, with MR×NR in the names. All but
// gemm12x32AVX512 take multiples of NR columns. Nothing is checked, here and below.

//go:noescape
func gemm12x32AVX512(args *call)

//go:noescape
func widen12x32F16AVX512(args *widenArgs)

//go:noescape
func widen12x32F32AVX512(args *widenArgs)

//go:noescape
func finish12x32F16AVX512(args *finishArgs)

//go:noescape
func gemm6x16AVX2(args *call)

//go:noescape
func widen6x16F16AVX2(args *widenArgs)

//go:noescape
func widen6x16F32AVX2(args *widenArgs)

// Thin products: the loop of micro.Kernel.Thin for the number of rows in the name.

//go:noescape
func thin8F16AVX512(args *thinArgs)

//go:noescape
func thin4F16AVX512(args *thinArgs)

//go:noescape
func thin2F16AVX512(args *thinArgs)

//go:noescape
func thin1F16AVX512(args *thinArgs)

//go:noescape
func thin1F16HalvesAVX512(args *thinArgs)

//go:noescape
func thin8F32AVX512(args *thinArgs)

//go:noescape
func thin4F32AVX512(args *thinArgs)

//go:noescape
func thin2F32AVX512(args *thinArgs)

//go:noescape
func thin1F32AVX512(args *thinArgs)

//go:noescape
func thin8F16AVX2(args *thinArgs)

//go:noescape
func thin4F16AVX2(args *thinArgs)

//go:noescape
func thin2F16AVX2(args *thinArgs)

//go:noescape
func thin1F16AVX2(args *thinArgs)

//go:noescape
func thin8F32AVX2(args *thinArgs)

//go:noescape
func thin4F32AVX2(args *thinArgs)

//go:noescape
func thin2F32AVX2(args *thinArgs)

//go:noescape
func thin1F32AVX2(args *thinArgs)

// Packing: packRows does dst[i*stride+j] = src[i*srcStride+j] and packCols
// dst[i*stride+j] = src[j*srcStride+i], for i < rows and j < cols, both at
// least 1. For AVX2 cols is at least 8, and packCols takes multiples of 8 only.

//go:noescape
func packRowsF16AVX512(args *packArgs)

//go:noescape
func packRowsF32AVX512(args *packArgs)

//go:noescape
func packColsF16AVX512(args *packArgs)

//go:noescape
func packColsF32AVX512(args *packArgs)

//go:noescape
func packRowsF16AVX2(args *packArgs)

//go:noescape
func packRowsF32AVX2(args *packArgs)

//go:noescape
func packColsF16AVX2(args *packArgs)

//go:noescape
func packColsF32AVX2(args *packArgs)

// The peak loops run turns × 12 independent FMAs on registers. Their one argument
// needs no struct.

//go:noescape
func peakAVX512(turns int)

//go:noescape
func peakAVX2(turns int)
