package data_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

// numbered returns images of 3×4 of which pixel j of image i is 16·i + j + 1.
func numbered(n int) *data.Images {
	im := &data.Images{N: n, H: 3, W: 4, Classes: n, Labels: make([]int32, n)}
	for i := range n {
		im.Labels[i] = int32(i)
		for j := range 12 {
			im.Pixels = append(im.Pixels, byte(16*i+j+1))
		}
	}
	return im
}

// move is the definition, pixel by pixel.
func move(src []byte, h, w, down, across int) []byte {
	dst := make([]byte, h*w)
	for y := range h {
		for x := range w {
			if fy, fx := y-down, x-across; fy >= 0 && fy < h && fx >= 0 && fx < w {
				dst[y*w+x] = src[fy*w+fx]
			}
		}
	}
	return dst
}

func TestShift(t *testing.T) {
	im := numbered(2)
	for _, by := range []int{0, 1, 2, 5} { // by 5 an image may leave
		ds := data.Shift(im.Standardized(0, 1), 3, 4, by)
		targets := data.NewSample(ds).Targets
		n := 2*by + 1
		for r := range n * n {
			dst := slices.Repeat([]byte{99}, 12)
			if err := ds.Draw(1, uint64(r), dst, targets); targets[0].I32()[0] != 1 || err != nil {
				t.Errorf("label %d, error %v", targets[0].I32()[0], err)
			}
			if want := move(im.Pixels[12:24], 3, 4, r%n-by, r/n-by); !slices.Equal(dst, want) {
				t.Errorf("by %d, draw %d: %v, want %v", by, r, dst, want)
			}
		}
	}
	for _, bad := range [][3]int{{4, 4, 1}, {3, 4, -1}, {0, 12, 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v: no panic", bad)
				}
			}()
			data.Shift(im.Standardized(0, 1), bad[0], bad[1], bad[2])
		}()
	}
}

// A loader deals out what the documentation says, whichever way it makes batches, and
// from anywhere in the run.
func TestLoaderDraws(t *testing.T) {
	const n, seed, by = 7, 5, 2
	im := numbered(n)
	ds := data.Shift(im.Standardized(0.25, 0.5), 3, 4, by)
	different := map[string]bool{}
	for name, cfg := range map[string]data.LoaderConfig{
		"fp32":             {DType: tensor.F32},
		"fp16":             {DType: tensor.F16},
		"one batch ahead":  {DType: tensor.F16, Ahead: true},
		"not in any order": {DType: tensor.F32},
	} {
		cfg.BatchSize, cfg.Shuffle, cfg.Seed = 3, name != "not in any order", seed
		l, err := data.NewLoader(ds, cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, epoch := range []int{1, 0, 1} {
			if err := l.Seek(epoch, 0); err != nil {
				t.Fatal(err)
			}
			for b, ok := l.Next(); ok; b, ok = l.Next() {
				for i, label := range b.Targets[0].I32() {
					got := make([]float32, 12)
					b.Inputs[0].Matrix().LoadRow(got, i)
					pixels := im.Pixels[12*label : 12*label+12]
					if cfg.Shuffle {
						const choices = 2*by + 1
						r := rand.NewPCG(seed^(0x6472617700000000+uint64(epoch)), uint64(label)).Uint64()
						pixels = move(pixels, 3, 4, int(r%choices)-by, int(r/choices%choices)-by)
					}
					different[fmt.Sprint(label, pixels)] = true
					for j, p := range pixels {
						want := float32((float64(p)/255 - 0.25) / 0.5)
						if cfg.DType == tensor.F16 {
							want = fp16.FromFloat32(want).Float32()
						}
						if got[j] != want {
							t.Fatalf("%s, epoch %d, image %d: pixel %d is %v, want %v", name, epoch, label, j, got[j], want)
						}
					}
				}
			}
		}
	}
	if len(different) < 2*n {
		t.Errorf("%d different images of %d", len(different), n)
	}
}
