package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contents returns the files below dir, with what is in them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			all[path] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Outputs that would destroy each other, or what is not theirs, are refused before
// anything changes.
func TestOutputsAreDistinct(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--epochs", "1")
	succeed(t, args...)
	notes := fileWith(t, "notes.txt", "dear diary")
	config := fileWith(t, "c.toml", "seed = 2")
	if err := os.Symlink(filepath.Join(out, checkpointName), filepath.Join(out, "link")); err != nil {
		t.Skip(err)
	}
	before := contents(t, out)
	for _, tt := range [][]string{
		{"--metrics", filepath.Join(out, checkpointName)},
		{"--metrics", filepath.Join(out, ".", "..", filepath.Base(out), bestName)},
		{"--metrics", filepath.Join(out, "run.toml")},
		{"--metrics", filepath.Join(out, "link")},
		{"--metrics", config, "--config", config},
		{"--metrics", notes},
		{"--metrics", filepath.Join(dir, "train-labels-idx1-ubyte")},
		{"--metrics", out},
		{"--metrics", filepath.Join(out, "none", "m")},
		{"--metrics", filepath.Join(out, "x"), "--tensorboard", filepath.Join(out, "x")},
		{"--tensorboard", notes},
	} {
		checkUsageError(t, command(t, append(slices.Clone(args), tt...)...), tt[0])
		if diff := cmp.Diff(before, contents(t, out)); diff != "" {
			t.Errorf("%v changed\n%s", tt, diff)
		}
	}
	if read(t, notes) != "dear diary" {
		t.Error("the notes are gone")
	}
	// In a new folder, too.
	fresh, out2 := trainArgs(t, dir)
	checkUsageError(t, command(t, append(fresh, "--metrics", filepath.Join(out2, checkpointName))...), "--out and --metrics are both")

	figure := filepath.Join(t.TempDir(), "f.png")
	checkUsageError(t, command(t, "eval", "--data", dir, "--checkpoint", out, "--confusion", figure, "--mistakes", figure), "--confusion and --mistakes are both "+figure)
	if _, err := os.Stat(figure); err == nil {
		t.Error("there is a figure")
	}
}

// The event files of a run, in one piece and in two.
func TestTensorboard(t *testing.T) {
	dir := smallData(t)
	size := func(folder string, files int) (sizes []int64) {
		found, err := filepath.Glob(filepath.Join(folder, "events.out.tfevents.*"))
		if err != nil || len(found) != files {
			t.Fatalf("event files %v, %v, want %d", found, err, files)
		}
		for _, path := range found {
			text := read(t, path)
			for _, tag := range []string{"step/loss", "step/learning_rate", "step/loss_scale", "step/skipped"} {
				if !strings.Contains(text, tag) {
					t.Errorf("no %s in %s", tag, path)
				}
			}
			sizes = append(sizes, int64(len(text)))
		}
		return sizes
	}
	board := filepath.Join(t.TempDir(), "runs", "a")
	args, _ := trainArgs(t, dir, "--tensorboard", board, "--inject-overflow", "3")
	succeed(t, args...)
	every := size(board, 1)[0]
	for _, path := range filesIn(t, board) {
		text := read(t, filepath.Join(board, path))
		for _, tag := range []string{"epoch/train_loss", "epoch/validation_loss", "epoch/validation_accuracy", "epoch/test_accuracy", "epoch/images_per_sec"} {
			if n := strings.Count(text, tag); n != 3 {
				t.Errorf("%d of %s, want 3", n, tag)
			}
		}
		if n := strings.Count(text, "step/loss_scale"); n != 54 {
			t.Errorf("%d steps, want 54", n)
		}
	}
	fewer := filepath.Join(t.TempDir(), "b")
	args, _ = trainArgs(t, dir, "--tensorboard", fewer, "--log-every", "10")
	succeed(t, args...)
	if n := size(fewer, 1)[0]; n > every/2 {
		t.Errorf("%d bytes of every tenth step, %d of every step", n, every)
	}
	pieces := filepath.Join(t.TempDir(), "c")
	args, out := trainArgs(t, dir, "--tensorboard", pieces, "--max-steps", "7")
	succeed(t, args...)
	succeed(t, "train", "--resume", "--data", dir, "--out", out, "--tensorboard", pieces)
	steps := 0
	size(pieces, 2)
	for _, path := range filesIn(t, pieces) {
		steps += strings.Count(read(t, filepath.Join(pieces, path)), "step/loss_scale")
	}
	if steps != 54 {
		t.Errorf("%d steps in both pieces, want 54", steps)
	}
	if full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
		full.Close()
		checkUsageError(t, command(t, append(args, "--tensorboard", "/dev/full")...), "--tensorboard")
	}
}
