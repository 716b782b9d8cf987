package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/internal/datatest"
	"github.com/halfgrad/halfgrad/internal/require"
)

// picture is a form in which people have a digit.
type picture struct {
	name   string
	w, h   int // pixels
	scale  float64
	x, y   float64 // where the image's upper left corner lies
	colour func(x, y int, ink float64) color.Color
	encode func(io.Writer, image.Image) error
}

// draw returns an image of 28×28 in that form, interpolated between its pixels.
func (p picture) draw(pixels []byte) image.Image {
	at := func(y, x int) float64 {
		if y < 0 || x < 0 || y > 27 || x > 27 {
			return 0
		}
		return float64(pixels[y*28+x]) / 255
	}
	m := image.NewNRGBA64(image.Rect(0, 0, p.w, p.h))
	for y := range p.h {
		for x := range p.w {
			fy, fx := (float64(y)+0.5-p.y)/p.scale-0.5, (float64(x)+0.5-p.x)/p.scale-0.5
			iy, ix := int(math.Floor(fy)), int(math.Floor(fx))
			fy, fx = fy-float64(iy), fx-float64(ix)
			ink := (1-fy)*((1-fx)*at(iy, ix)+fx*at(iy, ix+1)) + fy*((1-fx)*at(iy+1, ix)+fx*at(iy+1, ix+1))
			m.Set(x, y, p.colour(x, y, ink))
		}
	}
	return m
}

func grey(v float64) color.Color { return color.Gray16{Y: uint16(65535 * min(max(v, 0), 1))} }

func asGray(w io.Writer, m image.Image) error {
	g := image.NewGray(m.Bounds())
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			g.Set(x, y, m.At(x, y))
		}
	}
	return png.Encode(w, g)
}

func asJPEG(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: 80}) }

func asGIF(w io.Writer, m image.Image) error { return gif.Encode(w, m, nil) }

// pictures returns the forms. The noise is from the generator, which makes it the same each time.
func samplePictures() []picture {
	rng := rand.New(rand.NewPCG(1, 2))
	onBlack := func(_, _ int, ink float64) color.Color { return grey(ink) }
	onWhite := func(_, _ int, ink float64) color.Color { return grey(1 - ink) }
	paper := func(light func(x, y int) float64) func(x, y int, ink float64) color.Color {
		return func(x, y int, ink float64) color.Color {
			return grey(light(x, y)*(1-0.7*ink) + 0.01*rng.NormFloat64())
		}
	}
	return []picture{
		{"raw", 28, 28, 1, 0, 0, onBlack, asGray},
		{"upscaled", 196, 196, 7, 0, 0, onBlack, asGray},
		{"upscaled by no whole number", 150, 140, 5.3, 3, -4, onBlack, asGray},
		{"half size", 14, 14, 0.5, 0, 0, onWhite, asGray},
		{"inverted", 28, 28, 1, 0, 0, onWhite, asGray},
		{"inverted, as a small JPEG", 28, 28, 1, 0, 0, onWhite, asJPEG},
		{"wide margins, off-centre", 300, 250, 3, 200, 10, onWhite, asGray},
		{"narrow margins", 132, 132, 6, -18, -18, onWhite, asGray},
		{"JPEG", 196, 196, 7, 0, 0, onWhite, asJPEG},
		{"GIF", 84, 84, 3, 0, 0, onWhite, asGIF},
		{"black on nothing", 140, 140, 5, 0, 0, func(_, _ int, ink float64) color.Color { return color.NRGBA64{A: uint16(65535 * ink)} }, png.Encode},
		{"white on nothing", 140, 140, 5, 0, 0, func(_, _ int, ink float64) color.Color {
			return color.NRGBA64{65535, 65535, 65535, uint16(65535 * ink)}
		}, png.Encode},
		{"16 bits, faint", 140, 140, 5, 0, 0, func(_, _ int, ink float64) color.Color { return grey(0.5 - 0.1*ink) }, png.Encode},
		{"red on green of one brightness", 140, 140, 5, 0, 0, func(_, _ int, ink float64) color.Color {
			return color.NRGBA64{uint16(65535 * ink), uint16(33000 * (1 - ink)), 0, 65535}
		}, asJPEG},
		{"noise", 200, 200, 5, 45, 20, func(_, _ int, ink float64) color.Color { return grey(0.8 - 0.6*ink + 0.04*rng.NormFloat64()) }, asJPEG},
		{"light from one side", 200, 170, 5, 35, 15, paper(func(x, y int) float64 { return 0.45 + 0.5*float64(x+y)/370 }), asJPEG},
		{"dark corners", 200, 170, 5, 35, 15, paper(func(x, y int) float64 {
			return 0.9 - 0.3*(math.Pow(float64(x-100)/100, 2)+math.Pow(float64(y-85)/100, 2))
		}), asJPEG},
		{"soft shadow", 200, 170, 5, 35, 15, paper(func(x, y int) float64 {
			return 0.9 - 0.4*min(max(float64(x-y)/100+0.5, 0), 1)
		}), asJPEG},
		{"chalk", 200, 170, 5, 35, 15, func(x, y int, ink float64) color.Color {
			return grey(0.15 + 0.2*float64(x+y)/370 + 0.5*ink + 0.03*rng.NormFloat64())
		}, asJPEG},
		{"specks", 200, 200, 5, 20, 40, func(_, _ int, ink float64) color.Color {
			if rng.IntN(2000) == 0 {
				ink = 1
			}
			return grey(1 - ink)
		}, asGray},
	}
}

// predictions runs the command with --json.
func predictions(t *testing.T, args ...string) (lines []prediction) {
	t.Helper()
	r := command(t, append([]string{"predict", "--json"}, args...)...)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	for line := range strings.Lines(r.stdout) {
		var p prediction
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		lines = append(lines, p)
	}
	return lines
}

// writePicture writes an image as a PNG of its own size.
func writePicture(t *testing.T, path string, pixels []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, &image.Gray{Pix: pixels, Stride: 28, Rect: image.Rect(0, 0, 28, 28)}); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, b.Bytes())
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// In whatever form it comes, a digit is told about as well as from MNIST's own pixels.
//
// The bound: the rim of an image of MNIST is of any light, so that where the digit
// ends is known to a pixel and no better. So as many have to be right as of the
// images themselves where these are moved by a pixel, in the worst of four directions.
func TestPredictMNIST(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a network is trained and hundreds of pictures are looked at")
	}
	n := 20 // pictures of each kind
	if require.Full() {
		n = 100
	}
	test := datatest.MNIST(t).Test
	folder, out := t.TempDir(), t.TempDir()
	if r := command(t, "train", "--epochs", "1", "--out", out); r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	sample := func(k int) (pixels []byte, label int) {
		i := k * test.N / n
		return test.Pixels[i*784 : (i+1)*784], int(test.Labels[i])
	}
	// right returns how many are, and fails where a picture is of another class than it was given.
	right := func(t *testing.T, flags []string, write func(w io.Writer, pixels []byte) error) (correct int, predicted []prediction) {
		var files []string
		for k := range n {
			pixels, _ := sample(k)
			var b bytes.Buffer
			if err := write(&b, pixels); err != nil {
				t.Fatal(err)
			}
			files = append(files, filepath.Join(folder, fmt.Sprint(k)))
			writeFile(t, files[k], b.Bytes())
		}
		predicted = predictions(t, slices.Concat([]string{"--checkpoint", out}, flags, files)...)
		for k, p := range predicted {
			if _, label := sample(k); p.Class == label {
				correct++
			}
			if p.File != files[k] {
				t.Errorf("line %d is about %s, want %s", k, p.File, files[k])
			}
		}
		return correct, predicted
	}

	want := n
	for _, shift := range []int{-28, -1, 1, 28} {
		moved, _ := right(t, []string{"--raw"}, func(w io.Writer, pixels []byte) error {
			m := image.NewGray(image.Rect(0, 0, 28, 28))
			for i, p := range pixels {
				if to := i + shift; to >= 0 && to < len(pixels) {
					m.Pix[to] = p
				}
			}
			return png.Encode(w, m)
		})
		want = min(want, moved)
	}
	t.Logf("of %d images moved by a pixel, %d are right", n, want)
	if want < n*8/10 {
		t.Fatalf("of %d images moved by a pixel only %d are right: that is no bound", n, want)
	}
	for _, p := range samplePictures() {
		t.Run(p.name, func(t *testing.T) {
			correct, predicted := right(t, nil, func(w io.Writer, pixels []byte) error { return p.encode(w, p.draw(pixels)) })
			t.Logf("%d of %d are right", correct, n)
			if correct < want {
				t.Errorf("%d of %d are right, want %d", correct, n, want)
			}
			for _, q := range predicted {
				if q.Raw != (p.name == "raw") {
					t.Fatalf("raw is %v: %+v", q.Raw, q)
				}
			}
		})
	}
}

// smallNetwork returns the folder of a trained network, and images that it has not seen.
func smallNetwork(t *testing.T) (out string, test *data.Images) {
	t.Helper()
	dir := smallData(t)
	args, out := trainArgs(t, dir)
	succeed(t, args...)
	mnist, err := data.LoadMNIST(t.Context(), data.Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return out, mnist.Test
}

// Pixels as they are give what eval gives.
func TestPredictRaw(t *testing.T) {
	for _, precision := range []string{"fp16", "fp32"} {
		dir := smallData(t)
		args, out := trainArgs(t, dir, "--precision", precision)
		accuracy := succeed(t, args...).accuracy(t)
		mnist, err := data.LoadMNIST(t.Context(), data.Source{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		flags := []string{"--checkpoint", out, "--raw", "--threads", "1"}
		for i := range mnist.Test.N {
			flags = append(flags, filepath.Join(folder, fmt.Sprintf("%d.png", i)))
			writePicture(t, flags[len(flags)-1], mnist.Test.Pixels[i*784:(i+1)*784])
		}
		correct := 0
		lines := predictions(t, flags...)
		for i, p := range lines {
			if p.Class == int(mnist.Test.Labels[i]) {
				correct++
			}
			var sum float64
			for _, q := range p.Probabilities {
				sum += float64(q)
			}
			if len(p.Probabilities) != 10 || math.Abs(sum-1) > 1e-6 || p.Probability != slices.Max(p.Probabilities) || p.Probabilities[p.Class] != p.Probability || !p.Raw {
				t.Fatalf("%+v", p)
			}
		}
		if got := float64(correct) / float64(len(lines)); got != accuracy {
			t.Errorf("%s: %v are right, eval said %v", precision, got, accuracy)
		}
		if other := predictions(t, append(flags, "--kernel", "generic", "--threads", "2")...); fmt.Sprint(other) != fmt.Sprint(lines) {
			t.Errorf("%s: another kernel says something else", precision)
		}
	}
}

func TestPredictText(t *testing.T) {
	out, test := smallNetwork(t)
	path := filepath.Join(t.TempDir(), "a.png")
	writePicture(t, path, test.Pixels[:784])
	p := predictions(t, "--checkpoint", out, "--raw", path)[0]
	line := func(flags ...string) string {
		return succeed(t, append([]string{"predict", "--checkpoint", filepath.Join(out, checkpointName), "--raw", path}, flags...)...).stdout
	}
	first := fmt.Sprintf("%s: %d (%.4f)", path, p.Class, p.Probability)
	if got := line("--top", "1"); got != first+"\n" {
		t.Errorf("--top 1: %q, want %q", got, first)
	}
	rest := slices.Sorted(slices.Values(p.Probabilities))
	slices.Reverse(rest)
	if got := line(); !strings.HasPrefix(got, first+", then ") || !strings.HasSuffix(got, fmt.Sprintf("(%.4f)\n", rest[2])) || strings.Count(got, "(") != 3 {
		t.Errorf("%q", got)
	}
	if got := line("--top", "99"); strings.Count(got, "(") != 10 {
		t.Errorf("--top 99: %q", got)
	}

	pixels := make([]byte, 784)
	copy(pixels[28:], []byte{255, 128, 0, 64, 200})
	writePicture(t, path, pixels)
	drawn := strings.Split(line("--show"), "\n")
	if len(drawn) != 1+28+1 || drawn[2] != "██▒▒  ░░▓▓"+strings.Repeat("  ", 23) || strings.Trim(drawn[1], " ") != "" {
		t.Errorf("%q", drawn)
	}
}

// The standard input, for which it takes a process.
func TestPredictStdin(t *testing.T) {
	out, test := smallNetwork(t)
	path := filepath.Join(t.TempDir(), "a.png")
	writePicture(t, path, test.Pixels[:784])
	want := succeed(t, "predict", "--checkpoint", out, "--raw", path).stdout
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(os.Args[0], "predict", "--checkpoint", out, "--raw", "-")
	cmd.Env = append(os.Environ(), "HALFGRAD_TEST_MAIN=1")
	cmd.Stdin = file
	got, err := cmd.Output()
	if err != nil || string(got) != strings.Replace(want, path, "-", 1) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// A file that is none of use is named, with the reason; the others are looked at.
func TestPredictBadPictures(t *testing.T) {
	out, test := smallNetwork(t)
	dir := t.TempDir()
	good := filepath.Join(dir, "good.png")
	writePicture(t, good, test.Pixels[:784])
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	huge := slices.Clone(content) // the width and height are at byte 16, a checksum at byte 29
	copy(huge[16:], []byte{0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20})
	sum := crc32.ChecksumIEEE(huge[12:29])
	copy(huge[29:], []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	var small bytes.Buffer
	if err := png.Encode(&small, image.NewGray(image.Rect(0, 0, 5, 9))); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		content []byte
		flags   []string
		want    string
	}{
		"text.png":      {[]byte("seven"), nil, "not a picture (PNG, JPEG, GIF, WebP, TIFF or BMP)"},
		"nothing.png":   {[]byte{}, nil, "not a picture (PNG, JPEG, GIF, WebP, TIFF or BMP), or damaged: unexpected EOF"},
		"truncated.png": {content[:len(content)/2], nil, "or damaged: "},
		"damaged.png":   {slices.Concat(content[:60], []byte{content[60] + 1}, content[61:]), nil, "or damaged: "},
		"huge.png":      {huge, nil, "20000×20000 pixels: want at most 16384 on a side"},
		"blank.png":     {small.Bytes(), nil, "empty"},
		"small.png":     {small.Bytes(), []string{"--raw"}, "5×9 pixels: want 28×28"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			writeFile(t, path, tt.content)
			r := command(t, slices.Concat([]string{"predict", "--checkpoint", out, path, good}, tt.flags)...)
			checkUsageError(t, r, name, tt.want)
			if !strings.HasPrefix(r.stdout, good+": ") || strings.Count(r.stdout, "\n") != 1 {
				t.Errorf("the other is not there: %q", r.stdout)
			}
			if strings.Count(r.stderr, name) != 1 {
				t.Errorf("it is named more than once: %s", r.stderr)
			}
		})
	}
	folder, missing := filepath.Join(dir, "folder"), filepath.Join(dir, "missing.png")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	r := command(t, "predict", "--checkpoint", out, missing, good, folder)
	checkUsageError(t, r, "folder", "missing.png", "; ")
	if strings.Count(r.stdout, "\n") != 1 {
		t.Errorf("%q", r.stdout)
	}
}

func TestPredictBadFlags(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--epochs", "1")
	succeed(t, args...)
	path := filepath.Join(t.TempDir(), "a.png")
	writePicture(t, path, make([]byte, 784))
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{path}, []string{"--checkpoint"}},
		{[]string{"--checkpoint", out}, []string{"<image>"}},
		{[]string{"--checkpoint", filepath.Join(dir, "none"), path}, []string{"none", "there is no checkpoint"}},
		{[]string{"--checkpoint", path, path}, []string{"a.png", "not a safetensors file"}},
		{[]string{"--checkpoint", out, "--top", "0", path}, []string{"--top 0"}},
		{[]string{"--checkpoint", out, "--show", "--json", path}, []string{"--show and --json"}},
		{[]string{"--checkpoint", out, "--kernel", "x", path}, []string{`"x"`}},
		{[]string{"--checkpoint", out, "--threads", "-1", path}, []string{"--threads -1"}},
	} {
		checkUsageError(t, command(t, append([]string{"predict"}, tt.args...)...), tt.want...)
	}
}
