package report_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/halfgrad/halfgrad/bench/report"
)

// What a suite does, and what one who looks at a report does.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "bench.json")
	r := &report.Report{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Suite: "example", Seconds: 1,
		Build:    report.Build{Go: "go1.26.0"},
		Machine:  report.Machine{OS: "linux", Arch: "arm64", Cores: 4, Kernels: []string{"neon", "generic"}},
		Settings: report.Settings{Kernels: []string{"neon"}, Threads: []int{1}, Rounds: 6},
		Benchmarks: []report.Benchmark{{
			Name: "Gemm/m=100/n=100/k=100/ta=n/tb=n/dtype=fp16/threads=1/kernel=neon", Unit: report.Nanoseconds,
			Work:    &report.Work{Amount: 2e6, Unit: report.FLOP},
			Samples: []float64{200e3, 201e3, 199e3, 202e3, 200e3, 198e3},
			Peak:    []float64{12.5, 12.5, 12.5, 12.5, 12.5, 12.5},
		}},
	}
	if err := r.Write(path); err != nil {
		panic(err)
	}

	r, err = report.Read(path)
	if err != nil {
		panic(err)
	}
	for _, b := range r.Benchmarks {
		rate, unit, _ := b.Rate()
		share, _ := b.Share()
		fmt.Printf("%s of %s: %.1f %s (%.1f to %.1f), %.0f %% of the peak; noise %q\n",
			b.Name.Base(), b.Name.Get("dtype"), rate.Center, unit, rate.Lo, rate.Hi, 100*share.Center, b.Noise())
	}

	if err := os.WriteFile(path, []byte(`{"kind": "halfgrad-bench", "schema": 7}`), 0o644); err != nil {
		panic(err)
	}
	_, err = report.Read(path)
	fmt.Println(errors.Is(err, report.ErrSchema))
	// Output:
	// Gemm of fp16: 10.0 GFLOPS (9.9 to 10.1), 80 % of the peak; noise ""
	// true
}
