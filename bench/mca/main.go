// Command mca estimates how fast the arm64 kernels' inner loops are on processors that
// are not at hand, and prints the tables of README.md.
//
//	go run ./bench/mca
//
// It builds the kernels, takes their inner loops from the machine code, and has llvm-mca
// run each loop on models of some cores. The bound of a loop is what its FMAs would take
// alone; how many FMAs a core issues per cycle is asked of the model too.
//
// This is no measurement. README.md says what the models leave out.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// goal is the ratio from which a loop is good enough.
const goal = 0.90

// cores are the models that loops are run on.
var cores = []core{
	{name: "cortex-a72"},
	{name: "neoverse-n1"},
	{name: "neoverse-n1", dispatch: 4},
	{name: "neoverse-v1", fhm: true},
	{name: "apple-m1", fhm: true},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	llvm, err := findLLVM(ctx)
	if err != nil {
		return err
	}
	loops, err := kernelLoops(ctx, llvm)
	if err != nil {
		return err
	}
	loops = slices.DeleteFunc(loops, func(l loop) bool { return !l.Main })
	results, err := analyse(ctx, llvm, loops)
	if err != nil {
		return err
	}
	return printMarkdown(out, llvm, results)
}

// result is how a loop does on a core. Cycles are those of a step of k.
type result struct {
	loop
	Core         string
	Instructions int     // a turn
	Dispatch     int     // micro-operations a cycle
	Rate         float64 // FMAs a cycle, if there is nothing else
	Cycles       float64
	Bound        float64 // cycles of the FMAs alone
	Busy         float64 // the share of the time in which the pipes that take FMAs are busy
	Ratio        float64 // of the bound to the cycles
	Pressure     []pressure
	Binds        string // below the goal: what does
}

// analyse runs every loop on every core that has its instructions.
func analyse(ctx context.Context, llvm toolchain, loops []loop) ([]result, error) {
	results, errs := make([][]result, len(cores)), make([]error, len(cores))
	var wait sync.WaitGroup
	for i, c := range cores {
		wait.Go(func() {
			if results[i], errs[i] = c.analyse(ctx, llvm, loops); errs[i] != nil {
				errs[i] = fmt.Errorf("%v: %w", c, errs[i])
			}
		})
	}
	wait.Wait()
	return slices.Concat(results...), errors.Join(errs...)
}

func (c core) analyse(ctx context.Context, llvm toolchain, loops []loop) ([]result, error) {
	var results []result
	var code [][]string
	for _, l := range loops {
		if !l.fhm() || c.fhm {
			results = append(results, result{loop: l, Core: c.String(), Instructions: len(l.body)})
			code = append(code, l.body, independent(l.body))
		}
	}
	regions, err := llvm.simulate(ctx, c, code)
	if err != nil {
		return nil, err
	}
	var slow []*result
	var slowCode [][]string
	for i := range results {
		r, whole, alone := &results[i], regions[2*i], regions[2*i+1]
		r.Dispatch, r.Pressure = whole.width, whole.pressure
		r.Rate = accumulators / alone.cycles
		r.Cycles = whole.cycles / float64(r.Steps)
		r.Bound = float64(r.FMAs) / r.Rate / float64(r.Steps)
		r.Busy = whole.busy(alone)
		r.Ratio = r.Bound / r.Cycles
		if r.Ratio < goal {
			slow, slowCode = append(slow, r), append(slowCode, r.body)
		}
	}
	if len(slow) == 0 {
		return results, nil
	}
	c.dispatch = unlimited
	if regions, err = llvm.simulate(ctx, c, slowCode); err != nil {
		return nil, err
	}
	for i, r := range slow {
		r.Binds = r.binds(regions[i].cycles / float64(r.Steps))
	}
	return results, nil
}

// busy returns how much of the time those units are busy, on average, that the other
// region needs.
func (r region) busy(other region) float64 {
	var cycles float64
	for _, p := range r.pressure {
		if slices.ContainsFunc(other.pressure, func(o pressure) bool { return o.Unit == p.Unit }) {
			cycles += p.Cycles
		}
	}
	return cycles / float64(len(other.pressure)) / r.cycles
}

// unlimited is more than any loop here could make use of.
const unlimited = 32

// binds names what a loop would be faster without: the units that are busy all the
// time, or nearly, and the width of dispatch, if the loop is faster when that is
// unlimited.
func (r result) binds(undispatched float64) string {
	const nearly = 0.97
	var what []string
	for _, p := range r.Pressure {
		if p.Cycles >= nearly*r.Cycles*float64(r.Steps) {
			what = append(what, p.Unit)
		}
	}
	slices.Sort(what)
	if undispatched <= nearly*r.Cycles {
		what = append(what, fmt.Sprintf("dispatch of %d", r.Dispatch))
	}
	if what == nil {
		return "latency"
	}
	return strings.Join(what, ", ")
}

// accumulators is how many registers independent FMAs add to: all but two.
const accumulators = 30

var (
	register = regexp.MustCompile(`\bv\d+`)
	lane     = regexp.MustCompile(`\[\d+\]`)
)

// independent returns FMAs of the kinds that a loop has, none of which waits for
// another, nor for anything else.
func independent(body []string) []string {
	var kinds []string
	for _, instruction := range body {
		if isFMA.MatchString(instruction) {
			operands := []string{"v%d", "v0", "v1"}
			kind := register.ReplaceAllStringFunc(lane.ReplaceAllString(instruction, "[0]"), func(string) string {
				first := operands[0]
				operands = operands[1:]
				return first
			})
			if !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	var block []string
	for i := range accumulators {
		block = append(block, fmt.Sprintf(kinds[i%len(kinds)], i+2))
	}
	return block
}

// printMarkdown prints the tables of README.md: the loops by cores, what binds those
// below the goal, and the loops' instructions.
func printMarkdown(out io.Writer, llvm toolchain, results []result) error {
	fmt.Fprintf(out, "LLVM %s. FMA bound / cycles of a step of k = ratio:\n\n| loop | steps | FMAs |", llvm.version)
	for _, c := range cores {
		fmt.Fprintf(out, " %v |", c)
	}
	fmt.Fprintf(out, "\n|---|--:|--:|%s\n", strings.Repeat("---|", len(cores)))
	var loops []result // each once
	for _, r := range results {
		if !slices.ContainsFunc(loops, func(l result) bool { return l.same(r) }) {
			loops = append(loops, r)
		}
	}
	slices.SortStableFunc(loops, func(a, b result) int { return strings.Compare(a.Function, b.Function) })
	for _, l := range loops {
		fmt.Fprintf(out, "| %v | %d | %d |", l.loop, l.Steps, l.FMAs)
		for _, c := range cores {
			cell := "–"
			for _, r := range results {
				if r.same(l) && r.Core == c.String() {
					cell = fmt.Sprintf("%.2f/%.2f = %.2f", r.Bound, r.Cycles, r.Ratio)
				}
			}
			fmt.Fprintf(out, " %s |", cell)
		}
		fmt.Fprintln(out)
	}

	fmt.Fprintf(out, "\nBelow %.2f, the share of the time that the FMA pipes are busy, and what binds:\n", goal)
	fmt.Fprint(out, "\n| loop | core | ratio | pipes busy | what binds |\n|---|---|--:|--:|---|\n")
	for _, l := range loops {
		for _, r := range results {
			if r.same(l) && r.Ratio < goal {
				fmt.Fprintf(out, "| %v | %s | %.2f | %.2f | %s |\n", r.loop, r.Core, r.Ratio, r.Busy, r.Binds)
			}
		}
	}

	fmt.Fprint(out, "\nInstructions of a turn:\n\n| loop | instructions | FMAs | loads | stores | others | instructions an FMA |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, l := range loops {
		fmt.Fprintf(out, "| %v | %d | %d | %d | %d | %d | %.2f |\n", l.loop, l.Instructions, l.FMAs, l.Loads, l.Stores,
			l.Instructions-l.FMAs-l.Loads-l.Stores, float64(l.Instructions)/float64(l.FMAs))
	}
	return nil
}

// same says whether results are of the same loop.
func (r result) same(other result) bool {
	return r.String() == other.String() && r.Steps == other.Steps
}
