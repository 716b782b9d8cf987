package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/bench/suite"
	"github.com/halfgrad/halfgrad/internal/require"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// need skips the test, or fails it if HALFGRAD_REQUIRE lists word.
func need(t *testing.T, word string, err error) {
	t.Helper()
	require.Missing(t, word, "%v", err)
}

// naive returns all elements of a product, in float64.
func naive(s bench.Shape) []float64 {
	c := make([]float64, s.M*s.N)
	for i := range s.M {
		for j := range s.N {
			for p := range s.K {
				c[i*s.N+j] += float64(elementA(i, p)) * float64(elementB(p, j))
			}
		}
	}
	return c
}

// checkProducts checks the products of a worker, all elements of them.
func checkProducts(t *testing.T, w *worker, transposes bool, tolerance float64) {
	t.Helper()
	for _, trans := range []string{"nn", "nt", "tn", "tt"} {
		if trans != "nn" && !transposes {
			continue
		}
		p := product{bench.Shape{M: 13, N: 21, K: 34}, trans} // no two are alike, and none fits vectors
		if err := w.prepare(p); err != nil {
			t.Error(err)
			continue
		}
		line, err := w.ask("show")
		if err != nil {
			t.Fatal(err)
		}
		fields, want := strings.Fields(line), naive(p.Shape)
		if len(fields) != len(want) {
			t.Fatalf("%s has %d elements of a product, want %d", w.name, len(fields), len(want))
		}
		for i, f := range fields {
			got, err := strconv.ParseFloat(f, 64)
			if err != nil || math.Abs(got-want[i]) > tolerance*want[i] {
				t.Errorf("%s, %s: element %d is %s, want %g, error %v", w.name, trans, i, f, want[i], err)
				break
			}
		}
		if ns, err := w.gemm(p.Shape, 3); err != nil || ns < 1 {
			t.Errorf("%s, %s: %g ns, error %v", w.name, trans, ns, err)
		}
		if _, err := w.gemm(bench.Shape{M: 13, N: 21, K: 35}, 1); err == nil {
			t.Errorf("%s multiplies what is not prepared", w.name)
		}
	}
}

// Each library's product is the naive one: with fp32 within rounding, which 34 terms
// accumulate, and with an fp16 result to half a unit in its last place more.
func TestProducts(t *testing.T) {
	skipEmulated(t)
	cpus, err := available()
	if err != nil {
		t.Skip(err)
	}
	tolerances := map[string]float64{"fp32": 34.0 / (1 << 24), "fp16": 34.0/(1<<24) + 1.0/(1<<11)}
	at := place{folder: t.TempDir(), self: os.Args[0], pythons: []string{"python3", "/usr/bin/python3"}}
	if err := unpack(at.folder); err != nil {
		t.Fatal(err)
	}
	words := map[string]string{"onednn": "peers", "openblas": "peers", "blis": "peers", "pytorch": "torch", "onnxruntime": "onnxruntime", "gonum": "peers"}
	for dtype, tolerance := range tolerances {
		t.Run("halfgrad-"+dtype, func(t *testing.T) {
			w, err := ourWorker(at, dtype, "auto", 1, cpus)
			if err != nil {
				t.Fatal(err)
			}
			defer w.stop()
			checkProducts(t, w, true, tolerance)
		})
	}
	for _, p := range peers {
		for _, dtype := range p.dtypes {
			t.Run(p.kernel+"-"+dtype, func(t *testing.T) {
				at := at
				switch p.kernel {
				case "pytorch", "onnxruntime":
					if testing.Short() {
						t.Skip("-short: it takes seconds to start")
					}
				}
				if p.kernel == "onnxruntime" { // where it is, or is to be
					if at, err = newPlace(at.pythons); err != nil {
						t.Fatal(err)
					}
					at.self = os.Args[0]
					if _, err := os.Stat(filepath.Join(at.folder, "node_modules", "onnxruntime-node")); err != nil && !require.Listed("onnxruntime") {
						t.Skipf("ONNX Runtime is not in %s: with HALFGRAD_REQUIRE=onnxruntime it is installed there", at.folder)
					}
				}
				w, err := p.worker(at, running{dtype: dtype, threads: 1}, cpus)
				if err != nil {
					need(t, words[p.kernel], err)
				}
				defer w.stop()
				checkProducts(t, w, p.transposes, tolerances[dtype])
				if w.about.name == "" || w.about.version == "" && p.kernel != "gonum" { // a test does not know its modules
					t.Errorf("it is %+v", w.about)
				}
				if p.kernel != "onnxruntime" && coreLevel(w.about.core) == "" {
					t.Errorf("nothing is known of its core, %q", w.about.core)
				}
			})
		}
	}
}

// What a library is told shows in what it says.
func TestSettings(t *testing.T) {
	skipEmulated(t)
	cpus, err := available()
	if err != nil {
		t.Skip(err)
	}
	if machineLevel() != avx512 && machineLevel() != avx2 {
		t.Skip("the settings here are for AVX2")
	}
	at := place{folder: t.TempDir()}
	if err := unpack(at.folder); err != nil {
		t.Fatal(err)
	}
	for kernel, test := range map[string]struct{ setting, core string }{
		"openblas": {"OPENBLAS_CORETYPE=HASWELL", "Haswell"},
		"blis":     {"BLIS_ARCH_TYPE=haswell", "haswell"},
		"onednn":   {"ONEDNN_MAX_CPU_ISA=AVX2 DNNL_MAX_CPU_ISA=AVX2", "avx2"},
	} {
		t.Run(kernel, func(t *testing.T) {
			p, err := findPeer(kernel)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(p.settings["amd64"], func(s setting) bool { return s.variables == test.setting }) {
				t.Errorf("%s is no setting", test.setting)
			}
			w, err := p.worker(at, running{threads: 1, settings: strings.Fields(test.setting)}, cpus)
			if err != nil {
				need(t, "peers", err)
			}
			defer w.stop()
			if w.about.core != test.core {
				t.Errorf("its core is %q, want %q", w.about.core, test.core)
			}
			checkProducts(t, w, true, 34.0/(1<<24))
		})
	}
}

// tinyPlan is some milliseconds.
func tinyPlan() plan {
	return plan{
		name: "tiny", rounds: 7, turn: 50 * time.Microsecond, stepTurn: time.Millisecond, longest: time.Minute,
		products: []product{{bench.Shape{M: 5, N: 6, K: 7}, "nn"}, {bench.Shape{M: 8, N: 9, K: 4}, "tn"}},
	}
}

// gonum is always there: a report with it, and then another merged into it.
func TestReport(t *testing.T) {
	skipEmulated(t)
	if _, err := available(); err != nil {
		t.Skip(err)
	}
	t.Setenv("HALFGRAD_CACHE", t.TempDir())
	path := filepath.Join(t.TempDir(), "report.json")
	c := reportCmd{Threads: []int{1}, Peers: []string{"gonum"}, Kernel: "generic", Out: path, Require: true}
	var out bytes.Buffer
	if err := c.measure(context.Background(), tinyPlan(), &out); err != nil {
		t.Fatal(err)
	}
	first, err := report.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []report.Name{
		"Gemm/m=5/n=6/k=7/ta=n/tb=n/dtype=fp16/threads=1/kernel=generic", "Gemm/m=5/n=6/k=7/ta=n/tb=n/dtype=fp32/threads=1/kernel=generic",
		"Gemm/m=5/n=6/k=7/ta=n/tb=n/dtype=fp32/threads=1/kernel=gonum",
		"Gemm/m=8/n=9/k=4/ta=t/tb=n/dtype=fp16/threads=1/kernel=generic", "Gemm/m=8/n=9/k=4/ta=t/tb=n/dtype=fp32/threads=1/kernel=generic",
		"Gemm/m=8/n=9/k=4/ta=t/tb=n/dtype=fp32/threads=1/kernel=gonum",
	}
	names := func(r *report.Report) (names []report.Name) {
		for _, b := range r.Benchmarks {
			names = append(names, b.Name)
		}
		return names
	}
	if got := names(first); !slices.Equal(got, want) {
		t.Errorf("benchmarks %q, want %q", got, want)
	}
	for i, flops := range []float64{2 * 5 * 6 * 7, 2 * 8 * 9 * 4} {
		ours, theirs := &first.Benchmarks[3*i], &first.Benchmarks[3*i+2]
		if len(ours.Samples) != 7 || len(ours.Peak) != 7 || ours.Work.Amount != flops || theirs.Work.Amount != flops {
			t.Errorf("%+v, %+v", ours, theirs)
		}
		if ratio, ok := report.Paired(ours, theirs); !ok || ratio.Center <= 0 {
			t.Errorf("%s is not paired with ours: %+v", theirs.Name, ratio)
		}
	}
	if _, ok := report.Paired(&first.Benchmarks[0], &first.Benchmarks[5]); ok {
		t.Error("another shape is paired")
	}
	if len(first.Peers) != 1 || first.Peers[0].Kernel != "gonum" || first.Peers[0].Name != "gonum" || first.Peers[0].Core == "" || first.Peers[0].Note == "" {
		t.Errorf("peers %+v", first.Peers)
	}
	if first.Suite != "tiny" || first.Settings.Rounds != 7 || !slices.Equal(first.Settings.Kernels, []string{"generic"}) || first.Seconds <= 0 {
		t.Errorf("%q, settings %+v, %g s", first.Suite, first.Settings, first.Seconds)
	}
	if !strings.Contains(out.String(), "5x6x7 nn, 1 threads: generic fp16") || !strings.Contains(out.String(), "gonum fp32") || !strings.Contains(out.String(), "wrote "+path) {
		t.Errorf("output:\n%s", out.String())
	}

	// Into that of the suite: there is everything, and ours are those that took turns.
	tiny := suite.Config{
		Name: "quick", Rounds: 6, Sample: time.Microsecond, Budget: time.Minute, Kernels: []string{"generic"}, Threads: []int{1}, Convert: []int{64},
		Products: []suite.Product{{Shape: bench.Shape{M: 5, N: 6, K: 7}, DTypes: []tensor.DType{tensor.F16, tensor.F32}, Trans: []string{"nn", "nt"}}},
	}
	base, err := suite.Run(t.Context(), tiny, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := base.Write(path); err != nil {
		t.Fatal(err)
	}
	c.Out, c.Into = "", path
	if err := c.measure(context.Background(), tinyPlan(), &out); err != nil {
		t.Fatal(err)
	}
	merged, err := report.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if merged.Suite != "quick" || len(merged.Peers) != 1 || len(merged.Benchmarks) != len(base.Benchmarks)+len(want)-2 {
		t.Errorf("%q, peers %+v, benchmarks %q", merged.Suite, merged.Peers, names(merged))
	}
	if b := merged.Find(want[0]); b == nil || b.Run == 0 || len(b.Samples) != 7 {
		t.Errorf("ours is %+v", b)
	}

	// What takes too long is not run, and the report says so.
	p := tinyPlan()
	p.longest = 1
	if err := c.measure(context.Background(), p, &out); err != nil {
		t.Fatal(err)
	}
	if r, err := report.Read(path); err != nil || r.Find(want[2]) != nil || !slices.ContainsFunc(r.Omitted, func(o report.Omission) bool {
		return o.Name == want[2] && strings.Contains(o.Reason, "more than 1ns")
	}) {
		t.Errorf("omitted %+v, error %v", r.Omitted, err)
	}

	// Another machine's is refused, and as it was.
	merged.Machine.CPU = "a faster one"
	other := filepath.Join(t.TempDir(), "other.json")
	if err := merged.Write(other); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	c.Into = other
	if err := c.measure(context.Background(), tinyPlan(), &out); err == nil || !strings.Contains(err.Error(), "other.json cannot be added to") || !strings.Contains(err.Error(), "a faster one") {
		t.Errorf("another machine: error %v", err)
	}
	if after, err := os.ReadFile(other); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was changed, error %v", err)
	}
}

// Training steps of ours, and PyTorch's, are in a report too.
func TestReportTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: PyTorch takes seconds to start")
	}
	skipEmulated(t)
	if _, err := available(); err != nil {
		t.Skip(err)
	}
	pythons := []string{"python3", "/usr/bin/python3"}
	if _, err := pythonWithTorch(pythons); err != nil {
		need(t, "torch", err)
	}
	t.Setenv("HALFGRAD_CACHE", t.TempDir())
	path := filepath.Join(t.TempDir(), "report.json")
	c := reportCmd{Threads: []int{1}, Peers: []string{"pytorch"}, Kernel: "auto", Out: path, Python: pythons}
	p := tinyPlan()
	p.products = p.products[:1]
	p.steps = []bench.TrainConfig{{Widths: []int{20, 30, 5}, Batch: 16, Images: 320, Optimizer: "sgd"}}
	var out bytes.Buffer
	if err := c.measure(context.Background(), p, &out); err != nil {
		t.Fatal(err)
	}
	r, err := report.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	tier := r.Settings.Kernels[0]
	for _, name := range []report.Name{
		"Gemm/m=5/n=6/k=7/ta=n/tb=n/dtype=fp32/threads=1/kernel=pytorch",
		report.Name("TrainStep/model=20-30-5/batch=16/optimizer=sgd/dtype=fp16/threads=1/kernel=" + tier),
		report.Name("TrainStep/model=20-30-5/batch=16/optimizer=sgd/dtype=fp32/threads=1/kernel=" + tier),
		"TrainStep/model=20-30-5/batch=16/optimizer=sgd/dtype=fp32/threads=1/kernel=pytorch",
		"TrainStep/model=20-30-5/batch=16/optimizer=sgd/dtype=bf16/threads=1/kernel=pytorch",
	} {
		if b := r.Find(name); b == nil || len(b.Samples) != 7 {
			t.Errorf("%s: %+v", name, b)
		}
	}
	if len(r.Peers) != 1 || r.Peers[0].Kernel != "pytorch" || r.Peers[0].Version == "" || !strings.Contains(r.Peers[0].Core, "ATen") || !slices.Contains(kernels.Supported(), tier) {
		t.Errorf("peers %+v", r.Peers)
	}
}

func TestBadReportFlags(t *testing.T) {
	if _, err := exec.LookPath(os.Args[0]); err != nil {
		t.Skip(err)
	}
	if _, err := available(); err != nil {
		t.Skip(err)
	}
	t.Setenv("HALFGRAD_CACHE", t.TempDir())
	missing := filepath.Join(t.TempDir(), "none")
	for want, change := range map[string]func(c *reportCmd){
		"want --out FILE":     func(c *reportCmd) { c.Out = "" },
		`shape "1x2"`:         func(c *reportCmd) { c.Shape = []string{"1x2"} },
		"no such file":        func(c *reportCmd) { c.Into = missing },
		"there is no folder":  func(c *reportCmd) { c.Out = filepath.Join(missing, "x.json") },
		"no peer \"mkl\"":     func(c *reportCmd) { c.Peers = []string{"mkl"} },
		"at least one":        func(c *reportCmd) { c.Threads = []int{0} },
		"want a CPU for each": func(c *reportCmd) { c.Threads = []int{1 << 20} },
		"-3 rounds":           func(c *reportCmd) { c.Rounds = -3 },
		"python3-torch":       func(c *reportCmd) { c.Peers, c.Python, c.Require = []string{"pytorch"}, []string{missing}, true },
		"none of the peers":   func(c *reportCmd) { c.Peers, c.Python = []string{"pytorch"}, []string{missing} },
		"nokernel":            func(c *reportCmd) { c.Kernel = "nokernel" },
	} {
		c := reportCmd{Threads: []int{1}, Peers: []string{"gonum"}, Kernel: "auto", Out: filepath.Join(t.TempDir(), "r.json")}
		change(&c)
		if err := c.Run(context.Background()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}
