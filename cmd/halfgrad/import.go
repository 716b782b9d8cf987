package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/alecthomas/kong"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/cmd/halfgrad/internal/runfolder"
	"github.com/halfgrad/halfgrad/interchange"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

type importCmd struct {
	File      string   `arg:"" help:"A PyTorch state dict in a safetensors file, of fp32, fp16, bf16 or float64: Linear layers, with a ReLU between any two." placeholder:"FILE.safetensors"`
	Out       string   `required:"" help:"Folder for checkpoint.safetensors, which halfgrad eval and export take." placeholder:"DIR"`
	Layers    []string `help:"Layers to take, first to last, such as layers.0,layers.1,head. Without it, all, in the order of their names: fc2 comes before fc10." placeholder:"NAME"`
	Mean      *float32 `help:"Mean by which the network's pixels were standardised, from 0 to 1. Without it, what halfgrad export has noted in FILE, or MNIST's, 0.1307; 0 with --std 1 for pixels as they are." placeholder:"M"`
	Std       *float32 `help:"Their standard deviation. Without it, what is noted in FILE, or MNIST's, 0.3081." placeholder:"D"`
	Precision string   `help:"Precision to use the network in: fp16 or fp32. Without it, what is noted in FILE, or fp16." placeholder:"fp16|fp32"`
	Force     bool     `help:"Replace a checkpoint that is there."`
}

// The mean and deviation of the pixels of MNIST's training images, as data computes them.
const (
	mnistMean = 0.13066047
	mnistStd  = 0.3081078
)

// importKey marks a checkpoint of imported weights in its metadata. Its settings are
// those of no training run.
const importKey = "halfgrad.import"

// imported is what importKey holds.
type imported struct {
	File string `json:"file"`
}

func (c *importCmd) Run(e *env) error {
	theirs, err := readTensors(c.File, allTensors)
	if err != nil {
		if torch := interchange.CheckTorch(c.File); torch != nil {
			err = torch
		}
		return usageError{err}
	}
	if _, ours := theirs.Metadata[settingsKey]; ours {
		return usagef("%s is a checkpoint of halfgrad: want a PyTorch state dict", c.File)
	}
	model, err := interchange.FromStateDict(theirs, c.Layers...)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", c.File, err)}
	}
	s, err := c.settings(theirs.Metadata, model)
	if err != nil {
		return usageError{err}
	}
	path := filepath.Join(c.Out, checkpointName)
	if _, err := os.Stat(path); err == nil && !c.Force {
		return usagef("there is a checkpoint %s: want another --out, or --force to replace it", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return usageError{fmt.Errorf("--out: %w", err)}
	}
	if err := checkFiles([]namedPath{{"--out", path}}, namedPath{"the file to import", c.File}); err != nil {
		return err
	}
	folder, err := runfolder.Open(c.Out)
	if err != nil {
		return usageError{fmt.Errorf("--out: %w", err)}
	}
	defer folder.Close()
	f := &checkpoint.File{Metadata: map[string]string{}}
	for _, p := range model.Params() {
		f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, Elements: tensor.Of(p.Master)})
	}
	note, err := json.Marshal(imported{filepath.Base(c.File)})
	if err != nil {
		return err
	}
	f.Metadata[importKey] = string(note)
	if err := errors.Join(s.save(f), s.spec().Note(f)); err != nil {
		return err
	}
	if err := checkpoint.Write(path, f); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "wrote %s: a network %s in %s, for pixels of mean %v and standard deviation %v\n", path, s.shape(), s.Precision, s.Mean, s.Std)
	return err
}

// settings returns the settings of the network. Those of training have the defaults of
// halfgrad train, and no meaning.
func (c *importCmd) settings(metadata map[string]string, model *nn.Graph) (settings, error) {
	s := settings{LR: 0.1, LossScale: "dynamic", Mean: mnistMean, Std: mnistStd}
	if err := kong.ApplyDefaults(&s); err != nil {
		return s, err
	}
	for _, p := range model.Params() {
		if len(p.Shape) != 2 {
			continue // a bias
		}
		if len(s.Widths) == 0 {
			s.Widths = append(s.Widths, p.Shape[0])
		}
		s.Widths = append(s.Widths, p.Shape[1])
	}
	for key, v := range map[string]*float32{meanKey: &s.Mean, stdKey: &s.Std} {
		if text, ok := metadata[key]; ok {
			noted, err := strconv.ParseFloat(text, 32)
			if err != nil {
				return s, fmt.Errorf("%s: %q in its metadata is %q: want a number", c.File, key, text)
			}
			*v = float32(noted)
		}
	}
	if noted, ok := metadata[precisionKey]; ok {
		s.Precision = noted
	}
	if noted, ok := metadata[dataKey]; ok {
		if err := json.Unmarshal([]byte(noted), &s.Origin); err != nil {
			return s, fmt.Errorf("%s: %q in its metadata: %w", c.File, dataKey, err)
		}
		if s.Origin.Place != mnistPlace {
			s.Origin.Place = ""
		}
	}
	if c.Mean != nil {
		s.Mean = *c.Mean
	}
	if c.Std != nil {
		s.Std = *c.Std
	}
	// Pixels from 0 to 1 have no other mean, and a deviation of at most 0.5; 1 leaves
	// them as they are.
	if !(s.Mean >= 0 && s.Mean <= 1 && s.Std > 0 && s.Std <= 1) {
		return s, fmt.Errorf("%s: pixels of mean %v and standard deviation %v: want --mean from 0 to 1, and --std above 0 and at most 1, on the scale where white is 1", c.File, s.Mean, s.Std)
	}
	if c.Precision != "" {
		s.Precision = c.Precision
	}
	if err := s.check(); err != nil {
		return s, fmt.Errorf("%s: %w", c.File, err)
	}
	return s, nil
}

// checkResumable returns an error if a checkpoint is not of a training run.
func checkResumable(path string, f *checkpoint.File) error {
	if text, ok := f.Metadata[importKey]; ok {
		var from imported
		if err := json.Unmarshal([]byte(text), &from); err != nil {
			return fmt.Errorf("checkpoint %s: %q in its metadata: %w", path, importKey, err)
		}
		return fmt.Errorf("--resume: the checkpoint %s holds weights imported from %s, and no training run to continue", path, from.File)
	}
	return nil
}
