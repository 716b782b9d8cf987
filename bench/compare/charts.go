package compare

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/halfgrad/halfgrad/bench/report"
)

// chartWidth is the width of all charts: about that of a phone, where their text must be
// readable.
const chartWidth = 350

// textWidth estimates the width of the small text of a chart in a wide font.
func textWidth(s string) (width float64) {
	for _, r := range s {
		switch {
		case strings.ContainsRune(" .,!il|", r):
			width += 4
		case unicode.IsLower(r) || unicode.IsDigit(r):
			width += 6.4
		case r < 0x2e80:
			width += 9
		default:
			width += 12 // CJK
		}
	}
	return width
}

// colours is the number of colours in the style sheet, classes c0, c1, …. Further columns
// repeat them with another filling.
const colours = 8

// class returns the classes of a column's colour.
func (c *Comparison) class(column int) string {
	s := "c" + strconv.Itoa(column%colours)
	if column >= colours {
		s += " again"
	}
	if c.Columns[column].Emulated {
		s += " emulated"
	}
	return s
}

// columnClass is the class of everything on the page that belongs to a column. The filter
// hides it.
func columnClass(column int) string { return "k" + strconv.Itoa(column) }

// bars is a chart of horizontal bars in groups.
type bars struct {
	title, description string
	groups             []barGroup
	unit               string  // of the axis
	reference          float64 // a value to draw a line at, 0 for none
	most               float64 // the end of the axis; 0 for the largest value
	format             func(float64) string
}

type barGroup struct {
	label string
	bars  []bar
}

type bar struct {
	column int
	value  float64
	lo, hi float64 // the span of the thin line, 0 for none
	label  string  // after the bar
	hollow bool    // chance may have made it
	tip    string
}

// barChart draws the bars of each group below the group's label, with the column's key
// before and the value after each bar.
func (c *Comparison) barChart(b bars) template.HTML {
	const thick, pitch, labelHeight, between, top, bottom = 9, 12, 17, 7, 4, 18
	left, right, most := 0.0, 0.0, b.most
	rows := 0
	for _, g := range b.groups {
		for _, x := range g.bars {
			left = max(left, textWidth(shorten(c.Columns[x.column].Key, 18))+6)
			right = max(right, textWidth(x.label)+6)
			if b.most == 0 {
				most = max(most, x.value, x.hi)
			}
		}
		rows += len(g.bars)
	}
	if b.reference > 0 {
		most = max(most, b.reference*1.1)
	}
	v := &canvas{w: chartWidth, h: top + float64(rows*pitch+len(b.groups)*(labelHeight+between)) + bottom}
	x := func(value float64) float64 { return left + min(value/most, 1)*(v.w-left-right) }
	for _, tick := range ticks(most, 4) {
		if tick > 0 {
			v.line("grid", x(tick), top, x(tick), v.h-bottom)
		}
		s := b.format(tick)
		anchor, right := middle, x(tick)+textWidth(s)/2
		if b.unit == "" && right > v.w {
			anchor = end
		} else if right > v.w-textWidth(b.unit) {
			continue // the unit stands there
		}
		v.text("tick", anchor, x(tick), v.h-6, s)
	}
	v.text("tick", end, v.w, v.h-6, b.unit)
	if b.reference > 0 {
		v.line("reference", x(b.reference), top+labelHeight-2, x(b.reference), v.h-bottom)
	}
	y := float64(top)
	for _, g := range b.groups {
		v.text("rowlabel", start, 0, y+11, shorten(g.label, 48))
		y += labelHeight
		for _, bar := range g.bars {
			class := c.class(bar.column)
			if bar.hollow {
				class += " hollow"
			}
			v.group(columnClass(bar.column), bar.tip, func() {
				v.text("key", end, left-5, y+thick-1, shorten(c.Columns[bar.column].Key, 18))
				v.bar("fill "+class, left, max(x(bar.value), left+1), y, thick)
				behind := x(bar.value)
				if bar.hi > bar.lo {
					v.line("whisker", x(bar.lo), y+thick/2., x(bar.hi), y+thick/2.)
					behind = max(behind, x(bar.hi))
				}
				v.rect("behind", behind+2, y-1, textWidth(bar.label), pitch)
				v.text("value", start, behind+4, y+thick-1, bar.label)
			})
			y += pitch
		}
		v.line("axis", left, y-float64(len(g.bars)*pitch)-1, left, y-pitch+thick+1)
		y += between
	}
	return v.svg(b.title, b.description)
}

// ticks returns about n round values from 0 to most.
func ticks(most float64, n int) []float64 {
	step := math.Pow(10, math.Floor(math.Log10(most/float64(n))))
	for _, factor := range []float64{1, 2, 2.5, 5, 10} {
		if most/(step*factor) <= float64(n)+.01 {
			step *= factor
			break
		}
	}
	var list []float64
	for i := 0; float64(i)*step <= most*1.0001; i++ {
		list = append(list, float64(i)*step)
	}
	return list
}

// shape is a single row, or the layouts of one product taken together.
type shape struct {
	label     string
	intensity float64
	columns   []*shapeCell // nil where nothing was measured
}

type shapeCell struct {
	rate, share      float64 // geometric means over the layouts; share 0 if unknown
	shareLo, shareHi float64 // of the layouts
	speedup          float64 // 0 where there is none
	significant      bool    // whether any layout's speed-up is
	noisy            bool    // whether any layout is
	tip              string
}

// shapes returns the rows of a group. Rows that differ only in the layout of the operands
// become one.
func (c *Comparison) shapes(g *Group) []shape {
	var names []report.Name
	rows := map[report.Name][]Row{}
	for _, row := range g.Rows {
		name := row.Name.Without("ta", "tb")
		if rows[name] == nil {
			names = append(names, name)
		}
		rows[name] = append(rows[name], row)
	}
	var list []shape
	for _, name := range names {
		s := shape{label: rowLabel(name), intensity: intensity(name), columns: make([]*shapeCell, len(c.Columns))}
		for i := range c.Columns {
			s.columns[i] = c.shapeCell(rows[name], i, g.Unit)
		}
		list = append(list, s)
	}
	return list
}

func (c *Comparison) shapeCell(rows []Row, column int, unit string) *shapeCell {
	var rates, shares, ratios []float64
	var tips []string
	s := &shapeCell{}
	for _, row := range rows {
		cell := row.Cells[column]
		if cell == nil || cell.Unit != unit {
			continue
		}
		rates = append(rates, cell.Median)
		tip := fmt.Sprintf("%s: %s %s ±%s", row.Label, figure(cell.Median), unit, percent(cell.Deviation(), 1))
		if cell.Share != nil {
			shares = append(shares, cell.Share.Median)
			tip += ", " + percent(cell.Share.Median, 1) + " of the peak"
		}
		if cell.Speedup != nil {
			ratios = append(ratios, cell.Speedup.Ratio)
			s.significant = s.significant || cell.Speedup.Significant
			tip += ", " + cell.Speedup.tip()
		}
		if cell.Noise != "" {
			s.noisy = true
			tip += ", noisy: " + cell.Noise
		}
		tips = append(tips, tip)
	}
	if len(rates) == 0 {
		return nil
	}
	s.rate, s.speedup = geomean(rates), geomean(ratios)
	if len(shares) == len(rates) {
		s.share, s.shareLo, s.shareHi = geomean(shares), slices.Min(shares), slices.Max(shares)
	}
	s.tip = c.Columns[column].Name + "\n" + strings.Join(tips, "\n")
	return s
}

// shareChart draws the share of the peak of each shape of a group, "" if none is known.
func (c *Comparison) shareChart(g *Group) template.HTML {
	b := bars{
		title: "Share of the FMA peak: " + g.Title, description: c.describe(g, func(m Mean) string { return percent(m.Share, 1) }, func(m Mean) bool { return m.Share > 0 }),
		most: 1, format: func(x float64) string { return percent(x, 0) },
	}
	for _, s := range c.shapes(g) {
		group := barGroup{label: s.label}
		for i, cell := range s.columns {
			if cell != nil && cell.share > 0 {
				b.most = max(b.most, cell.shareHi)
				group.bars = append(group.bars, bar{column: i, value: cell.share, lo: cell.shareLo, hi: cell.shareHi, label: percent(cell.share, 0) + noiseMark(cell.noisy), tip: cell.tip})
			}
		}
		if len(group.bars) > 0 {
			b.groups = append(b.groups, group)
		}
	}
	return c.drawn(b)
}

func noiseMark(noisy bool) string {
	if noisy {
		return " !"
	}
	return ""
}

// drawn draws the bars, or returns "" if there are none.
func (c *Comparison) drawn(b bars) template.HTML {
	if len(b.groups) == 0 {
		return ""
	}
	return c.barChart(b)
}

// describe says in words what the chart of a group shows: the mean of each column.
func (c *Comparison) describe(g *Group, mean func(Mean) string, has func(Mean) bool) string {
	var parts []string
	for i, m := range g.Means {
		if m.Rows > 0 && has(m) {
			parts = append(parts, c.Columns[i].Name+" "+mean(m))
		}
	}
	return "Geometric means: " + strings.Join(parts, "; ") + ". The table below has all figures."
}

// speedupChart draws the speed-up of each shape of a group, "" if there is none.
func (c *Comparison) speedupChart(g *Group) template.HTML {
	b := bars{
		title: "Speed-up: " + g.Title, description: c.describe(g, func(m Mean) string { return ratio(m.Speedup) }, func(m Mean) bool { return m.Speedup > 0 }),
		reference: 1, format: func(x float64) string { return strconv.FormatFloat(x, 'g', 3, 64) + "×" },
	}
	for _, s := range c.shapes(g) {
		group := barGroup{label: s.label}
		for i, cell := range s.columns {
			if cell == nil || cell.speedup == 0 {
				continue
			}
			label := ratio(cell.speedup)
			if !cell.significant {
				label += " ~"
			}
			group.bars = append(group.bars, bar{column: i, value: cell.speedup, label: label, hollow: !cell.significant, tip: cell.tip})
		}
		if len(group.bars) > 0 {
			b.groups = append(b.groups, group)
		}
	}
	return c.drawn(b)
}

// rowChart draws the rows that differ only in threads and type, on a scale of their own:
// images per second for training steps, or else the rate.
func (c *Comparison) rowChart(name report.Name, groups []*Group) template.HTML {
	b := bars{title: "Speed: " + rowLabel(name), format: round}
	var said []string
	for _, g := range groups {
		for _, row := range g.Rows {
			if row.Name.Without("threads", "dtype") != name {
				continue
			}
			group := barGroup{label: g.variant()}
			for i, cell := range row.Cells {
				if cell == nil {
					continue
				}
				e, unit := cell.Estimate, cell.Unit
				if cell.Images != nil {
					e, unit = *cell.Images, "images/s"
				}
				if b.unit == "" {
					b.unit = unit
				}
				if unit != b.unit {
					continue
				}
				x := bar{column: i, value: e.Median, label: figure3(e.Median) + noiseMark(cell.Noise != "")}
				if cell.Images != nil {
					x.label = round(e.Median) + noiseMark(cell.Noise != "")
				}
				if e.Interval != nil {
					x.lo, x.hi = e.Interval.Lo, e.Interval.Hi
				}
				x.tip = fmt.Sprintf("%s: %s %s ±%s", c.Columns[i].Name, figure(e.Median), unit, percent(e.Deviation(), 1))
				if cell.Share != nil {
					x.tip += ", " + percent(cell.Share.Median, 1) + " of the peak"
				}
				if cell.Speedup != nil {
					x.tip += ", " + cell.Speedup.tip()
				}
				said = append(said, fmt.Sprintf("%s, %s %s", c.Columns[i].Name, group.label, figure(e.Median)))
				group.bars = append(group.bars, x)
			}
			if len(group.bars) > 0 {
				b.groups = append(b.groups, group)
			}
		}
	}
	b.description = b.unit + ": " + strings.Join(said, "; ")
	return c.drawn(b)
}

// variant says how a group differs from others of its kind.
func (g *Group) variant() string {
	var parts []string
	if g.DType != "" {
		parts = append(parts, g.DType)
	}
	if g.Threads != "" {
		parts = append(parts, threadsLabel(g.Threads))
	}
	return strings.Join(parts, ", ")
}

// round writes three digits, in thousands or more: 950, 106 k.
func round(x float64) string {
	suffix := ""
	for _, next := range []string{" k", " M", " G"} {
		if x = rounded(x, 3); x < 1000 {
			break
		}
		suffix, x = next, x/1000
	}
	return strconv.FormatFloat(x, 'g', 3, 64) + suffix
}

// curve is a line of a figure.
type curve struct {
	column int
	label  string
	points [][2]float64
	tips   []string
}

// memoryChart draws the bandwidth by size for one operation and number of threads. All
// these charts have the same scale.
func (c *Comparison) memoryChart(g *Group, op string) template.HTML {
	var curves []curve
	for i, col := range c.Columns {
		cv := curve{column: i, label: col.Key}
		for _, row := range g.Rows {
			bytes, err := strconv.ParseUint(row.Name.Get("bytes"), 10, 64)
			cell := row.Cells[i]
			if err != nil || bytes == 0 || cell == nil || row.Name.Get("op") != op || cell.Unit != g.Unit {
				continue
			}
			if cell.benchmark.Name.Get("kernel") == "" {
				cv.label = cmp.Or(map[bool]string{true: c.Sources[col.Report].Key}[len(c.Sources) > 1], "any kernel")
			}
			cv.points = append(cv.points, [2]float64{float64(bytes), cell.Median})
			cv.tips = append(cv.tips, fmt.Sprintf("%s, %s: %s %s ±%s", col.Name, row.Label, figure(cell.Median), cell.Unit, percent(cell.Deviation(), 1)))
		}
		if len(cv.points) > 0 {
			slices.SortFunc(cv.points, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
			curves = append(curves, cv)
		}
	}
	if len(curves) == 0 {
		return ""
	}
	const top, bottom, left = 8, 22, 34
	v := &canvas{w: chartWidth, h: 230}
	right, lo, hi := 0.0, [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{}
	for _, other := range c.Groups {
		if other.Kind != g.Kind || other.Unit != g.Unit {
			continue
		}
		for _, row := range other.Rows {
			for _, cell := range row.Cells {
				if cell != nil && cell.Unit == g.Unit {
					lo[1], hi[1] = min(lo[1], cell.Median), max(hi[1], cell.Median)
				}
			}
		}
	}
	said := []string{}
	for _, cv := range curves {
		right = max(right, textWidth(shorten(cv.label, 18))+10)
		for _, p := range cv.points {
			lo[0], hi[0] = min(lo[0], p[0]), max(hi[0], p[0])
		}
		first, last := cv.points[0], cv.points[len(cv.points)-1]
		said = append(said, fmt.Sprintf("%s from %s GB/s at %s to %s at %s", c.Columns[cv.column].Name, figure3(first[1]), byteSize(uint64(first[0])), figure3(last[1]), byteSize(uint64(last[0]))))
	}
	x := logScale(lo[0], max(hi[0], lo[0]*2), left+6, v.w-right)
	y := logScale(lo[1]/1.1, hi[1]*1.2, v.h-bottom, top)
	for _, tick := range logTicks(lo[1]/1.1, hi[1]*1.2) {
		v.line("grid", left, y(tick), v.w-right+4, y(tick))
		v.text("tick", end, left-4, y(tick)+3.5, strconv.FormatFloat(tick, 'g', 3, 64))
	}
	v.text("tick", start, left+4, top+7, g.Unit)
	var sizes []float64
	for _, cv := range curves {
		for _, p := range cv.points {
			sizes = append(sizes, p[0])
		}
	}
	slices.Sort(sizes)
	free := 0.0
	for _, size := range slices.Compact(sizes) {
		label := strings.ReplaceAll(byteSize(uint64(size)), "iB", "")
		v.line("axis", x(size), v.h-bottom, x(size), v.h-bottom+3)
		if x(size)-textWidth(label)/2 >= free {
			v.text("tick", middle, x(size), v.h-8, label)
			free = x(size) + textWidth(label)/2 + 3
		}
	}
	v.line("axis", left, v.h-bottom, v.w-right+4, v.h-bottom)
	for _, cv := range curves {
		points := make([][2]float64, len(cv.points))
		for i, p := range cv.points {
			points[i] = [2]float64{x(p[0]), y(p[1])}
		}
		class := c.class(cv.column)
		v.path("curve "+class+" "+columnClass(cv.column), points)
		for i, p := range points {
			v.group(columnClass(cv.column), cv.tips[i], func() { v.mark(circle, "fill dot "+class, p[0], p[1], 3.2) })
		}
	}
	// Labels at the ends of the lines, moved apart where they would overlap.
	slices.SortStableFunc(curves, func(a, b curve) int {
		return cmp.Compare(y(a.points[len(a.points)-1][1]), y(b.points[len(b.points)-1][1]))
	})
	heights := make([]float64, len(curves))
	for i, cv := range curves {
		heights[i] = y(cv.points[len(cv.points)-1][1]) + 3.5
	}
	spread(heights, 11, top+8, v.h-bottom)
	for i, cv := range curves {
		v.text("endlabel "+columnClass(cv.column), start, v.w-right+8, heights[i], shorten(cv.label, 18))
	}
	return v.svg(fmt.Sprintf("Memory bandwidth by size: %s, %s", op, threadsLabel(g.Threads)), strings.Join(said, "; "))
}

// spread moves ascending positions apart by at least gap, within the bounds if possible.
func spread(at []float64, gap, lo, hi float64) {
	for i := range at {
		at[i] = max(at[i], lo)
		if i > 0 {
			at[i] = max(at[i], at[i-1]+gap)
		}
	}
	for i := len(at) - 1; i >= 0; i-- {
		limit := hi
		if i < len(at)-1 {
			limit = at[i+1] - gap
		}
		at[i] = min(at[i], limit)
	}
}

// logScale maps lo … hi to from … to on a logarithmic scale.
func logScale(lo, hi, from, to float64) func(float64) float64 {
	return func(x float64) float64 { return from + (to-from)*math.Log(x/lo)/math.Log(hi/lo) }
}

// logTicks returns round values: 1, 2, 5, 10, … or, of a wide range, powers of ten.
func logTicks(lo, hi float64) []float64 {
	factors := []float64{1, 2, 5}
	if hi/lo > 300 {
		factors = factors[:1]
	}
	every := max(int(math.Log10(hi/lo))/8, 1)
	var list []float64
	for e := int(math.Floor(math.Log10(lo))); e <= int(math.Log10(hi))+1; e++ {
		if e%every != 0 {
			continue
		}
		for _, f := range factors {
			if x := f * math.Pow(10, float64(e)); x >= lo && x <= hi {
				list = append(list, x)
			}
		}
	}
	return list
}

// rooflineChart draws the roofline of a machine and the speeds that were reached.
func (c *Comparison) rooflineChart(r Roofline) template.HTML {
	type point struct {
		column, mark int
		x, y         float64
		tip          string
	}
	var points []point
	lo, hi := [2]float64{0.5, r.Peak}, [2]float64{64, r.Peak}
	for i := range c.Groups {
		g := &c.Groups[i]
		if g.Threads != r.Threads || g.Unit != report.GFLOPS {
			continue
		}
		mark := circle
		switch {
		case g.Kind == "TrainStep":
			mark = triangle
		case g.DType != "fp16":
			mark = square
		}
		for _, s := range c.shapes(g) {
			for j, cell := range s.columns {
				if cell == nil || s.intensity == 0 || c.Columns[j].Report != r.Report {
					continue
				}
				p := point{j, mark, s.intensity, cell.rate, fmt.Sprintf("%s\n%s flop/B", cell.tip, figure3(s.intensity))}
				points = append(points, p)
				lo, hi = [2]float64{min(lo[0], p.x), min(lo[1], p.y)}, [2]float64{max(hi[0], p.x), max(hi[1], p.y)}
			}
		}
	}
	// The names of the roofs stand above the chart: along the lines they would cover points.
	heads := []string{fmt.Sprintf("FMA peak %s GFLOPS", figure(r.Peak))}
	for i, roof := range r.Memory {
		words := fmt.Sprintf("%s %s GB/s", roof.Level, figure3(roof.Bandwidth))
		if i == 0 {
			words = "slopes from the left: " + words
		}
		if line := heads[len(heads)-1] + ", " + words; textWidth(line) <= chartWidth {
			heads[len(heads)-1] = line
		} else {
			heads[len(heads)-1] += ","
			heads = append(heads, words)
		}
	}
	const headHeight, bottom, left, right = 12, 34, 34, 8
	top := float64(10 + headHeight*len(heads))
	v := &canvas{w: chartWidth, h: 280 + top}
	for i, head := range heads {
		v.text("tick", start, 0, float64(9+headHeight*i), head)
	}
	lo, hi = [2]float64{lo[0] / 1.3, lo[1] / 1.5}, [2]float64{hi[0] * 1.3, hi[1] * 1.7}
	x, y := logScale(lo[0], hi[0], left, v.w-right), logScale(lo[1], hi[1], v.h-bottom, top)
	for _, tick := range logTicks(lo[1], hi[1]) {
		v.line("grid", left, y(tick), v.w-right, y(tick))
		v.text("tick", end, left-4, y(tick)+3.5, strconv.FormatFloat(tick, 'g', 3, 64))
	}
	for _, tick := range logTicks(lo[0], hi[0]) {
		v.line("grid", x(tick), top, x(tick), v.h-bottom)
		v.text("tick", middle, x(tick), v.h-bottom+13, strconv.FormatFloat(tick, 'g', 3, 64))
	}
	v.text("tick", end, v.w-right, v.h-5, "arithmetic intensity, flop/B")
	v.text("tick", start, 0, v.h-5, "GFLOPS ↑")

	// Each roof from the bottom or the left up to the peak, the slowest first: it is the
	// lowest. All have the same slope.
	said := []string{fmt.Sprintf("the FMA peak is %s GFLOPS", figure(r.Peak))}
	for _, roof := range slices.Backward(r.Memory) {
		said = append(said, fmt.Sprintf("%s has %s GB/s", roof.Level, figure(roof.Bandwidth)))
		if from, to := roof.span(lo, hi, r.Peak); from < to {
			v.line("roof", x(from), y(from*roof.Bandwidth), x(to), y(to*roof.Bandwidth))
		}
	}
	v.line("roof", x(max(lo[0], min(r.Peak/fastest(r.Memory, r.Peak/lo[0]), hi[0]))), y(r.Peak), v.w-right, y(r.Peak))
	v.line("axis", left, v.h-bottom, v.w-right, v.h-bottom)
	for _, p := range points {
		v.group(columnClass(p.column), p.tip, func() { v.mark(p.mark, "fill dot "+c.class(p.column), x(p.x), y(p.y), 3.6) })
	}
	best := slices.MaxFunc(append(points, point{}), func(a, b point) int { return cmp.Compare(a.y, b.y) })
	if best.y > 0 {
		said = append(said, fmt.Sprintf("the fastest of %d products and steps has %s GFLOPS", len(points), figure(best.y)))
	}
	s := c.Sources[r.Report]
	return v.svg(fmt.Sprintf("Roofline of %s, %s", s.Label, threadsLabel(r.Threads)), strings.Join(said, "; "))
}

// span returns the intensities between which a roof is below the peak and within the
// bounds of a chart.
func (r Roof) span(lo, hi [2]float64, peak float64) (from, to float64) {
	return max(lo[0], lo[1]/r.Bandwidth), min(peak/r.Bandwidth, hi[0])
}

// fastest returns the best bandwidth, or other if there is none.
func fastest(roofs []Roof, other float64) float64 {
	if len(roofs) == 0 {
		return other
	}
	return roofs[0].Bandwidth
}

// rateChart draws the rate of each row of a group, on one scale.
func (c *Comparison) rateChart(g *Group) template.HTML {
	b := bars{
		title: g.Title, description: c.describe(g, func(m Mean) string { return figure3(m.Median) + " " + g.Unit }, func(Mean) bool { return true }),
		unit: g.Unit, format: round,
	}
	for _, row := range g.Rows {
		group := barGroup{label: row.Label}
		for i, cell := range row.Cells {
			if cell == nil || cell.Unit != g.Unit {
				continue
			}
			x := bar{column: i, value: cell.Median, label: figure3(cell.Median) + noiseMark(cell.Noise != "")}
			if cell.Interval != nil {
				x.lo, x.hi = cell.Interval.Lo, cell.Interval.Hi
			}
			x.tip = fmt.Sprintf("%s: %s %s ±%s", c.Columns[i].Name, figure(cell.Median), cell.Unit, percent(cell.Deviation(), 1))
			group.bars = append(group.bars, x)
		}
		if len(group.bars) > 0 {
			b.groups = append(b.groups, group)
		}
	}
	return c.drawn(b)
}
