package kernels

import (
	"testing"

	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Rows alias by the bytes between them, whatever their type.
func TestAliases(t *testing.T) {
	for _, c := range []struct {
		stride   int
		f16, f32 bool
	}{{512, false, false}, {1000, false, false}, {1023, false, false}, {1024, false, true}, {1536, false, false}, {2048, true, true}, {3072, false, true}, {4096, true, true}} {
		f16 := tensor.Matrix{Rows: 2, Cols: 16, Stride: c.stride, Elements: tensor.Make(tensor.F16, 1)}
		f32 := tensor.Matrix{Rows: 2, Cols: 16, Stride: c.stride, Elements: tensor.Make(tensor.F32, 1)}
		if aliases(f16) != c.f16 || aliases(f32) != c.f32 {
			t.Errorf("stride %d: fp16 %v, fp32 %v, want %v and %v", c.stride, aliases(f16), aliases(f32), c.f16, c.f32)
		}
		if aliases(f16.T()) || aliases(f32.T()) {
			t.Errorf("stride %d: a transposed matrix has no rows that are read", c.stride)
		}
	}
}

func TestReadsInPlace(t *testing.T) {
	p := plan{kernel: micro.Kernel{Panels: tensor.F32, MR: 6}, inPlaceBelow: 100_000, fewInPlaceBelow: 2_000_000}
	for _, c := range []struct {
		m, n, k int
		aliased bool
		want    bool
	}{
		{256, 128, 256, false, true},
		{256, 128, 256, true, false},
		{6, 128, 256, true, true},
		{7, 128, 256, true, false},
		{256, 256, 256, false, false}, // more than fits the L2 cache
		{64, 1000, 1000, false, true}, // few rows
		{65, 1000, 1000, false, false},
		{64, 2000, 1000, false, false}, // more than fits the L3 cache
	} {
		a := tensor.Matrix{Rows: c.m, Cols: c.k, Stride: c.k, Elements: tensor.Make(tensor.F32, 1)}
		if got := p.readsInPlace(a, c.n, c.aliased); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
		half := tensor.Matrix{Rows: c.m, Cols: c.k, Stride: c.k, Elements: tensor.Make(tensor.F16, 1)}
		if p.readsInPlace(half, c.n, c.aliased) {
			t.Errorf("%+v: fp16 is read in place by a kernel for fp32", c)
		}
	}
}
