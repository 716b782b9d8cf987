package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/halfgrad/halfgrad/trainer"
)

// filesIn returns the names of what is in a folder.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestKeptCheckpoints(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--epochs", "5", "--keep", "2")
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	// Files of others, whatever their names, stay.
	theirs := []string{".checkpoint.safetensors123456", ".halfgrad-notes", "epoch-0099.safetensors", "epoch-1.safetensors", "epoch-mine.safetensors"}
	for _, name := range theirs {
		if err := os.WriteFile(filepath.Join(out, name), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	succeed(t, args...)
	want := append([]string{"best.safetensors", "checkpoint.safetensors", "epoch-0004.safetensors", "epoch-0005.safetensors", "run.toml"}, theirs...)
	slices.Sort(want)
	if got := filesIn(t, out); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	for _, name := range theirs {
		if read(t, filepath.Join(out, name)) != "mine" {
			t.Errorf("%s has changed", name)
		}
	}
	// Each can be evaluated, the last and that of the last epoch being the same.
	var hashes []string
	for _, name := range []string{"checkpoint.safetensors", "epoch-0005.safetensors", "epoch-0004.safetensors", "best.safetensors"} {
		r := succeed(t, "eval", "--data", dir, "--json", "--checkpoint", filepath.Join(out, name))
		var e struct {
			WeightsSHA256 string `json:"weights_sha256"`
		}
		if err := json.Unmarshal([]byte(r.stdout), &e); err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, e.WeightsSHA256)
	}
	if hashes[0] != hashes[1] || hashes[0] == hashes[2] {
		t.Errorf("weights %v of the last, the last epoch's and that before", hashes)
	}
	// Another run without a hold-out has no best, and does not leave the old one.
	succeed(t, append(args, "--holdout", "0", "--overwrite")...)
	if got := filesIn(t, out); slices.Contains(got, "best.safetensors") {
		t.Errorf("files %v: want no best.safetensors", got)
	}
}

func TestInit(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir)
	first := succeed(t, args...).accuracy(t)
	// From there, and learning nothing, it is as good as it was.
	args, _ = trainArgs(t, dir, "--init", filepath.Join(out, checkpointName), "--lr", "1e-12")
	if again := succeed(t, args...).accuracy(t); again != first {
		t.Errorf("accuracy %v, want %v", again, first)
	}
	args, _ = trainArgs(t, dir, "--init", filepath.Join(out, checkpointName), "--hidden", "33")
	checkUsageError(t, command(t, args...), "--init", "784-32-10, not 784-33-10")
	// Without --hidden the network is that of the file, also where a recipe has another,
	// and dropout, which changes the parameters' names, is the run's own.
	for _, flags := range [][]string{nil, {"--dropout", "0.1"}, {"--recipe", "mnist", "--epochs", "1"}} {
		next := filepath.Join(t.TempDir(), "next")
		r := succeed(t, append([]string{"train", "--data", dir, "--out", next, "--init", out, "--lr", "1e-12"}, flags...)...)
		if !strings.Contains(r.stdout, "network  784-32-10,") || r.accuracy(t) != first {
			t.Errorf("%v: want the network 784-32-10 and an accuracy of %v:\n%s", flags, first, r.stdout)
		}
	}
	args, _ = trainArgs(t, dir, "--init", filepath.Join(out, "nothing"))
	checkUsageError(t, command(t, args...), "--init", "nothing")
}

func TestEarlyStop(t *testing.T) {
	args, _ := trainArgs(t, smallData(t), "--lr", "1e-12", "--epochs", "50", "--early-stop", "3")
	r := succeed(t, args...)
	if !strings.Contains(r.stdout, "epoch  4/50") || strings.Contains(r.stdout, "epoch  5/50") || !strings.Contains(r.stdout, "stopped  early: no validation accuracy above that of epoch 1") {
		t.Errorf("want it to stop after epoch 4:\n%s", r.stdout)
	}
}

// With an average of the weights, it is that which is evaluated, here and by eval,
// while the weights are those of a run without.
func TestEMA(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--ema", "0.99")
	averaged := succeed(t, args...)
	plain, plainOut := trainArgs(t, dir)
	succeed(t, plain...)
	if weightsHash(t, out) != weightsHash(t, plainOut) {
		t.Error("the average changed the weights")
	}
	of := func(out string) (e struct {
		Accuracy float64 `json:"test_accuracy"`
		SHA256   string  `json:"weights_sha256"`
	}) {
		if err := json.Unmarshal([]byte(succeed(t, "eval", "--data", dir, "--json", "--checkpoint", out).stdout), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	if a, b := of(out), of(plainOut); a.SHA256 == b.SHA256 || a.Accuracy != averaged.accuracy(t) {
		t.Errorf("eval finds %+v with and %+v without an average, the run says %q", a, b, averaged.lastLine())
	}
}

func TestInjectOverflow(t *testing.T) {
	dir := smallData(t)
	metrics := filepath.Join(t.TempDir(), "m.jsonl")
	args, _ := trainArgs(t, dir, "--inject-overflow", "5-7", "--metrics", metrics)
	succeed(t, args...).accuracy(t)
	var skipped []float64
	for _, e := range events(t, metrics) {
		if e["event"] == "skip" {
			skipped = append(skipped, e["steps"].(float64))
			if o := e["overflow"].(string); o != "the gradient at the output of layer 2 (Linear 32→10)" {
				t.Errorf("overflow in %s", o)
			}
		}
	}
	if want := []float64{6, 7, 8}; !slices.Equal(skipped, want) { // the sixth step, and so on
		t.Errorf("skipped %v, want %v", skipped, want)
	}
	for _, precision := range []string{"fp16", "fp32"} {
		args, out := trainArgs(t, dir, "--inject-overflow", "20-", "--epochs", "10", "--precision", precision)
		r := command(t, args...)
		if r.code != exitFailed || !strings.Contains(r.stderr, "layer 2 (Linear 32→10)") {
			t.Errorf("exit code %d, want %d and a message that names layer 2: %s", r.code, exitFailed, r.stderr)
		}
		succeed(t, "eval", "--data", dir, "--checkpoint", out) // what is left is good
	}
}

// The events of steps and layers.
func TestMoreEvents(t *testing.T) {
	metrics := filepath.Join(t.TempDir(), "m.jsonl")
	args, _ := trainArgs(t, smallData(t), "--log-every", "10", "--stats", "--clip-norm", "1", "--metrics", metrics)
	succeed(t, args...)
	steps, layers := 0, map[string]int{}
	for _, e := range events(t, metrics) {
		switch e["event"] {
		case "step":
			steps++
			if e["steps"] != float64(10*steps) || !(e["loss"].(float64) > 0 && e["grad_norm"].(float64) > 0 && e["lr"].(float64) > 0 && e["loss_scale"].(float64) > 0) {
				t.Errorf("%v as step event %d", e, steps)
			}
		case "layer":
			layers[e["layer"].(string)+" "+e["kind"].(string)]++
		}
	}
	// 550 images make 18 batches an epoch.
	if steps != 5 || layers["0 (Linear 784→32) gradient"] != 3 || layers["0 (Linear 784→32) weight gradient"] != 6 || layers["1 (ReLU) activation"] != 3 {
		t.Errorf("%d step events, and of layers: %v", steps, layers)
	}
}

func TestInspectCommand(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir)
	succeed(t, args...)
	r := succeed(t, "inspect", "--data", dir, "--checkpoint", out)
	for _, part := range []string{"512 images, at a loss scale of 65536", "0 (Linear 784→32)", "gradient of 2.bias", "activation"} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("no %q in\n%s", part, r.stdout)
		}
	}
	for line := range strings.Lines(r.stdout) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	lines := strings.Split(strings.TrimSpace(succeed(t, "inspect", "--data", dir, "--json", "--checkpoint", out).stdout), "\n")
	lost := 0
	for _, line := range lines {
		var e layerEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.UnscaledSubnormal+e.UnscaledZero > 0.1 && e.Zero < e.UnscaledZero {
			lost++
		}
	}
	if len(lines) != 10 || lost == 0 {
		t.Errorf("%d lines, %d of them of gradients that need the scale", len(lines), lost)
	}
	checkUsageError(t, command(t, "inspect", "--checkpoint", filepath.Join(out, "none")), "none")
}

// Of a file of events, what the run to be continued will do again is dropped.
func TestRewindMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.jsonl")
	text := `{"event":"start","epoch":0,"steps":0}
{"event":"skip","epoch":1,"steps":3}
{"event":"epoch","epoch":1,"steps":10}
{"event":"layer","epoch":1,"steps":10}
{"event":"step","epoch":2,"steps":12}
{"event":"skip","epoch":2,"steps":13}
{"event":"epoch","epoch":2,"steps":20}
{"event":"st`
	lines := strings.SplitAfter(text, "\n")
	for want, p := range map[int]trainer.Progress{
		1: {}, 2: {Steps: 9}, 4: {Epoch: 1, Steps: 10}, 5: {Epoch: 1, Steps: 12}, 6: {Epoch: 1, Steps: 20}, 7: {Epoch: 2, Steps: 20},
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := openMetrics(path, true, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, []byte(strings.Join(lines[:want], ""))) {
			t.Errorf("%+v: kept\n%s", p, got)
		}
	}
	// A file that holds something else, by mistake, does not lose it.
	notes := "dear diary\n[1, 2]\n"
	if err := os.WriteFile(path, []byte(notes), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := rewindMetrics(path, trainer.Progress{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != notes {
		t.Errorf("a file of other things became %q, %v", got, err)
	}
	if m, err := openMetrics(filepath.Join(t.TempDir(), "new.jsonl"), true, trainer.Progress{}); err != nil {
		t.Error(err)
	} else if err := m.close(); err != nil {
		t.Error(err)
	}
}

func TestSteps(t *testing.T) {
	for text, want := range map[string]steps{"0": {0, 1}, "100": {100, 101}, "100-102": {100, 103}, "7-": {7, 1<<63 - 1}} {
		var s steps
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "-", "-3", "5-3", "a", "1-b", "1.5", "1--2", "9223372036854775807-9223372036854775807"} {
		args, _ := trainArgs(t, smallData(t), "--inject-overflow", text)
		checkUsageError(t, command(t, args...), "--inject-overflow")
	}
}

func TestBadOptions(t *testing.T) {
	dir := smallData(t)
	for _, tt := range []struct{ flag, value, want string }{
		{"dropout", "1", "--dropout 1: want 0 or more"}, {"dropout", "nan", "--dropout NaN"}, {"input-dropout", "-0.1", "--input-dropout -0.1"},
		{"accumulate", "0", "--accumulate 0: want 1"}, {"warmup", "-1", "--warmup -1"}, {"decay", "2", "--decay 2"}, {"decay-every", "0", "--decay-every 0"},
		{"shift", "-1", "--shift -1: want 0"}, {"label-smoothing", "1", "--label-smoothing 1"}, {"clip-norm", "-1", "--clip-norm -1"}, {"clip-norm", "inf", "--clip-norm +Inf"}, {"clip-value", "nan", "--clip-value NaN"},
		{"ema", "1", "--ema 1"}, {"loss-weight", "0", "--loss-weight 0"}, {"loss-weight", "1e39", "--loss-weight 1e+39"},
		{"loss-weight", "1e-300", "--loss-weight 1e-300: want a positive number from 1.2e-38 to 3.4e+38"}, {"lr", "1e-300", "--lr 1e-300: want a positive number from 1.2e-38"}, {"lr", "1e39", "--lr 1e+39"}, {"early-stop", "-1", "--early-stop -1"},
		{"checkpoint-every", "-1", "--checkpoint-every -1"}, {"keep", "-1", "--keep -1"}, {"log-every", "-1", "--log-every -1"}, {"recipe", "cake", "--recipe cake: want one of"},
	} {
		args, out := trainArgs(t, dir, "--"+tt.flag, tt.value)
		checkUsageError(t, command(t, args...), tt.want)
		if _, err := os.Stat(filepath.Join(out, checkpointName)); err == nil {
			t.Errorf("--%s %s: there is a checkpoint", tt.flag, tt.value)
		}
	}
	args, _ := trainArgs(t, dir, "--nesterov", "--optimizer", "adam")
	checkUsageError(t, command(t, args...), "--nesterov and --optimizer adam")
	args, _ = trainArgs(t, dir, "--early-stop", "2", "--holdout", "0")
	checkUsageError(t, command(t, args...), "--early-stop 2 and --holdout 0")
}

// The case that loss scaling is there for: a loss of 10⁻⁸ of the weight, at 10⁸
// times the learning rate, is the same training in fp32. In fp16 the
// gradients, below 10⁻⁹, are zero unless they are scaled.
func TestLossScalingMatters(t *testing.T) {
	dir := smallData(t)
	train := func(flags ...string) float64 {
		args, _ := trainArgs(t, dir, append(flags, "--loss-weight", "1e-8", "--lr", "5e6")...)
		return succeed(t, args...).accuracy(t)
	}
	fp32, fp16, unscaled := train("--precision", "fp32"), train(), train("--loss-scale", "off")
	if fp32 < 0.95 || fp16 < fp32-0.02 || unscaled > 0.3 {
		t.Errorf("accuracy %v in fp32, %v in fp16, %v in fp16 without a loss scale: want the first two near 1 and the last near 0.1", fp32, fp16, unscaled)
	}
}
