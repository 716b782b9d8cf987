// Command peers compares this project's matrix products, and its training steps, with
// those of the best other libraries, on the same cores, in one run.
//
//	go run ./bench/peers gemm
//	go run ./bench/peers train
//
// Each library is a process of its own, pinned to the same CPUs, and they take
// turns of some milliseconds. A machine that is shared is not equally fast from
// one second to the next, but it hardly changes within a round of turns: so it
// is the ratio of two turns of one round that counts, and the median of these
// over all rounds. The FMA loop of our own tier has a turn too, and tells what
// share of the machine's peak everyone reaches.
//
// For products the peers are oneDNN and OpenBLAS with fp32 operands, from Debian, and
// ONNX Runtime with fp16 operands, from npm. Ours are fp16, C included, unless --c says
// otherwise. All are dense and row-major, and all compute the same product, the
// corners of which are checked. With up to eight rows, where weights are what
// takes time, there is a second comparison in which B may be kept packed.
//
// For training steps the peer is PyTorch, from Debian or any other, in fp32 and with
// autocast to bf16, by autograd and torch.optim. All begin with the same parameters and
// images, in the same order, and what their first steps lead to must agree. A step is
// all that there is: choosing a batch, forward, backward, and the update. PyTorch's
// images are converted before, ours in the step. Everyone has a worker for each number
// of threads, so that there is a comparison with each, and one of the best of each.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

type cli struct {
	Gemm        gemmCmd        `cmd:"" help:"Compare matrix products."`
	Train       trainCmd       `cmd:"" help:"Compare training steps."`
	Worker      workerCmd      `cmd:"" hidden:"" help:"Multiply for the comparison."`
	TrainWorker trainWorkerCmd `cmd:"" hidden:"" help:"Train for the comparison."`
}

type gemmCmd struct {
	Shape   []string `default:"128x256x784,128x10x256,784x256x128,128x784x256,64x128x784,256x256x256,512x512x512,1024x1024x1024,2048x2048x2048,512x3072x768,1x1024x1024" help:"Shapes as MxNxK, separated by commas." placeholder:"MxNxK"`
	Threads int      `default:"1" help:"Threads of each library." placeholder:"N"`
	CPU     []int    `name:"cpu" help:"CPUs to pin to; without it, the first as many as there are threads." placeholder:"N"`
	Rounds  int      `default:"15" help:"Rounds of turns." placeholder:"N"`
	Kernel  string   `default:"auto" help:"Our kernel tier." placeholder:"TIER"`
	C       string   `name:"c" default:"fp16" enum:"fp16,fp32" help:"Type of our C: fp16 or fp32."`
	Peers   []string `default:"onednn,openblas,onnxruntime" help:"Peers, separated by commas." placeholder:"NAME"`
	JSON    bool     `help:"Print a line of JSON a shape."`
}

type workerCmd struct {
	Threads int    `required:""`
	Kernel  string `required:""`
	C       string `name:"c" required:""`
}

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
	dtype, err := tensor.ParseDType(c.C)
	if err != nil {
		return err
	}
	return serve(os.Stdin, os.Stdout, e.KernelName(tensor.F16), multiplier(e, dtype))
}

// timeout is how long a worker may take to answer.
const timeout = 2 * time.Minute

func (c *gemmCmd) Run(ctx context.Context) error {
	var shapes []bench.Shape
	for _, s := range c.Shape {
		shape, err := bench.ParseShape(s)
		if err != nil {
			return err
		}
		shapes = append(shapes, shape)
	}
	if c.Threads < 1 || c.Rounds < 1 {
		return fmt.Errorf("peers: %d threads and %d rounds: want at least one of each", c.Threads, c.Rounds)
	}
	cpus, err := pins(c.CPU, c.Threads)
	if err != nil {
		return err
	}
	cpus = cpus[:c.Threads]
	folder, err := cacheFolder()
	if err != nil {
		return err
	}
	if err := unpack(folder); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}

	for _, kept := range []bool{false, true} {
		shapes := slices.DeleteFunc(slices.Clone(shapes), func(s bench.Shape) bool { return kept && s.M > 8 })
		if len(shapes) == 0 {
			continue
		}
		ours := exec.Command(self, "worker", "--threads", strconv.Itoa(c.Threads), "--kernel", c.Kernel, "--c", c.C)
		ours.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(c.Threads))
		us, err := start("halfgrad", ours, cpus, timeout)
		if err != nil {
			return err
		}
		defer us.stop()
		var peers []*worker
		for _, name := range c.Peers {
			cmd, err := command(name, folder, c.Threads, kept)
			if err == nil {
				var peer *worker
				if peer, err = start(name, cmd, cpus, timeout); err == nil {
					defer peer.stop()
					peers = append(peers, peer)
					continue
				}
			}
			fmt.Fprintln(os.Stderr, "left out:", err)
		}
		if len(peers) == 0 {
			return errors.New("peers: none of the peers is there")
		}
		t := tournament{us: us, peers: peers, threads: c.Threads, rounds: c.Rounds, kept: kept}
		if err := c.compare(ctx, t, shapes, cpus, os.Stdout); err != nil {
			return err
		}
	}
	return nil
}

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

// compare prints a row a shape as soon as it is there, and what they have in
// common.
func (c *gemmCmd) compare(ctx context.Context, t tournament, shapes []bench.Shape, cpus []int, out io.Writer) error {
	w := tabwriter.NewWriter(out, 12, 0, 2, ' ', tabwriter.AlignRight)
	if !c.JSON {
		for _, worker := range append([]*worker{t.us}, t.peers...) {
			fmt.Fprintf(out, "%-12s %s\n", worker.name, worker.about)
		}
		fmt.Fprintf(out, "%d threads on the CPUs %v, %d rounds, C in %s, weights kept: %v\n", t.threads, cpus, t.rounds, c.C, t.kept)
		fmt.Fprintln(out, "GFLOPS of the median turn (and its share of the FMA peak, of the best turn); ×: a peer's time over ours")
		fmt.Fprint(w, "MxNxK\thalfgrad\t(median, best)\t")
		for _, peer := range t.peers {
			fmt.Fprintf(w, "%s\t(share)\t×\t", peer.name)
		}
		fmt.Fprint(w, "the best ×\t\n")
	}
	var best []float64
	for _, shape := range shapes {
		r, err := t.play(ctx, shape)
		if err != nil {
			return err
		}
		best = append(best, r.BestRatio)
		if c.JSON {
			if err := json.NewEncoder(out).Encode(r); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "%v\t%.1f\t(%.2f, %.2f)\t", shape, r.GFLOPS, r.PeakRatioMedian, r.PeakRatio)
		for _, p := range r.Peers {
			fmt.Fprintf(w, "%.1f\t(%.2f)\t%.2f\t", p.GFLOPS, p.PeakRatioMedian, p.Ratio)
		}
		fmt.Fprintf(w, "%.2f\t\n", r.BestRatio)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if !c.JSON {
		fmt.Fprintf(out, "median over the shapes of the ratio to the best peer: %.2f\n\n", bench.Median(best))
	}
	return nil
}
