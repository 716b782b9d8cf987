package amd64_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/halfgrad/halfgrad/kernels/amd64"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// BenchmarkKernel measures the kernels with operands in the L1 cache. peak-ratio is
// the share of the FMA peak, which is measured in turns with the kernel.
//
//	go test ./kernels/amd64 -run '^$' -bench Kernel -count 10
func BenchmarkKernel(t *testing.B) {
	const depth = 256
	for _, k := range amd64.Kernels {
		if !k.Supported {
			continue
		}
		loop := amd64.PeakLoops[slices.IndexFunc(amd64.PeakLoops, func(p micro.PeakLoop) bool { return p.Tier == k.Tier })]
		for _, byColumn := range []bool{false, true} {
			for _, rows := range []int{k.MR, 4 * k.MR, 8, 4} {
				aRow, aCol := depth+16, 1
				if byColumn {
					aRow, aCol = 1, 48
				}
				b := tensor.Matrix{Rows: depth, Cols: k.NR, Stride: k.NR, Elements: tensor.Make(k.Operands, depth*k.NR)}
				x := micro.Call{
					K: depth, A: tensor.Make(tensor.F32, 48*(depth+16)), ARow: aRow, ACol: aCol, B: tensor.Make(tensor.F32, depth*k.NR), BRow: k.NR,
					C: make([]float32, rows*(k.NR+16)), LDC: k.NR + 16, Rows: rows, Cols: k.NR, Accumulate: true,
				}
				run := func(name string, f func()) {
					t.Run(fmt.Sprintf("rows=%d/byColumn=%v/%s/kernel=%s", rows, byColumn, name, k.Name), func(b *testing.B) {
						const calls = 400
						peak, own := time.Duration(0), time.Duration(0)
						for b.Loop() {
							start := time.Now()
							loop.Func(calls * depth)
							peak += time.Since(start)
							start = time.Now()
							for range calls / 10 {
								f()
							}
							own += time.Since(start)
						}
						rate := func(flops int, t time.Duration) float64 { return float64(flops*b.N) / float64(t) }
						b.ReportMetric(rate(calls/10*2*rows*k.NR*depth, own)/rate(calls*depth*loop.FLOPs, peak), "peak-ratio")
					})
				}
				run("form=panel", func() { k.Func(x) })
				run("form=widen", func() { k.Widen(x, b) })
			}
		}
	}
}
