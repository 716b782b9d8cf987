package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

type trainCmd struct {
	Model     []int    `default:"784-256-10" sep:"-" help:"Widths of a fully connected network's layers, the input's and the output's included." placeholder:"WIDTHS"`
	Batch     []int    `default:"1,16,128" help:"Images a step, separated by commas." placeholder:"N"`
	Optimizer string   `default:"sgd" enum:"sgd,adam,adamw" help:"Optimizer: sgd (with momentum), adam or adamw."`
	Precision string   `default:"fp16" enum:"fp16,fp32" help:"Our precision policy: fp16, with dynamic loss scaling, or fp32."`
	Images    int      `default:"60000" help:"Images to choose from, about." placeholder:"N"`
	Threads   []int    `help:"Numbers of threads; without it, 1, 2, 4 and so on, and all CPUs." placeholder:"N"`
	CPU       []int    `name:"cpu" help:"CPUs to pin to, the first as many as there are threads; without it, all." placeholder:"N"`
	Rounds    int      `default:"15" help:"Rounds of turns." placeholder:"N"`
	Kernel    string   `default:"auto" help:"Our kernel tier." placeholder:"TIER"`
	Peers     []string `default:"pytorch-fp32,pytorch-bf16" help:"Peers, separated by commas." placeholder:"NAME"`
	Python    []string `default:"python3,/usr/bin/python3" help:"Where to look for PyTorch, in this order." placeholder:"PROGRAM"`
	JSON      bool     `help:"Print a line of JSON a row."`
}

type trainWorkerCmd struct {
	Model     []int  `required:"" sep:"-"`
	Optimizer string `required:""`
	Precision string `required:""`
	Images    int    `required:""`
	Threads   int    `required:""`
	Kernel    string `required:""`
}

func (c *trainWorkerCmd) Run() error {
	e, err := kernels.New(kernels.Config{Kernel: c.Kernel, Threads: c.Threads})
	if err != nil {
		return err
	}
	dtype, err := tensor.ParseDType(c.Precision)
	if err != nil {
		return err
	}
	cfg := bench.TrainConfig{Widths: c.Model, Images: c.Images, Optimizer: c.Optimizer, Precision: dtype}
	return serve(os.Stdin, os.Stdout, c.Precision+", "+e.KernelName(dtype), student(e, cfg))
}

func (c *trainCmd) Run(ctx context.Context) error {
	dtype, err := tensor.ParseDType(c.Precision)
	if err != nil {
		return err
	}
	cfg := bench.TrainConfig{Widths: c.Model, Images: c.Images, Optimizer: c.Optimizer, Precision: dtype}
	if len(c.Model) < 2 || slices.Min(c.Model) < 1 || slices.Min(c.Batch) < 1 || c.Images < slices.Max(c.Batch) || c.Rounds < 1 {
		return fmt.Errorf("peers: the model %s, batches of %v out of %d images, %d rounds: want two widths or more, and at least one image, as many as a batch has, and one round", cfg.Model(), c.Batch, c.Images, c.Rounds)
	}
	cpus, err := pins(c.CPU, max(1, slices.Max(append(c.Threads, 1))))
	if err != nil {
		return err
	}
	threads := c.Threads
	for n := 1; len(c.Threads) == 0 && n < 2*len(cpus); n *= 2 {
		threads = append(threads, min(n, len(cpus)))
	}
	if slices.Min(threads) < 1 {
		return fmt.Errorf("peers: %v threads: want at least one", threads)
	}

	for _, name := range c.Peers {
		if name != "pytorch-fp32" && name != "pytorch-bf16" {
			return fmt.Errorf("peers: no peer %q: there are pytorch-fp32 and pytorch-bf16", name)
		}
	}
	python, err := pythonWithTorch(c.Python)
	if err != nil {
		return err
	}
	cache, err := cacheFolder()
	if err != nil {
		return err
	}
	if err := unpack(cache); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r := race{threads: threads, rounds: c.Rounds, cfg: cfg}
	defer r.stop()
	err = r.enter("halfgrad", cpus, func(n int) *exec.Cmd {
		cmd := exec.Command(self, "train-worker", "--model", cfg.Model(), "--optimizer", c.Optimizer, "--precision", c.Precision,
			"--images", strconv.Itoa(c.Images), "--threads", strconv.Itoa(n), "--kernel", c.Kernel)
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(n))
		return cmd
	})
	if err != nil {
		return err
	}
	for _, name := range c.Peers {
		err := r.enter(name, cpus, func(n int) *exec.Cmd {
			return pytorch(python, cache, strings.TrimPrefix(name, "pytorch-"), cfg, n)
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "left out:", err)
		} else if strings.Contains(r.entrants[len(r.entrants)-1].workers[0].about, "openblas-pthread") {
			fmt.Fprintf(os.Stderr, "%s may be faster with OpenBLAS for OpenMP; in Debian: apt-get install libopenblas0-openmp\n", name)
		}
	}
	if len(r.entrants) == 1 {
		return errors.New("peers: none of the peers is there")
	}
	return c.compare(ctx, &r, cpus, os.Stdout)
}

// compare prints the rows of a batch as soon as they are there.
func (c *trainCmd) compare(ctx context.Context, r *race, cpus []int, out io.Writer) error {
	if !c.JSON {
		for _, e := range r.entrants {
			fmt.Fprintf(out, "%-12s %s\n", e.name, e.workers[0].about)
		}
		fmt.Fprintf(out, "%s, %s, %d images, CPUs %v, %d rounds\n", r.cfg.Model(), c.Optimizer, c.Images, cpus, c.Rounds)
		fmt.Fprint(out, "µs a step, of the median turn; share: of the FMA peak, by our products; ×: a peer's time over ours\n")
		fmt.Fprint(out, "best: each with the number of threads that is the best for it\n\n")
		fmt.Fprint(out, "| batch | threads |   halfgrad | share |")
		for _, e := range r.entrants[1:] {
			fmt.Fprintf(out, " %12s |     × |", e.name)
		}
		fmt.Fprintf(out, "\n|---|---|---|---|%s\n", strings.Repeat("---|---|", len(r.entrants)-1))
	}
	for _, batch := range c.Batch {
		rows, err := r.batch(ctx, batch)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if c.JSON {
				if err := json.NewEncoder(out).Encode(row); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintln(out, row)
		}
	}
	return nil
}

// String returns the result as a row of a table in Markdown.
func (r stepsResult) String() string {
	threads := strconv.Itoa(r.Threads)
	step := func(ns float64, threads int) string {
		s := fmt.Sprintf("%.1f", ns/1e3)
		if r.BestThreads {
			s += fmt.Sprintf(" (%d)", threads)
		}
		return s
	}
	if r.BestThreads {
		threads = "best"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| %5d | %7s | %10s | %5.2f |", r.Batch, threads, step(r.StepNS, r.Threads), r.PeakRatioMedian)
	for _, p := range r.Peers {
		fmt.Fprintf(&b, " %12s | %5.2f |", step(p.StepNS, p.Threads), p.Ratio)
	}
	return b.String()
}
