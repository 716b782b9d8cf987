package data_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/data"
)

func TestNewImages(t *testing.T) {
	pixels := &data.IDX{Type: data.Uint8, Dims: []int{2, 1, 3}, Data: []byte{1, 2, 3, 4, 5, 6}}
	labels := &data.IDX{Type: data.Uint8, Dims: []int{2}, Data: []byte{9, 0}}
	got, err := data.NewImages(pixels, "p", labels, "l", 10)
	if err != nil {
		t.Fatal(err)
	}
	want := &data.Images{N: 2, H: 1, W: 3, Classes: 10, Pixels: []byte{1, 2, 3, 4, 5, 6}, Labels: []int32{9, 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	for _, tt := range []struct {
		name           string
		pixels, labels *data.IDX
		want           string
	}{
		{"two dimensions", &data.IDX{Type: data.Uint8, Dims: []int{2, 3}, Data: make([]byte, 6)}, labels, "data: p: found 2 dimensions, expected 3: images, rows, columns"},
		{"files swapped", labels, pixels, "data: p: found 1 dimensions, expected 3: images, rows, columns"},
		{"labels of two dimensions", pixels, &data.IDX{Type: data.Uint8, Dims: []int{2, 1}, Data: make([]byte, 2)}, "data: l: found 2 dimensions, expected 1: labels"},
		{"no image", &data.IDX{Type: data.Uint8, Dims: []int{0, 28, 28}}, &data.IDX{Type: data.Uint8, Dims: []int{0}}, "data: p: found the dimensions [0 28 28], expected at least one image of at least one pixel"},
		{"no pixels", &data.IDX{Type: data.Uint8, Dims: []int{2, 0, 3}}, labels, "data: p: found the dimensions [2 0 3], expected at least one image of at least one pixel"},
		{"a label too few", pixels, &data.IDX{Type: data.Uint8, Dims: []int{1}, Data: make([]byte, 1)}, "data: l: found 1 labels, expected 2, one for each image of p"},
		{"a label too many", pixels, &data.IDX{Type: data.Uint8, Dims: []int{3}, Data: make([]byte, 3)}, "data: l: found 3 labels, expected 2, one for each image of p"},
		{"label 10", pixels, &data.IDX{Type: data.Uint8, Dims: []int{2}, Data: []byte{9, 10}}, "data: l: found the label 10 at index 1, expected labels from 0 to 9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := data.NewImages(tt.pixels, "p", tt.labels, "l", 10)
			var format *data.FormatError
			if !errors.As(err, &format) || err.Error() != tt.want {
				t.Errorf("error\n%v, want a FormatError\n%v", err, tt.want)
			}
		})
	}
}

// meanStd computes in float64 and in two passes, as a textbook has it.
func meanStd(pixels []byte) (mean, std float64) {
	for _, p := range pixels {
		mean += float64(p) / 255
	}
	mean /= float64(len(pixels))
	for _, p := range pixels {
		d := float64(p)/255 - mean
		std += d * d
	}
	return mean, math.Sqrt(std / float64(len(pixels)))
}

func TestMeanStd(t *testing.T) {
	ramp := make([]byte, 4096)
	for i := range ramp {
		ramp[i] = byte(i * i >> 5)
	}
	// A large offset with a small spread, where sums of floats would lose the difference.
	bright := slices.Repeat([]byte{254}, 1<<20)
	for i := range 100 {
		bright[i] = 255
	}
	for name, pixels := range map[string][]byte{"ramp": ramp, "bright": bright, "two": {0, 255}} {
		wantMean, wantStd := meanStd(pixels)
		im := &data.Images{N: 1, H: 1, W: len(pixels), Pixels: pixels}
		mean, std := im.MeanStd()
		if math.Abs(float64(mean)-wantMean) > 1e-7*wantMean || math.Abs(float64(std)-wantStd) > 1e-7*wantStd {
			t.Errorf("%s: mean %v and std %v, want %v and %v", name, mean, std, wantMean, wantStd)
		}
	}
	for _, tt := range []struct {
		pixels    []byte
		mean, std float32
	}{
		{[]byte{0, 255}, 0.5, 0.5},
		{[]byte{255, 255, 255}, 1, 0},
		{slices.Repeat([]byte{77}, 1000), float32(77.0 / 255), 0},
		{nil, 0, 0},
	} {
		im := &data.Images{N: 1, H: 1, W: len(tt.pixels), Pixels: tt.pixels}
		if mean, std := im.MeanStd(); mean != tt.mean || std != tt.std {
			t.Errorf("%d pixels: mean %v and std %v, want exactly %v and %v", len(tt.pixels), mean, std, tt.mean, tt.std)
		}
	}
}

func TestStandardized(t *testing.T) {
	pixels := make([]byte, 512)
	for i := range pixels {
		pixels[i] = byte(i) // each value twice
	}
	im := &data.Images{N: 2, H: 16, W: 16, Classes: 3, Pixels: pixels, Labels: []int32{2, 1}}
	for _, tt := range []struct{ mean, std float32 }{{0.1307, 0.3081}, {0, 1}, {0.5, 1e-3}} {
		ds := im.Standardized(tt.mean, tt.std)
		if diff := cmp.Diff([]data.Field{data.Numbers("image", 256), data.Classes("label", 3)}, slices.Concat(ds.Inputs(), ds.Targets())); ds.Len() != 2 || diff != "" {
			t.Fatalf("%d samples: %s", ds.Len(), diff)
		}
		got := data.NewSample(ds)
		for i := range 2 {
			if err := ds.Sample(i, got); got.Targets[0].I32()[0] != im.Labels[i] || err != nil {
				t.Errorf("sample %d has label %d and error %v, want %d", i, got.Targets[0].I32()[0], err, im.Labels[i])
			}
			for j, x := range got.Inputs[0].F32() {
				p := im.Pixels[256*i+j]
				want := float32((float64(p)/255 - float64(tt.mean)) / float64(tt.std))
				if x != want {
					t.Fatalf("mean %v, std %v: pixel %d becomes %v, want %v", tt.mean, tt.std, p, x, want)
				}
			}
		}
	}
}

// What is standardised by its own measure has mean 0 and deviation 1.
func TestStandardizedByItsOwnMeasure(t *testing.T) {
	pixels := make([]byte, 1000)
	for i := range pixels {
		pixels[i] = byte(i * i >> 4)
	}
	im := &data.Images{N: 10, H: 10, W: 10, Classes: 1, Pixels: pixels, Labels: make([]int32, 10)}
	ds := im.Standardized(im.MeanStd())
	var sum, squares float64
	x := data.NewSample(ds)
	for i := range 10 {
		if err := ds.Sample(i, x); err != nil {
			t.Fatal(err)
		}
		for _, v := range x.Inputs[0].F32() {
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
	}
	if math.Abs(sum/1000) > 1e-6 || math.Abs(squares/1000-1) > 1e-6 {
		t.Errorf("mean %v and mean square %v, want 0 and 1", sum/1000, squares/1000)
	}
}

func TestStandardizedOfOneColour(t *testing.T) {
	im := &data.Images{N: 1, H: 2, W: 2, Classes: 1, Pixels: []byte{77, 77, 77, 77}, Labels: []int32{0}}
	ds := im.Standardized(im.MeanStd())
	to := data.NewSample(ds)
	x := to.Inputs[0].F32()
	copy(x, []float32{9, 9, 9, 9})
	if err := ds.Sample(0, to); err != nil {
		t.Fatal(err)
	}
	for _, v := range x {
		if math.Abs(float64(v)) > 1e-7 { // 77/255 in float64, less its float32
			t.Errorf("%v, want zeros", x)
		}
	}
}

// What python3 makes of it: hashlib.sha256(struct.pack(">3I6B2i", 2, 1, 3, *range(1, 7), 9, 300)).hexdigest()
func TestImagesSHA256(t *testing.T) {
	im := data.Images{N: 2, H: 1, W: 3, Classes: 301, Pixels: []byte{1, 2, 3, 4, 5, 6}, Labels: []int32{9, 300}}
	const want = "7a3c13e7e924b3f438cb334957257cc5a6c93f343bcf55cef2954c37909dc979"
	if got := im.SHA256(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	im.Classes = 1000
	if got := im.SHA256(); got != want {
		t.Errorf("with room for more classes: %s, want %s", got, want)
	}
	for name, other := range map[string]data.Images{
		"labels": {N: 2, H: 1, W: 3, Pixels: im.Pixels, Labels: []int32{9, 299}},
		"pixels": {N: 2, H: 1, W: 3, Pixels: []byte{1, 2, 3, 4, 5, 7}, Labels: im.Labels},
		"shape":  {N: 2, H: 3, W: 1, Pixels: im.Pixels, Labels: im.Labels},
	} {
		if other.SHA256() == want {
			t.Errorf("other %s have the same digest", name)
		}
	}
}

// Labels tell the number of classes, whatever their type.
func TestNewImagesCountsClasses(t *testing.T) {
	pixels := &data.IDX{Type: data.Uint8, Dims: []int{2, 1, 1}, Data: []byte{1, 2}}
	for _, tt := range []struct {
		labels  data.IDX
		classes int
		want    int // classes; 0 for an error with text
		text    string
	}{
		{data.IDX{Type: data.Uint8, Data: []byte{0, 25}}, 0, 26, ""},
		{data.IDX{Type: data.Uint8, Data: []byte{0, 255}}, 0, 256, ""},
		{data.IDX{Type: data.Uint8, Data: []byte{0, 1}}, 0, 2, ""},
		{data.IDX{Type: data.Uint8, Data: []byte{0, 1}}, 7, 7, ""},
		{data.IDX{Type: data.Uint8, Data: []byte{0, 7}}, 7, 0, "found the label 7 at index 1, expected labels from 0 to 6"},
		{data.IDX{Type: data.Int8, Data: []byte{3, 127}}, 0, 128, ""},
		{data.IDX{Type: data.Int8, Data: []byte{3, 255}}, 0, 0, "found the label -1 at index 1, expected labels from 0 to 65535"},
		{data.IDX{Type: data.Int16, Data: []byte{1, 44, 0, 0}}, 0, 301, ""},
		{data.IDX{Type: data.Int16, Data: []byte{0, 0, 255, 255}}, 9, 0, "found the label -1 at index 1, expected labels from 0 to 8"},
		{data.IDX{Type: data.Int32, Data: []byte{0, 0, 0, 1, 0, 0, 255, 255}}, 0, 65536, ""},
		{data.IDX{Type: data.Int32, Data: []byte{0, 0, 0, 1, 0, 1, 0, 0}}, 0, 0, "found the label 65536 at index 1, expected labels from 0 to 65535"},
	} {
		tt.labels.Dims = []int{2}
		im, err := data.NewImages(pixels, "p", &tt.labels, "l", tt.classes)
		if err != nil && (tt.want > 0 || err.Error() != "data: l: "+tt.text) || err == nil && im.Classes != tt.want {
			t.Errorf("%v of %d classes: %+v, %v, want %d %s", tt.labels, tt.classes, im, err, tt.want, tt.text)
		}
	}
	wide := &data.IDX{Type: data.Int16, Dims: []int{1, 1, 1}, Data: []byte{1, 2}}
	label := &data.IDX{Type: data.Uint8, Dims: []int{1}, Data: []byte{1}}
	if _, err := data.NewImages(wide, "p", label, "l", 0); err == nil || err.Error() != "data: p: found elements of type int16 (0x0b), expected uint8 (0x08)" {
		t.Errorf("pixels of int16: error %v", err)
	}
}

func TestStandardizedPanics(t *testing.T) {
	good := data.Images{N: 1, H: 2, W: 2, Classes: 1, Pixels: make([]byte, 4), Labels: make([]int32, 1)}
	short, unlabelled := good, good
	short.Pixels, unlabelled.Labels = good.Pixels[:3], nil
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for name, f := range map[string]func(){
		"std < 0":    func() { good.Standardized(0, -1) },
		"std NaN":    func() { good.Standardized(0, nan) },
		"std Inf":    func() { good.Standardized(0, inf) },
		"mean NaN":   func() { good.Standardized(nan, 1) },
		"mean Inf":   func() { good.Standardized(inf, 1) },
		"few pixels": func() { short.Standardized(0, 1) },
		"no labels":  func() { unlabelled.Standardized(0, 1) },
	} {
		mustPanic(t, name, f)
	}
}

func mustPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", name)
		}
	}()
	f()
}
