package amd64_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/amd64"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// BenchmarkKernel is a kernel at work on operands in the L1 cache. peak-ratio is
// its share of the FMA peak, measured in turn with it.
//
//	go test ./kernels/amd64 -run '^$' -bench Kernel -count 10
func BenchmarkKernel(t *testing.B) {
	const depth = 256
	for _, k := range amd64.Kernels {
		if !k.Supported {
			continue
		}
		for _, byColumn := range []bool{false, true} {
			for _, rows := range []int{k.MR, 4 * k.MR, 8, 4} {
				aRow, aCol := depth+16, 1
				if byColumn {
					aRow, aCol = 1, 48
				}
				b := tensor.Matrix{Rows: depth, Cols: k.NR, Stride: k.NR}
				if k.Operands == tensor.F16 {
					b.F16 = make([]fp16.Float16, depth*k.NR)
				} else {
					b.F32 = make([]float32, depth*k.NR)
				}
				x := micro.Call{
					K: depth, A: make([]float32, 48*(depth+16)), ARow: aRow, ACol: aCol, B: make([]float32, depth*k.NR), BRow: k.NR,
					C: make([]float32, rows*(k.NR+16)), LDC: k.NR + 16, Rows: rows, Cols: k.NR, Accumulate: true,
				}
				run := func(name string, f func()) {
					t.Run(fmt.Sprintf("rows=%d/byColumn=%v/%s/kernel=%s", rows, byColumn, name, k.Name), func(b *testing.B) {
						var own, peak time.Duration
						for b.Loop() {
							start := time.Now()
							for range 400 {
								f()
							}
							middle := time.Now()
							for _, p := range amd64.PeakLoops {
								if p.Tier == k.Tier {
									p.Func(4 * 400 * depth)
									peak += time.Since(middle) * time.Duration(2*rows*k.NR*depth*400/100) / time.Duration(p.FLOPs*4*400*depth/100)
								}
							}
							own += middle.Sub(start)
						}
						b.ReportMetric(float64(peak)/float64(own), "peak-ratio")
					})
				}
				run("form=panel", func() { k.Func(x) })
				run("form=widen", func() { k.Widen(x, b) })
			}
		}
	}
}
