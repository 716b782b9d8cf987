//go:build !purego

package arm64

import (
	"golang.org/x/sys/cpu"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// On Darwin, which has no registers that tell, package cpu asks the system.
var (
	hasNEON = cpu.ARM64.HasASIMD
	hasFHM  = hasNEON && cpu.ARM64.HasASIMDFHM
)

// Kernels are the kernels of this architecture, the fastest tier first.
//
// FMLA rounds once, so one function serves both kinds of operands. FMLAL takes fp16
// only: fp32 operands have the same kernel in both tiers.
var Kernels = []micro.Kernel{
	{Name: "f16f32acc-6x16-neonfhm", Tier: "neonfhm", Operands: tensor.F16, Panels: tensor.F16, MR: mr, NR: nr, Supported: hasFHM, Func: gemmFHM, Widen: widenFHM, Finish: finishFHM, Thin: thinFHM, Pack: packF16},
	{Name: "f32-6x16-neonfhm", Tier: "neonfhm", Operands: tensor.F32, Panels: tensor.F32, MR: mr, NR: nr, Supported: hasFHM, Func: gemm, Widen: widen, Finish: finish, Thin: thin, Pack: packF32},
	{Name: "f16f32acc-6x16-neon", Tier: "neon", Operands: tensor.F16, Panels: tensor.F32, MR: mr, NR: nr, Supported: hasNEON, Func: gemm, Widen: widen, Finish: finish, Thin: thin, Pack: packF32},
	{Name: "f32-6x16-neon", Tier: "neon", Operands: tensor.F32, Panels: tensor.F32, MR: mr, NR: nr, Supported: hasNEON, Func: gemm, Widen: widen, Finish: finish, Thin: thin, Pack: packF32},
}

// PeakLoops measure the FMA peak of each tier. An FMLAL is as many operations as an
// FMLA.
var PeakLoops = []micro.PeakLoop{
	{Tier: "neonfhm", Supported: hasFHM, FLOPs: 24 * 4 * 2, Func: peakNEON},
	{Tier: "neon", Supported: hasNEON, FLOPs: 24 * 4 * 2, Func: peakNEON},
}

const mr, nr = 6, 16

// first returns the address of the first element, nil if there is none: with
// k = 0 the assembly does not look at it.
func first[T any](s []T) *T {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

func gemm(x micro.Call)    { multiply(x, false) }
func gemmFHM(x micro.Call) { multiply(x, true) }

// multiply takes whole panels, and then the vectors of another one that are wanted.
// A part of a vector goes by way of memory of its own.
func multiply(x micro.Call, fhm bool) {
	whole := x.Cols &^ (nr - 1)
	if whole > 0 {
		panels(fhm, x, &x.C[0], x.LDC, whole)
	}
	cols := x.Cols - whole
	if cols == 0 {
		return
	}
	x.B = x.B.From(whole / nr * x.BPanel)
	if cols%4 == 0 {
		panels(fhm, x, &x.C[whole], x.LDC, cols)
		return
	}
	var tile [mr * nr]float32
	rows := x
	for from := 0; from < x.Rows; from += mr {
		rows.A, rows.Rows = x.A.From(from*x.ARow), min(mr, x.Rows-from)
		c := x.C[from*x.LDC+whole:]
		if x.Accumulate {
			for i := range rows.Rows {
				copy(tile[i*nr:], c[i*x.LDC:i*x.LDC+cols])
			}
		}
		panels(fhm, rows, &tile[0], nr, cols)
		for i := range rows.Rows {
			copy(c[i*x.LDC:i*x.LDC+cols], tile[i*nr:])
		}
	}
}

// panels calls the assembly for whole panels, or for 1 to 15 columns of one, which
// it rounds up to vectors of four.
func panels(fhm bool, x micro.Call, c *float32, ldc, cols int) {
	vectors := min((cols+3)/4, 4)
	cols = max(cols, nr)
	if fhm {
		a, b := first(x.A.F16), first(x.B.F16)
		switch vectors {
		case 1:
			gemm6x4NEONFHM(x.K, a, x.ARow, x.ACol, b, x.BRow, x.BPanel, c, ldc, x.Rows, cols, x.Accumulate)
		case 2:
			gemm6x8NEONFHM(x.K, a, x.ARow, x.ACol, b, x.BRow, x.BPanel, c, ldc, x.Rows, cols, x.Accumulate)
		case 3:
			gemm6x12NEONFHM(x.K, a, x.ARow, x.ACol, b, x.BRow, x.BPanel, c, ldc, x.Rows, cols, x.Accumulate)
		case 4:
			gemm6x16NEONFHM(x.K, a, x.ARow, x.ACol, b, x.BRow, x.BPanel, c, ldc, x.Rows, cols, x.Accumulate)
		}
		return
	}
	a, b := first(x.A.F32), first(x.B.F32)
	switch vectors {
	case 1:
		gemm6x4NEON(x.K, a, x.ARow, x.ACol, b, x.BRow, x.BPanel, c, ldc, x.Rows, cols, x.Accumulate)
	case 2:
		gemm6x8NEON(x.K, a, x.ARow, x.ACol, b, x.BRow, x.BPanel, c, ldc, x.Rows, cols, x.Accumulate)
	case 3:
		gemm6x12NEON(x.K, a, x.ARow, x.ACol, b, x.BRow, x.BPanel, c, ldc, x.Rows, cols, x.Accumulate)
	case 4:
		gemm6x16NEON(x.K, a, x.ARow, x.ACol, b, x.BRow, x.BPanel, c, ldc, x.Rows, cols, x.Accumulate)
	}
}

func widen(x micro.Call, b tensor.Matrix) {
	if b.F16 != nil {
		widen6x16F16NEON(x.K, first(x.A.F32), x.ARow, x.ACol, first(b.F16), b.Stride, first(x.B.F32), &x.C[0], x.LDC, x.Rows, x.Cols, x.Accumulate)
	} else {
		widen6x16F32NEON(x.K, first(x.A.F32), x.ARow, x.ACol, first(b.F32), b.Stride, first(x.B.F32), &x.C[0], x.LDC, x.Rows, x.Cols, x.Accumulate)
	}
}

func widenFHM(x micro.Call, b tensor.Matrix) {
	widen6x16F16NEONFHM(x.K, first(x.A.F16), x.ARow, x.ACol, first(b.F16), b.Stride, first(x.B.F16), &x.C[0], x.LDC, x.Rows, x.Cols, x.Accumulate)
}

func finish(x micro.Call, dst tensor.Matrix, e micro.Epilogue) bool {
	return finish6x16F16NEON(x.K, first(x.A.F32), x.ARow, x.ACol, first(x.B.F32), x.BRow, x.BPanel, first(x.C), x.LDC, x.Rows, x.Cols, x.Accumulate,
		&dst.F16[0], dst.Stride, e.Scale, first(e.Bias), e.ReLU)
}

func finishFHM(x micro.Call, dst tensor.Matrix, e micro.Epilogue) bool {
	return finish6x16F16NEONFHM(x.K, first(x.A.F16), x.ARow, x.ACol, first(x.B.F16), x.BRow, x.BPanel, first(x.C), x.LDC, x.Rows, x.Cols, x.Accumulate,
		&dst.F16[0], dst.Stride, e.Scale, first(e.Bias), e.ReLU)
}

// thinFunc is the assembly of a thin product of so many rows.
type thinFunc[A, B any] func(k int, a *A, aRow int, b *B, bRow int, c *float32, ldc, cols int, accumulate bool)

// thinBy takes the rows eight at a time, then four, two and one, for which there is
// a function each.
func thinBy[A, B any](by [4]thinFunc[A, B], x micro.Call, a []A, b []B, bRow int) {
	for i := 0; i < x.Rows; {
		which, n := 0, 8
		for n > x.Rows-i {
			which, n = which+1, n/2
		}
		by[which](x.K, first(a[min(i*x.ARow, len(a)):]), x.ARow, first(b), bRow, &x.C[i*x.LDC], x.LDC, x.Cols, x.Accumulate)
		i += n
	}
}

func thin(x micro.Call, b tensor.Matrix) {
	if b.F16 != nil {
		by := [4]thinFunc[float32, fp16.Float16]{thin8F16NEON, thin4F16NEON, thin2F16NEON, thin1F16NEON}
		thinBy(by, x, x.A.F32, b.F16, b.Stride)
	} else {
		by := [4]thinFunc[float32, float32]{thin8F32NEON, thin4F32NEON, thin2F32NEON, thin1F32NEON}
		thinBy(by, x, x.A.F32, b.F32, b.Stride)
	}
}

func thinFHM(x micro.Call, b tensor.Matrix) {
	by := [4]thinFunc[fp16.Float16, fp16.Float16]{thin8F16NEONFHM, thin4F16NEONFHM, thin2F16NEONFHM, thin1F16NEONFHM}
	thinBy(by, x, x.A.F16, b.F16, b.Stride)
}

// packF32 leaves what needs no conversion, or does not fill a vector, to Go.
func packF32(to micro.Operand, stride int, m tensor.Matrix) {
	dst := to.F32
	switch {
	case m.F16 == nil && !m.Trans:
		copyRows(dst, stride, m.F32, m)
	case m.F16 == nil:
		if rows, cols := edges(dst, stride, m.F32, m, 4, same); rows > 0 && cols > 0 {
			packColsF32NEON(&dst[0], stride, &m.F32[0], m.Stride, rows, cols)
		}
	case m.Trans:
		if rows, cols := edges(dst, stride, m.F16, m, 8, fp16.Float16.Float32); rows > 0 && cols > 0 {
			packColsF16NEON(&dst[0], stride, &m.F16[0], m.Stride, rows, cols)
		}
	case m.Cols < 8:
		packRect(dst, stride, m.F16, m.Stride, 1, m.Rows, m.Cols, fp16.Float16.Float32)
	case m.Rows > 0:
		packRowsF16NEON(&dst[0], stride, &m.F16[0], m.Stride, m.Rows, m.Cols)
	}
}

// packF16 is packF32 for panels of fp16.
func packF16(to micro.Operand, stride int, m tensor.Matrix) {
	dst := to.F16
	if !m.Trans {
		copyRows(dst, stride, m.F16, m)
	} else if rows, cols := edges(dst, stride, m.F16, m, 8, same); rows > 0 && cols > 0 {
		turnF16NEON(&dst[0], stride, &m.F16[0], m.Stride, rows, cols)
	}
}

func same[T any](x T) T { return x }

func copyRows[T any](dst []T, stride int, src []T, m tensor.Matrix) {
	for i := range m.Rows {
		copy(dst[i*stride:], src[i*m.Stride:][:m.Cols])
	}
}

// edges packs what is left of a transposed matrix beside the blocks of unit×unit
// elements, and returns the size of these together.
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

// packRect is the definition of micro.Kernel.Pack.
func packRect[D, S any](dst []D, stride int, src []S, row, col, rows, cols int, convert func(S) D) {
	for i := range rows {
		for j := range cols {
			dst[i*stride+j] = convert(src[i*row+j*col])
		}
	}
}

// The kernels are the loop in package micro's documentation, for tiles of six rows
// and as many columns as their names say, of panels of 16. The memory must be as
// large as that loop needs; nothing is checked. cols is a multiple of 16.

//go:noescape
func gemm6x16NEON(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func gemm6x12NEON(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func gemm6x8NEON(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func gemm6x4NEON(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func gemm6x16NEONFHM(k int, a *fp16.Float16, aRow, aCol int, b *fp16.Float16, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func gemm6x12NEONFHM(k int, a *fp16.Float16, aRow, aCol int, b *fp16.Float16, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func gemm6x8NEONFHM(k int, a *fp16.Float16, aRow, aCol int, b *fp16.Float16, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func gemm6x4NEONFHM(k int, a *fp16.Float16, aRow, aCol int, b *fp16.Float16, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func widen6x16F16NEON(k int, a *float32, aRow, aCol int, b *fp16.Float16, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func widen6x16F32NEON(k int, a *float32, aRow, aCol int, b *float32, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func widen6x16F16NEONFHM(k int, a *fp16.Float16, aRow, aCol int, b *fp16.Float16, bRow int, panels *fp16.Float16, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func finish6x16F16NEON(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool, dst *fp16.Float16, dstStride int, scale float32, bias *float32, relu bool) (finite bool)

//go:noescape
func finish6x16F16NEONFHM(k int, a *fp16.Float16, aRow, aCol int, b *fp16.Float16, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool, dst *fp16.Float16, dstStride int, scale float32, bias *float32, relu bool) (finite bool)

// Thin products: the loop of micro.Kernel.Thin for as many rows as the name says.

//go:noescape
func thin8F16NEON(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin4F16NEON(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin2F16NEON(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin1F16NEON(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin8F32NEON(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin4F32NEON(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin2F32NEON(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin1F32NEON(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin8F16NEONFHM(k int, a *fp16.Float16, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin4F16NEONFHM(k int, a *fp16.Float16, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin2F16NEONFHM(k int, a *fp16.Float16, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin1F16NEONFHM(k int, a *fp16.Float16, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

// Packing: packRows does dst[i*stride+j] = src[i*srcStride+j], packCols and turn
// dst[i*stride+j] = src[j*srcStride+i], for i < rows and j < cols. packRows takes 8
// columns or more, the others multiples of 8, or of 4 for float32, and at least one
// of each.

//go:noescape
func packRowsF16NEON(dst *float32, stride int, src *fp16.Float16, srcStride, rows, cols int)

//go:noescape
func packColsF16NEON(dst *float32, stride int, src *fp16.Float16, srcStride, rows, cols int)

//go:noescape
func packColsF32NEON(dst *float32, stride int, src *float32, srcStride, rows, cols int)

//go:noescape
func turnF16NEON(dst *fp16.Float16, stride int, src *fp16.Float16, srcStride, rows, cols int)

// The peak loop runs turns × 24 independent FMAs on registers.

//go:noescape
func peakNEON(turns int)
