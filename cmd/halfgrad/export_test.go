package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/interchange"
	"github.com/halfgrad/halfgrad/tensor"
)

// load reads a safetensors file.
func load(t *testing.T, path string) *checkpoint.File {
	t.Helper()
	f, err := checkpoint.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestExportSafetensors(t *testing.T) {
	args, out := trainArgs(t, smallData(t), "--epochs", "1")
	succeed(t, args...)
	path := filepath.Join(out, checkpointName)
	trained := load(t, path)
	for _, tt := range []struct {
		file  string
		flags []string
		half  bool
	}{
		{filepath.Join(out, "model.safetensors"), nil, false},
		{filepath.Join(out, "model.safetensors"), []string{"--dtype", "fp16"}, true}, // replaces it
		{filepath.Join(out, "deep", "er", "w"), []string{"--dtype", "fp32", "--out", filepath.Join(out, "deep", "er", "w")}, false},
	} {
		r := succeed(t, append([]string{"export", "--checkpoint", path, "--format", "safetensors"}, tt.flags...)...)
		if want := fmt.Sprintf("wrote %s: a network 784-32-10, its weights in fp%d\n", tt.file, map[bool]int{false: 32, true: 16}[tt.half]); r.stdout != want {
			t.Errorf("it says %q, want %q", r.stdout, want)
		}
		f := load(t, tt.file)
		if len(f.Tensors) != 4 {
			t.Errorf("%d tensors, want 4", len(f.Tensors))
		}
		for name, shape := range map[string][]int{"0.weight": {32, 784}, "0.bias": {32}, "2.weight": {10, 32}, "2.bias": {10}} {
			mine, _ := trained.Tensor(name)
			got, ok := f.Tensor(name)
			if !ok || !slices.Equal(got.Shape, shape) || (got.Elements.DType() == tensor.F16) != tt.half {
				t.Fatalf("%s: %v of shape %v, want %v", name, ok, got.Shape, shape)
			}
			rows, cols := shape[0], mine.Elements.Len()/shape[0]
			for i, v := range got.Float32s() {
				want := mine.Elements.F32()[i%cols*rows+i/cols]
				if tt.half {
					want = fp16.FromFloat32(want).Float32()
				}
				if v != want {
					t.Fatalf("%s: element %d is %v, want %v", name, i, v, want)
				}
			}
		}
		s, err := loadSettings(path, trained)
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{
			"format": "pt", "producer": "halfgrad", "precision": "fp16", "pixel_mean": fmt.Sprint(s.Mean), "pixel_std": fmt.Sprint(s.Std),
			"settings": strings.Replace(trained.Metadata[settingsKey], fmt.Sprintf("%q:%q,", "place", s.Origin.Place), "", 1),
			"data":     fmt.Sprintf(`{"train_sha256":%q,"test_sha256":%q}`, s.Origin.Train, s.Origin.Test),
		} {
			if f.Metadata[key] != want {
				t.Errorf("the metadata's %s is %q, want %q", key, f.Metadata[key], want)
			}
		}
	}
}

// The command writes what interchange makes of the network, in the precision of the run
// if there is no other wish.
func TestExportONNX(t *testing.T) {
	for _, tt := range []struct {
		precision string
		flags     []string
		want      tensor.DType
	}{
		{"fp16", nil, tensor.F16},
		{"fp32", nil, tensor.F32},
		{"fp16", []string{"--dtype", "fp32"}, tensor.F32},
		{"fp32", []string{"--dtype", "fp16"}, tensor.F16},
	} {
		args, out := trainArgs(t, smallData(t), "--epochs", "1", "--precision", tt.precision)
		succeed(t, args...)
		succeed(t, append([]string{"export", "--checkpoint", out, "--format", "onnx"}, tt.flags...)...)
		got, err := os.ReadFile(filepath.Join(out, "model.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(out, checkpointName)
		f := load(t, path)
		s, err := loadSettings(path, f)
		if err != nil {
			t.Fatal(err)
		}
		model, err := s.restored(f)
		if err != nil {
			t.Fatal(err)
		}
		want, err := interchange.ONNX(model, interchange.ONNXConfig{Precision: tt.want, Input: "pixels", Mean: s.Mean, Std: s.Std, Metadata: map[string]string{
			"producer": "halfgrad", "precision": tt.precision,
			"settings":   strings.Replace(f.Metadata[settingsKey], fmt.Sprintf("%q:%q,", "place", s.Origin.Place), "", 1),
			"data":       fmt.Sprintf(`{"train_sha256":%q,"test_sha256":%q}`, s.Origin.Train, s.Origin.Test),
			"pixel_mean": fmt.Sprint(s.Mean), "pixel_std": fmt.Sprint(s.Std),
		}})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("a run in %s, exported with %v: not the model in %v", tt.precision, tt.flags, tt.want)
		}
	}
}

func TestBadExport(t *testing.T) {
	args, out := trainArgs(t, smallData(t), "--epochs", "1")
	succeed(t, args...)
	path := filepath.Join(out, checkpointName)
	spoilt := func(v float32) string {
		f := load(t, path)
		w, _ := f.Tensor("2.bias")
		w.Elements.F32()[3] = v
		dir := t.TempDir()
		if err := checkpoint.Write(filepath.Join(dir, checkpointName), f); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Log(err)
		link = path
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"onnx", "safetensors"} {
		for _, tt := range []struct {
			checkpoint string
			flags      []string
			want       []string
		}{
			{filepath.Join(out, "none"), nil, []string{"none", "there is no checkpoint"}},
			{t.TempDir(), nil, []string{checkpointName, "there is no checkpoint"}},
			{out, []string{"--format", "gguf"}, []string{"--format gguf", "safetensors or onnx"}},
			{out, []string{"--dtype", "bf16"}, []string{"--dtype bf16", "fp16 or fp32"}},
			{out, []string{"--out", out}, []string{"--out " + out, "want a file"}},
			{out, []string{"--out", path}, []string{"--out " + path, "is a checkpoint of halfgrad"}},
			{out, []string{"--out", link}, []string{"--out " + link, "is a checkpoint of halfgrad"}},
			{out, []string{"--out", filepath.Join(path, "x")}, []string{"--out", path}},
			{spoilt(float32(math.NaN())), nil, []string{"tensor 2.bias", "NaN at index 3"}},
			{spoilt(1e6), []string{"--dtype", "fp16"}, []string{"tensor 2.bias", "1e+06 at index 3", "fp16"}},
		} {
			r := command(t, append([]string{"export", "--checkpoint", tt.checkpoint, "--format", format}, tt.flags...)...)
			checkUsageError(t, r, tt.want...)
		}
	}
	checkUsageError(t, command(t, "export", "--checkpoint", out), "--format")
	checkUsageError(t, command(t, "export", "--format", "onnx"), "--checkpoint")
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the checkpoint has changed (%v)", err)
	}
	left, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil || !slices.Equal(left, files) {
		t.Errorf("there are %v, were %v, error %v", left, files, err)
	}
}

// Out to a state dict and in again, nothing is lost: in fp32 the weights are the same,
// and from fp16 a network of fp16 computes the same.
func TestExportAndImport(t *testing.T) {
	dir := smallData(t)
	// Layers that are not handed on, and averaged weights, which are.
	args, out := trainArgs(t, dir, "--dropout", "0.1", "--input-dropout", "0.05", "--ema", "0.9")
	succeed(t, args...)
	eval := func(checkpoint string) (e map[string]any) {
		if err := json.Unmarshal([]byte(succeed(t, "eval", "--checkpoint", checkpoint, "--data", dir, "--json").stdout), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	want := eval(out)
	for _, dtype := range []string{"fp32", "fp16"} {
		file, back := filepath.Join(t.TempDir(), "w.safetensors"), filepath.Join(t.TempDir(), "back")
		succeed(t, "export", "--checkpoint", out, "--format", "safetensors", "--dtype", dtype, "--out", file)
		succeed(t, "import", file, "--out", back)
		got := eval(back)
		for key := range want {
			if !cmp.Equal(got[key], want[key]) != (dtype == "fp16" && key == "weights_sha256") {
				t.Errorf("through %s: %s is %v, was %v", dtype, key, got[key], want[key])
			}
		}
		// The network goes on to others as if it had never been away.
		a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
		succeed(t, "export", "--checkpoint", out, "--format", "safetensors", "--dtype", dtype, "--out", a)
		succeed(t, "export", "--checkpoint", back, "--format", "safetensors", "--dtype", dtype, "--out", b)
		for theirs, ours := range map[string]string{"0.weight": "1.weight", "0.bias": "1.bias", "2.weight": "4.weight", "2.bias": "4.bias"} {
			was, there := load(t, a).Tensor(ours)
			if is, ok := load(t, b).Tensor(theirs); !ok || !there || !slices.Equal(is.Float32s(), was.Float32s()) {
				t.Errorf("through %s: %s has changed", dtype, ours)
			}
		}
	}
	if r := succeed(t, "export", "--help"); !strings.Contains(r.stdout, "--format") || !strings.Contains(r.stdout, "--dtype") {
		t.Errorf("export --help:\n%s", r.stdout)
	}
}
