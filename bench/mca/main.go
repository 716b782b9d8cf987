// Command mca estimates how fast the arm64 kernels' inner loops are on processors
// that are not at hand.
//
//	go run ./bench/mca
//
// It builds the kernels, takes their inner loops from the machine code, and has
// llvm-mca run each of them on models of some cores. The result is compared with
// what the loop's FMAs alone would take, were nothing else in their way: that is
// its bound, and the model itself tells how many of them it issues a cycle.
//
// What this is not: a measurement. README.md says what the models leave out, and
// has the results.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

type cli struct {
	All      bool `help:"Loops for what is left of the rows, the columns and k, too."`
	JSON     bool `name:"json" xor:"format" help:"Print a line of JSON for each loop and core."`
	Markdown bool `xor:"format" help:"Print the tables of README.md."`
	Vectors  bool `help:"Multiply whole vectors, where the kernels multiply by an element: not every model knows the latter."`
	LLVM     int  `name:"llvm" help:"Release of LLVM; without it, the newest there is." placeholder:"N"`
}

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
	var c cli
	k := kong.Parse(&c, kong.Name("mca"), kong.Description("Estimate how fast the arm64 kernels' inner loops are, by models of processors."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	k.FatalIfErrorf(k.Run())
}

func (c *cli) Run(ctx context.Context) error {
	llvm, err := findLLVM(ctx, c.LLVM)
	if err != nil {
		return err
	}
	loops, err := kernelLoops(ctx, llvm)
	if err != nil {
		return err
	}
	if !c.All {
		loops = slices.DeleteFunc(loops, func(l loop) bool { return !l.Main })
	}
	if c.Vectors {
		for i := range loops {
			loops[i].body = wholeVectors(loops[i].body)
		}
	}
	results, err := analyse(ctx, llvm, loops)
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		for _, r := range results {
			if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
				return err
			}
		}
		return nil
	case c.Markdown:
		return printMarkdown(os.Stdout, llvm, results)
	}
	return printText(os.Stdout, llvm, results)
}

// result is how a loop does on a core. Cycles are those of a step of k.
type result struct {
	loop
	Core         string     `json:"core"`
	Model        string     `json:"model"`        // LLVM's name for it
	Instructions int        `json:"instructions"` // a turn
	Uops         float64    `json:"uops"`         // a turn
	Dispatch     int        `json:"dispatch"`     // uops a cycle
	Rate         float64    `json:"rate"`         // FMAs a cycle, if there is nothing else
	Cycles       float64    `json:"cycles"`
	Bound        float64    `json:"bound"` // cycles of the FMAs alone
	Busy         float64    `json:"busy"`  // how much of the time the pipes that take FMAs are
	Ratio        float64    `json:"ratio"` // of the bound to the cycles
	Pressure     []pressure `json:"pressure"`
	Binds        string     `json:"binds,omitempty"`       // below the goal: what does
	Bottlenecks  []string   `json:"bottlenecks,omitempty"` // below the goal: llvm-mca's lines
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
		r.Model, r.Uops, r.Dispatch, r.Pressure = whole.model, whole.uops, whole.width, whole.pressure
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
	lines, err := llvm.bottlenecks(ctx, c, slowCode)
	if err != nil {
		return nil, err
	}
	c.dispatch = unlimited
	if regions, err = llvm.simulate(ctx, c, slowCode); err != nil {
		return nil, err
	}
	for i, r := range slow {
		r.Bottlenecks = lines[i]
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

var element = regexp.MustCompile(`\.([hs])\[\d+\]$`)

// wholeVectors returns the instructions with FMAs of the same registers that do not
// pick an element.
func wholeVectors(body []string) []string {
	body = slices.Clone(body)
	for i, instruction := range body {
		if isFMA.MatchString(instruction) {
			body[i] = element.ReplaceAllString(instruction, ".4$1")
		}
	}
	return body
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

func printText(out io.Writer, llvm toolchain, results []result) error {
	fmt.Fprintf(out, "LLVM %s. Cycles are those of a step of k; bound: of the FMAs alone; rate: FMAs a cycle;\nbusy: the pipes that take FMAs, with whatever.\n\n", llvm.version)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "core\tloop\tsteps\tFMAs\trate\tcycles\tbound\tratio\tbusy\twhat binds")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%v\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%s\n", r.Core, r.loop, r.Steps, r.FMAs, r.Rate, r.Cycles, r.Bound, r.Ratio, r.Busy, r.Binds)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.Ratio < goal {
			fmt.Fprintf(out, "\n%s, %v: %.2f\n\t%s\n", r.Core, r.loop, r.Ratio, strings.Join(r.Bottlenecks, "\n\t"))
		}
	}
	return nil
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

	fmt.Fprintf(out, "\nBelow %.2f, with how busy the pipes are that take FMAs, and what binds:\n", goal)
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
