package arm64_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/kernels/arm64"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Kernels are plain values: calling one needs no engine, only operands that
// are as it wants them.
func Example() {
	for _, k := range arm64.Kernels {
		if !k.Supported {
			continue
		}
		const depth = 3
		a, b := filled(k, depth*k.MR, 2), filled(k, depth*k.NR, 0.5)
		c := make([]float32, k.MR*k.NR)
		k.Func(micro.Call{K: depth, A: a, ARow: depth, ACol: 1, B: b, BRow: k.NR, C: c, LDC: k.NR, Rows: k.MR, Cols: k.NR})
		if c[0] != depth {
			fmt.Println(k.Name, "is wrong:", c[0])
		}
	}
	// Output:
}

// filled returns n elements of the type that the kernel wants.
func filled(k micro.Kernel, n int, value float32) tensor.Elements {
	values := make([]float32, n)
	for i := range values {
		values[i] = value
	}
	e := tensor.Make(k.Panels, n)
	e.Store(values)
	return e
}
