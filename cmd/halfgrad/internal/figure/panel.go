package figure

import (
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A scale is how a panel's y axis measures values.
type scale struct {
	name  string // what the title says of it
	of    func(float64) float64
	ticks func(lo, hi float64) []plot.Tick // for a range of scaled values
}

func linear(unit string) scale {
	return scale{of: func(y float64) float64 { return y }, ticks: func(lo, hi float64) []plot.Tick { return linearTicks(lo, hi, unit) }}
}

func log2() scale { return scale{name: "log2", of: math.Log2, ticks: log2Ticks} }

// logarithmic is a log scale where values span a decade or nearly so, and else a linear one.
func logarithmic(values []float64) scale {
	if len(values) == 0 || slices.Min(values) <= 0 || slices.Max(values) < 8*slices.Min(values) {
		return linear("")
	}
	return scale{name: "log", of: math.Log10, ticks: log10Ticks}
}

// linearTicks returns ticks at multiples of 1, 2 or 5 times a power of ten.
func linearTicks(lo, hi float64, unit string) (ticks []plot.Tick) {
	const most = 6 // intervals
	rough := (hi - lo) / most
	step := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, factor := range []float64{2, 5, 10} {
		if step < rough*(1-1e-9) {
			step = factor * math.Pow(10, math.Floor(math.Log10(rough)))
		}
	}
	if !(step > 0) || math.IsInf(step, 0) {
		return nil
	}
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+1e-9*step && len(ticks) < 2*most; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: decimal(i*step, step) + unit})
	}
	return ticks
}

// decimal writes a multiple of step with as many digits as that takes.
func decimal(v, step float64) string {
	if v == 0 {
		return "0"
	}
	switch m := math.Abs(v); {
	case m >= 1e9 || step < 1e-5:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case step >= 1e6:
		return decimal(v/1e6, step/1e6) + "M"
	case step >= 1e3:
		return decimal(v/1e3, step/1e3) + "k"
	}
	return strconv.FormatFloat(v, 'f', max(0, -int(math.Floor(math.Log10(step)+1e-9))), 64)
}

// log10Ticks returns ticks at 1, 2 and 5 times the powers of ten, or at powers
// of ten alone, of values that are powers of ten already.
func log10Ticks(lo, hi float64) (ticks []plot.Tick) {
	factors, every := []float64{1, 2, 5}, 1
	if hi-lo > 2 {
		factors, every = factors[:1], int(hi-lo)/6+1
	}
	for decade := int(math.Floor(lo)); decade <= int(math.Ceil(hi)); decade++ {
		if decade%every != 0 {
			continue
		}
		for _, f := range factors {
			if at := float64(decade) + math.Log10(f); at >= lo-1e-9 && at <= hi+1e-9 {
				v := f * math.Pow10(decade)
				ticks = append(ticks, plot.Tick{Value: at, Label: strconv.FormatFloat(v, 'g', 3, 64)})
			}
		}
	}
	return ticks
}

// log2Ticks returns ticks at powers of two.
func log2Ticks(lo, hi float64) (ticks []plot.Tick) {
	every := int(hi-lo)/6 + 1
	for e := int(math.Ceil(lo)); e <= int(math.Floor(hi)); e++ {
		if e%every == 0 {
			ticks = append(ticks, plot.Tick{Value: float64(e), Label: "2^" + strconv.Itoa(e)})
		}
	}
	return ticks
}

// A curve is a series of a panel.
type curve struct {
	points []point
	color  color.NRGBA
	under  int    // wider, so that it shows below so many curves that may coincide with it
	label  string // what it is of the run, if the panel has several
	dashed bool
	faint  bool // a thin, light line: many values
	marks  bool // at the values, if they are few
	stairs bool // values hold until the next
	cross  bool // no line, a cross at each value
}

// A panel is a chart of one quantity over the progress of runs.
type panel struct {
	title  string
	scale  scale
	curves []curve
	zero   bool    // the y axis begins at 0
	top    float64 // the most that values can be, if not 0
}

// span returns the range of the y axis, scaled: that of the values and a bit more.
func (p *panel) span() (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, c := range p.curves {
		for _, pt := range c.points {
			y := p.scale.of(pt.y)
			lo, hi = min(lo, y), max(hi, y)
		}
	}
	pad := 0.06 * (hi - lo)
	switch {
	case p.scale.name == "log2":
		pad = max(pad, 0.5)
	case hi == lo:
		pad = max(math.Abs(hi)*0.05, 1e-6)
	}
	lo, hi = lo-pad, hi+pad
	if p.zero {
		lo = 0
		if hi <= 0 {
			hi = 1
		}
	}
	if p.top != 0 && p.top > lo {
		hi = min(hi, p.top)
	}
	return lo, hi
}

// chart returns the panel as gonum draws it, for x from 0 to end. Labels at the
// lines tell curves apart if direct is set.
func (p *panel) chart(a Axis, end float64, direct bool) *plot.Plot {
	c := plot.New()
	c.BackgroundColor = nil
	c.X.Min, c.X.Max = 0, end
	c.Y.Min, c.Y.Max = p.span()
	c.X.Tick.Marker = plot.TickerFunc(func(lo, hi float64) []plot.Tick { return linearTicks(lo, hi, "") })
	c.Y.Tick.Marker = plot.TickerFunc(p.scale.ticks)
	c.X.Label.Text = a.String()
	c.X.Label.TextStyle = style(8, faint)
	c.X.Label.TextStyle.XAlign, c.X.Label.TextStyle.YAlign = text.XCenter, text.YBottom
	c.X.Label.Padding = 1
	for _, ax := range []*plot.Axis{&c.X, &c.Y} {
		label := style(8, ink)
		label.XAlign, label.YAlign = ax.Tick.Label.XAlign, ax.Tick.Label.YAlign
		ax.Tick.Label = label
		ax.Padding = 0
		ax.LineStyle = draw.LineStyle{Color: faint, Width: 0.5}
		ax.Tick.LineStyle = ax.LineStyle
		ax.Tick.Length = 3
	}
	c.Y.LineStyle.Width, c.Y.Tick.Length = 0, 0 // the grid does it
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal = draw.LineStyle{Color: ruled, Width: 0.6}
	c.Add(grid)
	var ends endLabels
	for _, curve := range p.curves {
		xys := make(plotter.XYs, len(curve.points))
		for i, pt := range curve.points {
			xys[i] = plotter.XY{X: pt.x, Y: p.scale.of(pt.y)}
		}
		if len(xys) == 0 {
			continue
		}
		if !curve.cross {
			line := &plotter.Line{XYs: xys, LineStyle: draw.LineStyle{Color: curve.color, Width: 1.5}}
			switch {
			case curve.under > 0:
				line.Width += vg.Length(curve.under) * 0.9
			case curve.faint:
				line.Width, line.Color = 0.6, tint(curve.color, 0.45)
			case curve.dashed:
				line.Width, line.Dashes = 1.2, []vg.Length{3, 2}
			}
			if curve.stairs {
				line.StepStyle = plotter.PostStep
			}
			c.Add(line)
		}
		if curve.cross || curve.marks && len(xys) <= 30 || len(xys) == 1 {
			glyph := draw.GlyphStyle{Color: curve.color, Radius: 1.9, Shape: draw.CircleGlyph{}}
			if curve.cross {
				glyph.Radius, glyph.Shape = 2.8, cross{}
			}
			c.Add(&plotter.Scatter{XYs: xys, GlyphStyle: glyph})
		}
		if direct && curve.label != "" && !curve.cross && !curve.faint {
			ends = append(ends, endLabel{xys[len(xys)-1], curve.label, curve.color})
		}
	}
	if len(ends) > 0 {
		c.Add(ends)
	}
	return c
}

// cross is a glyph like gonum's CrossGlyph, but one that shows on a line.
type cross struct{}

func (cross) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	line := draw.LineStyle{Color: s.Color, Width: 1.3}
	c.StrokeLine2(line, at.X-s.Radius, at.Y-s.Radius, at.X+s.Radius, at.Y+s.Radius)
	c.StrokeLine2(line, at.X-s.Radius, at.Y+s.Radius, at.X+s.Radius, at.Y-s.Radius)
}

// endLabels are names at the right ends of lines, moved apart where they would
// cover each other.
type endLabels []endLabel

type endLabel struct {
	at    plotter.XY
	text  string
	color color.NRGBA
}

const (
	endSize vg.Length = 8
	endGap  vg.Length = 5 // from the line to its label
)

func (e endLabels) Plot(c draw.Canvas, p *plot.Plot) {
	_, ty := p.Transforms(&c)
	e = slices.Clone(e)
	slices.SortStableFunc(e, func(a, b endLabel) int { return int(math.Copysign(1, a.at.Y-b.at.Y)) })
	last := c.Min.Y - endSize
	for i, l := range e {
		y := max(ty(l.at.Y)-endSize/2, last+endSize+1)
		y = min(y, c.Max.Y-vg.Length(len(e)-1-i)*(endSize+1)-endSize/2)
		last = y
		s := style(endSize, l.color)
		write(c, s, text.XLeft, c.Max.X+endGap, y+s.FontExtents().Descent/2, l.text)
	}
}

// GlyphBoxes reserves the room at the right.
func (e endLabels) GlyphBoxes(p *plot.Plot) (boxes []plot.GlyphBox) {
	for _, l := range e {
		w := style(endSize, l.color).Width(l.text)
		boxes = append(boxes, plot.GlyphBox{X: 1, Rectangle: vg.Rectangle{Max: vg.Point{X: endGap + w}}})
	}
	return boxes
}
