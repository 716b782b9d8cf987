package kernels_test

import (
	"fmt"
	"testing"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/kernels/kerneltest"
	"github.com/halfgrad/halfgrad/tensor"
)

// Rates are in GFLOPS. `halfgrad bench gemm` relates them to the FMA peak.
func BenchmarkGemm(b *testing.B) {
	for _, shape := range [][3]int{{128, 256, 784}, {128, 10, 256}, {784, 256, 128}, {256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}} {
		m, n, k := shape[0], shape[1], shape[2]
		for _, tier := range kernels.Supported() {
			if tier == "generic" && m*n*k > 1<<24 {
				continue
			}
			e := engine(b, kernels.Config{Kernel: tier, Threads: 1})
			b.Run(fmt.Sprintf("m=%d/n=%d/k=%d/kernel=%s", m, n, k, e.KernelName(tensor.F16)), func(b *testing.B) {
				g := problem{m: m, n: n, k: k, operands: tensor.F16, result: tensor.F16, mix: kerneltest.Mixes[0]}.args()
				for b.Loop() {
					e.Gemm(g)
				}
				b.ReportMetric(2*float64(m*n*k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOPS")
			})
		}
	}
}
