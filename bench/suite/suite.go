// Package suite measures a machine: its FMA peak, its memory, conversions between
// fp16 and fp32, matrix products and training steps. The result is a report (package
// report) that can be compared with those of other machines.
//
// It tells how fast the machine is, not why: that takes a profile.
//
// # How it measures
//
// Each benchmark first runs once or twice, to warm up and to find how many operations
// make a sample. Then there are rounds. A round takes one sample of each benchmark, each
// round in another order, so that a noisy minute affects all alike. Just before each
// sample comes a measurement of the FMA peak with as many threads, and an untimed
// operation unless a single one fills the sample. The report keeps all samples, noisy or
// not.
//
// Benchmarks that would take too long are omitted, the slowest first, and the report
// names them. If time is still short there are fewer rounds: at least half of them, or
// six if the machine slows down meanwhile. So the suite ends on a slow or emulated
// machine too. It takes some 300 MiB, and a quarter of the machine's memory or 1 GiB,
// whichever is less.
//
// # What is measured
//
//   - Peak: a loop of fp32 FMAs on registers alone, all threads together.
//   - Memory: bytes read and written as STREAM counts them, without those that a cache
//     fetches only to overwrite them. bytes= is the size that each thread has to itself.
//     read is the tier's vectorised check of a slice for infinities; copy is Go's copy;
//     triad, a[i] = b[i] + s·c[i] in fp32, is a scalar loop in Go, which within the caches
//     is slower than the memory.
//   - Convert: fp16.Widen and fp16.Narrow, on one thread.
//   - Gemm: C = A·B, all of one type; ta=t where A is stored transposed, tb=t where B is.
//   - TrainStep: as bench.Train measures it, from choosing a batch to the updated weights.
package suite

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// Config says what to measure, on what, and how long.
type Config struct {
	Name    string        // of the suite
	Rounds  int           // samples of each benchmark, at most
	Sample  time.Duration // the shortest
	Budget  time.Duration // for all rounds together, roughly
	Kernels []string      // tiers; "auto" is what package kernels chooses
	Threads []int

	Memory   []int // bytes of a thread
	Convert  []int // elements
	Products []Product
	Train    []bench.TrainConfig

	// Emulated marks the machine as emulated. The suite recognises common emulators
	// without it.
	Emulated bool
}

// Product is matrix products of one shape.
type Product struct {
	Shape  bench.Shape
	DTypes []tensor.DType
	Trans  []string // whether A and B are stored transposed: "nn", "nt", "tn" or "tt"
}

// The cost of the peak before each sample, roughly.
const overhead = 600 * time.Microsecond

// Full returns the suite that takes some minutes.
func Full() Config {
	c := Config{Name: "full", Rounds: 31, Sample: 2 * time.Millisecond, Budget: 200 * time.Second}
	for bytes := 16 << 10; bytes <= 256<<20; bytes *= 4 {
		c.Memory = append(c.Memory, bytes)
	}
	c.Convert = []int{1 << 10, 1 << 14, 1 << 20, 1 << 24}
	for _, s := range []bench.Shape{
		{M: 64, N: 64, K: 64}, {M: 128, N: 128, K: 128}, {M: 256, N: 256, K: 256}, {M: 512, N: 512, K: 512}, {M: 1024, N: 1024, K: 1024}, {M: 2048, N: 2048, K: 2048},
		{M: 128, N: 256, K: 784}, {M: 128, N: 10, K: 256}, {M: 784, N: 256, K: 128}, {M: 128, N: 784, K: 256}, // an MLP's steps
		{M: 512, N: 768, K: 768}, {M: 512, N: 3072, K: 768}, {M: 512, N: 768, K: 3072}, // a transformer's projections
		{M: 128, N: 128, K: 64}, {M: 128, N: 64, K: 128}, // a head's attention: Q·Kᵀ and its product with V
		{M: 1, N: 1024, K: 1024},
	} {
		c.Products = append(c.Products, Product{s, []tensor.DType{tensor.F16, tensor.F32}, []string{"nn", "nt", "tn"}})
	}
	for _, t := range []struct {
		widths []int
		batch  int
	}{{[]int{784, 256, 10}, 1}, {[]int{784, 256, 10}, 16}, {[]int{784, 256, 10}, 128}, {[]int{784, 1024, 1024, 10}, 128}} {
		c.Train = append(c.Train, bench.TrainConfig{Widths: t.widths, Batch: t.batch, Images: 1 << 13, Optimizer: "sgd", Precision: tensor.F16})
	}
	return c
}

// Quick returns the suite that takes some seconds. Its benchmarks are part of the full
// suite's.
func Quick() Config {
	c := Full()
	c.Name, c.Rounds, c.Sample, c.Budget = "quick", 15, time.Millisecond, 10*time.Second
	c.Memory = []int{16 << 10, 256 << 10, 4 << 20, 64 << 20}
	c.Convert = []int{1 << 10, 1 << 14, 1 << 20}
	c.Products = slices.DeleteFunc(c.Products, func(p Product) bool {
		return !slices.Contains([]bench.Shape{{M: 64, N: 64, K: 64}, {M: 256, N: 256, K: 256}, {M: 512, N: 512, K: 512}, {M: 128, N: 256, K: 784}, {M: 512, N: 768, K: 768}}, p.Shape)
	})
	for i := range c.Train {
		c.Train[i].Images = 1 << 11
	}
	return c
}

// Progress says how far a run has come.
type Progress struct {
	Preparing   bool // rather than measuring
	Done, Total int
	Name        report.Name // of the next benchmark; "" at the end, which may come before Total
}

// Run measures. It calls progress, unless that is nil, before each benchmark and from
// the same goroutine. The error is ctx's, or says what is wrong with cfg.
func Run(ctx context.Context, cfg Config, progress func(Progress)) (*report.Report, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	begun := time.Now()
	s := &session{Config: cfg, ctx: ctx, progress: progress}
	if err := s.build(); err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	rounds, err := s.measure()
	if err != nil {
		return nil, err
	}
	r := &report.Report{
		Date: begun.UTC().Truncate(time.Second), Suite: cfg.Name, Seconds: round(time.Since(begun).Seconds()),
		Build: ThisBuild(), Machine: ThisMachine(), Omitted: s.omitted,
		Settings: report.Settings{Kernels: s.kernels, Threads: cfg.Threads, Rounds: rounds},
	}
	r.Machine.Emulated = r.Machine.Emulated || cfg.Emulated
	for _, t := range s.tasks {
		r.Benchmarks = append(r.Benchmarks, t.Benchmark)
	}
	return r, nil
}

// session is a run under way.
type session struct {
	Config
	ctx      context.Context
	progress func(Progress)
	kernels  []string
	tasks    []*task
	omitted  []report.Omission
}

// task is a benchmark under way.
type task struct {
	report.Benchmark
	peak  bench.Peak
	setUp func() (operation, error) // nil for the peak itself
	do    operation
	inner int           // operations of a sample
	cost  time.Duration // of a sample, all in all
}

// operation does something n times and returns how long it took.
type operation func(n int) (time.Duration, error)

// timed makes an operation of a function that cannot fail.
func timed(f func()) operation {
	return func(n int) (time.Duration, error) {
		start := time.Now()
		for range n {
			f()
		}
		return time.Since(start), nil
	}
}

// sample takes a sample.
func (t *task) sample() error {
	peak := t.peak.Measure()
	if t.do == nil {
		t.Samples = append(t.Samples, round(peak))
		return nil
	}
	if t.inner > 1 {
		if _, err := t.do(1); err != nil {
			return err
		}
	}
	took, err := t.do(t.inner)
	if err != nil {
		return err
	}
	t.Samples = append(t.Samples, round(float64(max(took.Nanoseconds(), 1))/float64(t.inner)))
	t.Peak = append(t.Peak, round(peak))
	return nil
}

// prepare warms up, finds how many operations make a sample, and omits benchmarks that
// take too long.
func (s *session) prepare() error {
	fewest := max(s.Rounds/2, min(s.Rounds, report.MinSamples))
	most := s.Budget / time.Duration(8*fewest) // for one operation
	// From little work to much, so that the time of the next can be estimated before it
	// runs.
	ordered := slices.Clone(s.tasks)
	slices.SortStableFunc(ordered, func(a, b *task) int { return cmp.Compare(a.amount(), b.amount()) })
	perWork := map[string]float64{} // ns per unit of work, by the rest of the name
	var total time.Duration
	for i, t := range ordered {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		s.progress(Progress{Preparing: true, Done: i, Total: len(ordered), Name: t.Name})
		kind := t.Name.Base() + t.Name.Get("kernel") + t.Name.Get("threads") + t.Name.Get("op")
		if expected := time.Duration(perWork[kind] * t.amount()); expected > 4*most {
			s.omit(t, "an operation would take about %v, more than %v", expected.Round(time.Millisecond), most.Round(time.Millisecond))
			continue
		}
		op, err := t.calibrate(s.Sample)
		if err != nil {
			return err
		}
		if op > most {
			s.omit(t, "an operation takes %v, more than %v", op.Round(time.Millisecond), most.Round(time.Millisecond))
		}
		if t.Work != nil {
			perWork[kind] = float64(op) / t.amount()
		}
	}
	for _, t := range s.tasks {
		total += t.cost
	}
	for len(s.tasks) > 1 && total*time.Duration(fewest) > s.Budget {
		dearest := slices.MaxFunc(s.tasks, func(a, b *task) int { return cmp.Compare(a.cost, b.cost) })
		s.omit(dearest, "%d samples of %v each leave too little time for others", fewest, dearest.cost.Round(time.Millisecond))
		total -= dearest.cost
	}
	s.Rounds = min(s.Rounds, max(int(s.Budget/max(total, 1)), fewest))
	return nil
}

// omit takes t out.
func (s *session) omit(t *task, reason string, args ...any) {
	s.omitted = append(s.omitted, report.Omission{Name: t.Name, Reason: fmt.Sprintf(reason, args...)})
	s.tasks = slices.DeleteFunc(s.tasks, func(other *task) bool { return other == t })
}

func (t *task) amount() float64 {
	if t.Work == nil {
		return 0
	}
	return t.Work.Amount
}

// calibrate finds how many operations make a sample of the given duration, and what the
// sample costs. It returns the time of an operation.
func (t *task) calibrate(sample time.Duration) (op time.Duration, err error) {
	if t.setUp == nil {
		t.cost = overhead
		return overhead, nil
	}
	if t.do, err = t.setUp(); err != nil {
		return 0, err
	}
	took, err := t.do(1)
	for t.inner = 1; err == nil && took < sample; {
		if took, err = t.do(t.inner); err != nil || took >= sample*9/10 {
			break
		}
		// At most ten times as many at once: the first run is slow.
		more := min(float64(sample)/float64(max(took, 1)), 10)
		t.inner = max(int(float64(t.inner)*more), t.inner+1)
	}
	op = took / time.Duration(t.inner)
	t.cost = took + overhead
	if t.inner > 1 {
		t.cost += op
	}
	return op, err
}

// measure runs the rounds and returns their number.
func (s *session) measure() (rounds int, err error) {
	runtime.GC() // so that it does not run in a sample
	order := slices.Clone(s.tasks)
	rng := rand.New(rand.NewPCG(1, 1))
	start := time.Now()
	for rounds < s.Rounds {
		// The machine may have become slower: then there are fewer rounds.
		if rounds >= report.MinSamples && time.Since(start) > s.Budget*5/4 {
			break
		}
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for i, t := range order {
			if err := s.ctx.Err(); err != nil {
				return 0, err
			}
			s.progress(Progress{Done: rounds*len(order) + i, Total: s.Rounds * len(order), Name: t.Name})
			if err := t.sample(); err != nil {
				return 0, fmt.Errorf("suite: %s: %w", t.Name, err)
			}
		}
		rounds++
	}
	s.progress(Progress{Done: rounds * len(order), Total: s.Rounds * len(order)})
	return rounds, nil
}

// round keeps six digits, more than any clock has.
func round(x float64) float64 {
	x, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 6, 64), 64)
	if err != nil {
		panic(err) // it was a number
	}
	return x
}

// ThisBuild says which halfgrad this program is or is built with.
func ThisBuild() report.Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return report.Build{Go: runtime.Version()}
	}
	return buildOf(info)
}

const modulePath = "github.com/halfgrad/halfgrad"

// buildOf returns what a program knows of the halfgrad in it. The revision is known
// where the program is of the same repository.
func buildOf(info *debug.BuildInfo) report.Build {
	b := report.Build{Go: runtime.Version(), Module: modulePath, Version: info.Main.Version}
	if info.Main.Path != modulePath {
		for _, m := range info.Deps {
			if m.Path == modulePath {
				b.Version = m.Version
			}
		}
	}
	if !strings.HasPrefix(info.Main.Path+"/", modulePath+"/") {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// DefaultThreads returns 1 and, where there are more cores, their number.
func DefaultThreads() []int {
	if n := runtime.GOMAXPROCS(0); n > 1 {
		return []int{1, n}
	}
	return []int{1}
}

// engines returns an engine for each tier and number of threads.
func (s *session) engines() ([]*kernels.Engine, error) {
	if s.Rounds < 1 || s.Name == "" || len(s.Kernels) == 0 || len(s.Threads) == 0 {
		return nil, fmt.Errorf("suite: %d rounds of %q, of kernels %v and threads %v: want at least one of each, and a name", s.Rounds, s.Name, s.Kernels, s.Threads)
	}
	var engines []*kernels.Engine
	for _, kernel := range s.Kernels {
		for _, threads := range s.Threads {
			if threads < 1 {
				return nil, fmt.Errorf("suite: %d threads: want at least 1", threads)
			}
			e, err := kernels.New(kernels.Config{Kernel: kernel, Threads: threads})
			if err != nil {
				return nil, err
			}
			engines = append(engines, e)
			if !slices.Contains(s.kernels, e.Tier()) {
				s.kernels = append(s.kernels, e.Tier())
			}
		}
	}
	return engines, nil
}
