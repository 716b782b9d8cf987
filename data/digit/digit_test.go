package digit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/internal/datatest"
)

// MNIST is what it is said to be, and what is like MNIST stays as it is.
func TestMNIST(t *testing.T) {
	test := datatest.MNIST(t).Test
	strange := 0
	for i := range test.N {
		if !IsNormalized(test.Pixels[i*784:(i+1)*784], 28, 28) {
			strange++
		}
	}
	if strange > test.N/5000 {
		t.Errorf("%d of %d images of MNIST do not look like it", strange, test.N)
	}

	var off, rims int
	const n = 500
	for i := range n {
		pixels := test.Pixels[i*784 : (i+1)*784]
		got, err := Normalize(gray(28, 28, func(y, x int) byte { return pixels[28*y+x] }), 28, 28)
		if err != nil {
			t.Fatal(err)
		}
		// The box is of what has a quarter of white: a fainter rim goes, and the rest
		// grows by a twentieth. Without such a rim, only the brightness of the strokes changes.
		if faintRim(pixels) {
			rims++
			continue
		}
		for j, want := range pixels {
			if d := int(got[j]) - int(want); max(d, -d) > 8 {
				off++
				break
			}
		}
	}
	if off > n/50 || rims > n/2 {
		t.Errorf("of %d images %d have a faint rim, and %d of the others change", n, rims, off)
	}
}

// faintRim returns whether the outermost row or column of a digit that is not black
// has no pixel of a quarter of white.
func faintRim(pixels []byte) bool {
	extent := func(least byte) image.Rectangle {
		r := image.Rect(0, 0, 0, 0)
		for i, p := range pixels {
			if p >= least {
				r = r.Union(image.Rect(i%28, i/28, i%28+1, i/28+1))
			}
		}
		return r
	}
	return extent(1) != extent(72) // 64 and what stretching takes
}

func gray(h, w int, at func(y, x int) byte) *image.Gray {
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = at(i/w, i%w)
	}
	return m
}

// A bar goes where the definition says, whatever it is drawn with.
func TestNormalizeBar(t *testing.T) {
	black, white := color.Color(color.Black), color.Color(color.White)
	for _, tt := range []struct {
		name        string
		ground, ink color.Color
		picture     image.Rectangle
		bar         image.Rectangle
		h, w        int
		want        image.Rectangle
	}{
		{"tall", white, black, image.Rect(0, 0, 150, 200), image.Rect(20, 30, 60, 130), 28, 28, image.Rect(10, 4, 18, 24)},
		{"wide", white, black, image.Rect(0, 0, 300, 200), image.Rect(20, 130, 220, 180), 28, 28, image.Rect(4, 12, 24, 17)},
		{"not from the origin", black, white, image.Rect(-50, 70, 100, 270), image.Rect(-30, 100, 10, 200), 28, 28, image.Rect(10, 4, 18, 24)},
		{"larger images", white, black, image.Rect(0, 0, 150, 200), image.Rect(20, 30, 60, 130), 56, 56, image.Rect(20, 8, 36, 48)},
		{"images that are not square", white, black, image.Rect(0, 0, 150, 200), image.Rect(20, 30, 60, 130), 28, 14, image.Rect(3, 4, 11, 24)},
		{"one pixel", white, black, image.Rect(0, 0, 5, 5), image.Rect(1, 3, 2, 4), 28, 28, image.Rect(4, 4, 24, 24)},
		{"a picture that is reduced", white, black, image.Rect(0, 0, 3072, 1024), image.Rect(60, 120, 2460, 720), 28, 28, image.Rect(4, 12, 24, 17)},
		{"colours", color.RGBA{200, 200, 0, 255}, color.RGBA{20, 0, 90, 255}, image.Rect(0, 0, 150, 200), image.Rect(20, 30, 60, 130), 28, 28, image.Rect(10, 4, 18, 24)},
		{"colours of one brightness", color.RGBA{255, 0, 0, 255}, color.RGBA{0, 130, 0, 255}, image.Rect(0, 0, 150, 200), image.Rect(20, 30, 60, 130), 28, 28, image.Rect(10, 4, 18, 24)},
		{"dark on nothing", color.Transparent, color.Gray{40}, image.Rect(0, 0, 150, 200), image.Rect(20, 30, 60, 130), 28, 28, image.Rect(10, 4, 18, 24)},
		{"light on nothing", color.Transparent, color.Gray{180}, image.Rect(0, 0, 150, 200), image.Rect(20, 30, 60, 130), 28, 28, image.Rect(10, 4, 18, 24)},
		{"little contrast", color.Gray{100}, color.Gray{130}, image.Rect(0, 0, 150, 200), image.Rect(20, 30, 60, 130), 28, 28, image.Rect(10, 4, 18, 24)},
	} {
		m := image.NewNRGBA(tt.picture)
		draw.Draw(m, m.Rect, image.NewUniform(tt.ground), image.Point{}, draw.Src)
		draw.Draw(m, tt.bar, image.NewUniform(tt.ink), image.Point{}, draw.Src)
		got, err := Normalize(m, tt.h, tt.w)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		want := make([]byte, tt.h*tt.w)
		for i := range want {
			if image.Pt(i%tt.w, i/tt.w).In(tt.want) {
				want[i] = 255
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if !IsNormalized(got, tt.h, tt.w) {
			t.Errorf("%s: it is said not to look like MNIST", tt.name)
		}
	}
}

// A screenshot with round corners, which are transparent, is no digit of four corners.
func TestNormalizeTransparentCorners(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 100, 100))
	for y := range 100 {
		for x := range 100 {
			switch {
			case math.Hypot(float64(x)-49.5, float64(y)-49.5) > 60:
			case x >= 46 && x < 54 && y >= 30 && y < 70:
				m.Set(x, y, color.Black)
			default:
				m.Set(x, y, color.White)
			}
		}
	}
	got, err := Normalize(m, 28, 28)
	if err != nil || got[14*28+14] != 255 || got[14*28+8] != 0 || got[4*28+14] != 255 || got[3*28+14] != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestNormalizeSpecks(t *testing.T) {
	m := gray(120, 100, func(y, x int) byte {
		if x >= 40 && x < 60 && y >= 20 && y < 100 || y == 3 && x == 97 || y == 110 && x > 4 && x < 7 {
			return 20
		}
		return 230
	})
	got, err := Normalize(m, 28, 28)
	if err != nil || got[4*28+12] != 255 || got[23*28+16] != 255 || got[14*28+11] != 0 || got[14*28+17] != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestNormalizeEmpty(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	noise := func(deviation float64) func(y, x int) byte {
		return func(int, int) byte { return byte(min(max(128+deviation*rng.NormFloat64(), 0), 255)) }
	}
	var blank bytes.Buffer
	if err := jpeg.Encode(&blank, gray(90, 70, noise(4)), &jpeg.Options{Quality: 60}); err != nil {
		t.Fatal(err)
	}
	photo, err := Decode(&blank)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]image.Image{
		"no pixels":   image.NewGray(image.Rect(5, 5, 5, 9)),
		"one pixel":   gray(1, 1, func(int, int) byte { return 9 }),
		"white":       gray(50, 60, func(int, int) byte { return 255 }),
		"black":       gray(50, 60, func(int, int) byte { return 0 }),
		"a line":      gray(1, 1000, func(int, int) byte { return 77 }),
		"transparent": image.NewNRGBA(image.Rect(0, 0, 40, 40)),
		"faint":       gray(60, 60, func(y, x int) byte { return 200 + byte(x/30) }),
		"a gradient":  gray(60, 80, func(y, x int) byte { return byte(y + 2*x) }),
		"vignette":    gray(80, 80, func(y, x int) byte { return byte(250 - ((x-40)*(x-40)+(y-40)*(y-40))/40) }),
		"some noise":  gray(400, 300, noise(5)),
		"much noise":  gray(400, 300, noise(25)),
		"a photo":     photo,
	} {
		if got, err := Normalize(m, 28, 28); !errors.Is(err, ErrEmpty) {
			t.Errorf("%s: %v, error %v", name, got, err)
		}
	}
}

// scale agrees with the definition, computed from integrals in float64.
func TestScale(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		p := plane{h: 1 + rng.IntN(40), w: 1 + rng.IntN(40)}
		for range p.h * p.w {
			p.v = append(p.v, rng.Int32N(256))
		}
		h, w := 1+rng.IntN(30), 1+rng.IntN(30)
		got := scale(p, h, w)
		rows, columns := kernel(p.h, h), kernel(p.w, w)
		for i, v := range got.v {
			var want, weight float64
			for j, old := range p.v {
				a := rows(i/w, j/p.w) * columns(i%w, j%p.w)
				want += a * float64(old)
				weight += a
			}
			if want /= weight; math.Abs(want-float64(v)) > 0.5+1e-9 {
				t.Fatalf("%d×%d to %d×%d: pixel %d is %d, want %v", p.h, p.w, h, w, i, v, want)
			}
		}
	}
}

// kernel returns the weight of old pixel j in new pixel i: how much of it that covers,
// or where there are more new ones than old ones, how near it is.
func kernel(old, n int) func(i, j int) float64 {
	step := float64(old) / float64(n)
	return func(i, j int) float64 {
		if n <= old {
			return max(min(float64(i+1)*step, float64(j+1))-max(float64(i)*step, float64(j)), 0)
		}
		return max(1-math.Abs((float64(i)+0.5)*step-(float64(j)+0.5)), 0)
	}
}

// A surface of the third degree is found again, whatever less than half of the picture hides.
func TestGround(t *testing.T) {
	m := plane{h: 90, w: 130}
	want := make([]float64, m.h*m.w)
	for i := range want {
		x, y := float64(i%m.w)/130, float64(i/m.w)/90
		want[i] = 20000 + 30000*x - 8000*y + 9000*x*y - 15000*x*x + 6000*y*y*y + 5000*x*x*y
		v := int32(want[i])
		if x > 0.2 && x < 0.8 && y > 0.1 && y < 0.8 { // 42 %
			v = 2000
		}
		m.v = append(m.v, v)
	}
	for i, v := range m.ground() {
		if math.Abs(float64(v)-want[i]) > 10 { // a cell's mean of x² is not that of its middle
			t.Fatalf("at row %d, column %d: %d, want %v", i/m.w, i%m.w, v, want[i])
		}
	}
}

func TestRaw(t *testing.T) {
	m := image.NewNRGBA(image.Rect(3, 4, 6, 6))
	m.Set(3, 4, color.White)
	m.Set(4, 4, color.RGBA{255, 0, 0, 255})
	m.Set(5, 5, color.Gray{77})
	got, err := Raw(m, 2, 3)
	if diff := cmp.Diff([]byte{255, 76, 0, 0, 0, 77}, got); diff != "" || err != nil { // 0.299·255 is 76.2
		t.Errorf("error %v; (-want +got):\n%s", err, diff)
	}
	var size *SizeError
	if _, err := Raw(m, 3, 2); !errors.As(err, &size) || size.Width != 3 || size.Height != 2 || !strings.Contains(err.Error(), "3×2 pixels: want 2×3") {
		t.Errorf("error %v", err)
	}
}

func TestIsNormalized(t *testing.T) {
	bar := func(r image.Rectangle, light byte) []byte {
		return gray(28, 28, func(y, x int) byte {
			if image.Pt(x, y).In(r) {
				return light
			}
			return 0
		}).Pix
	}
	if !IsNormalized(bar(image.Rect(10, 4, 18, 24), 255), 28, 28) {
		t.Error("a bar in the middle is not")
	}
	for name, pixels := range map[string][]byte{
		"black":           make([]byte, 784),
		"dark on light":   bytes.Repeat([]byte{255}, 784),
		"faint":           bar(image.Rect(10, 4, 18, 24), 200),
		"too tall":        bar(image.Rect(10, 3, 18, 24), 255),
		"too small":       bar(image.Rect(10, 5, 18, 23), 255),
		"off to the left": bar(image.Rect(8, 4, 16, 24), 255),
		"too low":         bar(image.Rect(10, 6, 18, 26), 255),
	} {
		if IsNormalized(pixels, 28, 28) {
			t.Errorf("%s: it is said to be", name)
		}
	}
}

func encodings(t testing.TB, m image.Image) map[string][]byte {
	t.Helper()
	var p, j, g, b, f bytes.Buffer
	err := errors.Join(png.Encode(&p, m), jpeg.Encode(&j, m, &jpeg.Options{Quality: 95}), gif.Encode(&g, m, nil),
		bmp.Encode(&b, m), tiff.Encode(&f, m, nil))
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"png": p.Bytes(), "jpeg": j.Bytes(), "gif": g.Bytes(), "bmp": b.Bytes(), "tiff": f.Bytes(), "webp": webp(m)}
}

// webp returns a picture of two shades of grey as a lossless WebP file, by Google's
// "WebP Lossless Bitstream Specification": simple prefix codes of two symbols, no
// transforms.
func webp(m image.Image) []byte {
	var out []byte
	used := 8
	write := func(value, bits int) {
		for i := range bits {
			if used == 8 {
				out, used = append(out, 0), 0
			}
			out[len(out)-1] |= byte(value>>i&1) << used
			used++
		}
	}
	at := func(x, y int) int { return int(color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y) }
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	low, high := 255, 0
	for i := range w * h {
		low, high = min(low, at(i%w, i/w)), max(high, at(i%w, i/w))
	}
	write(0x2f, 8)
	write(w-1, 14)
	write(h-1, 14)
	write(0, 1+3+1+1+1) // no alpha, version 0, no transform, no colour cache, one set of codes
	for range 3 {       // green, red, blue
		write(1, 1) // simple
		write(1, 1) // two symbols
		write(1, 1) // of 8 bits
		write(low, 8)
		write(high, 8)
	}
	write(1|1<<2|255<<3, 11) // alpha: one symbol of 8 bits, 255
	write(1, 4)              // distance: one symbol, 0
	for i := range w * h {
		bit := 0
		if at(i%w, i/w) > low {
			bit = 1
		}
		write(bit<<2|bit<<1|bit, 3)
	}
	chunk := binary.LittleEndian.AppendUint32([]byte("WEBPVP8L"), uint32(len(out)))
	if chunk = append(chunk, out...); len(out)%2 == 1 {
		chunk = append(chunk, 0)
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(chunk))), chunk...)
}

func TestDecode(t *testing.T) {
	picture := gray(20, 30, func(y, x int) byte { return byte(200 * (x / 10 % 2)) })
	tolerance := map[string]int{"jpeg": 4, "gif": 20} // a GIF has a palette
	for format, content := range encodings(t, picture) {
		m, err := Decode(bytes.NewReader(content))
		if err != nil || m.Bounds().Dx() != 30 || m.Bounds().Dy() != 20 {
			t.Fatalf("%s: %v", format, err)
		}
		for x := range 3 {
			got := int(color.GrayModel.Convert(m.At(10*x+5, 9)).(color.Gray).Y)
			if d := got - 200*(x%2); max(d, -d) > tolerance[format] {
				t.Errorf("%s: a pixel of %d, want %d", format, got, 200*(x%2))
			}
		}
		for _, most := range []limits{{29, 1e6, 1e6}, {1e6, 599, 1e6}} {
			var size *SizeError
			if _, err := decode(bytes.NewReader(content), most); !errors.As(err, &size) || size.Width != 30 || size.Height != 20 {
				t.Errorf("%s: with limits %+v: error %v", format, most, err)
			}
		}
		var size *SizeError
		if _, err := decode(bytes.NewReader(content), limits{30, 600, len(content) / 2}); !errors.As(err, &size) || !strings.Contains(err.Error(), "too long") {
			t.Errorf("%s: a file that is too long: error %v", format, err)
		}
		if _, err := decode(bytes.NewReader(content), limits{30, 600, len(content)}); err != nil {
			t.Errorf("%s: within the limits: %v", format, err)
		}
		for _, n := range []int{0, 1, 7, len(content) / 2} {
			var damaged *FormatError
			if _, err := Decode(bytes.NewReader(content[:n])); !errors.As(err, &damaged) {
				t.Errorf("%s: the first %d bytes: error %v", format, n, err)
			}
		}
		broken := errors.New("the disk is on fire")
		var damaged *FormatError
		_, err = Decode(io.MultiReader(bytes.NewReader(content[:len(content)/2]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || errors.As(err, &damaged) {
			t.Errorf("%s: a reader that fails: %v", format, err)
		}
	}
	var damaged *FormatError
	if _, err := Decode(strings.NewReader("seven")); !errors.As(err, &damaged) || !errors.Is(err, image.ErrFormat) {
		t.Errorf("text: error %v", err)
	}
}

// resized returns a PNG file that claims another size in its header.
func resized(content []byte, width, height uint32) []byte {
	b := slices.Clone(content)
	binary.BigEndian.PutUint32(b[16:], width)
	binary.BigEndian.PutUint32(b[20:], height)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

// A header that promises too much is refused before anything is made for it.
func TestDecodeBomb(t *testing.T) {
	content := encodings(t, image.NewGray(image.Rect(0, 0, 8, 8)))["png"]
	for _, size := range [][2]uint32{{20000, 10}, {10, 20000}, {16000, 16000}, {1 << 26, 1}} {
		bomb := resized(content, size[0], size[1])
		var e *SizeError
		if _, err := Decode(bytes.NewReader(bomb)); !errors.As(err, &e) || e.Width != int(size[0]) || e.Height != int(size[1]) {
			t.Errorf("%v: error %v", size, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Decode(bytes.NewReader(bomb))
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 { // there are buffers
			t.Errorf("%v: %d bytes are allocated", size, n)
		}
	}
}

// A photograph of 48 megapixels takes a few bytes a pixel, and one beyond the limit none.
func TestDecodePhotograph(t *testing.T) {
	var content bytes.Buffer
	const w, h = 8064, 6048
	if err := jpeg.Encode(&content, &image.YCbCr{Rect: image.Rect(0, 0, w, h), Y: make([]byte, w*h), YStride: w,
		Cb: make([]byte, w*h/4), Cr: make([]byte, w*h/4), CStride: w / 2, SubsampleRatio: image.YCbCrSubsampleRatio420}, nil); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := Decode(&content)
	runtime.ReadMemStats(&after)
	if err != nil || m.Bounds().Dx() != w {
		t.Fatal(err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 3*w*h {
		t.Errorf("%d bytes are allocated for %d pixels", n, w*h)
	}
	if _, err := Normalize(m, 28, 28); !errors.Is(err, ErrEmpty) {
		t.Errorf("it is of one colour: error %v", err)
	}
}

// Exif 2.32, section 4.6.4 A: what the first row and the first column of the stored
// picture are of the upright one.
var exifTable = map[int][2]string{
	1: {"top", "left"}, 2: {"top", "right"}, 3: {"bottom", "right"}, 4: {"bottom", "left"},
	5: {"left", "top"}, 6: {"right", "top"}, 7: {"right", "bottom"}, 8: {"left", "bottom"},
}

func TestOrientation(t *testing.T) {
	const h, w = 24, 40
	upright := gray(h, w, func(y, x int) byte { return byte(60*(x/20) + 120*(y/12)) }) // a colour each quarter
	for o, sides := range exifTable {
		// Walk the upright picture away from those sides.
		away := map[string]func(i int, p *image.Point){
			"top": func(i int, p *image.Point) { p.Y = i }, "bottom": func(i int, p *image.Point) { p.Y = h - 1 - i },
			"left": func(i int, p *image.Point) { p.X = i }, "right": func(i int, p *image.Point) { p.X = w - 1 - i },
		}
		rows, columns := h, w
		if o >= 5 {
			rows, columns = w, h
		}
		stored := gray(rows, columns, func(row, column int) byte {
			var p image.Point
			away[sides[0]](row, &p)
			away[sides[1]](column, &p)
			return upright.GrayAt(p.X, p.Y).Y
		})
		content := encodings(t, stored)["jpeg"]
		for _, content := range [][]byte{withExif(content, binary.BigEndian, uint16(o)), withExif(content, binary.LittleEndian, uint16(o)), orientedTIFF(stored, uint32(o))} {
			m, err := Decode(bytes.NewReader(content))
			if err != nil || m.Bounds() != image.Rect(0, 0, w, h) {
				t.Fatalf("%d: %v, error %v", o, m.Bounds(), err)
			}
			for _, p := range []image.Point{{5, 5}, {35, 5}, {5, 20}, {35, 20}} {
				got, want := color.GrayModel.Convert(m.At(p.X, p.Y)).(color.Gray).Y, upright.GrayAt(p.X, p.Y).Y
				if max(got, want)-min(got, want) > 4 {
					t.Errorf("orientation %d: at %v %d, want %d", o, p, got, want)
				}
			}
		}
	}
	content := encodings(t, upright)["jpeg"]
	for _, o := range []uint16{0, 9, 65535} {
		if m, err := Decode(bytes.NewReader(withExif(content, binary.BigEndian, o))); err != nil || m.Bounds().Dx() != w {
			t.Errorf("orientation %d: error %v", o, err)
		}
	}
}

// orientedTIFF returns a picture as a TIFF file with an orientation.
func orientedTIFF(m *image.Gray, o uint32) []byte {
	order := binary.LittleEndian
	w, h := uint32(m.Rect.Dx()), uint32(m.Rect.Dy())
	entries := [][2]uint32{ // tag and value; 273 and 279 are where the pixels are, and how many
		{256, w}, {257, h}, {258, 8}, {259, 1}, {262, 1}, {273, 8}, {274, o}, {277, 1}, {278, h}, {279, w * h},
	}
	b := order.AppendUint32([]byte("II\x2a\x00"), 8+w*h)
	b = append(b, m.Pix...)
	b = order.AppendUint16(b, uint16(len(entries)))
	for _, e := range entries {
		b = order.AppendUint16(order.AppendUint16(b, uint16(e[0])), 3) // uint16
		b = order.AppendUint32(order.AppendUint32(b, 1), e[1])
	}
	return order.AppendUint32(b, 0)
}

// withExif puts an Exif segment with an orientation into a JPEG file, after another segment.
func withExif(content []byte, order binary.AppendByteOrder, orientation uint16) []byte {
	mark := "MM"
	if order.String() == "LittleEndian" {
		mark = "II"
	}
	tiff := []byte(mark)
	tiff = order.AppendUint16(tiff, 42)
	tiff = order.AppendUint32(tiff, 8)                                                                          // where the directory is
	tiff = order.AppendUint16(tiff, 2)                                                                          // entries
	tiff = order.AppendUint32(order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x100), 4), 1), 7) // a width
	tiff = order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x112), 3), 1)
	tiff = order.AppendUint16(order.AppendUint16(tiff, orientation), 0)
	exif := append([]byte("Exif\x00\x00"), tiff...)
	b := append(slices.Clone(content[:2]), 0xff, 0xe0, 0, 4, 1, 2)
	b = binary.BigEndian.AppendUint16(append(b, 0xff, 0xe1), uint16(len(exif)+2))
	return slices.Concat(b, exif, content[2:])
}

// Whatever a file holds, there is a digit or an error.
func FuzzDecode(f *testing.F) {
	picture := gray(12, 9, func(y, x int) byte { return byte(255 * (x / 4 % 2)) })
	for _, content := range encodings(f, picture) {
		f.Add(content)
		f.Add(content[:len(content)/2])
	}
	content := encodings(f, picture)
	f.Add(withExif(content["jpeg"], binary.LittleEndian, 6))
	f.Add(resized(content["png"], 40000, 40000))
	f.Add(resized(content["png"], 60, 1))
	f.Add(orientedTIFF(picture, 6))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := decode(bytes.NewReader(content), limits{256, 1 << 12, 1 << 16})
		if err != nil {
			return
		}
		if b := m.Bounds(); b.Dx() > 256 || b.Dy() > 256 || b.Dx()*b.Dy() > 1<<12 {
			t.Fatalf("a picture of %v", b)
		}
		checkNormalized(t, m)
	})
}

// Any pixels will do, also of a premultiplied picture that is none.
func FuzzNormalize(f *testing.F) {
	f.Add([]byte{0, 0, 0, 255, 255, 255, 255, 255}, uint8(1))
	f.Add(bytes.Repeat([]byte{200, 100, 50, 20}, 40), uint8(5))
	f.Fuzz(func(t *testing.T, pixels []byte, width uint8) {
		w := max(int(width), 1)
		h := min(len(pixels)/4/w, 100)
		checkNormalized(t, &image.RGBA{Pix: pixels, Stride: 4 * w, Rect: image.Rect(0, 0, w, h)})
	})
}

// checkNormalized fails unless the picture has a digit where it belongs, or none.
func checkNormalized(t *testing.T, m image.Image) {
	t.Helper()
	for _, size := range [][2]int{{28, 28}, {7, 40}, {1, 1}} {
		pixels, err := Normalize(m, size[0], size[1])
		if err != nil {
			if !errors.Is(err, ErrEmpty) {
				t.Fatal(err)
			}
			continue
		}
		ink := plane{size[0], size[1], make([]int32, len(pixels))}
		for i, p := range pixels {
			ink.v[i] = int32(p)
		}
		if c := ink.crop(1); len(pixels) != size[0]*size[1] || c.h < 1 || c.h > box(size[0]) || c.w > box(size[1]) {
			t.Fatalf("%v: %d pixels with a digit of %d×%d", size, len(pixels), c.h, c.w)
		}
	}
}

func BenchmarkNormalize(b *testing.B) {
	for _, side := range []int{28, 280, 4000} {
		m := gray(side, side, func(y, x int) byte { return byte(255 * (5 * x / side % 2)) })
		b.Run(fmt.Sprintf("side=%d", side), func(b *testing.B) {
			for b.Loop() {
				if _, err := Normalize(m, 28, 28); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A seven in lines of one pixel comes out as strokes of MNIST's width, however large the
// picture, and one in strokes of that width stays as it is.
func TestNormalizeThinStrokes(t *testing.T) {
	seven := func(side, pen int) image.Image {
		m := gray(side, side, func(y, x int) byte { return 255 })
		line := func(x0, y0, x1, y1 int) {
			for i := range side + 1 {
				x, y := x0+(x1-x0)*i/side, y0+(y1-y0)*i/side
				draw.Draw(m, image.Rect(x, y, x+pen, y+pen), image.Black, image.Point{}, draw.Src)
			}
		}
		line(side/4, side/5, 3*side/4, side/5)
		line(3*side/4, side/5, side/3, 4*side/5)
		return m
	}
	for _, side := range []int{30, 100, 400, 511} {
		for _, pen := range []int{1, 2, side / 50, side / 15} {
			pixels, err := Normalize(seven(side, max(pen, 1)), 28, 28)
			if err != nil {
				t.Fatal(err)
			}
			p := plane{28, 28, make([]int32, 784)}
			ink := 0
			for i, v := range pixels {
				p.v[i] = int32(v)
				ink += int(v)
			}
			// The lines are 17 + 21 long where the box is 20 high.
			if width := float64(ink) / 255 / 38; width < 1.1 || width > 3.2 {
				t.Errorf("side %d, pen %d: strokes of %.2f pixels", side, pen, width)
			}
			if c := p.crop(1); c.h < 18 || c.h > 20 || c.w < 13 || c.w > 18 {
				t.Errorf("side %d, pen %d: a box of %d×%d", side, pen, c.h, c.w)
			}
		}
	}
}

// Nearly all of MNIST is like MNIST; noise, blanks and blocks are not.
func TestUnlike(t *testing.T) {
	mnist := datatest.MNIST(t)
	for _, part := range []*data.Images{mnist.Train, mnist.Test} {
		alarms := map[string]int{}
		n := 0
		for i := range part.N {
			if why := Unlike(part.Pixels[i*784 : (i+1)*784]); why != "" {
				alarms[why]++
				n++
			}
		}
		t.Logf("%d of %d images of MNIST: %v", n, part.N, alarms)
		if n > part.N/200 {
			t.Errorf("%d of %d images of MNIST are said to be unlike it: %v", n, part.N, alarms)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for name, at := range map[string]func(y, x int) byte{
		"black":   func(y, x int) byte { return 0 },
		"white":   func(y, x int) byte { return 255 },
		"noise":   func(y, x int) byte { return byte(rng.IntN(256)) },
		"stars":   func(y, x int) byte { return byte(255 * (y * x % 9 / 8)) },
		"a block": func(y, x int) byte { return byte(255 * (y / 7 % 3 % 2)) },
		"a dot":   func(y, x int) byte { return byte(255 * (y / 14 * x / 27)) },
	} {
		if why := Unlike(gray(28, 28, at).Pix); why == "" {
			t.Errorf("%s is said to be like a digit", name)
		}
	}
}
