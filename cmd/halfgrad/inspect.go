package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

type inspectCmd struct {
	Checkpoint string `default:"halfgrad-run" help:"Checkpoint that halfgrad train wrote, or its folder." placeholder:"FILE"`
	dataFlags
	Threads int    `help:"Threads; without it, all cores." placeholder:"N"`
	Kernel  string `default:"auto" help:"Kernel tier: auto, or one that 'halfgrad info' lists." placeholder:"TIER"`
	JSON    bool   `help:"Print a JSON line for each row."`
}

// Help is what --help says beyond the flags.
func (inspectCmd) Help() string {
	return `Takes a batch of training images through the network and back in fp32, where
nothing is lost, and shows for each layer how its values and their gradients would
fit into fp16: the largest, and the shares that round to zero (lost), to a subnormal
of fewer than 11 bits (subn.), or to an infinity (inf.). It shows them at the checkpoint's loss
scale and with none: the difference is what the loss scale is for.`
}

func (c *inspectCmd) Run(ctx context.Context, e *env) error {
	path := checkpointPath(c.Checkpoint)
	s := &session{trainCmd: &trainCmd{Resume: true, Out: filepath.Dir(path), dataFlags: c.dataFlags}, env: e}
	saved, err := readCheckpoint(path, allTensors)
	if err == nil {
		s.settings, err = loadSettings(path, saved)
	}
	if err != nil {
		return usageError{err}
	}
	if s.engine, err = newEngine(c.Kernel, c.Threads); err != nil {
		return err
	}
	if s.images, s.Origin, err = s.loadFor(ctx, e, path, s.settings, trainPart, false); err != nil {
		return err
	}
	if err := s.fitToData(); err != nil {
		return usageError{err}
	}
	if err := s.build(saved); err != nil {
		return err
	}
	all, err := inspect(s.trainer, s.fitted)
	if err != nil {
		return err
	}
	if c.JSON {
		out := json.NewEncoder(e.stdout)
		p := s.trainer.Progress()
		for _, st := range all {
			if err := out.Encode(newLayerEvent(p, st)); err != nil {
				return err
			}
		}
		return nil
	}
	fmt.Fprintf(e.stdout, "%d images, at a loss scale of %v; shares in %%\n\n", min(inspectBatch, s.fitted.Len()), s.scaler.Scale())
	const row = "%-22s%9s%9s%8s%8s%8s%8s%8s\n" // 80 columns
	fmt.Fprintf(e.stdout, row, "", "", "", "", "", "", "with no", "scale:")
	fmt.Fprintf(e.stdout, row, "layer", "not zero", "largest", "lost", "subn.", "inf.", "lost", "subn.")
	percent := func(share float64) string { return fmt.Sprintf("%.2f", 100*share) }
	layer := ""
	for _, st := range all {
		if st.Layer != layer {
			layer = st.Layer
			fmt.Fprintln(e.stdout, layer)
		}
		what := string(st.Kind)
		if st.Name != "" {
			what = "gradient of " + st.Name
		}
		fmt.Fprintf(e.stdout, row, "  "+what, strconv.Itoa(st.Values), fmt.Sprintf("%.2g", st.Max),
			percent(st.Zero), percent(st.Subnormal), percent(st.Overflow), percent(st.UnscaledZero), percent(st.UnscaledSubnormal))
	}
	_, err = fmt.Fprintln(e.stdout, "\nGradients of weights are shown for comparison: they are never rounded to fp16.")
	return err
}

// inspectBatch is the number of images, at most, that an inspection takes.
const inspectBatch = 512

// inspect inspects the first images of a data set.
func inspect(t *trainer.Trainer, ds data.Dataset) ([]trainer.Statistic, error) {
	loader, err := data.NewLoader(ds, data.LoaderConfig{BatchSize: inspectBatch, DType: tensor.F32})
	if err != nil {
		return nil, err
	}
	b, ok := loader.Next()
	if !ok {
		return nil, loader.Err()
	}
	return t.Inspect(b)
}
