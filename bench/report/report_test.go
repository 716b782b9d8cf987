package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/perf/benchfmt"
)

const (
	gemm    = "Gemm/m=100/n=100/k=100/ta=n/tb=t/dtype=fp16/threads=2/kernel=avx2"
	peers   = "Gemm/m=100/n=100/k=100/ta=n/tb=t/dtype=fp32/threads=2/kernel=openblas"
	counted = "Gemm/m=10/n=10/k=10/ta=n/tb=n/dtype=fp16/threads=1/count=instructions/kernel=avx2"
)

// sampleReport has something of everything.
func sampleReport() *Report {
	return &Report{
		Date: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC), Suite: "quick", Seconds: 12.5,
		Build: Build{Go: "go1.26.0", Module: "example.com/halfgrad", Version: "v1.2.3", Revision: "abc", Modified: true},
		Machine: Machine{
			OS: "linux", Arch: "amd64", CPU: "Some <Fast> & Co", Vendor: "Some", Family: 25, Model: 17, Stepping: 1, Cores: 2,
			Caches: Caches{32 << 10, 1 << 20, 32 << 20}, Memory: 1 << 34, Hypervisor: "KVM", Features: []string{"AVX2", "FMA3"},
			Kernels: []string{"avx2", "generic"}, Emulated: true, Emulator: "an emulator",
		},
		Settings: Settings{Kernels: []string{"avx2"}, Threads: []int{1, 2}, Rounds: 2},
		Peers: []Peer{
			{Kernel: "openblas", Name: "OpenBLAS", Version: "0.3.21", Core: "SkylakeX", Settings: []string{"OPENBLAS_CORETYPE=SKYLAKEX"}, Note: "by itself it is slower"},
			{Kernel: "gonum", Name: "gonum"},
		},
		Omitted: []Omission{{"Memory/bytes=4096/op=read/threads=9", "too much"}},
		Benchmarks: []Benchmark{
			{Name: "Peak/dtype=fp32/threads=2/kernel=avx2", Unit: GFLOPS, Samples: []float64{100, 101.25}},
			{Name: gemm, Unit: Nanoseconds, Work: &Work{2e6, FLOP}, Samples: []float64{25000, 1e5 / 3}, Peak: []float64{100, 120}, Run: 1},
			{Name: "Memory/bytes=4096/op=copy/threads=1", Unit: Nanoseconds, Work: &Work{8000, Bytes}, Samples: []float64{100, 200}, Peak: []float64{1, 1}},
			{Name: "TrainStep/model=784-256-10/batch=16/threads=1", Unit: Nanoseconds, Samples: []float64{8e6, 4e6}},
			{Name: peers, Unit: Nanoseconds, Work: &Work{2e6, FLOP}, Samples: []float64{50000, 25000}, Peak: []float64{100, 120}, Run: 1},
			{Name: counted, Unit: Instructions, Work: &Work{2000, FLOP}, Samples: []float64{250, 500}},
		},
	}
}

func encode(t testing.TB, r *Report) []byte {
	t.Helper()
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	want, path := sampleReport(), filepath.Join(t.TempDir(), "report.json")
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("another report (-want +got):\n%s", diff)
	}
	if got.Kind != "halfgrad-bench" || got.Schema != 1 {
		t.Errorf("kind %q, schema %d", got.Kind, got.Schema)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if again := encode(t, got); !bytes.Equal(file, again) {
		t.Errorf("written again it is\n%s\nand not\n%s", again, file)
	}
	if lines := bytes.Count(file, []byte(`{"name":`)); lines != len(want.Benchmarks) {
		t.Errorf("%d lines of benchmarks, want %d:\n%s", lines, len(want.Benchmarks), file)
	}
}

// The checksum is what the package's comment says, of the file and not of what this
// package makes of it.
func TestChecksum(t *testing.T) {
	r := sampleReport()
	file := encode(t, r)
	var compact bytes.Buffer
	if err := json.Compact(&compact, file); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(bytes.Replace(compact.Bytes(), []byte(r.SHA256), nil, 1))
	if got := hex.EncodeToString(sum[:]); got != r.SHA256 {
		t.Errorf("the content's SHA-256 is %s, the file says %s", got, r.SHA256)
	}
	// White space is no content.
	if _, err := Parse("compact.json", compact.Bytes()); err != nil {
		t.Error(err)
	}
}

// Whatever is changed in a report shows.
func TestEdited(t *testing.T) {
	file := string(encode(t, sampleReport()))
	for _, edit := range [][2]string{
		{"25000", "24000"}, {"33333.333333333336", "33333.33333333333"}, {`"avx2"`, `"avx3"`}, {"KVM", "Xen"},
		{`"emulated": true`, `"emulated": false`}, {"too much", "too little"}, {"2026-", "2025-"}, {"[100,120]", "[100,121]"},
		{"[25000,", "[25000,25000,"}, {`"rounds": 2`, `"rounds": 3`}, {gemm, strings.Replace(gemm, "m=100", "m=101", 1)},
		{`"sha256": "`, `"sha256": "0`}, {"=SKYLAKEX", "=ZEN"}, {"0.3.21", "0.3.22"}, {`"run":1`, `"run":2`}, {"by itself it is slower", "a wonder"},
	} {
		if !strings.Contains(file, edit[0]) {
			t.Errorf("no %s in the file", edit[0])
			continue
		}
		_, err := Parse("x.json", []byte(strings.Replace(file, edit[0], edit[1], 1)))
		wantProblem(t, fmt.Sprint(edit), err, ErrEdited)
	}
}

// wantProblem checks that err is an *Error of the right sort, which names the file.
func wantProblem(t *testing.T, what string, err, problem error) {
	t.Helper()
	var e *Error
	if !errors.Is(err, problem) || !errors.As(err, &e) || e.Path != "x.json" || !strings.Contains(err.Error(), "x.json") {
		t.Errorf("%s: error %v, want %q of x.json", what, err, problem)
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: the error has lines: %v", what, err)
	}
}

func TestTruncated(t *testing.T) {
	file := bytes.TrimSpace(encode(t, sampleReport()))
	for n := range file {
		_, err := Parse("x.json", file[:n])
		wantProblem(t, fmt.Sprintf("%d bytes", n), err, ErrTruncated)
	}
}

func TestForeign(t *testing.T) {
	file := string(encode(t, sampleReport()))
	for content, problem := range map[string]error{
		"hello":                     ErrForeign,
		"[1, 2]":                    ErrForeign,
		"17":                        ErrForeign,
		"null":                      ErrForeign,
		"{}":                        ErrForeign,
		`{"kind": "checkpoint"}`:    ErrForeign,
		`{"kind": 3}`:               ErrForeign,
		"\x89PNG\r\n":               ErrForeign,
		file + "{}":                 ErrForeign,
		`{"kind":"halfgrad-bench"}`: ErrSchema,
		strings.Replace(file, `"schema": 1`, `"schema": 2`, 1):                      ErrSchema,
		strings.Replace(file, `"schema": 1`, `"schema": 2, "new": [{"a": "b"}]`, 1): ErrSchema,
		strings.Replace(file, `"suite"`, `"suit"`, 1):                               ErrInvalid,
		strings.Replace(file, `"date": "2026`, `"date": "yesterday`, 1):             ErrInvalid,
		strings.Replace(file, `"cores": 2`, `"cores": "two"`, 1):                    ErrInvalid,
	} {
		_, err := Parse("x.json", []byte(content))
		wantProblem(t, fmt.Sprintf("%.60s", content), err, problem)
	}
	_, err := Read(filepath.Join(t.TempDir(), "none.json"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("no file: error %v", err)
	}
}

// What makes no sense is neither written nor read.
func TestInvalid(t *testing.T) {
	for want, change := range map[string]func(r *Report){
		"date":                  func(r *Report) { r.Date = time.Time{} },
		"one in UTC":            func(r *Report) { r.Date = r.Date.In(time.FixedZone("", 3600)) },
		"suite":                 func(r *Report) { r.Suite = "" },
		"seconds":               func(r *Report) { r.Seconds = math.NaN() },
		"version of Go":         func(r *Report) { r.Build.Go = "" },
		"machine: want":         func(r *Report) { r.Machine.Cores = 0 },
		"peer 1 (openblas)":     func(r *Report) { r.Peers[1].Kernel = "openblas" },
		"peer 0 (avx2)":         func(r *Report) { r.Peers[0].Kernel = "avx2" },
		"peer 0 (a/b)":          func(r *Report) { r.Peers[0].Kernel = "a/b" },
		"peer 1 (gonum)":        func(r *Report) { r.Peers[1].Name = "" },
		"run -1":                func(r *Report) { r.Benchmarks[1].Run = -1 },
		"has count=":            func(r *Report) { r.Benchmarks[1].Unit = Instructions; r.Benchmarks[1].Peak = nil },
		"and nowhere else":      func(r *Report) { r.Benchmarks[5].Unit = Nanoseconds },
		"without a peak":        func(r *Report) { r.Benchmarks[5].Peak = []float64{1, 1} },
		"negative sizes":        func(r *Report) { r.Machine.Caches.L2 = -1 },
		"not emulated":          func(r *Report) { r.Machine.Emulated = false },
		"settings":              func(r *Report) { r.Settings.Threads = []int{1, 0} },
		"no benchmarks":         func(r *Report) { r.Benchmarks = nil },
		"each name once":        func(r *Report) { r.Benchmarks[2].Name = gemm },
		"omission 0":            func(r *Report) { r.Omitted[0].Name = gemm },
		"name: want":            func(r *Report) { r.Benchmarks[1].Name = "Gemm/m=1 2" },
		"unit":                  func(r *Report) { r.Benchmarks[1].Unit = "s" },
		"without work":          func(r *Report) { r.Benchmarks[1].Unit = GFLOPS },
		"Unit:byte":             func(r *Report) { r.Benchmarks[1].Work = &Work{2, "byte"} },
		"Amount:-2e+06":         func(r *Report) { r.Benchmarks[1].Work.Amount *= -1 },
		"no samples":            func(r *Report) { r.Benchmarks[1].Samples = nil },
		"1 samples of the peak": func(r *Report) { r.Benchmarks[1].Peak = []float64{1} },
		"a sample of 0":         func(r *Report) { r.Benchmarks[1].Samples[1] = 0 },
		"a sample of +Inf":      func(r *Report) { r.Benchmarks[1].Peak[1] = math.Inf(1) },
	} {
		r := sampleReport()
		change(r)
		path := filepath.Join(t.TempDir(), "report.json")
		if err := r.Write(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: it was written", want)
		}
		// The same from one who computes checksums; JSON has neither NaN nor infinity, and
		// any time zone is as good as another in it.
		r.Kind, r.Schema = Kind, Schema
		var err error
		if r.SHA256, err = r.sum(); err != nil || want == "one in UTC" {
			continue
		}
		file, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse("x.json", file)
		wantProblem(t, want, err, ErrInvalid)
	}
}

func TestName(t *testing.T) {
	n := Name(gemm)
	if n.Base() != "Gemm" || n.Get("k") != "100" || n.Get("kernel") != "avx2" || n.Get("batch") != "" || n.Get("Gemm") != "" {
		t.Errorf("base %q, k %q, kernel %q, batch %q", n.Base(), n.Get("k"), n.Get("kernel"), n.Get("batch"))
	}
	if got := n.Without("kernel", "threads", "batch"); got != "Gemm/m=100/n=100/k=100/ta=n/tb=t/dtype=fp16" {
		t.Errorf("without kernel and threads %q", got)
	}
	r := sampleReport()
	if b := r.Find(gemm); b != &r.Benchmarks[1] || r.Find("Gemm") != nil {
		t.Errorf("found %v", b)
	}
	for name, valid := range map[Name]bool{
		"A": true, "Ab1/c=d": true, "A/c=1.5e+3-x_y": true,
		"": false, "a": false, "A/": false, "A/c": false, "A/c=": false, "A/=d": false, "A/C=d": false, "A/c=d=e": false, "A/c=d e": false, "A/c=d\n": false,
	} {
		if validName.MatchString(string(name)) != valid {
			t.Errorf("%q is valid: %v, want %v", name, !valid, valid)
		}
	}
}

func TestLevel(t *testing.T) {
	c := Caches{L1D: 32 << 10, L2: 1 << 20, L3: 32 << 20}
	for _, test := range []struct {
		caches         Caches
		bytes, threads int
		want           string
	}{
		{c, 16 << 10, 1, "L1"}, {c, 24 << 10, 8, "L1"}, {c, 32 << 10, 1, "L2"}, {c, 1 << 20, 1, "L3"}, {c, 16 << 20, 1, "L3"},
		{c, 16 << 20, 2, "DRAM"}, {c, 1 << 28, 1, "DRAM"}, {Caches{}, 4096, 1, ""}, {Caches{L1D: 128 << 10, L2: 12 << 20}, 16 << 20, 1, "DRAM"},
	} {
		if got := test.caches.Level(test.bytes, test.threads); got != test.want {
			t.Errorf("%d bytes of %d threads: %q, want %q", test.bytes, test.threads, got, test.want)
		}
	}
}

// Reports in Go's format are read by its own reader.
func TestWriteGo(t *testing.T) {
	r := sampleReport()
	var b bytes.Buffer
	if err := r.WriteGo(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	reader := benchfmt.NewReader(&b, "report.txt")
	var got []string
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(rec)
		case *benchfmt.Result:
			if rec.GetConfig("goos") != "linux" || rec.GetConfig("goarch") != "amd64" || rec.GetConfig("cpu") != "Some <Fast> & Co" || rec.GetConfig("emulated") != "true" {
				t.Errorf("configuration %+v", rec.Config)
			}
			line := rec.Name.String()
			for _, v := range rec.Values {
				line += fmt.Sprintf(" %.6g %s", v.Value, v.Unit)
			}
			got = append(got, line)
		}
	}
	if err := reader.Err(); err != nil {
		t.Error(err)
	}
	want := []string{
		"Peak/dtype=fp32/threads=2/kernel=avx2 100 GFLOPS",
		"Peak/dtype=fp32/threads=2/kernel=avx2 101.25 GFLOPS",
		gemm + " 2.5e-05 sec/op 80 GFLOPS 100 peak-GFLOPS",
		gemm + " 3.33333e-05 sec/op 60 GFLOPS 120 peak-GFLOPS",
		"Memory/bytes=4096/op=copy/threads=1 1e-07 sec/op 80 GB/s 1 peak-GFLOPS",
		"Memory/bytes=4096/op=copy/threads=1 2e-07 sec/op 40 GB/s 1 peak-GFLOPS",
		"TrainStep/model=784-256-10/batch=16/threads=1 0.008 sec/op",
		"TrainStep/model=784-256-10/batch=16/threads=1 0.004 sec/op",
		peers + " 5e-05 sec/op 40 GFLOPS 100 peak-GFLOPS",
		peers + " 2.5e-05 sec/op 80 GFLOPS 120 peak-GFLOPS",
		counted + " 250 instructions/op 8 flop/instruction",
		counted + " 500 instructions/op 4 flop/instruction",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other results (-want +got):\n%s\nof\n%s", diff, text)
	}
	for unit, better := range map[string]int{"GFLOPS": 1, "GB/s": 1, "Gelem/s": 1, "flop/instruction": 1, "peak-GFLOPS": 1, "ns/op": -1} {
		if got := reader.Units().GetBetter(unit); got != better {
			t.Errorf("better %s: %d, want %d", unit, got, better)
		}
	}
	if err := r.WriteGo(failingWriter{}); err == nil {
		t.Error("a full disk: no error")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

// FuzzParse reads anything; what it takes it can write and read again. As hardly
// anything has the right checksum, it is set right as well.
func FuzzParse(f *testing.F) {
	file := encode(f, sampleReport())
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte(`{"kind":"halfgrad-bench","schema":1}`))
	f.Add([]byte(`{"kind":"halfgrad-bench","schema":1,"sha256":"","date":"2026-05-06T07:08:09+01:00","benchmarks":[{"name":"A/b=1"}]}`))
	f.Add([]byte(`{"kind":"halfgrad-bench","schema":1,"peers":[{"kernel":"blis","name":"BLIS"}],"benchmarks":[{"name":"A/count=instructions","unit":"instructions","samples":[1],"run":3}]}`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse("x.json", data)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("error %v of type %T", err, err)
		}
		if err != nil {
			r = new(Report)
			if json.Unmarshal(data, r) != nil {
				return
			}
			r.Date = r.Date.UTC()
		}
		again, err := r.Encode()
		if err != nil {
			return
		}
		got, err := Parse("x.json", again)
		if err != nil {
			t.Fatalf("written again: %v", err)
		}
		if diff := cmp.Diff(r, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("written again it is another (-first +second):\n%s", diff)
		}
		for i := range got.Benchmarks {
			b := &got.Benchmarks[i]
			b.Noise()
			b.Rate()
			b.Share()
			b.Images()
			if _, _, err := Compare(b, b); err != nil {
				t.Error(err)
			}
			Paired(b, &got.Benchmarks[0])
		}
		if err := got.WriteGo(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
		// Into itself: it is as it was, but for its duration, and runs are numbered anew.
		if err := got.Merge(r); err != nil {
			t.Fatal(err)
		}
		if got.Seconds = r.Seconds; r.Seconds < 1e300 {
			if _, err := got.Encode(); err != nil {
				t.Errorf("merged into itself: %v", err)
			}
		}
	})
}
