// Package kernels multiplies matrices: fp16 or fp32 operands, fp32
// accumulation, on the fastest kernel the machine supports.
//
// An [Engine] is a tier of kernels and a number of threads. [Engine.Gemm] multiplies;
// the other methods are the elementwise work around products. Results have the same bits
// for every tier, thread count, block size and layout of the operands: each element of C
// is one chain of fp32 additions over k in ascending order (package micro has the
// contract).
//
// It is not a BLAS: there is no alpha, no beta but 0 and 1, and no routine that a training
// step does not need.
//
// # How a product is computed
//
// The loops are those of Goto and van de Geijn ("Anatomy of High-Performance
// Matrix Multiplication", ACM TOMS 34(3), 2008), with the roles of A and B exchanged.
//
//   - Any free thread computes the next block of C, of MC×NC elements, KC steps at a
//     time. Threads split the rows and columns of C, never k.
//   - A strip of a few rows of A is widened to fp32, into the L1 cache, and multiplied by
//     all panels of the block of B; then the next strip. Panels are as wide as a tile.
//   - The kernel that multiplies the first strip also widens and packs B, which stays in
//     the L2 cache for the others. Only a B that is transposed, or whose rows alias in the
//     caches, is packed beforehand.
//   - Blocks over k continue the partial sums of the one before, in order. The sums stay
//     in the L2 cache; some kernels convert them to fp16 in the last block.
//   - fp32 operands that fit the L2 cache are read in place.
//   - A narrow C is computed as its transpose, and a C of up to eight rows without packing.
package kernels

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/halfgrad/halfgrad/kernels/amd64"
	"github.com/halfgrad/halfgrad/kernels/arm64"
	"github.com/halfgrad/halfgrad/kernels/generic"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// EnvKernel is the environment variable that names the tier if the [Config] does not.
const EnvKernel = "HALFGRAD_KERNEL"

// Auto is the name that stands for the best tier of the machine.
const Auto = "auto"

// The kernels, loops and operations of this build, the preferred ones first.
var (
	all       = slices.Concat(amd64.Kernels, arm64.Kernels, generic.Kernels)
	peakLoops = slices.Concat(amd64.PeakLoops, arm64.PeakLoops, generic.PeakLoops)
	// Tiers without operations of their own use the last.
	elementwise = slices.Concat(amd64.Elementwise, arm64.Elementwise, generic.Elementwise)
	vectors     = slices.Concat(amd64.Vectors, arm64.Vectors, generic.Vectors)
)

// Config configures an [Engine]. The zero value stands for the best tier and all cores.
type Config struct {
	// Kernel names a tier: one of [Tiers]. "auto" and "" stand for the value of
	// HALFGRAD_KERNEL or, if that is unset, the best tier that the machine supports.
	Kernel string

	// Threads is the number of threads that work on one product, the caller's
	// included: 1 to [MostThreads], or 0 for GOMAXPROCS at the time of [New]. The other
	// threads are goroutines of the engine, which end when it is garbage.
	Threads int

	// Blocking is for experiments and tests; it never changes a result. Fields that are 0
	// are derived from the cache sizes. MC, KC and NC are at most 1<<15, B at most 1<<30.
	Blocking Blocking

	// SerialBelow is the number of multiply-adds m·n·k below which the caller computes a
	// product alone. 0 means DefaultSerialBelow. It never changes a result.
	SerialBelow int
}

// MostThreads is the most threads of an [Engine]. Few machines have more cores, and each
// thread needs memory of its own, about as large as an L2 cache.
const MostThreads = 1024

// DefaultSerialBelow is about the size from which two threads are faster than one. A
// helper that is awake starts within a microsecond. Times on a Zen 4 with 1 and 2 threads,
// by `halfgrad bench gemm` with this constant at 1:
//
//	            avx512          avx2
//	32×32×32     1.1 and 1.1 µs   1.2 and 1.4 µs
//	64×64×32     3.1 and 2.4      3.5 and 2.6
//	64×64×64     5.4 and 3.7      5.9 and 3.8
//	128×64×64   10.3 and 6.1     11.4 and 6.6
const DefaultSerialBelow = 1 << 17

// Engine multiplies matrices. Several goroutines may use it at the same time; the helpers
// work for one of them at a time.
type Engine struct {
	tier        string
	threads     int
	serial      int // Config.SerialBelow
	f16, f32    plan
	elementwise micro.Elementwise
	crew        *crew // nil with one thread
	vector      micro.Vector
	passes      pool[pass]
	vectors     pool[vectorPass]
	products    pool[product]
	workspaces  *pool[workspace] // a pointer: helpers keep it alive, and not the engine
}

// plan is a kernel and the sizes that go with it.
type plan struct {
	kernel        micro.Kernel
	blocking      Blocking
	stripElements int // the size of a strip of A, about

	// The most elements of A and B together that are read in place, and with few rows of
	// A. See readsInPlace.
	inPlaceBelow, fewInPlaceBelow int
}

// UnsupportedError reports a tier that does not exist or that the machine cannot run.
type UnsupportedError struct {
	Tier      string   // the name
	Env       bool     // whether it came from HALFGRAD_KERNEL
	Known     bool     // whether this build has a tier of that name
	Supported []string // the tiers that the machine supports, the preferred one first
}

func (e *UnsupportedError) Error() string {
	what := fmt.Sprintf("kernel %q", e.Tier)
	if e.Env {
		what = EnvKernel + "=" + e.Tier
	}
	why := "no such kernel in this build"
	if e.Known {
		why = "this machine does not support it"
	}
	return fmt.Sprintf("kernels: %s: %s (supported here: %s)", what, why, strings.Join(e.Supported, ", "))
}

// New returns an engine. The error is an [*UnsupportedError] if the tier that cfg or
// HALFGRAD_KERNEL names is unknown or not supported by the machine. Otherwise it names the
// field of cfg that is out of range.
func New(cfg Config) (*Engine, error) {
	name, env := cfg.Kernel, false
	if name == "" || name == Auto {
		if v := os.Getenv(EnvKernel); v != "" {
			name, env = v, true
		}
	}
	if name == "" || name == Auto {
		name = Supported()[0]
	}
	if !slices.Contains(Supported(), name) {
		return nil, &UnsupportedError{Tier: name, Env: env, Known: slices.Contains(Tiers(), name), Supported: Supported()}
	}
	if cfg.Threads < 0 || cfg.Threads > MostThreads {
		return nil, fmt.Errorf("kernels: %d threads: want 1 to %d, or 0 for all cores", cfg.Threads, MostThreads)
	}
	if cfg.SerialBelow < 0 {
		return nil, fmt.Errorf("kernels: serial below %d multiply-adds: want 1 or more, or 0 for the default", cfg.SerialBelow)
	}
	if err := cfg.Blocking.check(); err != nil {
		return nil, err
	}
	e := &Engine{tier: name, threads: cfg.Threads, serial: cmp.Or(cfg.SerialBelow, DefaultSerialBelow), workspaces: new(pool[workspace])}
	if e.threads == 0 {
		e.threads = min(runtime.GOMAXPROCS(0), MostThreads)
	}
	if e.threads > 1 {
		e.crew = newCrew(e.threads-1, e.workspaces)
		runtime.AddCleanup(e, (*crew).close, e.crew)
	}
	caches := MachineCaches()
	for _, p := range []struct {
		operands tensor.DType
		plan     *plan
	}{{tensor.F16, &e.f16}, {tensor.F32, &e.f32}} {
		i := slices.IndexFunc(all, func(k micro.Kernel) bool {
			return k.Tier == name && k.Operands == p.operands && k.Supported
		})
		*p.plan = plan{kernel: all[i], blocking: cfg.Blocking.or(blockingFor(all[i], caches))}
		size := all[i].Panels.Size()
		p.plan.stripElements = caches.L1D * 3 / 4 / size
		p.plan.inPlaceBelow, p.plan.fewInPlaceBelow = caches.L2*3/4/size, min(caches.L3/2, 8<<20)/size
	}
	last := len(elementwise) - 1
	e.elementwise = elementwise[last]
	for _, w := range elementwise[:last] {
		if w.Tier == name && w.Supported {
			e.elementwise = w
		}
	}
	e.vector = complete(micro.Vector{})
	for _, v := range vectors {
		if v.Tier == name && v.Supported {
			e.vector = complete(v)
		}
	}
	return e, nil
}

// Tier returns the name of the engine's tier.
func (e *Engine) Tier() string { return e.tier }

// Threads returns the most threads that the engine uses.
func (e *Engine) Threads() int { return e.threads }

// KernelName returns the name of the kernel for operands of the given type,
// such as "f16f32acc-6x16-avx2".
func (e *Engine) KernelName(operands tensor.DType) string { return e.plan(operands).kernel.Name }

// Blocking returns the block sizes for operands of the given type.
func (e *Engine) Blocking(operands tensor.DType) Blocking { return e.plan(operands).blocking }

func (e *Engine) plan(operands tensor.DType) *plan {
	switch operands {
	case tensor.F16:
		return &e.f16
	case tensor.F32:
		return &e.f32
	}
	panic("kernels: no kernel for operands of " + operands.String() + ": want fp16 or fp32")
}

// Tiers returns the names of all tiers in this build, the preferred ones
// first, whether or not the machine supports them.
func Tiers() []string { return tiers(func(micro.Kernel) bool { return true }) }

// Supported returns the names of the tiers that the machine supports, the
// preferred one first. The last is always "generic".
func Supported() []string { return tiers(func(k micro.Kernel) bool { return k.Supported }) }

func tiers(want func(micro.Kernel) bool) []string {
	var names []string
	for _, k := range all {
		if want(k) && !slices.Contains(names, k.Tier) {
			names = append(names, k.Tier)
		}
	}
	return names
}

// Peak returns the loop that measures the FMA peak of the engine's tier. For the generic
// tier it is the machine's best loop: the machine's limit does not depend on the code.
func (e *Engine) Peak() micro.PeakLoop {
	tier := e.tier
	if tier == generic.Tier {
		tier = Supported()[0]
	}
	return peakLoops[slices.IndexFunc(peakLoops, func(p micro.PeakLoop) bool { return p.Tier == tier })]
}
