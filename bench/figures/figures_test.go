package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/bench/report"
)

// machine returns a report of a machine with a peak of 100 GFLOPS that takes times as
// long as another for everything.
func machine(times float64) *report.Report {
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
	for _, table := range tables(machine(1)) {
		all[table.name] = table.markdown()
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

func TestFill(t *testing.T) {
	list := []table{{name: "a", head: []string{"x", "y"}, rows: []row{{"1", []cell{{text: "2"}}}}}}
	text := "before\n<!-- figures: a -->\nold\n<!-- end -->\nafter <!-- end -->\n"
	want := "before\n<!-- figures: a -->\n| x | y |\n|---|---|\n| 1 | 2 |\n<!-- end -->\nafter <!-- end -->\n"
	for range 2 { // the second changes nothing
		got, err := fill([]byte(text), list)
		if err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
		text = string(got)
	}
	for _, bad := range []string{"", "<!-- figures: a -->\n", "<!-- end -->", text + text} {
		if _, err := fill([]byte(bad), list); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestDifferences(t *testing.T) {
	slower := differences(machine(1), machine(1.25))
	for _, line := range []string{"80.0 (80 %) → 64.0 (64 %)     -20.0 %", "2.00 → 2.00             +0.0 %", "committed: VAX, plan9/mips"} {
		if !strings.Contains(slower, line) {
			t.Errorf("no %q in\n%s", line, slower)
		}
	}
	less := machine(1)
	less.Benchmarks = less.Benchmarks[:1]
	if text := differences(machine(1), less); !strings.Contains(text, "2.00 → not measured") {
		t.Errorf("what was not measured is not told of:\n%s", text)
	}
}

// The README has the figures of the committed report, and says how to get them.
func TestReadme(t *testing.T) {
	r, err := report.Read(filepath.Join(root(), committed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root(), "docs", "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	written, err := fill(text, tables(r))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, written) {
		t.Error("docs/performance.md does not have the figures of the report: go run ./bench/figures readme")
	}
}
