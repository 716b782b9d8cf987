package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/perf/benchfmt"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/bench/suite"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// tinySuite is a suite of some milliseconds.
func tinySuite() suite.Config {
	return suite.Config{
		Name: "tiny", Rounds: 7, Sample: 20 * time.Microsecond, Budget: time.Minute, Kernels: []string{"generic"}, Threads: []int{1, 2},
		Memory: []int{4096}, Convert: []int{100},
		Products: []suite.Product{{Shape: bench.Shape{M: 5, N: 6, K: 7}, DTypes: []tensor.DType{tensor.F16}, Trans: []string{"nt"}}},
		Train:    []bench.TrainConfig{{Widths: []int{6, 5, 3}, Batch: 4, Images: 12, Optimizer: "sgd", Precision: tensor.F16}},
	}
}

// measure runs the command with a suite of the test's own.
func measure(t *testing.T, c benchSuiteCmd, terminal bool) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if err := c.measure(t.Context(), &env{stdout: &stdout, stderr: &stderr, terminal: terminal}, tinySuite()); err != nil {
		t.Fatal(err)
	}
	return result{0, stdout.String(), stderr.String()}
}

func TestBenchSuite(t *testing.T) {
	t.Setenv(kernels.EnvKernel, "")
	out := filepath.Join(t.TempDir(), "new", "tiny.json")
	r := measure(t, benchSuiteCmd{Out: out}, false)
	rep, err := report.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Suite != "tiny" || len(rep.Benchmarks) != 14 || r.stderr != "" {
		t.Errorf("suite %q with %d benchmarks, stderr %q", rep.Suite, len(rep.Benchmarks), r.stderr)
	}
	if r.lastLine() != "wrote "+out {
		t.Errorf("the last line is %q", r.lastLine())
	}
	// The figures of the table are the report's. What does not depend on the tier is in
	// the table, too.
	for row, names := range map[string][2]report.Name{
		`Gemm, GFLOPS`:      {},
		`5x6x7 nt fp16`:     {"Gemm/m=5/n=6/k=7/ta=n/tb=t/dtype=fp16/threads=1/kernel=generic", "Gemm/m=5/n=6/k=7/ta=n/tb=t/dtype=fp16/threads=2/kernel=generic"},
		`triad 4 KiB`:       {"Memory/bytes=4096/op=triad/threads=1", "Memory/bytes=4096/op=triad/threads=2"},
		`100 widen`:         {"Convert/elements=100/op=widen/threads=1", ""},
		`6-5-3 4 sgd fp16 `: {"TrainStep/model=6-5-3/batch=4/optimizer=sgd/dtype=fp16/threads=1/kernel=generic", "TrainStep/model=6-5-3/batch=4/optimizer=sgd/dtype=fp16/threads=2/kernel=generic"},
	} {
		line := regexp.MustCompile(`(?m)^ *` + regexp.QuoteMeta(row) + `.*$`).FindString(r.stdout)
		want := []string{"generic, 1 thread", "generic, 2 threads"}
		if names[0] != "" {
			want = []string{summary(rep.Find(names[0])), summary(rep.Find(names[1]))}
		}
		fields := regexp.MustCompile(`  +`).Split(strings.TrimSpace(line), -1)
		if len(fields) != 3 || !slices.Equal(fields[1:], want) {
			t.Errorf("row %q: %q, want %q in\n%s", row, fields, want, r.stdout)
		}
	}
	for _, line := range []string{"preparing: 14 benchmarks", "measuring: 98 of 98 samples"} {
		if !strings.Contains(r.stdout, line+"\n") {
			t.Errorf("no line %q in\n%s", line, r.stdout)
		}
	}

	// The report itself, and no file unless one is asked for.
	t.Chdir(t.TempDir())
	r = measure(t, benchSuiteCmd{JSON: true}, false)
	if _, err := report.Parse("stdout", []byte(r.stdout)); err != nil || r.stderr != "" {
		t.Errorf("--json: %v, stderr %q", err, r.stderr)
	}
	if files, _ := os.ReadDir("."); len(files) != 0 {
		t.Errorf("--json wrote %v", files)
	}

	// Without --out, no report is overwritten.
	name := "bench-" + runtime.GOOS + "-" + runtime.GOARCH
	for _, file := range []string{name + ".json", name + "-2.json", name + "-3.json"} {
		if r := measure(t, benchSuiteCmd{}, true); r.lastLine() != "wrote "+file || !strings.Contains(r.stderr, "measuring") {
			t.Errorf("the last line is %q, want %q; on the terminal %q", r.lastLine(), "wrote "+file, r.stderr)
		}
	}
}

func TestSummary(t *testing.T) {
	product := func(samples, peak []float64) *report.Benchmark {
		return &report.Benchmark{Name: "Gemm/m=1", Unit: report.Nanoseconds, Work: &report.Work{Amount: 1e6, Unit: report.FLOP}, Samples: samples, Peak: peak}
	}
	same := func(x float64) []float64 { return []float64{x, x, x, x, x, x} }
	step := product(same(2e6), same(2))
	step.Name = "TrainStep/batch=16"
	for _, test := range []struct {
		benchmark *report.Benchmark
		want      string
	}{
		{nil, "-"},
		{product(same(80e3), same(25)), "12.5 (50 %)"},
		{product(same(500), nil), "2000"},
		{product([]float64{10, 10, 10, 10, 10, 20}, nil), "100000 ~"},
		{step, "0.5 (25 %), 8000 images/s"},
	} {
		if got := summary(test.benchmark); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// Ctrl-C leaves nothing behind.
func TestBenchSuiteInterrupted(t *testing.T) {
	t.Setenv(kernels.EnvKernel, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	e := &env{stdout: &stdout, stderr: &stderr}
	code := run(ctx, []string{"bench", "--quick", "--kernel", "generic", "--threads", "1", "--out", filepath.Join(dir, "x.json")}, e)
	if code != exitInterrupted || !strings.Contains(stderr.String(), "interrupted, and nothing was written") {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("it left %v", files)
	}
}

// The whole quick suite, through the front door.
func TestBenchQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: some seconds")
	}
	t.Setenv(kernels.EnvKernel, "")
	out := filepath.Join(t.TempDir(), "quick.json")
	r := succeed(t, "bench", "--quick", "--threads", "1", "--emulated", "--out", out)
	rep, err := report.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Suite != "quick" || !slices.Equal(rep.Settings.Threads, []int{1}) || !rep.Machine.Emulated || rep.Settings.Kernels[0] != kernels.Supported()[0] {
		t.Errorf("suite %q, %+v, emulated %v", rep.Suite, rep.Settings, rep.Machine.Emulated)
	}
	if !strings.Contains(r.stdout, "emulated: the figures tell nothing of real ones") {
		t.Errorf("no word of it in\n%s", r.stdout)
	}

	exported := succeed(t, "bench", "export", out)
	reader := benchfmt.NewReader(strings.NewReader(exported.stdout), "stdout")
	results := 0
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.Result:
			results++
		case *benchfmt.SyntaxError:
			t.Error(rec)
		}
	}
	if want := len(rep.Benchmarks) * rep.Settings.Rounds; results != want {
		t.Errorf("%d results in Go's format, want %d", results, want)
	}
}

func TestBenchSuiteUsage(t *testing.T) {
	t.Setenv(kernels.EnvKernel, "")
	dir := t.TempDir()
	edited := filepath.Join(dir, "edited.json")
	measure(t, benchSuiteCmd{Out: edited}, false)
	b, err := os.ReadFile(edited)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(edited, bytes.Replace(b, []byte(`"rounds": 7`), []byte(`"rounds": 8`), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"bench", "--kernel", "vax"}, "supported here: "},
		{[]string{"bench", "--threads", "0"}, "--threads 0: want 1 to 1024"},
		{[]string{"bench", "--threads", "2000"}, "--threads 2000: want 1 to 1024"},
		{[]string{"bench", "--threads", "two"}, "two"},
		{[]string{"bench", "--out", dir}, "is a folder"},
		{[]string{"bench", "--out", filepath.Join(edited, "x.json")}, "not a directory"},
		{[]string{"bench", "gem"}, "unexpected argument gem"},
		{[]string{"bench", "export"}, "<report>"},
		{[]string{"bench", "export", filepath.Join(dir, "none.json")}, "none.json"},
		{[]string{"bench", "export", edited}, edited + ": the content is not what was written"},
	} {
		r := command(t, test.args...)
		if r.code != exitUsage || !strings.Contains(r.stderr, test.want) || strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
			t.Errorf("halfgrad %s: exit code %d, %q, want %q", strings.Join(test.args, " "), r.code, r.stderr+r.stdout, test.want)
		}
	}
	if runtime.GOOS != "windows" && os.Getuid() != 0 {
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		if err := (&benchSuiteCmd{Out: filepath.Join(dir, "x.json")}).measure(t.Context(), &env{}, tinySuite()); !errors.Is(err, os.ErrPermission) {
			t.Errorf("a folder that nothing can be written to: error %v", err)
		}
	}
}
