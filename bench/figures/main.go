// Command figures has the README's figures of speed made from a report, and not typed.
//
//	go run ./bench/figures measure NEW.json   # all of them anew, on this machine
//	go run ./bench/figures compare NEW.json   # how far each is from the committed report's
//	go run ./bench/figures readme             # the tables in README.md, of the committed report
//
// The committed report is bench/reports/linux-amd64-zen4.json. To put another machine's
// figures into the README is to replace it, and to say which machine that is.
//
// It measures nothing itself: `halfgrad bench` and bench/peers do.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/google/renameio/v2/maybe"

	"github.com/halfgrad/halfgrad/bench/report"
)

// committed is the report that the README's figures are of.
const committed = "bench/reports/linux-amd64-zen4.json"

type cli struct {
	Measure measureCmd `cmd:"" help:"Measure all that the README has figures of, on this machine, in some twenty minutes. Others' libraries that are not installed are left out."`
	Compare compareCmd `cmd:"" help:"Print how far each figure of a report is from the committed one's."`
	Readme  readmeCmd  `cmd:"" help:"Write the tables into README.md."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("figures"), kong.Description("The README's figures of speed: measure, compare, write."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	k.FatalIfErrorf(k.Run())
}

type measureCmd struct {
	Out string `arg:"" help:"The report to write." placeholder:"NEW.json"`
}

func (c *measureCmd) Run(ctx context.Context) error {
	if _, err := os.Stat(c.Out); err == nil {
		return fmt.Errorf("figures: %s is there: want a new file", c.Out)
	}
	revision := "-buildvcs=auto"
	if _, err := os.Stat(".git"); err == nil {
		revision = "-buildvcs=true" // go run does not note the commit by itself
	}
	for _, args := range [][]string{
		{"run", revision, "./cmd/halfgrad", "bench", "--kernel", "all", "--out", c.Out},
		{"run", revision, "./bench/peers", "report", "--into", c.Out},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		fmt.Fprintln(os.Stderr, "go", strings.Join(args, " "))
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("figures: go %s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}

type compareCmd struct {
	Report string `arg:"" help:"The report to compare." placeholder:"NEW.json"`
	With   string `default:"bench/reports/linux-amd64-zen4.json" help:"The report to compare it with." placeholder:"FILE"`
}

func (c *compareCmd) Run() error {
	was, err := report.Read(c.With)
	if err != nil {
		return err
	}
	is, err := report.Read(c.Report)
	if err != nil {
		return err
	}
	fmt.Print(differences(was, is))
	return nil
}

type readmeCmd struct {
	Check bool `help:"Only tell whether it has them."`
}

func (c *readmeCmd) Run() error {
	r, err := report.Read(committed)
	if err != nil {
		return err
	}
	const readme = "docs/performance.md"
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	written, err := fill(text, tables(r))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", readme, err)
	case bytes.Equal(text, written):
		return nil
	case c.Check:
		return fmt.Errorf("figures: %s does not have the figures of %s: go run ./bench/figures readme", readme, committed)
	}
	return maybe.WriteFile(readme, written, 0o644)
}

// root returns the folder of the module.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
