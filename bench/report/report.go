// Package report reads and writes the file that keeps the measurements of a machine:
// what was measured, on what, and every sample.
//
// Package suite measures, and package compare compares. This package computes what
// follows from the samples of one benchmark: medians with confidence intervals, the
// share of the machine's peak, and whether the samples are noisy.
//
// # The file
//
// The file is JSON with these fields. Those marked ? may be missing, which means
// unknown, none or false:
//
//	kind        "halfgrad-bench"
//	schema      1, the version of all that follows
//	sha256      of the file's content with an empty sha256 and no white space around
//	            values; it detects an edited file
//	date        when the measurements began, RFC 3339, in UTC
//	suite       what was run: "quick", "full", or another name
//	seconds     how long it took
//	build       the program: go, its version;? module, version, revision of the source;
//	            ? modified, whether there were changes since
//	machine     os, arch, as Go calls them;? cpu, vendor, family, model, stepping;
//	            cores, the logical ones that Go uses;? caches, l1d, l2, l3 in bytes, 0
//	            where unknown;? memory in bytes;? hypervisor;? features; kernels, the
//	            tiers that it supports;? emulated, and by what: its speeds mean nothing
//	settings    kernels and threads that were measured, and rounds, the samples of each
//	            benchmark unless reports were merged
//	peers       ? other libraries that were measured: kernel, their name in benchmarks;
//	            name;? version;? core, the processor or instruction set that its code
//	            is for, as it says;? settings, its environment variables; ? note
//	benchmarks  one a line: name, unit,? work, samples,? peak,? run
//	omitted     ? names of benchmarks that were not run, and why
//
// A benchmark's name is that of a Go benchmark without "Benchmark", with key=value
// parts, sizes before implementations (see [Name]):
//
//	Peak/dtype=fp32/threads=1/kernel=avx512
//	Memory/bytes=16384/op=read/threads=1/kernel=avx512
//	Convert/elements=1024/op=widen/threads=1
//	Gemm/m=512/n=768/k=3072/ta=n/tb=t/dtype=fp16/threads=2/kernel=avx2
//	TrainStep/model=784-256-10/batch=128/optimizer=sgd/dtype=fp16/threads=1/kernel=avx512
//	Gemm/m=512/n=768/k=3072/ta=n/tb=n/dtype=fp32/threads=2/kernel=openblas
//	Gemm/m=64/n=64/k=64/ta=n/tb=n/dtype=fp16/threads=1/count=instructions/kernel=neon
//
// A kernel that is none of the machine's tiers is a peer: another library.
//
// Samples are in the order in which they were taken. Their unit is "ns", the time of
// one operation; "GFLOPS", for Peak alone; or "instructions", the number that one
// operation takes, which older programs counted in emulators under names with
// count=instructions. Work is what one operation does: an amount and its unit, "flop",
// "B" or "element". Peak has the FMA peak in GFLOPS of as many threads for each sample,
// taken just before the sample, or before the round of turns. Rates and shares follow
// from these and are not in the file, see [Benchmark.Rate] and [Benchmark.Share].
//
// Run is a number above 0 that is equal in benchmarks that were measured by turns.
// Where such benchmarks differ in dtype and kernel alone, their samples of one index
// were taken within the same milliseconds, and their ratio is what counts, see [Paired].
package report

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// What a file says that it is.
const (
	Kind   = "halfgrad-bench"
	Schema = 1
)

// Report is the result of a run of a suite.
type Report struct {
	Kind       string      `json:"kind"`
	Schema     int         `json:"schema"`
	SHA256     string      `json:"sha256"` // set by [Report.Encode]
	Date       time.Time   `json:"date"`
	Suite      string      `json:"suite"`
	Seconds    float64     `json:"seconds"`
	Build      Build       `json:"build"`
	Machine    Machine     `json:"machine"`
	Settings   Settings    `json:"settings"`
	Peers      []Peer      `json:"peers,omitempty"`
	Omitted    []Omission  `json:"omitted,omitempty"`
	Benchmarks []Benchmark `json:"benchmarks,omitempty"` // at least one
}

// Build says which program measured.
type Build struct {
	Go       string `json:"go"`
	Module   string `json:"module,omitempty"`
	Version  string `json:"version,omitempty"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // since that revision
}

// Machine describes the machine that was measured. Zero values are unknown.
type Machine struct {
	OS         string   `json:"os"`   // GOOS
	Arch       string   `json:"arch"` // GOARCH
	CPU        string   `json:"cpu,omitempty"`
	Vendor     string   `json:"vendor,omitempty"`
	Family     int      `json:"family,omitempty"` // of an Arm core on Linux, the implementer
	Model      int      `json:"model,omitempty"`  // of an Arm core on Linux, the part number
	Stepping   int      `json:"stepping,omitempty"`
	Cores      int      `json:"cores"` // logical ones that Go uses
	Caches     Caches   `json:"caches,omitzero"`
	Memory     uint64   `json:"memory,omitempty"` // bytes
	Hypervisor string   `json:"hypervisor,omitempty"`
	Features   []string `json:"features,omitempty"`
	Kernels    []string `json:"kernels"`            // supported tiers, the preferred one first
	Emulated   bool     `json:"emulated,omitempty"` // its speeds mean nothing
	Emulator   string   `json:"emulator,omitempty"` // how that is known
}

// Caches holds sizes in bytes, 0 where unknown.
type Caches struct {
	L1D int `json:"l1d"`
	L2  int `json:"l2"`
	L3  int `json:"l3"`
}

// Level returns the first level of memory that holds a working set with some room:
// "L1", "L2", "L3" or "DRAM", or "" where no cache is known. Each of the threads has so
// many bytes to itself, and all share the L3 cache.
func (c Caches) Level(bytes, threads int) string {
	fits := func(n, cache int) bool { return n <= cache/4*3 }
	switch {
	case c == Caches{}:
		return ""
	case fits(bytes, c.L1D):
		return "L1"
	case fits(bytes, c.L2):
		return "L2"
	case fits(bytes, c.L3/max(threads, 1)):
		return "L3"
	}
	return "DRAM"
}

// Settings says how it was measured.
type Settings struct {
	Kernels []string `json:"kernels"` // tiers
	Threads []int    `json:"threads"`
	Rounds  int      `json:"rounds"` // a sample of each benchmark in each
}

// Peer is another library that was measured. Empty values are unknown.
type Peer struct {
	Kernel   string   `json:"kernel"` // in the names of its benchmarks
	Name     string   `json:"name"`
	Version  string   `json:"version,omitempty"`
	Core     string   `json:"core,omitempty"`     // that its code is for, as it says
	Settings []string `json:"settings,omitempty"` // environment variables, such as OPENBLAS_CORETYPE=SKYLAKEX
	Note     string   `json:"note,omitempty"`     // what it is and how it was used
}

// Omission is a benchmark that was not run.
type Omission struct {
	Name   Name   `json:"name"`
	Reason string `json:"reason"`
}

// Benchmark is one measurement.
type Benchmark struct {
	Name    Name      `json:"name"`
	Unit    string    `json:"unit"` // of the samples: Nanoseconds, Instructions or GFLOPS
	Work    *Work     `json:"work,omitempty"`
	Samples []float64 `json:"samples"`
	Peak    []float64 `json:"peak,omitempty"` // GFLOPS, just before each sample
	Run     int       `json:"run,omitempty"`  // number of the run in which it took turns with others, see [Paired]
}

// The units of samples.
const (
	Nanoseconds  = "ns"
	Instructions = "instructions"
	GFLOPS       = "GFLOPS"
)

// Work is what an operation does.
type Work struct {
	Amount float64 `json:"amount"`
	Unit   string  `json:"unit"` // a key of rateUnits
}

// The units of work.
const (
	FLOP    = "flop"
	Bytes   = "B"
	Element = "element"
)

// rateUnits are the units of a billion of work per second.
var rateUnits = map[string]string{FLOP: GFLOPS, Bytes: "GB/s", Element: "Gelem/s"}

// Name is a benchmark's name: what is measured, then key=value parts.
type Name string

var (
	validName  = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*(/[a-z][a-z0-9]*=[^\s/=]+)*$`)
	validValue = regexp.MustCompile(`^[^\s/=]+$`)
)

// Base returns what is measured, such as "Gemm".
func (n Name) Base() string {
	base, _, _ := strings.Cut(string(n), "/")
	return base
}

// Get returns the value of a key, "" where the name has none.
func (n Name) Get(key string) string {
	for _, part := range strings.Split(string(n), "/")[1:] {
		if k, value, _ := strings.Cut(part, "="); k == key {
			return value
		}
	}
	return ""
}

// Without returns the name without some keys: Without("kernel") is what the benchmarks
// of two machines have in common.
func (n Name) Without(keys ...string) Name {
	parts := strings.Split(string(n), "/")
	parts = slices.DeleteFunc(parts, func(part string) bool {
		key, _, found := strings.Cut(part, "=")
		return found && slices.Contains(keys, key)
	})
	return Name(strings.Join(parts, "/"))
}

// Find returns the benchmark of a name, nil where there is none.
func (r *Report) Find(name Name) *Benchmark {
	for i := range r.Benchmarks {
		if r.Benchmarks[i].Name == name {
			return &r.Benchmarks[i]
		}
	}
	return nil
}

// check returns an error that says what is wrong with r.
func (r *Report) check() error {
	switch {
	case r.Kind != Kind:
		return fmt.Errorf("kind %q: want %q", r.Kind, Kind)
	case r.Schema != Schema:
		return fmt.Errorf("schema %d: want %d", r.Schema, Schema)
	case r.Date.IsZero() || r.Date.Location() != time.UTC:
		return fmt.Errorf("date %v: want one in UTC", r.Date)
	case r.Suite == "":
		return fmt.Errorf("suite: want a name")
	case !positive(r.Seconds):
		return fmt.Errorf("seconds %v: want more than 0", r.Seconds)
	case r.Build.Go == "":
		return fmt.Errorf("build: want the version of Go")
	case r.Machine.OS == "" || r.Machine.Arch == "" || r.Machine.Cores < 1 || len(r.Machine.Kernels) == 0:
		return fmt.Errorf("machine: want an os, an arch, cores and kernels")
	case r.Machine.Caches.L1D < 0 || r.Machine.Caches.L2 < 0 || r.Machine.Caches.L3 < 0:
		return fmt.Errorf("machine: caches %+v: want no negative sizes", r.Machine.Caches)
	case r.Machine.Emulator != "" && !r.Machine.Emulated:
		return fmt.Errorf("machine: an emulator, %q, and not emulated", r.Machine.Emulator)
	case len(r.Settings.Kernels) == 0 || len(r.Settings.Threads) == 0 || slices.Min(r.Settings.Threads) < 1 || r.Settings.Rounds < 1:
		return fmt.Errorf("settings %+v: want kernels, threads and rounds", r.Settings)
	case len(r.Benchmarks) == 0:
		return fmt.Errorf("no benchmarks: want at least one")
	}
	for i, p := range r.Peers {
		taken := slices.Contains(r.Machine.Kernels, p.Kernel) || slices.ContainsFunc(r.Peers[:i], func(q Peer) bool { return q.Kernel == p.Kernel })
		if p.Name == "" || !validValue.MatchString(p.Kernel) || taken {
			return fmt.Errorf("peer %d (%.40s): want a name, and a kernel that no other has", i, p.Kernel)
		}
	}
	seen := map[Name]bool{}
	for i := range r.Benchmarks {
		b := &r.Benchmarks[i]
		if err := b.check(); err != nil {
			return fmt.Errorf("benchmark %d (%.80s): %w", i, b.Name, err)
		}
		if seen[b.Name] {
			return fmt.Errorf("benchmark %d (%.80s): want each name once", i, b.Name)
		}
		seen[b.Name] = true
	}
	for i, o := range r.Omitted {
		if !validName.MatchString(string(o.Name)) || o.Reason == "" || seen[o.Name] {
			return fmt.Errorf("omission %d (%.80s): want a name that no benchmark has, and a reason", i, o.Name)
		}
	}
	return nil
}

func (b *Benchmark) check() error {
	if !validName.MatchString(string(b.Name)) {
		return fmt.Errorf("name: want one such as Gemm/m=1/n=2")
	}
	switch {
	case b.Unit == Nanoseconds:
	case b.Unit == Instructions && len(b.Peak) == 0:
	case b.Unit == GFLOPS && b.Work == nil:
	default:
		return fmt.Errorf("unit %q: want %s, %s without a peak, or %s without work", b.Unit, Nanoseconds, Instructions, GFLOPS)
	}
	if counted := b.Name.Get("count") == Instructions; counted != (b.Unit == Instructions) {
		return fmt.Errorf("unit %q: want %s where the name has count=%s, and nowhere else", b.Unit, Instructions, Instructions)
	}
	if b.Run < 0 {
		return fmt.Errorf("run %d: want none, or more than 0", b.Run)
	}
	if b.Work != nil {
		if _, ok := rateUnits[b.Work.Unit]; !ok || !positive(b.Work.Amount) {
			return fmt.Errorf("work %+v: want an amount above 0 of flop, B or element", *b.Work)
		}
	}
	if len(b.Samples) == 0 {
		return fmt.Errorf("no samples: want at least one")
	}
	if len(b.Peak) != 0 && len(b.Peak) != len(b.Samples) {
		return fmt.Errorf("%d samples of the peak: want none, or %d as of the benchmark", len(b.Peak), len(b.Samples))
	}
	for _, x := range slices.Concat(b.Samples, b.Peak) {
		if !positive(x) {
			return fmt.Errorf("a sample of %v: want more than 0", x)
		}
	}
	return nil
}

// positive returns whether x is a finite number above 0.
func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }
