package data

import (
	"fmt"
	"testing"

	"github.com/halfgrad/halfgrad/tensor"
)

// An epoch of MNIST-sized batches: what a training step waits for.
func BenchmarkLoader(b *testing.B) {
	im := &Images{N: 12800, H: 28, W: 28, Classes: 10, Pixels: make([]byte, 12800*28*28), Labels: make([]int32, 12800)}
	for i := range im.Pixels {
		im.Pixels[i] = byte(i * i >> 8)
	}
	ds := im.Standardized(0.1307, 0.3081)
	for _, dtype := range []tensor.DType{tensor.F16, tensor.F32} {
		b.Run(fmt.Sprintf("batch=128/dtype=%v", dtype), func(b *testing.B) {
			l, err := NewLoader(ds, LoaderConfig{BatchSize: 128, DType: dtype, Shuffle: true})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := l.Next(); !ok {
					epoch, _ := l.Position()
					l.Seek(epoch+1, 0)
				}
			}
		})
	}
}
