package pictures_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/bmp"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/data/pictures"
	"github.com/halfgrad/halfgrad/tensor"
)

// folder writes files to a temporary folder and returns its path.
func folder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// encoded returns a picture as a file of the kind that its name tells.
func encoded(t testing.TB, name string, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch filepath.Ext(name) {
	case ".png":
		err = png.Encode(&b, m)
	case ".jpg":
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 100})
	case ".gif":
		err = gif.Encode(&b, m, nil)
	case ".bmp":
		err = bmp.Encode(&b, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// plain returns a picture of one colour.
func plain(h, w int, c color.Color) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range h * w {
		m.Set(i%w, i/w, c)
	}
	return m
}

// gray returns a grey picture of the given pixels.
func gray(w int, pixels ...byte) *image.Gray {
	return &image.Gray{Pix: pixels, Stride: w, Rect: image.Rect(0, 0, w, len(pixels)/w)}
}

func open(t testing.TB, dir string, cfg pictures.Config) (train, test *data.Images) {
	t.Helper()
	train, test, err := pictures.Open(t.Context(), dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return train, test
}

var (
	red  = color.NRGBA{255, 0, 0, 255}
	blue = color.NRGBA{0, 0, 255, 255}
)

func TestOpen(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"b/2.png":          encoded(t, ".png", gray(3, 1, 2, 3, 4, 5, 6)),
		"b/10.PNG":         encoded(t, ".png", gray(3, 10, 20, 30, 40, 50, 60)),
		"b/more/deep.bmp":  encoded(t, ".bmp", gray(3, 7, 7, 7, 7, 7, 7)),
		"B/1.gif":          encoded(t, ".gif", &image.Paletted{Pix: []byte{0, 1, 0, 0, 1, 0}, Stride: 3, Rect: image.Rect(0, 0, 3, 2), Palette: color.Palette{color.Black, color.White}}),
		"a folder/1.png":   encoded(t, ".png", gray(3, 200, 200, 200, 100, 100, 100)),
		"b/.hidden":        []byte("no picture"),
		"b/.cache/1.png":   []byte("no picture"),
		"b/Thumbs.db":      []byte("no picture"),
		".git/config":      []byte("no picture"),
		"README.txt":       []byte("no picture"),
		"b/more/.DS_Store": []byte("no picture"),
	})
	train, test := open(t, dir, pictures.Config{})
	if test != nil {
		t.Error("a test part where there is none")
	}
	var files []string
	for _, f := range train.Files {
		rel, err := filepath.Rel(dir, f)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.ToSlash(rel))
	}
	train.Files = files
	want := &data.Images{
		N: 5, H: 2, W: 3, C: 1, Classes: 3, Names: []string{"B", "a folder", "b"}, Labels: []int32{0, 1, 2, 2, 2},
		Files: []string{"B/1.gif", "a folder/1.png", "b/10.PNG", "b/2.png", "b/more/deep.bmp"},
		Pixels: []byte{0, 255, 0, 0, 255, 0 /**/, 200, 200, 200, 100, 100, 100 /**/, 10, 20, 30, 40, 50, 60, /**/
			1, 2, 3, 4, 5, 6 /**/, 7, 7, 7, 7, 7, 7},
	}
	if diff := cmp.Diff(want, train); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The parts have the classes of the first, one size, and one number of channels.
func TestOpenParts(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"train/a/1.png": encoded(t, ".png", gray(2, 1, 2)),
		"train/b/1.png": encoded(t, ".png", gray(2, 3, 4)),
		"train/c/1.png": encoded(t, ".png", gray(2, 5, 6)),
		"test/c/9.png":  encoded(t, ".png", plain(1, 2, color.NRGBA{10, 20, 30, 255})),
		"test/a/.keep":  nil,
	})
	train, test := open(t, dir, pictures.Config{})
	if train.N != 3 || test.N != 1 || test.Classes != 3 || train.C != 3 || test.C != 3 || !slices.Equal(test.Labels, []int32{2}) {
		t.Errorf("parts %+v and %+v", train, test)
	}
	if !slices.Equal(train.Pixels[:6], []byte{1, 1, 1, 2, 2, 2}) || !slices.Equal(test.Pixels, []byte{10, 20, 30, 10, 20, 30}) {
		t.Errorf("pixels %v and %v", train.Pixels, test.Pixels)
	}
	again, _ := open(t, dir, pictures.Config{})
	if again.SHA256() != train.SHA256() {
		t.Error("opened again, the digest differs")
	}
	if grey, _ := open(t, dir, pictures.Config{Channels: 1}); grey.C != 1 || !slices.Equal(grey.Pixels, []byte{1, 2, 3, 4, 5, 6}) {
		t.Errorf("in grey: %+v", grey)
	}
}

// The training part alone has its classes below it too. A class may be called train.
func TestOpenOnePart(t *testing.T) {
	p := encoded(t, ".png", gray(2, 1, 2))
	for _, tt := range []struct {
		files map[string][]byte
		want  []string
	}{
		{map[string][]byte{"train/a/1.png": p, "train/b/1.png": p}, []string{"a", "b"}},
		{map[string][]byte{"car/1.png": p, "train/1.png": p}, []string{"car", "train"}},
	} {
		if train, test := open(t, folder(t, tt.files), pictures.Config{}); test != nil || train.N != 2 || !slices.Equal(train.Names, tt.want) {
			t.Errorf("%d pictures of the classes %v and a test part %v, want the classes %v", train.N, train.Names, test, tt.want)
		}
	}
}

// Colours are those of the files; grey is 0.299·R + 0.587·G + 0.114·B, transparent is black.
func TestColours(t *testing.T) {
	half := color.NRGBA{200, 100, 50, 128}
	dir := folder(t, map[string][]byte{
		"a/1.png": encoded(t, ".png", plain(8, 8, red)),
		"a/2.jpg": encoded(t, ".jpg", plain(8, 8, color.NRGBA{100, 150, 200, 255})),
		"a/3.png": encoded(t, ".png", plain(8, 8, color.NRGBA{250, 240, 230, 0})),
		"a/4.png": encoded(t, ".png", plain(8, 8, half)),
	})
	colours, _ := open(t, dir, pictures.Config{})
	grey, _ := open(t, dir, pictures.Config{Channels: 1})
	for i, want := range [][3]float64{{255, 0, 0}, {100, 150, 200}, {0, 0, 0}, {200 * 128 / 255.0, 100 * 128 / 255.0, 50 * 128 / 255.0}} {
		off := 1.0 // rounding
		if i == 1 {
			off = 3 // JPEG's
		}
		for k := range 3 {
			if got := float64(colours.Pixels[i*192+k]); math.Abs(got-want[k]) > off {
				t.Errorf("picture %d, channel %d: %v, want %v", i, k, got, want[k])
			}
		}
		if got, want := float64(grey.Pixels[i*64]), 0.299*want[0]+0.587*want[1]+0.114*want[2]; math.Abs(got-want) > off {
			t.Errorf("picture %d in grey: %v, want %v", i, got, want)
		}
	}
}

// triangle is the definition in float64: a weight that falls to 0 over one pixel of the
// smaller picture.
func triangle(old, n, i, k int) float64 {
	ratio := float64(old) / float64(n)
	return max(0, 1-math.Abs(float64(k)+0.5-(float64(i)+0.5)*ratio)/max(ratio, 1))
}

func TestScale(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][4]int{{5, 7, 3, 4}, {5, 7, 11, 13}, {1, 1, 3, 2}, {64, 48, 5, 7}, {9, 4, 4, 9}, {3, 3, 1, 1}, {2, 2, 3, 3}, {40, 1, 7, 1}} {
		h, w, H, W := size[0], size[1], size[2], size[3]
		m := image.NewRGBA(image.Rect(0, 0, w, h))
		for i := range m.Pix {
			m.Pix[i] = byte(rng.IntN(256))
			if i%4 == 3 {
				m.Pix[i] = 255
			}
		}
		got, _ := open(t, folder(t, map[string][]byte{"a/1.png": encoded(t, ".png", m)}), pictures.Config{Height: H, Width: W})
		if got.H != H || got.W != W || got.C != 3 || len(got.Pixels) != H*W*3 {
			t.Fatalf("%v: %d×%d×%d and %d bytes", size, got.H, got.W, got.C, len(got.Pixels))
		}
		for y := range H {
			for x := range W {
				for k := range 3 {
					var sum, total float64
					for i := range h {
						for j := range w {
							weight := triangle(h, H, y, i) * triangle(w, W, x, j)
							sum += weight * float64(m.Pix[(i*w+j)*4+k])
							total += weight
						}
					}
					// Half of a unit for each rounding, of which the first has 8 bits more.
					if v := float64(got.Pixels[(y*W+x)*3+k]); math.Abs(v-sum/total) > 0.5+0.5/256+1e-9 {
						t.Errorf("%v: row %d, column %d, channel %d is %v, want %v", size, y, x, k, v, sum/total)
					}
				}
			}
		}
	}
}

// A crop has the middle: of three stripes, the second, whichever way they lie.
func TestCrop(t *testing.T) {
	for _, upright := range []bool{false, true} {
		m := image.NewNRGBA(image.Rect(0, 0, 30, 10))
		if upright {
			m = image.NewNRGBA(image.Rect(0, 0, 10, 30))
		}
		for y := range m.Rect.Dy() {
			for x := range m.Rect.Dx() {
				m.Set(x, y, red)
				if at := max(x, y); at >= 10 && at < 20 && (upright && y == at || !upright && x == at) {
					m.Set(x, y, blue)
				}
			}
		}
		dir := folder(t, map[string][]byte{"a/1.png": encoded(t, ".png", m)})
		got, _ := open(t, dir, pictures.Config{Height: 5, Width: 5, Crop: true})
		if want := bytes.Repeat([]byte{0, 0, 255}, 25); !slices.Equal(got.Pixels, want) {
			t.Errorf("upright %v: not the middle alone: %v", upright, got.Pixels)
		}
		if got, _ := open(t, dir, pictures.Config{Height: 5, Width: 5}); slices.Max(got.Pixels[:3]) != 255 || got.Pixels[0] != 255 {
			t.Errorf("upright %v: without a crop the corner is %v, want red", upright, got.Pixels[:3])
		}
	}
}

func TestOpenErrors(t *testing.T) {
	ok, other := encoded(t, ".png", gray(2, 1, 2)), encoded(t, ".png", gray(1, 1, 2))
	// A header that promises 6000×20,000 pixels: few enough for the decoder where int has 32 bits.
	bomb := slices.Clone(ok)
	binary.BigEndian.PutUint32(bomb[16:], 20000)
	binary.BigEndian.PutUint32(bomb[20:], 6000)
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		cfg   pictures.Config
		want  string // DIR stands for the folder
	}{
		{"no folders", map[string][]byte{"1.txt": ok}, pictures.Config{}, "data: DIR: found no folder, expected a folder of pictures for each class"},
		{"an empty class", map[string][]byte{"a/1.png": ok, "b/.keep": nil}, pictures.Config{}, "data: DIR/b: found no picture, expected at least one of .png, .jpg, .jpeg, .gif, .webp, .tif, .tiff, .bmp"},
		{"an empty test part", map[string][]byte{"train/a/1.png": ok, "test/a/.keep": nil}, pictures.Config{}, "data: DIR/test: found no picture, expected at least one of .png, .jpg, .jpeg, .gif, .webp, .tif, .tiff, .bmp"},
		{"parts and more", map[string][]byte{"train/a/1.png": ok, "test/a/1.png": ok, "val/a/1.png": ok}, pictures.Config{}, "data: DIR: found the folders test, train, val, expected train and test alone, train alone, or classes"},
		{"parts of other names", map[string][]byte{"train/a/1.png": ok, "valid/a/1.png": ok}, pictures.Config{}, "data: DIR: found the folders train, valid, expected train and test alone, train alone, or classes"},
		{"a stray picture", map[string][]byte{"a/1.png": ok, "2.PNG": ok}, pictures.Config{}, "data: DIR/2.PNG: found a picture beside folders, expected each in the folder of its class"},
		{"a stray picture in a part", map[string][]byte{"train/a/1.png": ok, "train/2.gif": ok}, pictures.Config{}, "data: DIR/train/2.gif: found a picture beside folders, expected each in the folder of its class"},
		{"a new class", map[string][]byte{"train/a/1.png": ok, "train/b/1.png": ok, "test/c/1.png": ok}, pictures.Config{}, "data: DIR/test/c: found a class that the training part does not have, expected one of a, b"},
		{"another file", map[string][]byte{"a/1.png": ok, "a/notes.txt": nil}, pictures.Config{}, "data: DIR/a/notes.txt: found a file of another kind, expected pictures alone: .png, .jpg, .jpeg, .gif, .webp, .tif, .tiff, .bmp"},
		{"damaged", map[string][]byte{"a/1.png": ok, "a/2.png": ok[:len(ok)-20], "b/1.png": nil}, pictures.Config{}, "data: DIR/a/2.png: found no picture, or a damaged one (png: invalid format: unexpected EOF), expected PNG, JPEG, GIF, WebP, TIFF or BMP"},
		{"no picture", map[string][]byte{"a/1.png": []byte("seven")}, pictures.Config{}, "data: DIR/a/1.png: found no picture, or a damaged one (image: unknown format), expected PNG, JPEG, GIF, WebP, TIFF or BMP"},
		{"too large", map[string][]byte{"a/1.png": ok, "b/1.png": resum(bomb)}, pictures.Config{}, "data: DIR/b/1.png: found a picture of 6000×20000 pixels, expected at most 16384 on a side and 67108864 in all"},
		{"another size", map[string][]byte{"a/1.png": ok, "b/1.png": other}, pictures.Config{}, "data: DIR/b/1.png: found a picture of 2×1 pixels (rows×columns), expected 1×2 as in DIR/a/1.png, or a size to scale all to (Config.Height and Width)"},
		{"too many bytes", map[string][]byte{"a/1.png": ok, "b/1.png": ok}, pictures.Config{Height: 10, Width: 10, MaxBytes: 199}, "data: DIR: found 2 pictures of 10×10 pixels in 1 channels, 200 bytes in all, expected at most 199 bytes: scale them (Config.Height and Width), or raise Config.MaxBytes"},
		{"too many bytes in colours", map[string][]byte{"a/1.png": ok, "b/1.png": encoded(t, ".png", plain(1, 2, red))}, pictures.Config{MaxBytes: 11}, "data: DIR: found 2 pictures of 1×2 pixels in 3 channels, 12 bytes in all, expected at most 11 bytes: scale them (Config.Height and Width), or raise Config.MaxBytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, tt.files)
			_, _, err := pictures.Open(t.Context(), dir, tt.cfg)
			var format *data.FormatError
			if want := strings.ReplaceAll(tt.want, "DIR", dir); !errors.As(err, &format) || filepath.ToSlash(err.Error()) != filepath.ToSlash(want) {
				t.Errorf("error\n%v, want a FormatError\n%s", err, want)
			}
		})
	}
	dir := folder(t, map[string][]byte{"a/1.png": ok, "a/2.png": ok})
	if _, _, err := pictures.Open(t.Context(), dir, pictures.Config{MaxBytes: 4}); err != nil {
		t.Errorf("just within the limit: %v", err)
	}
	if _, _, err := pictures.Open(t.Context(), filepath.Join(dir, "x"), pictures.Config{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := pictures.Open(ctx, dir, pictures.Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	for _, cfg := range []pictures.Config{{Height: 3}, {Height: -1, Width: -1}, {Height: 1, Width: 1 << 20}, {Channels: 2}, {Crop: true}, {MaxBytes: -1}} {
		if _, _, err := pictures.Open(t.Context(), dir, cfg); err == nil || !strings.HasPrefix(err.Error(), "pictures: ") {
			t.Errorf("%+v: error %v", cfg, err)
		}
	}
}

// resum corrects the checksum of a PNG's header.
func resum(content []byte) []byte {
	binary.BigEndian.PutUint32(content[29:], crc32.ChecksumIEEE(content[12:29]))
	return content
}

// Of several damaged files it is the first that the error names, at any number of threads.
func TestTheFirstErrorIsTold(t *testing.T) {
	files := map[string][]byte{}
	for i := range 40 {
		files[fmt.Sprintf("a/%02d.png", i)] = encoded(t, ".png", gray(2, 1, 2))
	}
	files["a/17.png"], files["a/18.png"], files["a/30.png"] = nil, nil, nil
	dir := folder(t, files)
	for range 20 {
		_, _, err := pictures.Open(t.Context(), dir, pictures.Config{})
		var format *data.FormatError
		if !errors.As(err, &format) || filepath.Base(format.File) != "17.png" {
			t.Fatalf("error %v, want that of 17.png", err)
		}
	}
}

// Links to files and to the folder of a class are followed.
func TestLinks(t *testing.T) {
	from := folder(t, map[string][]byte{"x/1.png": encoded(t, ".png", gray(2, 1, 2)), "2.png": encoded(t, ".png", gray(2, 3, 4))})
	dir := folder(t, map[string][]byte{"b/0.png": encoded(t, ".png", gray(2, 5, 6))})
	if err := errors.Join(os.Symlink(filepath.Join(from, "x"), filepath.Join(dir, "a")), os.Symlink(filepath.Join(from, "2.png"), filepath.Join(dir, "b", "2.png"))); err != nil {
		t.Skipf("no links here: %v", err)
	}
	if train, _ := open(t, dir, pictures.Config{}); !slices.Equal(train.Pixels, []byte{1, 2, 5, 6, 3, 4}) {
		t.Errorf("pixels %v", train.Pixels)
	}
}

// Coloured images, each channel by its own measure, come in batches with rows, columns and
// channels, whichever way the loader makes them.
func TestBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	im := &data.Images{N: 6, H: 2, W: 4, C: 3, Classes: 2, Pixels: make([]byte, 6*24), Labels: make([]int32, 6)}
	for i := range im.Pixels {
		im.Pixels[i] = byte(rng.IntN(256))
	}
	mean, std := im.ChannelMeanStd()
	for k := range 3 {
		var sum, squares float64
		for i := k; i < len(im.Pixels); i += 3 {
			sum += float64(im.Pixels[i]) / 255
		}
		sum /= 48
		for i := k; i < len(im.Pixels); i += 3 {
			d := float64(im.Pixels[i])/255 - sum
			squares += d * d
		}
		if math.Abs(float64(mean[k])-sum) > 1e-7 || math.Abs(float64(std[k])-math.Sqrt(squares/48)) > 1e-7 {
			t.Errorf("channel %d: mean %v and std %v, want %v and %v", k, mean[k], std[k], sum, math.Sqrt(squares/48))
		}
	}
	flat := im.StandardizedChannels(mean, std)
	for _, ds := range []data.Dataset{data.Reshape(flat, 2, 4, 3), data.Reshape(struct{ data.Dataset }{flat}, 2, 4, 3)} {
		for _, dtype := range []tensor.DType{tensor.F16, tensor.BF16, tensor.F32} {
			l, err := data.NewLoader(ds, data.LoaderConfig{BatchSize: 4, DType: dtype})
			if err != nil {
				t.Fatal(err)
			}
			for b, ok := l.Next(); ok; b, ok = l.Next() {
				if !slices.Equal(b.Inputs[0].Shape(), []int{b.Len(), 2, 4, 3}) {
					t.Fatalf("a batch of shape %v", b.Inputs[0].Shape())
				}
				want := tensor.Make(dtype, b.Inputs[0].Len())
				exact, got, rounded := make([]float32, want.Len()), make([]float32, want.Len()), make([]float32, want.Len())
				for i := range exact {
					exact[i] = float32((float64(im.Pixels[b.First*24+i])/255 - float64(mean[i%3])) / float64(std[i%3]))
				}
				want.Store(exact)
				want.Load(rounded)
				if b.Inputs[0].Elements().Load(got); !slices.Equal(got, rounded) {
					t.Errorf("%v: a batch differs", dtype)
				}
			}
		}
	}
	if _, ok := data.Reshape(data.Shift(flat, 2, 4, 1), 2, 4, 3).(data.Random); !ok {
		t.Error("what is Random is not so any more in another shape")
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "pictures")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for class, c := range map[string]color.Color{"red": red, "blue": blue} {
		for i := range 3 {
			path := filepath.Join(dir, class, fmt.Sprintf("%d.png", i))
			var b bytes.Buffer
			if err := errors.Join(png.Encode(&b, plain(40+i, 60, c)), os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
				fmt.Println(err)
				return
			}
		}
	}

	images, _, err := pictures.Open(context.Background(), dir, pictures.Config{Height: 32, Width: 32, Crop: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	mean, std := images.ChannelMeanStd()
	ds := data.Reshape(images.StandardizedChannels(mean, std), images.H, images.W, images.C)
	fmt.Println(images.N, "images of the classes", images.Names, "and the shape", ds.Inputs()[0].Shape)
	// Output: 6 images of the classes [blue red] and the shape [32 32 3]
}
