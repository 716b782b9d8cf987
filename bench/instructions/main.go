// Command instructions counts how many instructions matrix products and training steps
// take on a processor that qemu emulates. Emulated time tells nothing of a processor;
// the number of its instructions is the same as on a real one.
//
//	go run ./bench/instructions --out FILE.json
//	go run ./bench/instructions --into FILE.json    # a report of the same emulated machine
//
// It is no measurement of speed: processors differ in how many instructions they
// execute at a time, and none waits for memory here. What a count is good for is to compare
// kernels of one instruction set, and to tell how much of the work is arithmetic: an FMA of
// NEON's does 8 flop, FMLAL's too, and nothing does more in one instruction.
//
// # How it counts
//
// A plugin of qemu's translator (plugin/count.c) adds up the instructions of each block that a
// thread executes. The program that is counted is this one: it makes a mark by a system
// call, does something once, makes a mark, does it twice, and makes a mark. The difference
// is what it takes once, without what a mark takes. All of it is one thread, which
// is counted by itself, without the garbage collector or what Go does in the background.
// Only Go's scheduler looks in about every 10 ms, for a thousand instructions or two: the
// median of the samples is exact for small products and within a part in a thousand for
// others. A loop in assembly, of known length, is counted first, and must have its
// length, to the instruction.
//
// It needs Debian's qemu-user, not qemu-user-static, which has no plugins, and gcc.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	_ "embed"

	"github.com/alecthomas/kong"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/tensor"
)

// What is counted, all of which the suite has, too.
var (
	shapes = []bench.Shape{{M: 64, N: 64, K: 64}, {M: 256, N: 256, K: 256}, {M: 128, N: 256, K: 784}}
	steps  = []bench.TrainConfig{{Widths: []int{784, 256, 10}, Batch: 16, Images: 1 << 11, Optimizer: "sgd", Precision: tensor.F16}}
)

// samples are as many as a confidence interval takes, though most are alike.
const samples = report.MinSamples

//go:embed plugin/count.c
var plugin []byte

type cli struct {
	Count countCmd `cmd:"" default:"withargs" help:"Count instructions, for a report."`
	Guest guestCmd `cmd:"" hidden:"" help:"Be counted."`
}

type countCmd struct {
	Out    string   `help:"File for the report; without it, the one of --into." placeholder:"FILE"`
	Into   string   `help:"A report of the same emulated machine to add to." placeholder:"FILE"`
	Arch   string   `default:"arm64" enum:"arm64,amd64" help:"Architecture: arm64 or amd64."`
	CPU    string   `name:"cpu" default:"max" help:"Processor that qemu is to emulate." placeholder:"NAME"`
	Kernel []string `default:"all" help:"Kernel tiers, separated by commas, or all." placeholder:"TIER"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("instructions"), kong.Description("Count the instructions of products and training steps on an emulated processor."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	k.FatalIfErrorf(k.Run())
}

func (c *countCmd) Run(ctx context.Context) error {
	path := c.Out
	if path == "" {
		path = c.Into
	}
	if path == "" {
		return errors.New("instructions: want --out FILE, or --into FILE with a report to add to")
	}
	var base *report.Report
	if c.Into != "" {
		var err error
		if base, err = report.Read(c.Into); err != nil {
			return err
		}
	}
	r, err := c.count(ctx)
	if err != nil {
		return err
	}
	print(os.Stdout, r)
	if base != nil {
		if err := base.Merge(r); err != nil {
			return err
		}
		r = base
	}
	if err := r.Write(path); err != nil {
		return err
	}
	fmt.Printf("wrote %s\n", path)
	return nil
}

// print prints the median count of each benchmark, and what an instruction does.
func print(w io.Writer, r *report.Report) {
	for i := range r.Benchmarks {
		b := &r.Benchmarks[i]
		rate, unit, _ := b.Rate()
		fmt.Fprintf(w, "%-95s %12.0f, %.2f %s\n", b.Name, b.Summary().Center, rate.Center, unit)
	}
}

// count counts all there is.
func (c *countCmd) count(ctx context.Context) (*report.Report, error) {
	begun := time.Now()
	folder, err := os.MkdirTemp("", "halfgrad-instructions-")
	if err != nil {
		return nil, fmt.Errorf("instructions: %w", err)
	}
	defer os.RemoveAll(folder)
	guest := filepath.Join(folder, "guest")
	build := exec.CommandContext(ctx, "go", "build", "-o", guest, "github.com/halfgrad/halfgrad/bench/instructions")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+c.Arch)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("instructions: building for %s, in the project's folder: %w: %s", c.Arch, err, bytes.TrimSpace(out))
	}
	a, counts, err := c.emulate(ctx, folder, guest)
	if err != nil {
		return nil, err
	}
	benchmarks, err := settle(a, bytes.NewReader(counts))
	if err != nil {
		return nil, err
	}
	a.Machine.Emulated = true // whatever it can tell of it
	return &report.Report{
		Date: begun.UTC().Truncate(time.Second), Suite: "instructions", Seconds: time.Since(begun).Round(time.Millisecond).Seconds(),
		Build: a.Build, Machine: a.Machine, Benchmarks: benchmarks,
		Settings: report.Settings{Kernels: a.Kernels, Threads: []int{1}, Rounds: samples},
	}, nil
}

// emulate runs the guest. It returns what it tells, and the counts.
func (c *countCmd) emulate(ctx context.Context, folder, guest string) (a account, counts []byte, err error) {
	qemu := map[string]string{"arm64": "qemu-aarch64", "amd64": "qemu-x86_64"}[c.Arch]
	source, file := filepath.Join(folder, "count.c"), filepath.Join(folder, "counts")
	if err := os.WriteFile(source, plugin, 0o644); err != nil {
		return account{}, nil, fmt.Errorf("instructions: %w", err)
	}
	// Each release takes plugins of some versions of its API. What is used of it is the
	// same in all.
	for version := 1; ; version++ {
		library := filepath.Join(folder, fmt.Sprintf("count-%d.so", version))
		compile := exec.CommandContext(ctx, "gcc", "-O2", "-shared", "-fPIC", fmt.Sprintf("-DPLUGIN_VERSION=%d", version), "-o", library, source)
		if out, err := compile.CombinedOutput(); err != nil {
			return account{}, nil, fmt.Errorf("instructions: compiling the plugin: %w: %s; in Debian: apt-get install gcc libc6-dev", err, bytes.TrimSpace(out))
		}
		cmd := exec.CommandContext(ctx, qemu, "-cpu", c.CPU, "-plugin", library+",out="+file, guest, "guest", "--kernel", strings.Join(c.Kernel, ","))
		// Nothing but the program itself is to happen in its thread.
		cmd.Env = append(os.Environ(), "GOGC=off", "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1", "HALFGRAD_KERNEL=")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		complaint := strings.TrimSpace(stderr.String())
		switch {
		case errors.Is(err, exec.ErrNotFound):
			return account{}, nil, fmt.Errorf("instructions: there is no %s; in Debian: apt-get install qemu-user", qemu)
		case ctx.Err() != nil:
			return account{}, nil, ctx.Err()
		case err != nil && strings.Contains(complaint, "version") && version < 8:
			continue
		case err != nil && strings.Contains(complaint, "unknown option"):
			return account{}, nil, fmt.Errorf("instructions: this %s has no plugins, as Debian's qemu-user has: %s", qemu, complaint)
		case err != nil:
			return account{}, nil, fmt.Errorf("instructions: %s: %w: %s", qemu, err, complaint)
		}
		if err := json.Unmarshal(stdout.Bytes(), &a); err != nil {
			return account{}, nil, fmt.Errorf("instructions: what the guest tells: %w", err)
		}
		counts, err := os.ReadFile(file)
		if err != nil {
			return account{}, nil, fmt.Errorf("instructions: %w", err)
		}
		return a, counts, nil
	}
}
