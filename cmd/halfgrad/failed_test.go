package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/checkpoint"
)

// lastEvent returns the last line of a metrics file.
func lastEvent(t *testing.T, path string) map[string]any {
	t.Helper()
	all := events(t, path)
	return all[len(all)-1]
}

// A run that diverges says where on one line, fails, notes it in the metrics, and saves
// no weights that are not finite, neither as the best nor at all.
func TestDiverged(t *testing.T) {
	dir := smallData(t)
	for _, tt := range []struct {
		precision, rate string
		where           string
	}{
		{"fp16", "1e38", "too large for fp16"}, {"fp32", "1e38", "the run has diverged"}, {"fp16", "1e30", "too large for fp16"},
		{"fp32", "1e10", "loss is"},
	} {
		for _, limit := range []string{"1", "2", "100"} {
			if tt.precision == "fp32" && limit == "1" {
				continue // its weights may be finite
			}
			metrics := filepath.Join(t.TempDir(), "m.jsonl")
			args, out := trainArgs(t, dir, "--precision", tt.precision, "--lr", tt.rate, "--schedule", "constant", "--epochs", "40", "--max-steps", limit, "--metrics", metrics)
			r := command(t, args...)
			if r.code != exitFailed || strings.Count(r.stderr, "\n") != 1 || strings.Contains(r.stdout, "0.0000") {
				t.Errorf("%v, %s steps: exit code %d: %s%s", tt, limit, r.code, r.stderr, r.stdout)
			}
			for _, want := range []string{"step ", tt.where, "try a lower --lr than"} {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("%v, %s steps: no %q in %s", tt, limit, want, r.stderr)
				}
			}
			if e := lastEvent(t, metrics); e["event"] != "error" || !strings.Contains(e["error"].(string), tt.where) || e["steps"].(float64) > 2 {
				t.Errorf("%v, %s steps: the metrics end with %v", tt, limit, e)
			}
			if files, err := filepath.Glob(filepath.Join(out, "*.safetensors")); err != nil || len(files) > 0 {
				t.Errorf("%v, %s steps: there are %v, %v", tt, limit, files, err)
			}
		}
	}
}

// A divergence after some epochs leaves their checkpoint, which the error names.
func TestDivergedLater(t *testing.T) {
	dir := smallData(t)
	metrics := filepath.Join(t.TempDir(), "m.jsonl")
	args, out := trainArgs(t, dir, "--epochs", "3", "--metrics", metrics)
	succeed(t, args...)
	path := filepath.Join(out, checkpointName)
	f, err := checkpoint.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	const rate = `"lr":0.05,`
	if text := f.Metadata[settingsKey]; strings.Count(text, rate) != 1 {
		t.Fatalf("no %s in %s", rate, text)
	}
	f.Metadata[settingsKey] = strings.Replace(f.Metadata[settingsKey], rate, `"lr":1e38,`, 1)
	if err := checkpoint.Write(path, f); err != nil {
		t.Fatal(err)
	}
	r := command(t, "train", "--data", dir, "--out", out, "--resume", "--epochs", "5", "--metrics", metrics)
	if r.code != exitFailed || !strings.Contains(r.stderr, "; the last checkpoint is "+path) {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	if e := lastEvent(t, metrics); e["event"] != "error" || e["epochs"] != 3.0 {
		t.Errorf("the metrics end with %v", e)
	}
	weightsHash(t, out)
	succeed(t, "plot", metrics, "--out", filepath.Join(t.TempDir(), "p.svg"))
}

// Checkpoints of weights that are not finite are refused by all who would use them.
func TestCheckpointIsNotFinite(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir)
	succeed(t, args...)
	path := filepath.Join(out, checkpointName)
	f, err := checkpoint.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(f.Tensors, func(t checkpoint.Tensor) bool { return t.Name == "2.weight" })
	f.Tensors[i].Elements.F32()[5] = float32(math.Inf(1))
	if err := checkpoint.Write(path, f); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(t.TempDir(), "none.png")
	for _, args := range [][]string{
		{"eval", "--checkpoint", out, "--data", dir}, {"inspect", "--checkpoint", out, "--data", dir}, {"predict", "--checkpoint", out, picture},
		{"export", "--checkpoint", out, "--format", "onnx"}, {"train", "--data", dir, "--out", out, "--resume", "--epochs", "9"},
		{"train", "--data", dir, "--out", t.TempDir(), "--hidden", "32", "--init", out},
	} {
		checkUsageError(t, command(t, args...), "tensor 2.weight has +Inf at index 5")
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the checkpoint has changed, %v", err)
	}
}
