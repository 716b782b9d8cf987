package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/bench/suite"
	"github.com/halfgrad/halfgrad/kernels"
)

type benchSuiteCmd struct {
	Quick    bool   `help:"Measure less, in less than 20 seconds; without it, some minutes."`
	Out      string `help:"File for the report. Without it, bench-OS-ARCHITECTURE.json, with a number added if that exists." placeholder:"FILE"`
	Kernel   string `default:"auto" help:"Kernel tier: auto, all that the machine supports, or one that 'halfgrad info' lists." placeholder:"TIER"`
	Threads  int    `help:"Threads; without it, one and all cores." placeholder:"N"`
	Emulated bool   `help:"Note in the report that the machine is emulated, where the program cannot tell."`
	JSON     bool   `help:"Print the report; without --out it is not written to a file."`
}

// Help is what --help tells besides the flags.
func (*benchSuiteCmd) Help() string {
	return `Measures the FMA peak, the memory, conversions, matrix products and training steps, in
turn, and writes a report to compare with those of other machines. The report names the
processor, but neither the machine nor its owner. 'halfgrad bench export' converts it
for benchstat. Let the machine do nothing else meanwhile.`
}

func (c *benchSuiteCmd) Run(ctx context.Context, e *env) error {
	cfg, err := c.config(e)
	if err != nil {
		return err
	}
	return c.measure(ctx, e, cfg)
}

// measure runs a suite and writes what comes of it.
func (c *benchSuiteCmd) measure(ctx context.Context, e *env, cfg suite.Config) error {
	out, err := c.out()
	if err != nil {
		return err
	}
	progress := newSuiteProgress(e, c.JSON)
	r, err := suite.Run(ctx, cfg, progress.show)
	progress.clear()
	if ctx.Err() != nil {
		return &interruptedError{cause: ctx.Err(), text: "bench was interrupted, and nothing was written"}
	}
	if err != nil {
		return err
	}
	if out != "" {
		if err := r.Write(out); err != nil {
			return err
		}
	}
	if c.JSON {
		b, err := r.Encode()
		if err != nil {
			return err
		}
		_, err = e.stdout.Write(b)
		return err
	}
	if err := summarize(e.stdout, r); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "wrote %s\n", out)
	return err
}

// config returns what the flags ask for.
func (c *benchSuiteCmd) config(e *env) (suite.Config, error) {
	cfg := suite.Full()
	if c.Quick {
		cfg = suite.Quick()
	}
	cfg.Emulated, cfg.Threads, cfg.Kernels = c.Emulated, suite.DefaultThreads(), []string{c.Kernel}
	if e.explicit["threads"] {
		cfg.Threads = []int{c.Threads}
	}
	if c.Kernel == "all" {
		cfg.Kernels = kernels.Supported()
	}
	for _, kernel := range cfg.Kernels {
		for _, threads := range cfg.Threads {
			if threads < 1 {
				return cfg, usagef("--threads %d: want 1 to 1024", threads)
			}
			if _, err := newEngine(kernel, threads); err != nil {
				return cfg, err
			}
		}
	}
	return cfg, nil
}

// out returns the file for the report, "" for none, and sees whether it can be
// written, lest that be found out after some minutes.
func (c *benchSuiteCmd) out() (string, error) {
	out := c.Out
	if out == "" {
		if c.JSON {
			return "", nil
		}
		name := fmt.Sprintf("bench-%s-%s", runtime.GOOS, runtime.GOARCH)
		out = name + ".json"
		for i := 2; exists(out); i++ {
			out = fmt.Sprintf("%s-%d.json", name, i)
		}
	}
	if err := checkFiles([]namedPath{{"--out", out}}); err != nil {
		return "", err
	}
	if err := checkFolder(filepath.Dir(out)); err != nil {
		return "", usagef("--out %s: %w", out, err)
	}
	return out, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// suiteProgress tells how far a suite is: by a line on a terminal, by lines off it, and
// not at all where it prints JSON off a terminal.
type suiteProgress struct {
	env   *env
	lines bool
	last  suite.Progress
	line  *progressLine
}

func newSuiteProgress(e *env, json bool) *suiteProgress {
	return &suiteProgress{env: e, lines: !e.terminal && !json}
}

func (s *suiteProgress) show(p suite.Progress) {
	first := p.Preparing != s.last.Preparing || p.Total != s.last.Total
	s.last = p
	what := map[bool]string{true: "preparing", false: "measuring"}[p.Preparing]
	switch {
	case s.env.terminal && first:
		s.clear()
		s.line = &progressLine{env: s.env, what: what, total: int64(p.Total)}
	case s.env.terminal:
		s.line.show(int64(p.Done), fmt.Sprintf("%d of %d", p.Done, p.Total))
	case s.lines && first:
		fmt.Fprintf(s.env.stdout, "%s: %d %s\n", what, p.Total, map[bool]string{true: "benchmarks", false: "samples"}[p.Preparing])
	case s.lines && !p.Preparing && p.Done*10/p.Total > (p.Done-1)*10/p.Total:
		fmt.Fprintf(s.env.stdout, "measuring: %d of %d samples\n", p.Done, p.Total)
	}
}

// clear removes the line on the terminal.
func (s *suiteProgress) clear() {
	if s.line != nil {
		s.line.clear()
		s.line = nil
	}
}

// summarize prints a table of a report: a column for each tier and number of threads.
func summarize(w io.Writer, r *report.Report) error {
	type column struct {
		kernel  string
		threads int
	}
	var columns []column
	for _, kernel := range r.Settings.Kernels {
		for _, threads := range r.Settings.Threads {
			columns = append(columns, column{kernel, threads})
		}
	}
	if _, err := fmt.Fprintf(w, "\n%s, %d cores, %s/%s, %d rounds in %.0f s: medians, and their share of the FMA peak\n\n",
		orUnknown(r.Machine.CPU), r.Machine.Cores, r.Machine.OS, r.Machine.Arch, r.Settings.Rounds, r.Seconds); err != nil {
		return err
	}
	noisy, base := 0, ""
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printed := map[report.Name]bool{}
	for i := range r.Benchmarks {
		b := &r.Benchmarks[i]
		if b.Noise() != "" {
			noisy++
		}
		row := b.Name.Without("threads", "kernel")
		if printed[row] {
			continue
		}
		printed[row] = true
		if b.Name.Base() != base {
			base = b.Name.Base()
			fmt.Fprintf(t, "%s, %s", base, b.RateUnit())
			for _, c := range columns {
				fmt.Fprintf(t, "\t%s, %d %s", c.kernel, c.threads, plural("thread", c.threads))
			}
			fmt.Fprintln(t)
		}
		fmt.Fprintf(t, "  %s", rowLabel(r, b))
		for _, c := range columns {
			threads := "/threads=" + strconv.Itoa(c.threads)
			cell := r.Find(row + report.Name(threads+"/kernel="+c.kernel))
			if cell == nil && c.kernel == columns[0].kernel { // one that does not depend on it
				cell = r.Find(row + report.Name(threads))
			}
			fmt.Fprintf(t, "\t%s", summary(cell))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if noisy > 0 {
		fmt.Fprintf(w, "~ %d of %d are noisy: the confidence interval is wider than ±%.0f %%, or the peak varied by more than %.0f %% meanwhile\n",
			noisy, len(r.Benchmarks), 100*report.WideInterval, 100*report.WidePeak)
	}
	if n := len(r.Omitted); n > 0 {
		fmt.Fprintf(w, "- %d omitted: %s: %s%s\n", n, r.Omitted[0].Name, r.Omitted[0].Reason, map[bool]string{true: "; …"}[n > 1])
	}
	if r.Machine.Emulated {
		fmt.Fprintln(w, "the machine is emulated: the figures tell nothing of real ones")
	}
	return nil
}

// summary returns a cell of the table.
func summary(b *report.Benchmark) string {
	if b == nil {
		return "-"
	}
	rate, _, _ := b.Rate()
	s := strconv.FormatFloat(rate.Center, 'g', 4, 64)
	if rate.Center >= 1000 {
		s = fmt.Sprintf("%.0f", rate.Center)
	}
	if share, ok := b.Share(); ok {
		s += fmt.Sprintf(" (%.0f %%)", 100*share.Center)
	}
	if images, ok := b.Images(); ok {
		s += fmt.Sprintf(", %.0f images/s", images.Center)
	}
	if b.Noise() != "" {
		s += " ~"
	}
	return s
}

// rowLabel returns what a row of the table is called.
func rowLabel(r *report.Report, b *report.Benchmark) string {
	get := b.Name.Get
	switch b.Name.Base() {
	case "Memory":
		bytes, _ := strconv.Atoi(get("bytes"))
		threads, _ := strconv.Atoi(get("threads"))
		label := get("op") + " " + kib(bytes)
		if level := r.Machine.Caches.Level(bytes, threads); level != "" {
			label += " (" + level + ")"
		}
		return label
	case "Gemm":
		return fmt.Sprintf("%sx%sx%s %s%s %s", get("m"), get("n"), get("k"), get("ta"), get("tb"), get("dtype"))
	}
	_, rest, _ := strings.Cut(string(b.Name.Without("threads", "kernel")), "/")
	var values []string
	for part := range strings.SplitSeq(rest, "/") {
		_, value, _ := strings.Cut(part, "=")
		values = append(values, value)
	}
	return strings.Join(values, " ")
}

func plural(noun string, n int) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

type benchExportCmd struct {
	Report string `arg:"" help:"A report that 'halfgrad bench' wrote." placeholder:"FILE"`
}

// Help is what --help tells besides the flags.
func (*benchExportCmd) Help() string {
	return `Every sample is a line, so that benchstat tells what of two runs is chance:

  halfgrad bench export old.json >old.txt
  halfgrad bench export new.json >new.txt
  benchstat old.txt new.txt

Of two machines: benchstat -ignore goos,goarch,cpu a.txt b.txt. By tiers, of a report of
'halfgrad bench --kernel all': benchstat -col /kernel a.txt.`
}

func (c *benchExportCmd) Run(e *env) error {
	r, err := report.Read(c.Report)
	if err != nil {
		return usageError{err}
	}
	return r.WriteGo(e.stdout)
}
