package portable_test

import (
	"fmt"
	"testing"

	"github.com/halfgrad/halfgrad/portable"
)

// The softmax of a batch takes one exponential a logit, and one logarithm a row.
func BenchmarkFunctions(b *testing.B) {
	x := make([]float32, 1280)
	for i := range x {
		x[i] = 0.01 * float32(i+1)
	}
	for name, f := range map[string]func(float32) float32{"Exp": portable.Exp, "Log": portable.Log} {
		b.Run(fmt.Sprintf("n=%d/f=%s", len(x), name), func(b *testing.B) {
			var sum float32
			for b.Loop() {
				for _, v := range x {
					sum += f(v)
				}
			}
			if sum == 0 {
				b.Error("no sum")
			}
		})
	}
}
