package figure

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"

	"github.com/halfgrad/halfgrad/internal/require"
)

func write1(t testing.TB, f *Figure, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, name); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// svg returns the texts of a figure, and its paths by colour, in their order.
func svg(t testing.TB, f *Figure) (texts []string, paths map[string][]string) {
	t.Helper()
	paths = map[string][]string{}
	colour := regexp.MustCompile(`(?:stroke|fill):(#[0-9A-Fa-f]{6})`)
	d := xml.NewDecoder(bytes.NewReader(write1(t, f, "x.svg")))
	inText := false
	for {
		token, err := d.Token()
		if err == io.EOF {
			return texts, paths
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			inText = e.Name.Local == "text"
			if e.Name.Local != "path" {
				continue
			}
			var d, style string
			for _, a := range e.Attr {
				switch a.Name.Local {
				case "d":
					d = a.Value
				case "style":
					style = a.Value
				}
			}
			if m := colour.FindStringSubmatch(style); m != nil {
				paths[strings.ToLower(m[1])] = append(paths[strings.ToLower(m[1])], d)
			}
		case xml.CharData:
			if inText {
				texts = append(texts, strings.TrimSpace(string(e)))
			}
		case xml.EndElement:
			inText = false
		}
	}
}

// coordinates returns the corners of a path of straight lines.
func coordinates(t testing.TB, path string) (pts []point) {
	t.Helper()
	for _, m := range regexp.MustCompile(`[ML]([-0-9.e+]+),([-0-9.e+]+)`).FindAllStringSubmatch(path, -1) {
		var p point
		if _, err := fmt.Sscan(m[1], &p.x); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(m[2], &p.y); err != nil {
			t.Fatal(err)
		}
		pts = append(pts, p)
	}
	return pts
}

func pixels(t testing.TB, f *Figure) image.Image {
	t.Helper()
	im, err := png.Decode(bytes.NewReader(write1(t, f, "x.png")))
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// at returns the colour at so many points from the left and from the top.
func at(im image.Image, x, y float64) color.NRGBA {
	scale := dpi / 72.0
	return color.NRGBAModel.Convert(im.At(int(x*scale), int(y*scale))).(color.NRGBA)
}

func light(c color.NRGBA) int { return int(c.R) + int(c.G) + int(c.B) }

func runsFigure(t testing.TB, a Axis, runs ...*Run) *Figure {
	t.Helper()
	f, err := Runs(runs, a)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRunsText(t *testing.T) {
	one := read(t, "runs/fp16.jsonl", wholeRun)
	texts, _ := svg(t, runsFigure(t, Epochs, one))
	for _, want := range []string{
		"fp16", "Loss", "Accuracy", "Loss scale", "Skipped steps, in all", "Gradient norm", "Learning rate", "Images per second",
		"training", "validation", "test", "skipped step", "epoch", "2^16", "92 %",
		"Gradients that underflow in fp16", "0 (Linear 4→2)", "gradient",
		"without scaling: 62.5 % zero, 25.0 % subnormal", "scaled: 25.0 % zero, 25.0 % subnormal",
	} {
		if !slices.Contains(texts, want) {
			t.Errorf("no %q in %q", want, texts)
		}
	}
	if slices.Contains(texts, "activation") {
		t.Error("activations are among the gradients")
	}

	// What a file does not tell is left out.
	bare := read(t, "b", `{"event":"epoch","epoch":1,"train_loss":1,"skipped_steps":0,"loss_scale":1}`)
	texts, _ = svg(t, runsFigure(t, Epochs, bare))
	for _, absent := range []string{"Accuracy", "Loss scale", "Skipped steps, in all", "Gradient norm", "Learning rate", "Images per second", "Gradients that underflow in fp16", "validation"} {
		if slices.Contains(texts, absent) {
			t.Errorf("%q without a value of it", absent)
		}
	}
	if !slices.Contains(texts, "Loss") || !slices.Contains(texts, "training") {
		t.Errorf("no loss in %q", texts)
	}

	// Runs are told apart by their names, whatever these are.
	names := []string{"x/fp16.jsonl", "y/fp16.jsonl", "fp32.jsonl", "<&\x01\xff\">.jsonl"}
	var runs []*Run
	for _, name := range names {
		runs = append(runs, read(t, name, wholeRun))
	}
	texts, paths := svg(t, runsFigure(t, Steps, runs...))
	for i, want := range []string{"x/fp16.jsonl", "y/fp16.jsonl", "fp32", `<&??">`} {
		if !slices.Contains(texts, want) {
			t.Errorf("no %q in %q", want, texts)
		}
		c := palette[i]
		if n := len(paths[fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)]); n < 5 {
			t.Errorf("%d lines of %s", n, want)
		}
	}
	if !slices.Contains(texts, "step") || slices.Contains(texts, "epoch") {
		t.Errorf("not over steps: %q", texts)
	}
}

// A run in its first epoch is drawn over steps.
func TestRunsFirstEpoch(t *testing.T) {
	r := read(t, "a", `{"event":"step","epoch":1,"steps":5,"loss":2}`+"\n"+`{"event":"step","epoch":1,"steps":10,"loss":1}`)
	if texts, _ := svg(t, runsFigure(t, Epochs, r)); !slices.Contains(texts, "step") {
		t.Errorf("not over steps: %q", texts)
	}
}

func TestRunsCount(t *testing.T) {
	r := read(t, "a", wholeRun)
	if _, err := Runs(nil, Epochs); err == nil {
		t.Error("no error for no run")
	}
	if _, err := Runs(slices.Repeat([]*Run{r}, MaxRuns), Epochs); err != nil {
		t.Error(err)
	}
	if _, err := Runs(slices.Repeat([]*Run{r}, MaxRuns+1), Epochs); err == nil || !strings.Contains(err.Error(), "8 runs: want 1 to 7") {
		t.Errorf("error %v", err)
	}
}

func TestRunsTooManyLayers(t *testing.T) {
	var content strings.Builder
	for i := range 257 {
		fmt.Fprintf(&content, `{"event":"layer","epoch":1,"steps":1,"layer":"%d","kind":"gradient","zero":0.5}`+"\n", i)
	}
	if _, err := Runs([]*Run{read(t, "a", content.String())}, Epochs); err == nil || !strings.Contains(err.Error(), "257 layers") {
		t.Errorf("error %v", err)
	}
}

// Where the lines are: epochs are spaced evenly, losses by their logarithm and accuracies
// as they are.
func TestRunsGeometry(t *testing.T) {
	var content strings.Builder
	for e, loss := range []float64{1, 0.1, 0.01, 0.001} {
		fmt.Fprintf(&content, `{"event":"epoch","epoch":%d,"validation_loss":%v,"validation_accuracy":%v}`+"\n", e+1, loss, 0.5+0.1*float64(e))
	}
	_, paths := svg(t, runsFigure(t, Epochs, read(t, "a", content.String())))
	curves := 0
	for _, path := range paths["#0072b2"] {
		pts := coordinates(t, path)
		if len(pts) != 4 {
			continue
		}
		curves++
		dx, dy := pts[1].x-pts[0].x, pts[1].y-pts[0].y
		for i := 2; i < 4; i++ {
			if math.Abs(pts[i].x-pts[i-1].x-dx) > 0.05 || math.Abs(pts[i].y-pts[i-1].y-dy) > 0.05 {
				t.Errorf("curve %d is not straight: %v", curves, pts)
			}
		}
		if rises := dy > 0; dx < 50 || math.Abs(dy) < 20 || rises != (curves == 2) { // the accuracy, in coordinates that go up
			t.Errorf("curve %d goes by %v, %v", curves, dx, dy)
		}
	}
	if curves != 2 {
		t.Errorf("%d curves of four points, want the loss and the accuracy", curves)
	}
}

func TestPanelSpan(t *testing.T) {
	of := func(ys ...float64) (c []curve) {
		for _, y := range ys {
			c = append(c, curve{points: []point{{1, y}}})
		}
		return c
	}
	for _, tt := range []struct {
		name                             string
		p                                panel
		loLeast, loMost, hiLeast, hiMost float64
	}{
		{"data", panel{scale: linear(""), curves: of(2, 12, 7)}, 1, 2, 12, 13},
		{"from 0", panel{scale: linear(""), curves: of(2, 12), zero: true}, 0, 0, 12, 13},
		{"all 0", panel{scale: linear(""), curves: of(0), zero: true}, 0, 0, 0, 1},
		{"at most 100", panel{scale: linear(""), curves: of(90, 99.9), top: 100}, 89, 90, 99.9, 100},
		{"one value", panel{scale: linear(""), curves: of(5)}, 4, 4.9, 5.1, 6},
		{"powers of two", panel{scale: log2(), curves: of(1024, 4096)}, 9, 9.5, 12.5, 13},
		{"a log scale", panel{scale: logarithmic([]float64{0.01, 1}), curves: of(0.01, 1)}, -2.2, -2, 0, 0.2},
		{"no log scale of 0", panel{scale: logarithmic([]float64{0, 1}), curves: of(0, 1)}, -0.1, 0, 1, 1.1},
	} {
		lo, hi := tt.p.span()
		if lo < tt.loLeast || lo > tt.loMost || hi < tt.hiLeast || hi > tt.hiMost {
			t.Errorf("%s: from %v to %v", tt.name, lo, hi)
		}
	}
}

func TestTicks(t *testing.T) {
	labels := func(ticks []plot.Tick) (s string) {
		for _, tick := range ticks {
			s += tick.Label + ";"
		}
		return s
	}
	for _, tt := range []struct {
		got  []plot.Tick
		want string
	}{
		{linearTicks(0, 5, ""), "0;1;2;3;4;5;"},
		{linearTicks(0, 0.1, ""), "0;0.02;0.04;0.06;0.08;0.10;"},
		{linearTicks(95.7, 98.3, " %"), "96.0 %;96.5 %;97.0 %;97.5 %;98.0 %;"},
		{linearTicks(0, 210000, ""), "0;50k;100k;150k;200k;"},
		{linearTicks(0, 2e7, ""), "0;5M;10M;15M;20M;"},
		{linearTicks(0, 1, ""), "0;0.2;0.4;0.6;0.8;1.0;"},
		{linearTicks(-2, 2, ""), "-2;-1;0;1;2;"},
		{log10Ticks(-2, 0), "0.01;0.02;0.05;0.1;0.2;0.5;1;"},
		{log10Ticks(-3.5, 1), "0.001;0.01;0.1;1;10;"},
		{log2Ticks(9.5, 13.2), "2^10;2^11;2^12;2^13;"},
		{log2Ticks(-1, 16), "2^0;2^3;2^6;2^9;2^12;2^15;"},
	} {
		if got := labels(tt.got); got != tt.want {
			t.Errorf("ticks %s want %s", got, tt.want)
		}
	}
	for _, tick := range log10Ticks(-2, 0) {
		var v float64
		if _, err := fmt.Sscan(tick.Label, &v); err != nil || math.Abs(math.Pow(10, tick.Value)-v) > 1e-12 {
			t.Errorf("the tick %s is at 10^%v", tick.Label, tick.Value)
		}
	}
}

// Many steps are drawn as means, which keep the sum.
func TestThin(t *testing.T) {
	var s []point
	for i := range 1200 {
		s = append(s, point{float64(i), float64(i % 3)})
	}
	got := thin(s)
	if len(got) != 400 || got[0] != (point{1, 1}) || math.Abs(got[399].x-1198) > 1e-9 || math.Abs(got[399].y-1) > 1e-12 {
		t.Errorf("%d points from %v to %v", len(got), got[0], got[len(got)-1])
	}
	if got := thin(s[:500]); len(got) != 500 {
		t.Errorf("%d points of 500", len(got))
	}
}

// The cells of Confusion, in points from the top left.
const (
	cellSize        = 33
	cellsX, cellsY  = 14 + 48, 62
	confusionCorner = 3 // beside the number
)

func cell(im image.Image, label, predicted int) color.NRGBA {
	return at(im, float64(cellsX+predicted*cellSize+confusionCorner), float64(cellsY+label*cellSize+confusionCorner))
}

func TestConfusion(t *testing.T) {
	counts := [][]int{{90, 0, 9}, {1, 100, 3}, {40, 0, 5}}
	f := Confusion("195 of 248 right", counts, []float64{0.909, 0.9615, 0.1111}, []float64{0.687, 1, 0.294})
	im := pixels(t, f)
	// Mistakes by their number, and right predictions by theirs.
	for _, order := range [][][2]int{{{0, 1}, {1, 0}, {1, 2}, {0, 2}, {2, 0}}, {{2, 2}, {0, 0}, {1, 1}}} {
		for i := 1; i < len(order); i++ {
			less, more := cell(im, order[i-1][0], order[i-1][1]), cell(im, order[i][0], order[i][1])
			if light(more) >= light(less) {
				t.Errorf("the cell %v of %d is %v, not darker than %v of the cell %v", order[i], counts[order[i][0]][order[i][1]], more, less, order[i-1])
			}
		}
	}
	if c := cell(im, 0, 1); c != (color.NRGBA{R: 255, G: 255, B: 255, A: 255}) {
		t.Errorf("a cell of 0 is %v", c)
	}
	if c := cell(im, 1, 1); c.B <= c.R {
		t.Errorf("right predictions are %v, want blue", c)
	}
	if c := cell(im, 2, 0); c.R <= c.B {
		t.Errorf("mistakes are %v, want vermillion", c)
	}
	texts, _ := svg(t, f)
	for _, want := range []string{"195 of 248 right", "label", "prediction", "recall", "precision", "90", "9", "40", "90.9 %", "11.1 %", "68.7 %", "100 %"} {
		if !slices.Contains(texts, want) {
			t.Errorf("no %q in %q", want, texts)
		}
	}
}

// Many classes have small cells, without numbers.
func TestConfusionManyClasses(t *testing.T) {
	const n = 100
	counts := make([][]int, n)
	for i := range counts {
		counts[i] = make([]int, n)
		counts[i][i] = 7777
	}
	texts, _ := svg(t, Confusion("many", counts, make([]float64, n), make([]float64, n)))
	if slices.Contains(texts, "7777") || !slices.Contains(texts, "98") || slices.Contains(texts, "97") {
		t.Errorf("%q", texts)
	}
}

// corner is a black image with a white quarter at its upper left.
func corner() *image.Gray {
	im := image.NewGray(image.Rect(0, 0, 4, 4))
	for i := range 4 {
		im.SetGray(i%2, i/2, color.Gray{Y: 255})
	}
	return im
}

var mistakes = []Mistake{
	{Image: corner(), Index: 17, Label: 3, Class: 8, Probability: 0.99999},
	{Image: corner(), Index: 5, Label: 12, Class: 0, Probability: 0.51234},
}

// checkCorner checks the first picture of a sheet, whose upper left is at (14, 44).
func checkCorner(t *testing.T, im image.Image) {
	t.Helper()
	const white, black = 255 * 3, 0
	for _, tt := range []struct {
		x, y float64
		want int
	}{{16, 46, white}, {44, 74, white}, {48, 74, black}, {44, 78, black}, {76, 106, black}, {16, 106, black}, {76, 46, black}, {12, 60, white}, {60, 110, white}} {
		if got := light(at(im, tt.x, tt.y)); math.Abs(float64(got-tt.want)) > 20 {
			t.Errorf("at %v, %v: %d, want %d", tt.x, tt.y, got, tt.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	f := Mistakes("2 of 2 mistakes", mistakes)
	checkCorner(t, pixels(t, f))
	texts, _ := svg(t, f)
	if want := []string{"2 of 2 mistakes", "3 →", "8", "> 99.9 %", "#17", "12 →", "0", "51.2 %", "#5"}; !slices.Equal(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), want) {
		t.Errorf("texts %q, want %q", texts, want)
	}
	m := regexp.MustCompile(`base64,([^"]+)"`).FindSubmatch(write1(t, f, "x.svg"))
	if m == nil {
		t.Fatal("no image in the SVG")
	}
	b, err := base64.StdEncoding.DecodeString(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	im, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	n := im.Bounds().Dx()
	for y := range n {
		for x := range n {
			want := uint8(0)
			if x < n/2 && y < n/2 {
				want = 255
			}
			if got := color.GrayModel.Convert(im.At(x, y)).(color.Gray).Y; got != want {
				t.Fatalf("pixel %d, %d is %d, want %d", x, y, got, want)
			}
		}
	}
	none, _ := svg(t, Mistakes("No mistake in 10 images", nil))
	if !slices.Equal(slices.DeleteFunc(none, func(s string) bool { return s == "" }), []string{"No mistake in 10 images"}) {
		t.Errorf("a sheet of nothing says %q", none)
	}
	for rows, n := range []int{1, 8, 9, 1000} { // fewer and more than a row
		many := slices.Repeat(mistakes[:1], n)
		if texts, _ := svg(t, Mistakes("", many)); strings.Count(strings.Join(texts, " "), "#17") != n {
			t.Errorf("%d: not all of %d mistakes are there", rows, n)
		}
	}
}

// A PDF is what the PNG is, as poppler sees it.
func TestPDF(t *testing.T) {
	pdftoppm, err := exec.LookPath("pdftoppm")
	if err != nil {
		require.Missing(t, "poppler", "no pdftoppm to look at PDFs with (%v); in Debian: apt-get install poppler-utils", err)
	}
	render := func(f *Figure) image.Image {
		dir := t.TempDir()
		if err := f.Save(filepath.Join(dir, "f.pdf")); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(pdftoppm, "-r", fmt.Sprint(dpi), "-png", "-singlefile", filepath.Join(dir, "f.pdf"), filepath.Join(dir, "f")).CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("pdftoppm: %v\n%s", err, out)
		}
		b, err := os.ReadFile(filepath.Join(dir, "f.png"))
		if err != nil {
			t.Fatal(err)
		}
		im, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return im
	}
	checkCorner(t, render(Mistakes("2 of 2 mistakes", mistakes)))
	r := read(t, "a", wholeRun)
	for name, f := range map[string]*Figure{
		"confusion": Confusion("title", [][]int{{90, 10}, {1, 99}}, []float64{0.9, 0.99}, []float64{0.99, 0.91}),
		"runs":      runsFigure(t, Epochs, r, r),
	} {
		got, want := render(f), pixels(t, f)
		// Text is of other weight and edges of other shades, but not much else differs.
		bounds, different := want.Bounds(), 0
		if d := got.Bounds().Size().Sub(bounds.Size()); max(d.X, -d.X, d.Y, -d.Y) > 1 {
			t.Fatalf("%s: %v, want %v", name, got.Bounds(), bounds)
		}
		for y := range bounds.Dy() {
			for x := range bounds.Dx() {
				a, b := light(color.NRGBAModel.Convert(got.At(x, y)).(color.NRGBA)), light(color.NRGBAModel.Convert(want.At(x, y)).(color.NRGBA))
				if a-b > 150 || b-a > 150 {
					different++
				}
			}
		}
		if share := float64(different) / float64(bounds.Dx()*bounds.Dy()); share > 0.02 {
			t.Errorf("%s: %.1f %% of the PDF is other than the PNG", name, 100*share)
		}
	}
}

func TestFormats(t *testing.T) {
	f := runsFigure(t, Epochs, read(t, "a", wholeRun))
	for name, magic := range map[string]string{"a.png": "\x89PNG", "b.SVG": "<?xml", "c.pdf": "%PDF-"} {
		if err := CheckPath(name); err != nil {
			t.Error(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := f.Save(path); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(b), magic) {
			t.Errorf("%s begins with %q (%v)", name, b[:8], err)
		}
	}
	for _, name := range []string{"a.gif", "a", "png", ""} {
		for _, err := range []error{CheckPath(name), f.Save(name), f.Write(io.Discard, name)} {
			if err == nil || !strings.Contains(err.Error(), ".png, .svg or .pdf") {
				t.Errorf("%q: error %v", name, err)
			}
		}
	}
	if err := f.Save(filepath.Join(t.TempDir(), "missing", "a.png")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one of a missing folder", err)
	}
	if a, b := write1(t, f, ".svg"), write1(t, f, ".svg"); !bytes.Equal(a, b) {
		t.Error("drawn twice, the figure is not the same")
	}
}
