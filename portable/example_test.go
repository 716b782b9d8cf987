package portable_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/portable"
)

func ExampleFMA() {
	// Rounding the product first loses what the sum would have kept.
	x := float32(1 + 1.0/(1<<12))
	product := x * x
	fmt.Println(float32(product)-1, portable.FMA(x, x, -1))
	// Output: 0.00048828125 0.00048834085
}
