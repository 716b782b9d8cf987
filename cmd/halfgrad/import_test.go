package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/internal/datatest"
	"github.com/halfgrad/halfgrad/tensor"
)

// foreign writes a state dict with the given tensors, of random-looking elements.
func foreign(t *testing.T, metadata map[string]string, tensors ...checkpoint.Tensor) string {
	t.Helper()
	for i, w := range tensors {
		n := 1
		for _, d := range w.Shape {
			n *= d
		}
		if w.Elements.DType() == 0 {
			values := make([]float32, n)
			for j := range values {
				values[j] = float32((7*j+3*i)%11-5) / 64
			}
			tensors[i].Elements = tensor.Of(values)
		}
	}
	path := filepath.Join(t.TempDir(), "theirs.safetensors")
	if err := checkpoint.Write(path, &checkpoint.File{Metadata: metadata, Tensors: tensors}); err != nil {
		t.Fatal(err)
	}
	return path
}

func tensorOf(name string, shape ...int) checkpoint.Tensor {
	return checkpoint.Tensor{Name: name, Shape: shape}
}

func TestImport(t *testing.T) {
	head := tensorOf("head.weight", 10, 16)
	head.Elements = tensor.Make(tensor.F16, 160)
	head.Elements.F16()[1] = 0x3c00 // 1, at [0, 1]
	file := foreign(t, nil, tensorOf("body.weight", 16, 784), tensorOf("body.bias", 16), head, tensorOf("step", 1))
	out := filepath.Join(t.TempDir(), "new", "folder")
	r := succeed(t, "import", file, "--out", out, "--layers", "body,head", "--precision", "fp32", "--mean", "0.25", "--std", "0.5")
	path := filepath.Join(out, checkpointName)
	if want := "wrote " + path + ": a network 784-16-10 in fp32, for pixels of mean 0.25 and standard deviation 0.5\n"; r.stdout != want {
		t.Errorf("it says %q, want %q", r.stdout, want)
	}
	f := load(t, path)
	s, err := loadSettings(path, f)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Widths, []int{784, 16, 10}) || s.Precision != "fp32" || s.Mean != 0.25 || s.Std != 0.5 {
		t.Errorf("settings %+v", s)
	}
	theirs, _ := load(t, file).Tensor("body.weight")
	body, _ := f.Tensor("0.weight")
	if !slices.Equal(body.Shape, []int{784, 16}) || body.Elements.F32()[5*16+3] != theirs.Elements.F32()[3*784+5] {
		t.Errorf("0.weight is of the shape %v", body.Shape)
	}
	last, _ := f.Tensor("2.weight")
	none, _ := f.Tensor("2.bias")
	if !slices.Equal(last.Shape, []int{16, 10}) || last.Elements.F32()[10] != 1 || !slices.Equal(none.Elements.F32(), make([]float32, 10)) {
		t.Errorf("2.weight %v, 2.bias %v", last, none)
	}
	dir := smallData(t)
	succeed(t, "eval", "--checkpoint", out, "--data", dir).accuracy(t)
	succeed(t, "export", "--checkpoint", out, "--format", "onnx")
	succeed(t, "export", "--checkpoint", out, "--format", "safetensors")
	handedOn := load(t, filepath.Join(out, "model.safetensors"))
	if told, ok := handedOn.Metadata["settings"]; ok || handedOn.Metadata[precisionKey] != "fp32" {
		t.Errorf("it tells of a training run that was not: %s, in %s", told, handedOn.Metadata[precisionKey])
	}

	// Training may begin with it. It is no training run itself, and it is not lost by accident.
	args, _ := trainArgs(t, dir, "--init", path, "--hidden", "16", "--precision", "fp32", "--epochs", "1")
	succeed(t, args...)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	checkUsageError(t, command(t, "train", "--resume", "--out", out, "--data", dir), "--resume", path, "imported from theirs.safetensors", "no training run")
	small := foreign(t, nil, tensorOf("weight", 10, 784))
	checkUsageError(t, command(t, "import", small, "--out", out), path, "--force")
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the checkpoint has changed (%v)", err)
	}
	succeed(t, "import", small, "--out", out, "--force")
	if s, err := loadSettings(path, load(t, path)); err != nil || s.shape() != "784-10" || s.Precision != "fp16" {
		t.Errorf("settings %+v, error %v", s, err)
	}
}

// Flags come before what the file says, and that before MNIST's measures.
func TestImportedPixels(t *testing.T) {
	noted := map[string]string{"pixel_mean": "0.5", "pixel_std": "0.125", "precision": "fp32"}
	for _, tt := range []struct {
		metadata  map[string]string
		flags     []string
		mean, std float32
		precision string
	}{
		{nil, nil, mnistMean, mnistStd, "fp16"},
		{map[string]string{"format": "pt"}, []string{"--mean", "0", "--std", "1"}, 0, 1, "fp16"},
		{noted, nil, 0.5, 0.125, "fp32"},
		{noted, []string{"--mean", "0.1307", "--precision", "fp16"}, 0.1307, 0.125, "fp16"},
		{nil, []string{"--std", "0.5"}, mnistMean, 0.5, "fp16"},
	} {
		out := t.TempDir()
		succeed(t, append([]string{"import", foreign(t, tt.metadata, tensorOf("fc.weight", 2, 3)), "--out", out}, tt.flags...)...)
		path := filepath.Join(out, checkpointName)
		s, err := loadSettings(path, load(t, path))
		if err != nil || s.Mean != tt.mean || s.Std != tt.std || s.Precision != tt.precision {
			t.Errorf("%v, %v: mean %v, deviation %v, in %s, error %v", tt.metadata, tt.flags, s.Mean, s.Std, s.Precision, err)
		}
	}
}

func TestMNISTsMeasures(t *testing.T) {
	if mean, std := datatest.MNIST(t).Train.MeanStd(); mean != mnistMean || std != mnistStd {
		t.Errorf("MNIST's mean and deviation are %v and %v, not %v and %v", mean, std, mnistMean, mnistStd)
	}
}

func TestBadImport(t *testing.T) {
	good := foreign(t, nil, tensorOf("fc1.weight", 4, 6), tensorOf("fc2.weight", 2, 4))
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	infinite := tensorOf("fc.bias", 1)
	infinite.Elements = tensor.Of([]float32{float32(math.Inf(1))})
	args, run := trainArgs(t, smallData(t), "--epochs", "1")
	succeed(t, args...)
	for _, tt := range []struct {
		file  string
		flags []string
		want  []string
	}{
		{filepath.Join(t.TempDir(), "none"), nil, []string{"none", "no such file"}},
		{empty, nil, []string{empty, "not a safetensors file"}},
		{fileWith(t, "net.pt", "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."), nil, []string{"net.pt is a file of torch.save", `safetensors.torch.save_file(torch.load("net.pt"`}},
		{filepath.Join(run, checkpointName), nil, []string{run, "is a checkpoint of halfgrad"}},
		{foreign(t, nil, tensorOf("conv1.weight", 4, 1, 3, 3)), nil, []string{"theirs.safetensors", "conv1.weight", "[4 1 3 3]", "[out, in]"}},
		{foreign(t, nil, tensorOf("fc1.weight", 4, 6), tensorOf("fc2.weight", 2, 5)), nil, []string{"fc2.weight", "[2 5]", "want [2 4]"}},
		{foreign(t, nil, tensorOf("fc.weight", 1, 2), infinite), nil, []string{"fc.bias", "+Inf at index 0"}},
		{foreign(t, nil, tensorOf("fc.weight", 1<<16+1, 1)), nil, []string{"network 1-65537"}},
		{foreign(t, map[string]string{"pixel_mean": "grey"}, tensorOf("fc.weight", 1, 2)), nil, []string{"theirs.safetensors", `"pixel_mean"`, `"grey"`}},
		{good, []string{"--layers", "fc1,fc3"}, []string{"tensor fc3.weight is not there"}},
		{good, []string{"--layers", "fc2,fc1"}, []string{"fc1.weight", "order fc2, fc1"}},
		{good, []string{"--mean", "nan"}, []string{"mean NaN"}},
		{good, []string{"--std", "-1"}, []string{"standard deviation -1"}},
		{good, []string{"--std", "0"}, []string{"theirs.safetensors", "standard deviation 0", "--std above 0 and at most 1"}},
		{good, []string{"--std", "78.6"}, []string{"standard deviation 78.6", "where white is 1"}},
		{good, []string{"--mean", "5"}, []string{"mean 5", "--mean from 0 to 1"}},
		{good, []string{"--mean", "-0.1"}, []string{"mean -0.1", "--mean from 0 to 1"}},
		{foreign(t, map[string]string{"data": "MNIST"}, tensorOf("fc.weight", 1, 2)), nil, []string{"theirs.safetensors", `"data" in its metadata`}},
		{good, []string{"--std", "wide"}, []string{"--std", "wide"}},
		{good, []string{"--precision", "int8"}, []string{"--precision int8"}},
		{good, []string{"--out", good}, []string{"--out", good}},
	} {
		out := filepath.Join(t.TempDir(), "out")
		flags := tt.flags
		if !slices.Contains(flags, "--out") {
			flags = append([]string{"--out", out}, flags...)
		}
		checkUsageError(t, command(t, append([]string{"import", tt.file}, flags...)...), tt.want...)
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%v: there is a folder %s", tt.want, out)
		}
	}
	checkUsageError(t, command(t, "import", good), "--out")
	checkUsageError(t, command(t, "import", "--out", t.TempDir()), "<file>")
}
