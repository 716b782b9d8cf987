package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/halfgrad/halfgrad/cmd/halfgrad/internal/runfolder"
)

// namedPath is a path that a flag gave.
type namedPath struct{ flag, path string }

// checkDistinct returns an error if two of the paths that were given are one file.
func checkDistinct(paths ...namedPath) error {
	for i, a := range paths {
		for _, b := range paths[:i] {
			if a.path != "" && b.path != "" && samePath(a.path, b.path) {
				return usagef("%s and %s are both %s: want different files", b.flag, a.flag, a.path)
			}
		}
	}
	return nil
}

// samePath reports whether two paths lead to the same file, be it there or not.
func samePath(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(infoA, infoB)
	}
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// checkOutputs returns an error if what a run writes would go into one file, or over a
// file that is something else, or if its metrics cannot be written. It leaves what is
// there as it is, but makes an empty file for metrics where there is none.
func (c *trainCmd) checkOutputs() error {
	out := func(name string) namedPath { return namedPath{"--out", filepath.Join(c.Out, name)} }
	if err := checkDistinct(namedPath{"--metrics", c.Metrics}, namedPath{"--tensorboard", c.Tensorboard}); err != nil {
		return err
	}
	inputs := []namedPath{out(checkpointName), out(bestName), out(configName), {"--config", string(c.Config)}}
	if c.Init != "" {
		inputs = append(inputs, namedPath{"--init", checkpointPath(c.Init)})
	}
	if name := filepath.Base(c.Metrics); runfolder.Reserved(name) {
		inputs = append(inputs, out(name))
	}
	for _, of := range inputs {
		if err := checkDistinct(of, namedPath{"--metrics", c.Metrics}); err != nil {
			return err
		}
	}
	if c.Metrics == "" {
		return nil
	}
	info, err := os.Stat(c.Metrics)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // a device or a pipe
	}
	f, err := os.OpenFile(c.Metrics, os.O_RDWR|os.O_CREATE, 0o644)
	if errors.Is(err, fs.ErrPermission) { // which may do for writing
		f, err = os.OpenFile(c.Metrics, os.O_WRONLY|os.O_CREATE, 0o644)
	}
	if err != nil {
		return usageError{fmt.Errorf("--metrics: %w", err)}
	}
	defer f.Close()
	const begin = `{"event":`
	head := make([]byte, len(begin))
	n, _ := io.ReadFull(f, head)
	if n > 0 && !c.Resume && !bytes.HasPrefix([]byte(begin), head[:n]) {
		return usagef("--metrics %s: the file there is no metrics of a run: want another name", c.Metrics)
	}
	return nil
}
