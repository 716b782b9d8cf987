package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/internal/datatest"
	"github.com/halfgrad/halfgrad/internal/require"
	"github.com/halfgrad/halfgrad/kernels"
)

var (
	killsFlag = flag.Int("kills", 0, "how many runs TestKilled kills; 0 for 3, or 50 under HALFGRAD_TEST=full")
	seedFlag  = flag.Uint64("seed", 1, "of the moments at which TestKilled kills")
)

// TestKilled kills training runs at random moments and resumes them, each time on another
// number of threads and kernel tier. After each kill the checkpoint must be readable, or
// not there yet. At its end a run must have the weights and the metrics of a run that
// nobody killed.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it compiles the command and runs it many times")
	}
	kills := *killsFlag
	if kills == 0 {
		kills = 3
		if require.Full() {
			kills = 50
		}
	}
	dir, binary := t.TempDir(), build(t, "")
	images := datatest.Folder(t, 600, 200, 1)
	tiers := kernels.Supported()
	train := func(out string, n int, more ...string) *exec.Cmd {
		args := append([]string{
			"train", "--data", images, "--hidden", "200", "--epochs", "10", "--batch", "16", "--lr", "0.01", "--dropout", "0.2", "--ema", "0.9",
			"--out", out, "--metrics", filepath.Join(out, "metrics.jsonl"), "--checkpoint-every", "20", "--keep", "2", "--log-every", "3",
			"--threads", strconv.Itoa(n%3 + 1), "--kernel", tiers[n%max(len(tiers)-1, 1)], // all but generic, which is slow
		}, more...)
		return exec.CommandContext(t.Context(), binary, args...)
	}

	whole := filepath.Join(dir, "whole")
	if err := os.Mkdir(whole, 0o755); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if out, err := train(whole, 1).CombinedOutput(); err != nil {
		t.Fatalf("the run that nobody kills: %v\n%s", err, out)
	}
	took := time.Since(start)
	want, err := events(filepath.Join(whole, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a run takes %.1f s", took.Seconds())

	// Three of four kills come while the run trains, on average after a sixteenth of its
	// time; the others count from the start of the process.
	rng := rand.New(rand.NewPCG(*seedFlag, 0))
	for run, n, done := 0, 0, 0; done < kills; run++ {
		out := filepath.Join(dir, "run"+strconv.Itoa(run))
		if err := os.Mkdir(out, 0o755); err != nil {
			t.Fatal(err)
		}
		for step, ended := int64(-1), false; !ended; n++ {
			var more []string
			if step >= 0 {
				more = []string{"--resume"}
			}
			cmd, output := train(out, n, more...), &output{}
			cmd.Stdout, cmd.Stderr = output, output
			delay, asItBegins := time.Duration(rng.Float64()*float64(took)/8), rng.IntN(4) == 0
			kill := sync.OnceFunc(func() { time.AfterFunc(delay, func() { cmd.Process.Kill() }) })
			if done < kills {
				output.training = kill
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if done < kills && asItBegins {
				kill()
			}
			err := cmd.Wait()
			switch {
			case err == nil:
				ended = true
				continue
			case cmd.ProcessState.ExitCode() != -1: // which is a signal's; Windows has 1 for it
				t.Fatalf("%v: %v\n%s", cmd, err, output.text.String())
			}
			done++
			after, err := progress(out)
			if err != nil {
				t.Fatalf("kill %d: %v", done, err)
			}
			if after < step {
				t.Fatalf("kill %d: the checkpoint was of step %d and is of step %d", done, step, after)
			}
			step = after
			t.Logf("kill %d of %d, the checkpoint is of step %d", done, kills, step)
		}
		if err := compare(out, want); err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
	}
}

// output keeps what a run prints, and calls training once the run says that it trains.
type output struct {
	text     bytes.Buffer
	training func()
}

func (o *output) Write(p []byte) (int, error) {
	if o.training != nil && bytes.Contains(p, []byte("training")) {
		o.training()
	}
	return o.text.Write(p)
}

// compare returns an error unless the run in out did what the one that nobody killed
// did, and left nothing behind.
func compare(out string, want []string) error {
	got, err := events(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		return err
	}
	for i, w := range want {
		g := "nothing"
		if i < len(got) {
			g = got[i]
		}
		if g != w {
			return fmt.Errorf("event %d of a run that was killed is\n%s\nand of one that was not\n%s", i, g, w)
		}
	}
	files, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") {
			return fmt.Errorf("%s is left behind", f.Name())
		}
	}
	return nil
}

// progress returns how many steps the checkpoint in out has done, −1 without one. Every
// checkpoint in the folder must be readable.
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

// events returns the lines of a metrics file without the starts and without what
// differs from run to run.
func events(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range bytes.Lines(text) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if kind := fields["event"]; kind == "start" || kind == "resume" {
			continue
		}
		delete(fields, "images_per_sec")
		b, err := json.Marshal(fields) // in the order of the keys
		if err != nil {
			return nil, err
		}
		all = append(all, string(b))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no events", path)
	}
	return all, nil
}

// A run that ends with other weights is found.
func TestCompareFindsDifferences(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lines := `{"event":"start"}
{"event":"epoch","epoch":1,"images_per_sec":5}
{"event":"done","weights_sha256":"ab"}
`
	want, err := events(write("metrics.jsonl", lines))
	if err != nil {
		t.Fatal(err)
	}
	write("metrics.jsonl", strings.Replace(lines, "5", "6", 1))
	if err := compare(dir, want); err != nil {
		t.Errorf("another speed: %v", err)
	}
	for _, other := range []string{strings.Replace(lines, "ab", "ac", 1), strings.Replace(lines, `"epoch":1`, `"epoch":2`, 1), lines[:60]} {
		write("metrics.jsonl", other)
		if err := compare(dir, want); err == nil {
			t.Errorf("no error for %s", other)
		}
	}
	write("metrics.jsonl", lines)
	write(".checkpoint.safetensors123", "")
	if err := compare(dir, want); err == nil || !strings.Contains(err.Error(), "left behind") {
		t.Errorf("error %v for half a file", err)
	}
	write("checkpoint.safetensors", "half a file")
	if _, err := progress(dir); err == nil {
		t.Error("no error for a checkpoint that is not one")
	}
}
