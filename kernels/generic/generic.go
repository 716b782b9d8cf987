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
	{Name: "f16f32acc-4x4-generic", Tier: Tier, Operands: tensor.F16, MR: mr, NR: nr, Supported: true, Func: gemmF16},
	{Name: "f32-4x4-generic", Tier: Tier, Operands: tensor.F32, MR: mr, NR: nr, Supported: true, Func: gemmF32},
}

// PeakLoops measure what scalar Go code can reach.
var PeakLoops = []micro.PeakLoop{
	{Tier: Tier, Supported: true, FLOPs: 2 * 8, Func: peak},
}

// A tile of 4×4 is taken as two halves of 2×4: eight accumulators, four values
// of B and two of A then fit the sixteen registers of amd64.
const mr, nr = 4, 4

func gemmF16(k int, a, b, c []float32, ldc int, accumulate bool) {
	for i := 0; i < mr; i += 2 {
		c0 := c[i*ldc : i*ldc+nr]
		c1 := c[(i+1)*ldc : (i+1)*ldc+nr]
		var s00, s01, s02, s03, s10, s11, s12, s13 float32
		if accumulate {
			s00, s01, s02, s03 = c0[0], c0[1], c0[2], c0[3]
			s10, s11, s12, s13 = c1[0], c1[1], c1[2], c1[3]
		}
		a, b := a[:k*mr], b[:k*nr]
		for len(a) >= mr && len(b) >= nr {
			x, y := a[i], a[i+1]
			// The products are exact; the conversions only say so.
			s00 += float32(x * b[0])
			s01 += float32(x * b[1])
			s02 += float32(x * b[2])
			s03 += float32(x * b[3])
			s10 += float32(y * b[0])
			s11 += float32(y * b[1])
			s12 += float32(y * b[2])
			s13 += float32(y * b[3])
			a, b = a[mr:], b[nr:]
		}
		c0[0], c0[1], c0[2], c0[3] = s00, s01, s02, s03
		c1[0], c1[1], c1[2], c1[3] = s10, s11, s12, s13
	}
}

// gemmF32 is the definition in package micro, word for word: its time is all
// in the emulated FMA.
func gemmF32(k int, a, b, c []float32, ldc int, accumulate bool) {
	for i := range mr {
		for j := range nr {
			var acc float32
			if accumulate {
				acc = c[i*ldc+j]
			}
			for p := range k {
				acc = portable.FMA(a[p*mr+i], b[p*nr+j], acc)
			}
			c[i*ldc+j] = acc
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
