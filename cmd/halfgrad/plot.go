package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/halfgrad/halfgrad/cmd/halfgrad/internal/figure"
	"github.com/halfgrad/halfgrad/internal/files"
)

type plotCmd struct {
	Runs []string `arg:"" name:"run" help:"Metrics files: what halfgrad train --metrics wrote." placeholder:"RUN.jsonl"`
	Out  string   `required:"" help:"The figure to write, as PNG, SVG or PDF by the name's ending." placeholder:"FILE"`
	X    string   `name:"x" default:"epoch" enum:"epoch,step" help:"What the runs are drawn over: epoch or step."`
}

// Help is what --help tells besides the flags.
func (*plotCmd) Help() string {
	return `Draws the course of training runs: loss, accuracy, loss scale, skipped steps,
learning rate, speed, and whatever else their files tell. Several runs are drawn over
each other. The file of a run under way will do.`
}

func (c *plotCmd) Run(ctx context.Context, e *env) error {
	if err := figure.CheckPath(c.Out); err != nil {
		return usagef("--out %w", err)
	}
	var inputs []namedPath
	for _, path := range c.Runs {
		inputs = append(inputs, namedPath{"a run", path})
	}
	if err := checkFiles([]namedPath{{"--out", c.Out}}, inputs...); err != nil {
		return err
	}
	axis := figure.Epochs
	if c.X == figure.Steps.String() {
		axis = figure.Steps
	}
	var runs []*figure.Run
	for _, path := range c.Runs {
		r, err := readRun(ctx, path)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return usageError{err}
		}
		runs = append(runs, r)
	}
	f, err := figure.Runs(runs, axis)
	if err != nil {
		return usageError{err}
	}
	if err := saveFigure(f, "--out", c.Out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "wrote %s\n", c.Out)
	return err
}

// readRun reads a metrics file. A pipe of the shell's, as of <(zcat run.jsonl.gz), may
// be read, too; a device is an error, because reading one may never end.
func readRun(ctx context.Context, path string) (*figure.Run, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() && mode&fs.ModeNamedPipe == 0 {
		return nil, &files.KindError{Path: path, Mode: mode}
	}
	type result struct {
		run *figure.Run
		err error
	}
	done := make(chan result, 1)
	go func() { // opening and reading a pipe wait for its other end
		f, err := os.Open(path)
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer f.Close()
		run, err := figure.ReadRun(path, f)
		done <- result{run, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		return r.run, r.err
	}
}

// saveFigure writes a figure to the path that a flag gave.
func saveFigure(f *figure.Figure, flag, path string) error {
	err := f.Save(path)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", flag, err)
	if errors.Is(err, fs.ErrNotExist) { // the folder
		return usageError{err}
	}
	return err
}
