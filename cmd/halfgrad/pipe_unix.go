//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openPipe opens path for the events of a run if it is a pipe, and returns nil if it is
// anything else. It is an error if no process reads the pipe: once the pipe is full, the
// run would wait without end.
func openPipe(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return nil, nil // openMetrics tells what is wrong with it
	}
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) {
		return nil, usagef("--metrics %s: no process reads this pipe", path)
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("--metrics: %w", err)}
	}
	return f, nil
}
