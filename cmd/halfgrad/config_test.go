package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fileWith writes a file into a folder of its own and returns its path.
func fileWith(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A run leaves the file that repeats it, whichever way its settings came about.
func TestConfigRepeatsRun(t *testing.T) {
	dir := smallData(t)
	begin, first := trainArgs(t, dir)
	succeed(t, begin...)
	for _, flags := range [][]string{
		{},
		{"--optimizer", "adamw", "--lr", "0.003", "--weight-decay", "0", "--no-bias-decay"},
		{"--seed", "18446744073709551615", "--lr", "1e-3", "--precision", "fp32", "--holdout", "0"},
		{"--recipe", "mnist", "--epochs", "2"},
		{"--inject-overflow", "3-4", "--max-steps", "20", "--loss-scale", "1024"},
		{"--init", first, "--label-smoothing", "0.1", "--schedule", "onecycle"},
	} {
		args, out := trainArgs(t, dir, flags...)
		succeed(t, args...)
		again := filepath.Join(t.TempDir(), "again")
		succeed(t, "train", "--config", filepath.Join(out, "run.toml"), "--out", again)
		if weightsHash(t, again) != weightsHash(t, out) {
			t.Errorf("%v: the run of its run.toml ends in other weights:\n%s", flags, read(t, filepath.Join(out, "run.toml")))
		}
		a, b := read(t, filepath.Join(out, "run.toml")), read(t, filepath.Join(again, "run.toml"))
		if strings.ReplaceAll(a, out, again) != b {
			t.Errorf("%v: that run leaves another run.toml:\n%s\nafter\n%s", flags, b, a)
		}
	}

	// A run in pieces, and networks without hidden layers.
	args, out := trainArgs(t, dir, "--max-steps", "7")
	succeed(t, args...)
	succeed(t, "train", "--resume", "--data", dir, "--out", out)
	again := filepath.Join(t.TempDir(), "again")
	succeed(t, "train", "--config", filepath.Join(out, "run.toml"), "--out", again)
	if weightsHash(t, again) != weightsHash(t, out) {
		t.Error("the run of a run in pieces ends in other weights")
	}
	succeed(t, "train", "--data", dir, "--out", out, "--model", "784-10", "--epochs", "1", "--batch", "64")
	if r := succeed(t, "train", "--config", filepath.Join(out, "run.toml"), "--out", again); !strings.Contains(r.stdout, "network  784-10,") {
		t.Errorf("of a network without hidden layers comes\n%s", r.stdout)
	}
	// The run goes on with its own file, too.
	succeed(t, "train", "--config", filepath.Join(again, "run.toml"), "--out", again, "--resume", "--epochs", "2")
}

func TestConfig(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--seed", "7", "--nesterov", "--no-bias-decay")
	succeed(t, args...)
	want := weightsHash(t, out)
	base := []string{"train", "--data", dir, "--hidden", "32", "--epochs", "3", "--batch", "32"}
	for name, text := range map[string]string{
		"run.toml": "# mine\nseed = 7\nlr = 0.05\nnesterov = true\nbias-decay = false\nepochs = 9\n",
		"run.json": ` {"seed": 7, "lr": 5e-2, "nesterov": true, "bias-decay": "false", "epochs": 9}`,
		"text":     "seed = '7'\nlr = '0.05'\nnesterov = 'true'\nbias-decay = false",
	} {
		out := filepath.Join(t.TempDir(), "run")
		succeed(t, append(slices.Clone(base), "--config", fileWith(t, name, text), "--out", out)...)
		if weightsHash(t, out) != want {
			t.Errorf("%s ends in other weights than its flags", name)
		}
	}

	for _, tt := range []struct{ text, want string }{
		{"sed = 7", "halfgrad train has no flag --sed"},
		{"config = 'x'", "no flag --config"},
		{"[training]\nlr = 1", "training is"},
		{"lr = [1, 2]", "lr is [1 2]: want"},
		{"lr = 'fast'", "fast"},
		{"lr = nan", "--lr NaN"},
		{"epochs = 1.5", "1.5"},
		{"batch = 0", "--batch 0: want 1"},
		{"resume = 'maybe'", "want --resume or --resume=auto"},
		{"lr = 1\nlr = 2", "line 2"},
		{"lr 1", "line 1"},
		{`{"lr": }`, "not JSON"},
		{`{"lr": 1} {"lr": 2}`, "want one object"},
		{`{"lr": null}`, "lr is"},
		{strings.Repeat("#", maxConfig+1), "at most"},
	} {
		path := fileWith(t, "c", tt.text)
		args, out := trainArgs(t, dir, "--config", path)
		if strings.HasPrefix(tt.want, "--lr") || strings.Contains(tt.text, "lr = 'fast'") {
			args = slices.DeleteFunc(args, func(s string) bool { return s == "--lr" || s == "0.05" })
		}
		if strings.Contains(tt.text, "batch") {
			args = slices.DeleteFunc(args, func(s string) bool { return s == "--batch" || s == "32" })
			args = slices.DeleteFunc(args, func(s string) bool { return s == "--hidden" })
		}
		if strings.Contains(tt.text, "epochs") {
			args = slices.DeleteFunc(args, func(s string) bool { return s == "--epochs" || s == "3" })
		}
		checkUsageError(t, command(t, args...), tt.want)
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%.20q: there is a folder %s", tt.text, out)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "none"), os.DevNull} {
		checkUsageError(t, command(t, append(slices.Clone(base), "--config", path)...), "--config", path)
	}
}

// A run.toml that is not of a run stays as it is.
func TestForeignConfig(t *testing.T) {
	args, out := trainArgs(t, smallData(t), "--epochs", "1")
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out, "run.toml")
	if err := os.WriteFile(path, []byte("mine = 1"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := succeed(t, args...); !strings.Contains(r.stdout, path+" is not of halfgrad train and stays") || read(t, path) != "mine = 1" {
			t.Errorf("it holds %q after\n%s", read(t, path), r.stdout)
		}
	}
}

func TestStepsText(t *testing.T) {
	for _, text := range []string{"0-0", "3-7", "5-", ""} {
		var s steps
		if text != "" {
			if err := s.UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.MarshalText(); err != nil || string(got) != text {
			t.Errorf("%s becomes %s, %v", text, got, err)
		}
	}
}
