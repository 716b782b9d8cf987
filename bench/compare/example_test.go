package compare_test

import (
	"fmt"
	"time"

	"github.com/halfgrad/halfgrad/bench/compare"
	"github.com/halfgrad/halfgrad/bench/report"
)

// Two machines that have measured one product.
func Example() {
	machine := func(cpu, kernel string, ns float64) *report.Report {
		return &report.Report{
			Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Suite: "example", Seconds: 1,
			Build:    report.Build{Go: "go1.26.0"},
			Machine:  report.Machine{OS: "linux", Arch: "amd64", CPU: cpu, Cores: 4, Kernels: []string{kernel}},
			Settings: report.Settings{Kernels: []string{kernel}, Threads: []int{1}, Rounds: 6},
			Benchmarks: []report.Benchmark{{
				Name: report.Name("Gemm/m=100/n=100/k=100/ta=n/tb=n/dtype=fp16/threads=1/kernel=" + kernel), Unit: report.Nanoseconds,
				Work:    &report.Work{Amount: 2e6, Unit: report.FLOP},
				Samples: []float64{ns, ns + 1, ns + 2, ns + 3, ns + 4, ns + 5},
				Peak:    []float64{100, 100, 100, 100, 100, 100},
			}},
		}
	}
	c, err := compare.New(
		compare.Input{Path: "here.json", Report: machine("AMD EPYC 9654 96-Core Processor", "avx512", 25e3)},
		compare.Input{Path: "there.json", Label: "there", Report: machine("Intel(R) Xeon(R) Gold 6548Y", "avx2", 40e3)},
	)
	if err != nil {
		panic(err)
	}
	for _, g := range c.Groups {
		for _, row := range g.Rows {
			for i, cell := range row.Cells {
				fmt.Printf("%s, %s: %s: %.1f %s, %.0f %% of the peak", g.Title, row.Label, c.Columns[i].Name, cell.Median, cell.Unit, 100*cell.Share.Median)
				if cell.Speedup != nil {
					fmt.Printf(", %.3f× as fast as %s (p = %.3f)", cell.Speedup.Ratio, c.Columns[c.Base].Name, cell.Speedup.P)
				}
				fmt.Println()
			}
		}
	}
	page, err := c.HTML()
	fmt.Println(len(page) > 10000, err)
	// Output:
	// matrix products in fp16, 1 thread, 100×100×100 nn: AMD EPYC 9654, avx512: 80.0 GFLOPS, 80 % of the peak
	// matrix products in fp16, 1 thread, 100×100×100 nn: there, avx2: 50.0 GFLOPS, 50 % of the peak, 0.625× as fast as AMD EPYC 9654, avx512 (p = 0.002)
	// true <nil>
}
