//go:build !purego

package arm64

import (
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
// offsets in go_asm.h. Of two fields whose names end in the bits of an element, each
// function uses the one of its own type.
type gemmArgs struct {
	k          int
	a32        *float32
	a16        *fp16.Float16
	aRow, aCol int
	b32        *float32 // B in panels, or the matrix to pack
	b16        *fp16.Float16
	bRow       int
	bPanel     int      // unused for a matrix, whose panels lie side by side
	panels32   *float32 // where the packed matrix goes
	panels16   *fp16.Float16
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
	args.k, args.a32, args.a16, args.aRow, args.aCol = x.K, first(x.A.F32), first(x.A.F16), x.ARow, x.ACol
	args.c, args.ldc, args.rows, args.cols = first(x.C), x.LDC, x.Rows, x.Cols
	args.accumulate = x.Accumulate
}

// setPanels adds a B that is packed.
func (args *gemmArgs) setPanels(x *micro.Call) {
	args.b32, args.b16, args.bRow, args.bPanel = first(x.B.F32), first(x.B.F16), x.BRow, x.BPanel
}

// setMatrix adds a B that the kernel packs, and where to.
func (args *gemmArgs) setMatrix(x *micro.Call, b *tensor.Matrix) {
	args.b32, args.b16, args.bRow = first(b.F32), first(b.F16), b.Stride
	args.panels32, args.panels16 = first(x.B.F32), first(x.B.F16)
}

// setEnd adds the end of a product.
func (args *gemmArgs) setEnd(dst *tensor.Matrix, e *micro.Epilogue) {
	args.dst, args.dstStride = &dst.F16[0], dst.Stride
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
		args.panels(whole, fhm)
	}
	cols := x.Cols - whole
	if cols == 0 {
		return
	}
	b := x.B.From(whole / nr * x.BPanel)
	args.b32, args.b16 = first(b.F32), first(b.F16)
	if cols%4 == 0 {
		args.c = &x.C[whole]
		args.panels(cols, fhm)
		return
	}
	var tile [mr * nr]float32
	args.c, args.ldc = &tile[0], nr
	for from := 0; from < x.Rows; from += mr {
		a := x.A.From(from * x.ARow)
		args.a32, args.a16, args.rows = first(a.F32), first(a.F16), min(mr, x.Rows-from)
		c := x.C[from*x.LDC+whole:]
		if x.Accumulate {
			for i := range args.rows {
				copy(tile[i*nr:], c[i*x.LDC:i*x.LDC+cols])
			}
		}
		args.panels(cols, fhm)
		for i := range args.rows {
			copy(c[i*x.LDC:i*x.LDC+cols], tile[i*nr:])
		}
	}
}

// panels calls the assembly for whole panels, or for 1 to 15 columns of one, which
// it rounds up to vectors of four.
func (args *gemmArgs) panels(cols int, fhm bool) {
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
	if b.F16 != nil {
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

// thinArgs are the arguments of the thin products, which use the A and B of their own
// types.
type thinArgs struct {
	k          int
	a32        *float32
	a16        *fp16.Float16
	aRow       int
	b32        *float32
	b16        *fp16.Float16
	bRow       int
	c          *float32
	ldc, cols  int
	accumulate bool
}

// set fills in what all rows of x have in common.
func (args *thinArgs) set(x *micro.Call, b *tensor.Matrix) {
	args.k, args.aRow, args.ldc, args.cols, args.accumulate = x.K, x.ARow, x.LDC, x.Cols, x.Accumulate
	args.b32, args.b16, args.bRow = first(b.F32), first(b.F16), b.Stride
}

// rows points the arguments at row i of x and those after it, and returns how many are
// multiplied next: 8, 4, 2 or 1, for which there is a function each.
func (args *thinArgs) rows(x *micro.Call, i int) int {
	a := x.A.From(i * x.ARow)
	args.a32, args.a16, args.c = first(a.F32), first(a.F16), &x.C[i*x.LDC]
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
		switch f16 := b.F16 != nil; {
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
// micro.Kernel.Pack; each function uses the fields of its own types.
type packArgs struct {
	dst32      *float32
	dst16      *fp16.Float16
	stride     int
	src32      *float32
	src16      *fp16.Float16
	srcStride  int
	rows, cols int
}

// packF32 is the Pack of kernels with float32 panels. Go copies what needs no conversion,
// and packs what does not fill a vector.
func packF32(to micro.Operand, stride int, m tensor.Matrix) {
	dst := to.F32
	switch {
	case m.F16 == nil && !m.Trans:
		copyRows(dst, stride, m.F32, m)
	case m.F16 == nil:
		if rows, cols := edges(dst, stride, m.F32, m, 4, same); rows > 0 && cols > 0 {
			packColsF32NEON(&packArgs{dst32: &dst[0], stride: stride, src32: &m.F32[0], srcStride: m.Stride, rows: rows, cols: cols})
		}
	case m.Trans:
		if rows, cols := edges(dst, stride, m.F16, m, 8, fp16.Float16.Float32); rows > 0 && cols > 0 {
			packColsF16NEON(&packArgs{dst32: &dst[0], stride: stride, src16: &m.F16[0], srcStride: m.Stride, rows: rows, cols: cols})
		}
	case m.Cols < 8:
		packRect(dst, stride, m.F16, m.Stride, 1, m.Rows, m.Cols, fp16.Float16.Float32)
	case m.Rows > 0:
		packRowsF16NEON(&packArgs{dst32: &dst[0], stride: stride, src16: &m.F16[0], srcStride: m.Stride, rows: m.Rows, cols: m.Cols})
	}
}

// packF16 is the Pack of kernels with fp16 panels.
func packF16(to micro.Operand, stride int, m tensor.Matrix) {
	dst := to.F16
	if !m.Trans {
		copyRows(dst, stride, m.F16, m)
	} else if rows, cols := edges(dst, stride, m.F16, m, 8, same); rows > 0 && cols > 0 {
		turnF16NEON(&packArgs{dst16: &dst[0], stride: stride, src16: &m.F16[0], srcStride: m.Stride, rows: rows, cols: cols})
	}
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
