package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
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
	id := identity{name: "halfgrad", core: e.KernelName(dtype), detail: "training in " + c.Precision}
	return serve(os.Stdin, os.Stdout, id, student(e, cfg))
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
	at, err := newPlace(c.Python)
	if err != nil {
		return err
	}
	r := race{threads: threads, rounds: c.Rounds, turn: stepsTurn, cfg: cfg}
	defer r.stop()
	if err := r.enter("halfgrad", cpus, ourTrainer(at, cfg, c.Kernel)); err != nil {
		return err
	}
	for _, name := range c.Peers {
		precision := strings.TrimPrefix(name, "pytorch-")
		chosen, err := chooseTrainer(ctx, at, python, precision, cfg, cpus)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = r.enter(name, cpus, pyTorchTrainer(at, python, precision, cfg, chosen.settings))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "left out:", err)
			continue
		}
		for _, note := range []string{chosen.note, advice(r.entrants[len(r.entrants)-1])} {
			if note != "" {
				fmt.Fprintf(os.Stderr, "%s: %s\n", name, note)
			}
		}
	}
	if len(r.entrants) == 1 {
		return errors.New("peers: none of the peers is there")
	}
	return c.compare(ctx, &r, cpus, os.Stdout)
}

// ourTrainer returns the commands of our workers that train, by the number of threads.
func ourTrainer(at place, cfg bench.TrainConfig, kernel string) func(threads int) *exec.Cmd {
	return func(n int) *exec.Cmd {
		cmd := exec.Command(at.self, "train-worker", "--model", cfg.Model(), "--optimizer", cfg.Optimizer, "--precision", cfg.Precision.String(),
			"--images", strconv.Itoa(cfg.Images), "--threads", strconv.Itoa(n), "--kernel", kernel)
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(n))
		return cmd
	}
}

// pyTorchTrainer returns the commands of PyTorch's.
func pyTorchTrainer(at place, python, precision string, cfg bench.TrainConfig, settings []string) func(threads int) *exec.Cmd {
	return func(n int) *exec.Cmd {
		cmd := trainer(python, at.folder, precision, cfg, n)
		cmd.Env = append(cmd.Env, settings...)
		return cmd
	}
}

// chooseTrainer returns how PyTorch trains best, with 64 images a step.
func chooseTrainer(ctx context.Context, at place, python, precision string, cfg bench.TrainConfig, cpus []int) (choice, error) {
	cfg.Batch, cfg.Images, cfg.Precision = 64, 1024, tensor.F32
	folder, err := os.MkdirTemp("", "halfgrad-peers-")
	if err != nil {
		return choice{}, fmt.Errorf("peers: %w", err)
	}
	defer os.RemoveAll(folder)
	e, err := kernels.New(kernels.Config{Threads: 1})
	if err != nil {
		return choice{}, err
	}
	run, err := bench.NewTrainee(e, cfg, nil)
	if err != nil {
		return choice{}, err
	}
	if err := publish(run, folder); err != nil {
		return choice{}, err
	}
	launch := func(settings []string) (*worker, error) {
		w, err := start("pytorch-"+precision, pyTorchTrainer(at, python, precision, cfg, settings)(1), cpus[:1], timeout)
		if err != nil {
			return nil, err
		}
		if _, _, err := w.prepareSteps(cfg.Batch, folder); err != nil {
			w.stop()
			return nil, err
		}
		return w, nil
	}
	return choose(ctx, machineLevel(), pyTorchCores()[runtime.GOARCH], launch, func(w *worker) (float64, error) { return w.steps(10) })
}

// advice returns what would make PyTorch faster, "" for nothing.
func advice(e entrant) string {
	if strings.Contains(e.workers[0].about.detail, "openblas-pthread") {
		return "may be faster with OpenBLAS for OpenMP; in Debian: apt-get install libopenblas0-openmp"
	}
	return ""
}

// compare prints the rows of a batch as soon as they are there.
func (c *trainCmd) compare(ctx context.Context, r *race, cpus []int, out io.Writer) error {
	if !c.JSON {
		for _, e := range r.entrants {
			fmt.Fprintf(out, "%-12s %v\n", e.name, e.workers[0].about)
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
