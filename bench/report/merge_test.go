package report

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A run of peers gives way to the next as a whole; the rest of a report stays.
func TestMerge(t *testing.T) {
	r, other := sampleReport(), sampleReport()
	// Another way to build the same program, and a bit less memory.
	other.Build.Version, other.Machine.Memory = "(devel)", other.Machine.Memory-1<<20
	other.Suite, other.Seconds = "peers", 30
	other.Peers = []Peer{{Kernel: "blis", Name: "BLIS"}}
	const blis = "Gemm/m=100/n=100/k=100/ta=n/tb=t/dtype=fp32/threads=2/kernel=blis"
	other.Benchmarks = []Benchmark{
		{Name: blis, Unit: Nanoseconds, Samples: []float64{1, 2, 3}, Run: 1},
		{Name: gemm, Unit: Nanoseconds, Samples: []float64{4, 5, 6}, Run: 1},
	}
	r.Benchmarks[0].Run = 4 // whatever it took turns with
	r.Omitted = append(r.Omitted, Omission{"Gemm/m=9/kernel=gonum", "slow"}, Omission{blis, "it was not there"})
	other.Omitted = []Omission{{"Gemm/m=9/kernel=blis", "slow"}, {"Memory/bytes=4096/op=copy/threads=1", "slow, but not at first"}}
	other.Settings = Settings{Kernels: []string{"avx2", "generic"}, Threads: []int{2, 4}, Rounds: 3}

	if err := r.Merge(other); err != nil {
		t.Fatal(err)
	}
	want := sampleReport()
	want.Peers = other.Peers
	want.Benchmarks = []Benchmark{want.Benchmarks[0], want.Benchmarks[2], want.Benchmarks[3], want.Benchmarks[5], other.Benchmarks[0], other.Benchmarks[1]}
	want.Benchmarks[0].Run, want.Benchmarks[4].Run, want.Benchmarks[5].Run = 4, 5, 5
	want.Omitted = append(want.Omitted, other.Omitted[0])
	want.Settings = Settings{Kernels: []string{"avx2", "generic"}, Threads: []int{1, 2, 4}, Rounds: 3}
	want.Seconds = 42.5
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("another report (-want +got):\n%s", diff)
	}
	if other.Benchmarks[0].Run != 1 {
		t.Error("what was merged is changed")
	}
	path := filepath.Join(t.TempDir(), "merged.json")
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	again, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, again); diff != "" {
		t.Errorf("read again it is another (-want +got):\n%s", diff)
	}
}

// Without peers of its own, what is merged leaves peers alone.
func TestMergeNoPeers(t *testing.T) {
	r, other := sampleReport(), sampleReport()
	other.Peers, other.Omitted = nil, nil
	other.Benchmarks = []Benchmark{{Name: "Peak/dtype=fp32/threads=4", Unit: GFLOPS, Samples: []float64{3}}}
	if err := r.Merge(other); err != nil {
		t.Fatal(err)
	}
	want := sampleReport()
	want.Seconds *= 2
	want.Benchmarks = append(want.Benchmarks, other.Benchmarks...)
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("another report (-want +got):\n%s", diff)
	}
}

func TestMergeRefuses(t *testing.T) {
	for want, change := range map[string]func(r *Report){
		`machine: its cpu is "Some <Fast> & Co" in one and "Other"`: func(r *Report) { r.Machine.CPU = "Other" },
		"machine: its arch":     func(r *Report) { r.Machine.Arch = "arm64" },
		"machine: its cores":    func(r *Report) { r.Machine.Cores = 4 },
		"machine: its memory":   func(r *Report) { r.Machine.Memory *= 2 },
		"machine: its caches":   func(r *Report) { r.Machine.Caches.L2 *= 2 },
		"machine: its features": func(r *Report) { r.Machine.Features = r.Machine.Features[:1] },
		"machine: its emulated": func(r *Report) { r.Machine.Emulated, r.Machine.Emulator = false, "" },
		"build: its go is":      func(r *Report) { r.Build.Go = "go1.27" },
		"build: its revision":   func(r *Report) { r.Build.Revision = "def" },
		"build: its modified":   func(r *Report) { r.Build.Modified = false },
	} {
		r, other := sampleReport(), sampleReport()
		change(other)
		err := r.Merge(other)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v does not say %q", err, want)
		}
		if diff := cmp.Diff(sampleReport(), r); diff != "" {
			t.Errorf("%s: refused, it is another (-want +got):\n%s", want, diff)
		}
	}
	// A revision that one of them does not know is no other one.
	r, other := sampleReport(), sampleReport()
	other.Build.Revision, other.Build.Modified = "", false
	if err := r.Merge(other); err != nil {
		t.Error(err)
	}
}

func TestPaired(t *testing.T) {
	a := Benchmark{Name: gemm, Unit: Nanoseconds, Samples: []float64{10, 20, 30, 40, 50, 60, 70}, Work: &Work{1, FLOP}, Run: 2}
	b := a
	b.Name, b.Samples = peers, []float64{20, 40, 60, 80, 100, 120, 7}
	s, ok := Paired(&a, &b)
	if !ok || s.Center != 0.5 || s.Lo != 0.5 || s.Hi != 10 {
		t.Errorf("b's rate over a's is %+v, %v, want 0.5", s, ok)
	}
	// With all that the machine was slower for a while, the ratio stays.
	slow := a
	slow.Samples = slices.Clone(a.Samples)
	for i := range slow.Samples {
		slow.Samples[i] *= float64(i + 1)
	}
	same := slow
	same.Name = peers
	if s, ok := Paired(&slow, &same); !ok || s.Center != 1 || s.Lo != 1 {
		t.Errorf("equals: %+v, %v", s, ok)
	}
	rate := Benchmark{Name: "Peak/kernel=a", Unit: GFLOPS, Samples: []float64{10}, Run: 1}
	twice := Benchmark{Name: "Peak/kernel=b", Unit: GFLOPS, Samples: []float64{20}, Run: 1}
	if s, ok := Paired(&rate, &twice); !ok || s.Center != 2 {
		t.Errorf("rates: %+v, %v, want 2", s, ok)
	}
	for what, change := range map[string]func(b *Benchmark){
		"no run":        func(b *Benchmark) { b.Run = 0 },
		"another run":   func(b *Benchmark) { b.Run = 3 },
		"another unit":  func(b *Benchmark) { b.Unit = Instructions },
		"another work":  func(b *Benchmark) { b.Work = &Work{2, FLOP} },
		"no work":       func(b *Benchmark) { b.Work = nil },
		"fewer samples": func(b *Benchmark) { b.Samples = b.Samples[1:] },
		"another shape": func(b *Benchmark) { b.Name = Name(strings.Replace(peers, "m=100", "m=101", 1)) },
	} {
		b := b
		change(&b)
		if s, ok := Paired(&a, &b); ok || !cmp.Equal(s.Center, 0.0, cmpopts.EquateNaNs()) {
			t.Errorf("%s: paired, %+v", what, s)
		}
	}
}

func TestInstructions(t *testing.T) {
	r := sampleReport()
	b := r.Find(counted)
	if rate, unit, ok := b.Rate(); !ok || unit != "flop/instruction" || rate.Center != 6 { // of 8 and 4
		t.Errorf("rate %v %s, %v", rate.Center, unit, ok)
	}
	if _, ok := b.Share(); ok {
		t.Error("instructions have a share of the peak")
	}
	if _, _, err := Compare(b, r.Find(gemm)); err == nil {
		t.Error("instructions compare with time")
	}
	noWork, step := *b, r.Find("TrainStep/model=784-256-10/batch=16/threads=1")
	noWork.Work = nil
	if _, _, err := Compare(&noWork, step); err == nil {
		t.Error("instructions without work compare with time")
	}
}
