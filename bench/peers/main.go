// Command peers measures other libraries' matrix products and training steps next to
// this project's, and writes a report that 'halfgrad bench compare' reads.
//
//	go -C bench/peers run . --out /tmp/peers.json
//	go -C bench/peers run . --out /tmp/peers.json --shape 1024x1024x1024 --threads 1
//	go -C bench/peers run . --into /tmp/report.json    # add to a report of 'halfgrad bench'
//
// Each library is a process of its own, pinned to the same CPUs, and they take turns of
// some milliseconds. A shared machine changes its speed from one second to the next, but
// hardly within a round of turns. So what counts is the ratio of two turns of one round,
// and the median of these ratios. The FMA loop of our own tier has a turn in each round
// too: it gives the share of the machine's peak that everyone reaches.
//
// For products the peers are oneDNN, OpenBLAS, BLIS and PyTorch in fp32, from Debian;
// gonum, in Go, in fp32; and ONNX Runtime in fp16 and fp32, from npm. Ours are fp16 and
// fp32. All matrices are dense and row-major, and the corners of each product are checked.
//
// A library picks code for the processor that it believes it runs on. Where that code
// does not use the machine's vectors, the library's settings are tried in a short race
// and the fastest is used.
//
// For training steps the peer is PyTorch in fp32 and with autocast to bf16, by autograd
// and torch.optim. Everyone starts from the same parameters and the same images in the
// same order, and the first steps must have the same outcome. A step is everything from
// choosing a batch to the update; PyTorch's images are converted before, ours in the step.
//
// The report has every sample. A peer's benchmarks have its name as their kernel, next to
// ours that took turns with it. Shapes and steps are those of 'halfgrad bench'.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

type cli struct {
	Report      reportCmd      `cmd:"" default:"withargs" help:"Measure, and write a report."`
	Worker      workerCmd      `cmd:"" hidden:"" help:"Multiply for the comparison."`
	GonumWorker gonumWorkerCmd `cmd:"" hidden:"" help:"Multiply with gonum for the comparison."`
	TrainWorker trainWorkerCmd `cmd:"" hidden:"" help:"Train for the comparison."`
}

type workerCmd struct {
	Threads int    `required:""`
	Kernel  string `required:""`
	DType   string `name:"dtype" required:""`
}

type gonumWorkerCmd struct{}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("peers"), kong.Description("Compare with other libraries, on the same cores, in one run."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	k.FatalIfErrorf(k.Run())
}

func (c *workerCmd) Run() error {
	e, err := kernels.New(kernels.Config{Kernel: c.Kernel, Threads: c.Threads})
	if err != nil {
		return err
	}
	dtype, err := tensor.ParseDType(c.DType)
	if err != nil {
		return err
	}
	id := identity{name: "halfgrad", core: e.KernelName(dtype), detail: c.DType}
	return serve(os.Stdin, os.Stdout, id, multiplier(halfgrad(e, dtype)))
}

func (c *gonumWorkerCmd) Run() error {
	core := "generic"
	if runtime.GOARCH == "amd64" {
		core = "SSE"
	}
	id := identity{name: "gonum", version: gonumVersion(), core: core, detail: "blas32.Gemm"}
	return serve(os.Stdin, os.Stdout, id, multiplier(gonumBLAS()))
}

// ourWorker starts a worker of ours.
func ourWorker(at place, dtype, kernel string, threads int, cpus []int) (*worker, error) {
	cmd := exec.Command(at.self, "worker", "--threads", strconv.Itoa(threads), "--kernel", kernel, "--dtype", dtype)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(threads))
	return start("halfgrad", cmd, cpus[:threads], timeout)
}

// timeout is how long a worker may take to answer.
const timeout = 2 * time.Minute

// pins returns the given CPUs or, if there are none, all that this process may run
// on. The error says that there are fewer than threads.
func pins(cpus []int, threads int) ([]int, error) {
	if len(cpus) == 0 {
		var err error
		if cpus, err = available(); err != nil {
			return nil, err
		}
	}
	if len(cpus) < threads {
		return nil, fmt.Errorf("peers: %d threads, but only the CPUs %v: want a CPU for each", threads, cpus)
	}
	return cpus, nil
}
