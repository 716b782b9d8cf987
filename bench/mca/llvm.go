package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// toolchain is an LLVM whose tools are llvm-mc and llvm-mca with a suffix.
type toolchain struct {
	suffix, version string
}

// The releases looked for. The first one is the first with a model of the Neoverse
// N1; those before take it for a Cortex-A57.
const oldest, newest = 17, 40

const install = "in Debian: apt-get install llvm-22, or llvm where that is 17 or newer"

var versionLine = regexp.MustCompile(`LLVM version (\d+)[.\d]*`)

// findLLVM finds the newest LLVM there is.
func findLLVM(ctx context.Context) (toolchain, error) {
	var suffixes []string
	for v := newest; v >= oldest; v-- {
		suffixes = append(suffixes, "-"+strconv.Itoa(v))
	}
	suffixes = append(suffixes, "")
	for _, s := range suffixes {
		path, err := exec.LookPath("llvm-mca" + s)
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		if err != nil {
			return toolchain{}, fmt.Errorf("mca: %s: %w", path, err)
		}
		m := versionLine.FindSubmatch(out)
		if m == nil {
			return toolchain{}, fmt.Errorf("mca: %s does not tell its version", path)
		}
		if major, _ := strconv.Atoi(string(m[1])); major < oldest {
			return toolchain{}, fmt.Errorf("mca: %s is of LLVM %d, which has no model of the Neoverse N1: want %d or newer; %s", path, major, oldest, install)
		}
		return toolchain{suffix: s, version: strings.TrimPrefix(string(m[0]), "LLVM version ")}, nil
	}
	return toolchain{}, fmt.Errorf("mca: there is no llvm-mca; %s", install)
}

// run gives one of the tools its input and returns what it prints.
func (t toolchain) run(ctx context.Context, tool, input string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, tool+t.suffix, append(args, "--mattr=+fp16fml")...)
	cmd.Stdin = strings.NewReader(input)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("mca: there is no %s%s; %s", tool, t.suffix, install)
	}
	if err != nil {
		return nil, fmt.Errorf("mca: %s%s: %w\n%s", tool, t.suffix, err, complaints.Bytes())
	}
	return out, nil
}

// disassemble returns the instructions of some code, each as its mnemonic, a tab
// and its operands.
func (t toolchain) disassemble(ctx context.Context, code []byte) ([]string, error) {
	var input strings.Builder
	for word := range slices.Chunk(code, 4) {
		for _, b := range word {
			fmt.Fprintf(&input, "%#x ", b)
		}
		input.WriteByte('\n')
	}
	out, err := t.run(ctx, "llvm-mc", input.String(), "--disassemble", "--triple=aarch64")
	if err != nil {
		return nil, err
	}
	var instructions []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '.' {
			instructions = append(instructions, line)
		}
	}
	if len(instructions) != len(code)/4 {
		return nil, fmt.Errorf("mca: llvm-mc%s knows only %d of %d instructions", t.suffix, len(instructions), len(code)/4)
	}
	return instructions, nil
}

// core is a model of a processor.
type core struct {
	name     string // what -mcpu takes
	dispatch int    // what replaces the model's width; 0 for none
	fhm      bool
}

func (c core) String() string {
	if c.dispatch == 0 {
		return c.name
	}
	return fmt.Sprintf("%s at %d", c.name, c.dispatch)
}

// region is what llvm-mca finds out about some code.
type region struct {
	cycles   float64    // a turn, in the long run
	width    int        // micro-operations that are dispatched a cycle
	pressure []pressure // the busiest first
}

// pressure is how many cycles a turn a unit of a model is busy.
type pressure struct {
	Unit   string  `json:"unit"`
	Cycles float64 `json:"cycles"`
}

// report is what llvm-mca prints with --json.
type report struct {
	CodeRegions []struct {
		Name         string
		Instructions []string
		SummaryView  struct {
			Iterations, TotalCycles, DispatchWidth int
		}
		ResourcePressureView struct {
			ResourcePressureInfo []struct {
				InstructionIndex, ResourceIndex int
				ResourceUsage                   float64
			}
		}
	}
	TargetInfo struct {
		Resources []string
	}
}

// turns is how many turns the start is waited for, and then how many are counted.
const turns = 200

// input separates pieces of code as llvm-mca wants them separated.
func input(code [][]string) string {
	var s strings.Builder
	for i, instructions := range code {
		fmt.Fprintf(&s, "# LLVM-MCA-BEGIN %d\n%s\n# LLVM-MCA-END\n", i, strings.Join(instructions, "\n"))
	}
	return s.String()
}

func (c core) args(iterations int) []string {
	return []string{"--mtriple=aarch64", "--mcpu=" + c.name, fmt.Sprintf("--iterations=%d", iterations), fmt.Sprintf("--dispatch=%d", c.dispatch)}
}

// simulate runs pieces of code, each as a loop of its own.
func (t toolchain) simulate(ctx context.Context, c core, code [][]string) ([]region, error) {
	var reports [2][]byte
	for i := range reports {
		var err error
		if reports[i], err = t.run(ctx, "llvm-mca", input(code), append(c.args((i+1)*turns), "--json")...); err != nil {
			return nil, err
		}
	}
	regions, err := parse(reports[0], reports[1])
	if err == nil && len(regions) != len(code) {
		err = fmt.Errorf("mca: llvm-mca%s reports %d loops of %d", t.suffix, len(regions), len(code))
	}
	return regions, err
}

// parse reads a report, and a second one of more turns: the difference is the long run.
func parse(short, long []byte) ([]region, error) {
	var reports [2]report
	for i, b := range [][]byte{short, long} {
		if err := json.Unmarshal(b, &reports[i]); err != nil {
			return nil, fmt.Errorf("mca: llvm-mca's report: %w", err)
		}
	}
	if len(reports[0].CodeRegions) != len(reports[1].CodeRegions) {
		return nil, errors.New("mca: llvm-mca's two reports are of different code")
	}
	var regions []region
	for i, b := range reports[1].CodeRegions {
		before, after := reports[0].CodeRegions[i].SummaryView, b.SummaryView
		n := float64(after.Iterations - before.Iterations)
		if n <= 0 || after.TotalCycles <= before.TotalCycles {
			return nil, fmt.Errorf("mca: llvm-mca's reports on loop %s are of %d and %d turns, in %d and %d cycles",
				b.Name, before.Iterations, after.Iterations, before.TotalCycles, after.TotalCycles)
		}
		r := region{
			cycles: float64(after.TotalCycles-before.TotalCycles) / n,
			width:  after.DispatchWidth,
		}
		for _, p := range b.ResourcePressureView.ResourcePressureInfo {
			if p.InstructionIndex == len(b.Instructions) { // the sum of all
				r.pressure = append(r.pressure, pressure{unitName(reports[1].TargetInfo.Resources[p.ResourceIndex]), p.ResourceUsage})
			}
		}
		slices.SortStableFunc(r.pressure, func(a, b pressure) int { return cmp.Compare(b.Cycles, a.Cycles) })
		if len(r.pressure) == 0 {
			return nil, fmt.Errorf("mca: llvm-mca reports no pressure in loop %s", b.Name)
		}
		regions = append(regions, r)
	}
	return regions, nil
}

// unitName makes "N1UnitL.1" of the name of the second of several equal units, which
// ends in the byte 1.
func unitName(s string) string {
	if base, number, several := strings.Cut(s, "."); several && len(number) == 1 && number[0] < ' ' {
		return fmt.Sprintf("%s.%d", base, number[0])
	}
	return s
}
