package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/trainer"
)

type evalCmd struct {
	Checkpoint string `required:"" help:"Checkpoint that halfgrad train wrote, or its folder." placeholder:"FILE"`
	dataFlags
	Threads int    `help:"Threads; without it, all cores." placeholder:"N"`
	Kernel  string `default:"auto" help:"Kernel tier: auto, or one that 'halfgrad info' lists." placeholder:"TIER"`
	JSON    bool   `help:"Print JSON."`
}

// evaluation is what `halfgrad eval --json` prints.
type evaluation struct {
	TestAccuracy  number `json:"test_accuracy"`
	TestLoss      number `json:"test_loss"` // mean cross-entropy
	Correct       int    `json:"correct"`
	Images        int    `json:"images"`
	Precision     string `json:"precision"`
	Kernel        string `json:"kernel"`
	Threads       int    `json:"threads"`
	WeightsSHA256 string `json:"weights_sha256"`
}

func (c *evalCmd) Run(ctx context.Context, e *env) error {
	if i, err := os.Stat(c.Checkpoint); err == nil && i.IsDir() {
		c.Checkpoint = filepath.Join(c.Checkpoint, checkpointName)
	}
	f, err := checkpoint.Read(c.Checkpoint)
	if err != nil {
		return usageError{err}
	}
	s, err := loadSettings(c.Checkpoint, f)
	if err != nil {
		return usageError{err}
	}
	model, err := s.restored(f)
	if err != nil {
		return usageError{err}
	}
	engine, err := newEngine(c.Kernel, c.Threads)
	if err != nil {
		return err
	}
	images, err := c.load(ctx, e)
	if err != nil {
		return err
	}
	test := images.Test
	if in, out := s.Widths[0], s.Widths[len(s.Widths)-1]; in != test.H*test.W || out != test.Classes {
		return usagef("checkpoint %s is of a network %s: want one from %d to %d for images of %d×%d in %d classes",
			c.Checkpoint, s.network(), test.H*test.W, test.Classes, test.H, test.W, test.Classes)
	}
	m, err := trainer.Evaluate(ctx, &nn.Context{Engine: engine}, model, s.dtype(), test.Standardized(s.Mean, s.Std))
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(evaluation{
			TestAccuracy: number(m.Accuracy()), TestLoss: number(m.Loss), Correct: m.Correct, Images: m.Samples,
			Precision: s.Precision, Kernel: engine.Tier(), Threads: engine.Threads(), WeightsSHA256: trainer.WeightsSHA256(model),
		})
	}
	_, err = fmt.Fprintf(e.stdout, "test accuracy %.4f (%d of %d images), loss %.4f\n", m.Accuracy(), m.Correct, m.Samples, m.Loss)
	return err
}
