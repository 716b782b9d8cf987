package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/interchange"
	"github.com/halfgrad/halfgrad/internal/files"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

type exportCmd struct {
	Checkpoint string `default:"halfgrad-run" help:"Checkpoint that halfgrad train or import wrote, or its folder." placeholder:"FILE"`
	Format     string `required:"" help:"safetensors: a state dict of PyTorch's torch.nn.Sequential. onnx: a model for inference, of pixels from 0 to 1." placeholder:"safetensors|onnx"`
	DType      string `name:"dtype" help:"fp32 or fp16. Without it, fp32 for safetensors, with which nothing is lost, and the precision of the run for onnx, which then computes what halfgrad does." placeholder:"fp16|fp32"`
	Out        string `help:"The file to write; one that is there is replaced. Without it, model.safetensors or model.onnx beside the checkpoint." placeholder:"FILE"`
}

func (c *exportCmd) Run(e *env) error {
	path := checkpointPath(c.Checkpoint)
	s, err := loadNetwork(path)
	if err != nil {
		return err
	}
	if c.Format != "safetensors" && c.Format != "onnx" {
		return usagef("--format %s: want safetensors or onnx", c.Format)
	}
	dtype := tensor.F32
	if c.Format == "onnx" {
		dtype = s.dtype()
	}
	if c.DType != "" {
		if dtype, err = tensor.ParseDType(c.DType); err != nil {
			return usagef("--dtype %s: want fp16 or fp32", c.DType)
		}
	}
	out := c.Out
	if out == "" {
		out = filepath.Join(filepath.Dir(path), "model."+c.Format)
	}
	if there, err := checkpoint.ReadHeader(out); err == nil && there.Metadata[settingsKey] != "" {
		return usagef("--out %s is a checkpoint of halfgrad: want another file", out)
	}
	if err := checkFiles([]namedPath{{"--out", out}}, namedPath{"--checkpoint", path}); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return usageError{fmt.Errorf("--out: %w", err)}
	}
	metadata, err := s.exported(s.file)
	if err != nil {
		return err
	}
	if err := export(out, c.Format, s.model, dtype, s.settings, metadata); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "wrote %s: a network %s, its weights in %v\n", out, s.shape(), dtype)
	return err
}

// export writes the file path. An error in the weights is one in the user's input.
func export(path, format string, model *nn.Graph, dtype tensor.DType, s settings, metadata map[string]string) error {
	if format == "onnx" {
		b, err := interchange.ONNX(model, interchange.ONNXConfig{Precision: dtype, Input: "pixels", Mean: s.Mean, Std: s.Std, Metadata: metadata})
		if err != nil {
			return usageError{err}
		}
		return files.WriteFile(path, b)
	}
	f, err := interchange.StateDict(model, dtype)
	if err != nil {
		return usageError{err}
	}
	maps.Copy(f.Metadata, metadata)
	return checkpoint.Write(path, f)
}

// The keys of an exported file's metadata. The network is for pixels from 0 to 1, less
// the mean, divided by the deviation. dataKey has the digests of its data, see origin.
const (
	meanKey      = "pixel_mean"
	stdKey       = "pixel_std"
	precisionKey = "precision"
	dataKey      = "data"
)

// exported returns the metadata of a file made of the checkpoint. It names MNIST, but no
// folder of this machine, which is nobody else's business.
func (s settings) exported(f *checkpoint.File) (map[string]string, error) {
	if s.Origin.Place != mnistPlace {
		s.Origin.Place = ""
	}
	if s.Std == 0 { // that of images of a single colour, which counts as 1
		s.Std = 1
	}
	metadata := map[string]string{
		"producer": "halfgrad", precisionKey: s.Precision, meanKey: fmt.Sprint(s.Mean), stdKey: fmt.Sprint(s.Std),
	}
	add := func(key string, value any) error {
		b, err := json.Marshal(value)
		metadata[key] = string(b)
		return err
	}
	if s.Origin != (origin{}) {
		if err := add(dataKey, s.Origin); err != nil {
			return nil, err
		}
	}
	if _, ok := f.Metadata[importKey]; !ok { // trained here
		if err := add("settings", s); err != nil {
			return nil, err
		}
	}
	return metadata, nil
}
