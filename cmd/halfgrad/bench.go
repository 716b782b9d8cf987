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
	Gemm benchGemmCmd `cmd:"" help:"Measure matrix products against the FMA peak."`
}

type benchGemmCmd struct {
	Shape   []string `default:"128x256x784,128x10x256,784x256x128,128x784x256,64x128x784,256x256x256,512x512x512,1024x1024x1024,2048x2048x2048,512x3072x768,1x1024x1024" help:"Shapes as MxNxK, separated by commas." placeholder:"MxNxK"`
	Kernel  string   `default:"auto" help:"Kernel tier: auto, or one that 'halfgrad info' lists." placeholder:"TIER"`
	Threads int      `help:"Threads; without it, all cores." placeholder:"N"`
	DType   string   `name:"dtype" default:"fp16" enum:"fp16,fp32" help:"Element type: fp16 or fp32."`
	JSON    bool     `help:"Print a line of JSON a shape."`
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
