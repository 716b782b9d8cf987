package amd64_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/kernels/amd64"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Kernels are plain values. A call needs no engine, only packed operands.
func Example() {
	for _, k := range amd64.Kernels {
		if !k.Supported {
			continue
		}
		const depth = 3
		a, b := make([]float32, depth*k.MR), make([]float32, depth*k.NR)
		for i := range a {
			a[i] = 2
		}
		for i := range b {
			b[i] = 0.5
		}
		c := make([]float32, k.MR*k.NR)
		k.Func(micro.Call{K: depth, A: tensor.Of(a), ARow: depth, ACol: 1, B: tensor.Of(b), BRow: k.NR, C: c, LDC: k.NR, Rows: k.MR, Cols: k.NR})
		if c[0] != depth {
			fmt.Println(k.Name, "is wrong:", c[0])
		}
	}
	// Output:
}
