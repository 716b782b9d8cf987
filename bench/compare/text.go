package compare

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/halfgrad/halfgrad/bench/report"
)

// WriteText writes tables for a terminal: one that describes the reports, and one for
// each group.
func (c *Comparison) WriteText(w io.Writer) error {
	var t textTable
	c.textHead(&t)
	for i := range c.Groups {
		c.textGroup(&t, &c.Groups[i])
	}
	t.flush()
	for _, line := range c.legend() {
		t.line(line)
	}
	for _, note := range c.Notes {
		t.line(note)
	}
	if _, err := io.WriteString(w, t.out.String()); err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	return nil
}

// textHead adds the table that describes the reports.
func (c *Comparison) textHead(t *textTable) {
	title := "one report"
	if n := len(c.Sources); n > 1 {
		title = fmt.Sprintf("%d reports", n)
		if differ := c.differences(); len(differ) > 0 {
			title += ", which differ (*) in " + strings.Join(differ, ", ")
		}
	}
	t.line(title)
	keys, files := []string{""}, []string{"file"}
	for _, s := range c.Sources {
		key := s.Key
		if s.Label != s.Key {
			key += ": " + s.Label
		}
		if s.Emulated {
			key += " EMULATED"
		}
		keys, files = append(keys, key), append(files, s.Path)
	}
	if len(c.Sources) > 1 {
		t.row(false, keys...)
	}
	t.row(false, files...)
	for _, a := range c.Aspects {
		name := a.Name
		if a.Differ && len(c.Sources) > 1 {
			name += " *"
		}
		t.row(false, append([]string{name}, a.Values...)...)
	}
	t.flush()
}

// differences names the aspects in which the reports differ.
func (c *Comparison) differences() []string {
	var names []string
	for _, a := range c.Aspects {
		if a.Differ {
			names = append(names, a.Name)
		}
	}
	return names
}

// textGroup adds the table of a group. Each column with a figure in it shows the median,
// its confidence interval and, if known, the share of the peak and the speed-up.
func (c *Comparison) textGroup(t *textTable, g *Group) {
	columns := c.columnsOf(g)
	shares, speedups := g.has(func(cell *Cell) bool { return cell.Share != nil }), g.has(func(cell *Cell) bool { return cell.Speedup != nil })
	images := g.has(func(cell *Cell) bool { return cell.Images != nil })
	heads := []string{g.Title + ", " + g.Unit}
	for _, i := range columns {
		key := c.Columns[i].Key
		if c.Columns[i].Emulated {
			key += " (emulated)"
		}
		heads = append(heads, key)
	}
	t.flush()
	t.line("")
	t.heads = heads
	t.span = 2
	for _, has := range []bool{shares, images, speedups} {
		if has {
			t.span++
		}
	}
	add := func(label string, block func(column int) []string) {
		cells := []string{label}
		for _, i := range columns {
			b := block(i)
			cells = append(cells, append(b, make([]string, t.span-len(b))...)...)
		}
		t.row(true, cells...)
	}
	for _, row := range g.Rows {
		add("  "+row.Label, func(i int) []string {
			cell := row.Cells[i]
			if cell == nil {
				return []string{"-"}
			}
			median := figure(cell.Median)
			if cell.Unit != g.Unit {
				median += " " + cell.Unit
			}
			if cell.Noise != "" {
				median += "!"
			}
			block := []string{median, "±" + percent(cell.Deviation(), 0)}
			if shares {
				block = append(block, textShare(cell.Share))
			}
			if images {
				block = append(block, textImages(cell.Images))
			}
			if speedups {
				block = append(block, cell.Speedup.String())
			}
			return block
		})
	}
	if len(g.Rows) > 1 && g.Kind != "Peak" {
		add("  geometric mean", func(i int) []string {
			m := g.Means[i]
			if m.Rows == 0 {
				return []string{"-"}
			}
			of := ""
			if m.Rows < len(g.Rows) {
				of = "of " + strconv.Itoa(m.Rows)
			}
			block := []string{figure(m.Median), of}
			if shares {
				block = append(block, textShare(&Estimate{Median: m.Share}))
			}
			if images {
				block = append(block, "")
			}
			if speedups && m.Pairs > 0 {
				block = append(block, ratio(m.Speedup))
			}
			return block
		})
	}
}

func textShare(e *Estimate) string {
	if e == nil || e.Median == 0 {
		return ""
	}
	return percent(e.Median, 0)
}

func textImages(e *Estimate) string {
	if e == nil {
		return ""
	}
	return figure(e.Median) + "/s"
}

// String returns the ratio, or ~ if chance may have made it.
func (s *Speedup) String() string {
	switch {
	case s == nil:
		return ""
	case !s.Significant:
		return "~"
	}
	return ratio(s.Ratio)
}

// tip says how certain a speed-up is.
func (s *Speedup) tip() string {
	if s.Interval != nil {
		return fmt.Sprintf("%s, by turns %s to %s", ratio(s.Ratio), ratio(s.Interval.Lo), ratio(s.Interval.Hi))
	}
	return fmt.Sprintf("%s (p = %.2g)", ratio(s.Ratio), s.P)
}

// ratio writes 25.1×, 1.04×, 0.031×.
func ratio(x float64) string {
	if x < 0.1 {
		return significant(x, 2) + "×"
	}
	return figure3(x) + "×"
}

// figure writes four significant digits, with an exponent only if the number is very large
// or small.
func figure(x float64) string { return significant(x, 4) }

func figure3(x float64) string { return significant(x, 3) }

func significant(x float64, digits int) string {
	if x >= 1e9 || x < 1e-4 {
		return strconv.FormatFloat(x, 'e', digits-1, 64)
	}
	magnitude := int(math.Floor(math.Log10(rounded(x, digits)))) // 9.9996 is 10.00
	return strconv.FormatFloat(x, 'f', max(digits-1-magnitude, 0), 64)
}

// rounded returns x rounded to so many digits.
func rounded(x float64, digits int) float64 {
	x, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', digits-1, 64), 64)
	if err != nil {
		panic(err) // it was a number
	}
	return x
}

// percent writes a share.
func percent(x float64, decimals int) string {
	if math.IsInf(x, 1) {
		return "∞"
	}
	if x > 0 && x < 0.01 {
		decimals = max(decimals, 1)
	}
	return strconv.FormatFloat(100*x, 'f', decimals, 64) + "%"
}

// columnsOf returns the columns that have something in a group.
func (c *Comparison) columnsOf(g *Group) []int {
	var columns []int
	for i := range c.Columns {
		if slices.ContainsFunc(g.Rows, func(r Row) bool { return r.Cells[i] != nil }) {
			columns = append(columns, i)
		}
	}
	return columns
}

// has reports whether is holds for a cell of the group.
func (g *Group) has(is func(*Cell) bool) bool {
	return slices.ContainsFunc(g.Rows, func(r Row) bool {
		return slices.ContainsFunc(r.Cells, func(cell *Cell) bool { return cell != nil && is(cell) })
	})
}

// legend explains the tables.
func (c *Comparison) legend() []string {
	lines := []string{"", "medians, their 95% confidence intervals, and shares of the FMA peak taken beside each sample"}
	noisy, measured := 0, 0
	for _, s := range c.Sources {
		noisy, measured = noisy+s.Noisy, measured+s.Measured
	}
	if c.Base >= 0 && len(c.Columns) > 1 {
		lines = append(lines, fmt.Sprintf("×: speed-up against %s; ~: chance may have made the difference (Mann-Whitney U test, p ≥ 0.05; or, where they took turns, the ratio's interval includes 1)", c.Columns[c.Base].Key))
	}
	if noisy > 0 {
		lines = append(lines, fmt.Sprintf("!: noisy, %d of %d: the interval is wider than ±%s, or the peak varied by more than %s meanwhile",
			noisy, measured, percent(report.WideInterval, 0), percent(report.WidePeak, 0)))
	}
	for _, s := range c.Sources {
		if s.Emulated {
			lines = append(lines, fmt.Sprintf("%s is emulated: its figures say nothing about a real machine and are not compared", s.Key))
		}
	}
	return lines
}

// textTable aligns cells: the first of a row to the left, figures to the right. Each of the
// heads, except the first, stands above span cells.
type textTable struct {
	out   strings.Builder
	heads []string
	span  int
	rows  [][]string
	right bool
}

func (t *textTable) line(s string) { t.out.WriteString(printable(s) + "\n") }

func (t *textTable) row(right bool, cells ...string) {
	t.right = right
	t.rows = append(t.rows, cells)
}

// flush writes the rows that were added.
func (t *textTable) flush() {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	const gap = "  "
	if len(t.heads) > 0 {
		widths[0] = max(widths[0], utf8.RuneCountInString(t.heads[0]))
		line := pad(t.heads[0], widths[0], false)
		for i, head := range t.heads[1:] {
			block := widths[1+i*t.span:][:t.span]
			width := len(gap) * (t.span - 1)
			for _, w := range block {
				width += w
			}
			if more := utf8.RuneCountInString(head) - width; more > 0 {
				block[0] += more
				width += more
			}
			line += gap + " " + pad(head, width, false)
		}
		t.line(strings.TrimRight(line, " "))
	}
	for _, row := range t.rows {
		line := pad(row[0], widths[0], false)
		for i, cell := range row[1:] {
			line += gap
			if t.span > 0 && i%t.span == 0 {
				line += " "
			}
			line += pad(cell, widths[i+1], t.right)
		}
		t.line(strings.TrimRight(line, " "))
	}
	t.heads, t.rows, t.span = nil, nil, 0
}

// printable replaces what would move a terminal's cursor or reverse text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

func pad(s string, width int, right bool) string {
	space := strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
	if right {
		return space + s
	}
	return s + space
}
