// Command samebits does the same work on every kind of processor that there is,
// or that qemu emulates, and compares what comes out, bit for bit.
//
//	go run ./bench/samebits             # about an hour on two cores
//	go run ./bench/samebits --quick     # less of everything, in minutes
//
// On each machine and with each kernel tier that it supports it runs `halfgrad
// verify`, an epoch of MNIST by SGD with momentum, and 200 steps of AdamW. It
// prints a Markdown table with a row for each, and fails unless the rows agree.
// How long each row takes it tells on stderr.
//
// It is no test of speed, emulated or not, and none of truth: the tests of the
// packages compare with the naive loop.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/kernels"
)

type cli struct {
	Quick       bool   `help:"Fewer cases, and a few steps of a small network."`
	Only        string `help:"Only the rows whose name matches, such as 'arm64 .*neon'." placeholder:"REGEXP"`
	Parallel    int    `help:"Rows at a time; without it, as many as there are cores." placeholder:"N"`
	SkipMissing bool   `help:"Leave out what is not installed."`
	Keep        bool   `help:"Keep the folder of the binaries and runs."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("samebits"), kong.Description("Compare the bits of every kind of processor, emulated where need be."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	k.FatalIfErrorf(k.Run())
}

func (c *cli) Run(ctx context.Context) (err error) {
	only, err := regexp.Compile(c.Only)
	if err != nil {
		return fmt.Errorf("samebits: --only: %w", err)
	}
	if c.Parallel < 0 {
		return fmt.Errorf("samebits: --parallel %d: want 1 or more", c.Parallel)
	}
	if c.Parallel == 0 {
		c.Parallel = runtime.NumCPU()
	}
	machines, missing := present(exec.LookPath)
	if missing != nil {
		if !c.SkipMissing {
			return fmt.Errorf("samebits: %w (or --skip-missing)", missing)
		}
		fmt.Fprintln(os.Stderr, "left out:", missing)
	}
	folder, err := os.MkdirTemp("", "samebits-")
	if err != nil {
		return err
	}
	if c.Keep {
		fmt.Fprintln(os.Stderr, "binaries and runs are in", folder)
	} else {
		defer os.RemoveAll(folder)
	}
	if _, err := data.LoadMNIST(ctx, data.Source{}); err != nil { // once, and not by all rows at the same time
		return err
	}
	for i := range machines {
		m := &machines[i]
		m.binary = filepath.Join(folder, "halfgrad-"+m.arch)
		if err := build(ctx, m.arch, m.binary); err != nil {
			return err
		}
	}
	work := full
	if c.Quick {
		work = quick
	}
	s := session{work: work, folder: folder, run: execute, progress: os.Stderr}
	rows, err := s.rows(ctx, machines, only)
	if err != nil {
		return err
	}
	if err := s.do(ctx, rows, c.Parallel); err != nil {
		return err
	}
	fmt.Print(s.table(rows))
	if err := agree(rows); err != nil {
		return err
	}
	fmt.Printf("\nAll %d rows agree.\n", len(rows))
	return nil
}

// build builds the command for Linux on an architecture, unless it is there.
func build(ctx context.Context, arch, binary string) error {
	if _, err := os.Stat(binary); err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/halfgrad/halfgrad/cmd/halfgrad")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("samebits: go build for %s: %w\n%s", arch, err, out)
	}
	return nil
}

// execute runs a command and returns what it printed, also where it failed. The
// error is the last line that it said about it.
func execute(ctx context.Context, argv []string) (stdout []byte, err error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, kernels.EnvKernel+"=") })
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err = cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if lines := strings.Split(strings.TrimSpace(stderr.String()), "\n"); err != nil && lines[len(lines)-1] != "" {
		err = errors.New(lines[len(lines)-1])
	}
	return stdout, err
}
