package fp16_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/fp16"
)

func ExampleFromFloat32() {
	for _, x := range []float32{1, 0.1, 65504, 65520, 1e-8} {
		h := fp16.FromFloat32(x)
		fmt.Printf("%g is stored as %#04x, which is %g\n", x, uint16(h), h.Float32())
	}
	// Output:
	// 1 is stored as 0x3c00, which is 1
	// 0.1 is stored as 0x2e66, which is 0.099975586
	// 65504 is stored as 0x7bff, which is 65504
	// 65520 is stored as 0x7c00, which is +Inf
	// 1e-08 is stored as 0x0000, which is 0
}

func ExampleWiden() {
	weights := []fp16.Float16{0x3c00, 0xc000, 0x3555}
	wide := make([]float32, len(weights))
	fp16.Widen(wide, weights)
	fmt.Println(wide)
	// Output: [1 -2 0.33325195]
}
