package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/bench/report"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

// newReport returns a report of a machine, without benchmarks.
func newReport(cpu string, cores int, kernels ...string) *report.Report {
	return &report.Report{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Suite: "quick", Seconds: 1,
		Build:    report.Build{Go: "go1.26.0", Revision: "0123456789abcdef"},
		Machine:  report.Machine{OS: "linux", Arch: "amd64", CPU: cpu, Cores: cores, Caches: report.Caches{L1D: 32 << 10, L2: 1 << 20, L3: 32 << 20}, Kernels: kernels},
		Settings: report.Settings{Kernels: kernels, Threads: []int{1, cores}, Rounds: 11},
	}
}

// times returns 11 samples around ns that are never the same, not in order.
func times(ns float64) []float64 {
	var list []float64
	for i := range 11 {
		list = append(list, ns*(1+float64((i*7+3)%11-5)/1000)) // 0.995 … 1.005
	}
	return list
}

// same returns 11 times the same.
func same(x float64) []float64 { return slices.Repeat([]float64{x}, 11) }

// gemm adds a product that takes so long, on a machine of such a peak.
func gemm(r *report.Report, m, n, k int, layout, dtype string, threads int, kernel string, ns, peak float64) *report.Benchmark {
	r.Benchmarks = append(r.Benchmarks, report.Benchmark{
		Name: report.Name(fmt.Sprintf("Gemm/m=%d/n=%d/k=%d/ta=%c/tb=%c/dtype=%s/threads=%d/kernel=%s", m, n, k, layout[0], layout[1], dtype, threads, kernel)),
		Unit: report.Nanoseconds, Work: &report.Work{Amount: 2 * float64(m) * float64(n) * float64(k), Unit: report.FLOP},
		Samples: times(ns), Peak: same(peak),
	})
	return &r.Benchmarks[len(r.Benchmarks)-1]
}

func peak(r *report.Report, threads int, kernel string, gflops float64) {
	r.Benchmarks = append(r.Benchmarks, report.Benchmark{
		Name: report.Name(fmt.Sprintf("Peak/dtype=fp32/threads=%d/kernel=%s", threads, kernel)), Unit: report.GFLOPS, Samples: times(gflops),
	})
}

func memory(r *report.Report, name string, bytes, ns float64) {
	r.Benchmarks = append(r.Benchmarks, report.Benchmark{Name: report.Name(name), Unit: report.Nanoseconds, Work: &report.Work{Amount: bytes, Unit: report.Bytes}, Samples: times(ns)})
}

func step(r *report.Report, batch, threads int, kernel string, ns float64) {
	r.Benchmarks = append(r.Benchmarks, report.Benchmark{
		Name: report.Name(fmt.Sprintf("TrainStep/model=784-256-10/batch=%d/optimizer=sgd/dtype=fp16/threads=%d/kernel=%s", batch, threads, kernel)),
		Unit: report.Nanoseconds, Work: &report.Work{Amount: 1e6, Unit: report.FLOP}, Samples: times(ns), Peak: same(100),
	})
}

// compared is New of reports, called a.json, b.json, ….
func compared(t testing.TB, reports ...*report.Report) *Comparison {
	t.Helper()
	var inputs []Input
	for i, r := range reports {
		inputs = append(inputs, Input{Path: fmt.Sprintf("some/%c.json", 'a'+i), Report: r})
	}
	c, err := New(inputs...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cell finds what was measured.
func (c *Comparison) cell(t *testing.T, name report.Name, column string) *Cell {
	t.Helper()
	i := slices.IndexFunc(c.Columns, func(col Column) bool { return col.Key == column })
	for _, g := range c.Groups {
		for _, row := range g.Rows {
			if row.Name == name && i >= 0 {
				return row.Cells[i]
			}
		}
	}
	t.Fatalf("no row %s or no column %q", name, column)
	return nil
}

func keys(c *Comparison) (list []string) {
	for _, col := range c.Columns {
		list = append(list, col.Key)
	}
	return list
}

const product = report.Name("Gemm/m=100/n=100/k=100/ta=n/tb=n/dtype=fp16/threads=1")

func TestCells(t *testing.T) {
	a, b := newReport("A", 2, "fast", "slow"), newReport("B", 2, "other")
	gemm(a, 100, 100, 100, "nn", "fp16", 1, "fast", 20e3, 125)
	gemm(a, 100, 100, 100, "nn", "fp16", 1, "slow", 50e3, 125)
	gemm(b, 100, 100, 100, "nn", "fp16", 1, "other", 20.004e3, 200)
	c := compared(t, a, b)
	if diff := cmp.Diff([]string{"A fast", "A slow", "B other"}, keys(c)); diff != "" || c.Base != 0 {
		t.Fatalf("base %d\n%s", c.Base, diff)
	}

	// 2e6 flop in 20 µs are 100 GFLOPS, 80 % of 125. The interval of the median of 11 is
	// from the second to the ninth in order (David and Nagaraja, "Order Statistics", 7.1).
	fast := c.cell(t, product, "A fast")
	sorted := slices.Sorted(slices.Values(times(20e3)))
	if !near(fast.Median, 100) || fast.Unit != "GFLOPS" || !near(fast.Interval.Lo, 2e6/sorted[8]) || !near(fast.Interval.Hi, 2e6/sorted[1]) {
		t.Errorf("%+v (%+v)", fast, fast.Interval)
	}
	if !near(fast.Share.Median, 0.8) || fast.Samples != 11 || fast.Noise != "" || fast.Images != nil || fast.Speedup != nil {
		t.Errorf("%+v, a share of %+v", fast, fast.Share)
	}
	if want := sorted[5]/sorted[1] - 1; !near(fast.Deviation(), want) {
		t.Errorf("±%g, want %g", fast.Deviation(), want)
	}

	// Eleven samples that are all slower than eleven others: in 2 of C(22, 11) cases.
	slow := c.cell(t, product, "A slow").Speedup
	if !near(slow.Ratio, 0.4) || !near(slow.P, 2.0/705432) || !slow.Significant {
		t.Errorf("%+v, want 0.4 and p = %g", slow, 2.0/705432)
	}
	other := c.cell(t, product, "B other").Speedup
	if !near(other.Ratio, 20e3/20.004e3) || other.P < 0.5 || other.Significant || other.String() != "~" {
		t.Errorf("%+v, want one that may be chance", other)
	}
}

// Few samples have no interval, which JSON could not hold as an infinite one.
func TestFewSamples(t *testing.T) {
	r := newReport("A", 1, "k")
	b := gemm(r, 100, 100, 100, "nn", "fp16", 1, "k", 20e3, 125)
	b.Samples, b.Peak = b.Samples[:3], b.Peak[:3]
	c := compared(t, r)
	cell := c.cell(t, product, "k")
	if cell.Interval != nil || cell.Share.Interval != nil || !math.IsInf(cell.Deviation(), 1) || cell.Noise == "" {
		t.Errorf("%+v", cell)
	}
	if _, err := json.Marshal(c); err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	plain := func(change func(r *report.Report)) *report.Report {
		r := newReport("Intel(R) Xeon(R) Gold 6548Y CPU @ 2.50GHz", 2, "avx2")
		gemm(r, 1, 1, 1, "nn", "fp16", 1, "avx2", 1, 1)
		change(r)
		return r
	}
	nothing := func(*report.Report) {}
	for _, test := range []struct {
		name    string
		reports []*report.Report
		labels  []string // the user's
		want    []string // names of the columns
	}{
		{"one", []*report.Report{plain(nothing)}, nil, []string{"avx2"}},
		{"processors", []*report.Report{plain(nothing), plain(func(r *report.Report) { r.Machine.CPU = "AMD EPYC 9654 96-Core Processor" })}, nil, []string{"Intel Xeon Gold 6548Y, avx2", "AMD EPYC 9654, avx2"}},
		{"none known", []*report.Report{plain(nothing), plain(func(r *report.Report) { r.Machine.CPU, r.Machine.Arch, r.Machine.Emulated = "", "arm64", true })}, nil, []string{"Intel Xeon Gold 6548Y, avx2", "arm64 (emulated), avx2"}},
		{"commits", []*report.Report{plain(nothing), plain(func(r *report.Report) { r.Build.Modified = true })}, nil, []string{"0123456789, avx2", "0123456789 (modified), avx2"}},
		{"files", []*report.Report{plain(nothing), plain(nothing)}, nil, []string{"a, avx2", "b, avx2"}},
		{"labels", []*report.Report{plain(nothing), plain(nothing)}, []string{"old", "new"}, []string{"old, avx2", "new, avx2"}},
		{"the same label", []*report.Report{plain(nothing), plain(nothing)}, []string{"x", "x"}, []string{"x, avx2", "x, avx2"}},
		{"peers", []*report.Report{plain(func(r *report.Report) {
			gemm(r, 1, 1, 1, "nn", "fp16", 1, "onednn", 1, 1)
			gemm(r, 1, 1, 1, "nn", "fp16", 1, "mystery", 1, 1)
			r.Peers = []report.Peer{{Kernel: "onednn", Name: "oneDNN", Version: "3.5"}}
		})}, nil, []string{"avx2", "oneDNN", "mystery"}},
	} {
		var inputs []Input
		for i, r := range test.reports {
			in := Input{Path: fmt.Sprintf("some/%c.json", 'a'+i), Report: r}
			if test.labels != nil {
				in.Label = test.labels[i]
			}
			inputs = append(inputs, in)
		}
		c, err := New(inputs...)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, col := range c.Columns {
			names = append(names, col.Name)
			if own := col.Kernel == "avx2"; col.Peer == own {
				t.Errorf("%s: %s: peer %v", test.name, col.Name, col.Peer)
			}
		}
		if diff := cmp.Diff(test.want, names); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
	if got := []string{letters(0), letters(25), letters(26), letters(53)}; !slices.Equal(got, []string{"A", "Z", "AA", "BB"}) {
		t.Error(got)
	}
	if _, err := New(); err == nil {
		t.Error("nothing was compared")
	}
}

func TestAspects(t *testing.T) {
	a, b := newReport("A", 2, "k"), newReport("A", 4, "k", "l")
	b.Build.Revision, b.Build.Go = "ffff", "go1.27"
	b.Machine.Emulated, b.Machine.Emulator = true, "QEMU"
	a.Peers = []report.Peer{{Kernel: "onednn", Name: "oneDNN", Version: "3.5", Core: "avx512_core", Settings: []string{"X=1"}, Note: "a note"}, {Kernel: "blis", Name: "BLIS"}}
	for _, r := range []*report.Report{a, b} {
		gemm(r, 1, 1, 1, "nn", "fp16", 1, "k", 1, 1)
	}
	c := compared(t, a, b)
	if diff := cmp.Diff([]string{"emulated", "cores", "commit", "Go", "kernels", "peers", "threads"}, c.differences()); diff != "" {
		t.Error(diff)
	}
	for _, a := range c.Aspects {
		if a.Name == "caches" && (a.Differ || a.Values[1] != "L1 32 KiB, L2 1 MiB, L3 32 MiB") || a.Name == "emulated" && a.Values[1] != "yes: QEMU" || a.Name == "peers" && a.Values[0] != "oneDNN 3.5, avx512_core, X=1; BLIS" {
			t.Errorf("%+v", a)
		}
	}
}

// Machines of different sizes have one thread in common, and all of their cores.
func TestAllCores(t *testing.T) {
	a, b := newReport("A", 2, "k"), newReport("B", 64, "k")
	for _, r := range []*report.Report{a, b} {
		for _, threads := range r.Settings.Threads {
			gemm(r, 100, 100, 100, "nn", "fp16", threads, "k", 40e3/float64(threads), 60)
		}
	}
	all := report.Name(strings.Replace(string(product), "threads=1", "threads=all", 1))
	if s := compared(t, a, b).cell(t, all, "B k").Speedup; s == nil || !near(s.Ratio, 32) {
		t.Errorf("%+v, want 32", s)
	}
	// Of machines of one size it is the number.
	compared(t, a, a).cell(t, report.Name(strings.Replace(string(product), "threads=1", "threads=2", 1)), "B k")
}

// Samples that took turns are compared one by one: what slows the whole machine down
// for a while makes the medians differ, and the ratios not.
func TestPaired(t *testing.T) {
	r := newReport("A", 1, "k", "l", "m")
	ns := []float64{1, 9, 2, 8, 3, 7, 4, 6, 5, 10, 11}
	for i, kernel := range r.Settings.Kernels {
		b := gemm(r, 100, 100, 100, "nn", "fp32", 1, kernel, 1, 125)
		b.Run = 1
		for j, x := range ns {
			b.Samples[j] = x * []float64{1, 1.02 + float64(j)/1000, 1 + float64(j-5)/1000}[i]
		}
	}
	name := report.Name(strings.Replace(string(product), "fp16", "fp32", 1))
	c := compared(t, r)
	if s := c.cell(t, name, "l").Speedup; !near(s.Ratio, 1/1.025) || !s.Significant || s.P < 0.5 || s.Interval == nil || s.Interval.Hi > 1/1.02 {
		t.Errorf("%+v, %+v, want %g", s, s.Interval, 1/1.025)
	}
	if s := c.cell(t, name, "m").Speedup; s.Ratio != 1 || s.Significant || s.Interval.Lo > 1 || s.Interval.Hi < 1 {
		t.Errorf("%+v, %+v, want 1, by chance", s, s.Interval)
	}
	// Runs of two reports have the same numbers and nothing else in common.
	if s := compared(t, r, r).cell(t, name, "B l").Speedup; s.Interval != nil || s.Significant {
		t.Errorf("%+v of two reports", s)
	}
}

// Instructions are not times.
func TestInstructions(t *testing.T) {
	r := newReport("A", 1, "k")
	gemm(r, 100, 100, 100, "nn", "fp16", 1, "k", 20e3, 125)
	b := gemm(r, 100, 100, 100, "nn", "fp16", 1, "k", 1e6, 125)
	b.Name, b.Unit, b.Peak = product+"/count=instructions/kernel=k", report.Instructions, nil
	c := compared(t, r)
	cell := c.cell(t, product+"/count=instructions", "k")
	if len(c.Groups) != 2 || c.Groups[1].Title != "matrix products in fp16, 1 thread, by instructions" || c.Groups[1].Rows[0].Label != "100×100×100 nn" || cell.Unit != "flop/instruction" || !near(cell.Median, 2) {
		t.Errorf("%+v: %+v", c.Groups, cell)
	}
}

func TestEmulated(t *testing.T) {
	a, b, d := newReport("A", 2, "k"), newReport("B", 2, "k"), newReport("D", 2, "k")
	a.Machine.Emulated = true
	for i, r := range []*report.Report{a, b, d} {
		gemm(r, 100, 100, 100, "nn", "fp16", 1, "k", float64(20e3*(i+1)), 125)
	}
	c := compared(t, a, b, d)
	if c.Base != 1 || c.cell(t, product, "A k").Speedup != nil || c.Groups[0].Means[0].Speedup != 0 {
		t.Errorf("base %d, the emulated machine's %+v", c.Base, c.cell(t, product, "A k").Speedup)
	}
	if s := c.cell(t, product, "C k").Speedup; !near(s.Ratio, 40./60) {
		t.Errorf("%+v, want 2/3", s)
	}
	if c := compared(t, a, a); c.Base != -1 || len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "all machines are emulated") {
		t.Errorf("base %d, %q", c.Base, c.Notes)
	}
}

func TestMissing(t *testing.T) {
	a, b, d := newReport("A", 2, "k"), newReport("B", 2, "k"), newReport("D", 2, "k")
	gemm(a, 100, 100, 100, "nn", "fp16", 1, "k", 20e3, 125)
	gemm(a, 100, 100, 100, "nt", "fp16", 1, "k", 20e3, 125)
	gemm(b, 100, 100, 100, "nt", "fp16", 1, "k", 20e3, 125)
	b.Omitted = []report.Omission{{Name: product + "/kernel=k", Reason: "too slow"}}
	gemm(d, 100, 100, 100, "nn", "fp16", 2, "k", 20e3, 125)
	want := []string{
		"B k has 1 of the 2 benchmarks of A k: it lacks " + string(product) + " (too slow), …",
		"C k has no benchmark in common with A k: it has Gemm of 2 threads; A k has Gemm of 1 threads",
	}
	if diff := cmp.Diff(want, compared(t, a, b, d).Notes); diff != "" {
		t.Error(diff)
	}
	// Another kernel of the same report does not lack what depends on none.
	memory(a, "Memory/bytes=16384/op=copy/threads=1", 16384, 100)
	gemm(a, 100, 100, 100, "nn", "fp16", 1, "l", 20e3, 125)
	gemm(a, 100, 100, 100, "nt", "fp16", 1, "l", 20e3, 125)
	a.Settings.Kernels = append(a.Settings.Kernels, "l")
	if notes := compared(t, a).Notes; notes != nil {
		t.Errorf("%q", notes)
	}
}

// Benchmarks of two units are shown, and not compared.
func TestUnits(t *testing.T) {
	a, b := newReport("A", 1, "k"), newReport("B", 1, "k")
	gemm(a, 100, 100, 100, "nn", "fp16", 1, "k", 20e3, 125)
	gemm(b, 100, 100, 100, "nn", "fp16", 1, "k", 20e3, 125).Work = nil
	c := compared(t, a, b)
	cell := c.cell(t, product, "B k")
	if cell.Speedup != nil || cell.Unit != "ns" || !near(cell.Median, 20e3) || c.Groups[0].Unit != "GFLOPS" || c.Groups[0].Means[1].Rows != 0 {
		t.Errorf("%+v", cell)
	}
	gemm(a, 100, 100, 100, "tt", "fp16", 1, "k", 1e-300, 1e300)
	if c := compared(t, a); len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "too large or too small") {
		t.Errorf("%q", c.Notes)
	}
}

func TestMeans(t *testing.T) {
	r := newReport("A", 1, "k", "l")
	for i, layout := range []string{"nn", "nt", "tn"} {
		gemm(r, 100, 100, 100, layout, "fp16", 1, "k", []float64{20e3, 40e3, 10e3}[i], 200)
	}
	gemm(r, 100, 100, 100, "nt", "fp16", 1, "l", 80e3, 200)
	gemm(r, 100, 100, 100, "tn", "fp16", 1, "l", 5e3, 400)
	c := compared(t, r)
	// 100, 50 and 200 GFLOPS of 200; 25 of 200 and 400 of 400.
	k, l := c.Groups[0].Means[0], c.Groups[0].Means[1]
	if k.Rows != 3 || !near(k.Median, 100) || !near(k.Share, 0.5) || k.Pairs != 0 || k.Speedup != 0 {
		t.Errorf("%+v", k)
	}
	if l.Rows != 2 || !near(l.Median, 100) || !near(l.Share, math.Sqrt(1./8)) || l.Pairs != 2 || !near(l.Speedup, 1) {
		t.Errorf("%+v", l)
	}
	// The layouts of one shape come to one bar.
	shapes := c.shapes(&c.Groups[0])
	if len(shapes) != 1 || shapes[0].label != "100×100×100" || !near(shapes[0].columns[0].share, 0.5) || !near(shapes[0].columns[0].shareLo, 0.25) ||
		!near(shapes[0].columns[0].shareHi, 1) || !near(shapes[0].columns[1].speedup, 1) || !shapes[0].columns[1].significant {
		t.Errorf("%+v", shapes)
	}
}

func TestGroups(t *testing.T) {
	r := newReport("A", 16, "k")
	gemm(r, 64, 64, 64, "nn", "fp32", 1, "k", 1e3, 1)
	step(r, 16, 2, "k", 1e6)
	gemm(r, 64, 64, 64, "nn", "fp16", 16, "k", 1e3, 1)
	gemm(r, 64, 64, 64, "nn", "fp16", 2, "k", 1e3, 1)
	r.Benchmarks = append(r.Benchmarks, report.Benchmark{Name: "Sleep/length=3/kernel=k", Unit: report.Nanoseconds, Samples: times(3)})
	memory(r, "Memory/bytes=262144/op=copy/threads=1", 1, 1)
	peak(r, 16, "k", 1)
	peak(r, 1, "k", 1)
	got := []string{}
	for _, g := range compared(t, r).Groups {
		for _, row := range g.Rows {
			got = append(got, g.Title+", "+g.Unit+": "+row.Label)
		}
	}
	want := []string{
		"FMA peak, GFLOPS: fp32 16 threads", "FMA peak, GFLOPS: fp32 1 thread", "memory, 1 thread, GB/s: copy 256 KiB",
		"matrix products in fp16, 2 threads, GFLOPS: 64×64×64 nn", "matrix products in fp16, 16 threads, GFLOPS: 64×64×64 nn",
		"matrix products in fp32, 1 thread, GFLOPS: 64×64×64 nn", "training steps in fp16, 2 threads, GFLOPS: 784-256-10, batch 16, sgd", "Sleep, ns: length=3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestIntensity(t *testing.T) {
	// A step of 2-3-4 with a batch of 5, array by array.
	w0, w1 := 2*3+3., 3*4+4. // weights and biases
	flop := 2 * 5 * (2*2*3 + 3*3*4.)
	half := w0 + 2*w1 /* read */ + w0 + w1 /* the copy */ +
		5*(2*2+ /* the input, forward and backward */ 3+2*3+ /* hidden: written, read twice */ 4 /* output */ +2*3+2*4 /* gradients */)
	wide := (w0 + w1) * (2 /* gradients */ + 2 /* weights */ + 2 /* momentum */)
	for name, want := range map[report.Name]float64{
		"Gemm/m=64/n=64/k=64/ta=n/tb=n/dtype=fp16/threads=1":                         2. * 64 / (2 * 3),
		"Gemm/m=1/n=1024/k=1024/dtype=fp32":                                          2. * 1024 * 1024 / (4 * (1024 + 1024 + 1024*1024)),
		"Gemm/m=1/n=1024/k=1024/dtype=mystery":                                       0,
		"Gemm/m=x/n=1024/k=1024/dtype=fp32":                                          0,
		"TrainStep/model=2-3-4/batch=5/optimizer=sgd/dtype=fp16/threads=1/kernel=k":  flop / (2*half + 4*wide),
		"TrainStep/model=2-3-4/batch=5/optimizer=lion/dtype=fp16/threads=1/kernel=k": 0,
		"TrainStep/model=lenet/batch=5/optimizer=sgd/dtype=fp16":                     0,
		"Peak/dtype=fp32": 0,
	} {
		if got := intensity(name); !near(got, want) && got != want {
			t.Errorf("%s: %g, want %g", name, got, want)
		}
	}
}

func TestRooflines(t *testing.T) {
	r := newReport("A", 2, "k", "l")
	peak(r, 1, "k", 90)
	peak(r, 1, "l", 100)
	memory(r, "Memory/bytes=16384/op=read/threads=1/kernel=k", 100, 1)
	memory(r, "Memory/bytes=8192/op=copy/threads=1", 200, 1)
	memory(r, "Memory/bytes=268435456/op=read/threads=1/kernel=l", 20, 1)
	memory(r, "Memory/bytes=16384/op=read/threads=2/kernel=k", 300, 1)
	want := []Roofline{{Report: 0, Threads: "1", Peak: 100, Memory: []Roof{{"L1", 200}, {"DRAM", 20}}}}
	if diff := cmp.Diff(want, compared(t, r).Machines); diff != "" {
		t.Error(diff)
	}
	r.Machine.Caches = report.Caches{}
	want[0].Memory = []Roof{{"8 KiB", 200}, {"16 KiB", 100}, {"256 MiB", 20}}
	if diff := cmp.Diff(want, compared(t, r).Machines); diff != "" {
		t.Error(diff)
	}
}
