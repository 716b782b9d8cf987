package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/tensor"
)

type benchCmd struct {
	Suite   benchSuiteCmd   `cmd:"" default:"withargs" help:"Measure all there is, for a report (what 'halfgrad bench' does)."`
	Gemm    benchGemmCmd    `cmd:"" help:"Measure matrix products against the FMA peak."`
	Train   benchTrainCmd   `cmd:"" help:"Measure training steps, and where their time goes."`
	Compare benchCompareCmd `cmd:"" help:"Put reports side by side: machines, commits, kernels."`
	Export  benchExportCmd  `cmd:"" help:"Print a report in Go's benchmark format, for benchstat."`
}

// Help is what --help tells besides the flags.
func (*benchCmd) Help() string {
	return `Without a command it is 'halfgrad bench suite', with all of its flags, such as --quick.`
}

type benchGemmCmd struct {
	Shape   []string `default:"128x256x784,128x10x256,784x256x128,128x784x256,64x128x784,256x256x256,512x512x512,1024x1024x1024,2048x2048x2048,512x3072x768,1x1024x1024" help:"Shapes as MxNxK, separated by commas." placeholder:"MxNxK"`
	Kernel  string   `default:"auto" help:"Kernel tier: auto, or one that 'halfgrad info' lists." placeholder:"TIER"`
	Threads int      `help:"Threads; without it, all cores." placeholder:"N"`
	DType   string   `name:"dtype" default:"fp16" enum:"fp16,fp32" help:"Element type: fp16 or fp32."`
	JSON    bool     `help:"Print a line of JSON for each shape."`
}

func (c *benchGemmCmd) Run(ctx context.Context, e *env) error {
	var shapes []bench.Shape
	for _, s := range c.Shape {
		shape, err := bench.ParseShape(s)
		if err != nil {
			return usageError{err}
		}
		shapes = append(shapes, shape)
	}
	engine, err := newEngine(c.Kernel, c.Threads)
	if err != nil {
		return err
	}
	dtype, err := tensor.ParseDType(c.DType)
	if err != nil {
		return usageError{err}
	}
	for _, s := range shapes {
		elements := float64(s.M)*float64(s.K) + float64(s.K)*float64(s.N) + float64(s.M)*float64(s.N)
		if err := checkMemory(fmt.Sprintf("--shape %v", s), elements*float64(dtype.Size())); err != nil {
			return err
		}
	}
	if !c.JSON {
		fmt.Fprintf(e.stdout, "%s, %d threads; GFLOPS of the best repetition, and its share of the FMA peak\n", engine.KernelName(dtype), engine.Threads())
	}
	w := tabwriter.NewWriter(e.stdout, 16, 0, 2, ' ', tabwriter.AlignRight)
	for _, shape := range shapes {
		r, err := bench.Gemm(ctx, engine, shape, dtype)
		if err != nil {
			return err
		}
		if c.JSON {
			if err := json.NewEncoder(e.stdout).Encode(r); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "%v\t%.1f GFLOPS\t%.1f %% of %.1f\tmedian %.1f %%\t\n", shape, r.GFLOPS, 100*r.PeakRatio, r.FMAPeakGFLOPS, 100*r.PeakRatioMedian)
		if err := w.Flush(); err != nil { // a row as soon as it is measured
			return err
		}
	}
	return nil
}

type benchTrainCmd struct {
	Model     string `default:"784-256-10" help:"Widths of a fully connected network's layers, the input's and the output's included." placeholder:"WIDTHS"`
	Batch     int    `default:"128" help:"Images in a step." placeholder:"N"`
	Images    int    `default:"60000" help:"About how many images to choose from." placeholder:"N"`
	Optimizer string `default:"sgd" enum:"sgd,adam,adamw" help:"Optimizer: sgd (with momentum), adam or adamw."`
	Precision string `default:"fp16" enum:"fp16,fp32" help:"Precision policy: fp16, with dynamic loss scaling, or fp32."`
	Kernel    string `default:"auto" help:"Kernel tier: auto, or one that 'halfgrad info' lists." placeholder:"TIER"`
	Threads   int    `help:"Threads; without it, all cores." placeholder:"N"`
	Profile   bool   `help:"Tell what each phase of the step takes."`
	JSON      bool   `help:"Print a line of JSON."`
}

// Help is what --help tells besides the flags.
func (*benchTrainCmd) Help() string {
	return `Trains on images of random pixels for some seconds. The time of a step is the median,
from the choice of a batch to the updated weights. The share of the FMA peak counts
the arithmetic of the products alone.`
}

func (c *benchTrainCmd) Run(ctx context.Context, e *env) error {
	widths, err := parseWidths("--model", c.Model, "-")
	if err != nil {
		return usageError{err}
	}
	if len(widths) < 2 {
		return usagef("--model %s: want two widths or more, such as 784-256-10", c.Model)
	}
	if c.Batch < 1 || c.Batch > maxBatch {
		return usagef("--batch %d: want 1 to %d", c.Batch, maxBatch)
	}
	if c.Images < 1 || c.Images > 1<<24 {
		return usagef("--images %d: want 1 to %d", c.Images, 1<<24)
	}
	of := settings{Widths: widths, Batch: c.Batch, Optimizer: c.Optimizer, Precision: c.Precision, Momentum: 0.9, Accumulate: 1}
	bytes, err := of.trainingMemory()
	if err != nil {
		return usageError{err}
	}
	if err := checkMemory(fmt.Sprintf("--model %s, --batch %d and --images %d", c.Model, c.Batch, c.Images), bytes+float64(max(c.Images, c.Batch))*float64(widths[0])); err != nil {
		return err
	}
	engine, err := newEngine(c.Kernel, c.Threads)
	if err != nil {
		return err
	}
	dtype, err := tensor.ParseDType(c.Precision)
	if err != nil {
		return usageError{err}
	}
	r, err := bench.Train(ctx, engine, bench.TrainConfig{Widths: widths, Batch: c.Batch, Images: c.Images, Optimizer: c.Optimizer, Precision: dtype}, c.Profile)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(r)
	}
	fmt.Fprintf(e.stdout, "%s in %s, batch %d, %s, on %s with %d threads: median of %d steps\n", r.Model, r.Precision, r.Batch, r.Optimizer, r.Kernel, r.Threads, r.Steps)
	fmt.Fprintf(e.stdout, "%.1f µs a step (best %.1f), %.0f images/s, %g allocations a step\n", r.StepNS/1e3, r.BestStepNS/1e3, r.ImagesPerSec, r.AllocsPerStep)
	fmt.Fprintf(e.stdout, "%.1f GFLOPS of products in the best step, %.1f %% of %.1f; median %.1f %%\n", r.GFLOPS, 100*r.PeakRatio, r.FMAPeakGFLOPS, 100*r.PeakRatioMedian)
	const mib = 1 << 20
	fmt.Fprintf(e.stdout, "%.1f MiB of activations and their gradients, %.1f MiB of gradients of weights; at most %.1f MiB in use by the process\n",
		float64(r.ActivationBytes)/mib, float64(r.GradientBytes)/mib, float64(r.PeakResidentBytes)/mib)
	if !c.Profile {
		return nil
	}
	sum := 0.0
	for _, phase := range r.Phases {
		sum += phase.NS
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, phase := range r.Phases {
		fmt.Fprintf(w, "%.1f µs\t%.1f %%\t  %s\n", phase.NS/1e3, 100*phase.NS/sum, phase.Name)
	}
	fmt.Fprintf(w, "%.1f µs\t100 %%\t  the mean of the faster half\n", sum/1e3)
	return w.Flush()
}
