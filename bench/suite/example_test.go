package suite_test

import (
	"context"
	"fmt"
	"time"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/bench/suite"
	"github.com/halfgrad/halfgrad/tensor"
)

// A suite of one's own: products of one shape, on one thread.
func Example() {
	r, err := suite.Run(context.Background(), suite.Config{
		Name: "example", Rounds: 10, Sample: 100 * time.Microsecond, Budget: 10 * time.Second,
		Kernels: []string{"generic"}, Threads: []int{1},
		Products: []suite.Product{{Shape: bench.Shape{M: 10, N: 20, K: 30}, DTypes: []tensor.DType{tensor.F16}, Trans: []string{"nn"}}},
	}, nil)
	if err != nil {
		panic(err)
	}
	for _, b := range r.Benchmarks {
		rate, unit, _ := b.Rate()
		fmt.Println(b.Name, len(b.Samples), unit, rate.Center > 0)
	}
	// Output:
	// Peak/dtype=fp32/threads=1/kernel=generic 10 GFLOPS true
	// Gemm/m=10/n=20/k=30/ta=n/tb=n/dtype=fp16/threads=1/kernel=generic 10 GFLOPS true
}
