package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/kernels"
)

// survey kills runs of one kind.
type survey struct {
	ctx    context.Context
	dir    string
	binary string
	flags  []string // of halfgrad train
	log    io.Writer
}

// result is what came of it.
type result struct {
	hash     string
	runs     int   // that came to their end
	early    int   // kills before there was a checkpoint
	idle     int   // kills that found the checkpoint as the last one had
	repeated int64 // steps that were done again
}

// build compiles the command.
func (s *survey) build() error {
	s.binary = filepath.Join(s.dir, "halfgrad.exe")
	cmd := exec.CommandContext(s.ctx, "go", "build", "-o", s.binary, "github.com/halfgrad/halfgrad/cmd/halfgrad")
	cmd.Stderr = s.log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("crash: go build: %w", err)
	}
	return nil
}

// train returns a run in the folder out, on the n-th choice of threads and tier.
func (s *survey) train(out string, n int, flags ...string) *exec.Cmd {
	tiers := kernels.Supported()
	args := append([]string{"train", "--out", out, "--metrics", filepath.Join(out, "metrics.jsonl"), "--checkpoint-every", "20", "--keep", "2", "--log-every", "1",
		"--threads", strconv.Itoa(n%3 + 1), "--kernel", tiers[n%max(len(tiers)-1, 1)]}, flags...) // not generic, the last, which is slow
	return exec.CommandContext(s.ctx, s.binary, append(args, s.flags...)...)
}

// run kills so many times.
func (s *survey) run(kills int, seed uint64) (r result, err error) {
	whole := filepath.Join(s.dir, "whole")
	if err := os.Mkdir(whole, 0o755); err != nil {
		return r, err
	}
	start := time.Now()
	if out, err := s.train(whole, 1).CombinedOutput(); err != nil {
		return r, fmt.Errorf("crash: the run that nobody kills: %w\n%s", err, out)
	}
	took := time.Since(start)
	want, err := events(filepath.Join(whole, "metrics.jsonl"))
	if err != nil {
		return r, err
	}
	r.hash = want[len(want)-1].text("weights_sha256")
	fmt.Fprintf(s.log, "crash: a run takes %.1f s, weights sha256 %.12s…\n", took.Seconds(), r.hash)

	// Three kills of four come when the run is under way, every sixteenth of one on
	// average, the others from when the program begins.
	rng := rand.New(rand.NewPCG(seed, 0))
	out, done := "", 0
	for n := 1; ; n++ {
		if out == "" {
			out = filepath.Join(s.dir, "run"+strconv.Itoa(r.runs))
			if err := os.Mkdir(out, 0o755); err != nil {
				return r, err
			}
		}
		before, err := progress(out)
		if err != nil {
			return r, err
		}
		var flags []string
		if before >= 0 {
			flags = []string{"--resume"}
		}
		output := &output{kill: func() {}}
		cmd := s.train(out, n, flags...)
		cmd.Stdout, cmd.Stderr = output, output
		delay, asItBegins := time.Duration(rng.Float64()*float64(took)/8), rng.IntN(4) == 0
		if done < kills {
			output.kill = sync.OnceFunc(func() { time.AfterFunc(delay, func() { cmd.Process.Kill() }) })
		}
		if err := cmd.Start(); err != nil {
			return r, err
		}
		if asItBegins {
			output.kill()
		}
		err = cmd.Wait()
		if s.ctx.Err() != nil {
			return r, s.ctx.Err()
		}
		if err == nil {
			if err := s.compare(out, want); err != nil {
				return r, err
			}
			r.runs++
			if err := os.RemoveAll(out); err != nil {
				return r, err
			}
			if out = ""; done >= kills {
				return r, nil
			}
			continue
		}
		if cmd.ProcessState.ExitCode() != -1 { // which is that of a signal, and 1 on Windows
			return r, fmt.Errorf("crash: halfgrad train %s: %w\n%s", strings.Join(flags, " "), err, output.text.String())
		}
		done++
		after, err := progress(out)
		switch {
		case err != nil:
			return r, fmt.Errorf("crash: kill %d: %w", done, err)
		case after < before:
			return r, fmt.Errorf("crash: kill %d: the checkpoint was of step %d and is of step %d", done, before, after)
		case after < 0:
			r.early++
		case after == before:
			r.idle++
		}
		lost, err := lastStep(filepath.Join(out, "metrics.jsonl"))
		if err != nil {
			return r, fmt.Errorf("crash: kill %d: %w", done, err)
		}
		r.repeated += max(lost-max(after, 0), 0)
		fmt.Fprintf(s.log, "crash: kill %d of %d, the checkpoint is of step %d\n", done, kills, after)
	}
}

// output takes what a run prints, and has it killed some time after it says that it
// trains.
type output struct {
	text bytes.Buffer
	kill func()
}

func (o *output) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("training")) {
		o.kill()
	}
	return o.text.Write(p)
}

// compare returns an error unless the run in out did what the one that nobody killed
// did, and has left nothing behind.
func (s *survey) compare(out string, want []event) error {
	got, err := events(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		return err
	}
	for i, w := range want {
		if i >= len(got) || got[i].line != w.line {
			g := "nothing"
			if i < len(got) {
				g = got[i].line
			}
			return fmt.Errorf("crash: event %d of a run that was killed is\n%s\nand of one that was not\n%s", i, g, w.line)
		}
	}
	files, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") {
			return fmt.Errorf("crash: %s is left behind", f.Name())
		}
	}
	return nil
}

// progress returns the steps that the checkpoint in out has done, −1 without one. All
// checkpoints that are there have to be readable.
func progress(out string) (int64, error) {
	files, err := filepath.Glob(filepath.Join(out, "*.safetensors"))
	if err != nil {
		return 0, err
	}
	for _, path := range files {
		if _, err := checkpoint.Read(path); err != nil {
			return 0, err
		}
	}
	f, err := checkpoint.Read(filepath.Join(out, "checkpoint.safetensors"))
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	var state struct{ Progress struct{ Steps int64 } }
	err = json.Unmarshal([]byte(f.Metadata["halfgrad.trainer"]), &state)
	return state.Progress.Steps, err
}

// event is a line of a metrics file.
type event struct {
	line   string // without what is not the same in two runs
	fields map[string]any
}

func (e event) text(field string) string {
	s, _ := e.fields[field].(string)
	return s
}

// events returns those of a run but for its starts.
func events(path string) ([]event, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []event
	for line := range bytes.Lines(text) {
		var e event
		if err := json.Unmarshal(line, &e.fields); err != nil {
			return nil, fmt.Errorf("crash: %s: %w", path, err)
		}
		if kind := e.text("event"); kind == "start" || kind == "resume" {
			continue
		}
		delete(e.fields, "images_per_sec")
		b, err := json.Marshal(e.fields) // in the order of the keys
		if err != nil {
			return nil, err
		}
		e.line = string(b)
		all = append(all, e)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("crash: %s has no events", path)
	}
	return all, nil
}

// lastStep returns the last step that a metrics file tells of, half a line at its end
// not counted.
func lastStep(path string) (last int64, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for line := range bytes.Lines(text) {
		var e struct{ Steps int64 }
		if json.Unmarshal(line, &e) == nil {
			last = max(last, e.Steps)
		}
	}
	return last, err
}
