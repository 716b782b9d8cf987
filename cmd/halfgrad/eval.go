package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"slices"
	"text/tabwriter"

	"github.com/halfgrad/halfgrad/cmd/halfgrad/internal/figure"
	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/trainer"
)

type evalCmd struct {
	Checkpoint string `default:"halfgrad-run" help:"Checkpoint that halfgrad train wrote, or its folder." placeholder:"FILE"`
	dataFlags
	Threads int    `help:"Threads; without it, all cores." placeholder:"N"`
	Kernel  string `default:"auto" help:"Kernel tier: auto, or one that 'halfgrad info' lists." placeholder:"TIER"`
	JSON    bool   `help:"Print JSON."`

	Confusion string `help:"Draw the confusion matrix: what is taken for what. PNG, SVG or PDF by the name's ending." placeholder:"FILE"`
	Mistakes  string `help:"Draw the images that the network is wrong about, the most confident mistakes first. PNG, SVG or PDF." placeholder:"FILE"`
	Worst     int    `default:"40" help:"How many mistakes --mistakes draws at most." placeholder:"N"`
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

	Classes   []classEvaluation `json:"classes"`
	Confusion [][]int           `json:"confusion,omitempty"` // [label][prediction]: images; not for more than maxConfusion classes
}

// classEvaluation is how well the network does on a class; metric.ClassMetrics
// says what the numbers are.
type classEvaluation struct {
	Class     int     `json:"class"`
	Support   int     `json:"support"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

const (
	maxWorst     = 1000 // mistakes that fit on a sheet
	maxConfusion = 1000 // classes whose confusion matrix is shown
	maxTable     = 40   // classes that all have a line in the table
)

func (c *evalCmd) Run(ctx context.Context, e *env) error {
	for _, f := range []struct{ flag, path string }{{"--confusion", c.Confusion}, {"--mistakes", c.Mistakes}} {
		if f.path == "" {
			continue
		}
		if err := figure.CheckPath(f.path); err != nil {
			return usagef("%s %w", f.flag, err)
		}
	}
	figures := []namedPath{{"--confusion", c.Confusion}, {"--mistakes", c.Mistakes}}
	if err := checkFiles(figures, namedPath{"--checkpoint", checkpointPath(c.Checkpoint)}); err != nil {
		return err
	}
	if c.Worst < 1 || c.Worst > maxWorst {
		return usagef("--worst %d: want 1 to %d", c.Worst, maxWorst)
	}
	s, err := loadNetwork(c.Checkpoint)
	if err != nil {
		return err
	}
	engine, err := newEngine(c.Kernel, c.Threads)
	if err != nil {
		return err
	}
	images, _, err := c.loadFor(ctx, e, c.Checkpoint, s.settings, testPart, true)
	if err != nil {
		return err
	}
	test := images.Test
	if in := s.Widths[0]; in != test.H*test.W {
		return usagef("checkpoint %s is of a network %s: want one from %d inputs for images of %d×%d", c.Checkpoint, s.shape(), test.H*test.W, test.H, test.W)
	}
	if c.Confusion != "" && test.Classes > maxConfusion {
		return usagef("--confusion: there are %d classes: want at most %d", test.Classes, maxConfusion)
	}
	var confused metric.Confusion
	var wrong mistakes
	m, err := trainer.Evaluate(ctx, trainer.Evaluation{Engine: engine, Graph: s.model, Precision: s.dtype(), Loss: s.loss()},
		test.Standardized(s.Mean, s.Std), &confused, &wrong)
	if err != nil {
		return err
	}
	correct, accuracy := m.Samples-len(wrong.all), confused.Value()
	var confusion [][]int
	if confused.Classes() <= maxConfusion {
		confusion = confused.Matrix()
	}
	classes := make([]classEvaluation, confused.Classes())
	for k := range classes {
		r := confused.Class(k)
		classes[k] = classEvaluation{k, r.Support, r.Precision, r.Recall, r.F1}
	}
	if err := c.draw(m.Samples, confusion, classes, &wrong, test); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(evaluation{
			TestAccuracy: number(accuracy), TestLoss: number(m.Loss), Correct: correct, Images: m.Samples,
			Precision: s.Precision, Kernel: engine.Tier(), Threads: engine.Threads(), WeightsSHA256: trainer.WeightsSHA256(s.model),
			Classes: classes, Confusion: confusion,
		})
	}
	shown := classes
	if len(classes) > maxTable {
		shown = worstClasses(classes, maxTable)
		fmt.Fprintf(e.stdout, "of %d classes, %d of those with images, the lowest F1 first; --json has all\n", len(classes), len(shown))
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "class\tsupport\tprecision\trecall\tF1\t")
	for _, k := range shown {
		fmt.Fprintf(w, "%d\t%d\t%.4f\t%.4f\t%.4f\t\n", k.Class, k.Support, k.Precision, k.Recall, k.F1)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if c.Confusion != "" {
		fmt.Fprintf(e.stdout, "wrote %s, the confusion matrix\n", c.Confusion)
	}
	switch {
	case c.Mistakes == "":
	case len(wrong.all) == 0:
		fmt.Fprintf(e.stdout, "wrote %s, but there is no mistake to show\n", c.Mistakes)
	default:
		fmt.Fprintf(e.stdout, "wrote %s, %d of %d mistakes\n", c.Mistakes, min(c.Worst, len(wrong.all)), len(wrong.all))
	}
	_, err = fmt.Fprintf(e.stdout, "test accuracy %.4f (%d of %d images), loss %.4f\n", accuracy, correct, m.Samples, m.Loss)
	return err
}

// draw writes the figures that the flags ask for.
func (c *evalCmd) draw(samples int, confusion [][]int, classes []classEvaluation, wrong *mistakes, test *data.Images) error {
	if c.Confusion != "" {
		var recall, precision []float64
		for _, k := range classes {
			recall, precision = append(recall, k.Recall), append(precision, k.Precision)
		}
		title := fmt.Sprintf("%d of %d images right, %.2f %%", samples-len(wrong.all), samples, 100*float64(samples-len(wrong.all))/float64(samples))
		if err := saveFigure(figure.Confusion(title, confusion, recall, precision), "--confusion", c.Confusion); err != nil {
			return err
		}
	}
	if c.Mistakes == "" {
		return nil
	}
	worst := wrong.worst(c.Worst)
	title := fmt.Sprintf("No mistake in %d images", samples)
	if len(wrong.all) > 0 {
		title = fmt.Sprintf("%d of %d mistakes in %d images, the most confident first", len(worst), len(wrong.all), samples)
	}
	var sheet []figure.Mistake
	for _, p := range worst {
		n := test.H * test.W
		sheet = append(sheet, figure.Mistake{
			Image: &image.Gray{Pix: test.Pixels[p.Index*n : (p.Index+1)*n], Stride: test.W, Rect: image.Rect(0, 0, test.W, test.H)},
			Index: p.Index, Label: p.Label, Class: p.Class, Probability: p.Probability,
		})
	}
	return saveFigure(figure.Mistakes(title, sheet), "--mistakes", c.Mistakes)
}

// worstClasses returns at most n of the classes that have images, the lowest F1 first.
func worstClasses(classes []classEvaluation, n int) []classEvaluation {
	worst := slices.DeleteFunc(slices.Clone(classes), func(k classEvaluation) bool { return k.Support == 0 })
	slices.SortStableFunc(worst, func(a, b classEvaluation) int { return cmp.Compare(a.F1, b.F1) })
	return worst[:min(n, len(worst))]
}
