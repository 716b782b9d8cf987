//go:build !purego

package amd64

import (
	"github.com/klauspost/cpuid/v2"
	"golang.org/x/sys/cpu"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// BMI2 is there wherever AVX-512 is; the masks are made by it.
var (
	hasAVX2   = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C
	hasAVX512 = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512DQ && cpu.X86.HasBMI2
)

// halves512 is whether 512-bit operations are done in two halves: on a Zen 4.
var halves512 = cpuid.CPU.VendorID == cpuid.AMD && cpuid.CPU.Family == 0x19

// Kernels are the kernels of this architecture, the fastest tier first.
//
// FMA rounds once, so one function serves both kinds of operands.
var Kernels = []micro.Kernel{
	{Name: "f16f32acc-12x32-avx512", Tier: "avx512", Operands: tensor.F16, Panels: tensor.F32, MR: 12, NR: 32, Supported: hasAVX512, Func: avx512, Widen: widenAVX512, Finish: finishAVX512, TurnCost: 3, Thin: thinAVX512(halves512), Pack: packAVX512},
	{Name: "f32-12x32-avx512", Tier: "avx512", Operands: tensor.F32, Panels: tensor.F32, MR: 12, NR: 32, Supported: hasAVX512, Func: avx512, Widen: widenAVX512, Finish: finishAVX512, TurnCost: 3, Thin: thinAVX512(halves512), Pack: packAVX512},
	{Name: "f16f32acc-6x16-avx2", Tier: "avx2", Operands: tensor.F16, Panels: tensor.F32, MR: 6, NR: 16, Supported: hasAVX2, Func: avx2, Widen: widenAVX2, TurnCost: 9, Thin: thinAVX2(), Pack: packAVX2},
	{Name: "f32-6x16-avx2", Tier: "avx2", Operands: tensor.F32, Panels: tensor.F32, MR: 6, NR: 16, Supported: hasAVX2, Func: avx2, Widen: widenAVX2, TurnCost: 9, Thin: thinAVX2(), Pack: packAVX2},
}

// PeakLoops measure the FMA peak of each tier.
var PeakLoops = []micro.PeakLoop{
	{Tier: "avx512", Supported: hasAVX512, FLOPs: 12 * 16 * 2, Func: peakAVX512},
	{Tier: "avx2", Supported: hasAVX2, FLOPs: 12 * 8 * 2, Func: peakAVX2},
}

// first returns the address of the first element, nil if there is none: with
// k = 0 the assembly does not look at it.
func first[T any](s []T) *T {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

func avx512(x micro.Call) {
	gemm12x32AVX512(x.K, first(x.A.F32), x.ARow, x.ACol, first(x.B.F32), x.BRow, x.BPanel, &x.C[0], x.LDC, x.Rows, x.Cols, x.Accumulate)
}

func widenAVX512(x micro.Call, b tensor.Matrix) {
	if b.F16 != nil {
		widen12x32F16AVX512(x.K, first(x.A.F32), x.ARow, x.ACol, first(b.F16), b.Stride, first(x.B.F32), &x.C[0], x.LDC, x.Rows, x.Cols, x.Accumulate)
	} else {
		widen12x32F32AVX512(x.K, first(x.A.F32), x.ARow, x.ACol, first(b.F32), b.Stride, first(x.B.F32), &x.C[0], x.LDC, x.Rows, x.Cols, x.Accumulate)
	}
}

func finishAVX512(x micro.Call, dst tensor.Matrix, e micro.Epilogue) bool {
	return finish12x32F16AVX512(x.K, first(x.A.F32), x.ARow, x.ACol, first(x.B.F32), x.BRow, x.BPanel, first(x.C), x.LDC, x.Rows, x.Cols, x.Accumulate,
		&dst.F16[0], dst.Stride, e.Scale, first(e.Bias), e.ReLU)
}

// avx2 has no masks, so a tile that is narrower than a panel goes by way of
// memory of its own.
func avx2(x micro.Call) {
	const mr, nr = 6, 16
	whole := x.Cols &^ (nr - 1)
	if whole > 0 {
		gemm6x16AVX2(x.K, first(x.A.F32), x.ARow, x.ACol, first(x.B.F32), x.BRow, x.BPanel, &x.C[0], x.LDC, x.Rows, whole, x.Accumulate)
	}
	if whole == x.Cols {
		return
	}
	var tile [mr * nr]float32
	cols := x.Cols - whole
	b := first(x.B.From(whole / nr * x.BPanel).F32)
	for from := 0; from < x.Rows; from += mr {
		n := min(mr, x.Rows-from)
		c := x.C[from*x.LDC+whole:]
		if x.Accumulate {
			for i := range n {
				copy(tile[i*nr:], c[i*x.LDC:i*x.LDC+cols])
			}
		}
		gemm6x16AVX2(x.K, first(x.A.From(from*x.ARow).F32), x.ARow, x.ACol, b, x.BRow, 0, &tile[0], nr, n, nr, x.Accumulate)
		for i := range n {
			copy(c[i*x.LDC:i*x.LDC+cols], tile[i*nr:])
		}
	}
}

func widenAVX2(x micro.Call, b tensor.Matrix) {
	if b.F16 != nil {
		widen6x16F16AVX2(x.K, first(x.A.F32), x.ARow, x.ACol, first(b.F16), b.Stride, first(x.B.F32), &x.C[0], x.LDC, x.Rows, x.Cols, x.Accumulate)
	} else {
		widen6x16F32AVX2(x.K, first(x.A.F32), x.ARow, x.ACol, first(b.F32), b.Stride, first(x.B.F32), &x.C[0], x.LDC, x.Rows, x.Cols, x.Accumulate)
	}
}

// thinFunc is the assembly of a thin product of so many rows.
type thinFunc[E any] func(k int, a *float32, aRow int, b *E, bRow int, c *float32, ldc, cols int, accumulate bool)

// thinBy returns a Thin that takes the rows eight at a time, then four, two and
// one, for which there is a function each.
func thinBy(f16 [4]thinFunc[fp16.Float16], f32 [4]thinFunc[float32]) func(micro.Call, tensor.Matrix) {
	return func(x micro.Call, b tensor.Matrix) {
		for i := 0; i < x.Rows; {
			which, n := 0, 8
			for n > x.Rows-i {
				which, n = which+1, n/2
			}
			a, c := first(x.A.From(i*x.ARow).F32), &x.C[i*x.LDC]
			if b.F16 != nil {
				f16[which](x.K, a, x.ARow, first(b.F16), b.Stride, c, x.LDC, x.Cols, x.Accumulate)
			} else {
				f32[which](x.K, a, x.ARow, first(b.F32), b.Stride, c, x.LDC, x.Cols, x.Accumulate)
			}
			i += n
		}
	}
}

// thinAVX512 returns the Thin of the tier, which takes a single row by vectors of
// half the width if halves is set.
func thinAVX512(halves bool) func(micro.Call, tensor.Matrix) {
	one := thin1F16AVX512
	if halves {
		one = thin1F16HalvesAVX512
	}
	return thinBy(
		[4]thinFunc[fp16.Float16]{thin8F16AVX512, thin4F16AVX512, thin2F16AVX512, one},
		[4]thinFunc[float32]{thin8F32AVX512, thin4F32AVX512, thin2F32AVX512, thin1F32AVX512})
}

func thinAVX2() func(micro.Call, tensor.Matrix) {
	return thinBy(
		[4]thinFunc[fp16.Float16]{thin8F16AVX2, thin4F16AVX2, thin2F16AVX2, thin1F16AVX2},
		[4]thinFunc[float32]{thin8F32AVX2, thin4F32AVX2, thin2F32AVX2, thin1F32AVX2})
}

func packAVX512(to micro.Operand, stride int, m tensor.Matrix) {
	dst := to.F32
	switch {
	case m.Rows == 0 || m.Cols == 0:
	case m.F16 != nil && !m.Trans:
		packRowsF16AVX512(&dst[0], stride, &m.F16[0], m.Stride, m.Rows, m.Cols)
	case m.F16 != nil:
		packColsF16AVX512(&dst[0], stride, &m.F16[0], m.Stride, m.Rows, m.Cols)
	case !m.Trans:
		packRowsF32AVX512(&dst[0], stride, &m.F32[0], m.Stride, m.Rows, m.Cols)
	default:
		packColsF32AVX512(&dst[0], stride, &m.F32[0], m.Stride, m.Rows, m.Cols)
	}
}

// packAVX2 leaves what does not fill a vector to Go.
func packAVX2(to micro.Operand, stride int, m tensor.Matrix) {
	dst := to.F32
	rows, cols := m.Rows, m.Cols
	if m.Trans {
		rows, cols = rows&^7, cols&^7
		packEdge(dst[min(rows*stride, len(dst)):], stride, m.Block(rows, 0, m.Rows-rows, m.Cols))
		packEdge(dst[min(cols, len(dst)):], stride, m.Block(0, cols, rows, m.Cols-cols))
	} else if cols < 8 {
		packEdge(dst, stride, m)
		return
	}
	switch {
	case rows == 0 || cols == 0:
	case m.F16 != nil && !m.Trans:
		packRowsF16AVX2(&dst[0], stride, &m.F16[0], m.Stride, rows, cols)
	case m.F16 != nil:
		packColsF16AVX2(&dst[0], stride, &m.F16[0], m.Stride, rows, cols)
	case !m.Trans:
		packRowsF32AVX2(&dst[0], stride, &m.F32[0], m.Stride, rows, cols)
	default:
		packColsF32AVX2(&dst[0], stride, &m.F32[0], m.Stride, rows, cols)
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
			if m.F16 != nil {
				dst[i*stride+j] = m.F16[i*row+j*col].Float32()
			} else {
				dst[i*stride+j] = m.F32[i*row+j*col]
			}
		}
	}
}

// The kernels are the loop in package micro's documentation, with MR×NR in
// their names. The memory must be as large as that loop needs; nothing is
// checked. All but gemm12x32AVX512 take multiples of NR columns.

//go:noescape
func gemm12x32AVX512(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func widen12x32F16AVX512(k int, a *float32, aRow, aCol int, b *fp16.Float16, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func widen12x32F32AVX512(k int, a *float32, aRow, aCol int, b *float32, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func finish12x32F16AVX512(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool, dst *fp16.Float16, dstStride int, scale float32, bias *float32, relu bool) (finite bool)

//go:noescape
func gemm6x16AVX2(k int, a *float32, aRow, aCol int, b *float32, bRow, bPanel int, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func widen6x16F16AVX2(k int, a *float32, aRow, aCol int, b *fp16.Float16, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)

//go:noescape
func widen6x16F32AVX2(k int, a *float32, aRow, aCol int, b *float32, bRow int, panels *float32, c *float32, ldc, rows, cols int, accumulate bool)

// Thin products: the loop of micro.Kernel.Thin for as many rows as the name says.

//go:noescape
func thin8F16AVX512(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin4F16AVX512(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin2F16AVX512(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin1F16AVX512(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin1F16HalvesAVX512(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin8F32AVX512(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin4F32AVX512(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin2F32AVX512(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin1F32AVX512(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin8F16AVX2(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin4F16AVX2(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin2F16AVX2(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin1F16AVX2(k int, a *float32, aRow int, b *fp16.Float16, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin8F32AVX2(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin4F32AVX2(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin2F32AVX2(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

//go:noescape
func thin1F32AVX2(k int, a *float32, aRow int, b *float32, bRow int, c *float32, ldc, cols int, accumulate bool)

// Packing: packRows does dst[i*stride+j] = src[i*srcStride+j] and packCols
// dst[i*stride+j] = src[j*srcStride+i], for i < rows and j < cols, both at
// least 1. For AVX2 cols is at least 8, and packCols takes multiples of 8 only.

//go:noescape
func packRowsF16AVX512(dst *float32, stride int, src *fp16.Float16, srcStride, rows, cols int)

//go:noescape
func packRowsF32AVX512(dst *float32, stride int, src *float32, srcStride, rows, cols int)

//go:noescape
func packColsF16AVX512(dst *float32, stride int, src *fp16.Float16, srcStride, rows, cols int)

//go:noescape
func packColsF32AVX512(dst *float32, stride int, src *float32, srcStride, rows, cols int)

//go:noescape
func packRowsF16AVX2(dst *float32, stride int, src *fp16.Float16, srcStride, rows, cols int)

//go:noescape
func packRowsF32AVX2(dst *float32, stride int, src *float32, srcStride, rows, cols int)

//go:noescape
func packColsF16AVX2(dst *float32, stride int, src *fp16.Float16, srcStride, rows, cols int)

//go:noescape
func packColsF32AVX2(dst *float32, stride int, src *float32, srcStride, rows, cols int)

// The peak loops run turns × 12 independent FMAs on registers.

//go:noescape
func peakAVX512(turns int)

//go:noescape
func peakAVX2(turns int)
