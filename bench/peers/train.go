package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

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
		if _, err := w.prepareSteps(cfg.Batch, folder); err != nil {
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
