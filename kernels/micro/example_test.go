package micro_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// The smallest kernel there can be: a tile of one element.
func Example() {
	dot := micro.Kernel{
		Name: "f16f32acc-1x1-example", Tier: "example", Operands: tensor.F16, MR: 1, NR: 1, Supported: true,
		Func: func(k int, a []float32, _, aCol int, b []float32, bRow int, c []float32, _, _, _ int, accumulate bool) {
			acc := float32(0)
			if accumulate {
				acc = c[0]
			}
			for p := range k {
				acc += float32(a[p*aCol] * b[p*bRow])
			}
			c[0] = acc
		},
	}
	c := []float32{100}
	dot.Func(3, []float32{1, 2, 3}, 3, 1, []float32{4, 5, 6}, 1, c, 1, 1, 1, true)
	fmt.Println(c)
	// Output: [132]
}
