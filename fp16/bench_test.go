package fp16_test

import (
	"fmt"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
)

// The slices of 16 Ki elements stay in the L2 cache; MB/s counts the fp16 side
// at two bytes an element, so giga-elements/s is MB/s ÷ 2000.
func BenchmarkConvert(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 14, 1 << 20} {
		half := make([]fp16.Float16, n)
		wide := make([]float32, n)
		b.Run(fmt.Sprintf("n=%d/op=widen", n), func(b *testing.B) {
			b.SetBytes(int64(2 * n))
			for b.Loop() {
				fp16.Widen(wide, half)
			}
		})
		table, bytes := new([256]fp16.Float16), make([]byte, n)
		b.Run(fmt.Sprintf("n=%d/op=lookup", n), func(b *testing.B) {
			b.SetBytes(int64(2 * n))
			for b.Loop() {
				fp16.Lookup(half, table, bytes)
			}
		})
		b.Run(fmt.Sprintf("n=%d/op=narrow", n), func(b *testing.B) {
			b.SetBytes(int64(2 * n))
			for b.Loop() {
				fp16.Narrow(half, wide)
			}
		})
	}
}
