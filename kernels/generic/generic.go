// Package generic has the kernels in pure Go. They run on every machine, define what
// assembly computes, and serve machines without a tier of assembly. They are written to
// be read first and to be fast second.
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

// PeakLoops measure the peak of scalar Go code.
var PeakLoops = []micro.PeakLoop{
	{Tier: Tier, Supported: true, FLOPs: 2 * 8, Func: peak},
}

const mr, nr = 2, 4

// gemmF16 takes whole panels two rows at a time, so that eight accumulators, four
// values of B and two of A fit the sixteen registers of amd64.
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
			a, panel := x.A.F32(), x.B.From(j/nr*x.BPanel).F32()
			var s00, s01, s02, s03, s10, s11, s12, s13 float32
			if x.Accumulate {
				s00, s01, s02, s03 = c0[0], c0[1], c0[2], c0[3]
				s10, s11, s12, s13 = c1[0], c1[1], c1[2], c1[3]
			}
			for p := range x.K {
				y, z := a[i*x.ARow+p*x.ACol], a[(i+1)*x.ARow+p*x.ACol]
				b := panel[p*x.BRow : p*x.BRow+nr]
				// The products are exact. The conversions keep the compiler from
				// fusing, which would not change the result.
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

// gemmF32 spends its time in the emulated FMA, so it has no tiles.
func gemmF32(x micro.Call) {
	for i := 0; i < x.Rows; i += mr {
		for j := 0; j < x.Cols; j += nr {
			edge(&x, i, j, portable.FMA)
		}
	}
}

// edge is the loop in package micro's documentation for one tile, whole or not.
func edge(x *micro.Call, i0, j0 int, fma func(x, y, z float32) float32) {
	a, b := x.A.F32(), x.B.F32()
	for i := i0; i < min(i0+mr, x.Rows); i++ {
		for j := j0; j < min(j0+nr, x.Cols); j++ {
			var acc float32
			if x.Accumulate {
				acc = x.C[i*x.LDC+j]
			}
			for p := range x.K {
				acc = fma(a[i*x.ARow+p*x.ACol], b[j/nr*x.BPanel+p*x.BRow+j%nr], acc)
			}
			x.C[i*x.LDC+j] = acc
		}
	}
}

// widen returns a kernel's Widen, which packs first.
func widen(gemm func(micro.Call)) func(micro.Call, tensor.Matrix) {
	return func(x micro.Call, b tensor.Matrix) {
		x.BRow, x.BPanel = nr, x.K*nr
		for j := 0; j < x.Cols; j += nr {
			pack(x.B.From(j*x.K), nr, b.Block(0, j, x.K, nr))
		}
		gemm(x)
	}
}

// thin adds each row of B to a whole row of C. So it reads B in order, and the chain of
// each element stays the same.
func thin(x micro.Call, b tensor.Matrix) {
	for i := range x.Rows {
		row := x.C[i*x.LDC : i*x.LDC+x.Cols]
		if !x.Accumulate {
			clear(row)
		}
		for p := range x.K {
			a := x.A.F32()[i*x.ARow+p]
			if b.DType() == tensor.F16 {
				for j, h := range b.Elements.F16()[p*b.Stride : p*b.Stride+x.Cols] {
					row[j] += float32(a * h.Float32())
				}
			} else {
				for j, y := range b.Elements.F32()[p*b.Stride : p*b.Stride+x.Cols] {
					row[j] = portable.FMA(a, y, row[j])
				}
			}
		}
	}
}

func pack(to tensor.Elements, stride int, m tensor.Matrix) {
	dst := to.F32()
	if !m.Trans {
		for i := range m.Rows {
			m.LoadRow(dst[i*stride:], i)
		}
		return
	}
	for j := range m.Cols { // columns are contiguous in memory
		at := j * m.Stride
		if m.DType() == tensor.F16 {
			for i, h := range m.Elements.F16()[at : at+m.Rows] {
				dst[i*stride+j] = h.Float32()
			}
		} else {
			for i, x := range m.Elements.F32()[at : at+m.Rows] {
				dst[i*stride+j] = x
			}
		}
	}
}

// peak runs eight independent chains. The check at its end keeps the compiler from
// removing them.
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
	if s0+s1+s2+s3+s4+s5+s6+s7 < 0 { // never, as all of them tend to 1
		panic("generic: the sums have left their range")
	}
}
