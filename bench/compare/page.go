package compare

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"unicode"

	"github.com/halfgrad/halfgrad/bench/report"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// page is the data of the template.
type page struct {
	*Comparison
	CSS                                              template.CSS
	Tiles                                            []tile
	Achiever                                         *Column // the column of the tiles
	Noisy                                            string  // a warning if most of its figures are noisy
	Means                                            table
	Tables                                           []table
	Rooflines, Shares, Speedups, Memory, Conversions []figurePart
	Training, Others                                 []figurePart
}

// tile is one of the large figures at the top.
type tile struct {
	Value, Unit, Of string
	Noise           string // why it is noisy, "" where it is not
}

// figurePart is a chart with its title.
type figurePart struct {
	Title    string
	Emulated bool
	SVG      template.HTML
}

// HTML returns a page for a browser. It loads nothing and runs no scripts; its content
// security policy forbids both, whatever the reports contain.
func (c *Comparison) HTML() ([]byte, error) {
	p := page{Comparison: c, CSS: template.CSS(pageCSS + c.filterCSS()), Tiles: c.tiles(), Achiever: &c.Columns[max(c.Base, 0)], Means: c.means()}
	if s := c.Sources[p.Achiever.Report]; 2*s.Noisy > s.Measured {
		p.Noisy = fmt.Sprintf("%d of the report's %d figures are noisy", s.Noisy, s.Measured)
	}
	add := func(list *[]figurePart, title string, emulated bool, svg template.HTML) {
		if svg != "" {
			*list = append(*list, figurePart{title, emulated, svg})
		}
	}
	for _, r := range c.Machines {
		s := c.Sources[r.Report]
		title := threadsLabel(r.Threads)
		if len(c.Sources) > 1 {
			title = s.Key + ": " + s.Label + ", " + title
		}
		add(&p.Rooflines, title, s.Emulated, c.rooflineChart(r))
	}
	byName := map[string][]*Group{} // groups that are drawn row by row
	var kindsByRow []string
	for i := range c.Groups {
		g := &c.Groups[i]
		p.Tables = append(p.Tables, c.table(g))
		switch {
		case g.Kind == "Peak":
		case g.Count != "":
			add(&p.Others, g.Title, false, c.rateChart(g))
		case g.Kind == "Gemm":
			title := strings.TrimPrefix(g.Title, "matrix products in ")
			add(&p.Shares, title, false, c.shareChart(g))
			add(&p.Speedups, title, false, c.speedupChart(g))
		case g.Kind == "Memory":
			for _, op := range g.ops() {
				add(&p.Memory, op+", "+threadsLabel(g.Threads), false, c.memoryChart(g, op))
			}
		case g.Kind == "Convert":
			add(&p.Conversions, g.Title, false, c.rateChart(g))
		default:
			if byName[g.Kind] == nil {
				kindsByRow = append(kindsByRow, g.Kind)
			}
			byName[g.Kind] = append(byName[g.Kind], g)
		}
	}
	for _, kind := range kindsByRow {
		list := &p.Others
		if kind == "TrainStep" {
			list = &p.Training
		}
		var done []report.Name
		for _, g := range byName[kind] {
			for _, row := range g.Rows {
				name := row.Name.Without("threads", "dtype")
				if slices.Contains(done, name) {
					continue
				}
				done = append(done, name)
				add(list, row.Label, false, c.rowChart(name, byName[kind]))
			}
		}
	}
	t, err := template.New("page").Funcs(template.FuncMap{
		"class": c.class, "column": columnClass, "kernels": c.kernels, "remarks": Source.remarks,
		// This many figures fill rows of two, but not rows of three.
		"pairs": func(f []figurePart) bool { return len(f)%2 == 0 && len(f)%3 != 0 },
	}).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, p); err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	return bytes.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' {
			return r
		}
		return unicode.ReplacementChar // XML has no others, and some reverse text
	}, out.Bytes()), nil
}

// kernels returns the columns of a report.
func (c *Comparison) kernels(source int) []int {
	var list []int
	for i, col := range c.Columns {
		if col.Report == source {
			list = append(list, i)
		}
	}
	return list
}

// ops returns the operations in a group of memory benchmarks.
func (g *Group) ops() []string {
	var ops []string
	for _, row := range g.Rows {
		if op := row.Name.Get("op"); op != "" && !slices.Contains(ops, op) {
			ops = append(ops, op)
		}
	}
	return ops
}

// Compared returns the base if other columns are compared with it, or nil.
func (c *Comparison) Compared() *Column {
	if c.Base < 0 || len(c.Columns) < 2 {
		return nil
	}
	return &c.Columns[c.Base]
}

// Differences names the aspects in which the reports differ.
func (c *Comparison) Differences() string { return strings.Join(c.differences(), ", ") }

// Explain says what the marks in the tables mean.
func (c *Comparison) Explain() []string { return c.legend()[1:] }

// filterCSS hides everything of a column whose box is not checked.
func (c *Comparison) filterCSS() string {
	var b strings.Builder
	for i := range c.Columns {
		fmt.Fprintf(&b, "body:has(#show-%[1]s:not(:checked)) .%[1]s { display: none }\n", columnClass(i))
	}
	return b.String()
}

// table is a table of the page. A row has a cell for each head, and that for each of
// Columns if there are any.
type table struct {
	Title   string
	Columns []int
	Heads   []string
	Rows    []tableRow
}

type tableRow struct {
	Column int // that the row is about, or -1
	Label  string
	Mean   bool
	Cells  []tableCell
}

type tableCell struct {
	Text, Small, Tip string
	Weak             bool // chance may have made it
}

// Hint returns the class of the hint that the table scrolls. It depends on the estimated
// width: the table scrolls on every screen, on all but wide ones, on a phone, or never.
func (t table) Hint() string {
	const label, cell = 12, 6 // rem
	switch width := label + cell*len(t.Heads)*max(len(t.Columns), 1); {
	case width > 74:
		return "hint"
	case width > 50:
		return "hint tablet"
	case width > 22:
		return "hint phone"
	}
	return ""
}

// Class returns the class of the i-th cell of a row.
func (t table) Class(i int) string { return columnClass(t.Columns[i/len(t.Heads)]) }

// table returns the table of a group.
func (c *Comparison) table(g *Group) table {
	t := table{Title: g.Title, Columns: c.columnsOf(g), Heads: []string{g.Unit + ", 95% CI"}}
	shares, speedups := g.has(func(cell *Cell) bool { return cell.Share != nil }), g.has(func(cell *Cell) bool { return cell.Speedup != nil })
	images := g.has(func(cell *Cell) bool { return cell.Images != nil })
	for _, head := range []struct {
		has  bool
		text string
	}{{shares, "of peak"}, {images, "images/s"}, {speedups, "speed-up"}} {
		if head.has {
			t.Heads = append(t.Heads, head.text)
		}
	}
	for _, row := range g.Rows {
		r := tableRow{Column: -1, Label: row.Label}
		for _, i := range t.Columns {
			cell := row.Cells[i]
			if cell == nil {
				r.Cells = append(r.Cells, make([]tableCell, len(t.Heads))...)
				continue
			}
			median := tableCell{Text: figure(cell.Median) + noiseMark(cell.Noise != ""), Tip: cell.Noise, Small: "few samples"}
			if cell.Unit != g.Unit {
				median.Text += " " + cell.Unit
			}
			if cell.Interval != nil {
				median.Small = figure(cell.Interval.Lo) + "–" + figure(cell.Interval.Hi)
			}
			r.Cells = append(r.Cells, median)
			if shares {
				r.Cells = append(r.Cells, tableCell{})
				if cell.Share != nil {
					r.Cells[len(r.Cells)-1].Text = percent(cell.Share.Median, 1)
				}
			}
			if images {
				r.Cells = append(r.Cells, tableCell{})
				if cell.Images != nil {
					r.Cells[len(r.Cells)-1].Text = figure(cell.Images.Median)
				}
			}
			if speedups {
				r.Cells = append(r.Cells, tableCell{})
				if s := cell.Speedup; s != nil {
					last := &r.Cells[len(r.Cells)-1]
					*last = tableCell{Text: ratio(s.Ratio), Tip: s.tip(), Weak: !s.Significant}
					if last.Weak {
						last.Text = "~ " + last.Text
					}
				}
			}
		}
		t.Rows = append(t.Rows, r)
	}
	if len(g.Rows) > 1 && g.Kind != "Peak" {
		r := tableRow{Column: -1, Label: "geometric mean", Mean: true}
		for _, i := range t.Columns {
			m := g.Means[i]
			cells := []tableCell{m.cell(g, m.Median, figure)}
			if shares {
				cells = append(cells, m.cell(g, m.Share, func(x float64) string { return percent(x, 1) }))
			}
			if images {
				cells = append(cells, tableCell{})
			}
			if speedups {
				cells = append(cells, m.cell(g, m.Speedup, ratio))
			}
			r.Cells = append(r.Cells, cells...)
		}
		t.Rows = append(t.Rows, r)
	}
	return t
}

// cell returns the cell of a mean. It says how many rows the mean covers if not all.
func (m Mean) cell(g *Group, x float64, format func(float64) string) tableCell {
	if x == 0 {
		return tableCell{}
	}
	cell := tableCell{Text: format(x)}
	if m.Rows < len(g.Rows) {
		cell.Small = fmt.Sprintf("of %d", m.Rows)
	}
	return cell
}

// means returns a table of all geometric means, with a row for each column.
func (c *Comparison) means() table {
	var t table
	for i, col := range c.Columns {
		t.Rows = append(t.Rows, tableRow{Column: i, Label: col.Key})
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		if g.Kind == "Peak" {
			continue
		}
		shares := slices.ContainsFunc(g.Means, func(m Mean) bool { return m.Share > 0 })
		unit := g.Unit
		if shares {
			unit = "share of peak"
		}
		t.Heads = append(t.Heads, strings.Replace(g.Title, "matrix ", "", 1)+": "+unit)
		for j := range c.Columns {
			m := g.Means[j]
			cell := m.cell(g, m.Median, figure3)
			if shares {
				cell = m.cell(g, m.Share, func(x float64) string { return percent(x, 0) })
			}
			if m.Speedup > 0 {
				cell.Small = strings.TrimSpace(ratio(m.Speedup) + " " + cell.Small)
			}
			t.Rows[j].Cells = append(t.Rows[j].Cells, cell)
		}
	}
	return t
}

// tiles returns the best figures of the base or, without one, of the first column.
func (c *Comparison) tiles() []tile {
	column := max(c.Base, 0)
	var tiles []tile
	var peak, product, images *Cell
	var ofPeak, ofProduct, ofImages Row
	var mean *Mean
	var ofMean *Group
	for i := range c.Groups {
		g := &c.Groups[i]
		for _, row := range g.Rows {
			cell := row.Cells[column]
			if cell == nil {
				continue
			}
			switch {
			case g.Kind == "Peak" && (peak == nil || cell.Median > peak.Median):
				peak, ofPeak = cell, row
			case g.Kind == "Gemm" && cell.Share != nil && (product == nil || cell.Share.Median > product.Share.Median) && (ofMean == nil || ofMean == g):
				product, ofProduct = cell, row
			case cell.Images != nil && (images == nil || cell.Images.Median > images.Images.Median):
				images, ofImages = cell, row
			}
		}
		if m := &g.Means[column]; g.Kind == "Gemm" && m.Share > 0 && mean == nil {
			mean, ofMean = m, g
		}
	}
	if product != nil {
		tiles = append(tiles, tile{percent(product.Share.Median, 0), "of the FMA peak", "the best product: " + ofProduct.Label + ", " + ofProduct.Name.Get("dtype") + ", " + threadsLabel(ofProduct.Name.Get("threads")), product.Noise})
	}
	if mean != nil {
		tiles = append(tiles, tile{percent(mean.Share, 0), "of the FMA peak", fmt.Sprintf("geometric mean of %d %s", mean.Rows, ofMean.Title), ""})
	}
	if images != nil {
		tiles = append(tiles, tile{round(images.Images.Median), "images/s", "training " + ofImages.Label + ", " + threadsLabel(ofImages.Name.Get("threads")), images.Noise})
	}
	if peak != nil {
		tiles = append(tiles, tile{figure3(peak.Median), peak.Unit, "the machine's FMA peak, " + ofPeak.Label, peak.Noise})
	}
	return tiles
}
