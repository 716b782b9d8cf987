package figure

import (
	"fmt"
	"image/color"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The measures of the figure of runs.
const (
	runsWidth   vg.Length = 720
	margin      vg.Length = 14
	panelHeight vg.Length = 165
	headHeight  vg.Length = 24 // of a panel: its title and what its lines are
	titleSize   vg.Length = 10
	maxRows               = 256 // of the chart of underflows: more make a PNG beyond memory
)

// Runs draws the course of training runs, one over the other, each in its
// colour: panels of the loss, the accuracy, the loss scale, the skipped steps, the
// gradient's norm, the learning rate and the speed, as far as the files tell of them,
// and of the gradients' underflow layer by layer. Runs without a whole epoch are
// drawn over steps whatever a is.
func Runs(runs []*Run, a Axis) (*Figure, error) {
	if len(runs) < 1 || len(runs) > MaxRuns {
		return nil, fmt.Errorf("%d runs: want 1 to %d, one for each colour", len(runs), MaxRuns)
	}
	for _, r := range runs {
		if a == Epochs && !r.hasEpochs() {
			a = Steps
		}
	}
	end := 0.0
	for _, r := range runs {
		if a == Steps && !r.hasSteps() {
			return nil, fmt.Errorf("%s: it does not tell at which steps its epochs ended: it can be drawn over epochs, and together with runs of whole epochs", r.Name)
		}
		end = max(end, r.end(a))
	}
	if end == 0 {
		end = 1
	}
	panels := panelsOf(runs, a)
	names := shortNames(runs)

	const columns = 2
	rows := (len(panels) + columns - 1) / columns
	heading := newHeading(runs, names, panels)
	losses := underflowRows(runs)
	if len(losses) > maxRows {
		return nil, fmt.Errorf("statistics of %d layers and kinds of gradients: want at most %d", len(losses), maxRows)
	}
	top := margin + heading.height()
	charts := vg.Length(rows) * (headHeight + panelHeight)
	height := top + charts + underflowHeight(losses) + margin
	return &Figure{width: runsWidth, height: height, draw: func(c draw.Canvas) {
		fill(c, color.White, c.Min.X, c.Min.Y, c.Max.X, c.Max.Y)
		c = draw.Crop(c, margin, -margin, margin, -margin)
		heading.draw(c)
		drawPanels(draw.Crop(c, 0, 0, c.Max.Y-c.Min.Y-(top-margin)-charts, -(top-margin)), panels, columns, a, end, len(runs) == 1)
		drawUnderflow(c, losses)
	}}, nil
}

// panelsOf returns the panels that the runs have something for.
func panelsOf(runs []*Run, a Axis) (panels []panel) {
	var loss, accuracy, scales, skips, norms, rates, speeds []curve
	var losses, gradients []float64
	add := func(to *[]curve, c curve) {
		if len(c.points) > 0 {
			*to = append(*to, c)
		}
	}
	values := func(s []point) (v []float64) {
		for _, p := range s {
			v = append(v, p.y)
		}
		return v
	}
	for i, r := range runs {
		base := curve{color: palette[i]}
		with := func(s []point, change func(*curve)) curve {
			c := base
			c.points = s
			change(&c)
			return c
		}
		batches := thin(r.series(a, "step", func(l line) *float64 { return l.Loss }))
		train := r.series(a, "epoch", func(l line) *float64 { return l.TrainLoss })
		validation := r.series(a, "epoch", func(l line) *float64 { return l.ValidationLoss })
		losses = slices.Concat(losses, values(batches), values(train), values(validation))
		add(&loss, with(batches, func(c *curve) { c.label, c.faint = "batch", true }))
		add(&loss, with(train, func(c *curve) { c.label, c.dashed, c.marks = "training", true, true }))
		add(&loss, with(validation, func(c *curve) { c.label, c.marks = "validation", true }))
		add(&accuracy, with(percent(r.series(a, "epoch", func(l line) *float64 { return l.ValidationAccuracy })),
			func(c *curve) { c.label, c.marks = "validation", true }))
		add(&accuracy, with(percent(r.series(a, "epoch", func(l line) *float64 { return l.TestAccuracy })),
			func(c *curve) { c.label, c.dashed, c.marks = "test", true, true }))
		if s := r.lossScales(a); slices.ContainsFunc(s, func(p point) bool { return p.y != 1 }) { // not off
			s = append(s, point{r.end(a), s[len(s)-1].y})
			add(&scales, with(s, func(c *curve) { c.stairs, c.under = true, len(runs)-1-i }))
			add(&scales, with(r.series(a, "skip", func(l line) *float64 {
				if l.LossScale == nil || *l.LossScale <= 0 {
					return nil
				}
				return l.LossScale
			}), func(c *curve) { c.label, c.cross = "skipped step", true }))
		}
		if s := r.skipped(a); len(s) > 0 {
			s = append(append([]point{{0, 0}}, s...), point{r.end(a), s[len(s)-1].y})
			add(&skips, with(s, func(c *curve) { c.stairs = true }))
		} else {
			add(&skips, with([]point{{0, 0}, {r.end(a), 0}}, func(c *curve) { c.stairs = true }))
		}
		norm := thin(r.series(a, "step", func(l line) *float64 { return l.GradNorm }))
		gradients = slices.Concat(gradients, values(norm))
		add(&norms, with(norm, func(c *curve) { c.faint = len(norm) > 100 }))
		var rate []point
		for _, event := range []string{"step", "rate", "epoch"} {
			rate = append(rate, r.series(a, event, func(l line) *float64 { return l.LearningRate })...)
		}
		slices.SortStableFunc(rate, byX)
		if r.rate > 0 && len(rate) > 0 && rate[0].x > 0 {
			rate = append([]point{{0, r.rate}}, rate...)
		}
		add(&rates, with(rate, func(c *curve) { c.marks, c.under = len(rate) <= 30, len(runs)-1-i }))
		add(&speeds, with(r.series(a, "epoch", func(l line) *float64 { return l.ImagesPerSec }), func(c *curve) { c.marks = true }))
	}
	if !slices.ContainsFunc(skips, func(c curve) bool { return c.points[len(c.points)-1].y > 0 }) {
		skips = nil // nothing to see
	}
	for _, p := range []panel{
		{title: "Loss", scale: logarithmic(losses), curves: loss},
		{title: "Accuracy", scale: linear(" %"), curves: accuracy, top: 100},
		{title: "Loss scale", scale: log2(), curves: scales},
		{title: "Skipped steps, in all", scale: linear(""), curves: skips, zero: true},
		{title: "Gradient norm", scale: logarithmic(gradients), curves: norms},
		{title: "Learning rate", scale: linear(""), curves: rates, zero: true},
		{title: "Images per second", scale: linear(""), curves: speeds, zero: true},
	} {
		if len(p.curves) > 0 {
			panels = append(panels, p)
		}
	}
	return panels
}

// percent returns the shares in s as percentages.
func percent(s []point) []point {
	for i := range s {
		s[i].y *= 100
	}
	return s
}

// thin returns means of neighbours where there are more points than a panel can show.
func thin(s []point) (thinned []point) {
	const most = 500
	group := (len(s) + most - 1) / most
	if group < 2 {
		return s
	}
	for part := range slices.Chunk(s, group) {
		var mean point
		for _, p := range part {
			mean.x += p.x / float64(len(part))
			mean.y += p.y / float64(len(part))
		}
		thinned = append(thinned, mean)
	}
	return thinned
}

// drawPanels draws the panels row after row, their axes aligned.
func drawPanels(c draw.Canvas, panels []panel, columns int, a Axis, end float64, direct bool) {
	if len(panels) == 0 {
		return
	}
	var grid [][]*plot.Plot
	for row := range slices.Chunk(panels, columns) {
		charts := make([]*plot.Plot, columns)
		for i := range row {
			charts[i] = row[i].chart(a, end, direct)
		}
		grid = append(grid, charts)
	}
	tiles := draw.Tiles{Rows: len(grid), Cols: columns, PadX: 26, PadY: headHeight, PadTop: headHeight}
	for j, canvases := range plot.Align(grid, tiles, c) {
		for i, canvas := range canvases {
			if grid[j][i] == nil {
				continue
			}
			p := &panels[j*columns+i]
			grid[j][i].Draw(canvas)
			p.head(canvas, grid[j][i].DataCanvas(canvas), direct)
		}
	}
}

// head writes the title over the panel, and which line is what if they are not
// labelled themselves.
func (p *panel) head(c, data draw.Canvas, direct bool) {
	title := bold(style(titleSize, ink))
	y := c.Max.Y + 7
	write(c, title, text.XLeft, data.Min.X, y, p.title)
	x := data.Min.X + title.Width(p.title)
	if p.scale.name != "" {
		s := style(8, faint)
		write(c, s, text.XLeft, x+5, y, p.scale.name+" scale")
	}
	seen := map[string]bool{}
	x = data.Max.X
	small := style(8, faint)
	for _, curve := range slices.Backward(p.curves) {
		if curve.label == "" || seen[curve.label] || direct && !curve.cross && !curve.faint {
			continue
		}
		seen[curve.label] = true
		x -= small.Width(curve.label)
		write(c, small, text.XLeft, x, y, curve.label)
		x -= 4
		middle := y + 4
		switch sample := (draw.LineStyle{Color: faint, Width: 1.4}); {
		case curve.faint:
			sample.Color, sample.Width = tint(faint, 0.45), 0.6
			c.StrokeLine2(sample, x-18, middle, x, middle)
			x -= 18
		case curve.cross:
			c.DrawGlyphNoClip(draw.GlyphStyle{Color: faint, Radius: 2.8, Shape: cross{}}, vg.Point{X: x - 4, Y: middle})
			x -= 8
		default:
			if curve.dashed {
				sample.Dashes = []vg.Length{3, 2}
			}
			c.StrokeLine2(sample, x-18, middle, x, middle)
			x -= 18
		}
		x -= 10
	}
}

// shortNames returns the runs' file names without folder and extension, or as
// they were given where that tells them apart no more.
func shortNames(runs []*Run) (names []string) {
	count := map[string]int{}
	short := func(r *Run) string {
		base := filepath.Base(r.Name)
		return strings.TrimSuffix(base, filepath.Ext(base))
	}
	for _, r := range runs {
		count[short(r)]++
	}
	for _, r := range runs {
		name := short(r)
		if name == "" || count[name] > 1 {
			name = r.Name
		}
		names = append(names, name)
	}
	return names
}
