//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func namedPipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	return path
}

// Metrics that no process reads would stop the run as soon as the pipe is full.
func TestMetricsPipe(t *testing.T) {
	args, out := trainArgs(t, smallData(t))
	pipe := namedPipe(t)
	args = append(args, "--metrics", pipe)
	checkUsageError(t, command(t, args...), "--metrics "+pipe+": no process reads this pipe")
	if entries, _ := os.ReadDir(out); len(entries) != 0 {
		t.Errorf("%s has %v", out, entries)
	}

	events := make(chan []byte)
	go func() {
		f, err := os.Open(pipe)
		if err != nil {
			t.Error(err)
		}
		text, err := io.ReadAll(f)
		if err != nil {
			t.Error(err)
		}
		events <- text
	}()
	for r := command(t, args...); r.code != exitOK; r = command(t, args...) {
		if !strings.Contains(r.stderr, "no process reads this pipe") { // not yet
			t.Fatal(r.stderr)
		}
	}
	if text := <-events; !bytes.HasPrefix(text, []byte(`{"event":"start"`)) || !bytes.Contains(text, []byte(`{"event":"done"`)) {
		t.Errorf("the events are %q", text)
	}
}

// Ctrl-C ends a plot that waits for the other end of a pipe.
func TestPlotPipe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := readRun(ctx, namedPipe(t)); err != context.Canceled {
		t.Errorf("the error is %v", err)
	}
}

// On a terminal, the command that continues an interrupted run is on a line of its own,
// however narrow the terminal is, so that it can be pasted.
func TestInterruptedOnTerminal(t *testing.T) {
	const next = "halfgrad train --resume --out 'a folder of a long name' --data /a/folder/of/an/even/longer/name"
	var stderr bytes.Buffer
	e := &env{stderr: &stderr, terminal: true, columns: func() int { return 40 }}
	err := &interruptedError{cause: context.Canceled, text: "interrupted after 1 epochs and 2 batches; saved x, go on with:", command: next}
	if code := fail(e, err); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	if !strings.HasSuffix(stderr.String(), "\n"+next+"\n") {
		t.Errorf("it says %q", stderr.String())
	}
}
