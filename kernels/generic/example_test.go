package generic_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/kernels/generic"
)

func Example() {
	for _, k := range generic.Kernels {
		fmt.Printf("%s: a tile of %d×%d for %v operands\n", k.Name, k.MR, k.NR, k.Operands)
	}
	// Output:
	// f16f32acc-2x4-generic: a tile of 2×4 for fp16 operands
	// f32-2x4-generic: a tile of 2×4 for fp32 operands
}
