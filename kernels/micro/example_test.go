package micro_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// The smallest kernel: a tile of one element.
func Example() {
	dot := micro.Kernel{
		Name: "f16f32acc-1x1-example", Tier: "example", Operands: tensor.F16, Panels: tensor.F32, MR: 1, NR: 1, Supported: true,
		Func: func(x micro.Call) {
			for j := range x.Cols { // panels of one column
				acc := float32(0)
				if x.Accumulate {
					acc = x.C[j]
				}
				for p := range x.K {
					acc += float32(x.A.F32()[p*x.ACol] * x.B.F32()[j*x.BPanel+p*x.BRow])
				}
				x.C[j] = acc
			}
		},
	}
	c := []float32{100}
	dot.Func(micro.Call{
		K: 3, A: tensor.Of([]float32{1, 2, 3}), ARow: 3, ACol: 1, B: tensor.Of([]float32{4, 5, 6}), BRow: 1, BPanel: 3,
		C: c, LDC: 1, Rows: 1, Cols: 1, Accumulate: true,
	})
	fmt.Println(c)
	// Output: [132]
}
