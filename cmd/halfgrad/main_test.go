package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/internal/datatest"
	"github.com/halfgrad/halfgrad/internal/require"
	"github.com/halfgrad/halfgrad/kernels"
)

// TestMain lets the test binary be the command, for tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("HALFGRAD_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// result is what a command left.
type result struct {
	code           int
	stdout, stderr string
}

// command runs the command in this process, off a terminal.
func command(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, &env{stdout: &stdout, stderr: &stderr})
	return result{code, stdout.String(), stderr.String()}
}

// succeed is command where nothing may go wrong.
func succeed(t *testing.T, args ...string) result {
	t.Helper()
	r := command(t, args...)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("halfgrad %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r
}

// lastLine returns the last line that was printed.
func (r result) lastLine() string {
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	return lines[len(lines)-1]
}

// trainArgs returns the arguments of a small run that learns, and its folder.
func trainArgs(t *testing.T, dataDir string, more ...string) (args []string, out string) {
	out = filepath.Join(t.TempDir(), "run")
	args = []string{"train", "--data", dataDir, "--out", out, "--hidden", "32", "--epochs", "3", "--batch", "32", "--lr", "0.05"}
	return append(args, more...), out
}

func smallData(t *testing.T) string { return datatest.Folder(t, 600, 200, 1) }

// events reads a metrics file.
func events(t *testing.T, path string) (lines []map[string]any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		lines = append(lines, e)
	}
	return lines
}

// weightsHash returns the SHA-256 of the master weights in a checkpoint.
func weightsHash(t *testing.T, out string) string {
	t.Helper()
	f, err := checkpoint.Read(filepath.Join(out, checkpointName))
	if err != nil {
		t.Fatal(err)
	}
	var names []string // of the two layers, whatever their numbers
	for _, w := range f.Tensors {
		if len(w.Name) == len("0.bias") && strings.HasSuffix(w.Name, ".bias") {
			names = append(names, strings.Replace(w.Name, "bias", "weight", 1), w.Name)
		}
	}
	if len(names) != 4 {
		t.Fatalf("the checkpoint has the layers %v, want two", names)
	}
	if names[0] > names[2] {
		names = []string{names[2], names[3], names[0], names[1]}
	}
	hash := sha256.New()
	for _, name := range names {
		w, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("no %s in the checkpoint", name)
		}
		for _, v := range w.Elements.F32() {
			b := math.Float32bits(v)
			hash.Write([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)})
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

var accuracyLine = regexp.MustCompile(`^test accuracy (0\.\d{4}|1\.0000) \((\d+) of 200 images\)`)

// accuracy returns the test accuracy in the last line of a run.
func (r result) accuracy(t *testing.T) float64 {
	t.Helper()
	m := accuracyLine.FindStringSubmatch(r.lastLine())
	if m == nil {
		t.Fatalf("the last line is %q, want the test accuracy", r.lastLine())
	}
	a, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%.0f", a*200) != m[2] {
		t.Errorf("%q disagrees with itself", r.lastLine())
	}
	return a
}

func TestTrainAndEval(t *testing.T) {
	for _, precision := range []string{"fp16", "fp32"} {
		t.Run(precision, func(t *testing.T) {
			dir := smallData(t)
			metrics := filepath.Join(t.TempDir(), "metrics.jsonl")
			args, out := trainArgs(t, dir, "--precision", precision, "--metrics", metrics)
			r := succeed(t, args...)
			accuracy := r.accuracy(t)
			if accuracy < 0.9 {
				t.Errorf("test accuracy %v, want at least 0.9", accuracy)
			}
			if n := strings.Count(r.stdout, "\nepoch "); n != 3 {
				t.Errorf("%d lines for 3 epochs:\n%s", n, r.stdout)
			}

			lines := events(t, metrics)
			kinds := make([]string, len(lines))
			for i, e := range lines {
				kinds[i] = e["event"].(string)
			}
			if want := []string{"start", "epoch", "epoch", "epoch", "done"}; !slices.Equal(kinds, want) {
				t.Fatalf("events %v, want %v", kinds, want)
			}
			for i, e := range lines[1:4] {
				for _, key := range []string{"train_loss", "validation_accuracy", "test_accuracy", "loss_scale", "skipped_steps", "images_per_sec"} {
					if v, ok := e[key].(float64); !ok || v < 0 {
						t.Errorf("epoch %d: %s is %v", i+1, key, e[key])
					}
				}
				if e["epoch"] != float64(i+1) {
					t.Errorf("epoch %v, want %d", e["epoch"], i+1)
				}
			}
			done := lines[4]
			if done["test_accuracy"] != lines[3]["test_accuracy"] || math.Abs(done["test_accuracy"].(float64)-accuracy) > 5e-5 {
				t.Errorf("accuracies: %v at the end, %v after the last epoch, %v printed", done["test_accuracy"], lines[3]["test_accuracy"], accuracy)
			}
			hash := weightsHash(t, out)
			if done["weights_sha256"] != hash || !strings.Contains(r.stdout, hash) {
				t.Errorf("weights_sha256 is %v, want %s", done["weights_sha256"], hash)
			}

			path := filepath.Join(out, checkpointName)
			if e := succeed(t, "eval", "--checkpoint", path, "--data", dir); e.accuracy(t) != accuracy {
				t.Errorf("eval says %q, train said %v", e.lastLine(), accuracy)
			}
			var evaluated map[string]any
			if err := json.Unmarshal([]byte(succeed(t, "eval", "--checkpoint", out, "--data", dir, "--json", "--kernel", "generic", "--threads", "3").stdout), &evaluated); err != nil {
				t.Fatal(err)
			}
			if evaluated["test_accuracy"] != done["test_accuracy"] || evaluated["test_loss"] != done["test_loss"] || evaluated["weights_sha256"] != hash || evaluated["precision"] != precision {
				t.Errorf("eval says %v, train said %v", evaluated, done)
			}
		})
	}
}

// The real thing, cut short.
func TestTrainMNIST(t *testing.T) {
	datatest.MNIST(t)
	metrics := filepath.Join(t.TempDir(), "metrics.jsonl")
	r := command(t, "train", "--epochs", "1", "--out", t.TempDir(), "--metrics", metrics)
	if r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	lines := events(t, metrics)
	done := lines[len(lines)-1]
	// After one epoch of 784-256-10 anything sound is at 0.96 or more.
	if a := done["test_accuracy"].(float64); a < 0.955 || !strings.Contains(r.lastLine(), "test accuracy 0.9") {
		t.Errorf("test accuracy %v; the last line is %q", a, r.lastLine())
	}
	if !strings.Contains(r.stdout, "55000 training, 5000 validation and 10000 test images of 28×28") ||
		!strings.Contains(r.stdout, "network  784-256-10, 203530 parameters, in fp16") {
		t.Errorf("the defaults are others:\n%s", r.stdout)
	}
}

func TestSameBitsOnEveryKernelAndThreadCount(t *testing.T) {
	dir := smallData(t)
	for _, precision := range []string{"fp16", "fp32"} {
		var want string
		for _, kernel := range kernels.Supported() {
			for threads := 1; threads <= 3; threads++ {
				if kernel == "generic" && threads != 2 && !require.Full() {
					continue // slow
				}
				// Wide enough that the threads have something to share.
				args, out := trainArgs(t, dir, "--hidden", "150", "--epochs", "1", "--precision", precision, "--kernel", kernel, "--threads", fmt.Sprint(threads))
				succeed(t, args...)
				got := weightsHash(t, out)
				if want == "" {
					want = got
				} else if got != want {
					t.Errorf("%s on %s with %d threads: weights %s, want %s", precision, kernel, threads, got, want)
				}
			}
		}
	}
}

// What the flags do: each of these runs must end in other weights.
func TestFlagsMatter(t *testing.T) {
	dir := smallData(t)
	seen := map[string]string{}
	for _, flags := range [][]string{
		{}, {"--seed", "2"}, {"--epochs", "2"}, {"--batch", "16"}, {"--lr", "0.06"}, {"--precision", "fp32"},
		{"--momentum", "0.8"}, {"--weight-decay", "0.01"}, {"--schedule", "constant"}, {"--holdout", "30"}, {"--holdout", "0"},
		{"--optimizer", "adam", "--lr", "0.003"}, {"--optimizer", "adamw", "--lr", "0.003"}, {"--loss-scale", "0.001"}, {"--max-steps", "20"},
		{"--hidden", "33"}, {"--schedule", "cosine"}, {"--schedule", "onecycle"}, {"--schedule", "step"},
		{"--schedule", "step", "--decay", "0.5"}, {"--schedule", "step", "--decay-every", "1"}, {"--warmup", "10"}, {"--nesterov"},
		{"--dropout", "0.2"}, {"--input-dropout", "0.2"}, {"--accumulate", "2"}, {"--label-smoothing", "0.1"}, {"--shift", "1"},
		{"--clip-norm", "0.5"}, {"--clip-value", "0.01"}, {"--loss-weight", "0.5"}, {"--weight-decay", "0.01", "--no-bias-decay"},
	} {
		args, out := trainArgs(t, dir, flags...)
		r := succeed(t, args...)
		hash, name := weightsHash(t, out), strings.Join(flags, " ")
		if other, ok := seen[hash]; ok {
			t.Errorf("%q and %q end in the same weights", name, other)
		}
		seen[hash] = name
		r.accuracy(t)
	}
	// And these in the same.
	args, out := trainArgs(t, dir)
	succeed(t, args...)
	want := weightsHash(t, out)
	for _, flags := range [][]string{{"--loss-scale", "dynamic"}, {"--holdout", "50"}, {"--momentum", "0.9"},
		{"--ema", "0.9"}, {"--early-stop", "3"}, {"--checkpoint-every", "5"}, {"--keep", "2"}, {"--stats", "--metrics", filepath.Join(t.TempDir(), "m")},
	} {
		args, out := trainArgs(t, dir, flags...)
		succeed(t, args...)
		if hash := weightsHash(t, out); hash != want {
			t.Errorf("%v: weights %s, want %s", flags, hash, want)
		}
	}
	out = t.TempDir()
	succeed(t, "train", "--data", dir, "--out", out, "--model", "784-32-10", "--epochs", "3", "--batch", "32", "--lr", "0.05")
	if hash := weightsHash(t, out); hash != want {
		t.Errorf("--model 784-32-10: weights %s, want %s", hash, want)
	}
}

// A run in pieces, on other kernels and thread counts, is the whole run.
func TestResume(t *testing.T) {
	dir := smallData(t)
	args, whole := trainArgs(t, dir)
	last := succeed(t, args...).lastLine()

	metrics := filepath.Join(t.TempDir(), "metrics.jsonl")
	args, out := trainArgs(t, dir, "--max-steps", "7", "--metrics", metrics)
	succeed(t, args...)
	if p := "resumed  after 0 epochs and 7 batches"; !strings.Contains(
		succeed(t, "train", "--resume", "--data", dir, "--out", out, "--max-steps", "25", "--threads", "3", "--kernel", "generic", "--metrics", metrics).stdout, p) {
		t.Errorf("it does not say %q", p)
	}
	end := succeed(t, "train", "--resume", "--data", dir, "--out", out, "--metrics", metrics, "--lr", "0.05", "--hidden", "32")
	if got, want := weightsHash(t, out), weightsHash(t, whole); got != want {
		t.Errorf("weights %s, want %s", got, want)
	}
	cut := func(s string) string { before, _, _ := strings.Cut(s, ", in"); return before }
	if cut(end.lastLine()) != cut(last) {
		t.Errorf("the last line is %q, want %q", end.lastLine(), last)
	}
	var kinds []string
	for _, e := range events(t, metrics) {
		kinds = append(kinds, e["event"].(string))
	}
	if want := []string{"start", "done", "resume", "epoch", "done", "resume", "epoch", "epoch", "done"}; !slices.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}

	// A run that is over can be looked at again, and be made longer.
	if again := succeed(t, "train", "--resume", "--data", dir, "--out", out); cut(again.lastLine()) != cut(last) {
		t.Errorf("the last line is %q, want %q", again.lastLine(), last)
	}
	longer := succeed(t, "train", "--resume", "--data", dir, "--out", out, "--epochs", "4")
	if !strings.Contains(longer.stdout, "\nepoch 4/4") || strings.Contains(longer.stdout, "\nepoch 3/4") {
		t.Errorf("it did not go on for one epoch:\n%s", longer.stdout)
	}

	before := weightsHash(t, out)
	for _, flags := range [][]string{
		{"--lr", "0.01"}, {"--batch", "16"}, {"--seed", "2"}, {"--precision", "fp32"}, {"--optimizer", "adam"}, {"--momentum", "0.5"},
		{"--weight-decay", "0.5"}, {"--schedule", "constant"}, {"--loss-scale", "off"}, {"--holdout", "3"}, {"--hidden", "33"}, {"--model", "784-10"},
		{"--dropout", "0.5"}, {"--warmup", "3"}, {"--ema", "0.5"}, {"--clip-norm", "3"}, {"--accumulate", "2"},
	} {
		r := command(t, append([]string{"train", "--resume", "--data", dir, "--out", out}, flags...)...)
		checkUsageError(t, r, "--resume", flags[1])
	}
	r := command(t, "train", "--resume", "--data", datatest.Folder(t, 600, 200, 2), "--out", out)
	checkUsageError(t, r, "the training images or their labels are others than those of the checkpoint")
	r = command(t, "train", "--resume", "--data", dir, "--out", out, "--init", "x")
	checkUsageError(t, r, "--resume and --init")
	if weightsHash(t, out) != before {
		t.Error("the checkpoint has changed")
	}
}

// cancelAfter cancels once it has been written a text.
type cancelAfter struct {
	bytes.Buffer
	text   string
	cancel context.CancelFunc
}

func (w *cancelAfter) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.text) {
		w.cancel()
	}
	return n, err
}

func TestInterrupted(t *testing.T) {
	dir := smallData(t)
	metrics := filepath.Join(t.TempDir(), "metrics.jsonl")
	args, whole := trainArgs(t, dir)
	succeed(t, args...)
	args, out := trainArgs(t, dir, "--metrics", metrics)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	code := run(ctx, args, &env{stdout: &cancelAfter{text: "epoch 2/3", cancel: cancel}, stderr: &stderr})
	if code != exitInterrupted || !strings.Contains(stderr.String(), "go on with: halfgrad train --resume --out "+out) {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	lines := events(t, metrics)
	if last := lines[len(lines)-1]; last["event"] != "interrupted" || last["weights_sha256"] != weightsHash(t, out) {
		t.Errorf("the last event is %v", last)
	}
	succeed(t, "train", "--resume", "--data", dir, "--out", out)
	if got, want := weightsHash(t, out), weightsHash(t, whole); got != want {
		t.Errorf("weights %s, want %s", got, want)
	}
}

// Ctrl-C, for real.
func TestSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals to send")
	}
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--epochs", "100000")
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "HALFGRAD_TEST_MAIN=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	buf := make([]byte, 1<<12)
	for seen := ""; !strings.Contains(seen, "epoch      1/100000"); {
		n, err := stdout.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q; %s", err, seen, stderr.String())
		}
		seen += string(buf[:n])
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, stdout)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.HasPrefix(stderr.String(), stopping+"\n") || !strings.Contains(stderr.String(), "interrupted after") {
		t.Errorf("exit code %d, want %d: %s", code, exitInterrupted, stderr.String())
	}
	weightsHash(t, out) // it has left a whole checkpoint
}

// checkUsageError fails unless r is an error on one line with all the parts.
func checkUsageError(t *testing.T, r result, parts ...string) {
	t.Helper()
	if r.code != exitUsage || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "halfgrad: error: ") {
		t.Errorf("exit code %d, want %d with one line: %s", r.code, exitUsage, r.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(r.stderr, part) {
			t.Errorf("the error does not say %q: %s", part, r.stderr)
		}
	}
}

func TestBadFlags(t *testing.T) {
	dir := smallData(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		flags []string
		want  []string
	}{
		{[]string{"--lr", "nan"}, []string{"--lr NaN", "positive number from 1.2e-38 to 3.4e+38"}},
		{[]string{"--lr", "inf"}, []string{"--lr +Inf"}},
		{[]string{"--lr", "0"}, []string{"--lr 0"}},
		{[]string{"--lr", "-0.1"}, []string{"--lr -0.1"}},
		{[]string{"--lr", "fast"}, []string{"--lr", "fast"}},
		{[]string{"--batch", "0"}, []string{"--batch 0", "want 1"}},
		{[]string{"--batch", "-5"}, []string{"--batch -5"}},
		{[]string{"--batch", "many"}, []string{"--batch", "many"}},
		{[]string{"--batch", "99999999999999999999"}, []string{"--batch", "99999999999999999999"}},
		{[]string{"--hidden", "-1"}, []string{"--hidden -1", "want widths from 1"}},
		{[]string{"--hidden", "0"}, []string{"--hidden 0"}},
		{[]string{"--hidden", "256,0"}, []string{"--hidden 256,0"}},
		{[]string{"--hidden", ""}, []string{"--hidden"}},
		{[]string{"--hidden", "1000000000"}, []string{"--hidden 1000000000"}},
		{[]string{"--hidden", "a"}, []string{"--hidden a"}},
		{[]string{"--epochs", "0"}, []string{"--epochs 0"}},
		{[]string{"--epochs", "-3"}, []string{"--epochs -3"}},
		{[]string{"--optimizer", "sgdx"}, []string{"--optimizer sgdx", "sgd, adam, adamw"}},
		{[]string{"--precision", "fp8"}, []string{"--precision fp8", "fp16 or fp32"}},
		{[]string{"--schedule", "exponential"}, []string{"--schedule exponential", "constant, linear, cosine, onecycle, step"}},
		{[]string{"--momentum", "1"}, []string{"--momentum 1"}},
		{[]string{"--momentum", "nan"}, []string{"--momentum NaN"}},
		{[]string{"--weight-decay", "-1"}, []string{"--weight-decay -1"}},
		{[]string{"--weight-decay", "inf"}, []string{"--weight-decay +Inf"}},
		{[]string{"--loss-scale", "big"}, []string{"--loss-scale big", "dynamic, off"}},
		{[]string{"--loss-scale", "0"}, []string{"--loss-scale 0"}},
		{[]string{"--loss-scale", "nan"}, []string{"--loss-scale nan"}},
		{[]string{"--seed", "-1"}, []string{"--seed", "-1"}},
		{[]string{"--threads", "-1"}, []string{"--threads -1"}},
		{[]string{"--threads", "1000000"}, []string{"--threads 1000000"}},
		{[]string{"--kernel", "avx1024"}, []string{`"avx1024"`, "generic"}},
		{[]string{"--max-steps", "-1"}, []string{"--max-steps -1"}},
		{[]string{"--holdout", "-1"}, []string{"--holdout -1"}},
		{[]string{"--holdout", "600"}, []string{"--holdout 600", "600 training images"}},
		{[]string{"--model", "resnet"}, []string{"--model resnet"}},
		{[]string{"--model", "784"}, []string{"--model 784"}},
		{[]string{"--model", "784-256-10"}, []string{"--model with widths and --hidden"}},
		{[]string{"--metrics", filepath.Join(dir, "no", "where.jsonl")}, []string{"--metrics", "where.jsonl"}},
		{[]string{"--out", file}, []string{"--out", file}},
		{[]string{"--out", filepath.Join(file, "x")}, []string{"--out", file}},
		{[]string{"--resume"}, []string{"--resume", "no checkpoint"}},
		{[]string{"--data", filepath.Join(dir, "nowhere")}, []string{"nowhere"}},
		{[]string{"--frobnicate"}, []string{"--frobnicate"}},
		{[]string{"stray"}, []string{"stray"}},
	} {
		t.Run(strings.Join(tt.flags, " "), func(t *testing.T) {
			args, out := trainArgs(t, dir, tt.flags...)
			checkUsageError(t, command(t, args...), tt.want...)
			if _, err := os.Stat(filepath.Join(out, checkpointName)); err == nil {
				t.Error("there is a checkpoint")
			}
		})
	}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--train"}, []string{"--train"}},
		{[]string{"trian"}, []string{"trian"}},
		{[]string{"train", "--data", dir, "--model", "100-10", "--out", t.TempDir()}, []string{"network 100-10", "from 784 to 10"}},
		{[]string{"train", "--data", dir, "--model", "784-0-10"}, []string{"--model 784-0-10"}},
		{[]string{"eval"}, []string{"--checkpoint"}},
		{[]string{"eval", "--checkpoint", filepath.Join(dir, "none")}, []string{"there is no checkpoint", "none"}},
		{[]string{"eval", "--checkpoint", filepath.Join(dir, "train-images-idx3-ubyte")}, []string{"train-images-idx3-ubyte", "not a safetensors file"}},
		{[]string{"bench", "gemm", "--shape", "1x2"}, []string{`"1x2"`, "MxNxK"}},
		{[]string{"bench", "gemm", "--dtype", "int8"}, []string{"--dtype", "int8"}},
		{[]string{"bench", "gemm", "--kernel", "x"}, []string{`"x"`}},
		{[]string{"bench", "train", "--model", "784"}, []string{"--model 784", "784-256-10"}},
		{[]string{"bench", "train", "--model", "784-x"}, []string{"--model 784-x"}},
		{[]string{"bench", "train", "--batch", "0"}, []string{"--batch 0", "1 to"}},
		{[]string{"bench", "train", "--images", "0"}, []string{"--images 0", "1 to"}},
		{[]string{"bench", "train", "--optimizer", "lion"}, []string{"--optimizer", "lion"}},
		{[]string{"bench", "train", "--kernel", "x"}, []string{`"x"`}},
		{[]string{"info", "--threads", "-2"}, []string{"--threads -2"}},
	} {
		t.Run("halfgrad "+strings.Join(tt.args, " "), func(t *testing.T) { checkUsageError(t, command(t, tt.args...), tt.want...) })
	}
	t.Run("environment", func(t *testing.T) {
		t.Setenv(kernels.EnvKernel, "mmx")
		args, _ := trainArgs(t, dir)
		checkUsageError(t, command(t, args...), "HALFGRAD_KERNEL=mmx", "generic")
	})
}

// Data that is not what it should be is named, and left as it is; so is the
// checkpoint of an earlier run.
func TestBadData(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		spoil      func([]byte) []byte // returns nil to remove the file
		want       string
	}{
		{"missing", "t10k-labels-idx1-ubyte", func([]byte) []byte { return nil }, "no file t10k-labels-idx1-ubyte"},
		{"truncated", "train-images-idx3-ubyte", func(b []byte) []byte { return b[:len(b)-1] }, "found"},
		{"trailing", "train-images-idx3-ubyte", func(b []byte) []byte { return append(b, 0) }, "found"},
		{"empty", "train-labels-idx1-ubyte", func([]byte) []byte { return []byte{} }, "found 0 bytes"},
		{"other magic", "train-labels-idx1-ubyte", func(b []byte) []byte { b[0] = 1; return b }, "magic number"},
		{"labels as images", "t10k-images-idx3-ubyte", func(b []byte) []byte { return append([]byte{0, 0, 8, 1, 0, 0, 0, 1}, 5) }, "found 1 dimensions"},
		{"fewer labels", "t10k-labels-idx1-ubyte", func(b []byte) []byte { return append([]byte{0, 0, 8, 1, 0, 0, 0, 1}, 5) }, "found 1 labels, expected 200"},
		{"label 77", "train-labels-idx1-ubyte", func(b []byte) []byte { b[20] = 77; return b }, "the label 77"},
		{"damaged gzip", "train-images-idx3-ubyte", func(b []byte) []byte { return append([]byte{0x1f, 0x8b}, b...) }, "gzip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := smallData(t)
			args, out := trainArgs(t, dir)
			succeed(t, args...)
			before := weightsHash(t, out)

			path := filepath.Join(dir, tt.file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b = tt.spoil(b); b == nil {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, b, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				append(args, "--seed", "2"),
				{"train", "--resume", "--data", dir, "--out", out},
				{"eval", "--data", dir, "--checkpoint", filepath.Join(out, checkpointName)},
			} {
				checkUsageError(t, command(t, args...), tt.want, tt.file)
			}
			if b != nil {
				if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, b) {
					t.Errorf("the file has changed (%v)", err)
				}
			}
			if weightsHash(t, out) != before {
				t.Error("the checkpoint has changed")
			}
		})
	}
}

func TestBadCheckpoint(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--epochs", "1")
	succeed(t, args...)
	path := filepath.Join(out, checkpointName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(change func(f *checkpoint.File)) []byte {
		f, err := checkpoint.Decode(good)
		if err != nil {
			t.Fatal(err)
		}
		change(f)
		tmp := filepath.Join(t.TempDir(), "f")
		if err := checkpoint.Write(tmp, f); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(tmp)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	setting := func(old, new string) []byte {
		return rewrite(func(f *checkpoint.File) {
			s := f.Metadata[settingsKey]
			if !strings.Contains(s, old) {
				t.Fatalf("no %s in %s", old, s)
			}
			f.Metadata[settingsKey] = strings.Replace(s, old, new, 1)
		})
	}
	for _, tt := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", []byte{}, "not a safetensors file"},
		{"truncated", good[:len(good)-4], "not a safetensors file"},
		{"not one", []byte("PK\x03\x04 and so on, a zip file perhaps"), "not a safetensors file"},
		{"no settings", rewrite(func(f *checkpoint.File) { delete(f.Metadata, settingsKey) }), "was it written by halfgrad train?"},
		{"settings are no JSON", rewrite(func(f *checkpoint.File) { f.Metadata[settingsKey] = "{" }), "unexpected end of JSON"},
		{"enormous network", setting(`[784,32,10]`, `[784,60000,60000,10]`), "has no tensor 0.weight of that shape"},
		{"other network", setting(`[784,32,10]`, `[784,33,10]`), "has no tensor 0.weight of that shape"},
		{"no network", setting(`[784,32,10]`, `[]`), "want 2 to"},
		{"unknown precision", setting(`"fp16"`, `"fp8"`), "--precision fp8"},
		{"no deviation", setting(`"std":`, `"std":-`), "standard deviation"},
		{"no bias", rewrite(func(f *checkpoint.File) {
			f.Tensors = slices.DeleteFunc(f.Tensors, func(t checkpoint.Tensor) bool { return t.Name == "2.bias" })
		}), "no parameter 2.bias"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, tt.content, 0o644); err != nil {
				t.Fatal(err)
			}
			checkUsageError(t, command(t, "eval", "--checkpoint", path, "--data", dir), tt.want)
			checkUsageError(t, command(t, "train", "--resume", "--out", out, "--data", dir), tt.want)
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, tt.content) {
				t.Errorf("the file has changed (%v)", err)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	r := command(t, "--help")
	if r.code != 0 || r.stderr != "" || !strings.Contains(r.stdout, "halfgrad train") || !strings.Contains(r.stdout, "Exit status") {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	r = command(t, "train", "--help")
	for _, flag := range []string{"model", "hidden", "epochs", "batch", "lr", "optimizer", "precision", "seed", "threads", "kernel", "data", "out", "metrics", "max-steps", "resume"} {
		if !strings.Contains(r.stdout, "--"+flag) {
			t.Errorf("train --help does not tell of --%s:\n%s", flag, r.stdout)
		}
	}
	if !strings.Contains(r.stdout, "(default 256)") {
		t.Errorf("train --help does not tell the default width:\n%s", r.stdout)
	}
}

func TestInfo(t *testing.T) {
	var i info
	if err := json.Unmarshal([]byte(succeed(t, "info", "--json").stdout), &i); err != nil {
		t.Fatal(err)
	}
	if i.Architecture != runtime.GOARCH || i.OS != runtime.GOOS || !slices.Equal(i.AvailableKernels, kernels.Supported()) || i.Caches.L1D < 8<<10 || i.Threads < 1 || len(i.KernelNames) != 2 {
		t.Errorf("%+v", i)
	}
	text := succeed(t, "info", "--kernel", "generic").stdout
	for _, part := range []string{"generic, forced by --kernel generic", "f16f32acc-2x4-generic", "KiB"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

func TestBenchGemm(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a measurement takes two seconds")
	}
	r := succeed(t, "bench", "gemm", "--shape", "24x32x16", "--threads", "1", "--json")
	var line map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &line); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"m", "n", "k", "threads", "median_ns", "best_ns", "gflops", "fma_peak_gflops", "peak_ratio", "peak_ratio_median"} {
		if v, ok := line[key].(float64); !ok || v <= 0 {
			t.Errorf("%s is %v", key, line[key])
		}
	}
	if line["dtype"] != "fp16" || line["kernel"] == "" || line["k"] != 16.0 {
		t.Errorf("%v", line)
	}
}

// On a terminal there is a bar with a rate, on stderr, and it is gone at the end.
func TestProgressBar(t *testing.T) {
	args, _ := trainArgs(t, smallData(t))
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, &env{stdout: &stdout, stderr: &stderr, terminal: true}); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, part := range []string{"epoch 1/3", "epoch 3/3", "images/s", "\r"} {
		if !strings.Contains(stderr.String(), part) {
			t.Errorf("no %q in the bar %q", part, stderr.String())
		}
	}
	if strings.Contains(stdout.String(), "\r") {
		t.Errorf("the bar is in stdout: %q", stdout.String())
	}
}

func TestFetchProgress(t *testing.T) {
	reports := []data.Progress{
		{Stage: "from the Go module"},
		{File: "a.gz", Stage: "from a mirror", Done: 10, Total: 100},
		{File: "a.gz", Stage: "from a mirror", Done: 50, Total: 100},
		{File: "a.gz", Stage: "from a mirror", Done: 100, Total: 100},
		{File: "b.gz", Stage: "from a mirror", Done: 10, Total: 10},
	}
	show := func(terminal bool) string {
		var stderr bytes.Buffer
		f := fetchProgress{env: &env{stderr: &stderr, terminal: terminal}}
		for _, p := range reports {
			f.report(p)
		}
		f.finish()
		return stderr.String()
	}
	if got, want := show(false), "MNIST: from the Go module\na.gz: from a mirror\nb.gz: from a mirror\n"; got != want {
		t.Errorf("off a terminal:\n%s, want\n%s", got, want)
	}
	if got := show(true); !strings.Contains(got, "\r") || !strings.Contains(got, "a.gz") || !strings.Contains(got, "b.gz") {
		t.Errorf("on a terminal: %q", got)
	}
}

func TestMetricsNumbers(t *testing.T) {
	b, err := json.Marshal([]number{number(math.NaN()), number(math.Inf(1)), 0.5})
	if err != nil || string(b) != "[null,null,0.5]" {
		t.Errorf("%s, %v", b, err)
	}
}

// A disk that fills up is an error, not a silence.
func TestMetricsWriteError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	full.Close()
	args, _ := trainArgs(t, smallData(t), "--metrics", "/dev/full")
	if r := command(t, args...); r.code != exitFailed || !strings.Contains(r.stderr, "--metrics") || !strings.Contains(r.stderr, "no space left") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}
