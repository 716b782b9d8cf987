//go:build !purego

package amd64

import (
	"golang.org/x/sys/cpu"

	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// F16C is asked for although the kernels below do not use it: the tier's
// conversions do, and a machine with AVX2 but without F16C does not exist.
var hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C

// Kernels are the kernels of this architecture, the fastest tier first.
//
// FMA rounds once, so one function serves both kinds of operands.
var Kernels = []micro.Kernel{
	{Name: "f16f32acc-6x16-avx2", Tier: "avx2", Operands: tensor.F16, MR: 6, NR: 16, Supported: hasAVX2, Func: gemm6x16AVX2},
	{Name: "f32-6x16-avx2", Tier: "avx2", Operands: tensor.F32, MR: 6, NR: 16, Supported: hasAVX2, Func: gemm6x16AVX2},
}

// PeakLoops measure the FMA peak of each tier.
var PeakLoops = []micro.PeakLoop{
	{Tier: "avx2", Supported: hasAVX2, FLOPs: 12 * 8 * 2, Func: peakAVX2},
}

// gemm6x16AVX2 is the loop in package micro's documentation, with MR = 6 and
// NR = 16. The slices must be as long as that loop needs; nothing is checked.
//
//go:noescape
func gemm6x16AVX2(k int, a, b, c []float32, ldc int, accumulate bool)

// peakAVX2 runs turns × 12 independent FMAs on ymm registers.
//
//go:noescape
func peakAVX2(turns int)
