package bench

import (
	"fmt"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// The benchmarks have the names and units of the reports that `halfgrad bench` writes
// (package report). They are for changing a kernel, with benchstat at hand:
//
//	go test ./bench -run '^$' -bench Gemm -count 10 | benchstat -col /kernel -
//
// They measure one thing after the other, without turns. To compare machines, use `halfgrad bench`.

// onEngines runs f on one thread of each tier. The generic tier is left out where it
// takes longer than about a second.
func onEngines(b *testing.B, name string, multiplyAdds int, f func(b *testing.B, e *kernels.Engine)) {
	for _, tier := range kernels.Supported() {
		if tier == "generic" && multiplyAdds > 1<<25 {
			continue
		}
		e, err := kernels.New(kernels.Config{Kernel: tier, Threads: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%s/threads=1/kernel=%s", name, tier), func(b *testing.B) { f(b, e) })
	}
}

// rate reports the work done per nanosecond.
func rate(b *testing.B, work float64, unit string) {
	b.ReportMetric(work*float64(b.N)/float64(b.Elapsed().Nanoseconds()), unit)
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range []Shape{{128, 256, 784}, {784, 256, 128}, {256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {512, 3072, 768}, {1, 1024, 1024}} {
		for _, trans := range []string{"nn", "nt", "tn"} {
			for _, dtype := range []tensor.DType{tensor.F16, tensor.F32} {
				g := product(s, dtype)
				if trans[0] == 't' {
					g.A = product(Shape{s.K, 1, s.M}, dtype).A.T()
				}
				if trans[1] == 't' {
					g.B = product(Shape{1, s.K, s.N}, dtype).B.T()
				}
				name := fmt.Sprintf("m=%d/n=%d/k=%d/ta=%c/tb=%c/dtype=%v", s.M, s.N, s.K, trans[0], trans[1], dtype)
				onEngines(b, name, s.M*s.N*s.K, func(b *testing.B, e *kernels.Engine) {
					for b.Loop() {
						e.Gemm(g)
					}
					rate(b, 2*float64(s.M)*float64(s.N)*float64(s.K), "GFLOPS")
				})
			}
		}
	}
}

func BenchmarkConvert(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 14, 1 << 20} {
		half, wide := make([]fp16.Float16, n), make([]float32, n)
		for _, op := range []struct {
			name string
			do   func()
		}{
			{"widen", func() { fp16.Widen(wide, half) }},
			{"narrow", func() { fp16.Narrow(half, wide) }},
		} {
			b.Run(fmt.Sprintf("elements=%d/op=%s/threads=1", n, op.name), func(b *testing.B) {
				for b.Loop() {
					op.do()
				}
				rate(b, float64(n), "Gelem/s")
			})
		}
	}
}

func BenchmarkTrainStep(b *testing.B) {
	for _, cfg := range []TrainConfig{
		{Widths: []int{784, 256, 10}, Batch: 1}, {Widths: []int{784, 256, 10}, Batch: 128}, {Widths: []int{784, 1024, 1024, 10}, Batch: 128},
	} {
		cfg.Images, cfg.Optimizer, cfg.Precision = 8192, "sgd", tensor.F16
		name := fmt.Sprintf("model=%s/batch=%d/optimizer=sgd/dtype=fp16", cfg.Model(), cfg.Batch)
		onEngines(b, name, int(cfg.FLOPs()/2), func(b *testing.B, e *kernels.Engine) {
			t, err := NewTrainee(e, cfg, nil)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := t.Step(); err != nil {
					b.Fatal(err)
				}
			}
			rate(b, cfg.FLOPs(), "GFLOPS")
			rate(b, float64(cfg.Batch)*1e9, "images/s")
		})
	}
}
