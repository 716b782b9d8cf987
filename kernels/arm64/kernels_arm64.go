//go:build !purego

package arm64

import (
	"unsafe"

	"golang.org/x/sys/cpu"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// The processor's features. On Darwin, where no register tells, package cpu asks the
// system.
var (
	hasNEON = cpu.ARM64.HasASIMD
	hasFHM  = hasNEON && cpu.ARM64.HasASIMDFHM
)

// Kernels are the kernels of this architecture, the fastest tier first.
//
// FMLA rounds once, so one function serves both types of operands. FMLAL takes fp16
// only: fp32 operands have the same kernel in both tiers.
var Kernels = []micro.Kernel{
	{Name: "f16f32acc-6x16-neonfhm", Tier: "neonfhm", Operands: tensor.F16, Panels: tensor.F16, MR: mr, NR: nr, Supported: hasFHM, Func: gemmFHM, Widen: widenFHM, Finish: finishFHM, Thin: thinFHM, Pack: packF16},
	{Name: "f32-6x16-neonfhm", Tier: "neonfhm", Operands: tensor.F32, Panels: tensor.F32, MR: mr, NR: nr, Supported: hasFHM, Func: gemm, Widen: widen, Finish: finish, Thin: thin, Pack: packF32},
	{Name: "f16f32acc-6x16-neon", Tier: "neon", Operands: tensor.F16, Panels: tensor.F32, MR: mr, NR: nr, Supported: hasNEON, Func: gemm, Widen: widen, Finish: finish, Thin: thin, Pack: packF32},
	{Name: "f32-6x16-neon", Tier: "neon", Operands: tensor.F32, Panels: tensor.F32, MR: mr, NR: nr, Supported: hasNEON, Func: gemm, Widen: widen, Finish: finish, Thin: thin, Pack: packF32},
}

// PeakLoops measure the FMA peak of each tier. FMLAL does as many operations as FMLA, so
// both tiers share a loop.
var PeakLoops = []micro.PeakLoop{
	{Tier: "neonfhm", Supported: hasFHM, FLOPs: 24 * 4 * 2, Func: peakNEON},
	{Tier: "neon", Supported: hasNEON, FLOPs: 24 * 4 * 2, Func: peakNEON},
}

const mr, nr = 6, 16

// first returns the address of the first element, or nil if there is none. With k = 0
// the assembly does not read it.
func first[T any](s []T) *T {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

// gemmArgs are the arguments of the products by panels, which assembly finds by their
// offsets in go_asm.h. Addresses of elements are untyped, here and below: the function
// that is called knows their type.
type gemmArgs struct {
	k          int
	a          unsafe.Pointer
	aRow, aCol int
	b          unsafe.Pointer // B in panels, or the matrix to pack
	bRow       int
	bPanel     int            // unused for a matrix, whose panels lie side by side
	panels     unsafe.Pointer // where the packed matrix goes
	c          *float32
	ldc        int
	rows, cols int
	accumulate bool

	// The end of a product, see micro.Kernel.Finish.
	dst          *fp16.Float16
	dstStride    int
	scale        float32
	bias         *float32 // nil for none
	relu, finite bool     // finite is the result

	//lint:ignore U1000 only the assembly uses it
	most [8]uint16 // the largest doubled magnitudes so far; begins as zeros
}

// set fills in everything but B and the end of a product, field by field: a literal
// would be built in one place and copied to another.
func (args *gemmArgs) set(x *micro.Call) {
	args.k, args.a, args.aRow, args.aCol = x.K, x.A.Pointer(), x.ARow, x.ACol
	args.c, args.ldc, args.rows, args.cols = first(x.C), x.LDC, x.Rows, x.Cols
	args.accumulate = x.Accumulate
}

// setPanels adds a B that is packed.
func (args *gemmArgs) setPanels(x *micro.Call) {
	args.b, args.bRow, args.bPanel = x.B.Pointer(), x.BRow, x.BPanel
}

// setMatrix adds a B that the kernel packs, and where to.
func (args *gemmArgs) setMatrix(x *micro.Call, b *tensor.Matrix) {
	args.b, args.bRow, args.panels = b.Elements.Pointer(), b.Stride, x.B.Pointer()
}

// setEnd adds the end of a product.
func (args *gemmArgs) setEnd(dst *tensor.Matrix, e *micro.Epilogue) {
	args.dst, args.dstStride = &dst.Elements.F16()[0], dst.Stride
	args.scale, args.bias, args.relu = e.Scale, first(e.Bias), e.ReLU
}

func gemm(x micro.Call)    { multiply(&x, false) }
func gemmFHM(x micro.Call) { multiply(&x, true) }

// multiply computes whole panels, and then the vectors that are wanted of another. If
// the last of them is not whole, the columns of that panel go through a tile in memory.
func multiply(x *micro.Call, fhm bool) {
	var args gemmArgs
	args.set(x)
	args.setPanels(x)
	whole := x.Cols &^ (nr - 1)
	if whole > 0 {
		args.multiply(whole, fhm)
	}
	cols := x.Cols - whole
	if cols == 0 {
		return
	}
	args.b = x.B.From(whole / nr * x.BPanel).Pointer()
	if cols%4 == 0 {
		args.c = &x.C[whole]
		args.multiply(cols, fhm)
		return
	}
	var tile [mr * nr]float32
	args.c, args.ldc = &tile[0], nr
	for from := 0; from < x.Rows; from += mr {
		args.a, args.rows = x.A.From(from*x.ARow).Pointer(), min(mr, x.Rows-from)
		c := x.C[from*x.LDC+whole:]
		if x.Accumulate {
			for i := range args.rows {
				copy(tile[i*nr:], c[i*x.LDC:i*x.LDC+cols])
			}
		}
		args.multiply(cols, fhm)
		for i := range args.rows {
			copy(c[i*x.LDC:i*x.LDC+cols], tile[i*nr:])
		}
	}
}

// multiply calls the assembly for whole panels, or for 1 to 15 columns of one, which
// it rounds up to vectors of four.
func (args *gemmArgs) multiply(cols int, fhm bool) {
	args.cols = max(cols, nr)
	switch vectors := min((cols+3)/4, 4); {
	case vectors == 1 && fhm:
		gemm6x4NEONFHM(args)
	case vectors == 2 && fhm:
		gemm6x8NEONFHM(args)
	case vectors == 3 && fhm:
		gemm6x12NEONFHM(args)
	case fhm:
		gemm6x16NEONFHM(args)
	case vectors == 1:
		gemm6x4NEON(args)
	case vectors == 2:
		gemm6x8NEON(args)
	case vectors == 3:
		gemm6x12NEON(args)
	default:
		gemm6x16NEON(args)
	}
}

func widen(x micro.Call, b tensor.Matrix) {
	var args gemmArgs
	args.set(&x)
	args.setMatrix(&x, &b)
	if b.DType() == tensor.F16 {
		widen6x16F16NEON(&args)
	} else {
		widen6x16F32NEON(&args)
	}
}

func widenFHM(x micro.Call, b tensor.Matrix) {
	var args gemmArgs
	args.set(&x)
	args.setMatrix(&x, &b)
	widen6x16F16NEONFHM(&args)
}

func finish(x micro.Call, dst tensor.Matrix, e micro.Epilogue) bool {
	var args gemmArgs
	args.set(&x)
	args.setPanels(&x)
	args.setEnd(&dst, &e)
	finish6x16F16NEON(&args)
	return args.finite
}

func finishFHM(x micro.Call, dst tensor.Matrix, e micro.Epilogue) bool {
	var args gemmArgs
	args.set(&x)
	args.setPanels(&x)
	args.setEnd(&dst, &e)
	finish6x16F16NEONFHM(&args)
	return args.finite
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

// set fills in what all rows of x have in common.
func (args *thinArgs) set(x *micro.Call, b *tensor.Matrix) {
	args.k, args.aRow, args.ldc, args.cols, args.accumulate = x.K, x.ARow, x.LDC, x.Cols, x.Accumulate
	args.b, args.bRow = b.Elements.Pointer(), b.Stride
}

// rows points the arguments at row i of x and those after it, and returns how many are
// multiplied next: 8, 4, 2 or 1, for which there is a function each.
func (args *thinArgs) rows(x *micro.Call, i int) int {
	args.a, args.c = x.A.From(i*x.ARow).Pointer(), &x.C[i*x.LDC]
	n := 8
	for n > x.Rows-i {
		n /= 2
	}
	return n
}

func thin(x micro.Call, b tensor.Matrix) {
	var args thinArgs
	args.set(&x, &b)
	for i, n := 0, 0; i < x.Rows; i += n {
		n = args.rows(&x, i)
		switch f16 := b.DType() == tensor.F16; {
		case n == 8 && f16:
			thin8F16NEON(&args)
		case n == 4 && f16:
			thin4F16NEON(&args)
		case n == 2 && f16:
			thin2F16NEON(&args)
		case f16:
			thin1F16NEON(&args)
		case n == 8:
			thin8F32NEON(&args)
		case n == 4:
			thin4F32NEON(&args)
		case n == 2:
			thin2F32NEON(&args)
		default:
			thin1F32NEON(&args)
		}
	}
}

func thinFHM(x micro.Call, b tensor.Matrix) {
	var args thinArgs
	args.set(&x, &b)
	for i, n := 0, 0; i < x.Rows; i += n {
		n = args.rows(&x, i)
		switch n {
		case 8:
			thin8F16NEONFHM(&args)
		case 4:
			thin4F16NEONFHM(&args)
		case 2:
			thin2F16NEONFHM(&args)
		default:
			thin1F16NEONFHM(&args)
		}
	}
}

// packArgs are the arguments of packing. dst, src and their strides are those of
// micro.Kernel.Pack.
type packArgs struct {
	dst        unsafe.Pointer
	stride     int
	src        unsafe.Pointer
	srcStride  int
	rows, cols int
}

// packF32 is the Pack of kernels with float32 panels. Go copies what needs no conversion,
// and packs what does not fill a vector.
func packF32(to tensor.Elements, stride int, m tensor.Matrix) {
	dst := to.F32()
	if m.DType() == tensor.F32 {
		src := m.Elements.F32()
		if !m.Trans {
			copyRows(dst, stride, src, m)
		} else if rows, cols := edges(dst, stride, src, m, 4, same); rows > 0 && cols > 0 {
			packColsF32NEON(newPackArgs(to, stride, m, rows, cols))
		}
		return
	}
	src := m.Elements.F16()
	switch {
	case m.Trans:
		if rows, cols := edges(dst, stride, src, m, 8, fp16.Float16.Float32); rows > 0 && cols > 0 {
			packColsF16NEON(newPackArgs(to, stride, m, rows, cols))
		}
	case m.Cols < 8:
		packRect(dst, stride, src, m.Stride, 1, m.Rows, m.Cols, fp16.Float16.Float32)
	case m.Rows > 0:
		packRowsF16NEON(newPackArgs(to, stride, m, m.Rows, m.Cols))
	}
}

// packF16 is the Pack of kernels with fp16 panels.
func packF16(to tensor.Elements, stride int, m tensor.Matrix) {
	dst, src := to.F16(), m.Elements.F16()
	if !m.Trans {
		copyRows(dst, stride, src, m)
	} else if rows, cols := edges(dst, stride, src, m, 8, same); rows > 0 && cols > 0 {
		turnF16NEON(newPackArgs(to, stride, m, rows, cols))
	}
}

// newPackArgs is inlined, so that what it returns stays on the stack.
func newPackArgs(to tensor.Elements, stride int, m tensor.Matrix, rows, cols int) *packArgs {
	return &packArgs{dst: to.Pointer(), stride: stride, src: m.Elements.Pointer(), srcStride: m.Stride, rows: rows, cols: cols}
}

func same[T any](x T) T { return x }

func copyRows[T any](dst []T, stride int, src []T, m tensor.Matrix) {
	for i := range m.Rows {
		copy(dst[i*stride:], src[i*m.Stride:][:m.Cols])
	}
}

// edges packs the rows and columns of a transposed matrix beyond its blocks of unit×unit
// elements, and returns the rows and columns of the blocks together.
func edges[D, S any](dst []D, stride int, src []S, m tensor.Matrix, unit int, convert func(S) D) (rows, cols int) {
	rows, cols = m.Rows/unit*unit, m.Cols/unit*unit
	if rows < m.Rows && m.Cols > 0 {
		packRect(dst[rows*stride:], stride, src[rows:], 1, m.Stride, m.Rows-rows, m.Cols, convert)
	}
	if rows > 0 && cols < m.Cols {
		packRect(dst[cols:], stride, src[cols*m.Stride:], 1, m.Stride, rows, m.Cols-cols, convert)
	}
	return rows, cols
}

// packRect is the loop that defines micro.Kernel.Pack.
func packRect[D, S any](dst []D, stride int, src []S, row, col, rows, cols int, convert func(S) D) {
	for i := range rows {
		for j := range cols {
			dst[i*stride+j] = convert(src[i*row+j*col])
		}
	}
}

// The kernels are the loop in package micro's documentation, with panels of 16 columns.
// Their names give the rows and columns of a tile. The memory must be as large as that
// loop needs; nothing is checked. cols is a multiple of 16.

//go:noescape
func gemm6x16NEON(args *gemmArgs)

//go:noescape
func gemm6x12NEON(args *gemmArgs)

//go:noescape
func gemm6x8NEON(args *gemmArgs)

//go:noescape
func gemm6x4NEON(args *gemmArgs)

//go:noescape
func gemm6x16NEONFHM(args *gemmArgs)

//go:noescape
func gemm6x12NEONFHM(args *gemmArgs)

//go:noescape
func gemm6x8NEONFHM(args *gemmArgs)

//go:noescape
func gemm6x4NEONFHM(args *gemmArgs)

//go:noescape
func widen6x16F16NEON(args *gemmArgs)

//go:noescape
func widen6x16F32NEON(args *gemmArgs)

//go:noescape
func widen6x16F16NEONFHM(args *gemmArgs)

//go:noescape
func finish6x16F16NEON(args *gemmArgs)

//go:noescape
func finish6x16F16NEONFHM(args *gemmArgs)

// Thin products: the loop of micro.Kernel.Thin. The name gives the number of rows.

//go:noescape
func thin8F16NEON(args *thinArgs)

//go:noescape
func thin4F16NEON(args *thinArgs)

//go:noescape
func thin2F16NEON(args *thinArgs)

//go:noescape
func thin1F16NEON(args *thinArgs)

//go:noescape
func thin8F32NEON(args *thinArgs)

//go:noescape
func thin4F32NEON(args *thinArgs)

//go:noescape
func thin2F32NEON(args *thinArgs)

//go:noescape
func thin1F32NEON(args *thinArgs)

//go:noescape
func thin8F16NEONFHM(args *thinArgs)

//go:noescape
func thin4F16NEONFHM(args *thinArgs)

//go:noescape
func thin2F16NEONFHM(args *thinArgs)

//go:noescape
func thin1F16NEONFHM(args *thinArgs)

// Packing: packRows does dst[i*stride+j] = src[i*srcStride+j], packCols and turn do
// dst[i*stride+j] = src[j*srcStride+i], for i < rows and j < cols. packRows takes at
// least one row and 8 columns; the others take multiples of 8 of both, or of 4 for
// float32, and at least one multiple.

//go:noescape
func packRowsF16NEON(args *packArgs)

//go:noescape
func packColsF16NEON(args *packArgs)

//go:noescape
func packColsF32NEON(args *packArgs)

//go:noescape
func turnF16NEON(args *packArgs)

// The peak loop runs turns × 24 independent FMAs on registers.

//go:noescape
func peakNEON(turns int)
