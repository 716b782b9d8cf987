package suite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// tiny is a suite of some milliseconds.
func tiny() Config {
	return Config{
		Name: "tiny", Rounds: 7, Sample: 20 * time.Microsecond, Budget: time.Minute, Kernels: []string{"generic"}, Threads: []int{1, 2},
		Memory: []int{4096}, Convert: []int{100},
		Products: []Product{{bench.Shape{M: 5, N: 6, K: 7}, []tensor.DType{tensor.F16, tensor.F32}, []string{"nn", "nt", "tn", "tt"}}},
		Train:    []bench.TrainConfig{{Widths: []int{6, 5, 3}, Batch: 4, Images: 12, Optimizer: "sgd", Precision: tensor.F16}},
	}
}

func TestRun(t *testing.T) {
	t.Setenv(kernels.EnvKernel, "")
	var seen []Progress
	r, err := Run(t.Context(), tiny(), func(p Progress) { seen = append(seen, p) })
	if err != nil {
		t.Fatal(err)
	}
	want := []report.Name{
		"Peak/dtype=fp32/threads=1/kernel=generic", "Peak/dtype=fp32/threads=2/kernel=generic",
		"Memory/bytes=4096/op=read/threads=1/kernel=generic", "Memory/bytes=4096/op=copy/threads=1", "Memory/bytes=4096/op=triad/threads=1",
		"Memory/bytes=4096/op=read/threads=2/kernel=generic", "Memory/bytes=4096/op=copy/threads=2", "Memory/bytes=4096/op=triad/threads=2",
		"Convert/elements=100/op=widen/threads=1", "Convert/elements=100/op=narrow/threads=1",
	}
	for _, dtype := range []string{"fp16", "fp32"} {
		for _, trans := range []string{"ta=n/tb=n", "ta=n/tb=t", "ta=t/tb=n", "ta=t/tb=t"} {
			for threads := 1; threads <= 2; threads++ {
				want = append(want, report.Name(fmt.Sprintf("Gemm/m=5/n=6/k=7/%s/dtype=%s/threads=%d/kernel=generic", trans, dtype, threads)))
			}
		}
	}
	want = append(want, "TrainStep/model=6-5-3/batch=4/optimizer=sgd/dtype=fp16/threads=1/kernel=generic",
		"TrainStep/model=6-5-3/batch=4/optimizer=sgd/dtype=fp16/threads=2/kernel=generic")
	var got []report.Name
	for _, b := range r.Benchmarks {
		got = append(got, b.Name)
		peaks := 7
		if b.Name.Base() == "Peak" {
			peaks = 0
		}
		if len(b.Samples) != 7 || len(b.Peak) != peaks {
			t.Errorf("%s: %d samples and %d of the peak, want 7 and %d", b.Name, len(b.Samples), len(b.Peak), peaks)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other benchmarks (-want +got):\n%s", diff)
	}
	// What an operation does, counted by hand: 4096 bytes are 1024 elements of which 80
	// are between arrays, and so 944 are read; 432 are copied; 256 are in each of three
	// arrays.
	for name, work := range map[report.Name]report.Work{
		"Memory/bytes=4096/op=read/threads=2/kernel=generic": {Amount: 2 * 4 * 944, Unit: report.Bytes},
		"Memory/bytes=4096/op=copy/threads=1":                {Amount: 2 * 4 * 432, Unit: report.Bytes},
		"Memory/bytes=4096/op=triad/threads=1":               {Amount: 3 * 4 * 256, Unit: report.Bytes},
		"Convert/elements=100/op=narrow/threads=1":           {Amount: 100, Unit: report.Element},
		want[10]: {Amount: 2 * 5 * 6 * 7, Unit: report.FLOP},
		// Forward and the weights' gradients of both layers, and the input's of the second.
		want[len(want)-1]: {Amount: 2 * 4 * (2*6*5 + 3*5*3), Unit: report.FLOP},
	} {
		if got := r.Find(name); got == nil || *got.Work != work {
			t.Errorf("%s: work %+v, want %+v", name, got.Work, work)
		}
	}
	if r.Suite != "tiny" || r.Settings.Rounds != 7 || !slices.Equal(r.Settings.Kernels, []string{"generic"}) || !slices.Equal(r.Settings.Threads, []int{1, 2}) ||
		len(r.Omitted) != 0 || r.Build.Go == "" || time.Since(r.Date) > time.Hour || time.Since(r.Date) < 0 {
		t.Errorf("settings %+v of %q, omitted %v, %+v, %v", r.Settings, r.Suite, r.Omitted, r.Build, r.Date)
	}
	// One round after the other, and each has everything once.
	n := len(want)
	if len(seen) != n+7*n+1 || seen[len(seen)-1] != (Progress{Done: 7 * n, Total: 7 * n}) {
		t.Errorf("%d times progress, the last %+v, want %d", len(seen), seen[len(seen)-1], n+7*n+1)
	} else {
		orders := map[string]bool{}
		for round := range 7 {
			var names, sorted []string
			for i, p := range seen[n+round*n:][:n] {
				if p.Preparing || p.Done != round*n+i || p.Total != 7*n {
					t.Errorf("progress %+v, want %d of %d", p, round*n+i, 7*n)
				}
				names = append(names, string(p.Name))
			}
			orders[strings.Join(names, " ")] = true
			sorted = slices.Compact(slices.Sorted(slices.Values(names)))
			if len(sorted) != n {
				t.Errorf("round %d has %d benchmarks, want %d", round, len(sorted), n)
			}
		}
		if len(orders) != 7 {
			t.Errorf("%d orders in 7 rounds", len(orders))
		}
	}
	path := filepath.Join(t.TempDir(), "tiny.json")
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	again, err := report.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, again); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
}

// A tier that the machine has, and what does not depend on it only once.
func TestRunTiers(t *testing.T) {
	t.Setenv(kernels.EnvKernel, "")
	cfg := tiny()
	cfg.Kernels, cfg.Threads, cfg.Rounds, cfg.Emulated = append(kernels.Supported(), kernels.Auto), []int{1}, 1, true
	r, err := Run(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, b := range r.Benchmarks {
		count[b.Name.Get("op")]++
	}
	tiers := len(kernels.Supported())
	if want := map[string]int{"": tiers * (1 + 8 + 1), "read": tiers, "copy": 1, "triad": 1, "widen": 1, "narrow": 1}; !cmp.Equal(count, want) {
		t.Errorf("benchmarks by op %v, want %v", count, want)
	}
	if !slices.Equal(r.Settings.Kernels, kernels.Supported()) || !r.Machine.Emulated {
		t.Errorf("kernels %v, emulated %v", r.Settings.Kernels, r.Machine.Emulated)
	}
}

// Where there is too little time, what takes longest is omitted and named.
func TestBudget(t *testing.T) {
	cfg := tiny()
	cfg.Products = append(cfg.Products, Product{bench.Shape{M: 300, N: 300, K: 300}, []tensor.DType{tensor.F16}, []string{"nn", "nt"}})
	cfg.Threads, cfg.Memory, cfg.Train, cfg.Budget = []int{1}, nil, nil, 240*time.Millisecond
	r, err := Run(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	large := 0
	for _, o := range r.Omitted {
		if r.Find(o.Name) != nil {
			t.Errorf("omitted and not: %+v", o)
		}
		if o.Name.Get("m") == "300" && strings.Contains(o.Reason, "more than 5ms") {
			large++
		}
	}
	if large != 2 || len(r.Benchmarks[0].Samples) != r.Settings.Rounds {
		t.Errorf("omitted %v, %d rounds, %d samples", r.Omitted, r.Settings.Rounds, len(r.Benchmarks[0].Samples))
	}
	// Memory that the machine does not have, or has for others.
	cfg = tiny()
	cfg.Memory, cfg.Products, cfg.Train, cfg.Threads = []int{mostMemory / 2}, nil, nil, []int{4}
	cfg.Rounds = 1
	if r, err = Run(t.Context(), cfg, nil); err != nil || len(r.Omitted) != 3 || !strings.Contains(r.Omitted[2].Reason, "2147483648 bytes") {
		t.Errorf("error %v, omitted %+v", err, r)
	}
}

func TestRunErrors(t *testing.T) {
	t.Setenv(kernels.EnvKernel, "")
	for want, change := range map[string]func(*Config){
		"no such kernel":   func(c *Config) { c.Kernels = []string{"vax"} },
		"0 threads":        func(c *Config) { c.Threads = []int{0} },
		"0 rounds":         func(c *Config) { c.Rounds = 0 },
		"threads []":       func(c *Config) { c.Threads = nil },
		"and a name":       func(c *Config) { c.Name = "" },
		"12 bytes":         func(c *Config) { c.Memory = []int{12} },
		`transposes "n"`:   func(c *Config) { c.Products[0].Trans = []string{"n"} },
		`optimizer "lion"`: func(c *Config) { c.Train[0].Optimizer = "lion" },
	} {
		cfg := tiny()
		change(&cfg)
		if _, err := Run(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

// Whenever it is interrupted, there is no report.
func TestCancel(t *testing.T) {
	for _, after := range []int{1, 10, 40, 100} {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		r, err := Run(ctx, tiny(), func(Progress) {
			if seen++; seen == after {
				cancel()
			}
		})
		if r != nil || !errors.Is(err, context.Canceled) || seen != after {
			t.Errorf("after %d: %v, error %v, %d times progress", after, r != nil, err, seen)
		}
		cancel()
	}
}

// The suites have what they promise, without being run.
func TestSuites(t *testing.T) {
	names := func(cfg Config) (names []report.Name) {
		cfg.Kernels, cfg.Threads = []string{"generic"}, []int{1}
		s := &session{Config: cfg, ctx: t.Context()}
		if err := s.build(); err != nil {
			t.Fatal(err)
		}
		for _, task := range s.tasks {
			names = append(names, task.Name)
		}
		return names
	}
	full, quick := names(Full()), names(Quick())
	for _, name := range quick {
		if !slices.Contains(full, name) {
			t.Errorf("%s is in the quick suite alone", name)
		}
	}
	if len(quick) >= len(full) || Quick().Rounds < report.MinSamples || Full().Rounds < report.MinSamples {
		t.Errorf("%d and %d benchmarks", len(quick), len(full))
	}
	for _, want := range []report.Name{
		"Gemm/m=512/n=768/k=3072/ta=t/tb=n/dtype=fp32/threads=1/kernel=generic", "Gemm/m=784/n=256/k=128/ta=t/tb=n/dtype=fp16/threads=1/kernel=generic",
		"TrainStep/model=784-1024-1024-10/batch=128/optimizer=sgd/dtype=fp16/threads=1/kernel=generic",
	} {
		if !slices.Contains(full, want) {
			t.Errorf("the full suite lacks %s", want)
		}
	}
}

func TestTogether(t *testing.T) {
	done := make([]bool, 5)
	if took := together(len(done), func(i int) { time.Sleep(time.Millisecond); done[i] = true }); took < time.Millisecond || slices.Contains(done, false) {
		t.Errorf("%v after %v", done, took)
	}
}

// The loops of Go do what they say.
func TestLoops(t *testing.T) {
	a := make([]float32, 5)
	triad(a, []float32{1, 2, 3, 4, 5}, []float32{10, 20, 30, 40, 50}, 3)
	if want := []float32{31, 62, 93, 124, 155}; !slices.Equal(a, want) {
		t.Errorf("triad %v, want %v", a, want)
	}
	for _, n := range []int{0, 1, 65521, 200000} {
		x := values(n)
		if len(x) != n || n > 0 && (slices.Min(x) < 0.5 || slices.Max(x) >= 1.5) {
			t.Errorf("%d values: %d from %v to %v", n, len(x), slices.Min(x), slices.Max(x))
		}
	}
}

// The arrays of all threads are apart.
func TestArrays(t *testing.T) {
	memory := make([]float32, 2*1024)
	var all [][]float32
	for thread := range 2 {
		x := arrays(memory[thread*1024:][:1024], 3, 256)
		all = append(all, x[:]...)
	}
	for i, x := range all {
		for j := range x {
			x[j] += float32(i + 1)
		}
	}
	for i, x := range all {
		if len(x) != 256 || slices.Min(x) != float32(i+1) || slices.Max(x) != float32(i+1) {
			t.Errorf("array %d: %d elements from %v to %v", i, len(x), slices.Min(x), slices.Max(x))
		}
	}
}

func TestOperands(t *testing.T) {
	s := bench.Shape{M: 2, N: 3, K: 4}
	o := &operands{f16: [3][]fp16.Float16{make([]fp16.Float16, 8), make([]fp16.Float16, 12), make([]fp16.Float16, 6)}, f32: [3][]float32{values(8), values(12), values(6)}}
	for _, dtype := range []tensor.DType{tensor.F16, tensor.F32} {
		for i := range 4 {
			g := o.product(s, dtype, i&1 == 1, i&2 == 2)
			a, b, c := g.A, g.B, g.C
			if a.Trans != (i&1 == 1) || b.Trans != (i&2 == 2) || c.Trans || a.DType() != dtype || b.DType() != dtype || c.DType() != dtype ||
				[6]int{a.Rows, a.Cols, b.Rows, b.Cols, c.Rows, c.Cols} != [6]int{2, 4, 4, 3, 2, 3} || errors.Join(a.Check("A"), b.Check("B"), c.Check("C")) != nil {
				t.Errorf("%v, %d: %+v", dtype, i, g)
			}
		}
	}
}

// Steps that are skipped do not count.
func TestSteps(t *testing.T) {
	calls := 0
	_, err := steps(func() (trainer.StepResult, error) {
		if calls++; calls%2 == 1 {
			return trainer.StepResult{Skipped: true}, nil
		}
		return trainer.StepResult{}, nil
	})(2)
	if err != nil || calls != 4 {
		t.Errorf("%d calls, error %v", calls, err)
	}
	broken := errors.New("broken")
	if _, err := steps(func() (trainer.StepResult, error) { return trainer.StepResult{}, broken })(1); err != broken {
		t.Errorf("error %v", err)
	}
}

// A report of the peers' module can be merged into one of the command: both name the
// same module and revision.
func TestBuildOf(t *testing.T) {
	settings := []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}
	deps := []*debug.Module{{Path: "example.com/other", Version: "v9.9.9"}, {Path: modulePath, Version: "v0.1.0"}}
	for _, tt := range []struct {
		main debug.Module
		want report.Build
	}{
		{debug.Module{Path: modulePath, Version: "v0.2.0"}, report.Build{Version: "v0.2.0", Revision: "abc", Modified: true}},
		{debug.Module{Path: modulePath + "/bench/peers"}, report.Build{Version: "v0.1.0", Revision: "abc", Modified: true}},
		{debug.Module{Path: "example.com/halfgrad"}, report.Build{Version: "v0.1.0"}}, // whose revision is its own
		{debug.Module{Path: modulePath + "er"}, report.Build{Version: "v0.1.0"}},
	} {
		tt.want.Go, tt.want.Module = runtime.Version(), modulePath
		if got := buildOf(&debug.BuildInfo{Main: tt.main, Deps: deps, Settings: settings}); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.main.Path, got, tt.want)
		}
	}
}

// What machines' files look like: excerpts of /proc/cpuinfo of a Raspberry Pi 4, an
// Ampere Altra, a phone with cores of two kinds, a VisionFive 2 and an x86 server.
const (
	raspberryPi = `processor	: 0
BogoMIPS	: 108.00
Features	: fp asimd evtstrm crc32 cpuid
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: 0xd08
CPU revision	: 3
`
	altra = `processor	: 0
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0c
CPU revision	: 1
`
	phone = `processor	: 0
CPU implementer	: 0x41
CPU part	: 0xd05

processor	: 1
CPU implementer	: 0x41
CPU part	: 0xd05

processor	: 2
CPU implementer	: 0x41
CPU part	: 0xdff
`
	visionFive = `processor	: 0
hart		: 1
isa		: rv64imafdc
mmu		: sv39
uarch		: sifive,u74-mc
`
	server = `processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model name	: AMD EPYC
`
)

func files(cpuinfo string, more ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	if cpuinfo != "" {
		fs["proc/cpuinfo"] = &fstest.MapFile{Data: []byte(cpuinfo)}
	}
	for i := 0; i < len(more); i += 2 {
		fs[more[i]] = &fstest.MapFile{Data: []byte(more[i+1])}
	}
	return fs
}

func TestDescribe(t *testing.T) {
	for _, test := range []struct {
		cpuinfo string
		want    report.Machine
	}{
		{raspberryPi, report.Machine{CPU: "Cortex-A72", Vendor: "ARM", Family: 0x41, Model: 0xd08, Stepping: 0x03}},
		{altra, report.Machine{CPU: "Neoverse-N1", Vendor: "ARM", Family: 0x41, Model: 0xd0c, Stepping: 0x31}},
		{phone, report.Machine{CPU: "Cortex-A55 + core 0xdff of implementer 0x41", Vendor: "ARM", Family: 0x41, Model: 0xd05}},
		{visionFive, report.Machine{CPU: "sifive,u74-mc"}},
		{"", report.Machine{}},
		{"nonsense\nCPU implementer: 65x\n", report.Machine{}},
	} {
		var got report.Machine
		describe(&got, files(test.cpuinfo))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("of\n%s(-want +got):\n%s", test.cpuinfo, diff)
		}
	}
}

func TestCaches(t *testing.T) {
	const dir = "sys/devices/system/cpu/cpu0/cache/"
	var entries []string
	for i, index := range [][3]string{{"1", "Data", "64K"}, {"1", "Instruction", "48K"}, {"2", "Unified", "1024K"}, {"3", "Unified", "32768K"}} {
		for j, name := range []string{"level", "type", "size"} {
			entries = append(entries, fmt.Sprintf("%sindex%d/%s", dir, i, name), index[j]+"\n")
		}
	}
	entries = append(entries, dir+"uevent", "")
	if got := caches(files("", entries...)); got != (report.Caches{L1D: 64 << 10, L2: 1 << 20, L3: 32 << 20}) {
		t.Errorf("caches %+v", got)
	}
	if got := caches(files("")); got != (report.Caches{}) {
		t.Errorf("of no files %+v", got)
	}
}

func TestEmulator(t *testing.T) {
	const modalias = "sys/devices/system/cpu/modalias"
	x86 := []string{modalias, "cpu:type:x86,ven0002fam0019mod0011:feature:,0000\n"}
	arm := []string{modalias, "cpu:type:aarch64:feature:,0000\n"}
	for _, test := range []struct {
		name    string
		machine report.Machine
		cpuinfo string
		files   []string
		want    string // in what is told
	}{
		{"a server", report.Machine{OS: "linux", Arch: "amd64", CPU: "AMD EPYC", Hypervisor: "KVMKVMKVM"}, server, x86, ""},
		{"in 32 bits", report.Machine{OS: "linux", Arch: "386"}, server, x86, ""},
		{"qemu-x86_64", report.Machine{OS: "linux", Arch: "amd64", Hypervisor: "TCGTCGTCGTCG"}, server, x86, "QEMU"},
		{"qemu-aarch64", report.Machine{OS: "linux", Arch: "arm64"}, server, x86, "x86, by /sys"},
		{"one that forges cpuinfo", report.Machine{OS: "linux", Arch: "arm64"}, altra, x86, "x86, by /sys"},
		{"without /sys", report.Machine{OS: "linux", Arch: "riscv64"}, server, nil, "x86, by /proc"},
		{"qemu-riscv64 on Arm", report.Machine{OS: "linux", Arch: "riscv64"}, raspberryPi, nil, "Arm, by /proc"},
		{"qemu-x86_64 on Arm", report.Machine{OS: "linux", Arch: "amd64"}, "", arm, "aarch64, by /sys"},
		{"a Raspberry Pi", report.Machine{OS: "linux", Arch: "arm64"}, raspberryPi, arm, ""},
		{"its 32 bits", report.Machine{OS: "linux", Arch: "arm"}, raspberryPi, arm, ""},
		{"a VisionFive", report.Machine{OS: "linux", Arch: "riscv64"}, visionFive, nil, ""},
		{"an IBM Z", report.Machine{OS: "linux", Arch: "s390x"}, "vendor_id       : IBM/S390\n", nil, ""},
		{"Rosetta", report.Machine{OS: "darwin", Arch: "amd64", CPU: "VirtualApple @ 2.50GHz"}, "", nil, "Rosetta"},
		{"a Mac", report.Machine{OS: "darwin", Arch: "arm64", CPU: "Apple M1"}, "", nil, ""},
	} {
		if got := emulator(test.machine, files(test.cpuinfo, test.files...)); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
