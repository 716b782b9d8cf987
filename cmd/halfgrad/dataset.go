package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/halfgrad/halfgrad/data"
)

// dataFlags are the flags of the commands that need images.
type dataFlags struct {
	Data string `help:"Folder with a data set in MNIST's form: four IDX files by MNIST's names, gzipped or not. Without it, MNIST from the cache, or fetched." placeholder:"DIR"`
}

// load returns the images, and shows on stderr if they have to be fetched.
func (f dataFlags) load(ctx context.Context, e *env) (*data.MNIST, error) {
	fetch := fetchProgress{env: e}
	mnist, err := data.LoadMNIST(ctx, data.Source{Dir: f.Data, Progress: fetch.report})
	fetch.finish()
	var format *data.FormatError
	if errors.As(err, &format) || f.Data != "" && errors.Is(err, fs.ErrNotExist) {
		return nil, usageError{err}
	}
	return mnist, err
}

// fetchProgress shows a fetch: a bar for each file on a terminal, else a line
// for each place and each file.
type fetchProgress struct {
	env  *env
	last data.Progress
	line *progressLine
}

func (f *fetchProgress) report(p data.Progress) {
	if p.Stage != f.last.Stage || p.File != f.last.File {
		f.finish()
		what := "MNIST"
		if p.File != "" {
			what = p.File
		}
		if f.env.terminal && p.Done < p.Total && p.Done > 0 {
			f.line = &progressLine{env: f.env, what: what, total: p.Total}
		} else {
			f.env.tell(fmt.Sprintf("%s: %s", what, p.Stage))
		}
	}
	if f.line != nil {
		f.line.show(p.Done, fmt.Sprintf("%.1f of %.1f MB", float64(p.Done)/1e6, float64(p.Total)/1e6))
	}
	f.last = p
}

// finish removes the bar, if there is one.
func (f *fetchProgress) finish() {
	if f.line != nil {
		f.line.clear()
		f.line = nil
	}
}
