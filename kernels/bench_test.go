package kernels_test

import (
	"fmt"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// Rates are in GFLOPS. `halfgrad bench gemm` relates them to the FMA peak.
func BenchmarkGemm(b *testing.B) {
	for _, shape := range [][3]int{{128, 256, 784}, {128, 10, 256}, {784, 256, 128}, {256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048}, {512, 3072, 768}, {128, 784, 256}, {64, 128, 784}} {
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

// BenchmarkNarrow is the measurement behind turns: a product is turned if n columns then
// take less time than the next multiple of 16 or 32, which is never turned.
//
//	go test ./kernels -run '^$' -bench Narrow -count 5
func BenchmarkNarrow(b *testing.B) {
	for _, n := range []int{8, 9, 10, 12, 13, 14, 15, 16, 20, 24, 28, 32, 40, 48} {
		for _, transA := range []bool{false, true} {
			for _, tier := range kernels.Supported() {
				e := engine(b, kernels.Config{Kernel: tier, Threads: 1})
				b.Run(fmt.Sprintf("m=784/n=%d/k=128/transA=%v/kernel=%s", n, transA, e.KernelName(tensor.F16)), func(b *testing.B) {
					g := problem{m: 784, n: n, k: 128, transA: transA, operands: tensor.F16, result: tensor.F32, mix: kerneltest.Mixes[0]}.args()
					for b.Loop() {
						e.Gemm(g)
					}
				})
			}
		}
	}
}

// BenchmarkBlocking is the measurement behind blockingFor. It varies one block size at a
// time. Run it several times:
//
//	go test ./kernels -run '^$' -bench Blocking -count 10
func BenchmarkBlocking(b *testing.B) {
	for _, shape := range [][3]int{{1024, 1024, 1024}, {2048, 2048, 2048}, {512, 3072, 768}} {
		m, n, k := shape[0], shape[1], shape[2]
		for _, tier := range kernels.Supported() {
			if tier == "generic" {
				continue
			}
			for _, blocking := range []kernels.Blocking{
				{}, {KC: 192}, {KC: 256}, {KC: 384}, {KC: 768}, {NC: 128}, {NC: 192}, {NC: 384}, {MC: 120}, {MC: 240}, {MC: 960}, {B: 1 << 18}, {B: 1 << 20}, {B: 1 << 22},
			} {
				e := engine(b, kernels.Config{Kernel: tier, Threads: 1, Blocking: blocking})
				name := fmt.Sprintf("m=%d/n=%d/k=%d/kernel=%s/MC=%d/KC=%d/NC=%d/B=%d", m, n, k, e.KernelName(tensor.F16),
					e.Blocking(tensor.F16).MC, e.Blocking(tensor.F16).KC, e.Blocking(tensor.F16).NC, e.Blocking(tensor.F16).B)
				b.Run(name, func(b *testing.B) {
					g := problem{m: m, n: n, k: k, operands: tensor.F16, result: tensor.F16, mix: kerneltest.Mixes[0]}.args()
					for b.Loop() {
						e.Gemm(g)
					}
					b.ReportMetric(2*float64(m*n*k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOPS")
				})
			}
		}
	}
}

// Rates are in giga-elements a second, of slices that fit the L2 cache.
func BenchmarkElementwise(b *testing.B) {
	const n = 1 << 15
	f := func() []float32 { return make([]float32, n) }
	h := func() []fp16.Float16 { return make([]fp16.Float16, n) }
	w, m, v, grad, half, src := f(), f(), f(), f(), h(), h()
	mask := tensor.FromF16(src, n)
	dst := tensor.FromF16(half, n)
	for _, tier := range kernels.Supported() {
		e := engine(b, kernels.Config{Kernel: tier, Threads: 1})
		for _, op := range []struct {
			name string
			do   func()
		}{
			{"sgd", func() { e.SGD(w, v, grad, tensor.Of(half), kernels.SGD{Unscale: 1, Rate: 0.1, Momentum: 0.9}) }},
			{"adam", func() {
				e.Adam(w, m, v, grad, tensor.Of(half), kernels.Adam{Unscale: 1, Rate: 0.1, Correction: 1, Epsilon: 1e-8})
			}},
			{"finite", func() { e.Finite(grad, 1) }},
			{"rectify", func() { e.Rectify(dst, mask, mask) }},
			{"addrows", func() { e.AddRows(w[:256], tensor.MatrixF16(src, n/256, 256)) }},
		} {
			b.Run(fmt.Sprintf("op=%s/n=%d/kernel=%s", op.name, n, tier), func(b *testing.B) {
				for b.Loop() {
					op.do()
				}
				b.ReportMetric(n*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "Gelem/s")
			})
		}
	}
}
