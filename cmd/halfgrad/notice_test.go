package main

import (
	"bytes"
	"image"
	"image/draw"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/halfgrad/halfgrad/data/digit"
	"github.com/halfgrad/halfgrad/internal/datatest"
	"github.com/halfgrad/halfgrad/nn"
)

// printed returns words in four typefaces, black on white.
func printed(t *testing.T, words ...string) (pictures []image.Image) {
	t.Helper()
	for _, ttf := range [][]byte{goregular.TTF, gobold.TTF, goitalic.TTF, gomono.TTF} {
		f, err := opentype.Parse(ttf)
		if err != nil {
			t.Fatal(err)
		}
		face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: 100, DPI: 72})
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			m := image.NewGray(image.Rect(0, 0, 300, 160))
			draw.Draw(m, m.Rect, image.White, image.Point{}, draw.Src)
			(&font.Drawer{Dst: m, Src: image.Black, Face: face, Dot: fixed.P(40, 110)}).DrawString(word)
			pictures = append(pictures, m)
		}
	}
	return pictures
}

// How often predict notes that a picture may be no digit. HALFGRAD_TEST_NETWORK names a
// checkpoint to measure on all test images; without it, it is a network of one epoch, and
// the first 2000.
func TestPredictNotice(t *testing.T) {
	test := datatest.MNIST(t).Test
	out := os.Getenv("HALFGRAD_TEST_NETWORK")
	n := test.N
	if out == "" {
		n = 2000
		out = filepath.Join(t.TempDir(), "run")
		succeed(t, "train", "--epochs", "1", "--out", out)
	}
	p, err := loadPredictor(out)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := newEngine("auto", 1)
	if err != nil {
		t.Fatal(err)
	}
	if p.plan, err = p.model.Plan(nn.PlanConfig{Engine: engine, Batch: 1, Precision: p.dtype()}); err != nil {
		t.Fatal(err)
	}
	// notice returns whether there is one, and whether the class is label.
	notice := func(pixels []byte, label int) (noted, right bool) {
		probabilities, err := p.predict(pixels)
		if err != nil {
			t.Fatal(err)
		}
		q := newPrediction("", probabilities, true)
		return p.notice(pixels, q.Probability) != "", q.Class == label
	}
	noted, wrong := 0, 0
	for i := range n {
		is, right := notice(test.Pixels[i*784:(i+1)*784], int(test.Labels[i]))
		if is {
			noted++
			if !right {
				wrong++
			}
		}
	}
	t.Logf("%d of %d digits of MNIST, %d of which are misread", noted, n, wrong)
	if noted > n/20 {
		t.Errorf("%d of %d digits of MNIST are noted", noted, n)
	}
	letters := strings.Split("A C D E F G H J K L M N P Q R T U V W X Y a b c d e f h j k m n p r t u v w x y", " ")
	for _, set := range []struct {
		name     string
		pictures []image.Image
		least    float64 // share to be noted at least
		most     float64
	}{
		{"printed digits", printed(t, strings.Split("0 1 2 3 4 5 6 7 8 9", " ")...), 0, 0.3},
		{"printed letters", printed(t, letters...), 0.05, 1},
		{"words and numbers", printed(t, "12", "cat", "Hi", "42", "go", "365", "xyz", "AB"), 0.15, 1},
	} {
		n := 0
		for _, m := range set.pictures {
			pixels, err := digit.Normalize(m, 28, 28)
			if err != nil {
				t.Fatal(err)
			}
			if noted, _ := notice(pixels, 0); noted {
				n++
			}
		}
		t.Logf("%d of %d %s", n, len(set.pictures), set.name)
		if share := float64(n) / float64(len(set.pictures)); share < set.least || share > set.most {
			t.Errorf("%s: %.2f are noted, want %v to %v", set.name, share, set.least, set.most)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	noise := make([]byte, 784)
	for i := range noise {
		noise[i] = byte(rng.IntN(256))
	}

	// The command says so on stderr, or in JSON.
	dir := t.TempDir()
	path, good := filepath.Join(dir, "noise.png"), filepath.Join(dir, "seven.png")
	writePicture(t, path, noise)
	writePicture(t, good, test.Pixels[:784])
	r := command(t, "predict", "--checkpoint", out, "--raw", path, good)
	if r.code != 0 || r.stderr != "note: "+path+" is perhaps no digit: it has more ink than a digit\n" || strings.Count(r.stdout, "\n") != 2 {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	if q := predictions(t, "--checkpoint", out, "--raw", path, good); q[0].Notice != "it has more ink than a digit" || q[1].Notice != "" {
		t.Errorf("notices %q and %q", q[0].Notice, q[1].Notice)
	}

	// A network of other classes knows nothing of digits.
	small, _ := smallNetwork(t)
	if r := succeed(t, "predict", "--checkpoint", small, "--raw", path); strings.Contains(r.stdout, "digit") {
		t.Errorf("it says %s", r.stdout)
	}
	writeFile(t, path, bytes.Repeat([]byte{1}, 10))
	if r := command(t, "predict", "--checkpoint", small, path); strings.Contains(r.stderr, "digit") {
		t.Errorf("it says %s", r.stderr)
	}
}
