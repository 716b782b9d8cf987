// Command peers compares this project's matrix products, and its training steps, with
// those of the best other libraries, on the same cores, in one run.
//
//	go run ./bench/peers gemm
//	go run ./bench/peers train
//	go run ./bench/peers report --out FILE.json
//
// Each library is a process of its own, pinned to the same CPUs, and they take
// turns of some milliseconds. A machine that is shared is not equally fast from
// one second to the next, but it hardly changes within a round of turns: so it
// is the ratio of two turns of one round that counts, and the median of these
// over all rounds. The FMA loop of our own tier has a turn too, and tells what
// share of the machine's peak everyone reaches.
//
// For products the peers are oneDNN, OpenBLAS, BLIS and PyTorch with fp32 operands, from
// Debian, gonum, in Go, with fp32 as well, and ONNX Runtime with fp16 or fp32, from npm.
// Ours are fp16, C included, unless --c says otherwise. All are dense and row-major, and
// all compute the same product, the corners of which are checked. With up to eight rows,
// where weights are what takes time, there is a second comparison in which B may be kept
// packed.
//
// A library chooses code for the processor, or for one that it takes it for. Where
// that has no use for the machine's vectors, its settings are tried in a short race,
// and the fastest counts.
//
// For training steps the peer is PyTorch, from Debian or any other, in fp32 and with
// autocast to bf16, by autograd and torch.optim. All begin with the same parameters and
// images, in the same order, and what their first steps lead to must agree. A step is
// all that there is: choosing a batch, forward, backward, and the update. PyTorch's
// images are converted before, ours in the step. Everyone has a worker for each number
// of threads, so that there is a comparison with each, and one of the best of each.
//
// The report is one of package report, with every sample: those of peers have their names
// for a kernel, and ours that took turns with them are beside them. It has the shapes
// and steps of 'halfgrad bench', whose own report it can be added to.
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
	"runtime"
	"slices"
	"strconv"
	"strings"
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
	Report      reportCmd      `cmd:"" help:"Measure all, for a report."`
	Worker      workerCmd      `cmd:"" hidden:"" help:"Multiply for the comparison."`
	GonumWorker gonumWorkerCmd `cmd:"" hidden:"" help:"Multiply with gonum for the comparison."`
	TrainWorker trainWorkerCmd `cmd:"" hidden:"" help:"Train for the comparison."`
}

type gemmCmd struct {
	Shape   []string `default:"128x256x784,128x10x256,784x256x128,128x784x256,64x128x784,256x256x256,512x512x512,1024x1024x1024,2048x2048x2048,512x3072x768,1x1024x1024" help:"Shapes as MxNxK, separated by commas." placeholder:"MxNxK"`
	Threads int      `default:"1" help:"Threads of each library." placeholder:"N"`
	CPU     []int    `name:"cpu" help:"CPUs to pin to; without it, the first as many as there are threads." placeholder:"N"`
	Rounds  int      `default:"15" help:"Rounds of turns." placeholder:"N"`
	Kernel  string   `default:"auto" help:"Our kernel tier." placeholder:"TIER"`
	C       string   `name:"c" default:"fp16" enum:"fp16,fp32" help:"Type of our C: fp16 or fp32."`
	Peers   []string `default:"onednn,openblas,blis,pytorch,onnxruntime,onnxruntime-fp32,gonum" help:"Peers, separated by commas." placeholder:"NAME"`
	Python  []string `default:"python3,/usr/bin/python3" help:"Where to look for PyTorch, in this order." placeholder:"PROGRAM"`
	JSON    bool     `help:"Print a line of JSON a shape."`
}

type workerCmd struct {
	Threads int    `required:""`
	Kernel  string `required:""`
	DType   string `name:"dtype" required:""`
	C       string `name:"c" required:""`
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
	result, err := tensor.ParseDType(c.C)
	if err != nil {
		return err
	}
	id := identity{name: "halfgrad", core: e.KernelName(dtype), detail: c.DType}
	return serve(os.Stdin, os.Stdout, id, multiplier(halfgrad(e, dtype, result)))
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
func ourWorker(at place, dtype, c, kernel string, threads int, cpus []int) (*worker, error) {
	cmd := exec.Command(at.self, "worker", "--threads", strconv.Itoa(threads), "--kernel", kernel, "--dtype", dtype, "--c", c)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(threads))
	return start("halfgrad", cmd, cpus[:threads], timeout)
}

// contestant finds a peer by the name that it has in --peers of gemm: its kernel and, if
// it is not the first, the type of operands.
func contestant(name string) (p peer, dtype string, err error) {
	kernel, dtype, found := strings.Cut(name, "-")
	if p, err = findPeer(kernel); err != nil {
		return peer{}, "", err
	}
	if !found {
		dtype = p.dtypes[0]
	}
	if !slices.Contains(p.dtypes, dtype) {
		return peer{}, "", fmt.Errorf("peers: %q: %s multiplies %v here", name, kernel, p.dtypes)
	}
	return p, dtype, nil
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
	for _, name := range c.Peers {
		if _, _, err := contestant(name); err != nil {
			return err
		}
	}
	cpus, err := pins(c.CPU, c.Threads)
	if err != nil {
		return err
	}
	cpus = cpus[:c.Threads]
	at, err := newPlace(c.Python)
	if err != nil {
		return err
	}
	choices := map[string]choice{} // by kernel

	for _, kept := range []bool{false, true} {
		shapes := slices.DeleteFunc(slices.Clone(shapes), func(s bench.Shape) bool { return kept && s.M > 8 })
		if len(shapes) == 0 {
			continue
		}
		us, err := ourWorker(at, "fp16", c.C, c.Kernel, c.Threads, cpus)
		if err != nil {
			return err
		}
		defer us.stop()
		var peers []*worker
		for _, name := range c.Peers {
			w, err := c.peer(ctx, name, at, kept, cpus, choices)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "left out:", err)
				continue
			}
			defer w.stop()
			peers = append(peers, w)
		}
		if len(peers) == 0 {
			return errors.New("peers: none of the peers is there")
		}
		t := tournament{us: us, peers: peers, threads: c.Threads, rounds: c.Rounds, turn: turn, kept: kept}
		if err := c.compare(ctx, t, shapes, cpus, os.Stdout); err != nil {
			return err
		}
	}
	return nil
}

// peer starts the worker of a peer. choices are those that were made before.
func (c *gemmCmd) peer(ctx context.Context, name string, at place, kept bool, cpus []int, choices map[string]choice) (*worker, error) {
	p, dtype, err := contestant(name)
	if err != nil {
		return nil, err
	}
	chosen, made := choices[p.kernel]
	if !made {
		if chosen, err = p.choose(ctx, at, cpus); err != nil {
			return nil, err
		}
		choices[p.kernel] = chosen
		if chosen.note != "" {
			fmt.Fprintf(os.Stderr, "%s: %s\n", p.kernel, chosen.note)
		}
	}
	w, err := p.worker(at, running{dtype, c.Threads, kept, chosen.settings}, cpus)
	if err == nil {
		w.name = name
	}
	return w, err
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
			fmt.Fprintf(out, "%-16s %v\n", worker.name, worker.about)
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
