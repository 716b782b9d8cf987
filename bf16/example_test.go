package bf16_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/bf16"
)

func ExampleFromFloat32() {
	for _, x := range []float32{1, 0.1, 65520, 1e-30, 3.4e38} {
		b := bf16.FromFloat32(x)
		fmt.Printf("%g is stored as %#04x, which is %g\n", x, uint16(b), b.Float32())
	}
	// Output:
	// 1 is stored as 0x3f80, which is 1
	// 0.1 is stored as 0x3dcd, which is 0.100097656
	// 65520 is stored as 0x4780, which is 65536
	// 1e-30 is stored as 0x0da2, which is 9.984021e-31
	// 3.4e+38 is stored as 0x7f80, which is +Inf
}

func ExampleWiden() {
	weights := []bf16.BFloat16{0x3f80, 0xc000, 0x3eab}
	wide := make([]float32, len(weights))
	bf16.Widen(wide, weights)
	fmt.Println(wide)
	// Output: [1 -2 0.33398438]
}
