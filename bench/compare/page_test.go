package compare

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/bench/report"
)

// node is an element of a page.
type node struct {
	name     string
	attr     map[string]string
	text     string // its own and its descendants'
	children []*node
}

// parse reads a page as XML, which is stricter than a browser: everything is closed and
// quoted.
func parse(t testing.TB, page []byte) *node {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Entity = xml.HTMLEntity
	root := &node{}
	stack := []*node{root}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name.Local, attr: map[string]string{}}
			for _, a := range token.Attr {
				if _, twice := n.attr[a.Name.Local]; twice {
					t.Errorf("%s has %s twice", n.name, a.Name.Local)
				}
				n.attr[a.Name.Local] = a.Value
			}
			top := stack[len(stack)-1]
			top.children = append(top.children, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			for _, n := range stack {
				n.text += string(token)
			}
		}
	}
	return root
}

// all returns the descendants that are such.
func (n *node) all(is func(*node) bool) (list []*node) {
	for _, child := range n.children {
		if is(child) {
			list = append(list, child)
		}
		list = append(list, child.all(is)...)
	}
	return list
}

func named(name string) func(*node) bool { return func(n *node) bool { return n.name == name } }

func (n *node) has(class string) bool {
	return slices.Contains(strings.Fields(n.attr["class"]), class)
}

// table returns the cells of the table that follows a heading, row by row.
func (n *node) table(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	for _, region := range n.all(func(n *node) bool { return n.has("scroll") && n.attr["aria-label"] == heading }) {
		for _, row := range region.all(named("tr")) {
			var cells []string
			for _, cell := range row.children {
				cells = append(cells, strings.Join(strings.Fields(cell.text), " "))
			}
			rows = append(rows, cells)
		}
	}
	if rows == nil {
		t.Fatalf("no table %q", heading)
	}
	return rows
}

// figure returns the chart of a title.
func (n *node) figure(t *testing.T, title string) *node {
	t.Helper()
	for _, svg := range n.all(named("svg")) {
		if svg.attr["aria-label"] == title {
			return svg
		}
	}
	t.Fatalf("no figure %q", title)
	return nil
}

// samplePage is of two machines, another library, and an emulated machine.
func sampleReports() []*report.Report {
	a, b, d := newReport("A", 2, "fast", "slow"), newReport("B", 2, "other"), newReport("D", 2, "emu")
	d.Machine.Emulated = true
	a.Peers = []report.Peer{{Kernel: "onednn", Name: "oneDNN", Version: "3.5"}}
	for _, threads := range []int{1, 2} {
		peak(a, threads, "fast", 125*float64(threads))
		peak(b, threads, "other", 100*float64(threads))
		peak(d, threads, "emu", 1*float64(threads))
		for i, kernel := range []string{"fast", "slow", "onednn"} {
			for j, layout := range []string{"nn", "nt"} {
				gemm(a, 100, 100, 100, layout, "fp16", threads, kernel, 20e3*float64(1+i)*float64(1+j), 125)
				gemm(a, 512, 768, 768, layout, "fp32", threads, kernel, 9e6*float64(1+i)*float64(1+j), 125)
			}
			step(a, 16, threads, kernel, 2e6*float64(1+i))
			memory(a, fmt.Sprintf("Memory/bytes=16384/op=read/threads=%d/kernel=%s", threads, kernel), 16384, 100*float64(1+i))
			memory(a, fmt.Sprintf("Memory/bytes=67108864/op=read/threads=%d/kernel=%s", threads, kernel), 67108864, 5e6*float64(1+i))
		}
		gemm(b, 100, 100, 100, "nn", "fp16", threads, "other", 20.004e3, 100)
		gemm(d, 100, 100, 100, "nn", "fp16", threads, "emu", 4e6, 1)
		step(b, 16, threads, "other", 1e6)
		memory(a, fmt.Sprintf("Memory/bytes=16384/op=copy/threads=%d", threads), 16384, 80)
		memory(b, fmt.Sprintf("Memory/bytes=16384/op=copy/threads=%d", threads), 16384, 40)
	}
	for _, r := range []*report.Report{a, b} {
		r.Benchmarks = append(r.Benchmarks, report.Benchmark{
			Name: "Convert/elements=1024/op=widen/threads=1", Unit: report.Nanoseconds, Work: &report.Work{Amount: 1024, Unit: report.Element}, Samples: times(64),
		})
	}
	return []*report.Report{a, b, d}
}

func samplePage(t testing.TB) []byte {
	t.Helper()
	page, err := compared(t, sampleReports()...).HTML()
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// What the tables say is what the samples give: 2e6 flop in 20 µs are 100 GFLOPS.
func TestPageTables(t *testing.T) {
	page := parse(t, samplePage(t))
	sorted := slices.Sorted(slices.Values(times(20e3))) // of 11, the second and the ninth bound the median
	interval := func(scale float64) string {
		lo, hi := 2e6/sorted[8]*scale, 2e6/sorted[1]*scale
		return fmt.Sprintf("%.*f–%.*f", decimals(lo), lo, decimals(hi), hi)
	}
	want := [][]string{
		{"benchmark", "A fast", "A slow", "A oneDNN", "B other", "C emu emulated"},
		{"GFLOPS, 95% CI", "of peak", "speed-up", "GFLOPS, 95% CI", "of peak", "speed-up", "GFLOPS, 95% CI", "of peak", "speed-up", "GFLOPS, 95% CI", "of peak", "speed-up", "GFLOPS, 95% CI", "of peak", "speed-up"},
		{"100×100×100 nn", "100.0 " + interval(1), "80.0%", "", "50.00 " + interval(0.5), "40.0%", "0.500×", "33.33 " + interval(1./3), "26.7%", "0.333×",
			"99.98 " + interval(20/20.004), "100.0%", "~ 1.00×", "0.5000 " + interval(1./200), "50.0%", ""},
		{"100×100×100 nt", "50.00 " + interval(0.5), "40.0%", "", "25.00 " + interval(0.25), "20.0%", "0.500×", "16.67 " + interval(1./6), "13.3%", "0.333×", "", "", "", "", "", ""},
		{"geometric mean", "70.71", "56.6%", "", "35.36", "28.3%", "0.500×", "23.57", "18.9%", "0.333×", "99.98 of 1", "100.0% of 1", "1.00× of 1", "0.5000 of 1", "50.0% of 1", ""},
	}
	if diff := cmp.Diff(want, page.table(t, "matrix products in fp16, 1 thread")); diff != "" {
		t.Error(diff)
	}
	// 16 images in 2 ms, 1 Mflop.
	steps := page.table(t, "training steps in fp16, 2 threads")
	if row := steps[2]; !strings.HasPrefix(row[1], "0.5000 ") || row[2] != "0.5%" || row[3] != "8000" || row[4] != "" || row[8] != "0.500×" || row[16] != "2.00×" {
		t.Errorf("%q", row)
	}
}

// decimals returns how many make four digits.
func decimals(x float64) int { return 3 - int(math.Floor(math.Log10(x))) }

// Bars are as long as what they stand for, and say it.
func TestPageBars(t *testing.T) {
	page := parse(t, samplePage(t))
	bar := regexp.MustCompile(`^M([\d.]+) [\d.]+H([\d.]+)q([\d.]+) `) // to where it gets round, and on
	for _, test := range []struct {
		figure string
		want   []float64
		labels []string
	}{
		// 80 % and 40 % of the peak have a geometric mean of 56.6 %.
		{"Share of the FMA peak: matrix products in fp16, 1 thread", []float64{.8 * math.Sqrt(.5), .4 * math.Sqrt(.5), .8 / 3 * math.Sqrt(.5), .9998, .5}, []string{"57%", "28%", "19%", "100%", "50%"}},
		{"Speed-up: matrix products in fp16, 2 threads", []float64{1. / 2, 1. / 3, 20 / 20.004}, []string{"0.500×", "0.333×", "1.00× ~"}},
		{"Speed: 784-256-10, batch 16, sgd", []float64{8, 4, 8. / 3, 16, 8, 4, 8. / 3, 16}, []string{"8 k", "4 k", "2.67 k", "16 k", "8 k", "4 k", "2.67 k", "16 k"}},
		{"conversion, 1 thread", []float64{16, 16}, []string{"16.0", "16.0"}},
	} {
		svg := page.figure(t, test.figure)
		var lengths []float64
		var labels, colours []string
		for _, g := range svg.all(named("g")) {
			for _, n := range g.children {
				switch {
				case n.has("value"):
					labels = append(labels, n.text)
				case n.has("fill"):
					m := bar.FindStringSubmatch(n.attr["d"])
					x1, _ := strconv.ParseFloat(m[1], 64)
					x2, _ := strconv.ParseFloat(m[2], 64)
					r, _ := strconv.ParseFloat(m[3], 64)
					lengths = append(lengths, x2+r-x1)
					colours = append(colours, n.attr["class"])
				}
			}
		}
		if diff := cmp.Diff(test.labels, labels); diff != "" {
			t.Errorf("%s:\n%s", test.figure, diff)
		}
		if len(lengths) != len(test.want) {
			t.Fatalf("%s: %d bars, want %d", test.figure, len(lengths), len(test.want))
		}
		for i := range lengths { // to the tenth of a pixel that is written
			if got, want := lengths[i]/lengths[0], test.want[i]/test.want[0]; math.Abs(got-want) > 0.3/lengths[0]*(1+want) {
				t.Errorf("%s: bar %d is %g of the first, want %g", test.figure, i, got, want)
			}
		}
		if strings.HasPrefix(test.figure, "Speed-up") {
			if diff := cmp.Diff([]string{"fill c1", "fill c2", "fill c3 hollow"}, colours); diff != "" {
				t.Errorf("%s:\n%s", test.figure, diff)
			}
		}
	}
}

// The roofs meet at the machine balance, and each product is where it belongs.
func TestPageRoofline(t *testing.T) {
	svg := parse(t, samplePage(t)).figure(t, "Roofline of A, 1 thread")
	coordinate := func(n *node, name string) float64 {
		x, err := strconv.ParseFloat(n.attr[name], 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	// The scales, as the ticks tell.
	ticks := map[string]map[float64]float64{"middle": {}, "end": {}}
	for _, n := range svg.all(func(n *node) bool { return n.has("tick") }) {
		if value, err := strconv.ParseFloat(n.text, 64); err == nil {
			axis := map[string]string{"middle": "x", "end": "y"}[n.attr["text-anchor"]]
			ticks[n.attr["text-anchor"]][value] = coordinate(n, axis)
		}
	}
	at := func(axis string, value float64) float64 {
		one, ten := ticks[axis][10], ticks[axis][100]
		return one + (ten-one)*math.Log10(value/10)
	}
	y := func(value float64) float64 { return at("end", value) - 3.5 } // of a tick's text, not its baseline
	roofs := svg.all(func(n *node) bool { return n.has("roof") })
	// 16384 bytes in 80 ns; 64 MiB in 5 ms; 125 GFLOPS.
	l1, dram := 16384/80., 67108864/5e6
	if len(roofs) != 3 {
		t.Fatalf("%d roofs, want L1, DRAM and the peak", len(roofs))
	}
	for i, bandwidth := range []float64{dram, l1} {
		if x2, want := coordinate(roofs[i], "x2"), at("middle", 125/bandwidth); math.Abs(x2-want) > 0.5 {
			t.Errorf("a roof of %g GB/s meets the peak at %g, want %g", bandwidth, x2, want)
		}
		if y2, want := coordinate(roofs[i], "y2"), y(125); math.Abs(y2-want) > 0.5 {
			t.Errorf("a roof of %g GB/s ends at a height of %g, want %g", bandwidth, y2, want)
		}
		if x1, y1 := coordinate(roofs[i], "x1"), coordinate(roofs[i], "y1"); math.Abs(y1-y(bandwidth*math.Pow(10, (x1-at("middle", 1))/(at("middle", 10)-at("middle", 1))))) > 0.5 {
			t.Errorf("a roof of %g GB/s does not begin on its line: %g, %g", bandwidth, x1, y1)
		}
	}
	var marks []*node
	for _, g := range svg.all(named("g")) {
		if strings.HasPrefix(g.text, "A, fast\n100×100×100 nn") {
			marks = append(marks, g.all(named("circle"))...)
		}
	}
	if len(marks) != 1 {
		t.Fatalf("%d points of the product", len(marks))
	}
	// 2·100³ flop over 3·100² fp16 values; 100 and 50 GFLOPS.
	if cx, want := coordinate(marks[0], "cx"), at("middle", 200./6); math.Abs(cx-want) > 0.5 {
		t.Errorf("at an intensity of %g, want %g", cx, want)
	}
	if cy, want := coordinate(marks[0], "cy"), y(100*math.Sqrt(.5)); math.Abs(cy-want) > 0.5 {
		t.Errorf("at a height of %g, want %g", cy, want)
	}
}

// Nothing is loaded, run or followed, figures tell what they show, and names are
// escaped.
func TestPageHolds(t *testing.T) {
	data := samplePage(t)
	page := parse(t, data)
	for _, n := range page.all(func(*node) bool { return true }) {
		switch n.name {
		case "script", "img", "iframe", "object", "embed", "form", "base", "image", "use", "foreignObject":
			t.Errorf("an element %s", n.name)
		case "svg":
			if len(n.children) < 3 || n.children[0].name != "title" || n.children[1].name != "desc" || len(n.children[1].text) < 10 || n.attr["role"] != "img" {
				t.Errorf("the figure %q does not say what it is", n.attr["aria-label"])
			}
		case "meta":
			if strings.EqualFold(n.attr["http-equiv"], "refresh") {
				t.Error("it refreshes")
			}
		}
		for name, value := range n.attr {
			local := strings.HasPrefix(value, "#") || value == "data:,"
			if (name == "href" || name == "src") && !local || strings.HasPrefix(name, "on") || name == "style" {
				t.Errorf("%s has %s=%q", n.name, name, value)
			}
			if name == "href" && strings.HasPrefix(value, "#") && len(page.all(func(n *node) bool { return n.attr["id"] == value[1:] })) != 1 {
				t.Errorf("a link to %s, which is not there once", value)
			}
		}
	}
	if regexp.MustCompile(`url\(|@import|https?:`).Match(data) {
		t.Error("something to load")
	}
	if !bytes.Contains(data, []byte(`content="default-src &#39;none&#39;`)) && !bytes.Contains(data, []byte(`content="default-src 'none'`)) {
		t.Error("no content security policy")
	}
	if n := strings.Count(page.text, "Its figures say nothing about a real machine"); n != 1 {
		t.Errorf("the emulated machine is warned of %d times", n)
	}
}

// hostile is text that would be dangerous if it were taken for anything else.
const hostile = `"><script>alert(1)</script></style><!--'&amp;` + "\x1b[2J\u202e{{.}}"

func TestHostile(t *testing.T) {
	nasty := strings.NewReplacer("/", "∕", "=", "≡", " ", "").Replace(hostile) // what a name may have
	r := newReport(hostile, 2, nasty)
	r.Machine.OS, r.Machine.Arch, r.Machine.Hypervisor, r.Build.Go, r.Build.Revision, r.Suite = hostile, hostile, hostile, hostile, hostile, hostile
	r.Machine.Emulated, r.Machine.Emulator = true, hostile
	peak(r, 1, nasty, 1)
	gemm(r, 1, 1, 1, "nn", nasty, 1, nasty, 1, 1)
	gemm(r, 1, 1, 1, "nn", nasty, 1, nasty+"2", 1, 1)
	for _, name := range []string{"Gemm/m=%s/n=%[1]s/k=%[1]s/ta=%[1]s/threads=1/kernel=k", "Memory/bytes=16/op=%s/threads=1", "Convert/elements=%s/op=%[1]s/threads=%[1]s", "TrainStep/model=%s/batch=1/optimizer=%[1]s", "Other/x=%s"} {
		memory(r, fmt.Sprintf(name, nasty), 1, 1)
	}
	r.Peers = []report.Peer{{Kernel: nasty + "2", Name: hostile, Version: hostile, Core: hostile, Settings: []string{hostile}, Note: hostile}}
	r.Omitted = []report.Omission{{Name: report.Name("Gemm/x=" + nasty), Reason: hostile}}
	if _, err := r.Encode(); err != nil {
		t.Fatal("no file could have it: ", err)
	}
	other := newReport("B", 2, "k")
	gemm(other, 3, 3, 3, "nn", "fp16", 1, "k", 1, 1)
	for _, reports := range [][]*report.Report{{r}, {other, r}, {r, r}} {
		c, err := New(Input{Path: hostile, Report: reports[0]}, Input{Path: "b", Label: hostile, Report: reports[len(reports)-1]})
		if err != nil {
			t.Fatal(err)
		}
		html, err := c.HTML()
		if err != nil {
			t.Fatal(err)
		}
		page := parse(t, html)
		if found := page.all(named("script")); len(found) != 0 || strings.Count(string(html), "</style>") != 1 || bytes.Contains(html, []byte("<!--")) {
			t.Errorf("%d scripts in\n%s", len(found), html)
		}
		if !strings.Contains(page.text, `"><script>alert(1)</script></style><!--'&amp;`) {
			t.Error("the processor's name is not what it was")
		}
		var text bytes.Buffer
		if err := c.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		for _, out := range []string{text.String(), page.text} {
			if i := strings.IndexFunc(out, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }); i >= 0 {
				t.Errorf("%q in the output", out[i:min(i+20, len(out))])
			}
		}
	}
}

// FuzzCompare shows whatever a file may hold.
func FuzzCompare(f *testing.F) {
	f.Add("Gemm/m=1/n=2/k=3/dtype=fp16/threads=2/kernel=k", "Memory/bytes=99/op=copy/threads=1", "CPU", 20.0, 1e9, 3.0, uint8(7))
	f.Add("Peak/dtype=fp32/threads=2/kernel=k", "Gemm/m=0/n=0/k=0/dtype=fp16/threads=2", "", 1e-300, 1e300, 1e-5, uint8(1))
	f.Add("TrainStep/model=1-2/batch=3/optimizer=sgd/dtype=fp32/threads=64", "TrainStep/model=-/batch=0", "x", 1.0, 1e-9, 1e30, uint8(40))
	f.Add("Memory/bytes=0/op=read/threads=1/kernel=k", "Memory/bytes=18446744073709551615/op=read/threads=1/kernel=k", "x", 1.0, 1e29, 1e-29, uint8(40))
	f.Fuzz(func(t *testing.T, name1, name2, cpu string, ns, amount, peak float64, n uint8) {
		var reports []*report.Report
		for i := range 2 {
			r := newReport(cpu, 2+i, "k")
			for j, name := range []string{name1, name2} {
				b := report.Benchmark{Name: report.Name(name), Unit: report.Nanoseconds}
				if j+i > 0 {
					b.Work = &report.Work{Amount: amount, Unit: []string{report.FLOP, report.Bytes, report.Element}[int(n)%3]}
				}
				for k := range int(n%20) + 1 {
					b.Samples = append(b.Samples, ns*(1+float64(k)/8))
					b.Peak = append(b.Peak, peak)
				}
				r.Benchmarks = append(r.Benchmarks, b)
			}
			data, err := r.Encode()
			if err != nil {
				t.Skip() // no file could have it
			}
			if r, err = report.Parse("fuzz", data); err != nil {
				t.Skip()
			}
			reports = append(reports, r)
		}
		c := compared(t, reports...)
		page, err := c.HTML()
		if err != nil {
			t.Fatal(err)
		}
		parse(t, page)
		if bytes.Contains(page, []byte("NaN")) && !strings.Contains(name1+name2+cpu, "NaN") || bytes.Contains(page, []byte("Inf")) && !strings.Contains(name1+name2+cpu, "Inf") {
			t.Error("something that is not a number")
		}
		if err := c.WriteText(io.Discard); err != nil {
			t.Error(err)
		}
	})
}

// The colours of columns are told from each other by those who lack a kind of cone, too,
// as Viénot, Brettel and Mollon ("Digital video colourmaps for checking the legibility of
// displays by dichromats", 1999) simulate it.
func TestColours(t *testing.T) {
	defined := regexp.MustCompile(`--c(\d): #([0-9a-f]{6})`).FindAllStringSubmatch(pageCSS, -1)
	if len(defined) != 2*colours {
		t.Fatalf("%d colours, want %d for light and for dark", len(defined), 2*colours)
	}
	linear := func(hex string) (rgb [3]float64) {
		for i := range rgb {
			n, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
			if x := float64(n) / 255; x <= 0.04045 {
				rgb[i] = x / 12.92
			} else {
				rgb[i] = math.Pow((x+0.055)/1.055, 2.4)
			}
		}
		return rgb
	}
	times := func(m [3][3]float64, v [3]float64) (w [3]float64) {
		for i := range w {
			for j := range v {
				w[i] += m[i][j] * v[j]
			}
		}
		return w
	}
	// Oklab, https://bottosson.github.io/posts/oklab.
	oklab := func(rgb [3]float64) [3]float64 {
		lms := times([3][3]float64{{0.4122214708, 0.5363325363, 0.0514459929}, {0.2119034982, 0.6806995451, 0.1073969566}, {0.0883024619, 0.2817188376, 0.6299787005}}, rgb)
		for i := range lms {
			lms[i] = math.Cbrt(max(lms[i], 0))
		}
		return times([3][3]float64{{0.2104542553, 0.7936177850, -0.0040720468}, {1.9779984951, -2.4285922050, 0.4505937099}, {0.0259040371, 0.7827717662, -0.8086757660}}, lms)
	}
	seen := map[string][3][3]float64{
		"all cones":    {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
		"protanopia":   {{0.11238, 0.88762, 0}, {0.11238, 0.88762, 0}, {0.00401, -0.00401, 1}},
		"deuteranopia": {{0.29275, 0.70725, 0}, {0.29275, 0.70725, 0}, {-0.02234, 0.02234, 1}},
	}
	for by, matrix := range seen {
		for scheme := range 2 {
			for i := range colours {
				for j := range i {
					a, b := oklab(times(matrix, linear(defined[scheme*colours+i][2]))), oklab(times(matrix, linear(defined[scheme*colours+j][2])))
					distance := math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
					if distance < 0.09 {
						t.Errorf("%s, scheme %d: c%d and c%d are only %.3f apart", by, scheme, j, i, distance)
					}
				}
			}
		}
	}
}

// Every column has a box, and what shows a column in figures and tables goes with it.
func TestPageFilter(t *testing.T) {
	data := samplePage(t)
	page := parse(t, data)
	boxes := page.all(func(n *node) bool { return n.attr["type"] == "checkbox" })
	if len(boxes) != 5 {
		t.Fatalf("%d boxes, want one for each of 5 columns", len(boxes))
	}
	shown := map[string]map[string]int{} // by class, elements of each name
	for _, n := range page.all(func(n *node) bool { return regexp.MustCompile(`\bk\d+\b`).MatchString(n.attr["class"]) }) {
		class := regexp.MustCompile(`\bk\d+\b`).FindString(n.attr["class"])
		if shown[class] == nil {
			shown[class] = map[string]int{}
		}
		shown[class][n.name]++
	}
	for i, box := range boxes {
		class := columnClass(i)
		if rule := "body:has(#show-" + class + ":not(:checked)) ." + class + " { display: none }"; box.attr["id"] != "show-"+class || box.attr["checked"] == "" || !bytes.Contains(data, []byte(rule)) {
			t.Errorf("the box %v has no rule %s", box.attr, rule)
		}
		for _, name := range []string{"li", "g", "tr", "th", "td"} {
			if shown[class][name] == 0 {
				t.Errorf("column %d hides no %s", i, name)
			}
		}
	}
	// A column's cells are those below its head.
	for _, table := range page.all(named("table")) {
		rows := table.all(named("tr"))
		for _, row := range rows[1:] {
			if table.attr["class"] == "means" || len(row.children) < 2 || row.children[1].name != "td" {
				continue
			}
			var want []string
			for _, head := range rows[0].children[1:] {
				n, err := strconv.Atoi(head.attr["colspan"])
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, slices.Repeat([]string{head.attr["class"]}, n)...)
			}
			for i, cell := range row.children[1:] {
				if !cell.has(want[i]) {
					t.Errorf("cell %d of %q is %q, want %s", i, row.text, cell.attr["class"], want[i])
				}
			}
		}
	}
	if one := parse(t, pageOf(t, compared(t, sampleReports()[2]))); len(one.all(named("input"))) != 0 {
		t.Error("a single column has a filter")
	}
}

// Where most figures are noisy the tiles say so.
func TestPageWarnsOfNoise(t *testing.T) {
	warning := "Do not rely on these figures"
	if page := parse(t, samplePage(t)); strings.Contains(page.text, warning) {
		t.Errorf("a quiet machine: %s", warning)
	}
	noisy := sampleReports()[0]
	for _, b := range noisy.Benchmarks {
		for i := range b.Samples {
			b.Samples[i] *= 1 + 0.3*float64(i%3)
		}
	}
	page := parse(t, pageOf(t, compared(t, noisy)))
	if !strings.Contains(page.text, warning) || !regexp.MustCompile(`\d+ of the report's \d+ figures are noisy`).MatchString(page.text) {
		t.Errorf("no warning %q", warning)
	}
	for _, tile := range page.all(func(n *node) bool { return n.has("tile") }) {
		if !strings.Contains(tile.text, "noisy") && !strings.Contains(tile.text, "geometric mean") {
			t.Errorf("the tile %q does not say that it is noisy", tile.text)
		}
	}
}

// Tables that are wider than a screen say that they scroll.
func TestTableHint(t *testing.T) {
	for want, tt := range map[string]table{
		"":            {Heads: make([]string, 1), Columns: make([]int, 1)},
		"hint phone":  {Heads: make([]string, 3), Columns: make([]int, 2)},
		"hint tablet": {Heads: make([]string, 3), Columns: make([]int, 3)},
		"hint":        {Heads: make([]string, 3), Columns: make([]int, 5)},
	} {
		if got := tt.Hint(); got != want {
			t.Errorf("%d heads of %d columns: %q, want %q", len(tt.Heads), len(tt.Columns), got, want)
		}
	}
}
