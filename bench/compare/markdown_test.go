package compare

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/bench/report"
)

// vax returns a report of a machine with a peak of 100 GFLOPS that takes times as
// long as another for everything.
func vax(times float64) *report.Report {
	r := &report.Report{Machine: report.Machine{OS: "plan9", Arch: "mips", CPU: "VAX", Kernels: []string{"fast", "generic"}}}
	add := func(name report.Name, work, ns float64, run int) {
		b := report.Benchmark{Name: name, Unit: report.Nanoseconds, Work: &report.Work{Amount: work, Unit: report.FLOP}, Run: run}
		for i := range 7 {
			b.Samples = append(b.Samples, times*ns*(1+float64(i-3)/1000)) // the median is the fourth
			b.Peak = append(b.Peak, 100)
		}
		r.Benchmarks = append(r.Benchmarks, b)
	}
	flop := 2. * 512 * 512 * 512
	add("Gemm/m=512/n=512/k=512/ta=n/tb=n/dtype=fp16/threads=1/kernel=fast", flop, flop/80, 1)
	add("Gemm/m=512/n=512/k=512/ta=n/tb=n/dtype=fp32/threads=1/kernel=onednn", flop, flop/40, 1)
	add("Gemm/m=512/n=512/k=512/ta=n/tb=n/dtype=fp32/threads=1/kernel=openblas", flop, flop/40, 2) // not by turns
	add("Gemm/m=512/n=512/k=512/ta=n/tb=n/dtype=fp16/threads=1/kernel=generic", flop, flop/2, 1)
	add("TrainStep/model=784-256-10/batch=16/optimizer=sgd/dtype=fp16/threads=2/kernel=fast", 1e6, 2e4, 3)
	add("TrainStep/model=784-256-10/batch=16/optimizer=sgd/dtype=fp32/threads=2/kernel=pytorch", 1e6, 5e4, 3)
	return r
}

func TestTables(t *testing.T) {
	all := map[string]string{}
	for _, table := range markdownTables(vax(1)) {
		all[table.name] = table.String()
	}
	for name, lines := range map[string][]string{
		"products":   {"| M×N×K | fp16, one core |", "|---|---|", "| 512×512×512 | 80.0 (80 %) |", "| 2048×2048×2048 | – |"},
		"transposes": {"| M×N×K | A·B |", "| 512×512×512 | 80.0 (80 %) |"},
		"peers, 1":   {"| M×N×K | halfgrad, GFLOPS | × oneDNN |", "| 512×512×512 | 80.0 (80 %) | 2.00 |"},
		"peers, 2":   {"| M×N×K |\n|---|\n"},
		"steps":      {"| model, batch | two cores: ms | share of the peak | images/s |", "| 784-256-10, 16 | 0.020 | 50 % | 800000 |"},
		"trained":    {"| model, batch | threads | halfgrad, fp16: µs | × PyTorch, fp32 |", "| 784-256-10, 16 | 2 | 20 | 2.50 |", "| 784-256-10, 16 | 1 | – | – |"},
	} {
		for _, line := range lines {
			if !strings.Contains(all[name], line+"\n") && !strings.HasPrefix(all[name], line) {
				t.Errorf("%s: no line %s in\n%s", name, line, all[name])
			}
		}
	}
}

func TestFillMarkdown(t *testing.T) {
	text := "before\n<!-- figures: transposes -->\nold\n<!-- end -->\nafter <!-- end -->\n"
	want := "before\n<!-- figures: transposes -->\n| M×N×K | A·B |\n|---|---|\n| 128×256×784 | – |\n| 512×512×512 | 80.0 (80 %) |\n| 512×768×3072 | – |\n<!-- end -->\nafter <!-- end -->\n"
	for range 2 { // the second time changes nothing
		got, err := FillMarkdown([]byte(text), vax(1))
		if err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
		text = string(got)
	}
	for bad, complaint := range map[string]string{
		"": "no tables to fill", "<!-- end -->": "no tables to fill",
		"<!-- figures: products -->\n":              "further down",
		"<!-- figures: products":                    "want a name",
		"<!-- figures: a -->\n<!-- end -->":         `no table "a"`,
		text + text:                                 `two tables "transposes"`,
		"<!-- figures: products -->\nlost\n" + text: "further down",
	} {
		if _, err := FillMarkdown([]byte(bad), vax(1)); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%q: error %v does not say %q", bad, err, complaint)
		}
	}
}

// docs/performance.md has the figures of the committed report.
func TestPerformancePage(t *testing.T) {
	const page, committed = "../../docs/performance.md", "../reports/linux-amd64-zen4.json"
	r, err := report.Read(committed)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	written, err := FillMarkdown(text, r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, written) {
		t.Errorf("%s does not have the figures of %s: halfgrad bench compare --markdown %[1]s %[2]s", page, committed)
	}
}
