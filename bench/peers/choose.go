package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"

	"github.com/halfgrad/halfgrad/bench"
)

// Levels of instruction sets. A library that does not know the processor may use code for
// a lower level than the machine has.
const (
	generic = "no vectors"
	sse     = "SSE"
	avx     = "AVX"
	avx2    = "AVX2"
	avx512  = "AVX-512"
	neon    = "NEON"
	sve     = "SVE"
)

// levels lists the levels of each architecture from the lowest to the highest.
var levels = []string{generic, sse, avx, avx2, avx512, neon, sve}

// machineLevel returns the level of this processor, "" for an unknown architecture.
func machineLevel() string {
	c := &cpuid.CPU
	switch {
	case runtime.GOARCH == "arm64" && c.Supports(cpuid.SVE):
		return sve
	case runtime.GOARCH == "arm64":
		return neon
	case runtime.GOARCH != "amd64":
		return ""
	case c.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL):
		return avx512
	case c.Supports(cpuid.AVX2, cpuid.FMA3):
		return avx2
	case c.Supports(cpuid.AVX):
		return avx
	}
	return sse
}

// coreLevels are the names that OpenBLAS, BLIS, oneDNN and PyTorch have for the processors
// and instruction sets of each level, in lower case.
var coreLevels = map[string][]string{
	generic: {"generic", "reference"},
	sse: {"katmai", "coppermine", "northwood", "prescott", "banias", "core2", "penryn", "dunnington", "nehalem", "atom", "athlon", "opteron", "opteron_sse3",
		"barcelona", "bobcat", "nano", "sse", "sse41", "default"},
	avx:    {"sandybridge", "bulldozer", "piledriver", "steamroller", "excavator", "avx"},
	avx2:   {"haswell", "zen", "zen2", "zen3", "avx2", "avx2_vnni"},
	avx512: {"skylakex", "skx", "knl", "cooperlake", "sapphirerapids", "zen4", "zen5", "avx512"},
	neon: {"armv8", "cortexa53", "cortexa55", "cortexa57", "cortexa72", "cortexa73", "cortexx1", "falkor", "thunderx", "thunderx2t99", "thunderx3t110", "thunderx2",
		"tsv110", "emag8180", "neoversen1", "vortex", "firestorm", "altra", "neon"},
	sve: {"neoversev1", "neoversen2", "a64fx", "armv8sve", "armsve", "sve"},
}

// coreLevel returns the lowest level among the names that a library gives for its code,
// "" if it knows none of them.
func coreLevel(core string) string {
	lowest := ""
	for _, word := range strings.FieldsFunc(strings.ToLower(core), func(r rune) bool { return r == ' ' || r == ',' }) {
		if strings.HasPrefix(word, "avx512") { // avx512_core_bf16, and more to come
			word = "avx512"
		}
		for level, names := range coreLevels {
			if slices.Contains(names, word) && (lowest == "" || above(lowest, level)) {
				lowest = level
			}
		}
	}
	return lowest
}

// above reports whether a is a higher level than b.
func above(a, b string) bool { return slices.Index(levels, a) > slices.Index(levels, b) }

// slow reports whether code for a core is of a lower level than the machine.
func slow(core, machine string) bool {
	level := coreLevel(core)
	return level != "" && machine != "" && above(machine, level)
}

// choice is how a library is used.
type choice struct {
	settings []string // environment variables
	note     string   // why; "" for the library's own choice
}

// candidate is a worker with settings of its own.
type candidate struct {
	settings string // "" for none
	worker   *worker
	best     float64 // ns
}

const (
	trials    = 15   // how often each candidate is measured
	advantage = 1.05 // how much faster a setting must be: less may be chance
)

// choose returns how a library is used on a machine of a level. A library whose own choice
// of code suits the machine is left alone. Otherwise the settings whose instructions the
// machine has take turns with no settings, and the fastest is chosen. launch starts a
// worker, and measure returns the nanoseconds that it takes.
func choose(ctx context.Context, machine string, settings []setting, launch func(settings []string) (*worker, error), measure func(*worker) (float64, error)) (choice, error) {
	w, err := launch(nil)
	if err != nil {
		return choice{}, err
	}
	alone := w.about.core
	candidates := []*candidate{{worker: w}}
	defer func() {
		for _, c := range candidates {
			c.worker.stop()
		}
	}()
	if !slow(alone, machine) {
		return choice{}, nil
	}
	for _, s := range settings {
		if above(s.level, machine) {
			continue
		}
		// A setting that this release does not know ends the worker or changes nothing.
		if w, err := launch(strings.Fields(s.variables)); err == nil && w.about.core != alone {
			candidates = append(candidates, &candidate{settings: s.variables, worker: w})
		} else if err == nil {
			w.stop()
		}
	}
	note := fmt.Sprintf("by itself it has code for %s on a machine with %s", alone, machine)
	if len(candidates) == 1 {
		return choice{note: note}, nil
	}
	for range trials {
		for _, c := range candidates {
			if err := ctx.Err(); err != nil {
				return choice{}, err
			}
			ns, err := measure(c.worker)
			if err != nil && c == candidates[0] {
				return choice{}, err
			}
			switch {
			case err != nil: // code that the processor does not run
				c.best = -1
			case c.best == 0 || c.best > 0 && ns < c.best:
				c.best = ns
			}
		}
	}
	first, best := candidates[0], candidates[0]
	for _, c := range candidates {
		if c.best > 0 && c.best < best.best {
			best = c
		}
	}
	if first.best < advantage*best.best {
		return choice{note: note + fmt.Sprintf(", and none of %d other settings is faster by 5 %%", len(candidates)-1)}, nil
	}
	return choice{strings.Fields(best.settings), note + fmt.Sprintf(", in a short race %.2f times as long as with %s, which is used", first.best/best.best, best.settings)}, nil
}

// sparring are the products by which settings are compared. They have several sizes,
// because the best setting for one may be slow for another.
var sparring = []product{
	{bench.Shape{M: 64, N: 64, K: 64}, "nn"}, {bench.Shape{M: 128, N: 256, K: 784}, "nn"}, {bench.Shape{M: 384, N: 384, K: 384}, "nn"},
}

// spar returns the geometric mean of their times in nanoseconds.
func spar(w *worker) (float64, error) {
	const flops = 3e8 // of a turn, about
	sum := 0.0
	for _, p := range sparring {
		if err := w.prepare(p); err != nil {
			return 0, err
		}
		ns, err := w.gemm(p.Shape, int(flops/p.FLOPs()))
		if err != nil {
			return 0, err
		}
		sum += math.Log(ns)
	}
	return math.Exp(sum / float64(len(sparring))), nil
}

// choose returns how the library is used on this machine.
func (p peer) choose(ctx context.Context, at place, cpus []int) (choice, error) {
	launch := func(settings []string) (*worker, error) {
		return p.worker(at, running{dtype: p.dtypes[0], threads: 1, settings: settings}, cpus)
	}
	return choose(ctx, machineLevel(), p.settings[runtime.GOARCH], launch, spar)
}
