package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// machine is a kind of processor.
type machine struct {
	arch     string // GOARCH
	emulator string // the command; "" for the machine that this runs on
	cpu      string // which the emulator shall be; "" leaves it to it
	binary   string // halfgrad, built for it
}

// emulated are the machines besides this one: x86 without AVX, Arm with and
// without half-precision arithmetic and FMLAL, one more architecture whose Go
// compiler fuses, and one that is big-endian.
var emulated = []machine{
	{arch: "amd64", emulator: "qemu-x86_64-static", cpu: "Nehalem"},
	{arch: "arm64", emulator: "qemu-aarch64-static", cpu: "cortex-a53"},
	{arch: "arm64", emulator: "qemu-aarch64-static", cpu: "neoverse-n1"},
	{arch: "arm64", emulator: "qemu-aarch64-static", cpu: "max"},
	{arch: "riscv64", emulator: "qemu-riscv64-static"},
	{arch: "s390x", emulator: "qemu-s390x-static"},
}

// emulation says how a machine is had, as the table shows it.
func (m machine) emulation() string {
	switch {
	case m.emulator == "":
		return "none"
	case m.cpu == "":
		return "qemu"
	}
	return "qemu, " + m.cpu
}

// command returns the command line of halfgrad on m.
func (m machine) command(args ...string) []string {
	argv := []string{m.binary}
	if m.emulator != "" {
		argv = []string{m.emulator, m.binary}
		if m.cpu != "" {
			argv = []string{m.emulator, "-cpu", m.cpu, m.binary}
		}
	}
	return append(argv, args...)
}

// present returns this machine and those whose emulator is installed, and an error
// that names the others.
func present(lookPath func(string) (string, error)) (machines []machine, missing error) {
	machines = []machine{{arch: runtime.GOARCH}}
	var absent []string
	for _, m := range emulated {
		if _, err := lookPath(m.emulator); err == nil {
			machines = append(machines, m)
		} else if !slices.Contains(absent, m.emulator) {
			absent = append(absent, m.emulator)
		}
	}
	if absent != nil {
		missing = fmt.Errorf("%s: not installed; they are in Debian's package qemu-user-static", strings.Join(absent, ", "))
	}
	return machines, missing
}

// work is what every row does: arguments of halfgrad, and how the table calls it.
type work struct {
	name string
	args []string
}

// options are all that changes the course of a training beside the optimizer.
var options = []string{
	"--dropout", "0.5", "--input-dropout", "0.1", "--shift", "1", "--label-smoothing", "0.1", "--loss-weight", "0.3", "--accumulate", "2",
	"--clip-norm", "0.5", "--clip-value", "0.1", "--schedule", "onecycle", "--warmup", "5", "--nesterov", "--weight-decay", "0.01", "--no-bias-decay",
}

// The first of these is verify, the others are training.
var (
	full = []work{
		{"digest of 10000 cases", []string{"verify"}},
		{"weights after an epoch of SGD", []string{"train", "--epochs", "1"}},
		{"after 200 steps of AdamW", []string{"train", "--optimizer", "adamw", "--max-steps", "200"}},
		{"after 100 steps with all options", append([]string{"train", "--max-steps", "100"}, options...)},
	}
	quick = []work{
		{"digest of 500 cases", []string{"verify", "--cases", "500"}},
		{"weights after 30 steps of SGD", []string{"train", "--hidden", "16", "--max-steps", "30"}},
		{"after 30 steps of AdamW", []string{"train", "--hidden", "16", "--max-steps", "30", "--optimizer", "adamw"}},
		{"after 20 steps with all options", append([]string{"train", "--hidden", "16", "--max-steps", "20"}, options...)},
	}
)

// row is a machine with a tier and a number of threads for the training; verify
// takes 1, 2 and 3.
type row struct {
	machine
	tier    string
	threads int
	sums    []string // of each piece of work; "" where it failed
	errs    []error  // why
}

// String returns the name that --only looks at.
func (r *row) String() string {
	return fmt.Sprintf("%s (%s) %s %d threads", r.arch, r.emulation(), r.tier, r.threads)
}

// session is a comparison under way.
type session struct {
	work     []work
	folder   string
	run      func(ctx context.Context, argv []string) (stdout []byte, err error)
	progress io.Writer
}

// rows asks the machines for their tiers. On this machine each tier has a row for
// 1, 2 and 3 threads; the rows of the emulated ones have these by turns.
func (s *session) rows(ctx context.Context, machines []machine, only *regexp.Regexp) ([]*row, error) {
	var rows []*row
	turn := 0
	for _, m := range machines {
		out, err := s.run(ctx, m.command("info", "--json"))
		var info struct {
			Tiers []string `json:"available_kernels"`
		}
		if err == nil {
			err = json.Unmarshal(out, &info)
		}
		if err == nil && len(info.Tiers) == 0 {
			err = errors.New("no available_kernels")
		}
		if err != nil {
			return nil, fmt.Errorf("samebits: halfgrad info on %s (%s): %w", m.arch, m.emulation(), err)
		}
		for _, tier := range info.Tiers {
			threads := []int{1, 2, 3}
			if m.emulator != "" {
				threads = []int{1 + turn%3}
				turn++
			}
			for _, n := range threads {
				r := &row{machine: m, tier: tier, threads: n, sums: make([]string, len(s.work)), errs: make([]error, len(s.work))}
				if only.MatchString(r.String()) {
					rows = append(rows, r)
				}
			}
		}
	}
	if rows == nil {
		return nil, errors.New("samebits: no row matches --only")
	}
	return rows, nil
}

// do does all rows, some at a time, and reports each when it is done. The error
// is ctx's: those of the rows stay with them.
func (s *session) do(ctx context.Context, rows []*row, parallel int) error {
	var workers sync.WaitGroup
	var mu sync.Mutex // guards what follows
	next, done := 0, 0
	for range min(parallel, len(rows)) {
		workers.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(rows) {
					return
				}
				times := s.doRow(ctx, rows[i], filepath.Join(s.folder, fmt.Sprintf("run%d", i)))
				if ctx.Err() != nil {
					return
				}
				mu.Lock()
				done++
				fmt.Fprintf(s.progress, "%d of %d: %v: %s\n", done, len(rows), rows[i], times)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return ctx.Err()
}

// doRow does all work of a row and says how long each piece took.
func (s *session) doRow(ctx context.Context, r *row, out string) (times string) {
	for i, w := range s.work {
		start := time.Now()
		if i == 0 {
			r.sums[i], r.errs[i] = s.verify(ctx, r, w.args)
		} else {
			r.sums[i], r.errs[i] = s.train(ctx, r, w.args, out)
		}
		if i > 0 {
			times += " + "
		}
		times += fmt.Sprintf("%.1f", time.Since(start).Seconds())
	}
	return times + " s"
}

// verify returns the digest of a row.
func (s *session) verify(ctx context.Context, r *row, args []string) (string, error) {
	args = slices.Concat(args, []string{"--json", "--kernel", r.tier, "--threads", "1,2,3"})
	out, failed := s.run(ctx, r.command(args...))
	sum, err := lastValue(out, "sha256")
	if failed != nil { // it may have printed what it found all the same
		err = failed
	}
	return sum, err
}

// train returns the digest of the weights that a row has learnt.
func (s *session) train(ctx context.Context, r *row, args []string, out string) (string, error) {
	metrics := out + ".jsonl"
	args = slices.Concat(args, []string{"--kernel", r.tier, "--threads", fmt.Sprint(r.threads), "--out", out, "--metrics", metrics})
	if _, err := s.run(ctx, r.command(args...)); err != nil {
		return "", err
	}
	lines, err := os.ReadFile(metrics)
	if err != nil {
		return "", err
	}
	return lastValue(lines, "weights_sha256")
}

// lastValue returns a value of the last of some lines of JSON.
func lastValue(lines []byte, key string) (string, error) {
	lines = bytes.TrimSpace(lines)
	last := lines[bytes.LastIndexByte(lines, '\n')+1:]
	var values map[string]any
	if err := json.Unmarshal(last, &values); err != nil {
		return "", fmt.Errorf("no JSON in the last line %q", last)
	}
	value, _ := values[key].(string)
	if len(value) != 64 {
		return "", fmt.Errorf("no %s in the last line %q", key, last)
	}
	return value, nil
}

// table returns the rows in Markdown.
func (s *session) table(rows []*row) string {
	var b strings.Builder
	b.WriteString("| architecture | emulation | kernel | training threads |")
	for _, w := range s.work {
		b.WriteString(" " + w.name + " |")
	}
	b.WriteString("\n|---|---|---|---|" + strings.Repeat("---|", len(s.work)) + "\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %d |", r.arch, r.emulation(), r.tier, r.threads)
		for _, sum := range r.sums {
			if sum == "" {
				sum = "failed"
			}
			fmt.Fprintf(&b, " %.12s |", sum)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// agree returns an error for each row that failed or is not as most are.
func agree(rows []*row) error {
	var errs []error
	for i := range rows[0].sums {
		count, most := map[string]int{}, ""
		for _, r := range rows {
			if count[r.sums[i]]++; r.sums[i] != "" && (most == "" || count[r.sums[i]] > count[most]) {
				most = r.sums[i]
			}
		}
		for _, r := range rows {
			switch {
			case r.errs[i] != nil:
				errs = append(errs, fmt.Errorf("%v: %w", r, r.errs[i]))
			case r.sums[i] != most:
				errs = append(errs, fmt.Errorf("%v: %.12s where %d of %d rows have %.12s", r, r.sums[i], count[most], len(rows), most))
			}
		}
	}
	return errors.Join(errs...)
}
