package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A run into the folder of another keeps that one, whole and usable, and nobody
// else's files move.
func TestEarlierRunIsKept(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--keep", "1")
	metrics := filepath.Join(out, "metrics.jsonl")
	args = append(args, "--metrics", metrics)
	if r := succeed(t, args...); strings.Contains(r.stdout, "kept") {
		t.Errorf("the first run says\n%s", r.stdout)
	}
	succeed(t, "export", "--checkpoint", out, "--format", "onnx")
	succeed(t, "export", "--checkpoint", out, "--format", "safetensors")
	first, events1 := weightsHash(t, out), read(t, metrics)
	theirs := map[string]string{"notes.txt": "mine", "epoch-mine.safetensors": "mine", "epoch-1.safetensors": "mine"}
	for name, text := range theirs {
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	earlier := filepath.Join(out, "earlier-1")
	r := succeed(t, append(args, "--seed", "2")...)
	if !strings.HasPrefix(r.stdout, "kept the earlier run in "+earlier+"\n") {
		t.Errorf("the second run says\n%s", r.stdout)
	}
	if weightsHash(t, earlier) != first || read(t, filepath.Join(earlier, "metrics.jsonl")) != events1 {
		t.Error("the run that was kept is another")
	}
	for _, name := range []string{"best.safetensors", "epoch-0003.safetensors", "model.onnx", "model.safetensors"} {
		if !slices.Contains(filesIn(t, earlier), name) {
			t.Errorf("no %s among %v", name, filesIn(t, earlier))
		}
	}
	if got := filesIn(t, out); slices.Contains(got, "model.onnx") || slices.Contains(got, "model.safetensors") {
		t.Errorf("exports of the earlier run beside the new checkpoint: %v", got)
	}
	for name, text := range theirs {
		if read(t, filepath.Join(out, name)) != text {
			t.Errorf("%s has changed", name)
		}
	}
	succeed(t, "eval", "--data", dir, "--checkpoint", earlier)

	// The next one has a number of its own.
	second := weightsHash(t, out)
	succeed(t, append(args, "--seed", "3")...)
	if weightsHash(t, earlier) != first || weightsHash(t, filepath.Join(out, "earlier-2")) != second {
		t.Error("want the first and the second run in earlier-1 and earlier-2")
	}

	// With --overwrite it is replaced, but for files of others.
	succeed(t, "export", "--checkpoint", out, "--format", "onnx")
	r = succeed(t, append(args, "--seed", "4", "--overwrite")...)
	if strings.Contains(r.stdout, "kept") || !strings.Contains(r.stdout, "model.onnx is of the checkpoint before") {
		t.Errorf("with --overwrite it says\n%s", r.stdout)
	}
	if got := filesIn(t, out); slices.Contains(got, "earlier-3") || !slices.Contains(got, "notes.txt") {
		t.Errorf("with --overwrite there are %v", got)
	}
	checkUsageError(t, command(t, append(args, "--overwrite", "--resume")...), "--resume and --overwrite")
}

// A run that was interrupted can be continued where it was moved.
func TestUnfinishedRunIsKept(t *testing.T) {
	dir := smallData(t)
	args, whole := trainArgs(t, dir)
	succeed(t, args...)
	args, out := trainArgs(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if code := run(ctx, args, &env{stdout: &cancelAfter{text: "epoch 2/3", cancel: cancel}, stderr: io.Discard}); code != exitInterrupted {
		t.Fatalf("exit code %d", code)
	}
	earlier := filepath.Join(out, "earlier-1")
	r := succeed(t, args...)
	if want := "kept the earlier run in " + earlier + ", unfinished after 2 of 3 epochs; go on with it by: halfgrad train --resume --out " + earlier + " --data " + dir + "\n"; !strings.HasPrefix(r.stdout, want) {
		t.Errorf("it says\n%s, want\n%s", r.stdout, want)
	}
	succeed(t, "train", "--resume", "--data", dir, "--out", earlier)
	if weightsHash(t, earlier) != weightsHash(t, whole) {
		t.Error("continued, it ends in other weights")
	}
}

// What a job scheduler starts over and over is one run.
func TestResumeAuto(t *testing.T) {
	dir := smallData(t)
	args, whole := trainArgs(t, dir, "--dropout", "0.1")
	succeed(t, args...)
	args, out := trainArgs(t, dir, "--dropout", "0.1", "--resume=auto")
	for i, want := range []string{"started  anew: there is no run in " + out, "resumed  after 0 epochs and 7 batches", "resumed  after 0 epochs and 15 batches", "resumed  after 3 epochs"} {
		steps := []string{"7", "15", "1000", "1000"}[i]
		if r := succeed(t, append(args, "--max-steps", steps)...); !strings.Contains(r.stdout, want) || strings.Contains(r.stdout, "kept") {
			t.Errorf("start %d does not say %q:\n%s", i, want, r.stdout)
		}
	}
	if weightsHash(t, out) != weightsHash(t, whole) {
		t.Error("the pieces end in other weights than the whole")
	}
	// Other settings are refused as by --resume, and so is a damaged checkpoint.
	checkUsageError(t, command(t, append(args, "--lr", "0.07")...), "--lr is 0.05 in the checkpoint")
	if err := os.WriteFile(filepath.Join(out, checkpointName), []byte("junk"), 0o644); err != nil {
		t.Fatal(err)
	}
	checkUsageError(t, command(t, args...), checkpointName)

	// A recipe belongs to the start.
	args, _ = trainArgs(t, dir, "--recipe", "mnist", "--resume=auto")
	succeed(t, append(args, "--max-steps", "5")...)
	succeed(t, append(args, "--max-steps", "9")...)

	for _, mode := range []string{"never", "", "1"} {
		checkUsageError(t, command(t, "train", "--resume="+mode), "--resume", "want --resume or --resume=auto")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(b))
}
