// Package generic has the kernels in pure Go. They run everywhere, say what
// the assembly must compute, and are what a machine without a tier of its own
// falls back to. They are written to be read first and fast second.
package generic

import (
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/portable"
	"github.com/halfgrad/halfgrad/tensor"
)

// Tier is the name of this tier.
const Tier = "generic"

// Kernels are the kernels of this tier.
var Kernels = []micro.Kernel{
	{Name: "f16f32acc-2x4-generic", Tier: Tier, Operands: tensor.F16, Panels: tensor.F32, MR: mr, NR: nr, Supported: true, Func: gemmF16, Widen: widen(gemmF16), Thin: thin, Pack: pack},
	{Name: "f32-2x4-generic", Tier: Tier, Operands: tensor.F32, Panels: tensor.F32, MR: mr, NR: nr, Supported: true, Func: gemmF32, Widen: widen(gemmF32), Thin: thin, Pack: pack},
}

// PeakLoops measure what scalar Go code can reach.
var PeakLoops = []micro.PeakLoop{
	{Tier: Tier, Supported: true, FLOPs: 2 * 8, Func: peak},
}

const mr, nr = 2, 4

// gemmF16 takes whole panels two rows at a time: eight accumulators, four
// values of B and two of A then fit the sixteen registers of amd64.
func gemmF16(x micro.Call) {
	mulAdd := func(x, y, z float32) float32 { return float32(x*y) + z }
	for i := 0; i < x.Rows; i += mr {
		for j := 0; j < x.Cols; j += nr {
			if i+mr > x.Rows || j+nr > x.Cols {
				edge(&x, i, j, mulAdd)
				continue
			}
			c0 := x.C[i*x.LDC+j : i*x.LDC+j+nr]
			c1 := x.C[(i+1)*x.LDC+j : (i+1)*x.LDC+j+nr]
			a, panel := x.A.F32, x.B.From(j/nr*x.BPanel).F32
			var s00, s01, s02, s03, s10, s11, s12, s13 float32
			if x.Accumulate {
				s00, s01, s02, s03 = c0[0], c0[1], c0[2], c0[3]
				s10, s11, s12, s13 = c1[0], c1[1], c1[2], c1[3]
			}
			for p := range x.K {
				y, z := a[i*x.ARow+p*x.ACol], a[(i+1)*x.ARow+p*x.ACol]
				b := panel[p*x.BRow : p*x.BRow+nr]
				// The products are exact; the conversions only say so.
				s00 += float32(y * b[0])
				s01 += float32(y * b[1])
				s02 += float32(y * b[2])
				s03 += float32(y * b[3])
				s10 += float32(z * b[0])
				s11 += float32(z * b[1])
				s12 += float32(z * b[2])
				s13 += float32(z * b[3])
			}
			c0[0], c0[1], c0[2], c0[3] = s00, s01, s02, s03
			c1[0], c1[1], c1[2], c1[3] = s10, s11, s12, s13
		}
	}
}

// gemmF32's time is all in the emulated fma.
func gemmF32(x micro.Call) {
	for i := 0; i < x.Rows; i += mr {
		for j := 0; j < x.Cols; j += nr {
			edge(&x, i, j, portable.FMA)
		}
	}
}

// edge is the definition in package micro, word for word, for a tile that may
// be smaller than others.
func edge(x *micro.Call, i0, j0 int, fma func(x, y, z float32) float32) {
	for i := i0; i < min(i0+mr, x.Rows); i++ {
		for j := j0; j < min(j0+nr, x.Cols); j++ {
			var acc float32
			if x.Accumulate {
				acc = x.C[i*x.LDC+j]
			}
			for p := range x.K {
				acc = fma(x.A.F32[i*x.ARow+p*x.ACol], x.B.F32[j/nr*x.BPanel+p*x.BRow+j%nr], acc)
			}
			x.C[i*x.LDC+j] = acc
		}
	}
}

// widen makes the Widen of a kernel: it packs.
func widen(gemm func(micro.Call)) func(micro.Call, tensor.Matrix) {
	return func(x micro.Call, b tensor.Matrix) {
		x.BRow, x.BPanel = nr, x.K*nr
		for j := 0; j < x.Cols; j += nr {
			pack(x.B.From(j*x.K), nr, b.Block(0, j, x.K, nr))
		}
		gemm(x)
	}
}

// thin goes along the rows of B, adding to the whole row of C: B is read in
// order, and the chain of each element is the same.
func thin(x micro.Call, b tensor.Matrix) {
	for i := range x.Rows {
		row := x.C[i*x.LDC : i*x.LDC+x.Cols]
		if !x.Accumulate {
			clear(row)
		}
		for p := range x.K {
			a := x.A.F32[i*x.ARow+p]
			if b.F16 != nil {
				for j, h := range b.F16[p*b.Stride : p*b.Stride+x.Cols] {
					row[j] += float32(a * h.Float32())
				}
			} else {
				for j, y := range b.F32[p*b.Stride : p*b.Stride+x.Cols] {
					row[j] = portable.FMA(a, y, row[j])
				}
			}
		}
	}
}

func pack(to micro.Operand, stride int, m tensor.Matrix) {
	dst := to.F32
	if !m.Trans {
		for i := range m.Rows {
			m.LoadRow(dst[i*stride:], i)
		}
		return
	}
	for j := range m.Cols { // the columns are what is contiguous
		at := j * m.Stride
		if m.F16 != nil {
			for i, h := range m.F16[at : at+m.Rows] {
				dst[i*stride+j] = h.Float32()
			}
		} else {
			for i, x := range m.F32[at : at+m.Rows] {
				dst[i*stride+j] = x
			}
		}
	}
}

// peak runs eight independent chains. The check at its end keeps the compiler
// from seeing that nobody wants the sums.
func peak(turns int) {
	const x, y = float32(0.999), float32(0.001)
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for range turns {
		s0 = s0*x + y
		s1 = s1*x + y
		s2 = s2*x + y
		s3 = s3*x + y
		s4 = s4*x + y
		s5 = s5*x + y
		s6 = s6*x + y
		s7 = s7*x + y
	}
	if s0+s1+s2+s3+s4+s5+s6+s7 < 0 { // never: all of them tend to 1
		panic("generic: the sums have left their range")
	}
}
