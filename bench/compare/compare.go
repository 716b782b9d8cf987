// Package compare puts reports of package report side by side: reports of several
// machines or commits, or the kernels of one, as a table, a web page, or JSON.
//
// Every figure is a median of samples with its confidence interval, or follows from
// medians as its field says. A difference counts only where a test finds that chance
// alone is unlikely to make it, see [Speedup].
//
// # Columns
//
// A column is a kernel of a report, by "kernel=" in the names of its benchmarks: one of
// halfgrad's tiers, or a peer, which is another library. What does not depend on the
// kernel, such as a copy of memory, is in the first column of its report. The first
// column of a machine that is not emulated is the base that others are compared with.
// Columns of emulated machines are shown but not compared.
//
// # Rows
//
// A row has the benchmarks of all columns that have one name without the kernel. Where
// machines have different numbers of cores, threads=all stands for each machine's own.
package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchmath"

	"github.com/halfgrad/halfgrad/bench/report"
)

// Input is a report to compare.
type Input struct {
	Path   string // of its file
	Label  string // its name in the comparison; "" for one that is found
	Report *report.Report
}

// Comparison is reports side by side.
type Comparison struct {
	Base     int        `json:"base"` // the column that others are compared with, -1 if there is none
	Sources  []Source   `json:"reports"`
	Aspects  []Aspect   `json:"aspects"`
	Columns  []Column   `json:"columns"`
	Groups   []Group    `json:"groups"`
	Machines []Roofline `json:"rooflines"`
	Notes    []string   `json:"notes,omitempty"` // what columns lack
}

// Source is a report.
type Source struct {
	Key      string `json:"key"` // A, B, …
	Label    string `json:"label"`
	Path     string `json:"path"`
	Measured int    `json:"measured"` // benchmarks
	Noisy    int    `json:"noisy"`    // of the measured
	Emulated bool   `json:"emulated,omitempty"`

	report *report.Report
}

// Aspect is a property in which reports may differ, with the value of each.
type Aspect struct {
	Name   string   `json:"name"`
	Differ bool     `json:"differ"`
	Values []string `json:"values"`
}

// Column is a kernel of a report.
type Column struct {
	Key      string `json:"key"`  // short: "A avx512"; of one report "avx512"
	Name     string `json:"name"` // in full: "Neoverse-V2, neonfhm"
	Report   int    `json:"report"`
	Kernel   string `json:"kernel"`         // "" if no benchmark of the report names any
	Peer     bool   `json:"peer,omitempty"` // whether it is another library's
	Emulated bool   `json:"emulated,omitempty"`

	Library *report.Peer `json:"library,omitempty"` // what the report says about a peer
}

// Group is rows that belong together.
type Group struct {
	Title   string `json:"title"`
	Kind    string `json:"kind"` // the benchmarks' base name, such as "Gemm"
	DType   string `json:"dtype,omitempty"`
	Threads string `json:"threads,omitempty"` // a number, or "all"
	Count   string `json:"count,omitempty"`   // what is counted instead of time: "instructions"
	Unit    string `json:"unit"`              // of the medians, unless a cell has another: GFLOPS, GB/s, ns, …
	Rows    []Row  `json:"rows"`
	Means   []Mean `json:"means"` // of each column
}

// Row is a benchmark of all columns.
type Row struct {
	Name  report.Name `json:"name"`
	Label string      `json:"label"`

	// Intensity is the arithmetic per byte that must move at least, in flop/B, 0 if unknown.
	Intensity float64 `json:"intensity,omitempty"`

	Cells []*Cell `json:"cells"` // one for each column, nil where nothing was measured
}

// Cell is a benchmark in a column.
type Cell struct {
	Estimate           // of the rate, or of the time where the rate is not known
	Unit     string    `json:"unit"`
	Share    *Estimate `json:"share,omitempty"`  // of the FMA peak
	Images   *Estimate `json:"images,omitempty"` // a second
	Samples  int       `json:"samples"`
	Noise    string    `json:"noise,omitempty"` // why it is noisy
	Speedup  *Speedup  `json:"speedup,omitempty"`

	benchmark *report.Benchmark
}

// Estimate is a median.
type Estimate struct {
	Median   float64   `json:"median"`
	Interval *Interval `json:"interval,omitempty"` // nil for too few samples
}

// Interval is a confidence interval, at the level report.Confidence.
type Interval struct {
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// Speedup compares a cell with the base's. Where the two took turns, Ratio is the median
// of the ratios of their samples, and it is significant if its confidence interval
// excludes 1. Otherwise Ratio is that of the medians, and the Mann-Whitney U test decides
// whether it is significant.
type Speedup struct {
	Ratio       float64   `json:"ratio"`              // above 1 where it is faster than the base
	Interval    *Interval `json:"interval,omitempty"` // where they took turns
	P           float64   `json:"p"`                  // of the U test: the probability that chance alone makes samples so different
	Significant bool      `json:"significant"`
}

// Mean has the geometric means of a column over the rows of a group.
type Mean struct {
	Rows   int     `json:"rows"` // that the column has
	Median float64 `json:"median,omitempty"`
	Share  float64 `json:"share,omitempty"` // 0 if not all rows have one

	Pairs   int     `json:"pairs"` // rows that both it and the base have
	Speedup float64 `json:"speedup,omitempty"`
}

// New compares one or more reports. The notes say what cannot be compared.
func New(inputs ...Input) (*Comparison, error) {
	if len(inputs) == 0 {
		return nil, fmt.Errorf("compare: no reports: want at least one")
	}
	c := &Comparison{Base: -1}
	for i, in := range inputs {
		s := Source{Key: letters(i), Path: in.Path, Label: in.Label, Emulated: in.Report.Machine.Emulated, Measured: len(in.Report.Benchmarks), report: in.Report}
		for j := range in.Report.Benchmarks {
			if in.Report.Benchmarks[j].Noise() != "" {
				s.Noisy++
			}
		}
		c.Sources = append(c.Sources, s)
	}
	c.Aspects = aspects(c.Sources)
	c.label()
	for i := range c.Sources {
		c.columns(i)
	}
	c.Base = slices.IndexFunc(c.Columns, func(col Column) bool { return !col.Emulated })
	c.rows()
	for i := range c.Groups {
		g := &c.Groups[i]
		for j := range g.Rows {
			c.speedups(&g.Rows[j])
		}
		for col := range c.Columns {
			g.Means = append(g.Means, c.mean(g, col))
		}
	}
	c.Machines = c.rooflines()
	c.missing()
	return c, nil
}

// letters returns A … Z, AA, AB, ….
func letters(i int) string {
	s := string(rune('A' + i%26))
	if i >= 26 {
		s = letters(i/26-1) + s
	}
	return s
}

// columns adds the columns of a report: its own tiers, then others.
func (c *Comparison) columns(source int) {
	r := c.Sources[source].report
	var found []string
	for _, b := range r.Benchmarks {
		if kernel := b.Name.Get("kernel"); kernel != "" && !slices.Contains(found, kernel) {
			found = append(found, kernel)
		}
	}
	if len(found) == 0 {
		found = []string{""}
	}
	rank := func(kernel string) int {
		if i := slices.Index(r.Settings.Kernels, kernel); i >= 0 {
			return i
		}
		return len(r.Settings.Kernels)
	}
	slices.SortStableFunc(found, func(a, b string) int { return rank(a) - rank(b) })
	for _, kernel := range found {
		own := kernel == "" || slices.Contains(r.Settings.Kernels, kernel) || slices.Contains(r.Machine.Kernels, kernel)
		col := Column{Report: source, Kernel: kernel, Peer: !own, Emulated: r.Machine.Emulated}
		col.Key = cmp.Or(kernel, "any kernel")
		if col.Library = peer(r, kernel); col.Library != nil && !own {
			col.Key = cmp.Or(col.Library.Name, kernel)
		}
		col.Name = col.Key
		if len(c.Sources) > 1 {
			col.Name = c.Sources[source].Label + ", " + col.Key
			col.Key = c.Sources[source].Key + " " + col.Key
		}
		c.Columns = append(c.Columns, col)
	}
}

// column returns the column that a benchmark of a report is in.
func (c *Comparison) column(source int, b *report.Benchmark) int {
	kernel := b.Name.Get("kernel")
	return slices.IndexFunc(c.Columns, func(col Column) bool {
		return col.Report == source && (col.Kernel == kernel || kernel == "")
	})
}

// rows makes the groups and their rows.
func (c *Comparison) rows() {
	sameCores := true
	for _, s := range c.Sources {
		sameCores = sameCores && s.report.Machine.Cores == c.Sources[0].report.Machine.Cores
	}
	for i, s := range c.Sources {
		for j := range s.report.Benchmarks {
			b := &s.report.Benchmarks[j]
			name := b.Name.Without("kernel")
			if n := s.report.Machine.Cores; !sameCores && n > 1 && name.Get("threads") == strconv.Itoa(n) {
				name = report.Name(strings.Replace(string(name)+"/", fmt.Sprintf("/threads=%d/", n), "/threads=all/", 1))
				name = name[:len(name)-1]
			}
			cell := newCell(b)
			if cell == nil {
				c.Notes = append(c.Notes, fmt.Sprintf("%s: %s is left out: its figures are too large or too small", s.Key, b.Name))
				continue
			}
			row := c.row(name, cell.Unit)
			if col := c.column(i, b); row.Cells[col] == nil {
				row.Cells[col] = cell
			}
		}
	}
	slices.SortStableFunc(c.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(kindRank(a.Kind), kindRank(b.Kind)), strings.Compare(a.DType, b.DType), cmp.Compare(threadRank(a.Threads), threadRank(b.Threads)), strings.Compare(a.Count, b.Count))
	})
}

// row returns the row of a name and makes it if there is none.
func (c *Comparison) row(name report.Name, unit string) *Row {
	g := newGroup(name)
	i := slices.IndexFunc(c.Groups, func(o Group) bool {
		return o.Kind == g.Kind && o.DType == g.DType && o.Threads == g.Threads && o.Count == g.Count
	})
	if i < 0 {
		i, g.Unit = len(c.Groups), unit
		c.Groups = append(c.Groups, g)
	}
	group := &c.Groups[i]
	j := slices.IndexFunc(group.Rows, func(r Row) bool { return r.Name == name })
	if j < 0 {
		j = len(group.Rows)
		group.Rows = append(group.Rows, Row{Name: name, Label: rowLabel(name), Intensity: intensity(name), Cells: make([]*Cell, len(c.Columns))})
	}
	return &group.Rows[j]
}

// newCell returns nil if the figure is not finite and positive.
func newCell(b *report.Benchmark) *Cell {
	cell := &Cell{Unit: b.Unit, Samples: len(b.Samples), Noise: b.Noise(), benchmark: b}
	s := b.Summary()
	if rate, unit, ok := b.Rate(); ok {
		s, cell.Unit = rate, unit
		if b.Unit != report.GFLOPS {
			s = overTimes(s, b, b.Work.Amount)
		}
	}
	var ok bool
	if cell.Estimate, ok = estimate(s); !ok {
		return nil
	}
	if share, found := b.Share(); found {
		if e, ok := estimate(share); ok {
			cell.Share = &e
		}
	}
	if images, found := b.Images(); found {
		if e, ok := estimate(overTimes(images, b, number(b.Name.Get("batch"))*1e9)); ok {
			cell.Images = &e
		}
	}
	return cell
}

// overTimes returns a summary of rates whose bounds come from those of the times. The
// ranks of the bounds need not be symmetric around the median, so that for some numbers of
// samples the rates' own interval would differ from the one that
// [report.Benchmark.Noise] judges.
func overTimes(rates benchmath.Summary, b *report.Benchmark, amount float64) benchmath.Summary {
	times := b.Summary()
	rates.Lo, rates.Hi = amount/times.Hi, amount/times.Lo
	return rates
}

// estimate is not ok if the median is not finite and positive.
func estimate(s benchmath.Summary) (e Estimate, ok bool) {
	e.Median = s.Center
	if positive(s.Lo) && positive(s.Hi) {
		e.Interval = &Interval{s.Lo, s.Hi}
	}
	return e, s.Center > 1e-30 && s.Center < 1e30
}

// positive returns whether x is a finite number above 0.
func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }

// Deviation returns the distance from the median to the farther bound as a share of the
// median. Without an interval it is infinite.
func (e Estimate) Deviation() float64 {
	if e.Interval == nil {
		return math.Inf(1)
	}
	return max(e.Interval.Hi/e.Median-1, 1-e.Interval.Lo/e.Median)
}

// speedups compares a row's cells with the base's.
func (c *Comparison) speedups(r *Row) {
	if c.Base < 0 || r.Cells[c.Base] == nil {
		return
	}
	base := r.Cells[c.Base]
	for i, cell := range r.Cells {
		if i == c.Base || cell == nil || c.Columns[i].Emulated {
			continue
		}
		ratio, test, err := report.Compare(base.benchmark, cell.benchmark)
		if err != nil || !positive(ratio) {
			continue // in another unit, which the cell shows
		}
		cell.Speedup = &Speedup{Ratio: ratio, P: test.P, Significant: test.P < test.Alpha}
		if c.Columns[i].Report != c.Columns[c.Base].Report {
			continue // each report numbers its runs itself
		}
		if paired, ok := report.Paired(base.benchmark, cell.benchmark); ok {
			if e, ok := estimate(paired); ok && e.Interval != nil {
				*cell.Speedup = Speedup{e.Median, e.Interval, test.P, e.Interval.Lo > 1 || e.Interval.Hi < 1}
			}
		}
	}
}

// mean returns a column's geometric means in a group.
func (c *Comparison) mean(g *Group, column int) Mean {
	var medians, shares, ratios []float64
	for _, row := range g.Rows {
		cell := row.Cells[column]
		if cell == nil || cell.Unit != g.Unit {
			continue
		}
		medians = append(medians, cell.Median)
		if cell.Share != nil {
			shares = append(shares, cell.Share.Median)
		}
		if cell.Speedup != nil {
			ratios = append(ratios, cell.Speedup.Ratio)
		}
	}
	m := Mean{Rows: len(medians), Median: geomean(medians), Pairs: len(ratios), Speedup: geomean(ratios)}
	if len(shares) == len(medians) {
		m.Share = geomean(shares)
	}
	return m
}

// geomean returns the geometric mean, 0 of nothing.
func geomean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sum := 0.0
	for _, x := range values {
		sum += math.Log(x)
	}
	return math.Exp(sum / float64(len(values)))
}

// missing notes which of the base's benchmarks the columns lack.
func (c *Comparison) missing() {
	if c.Base < 0 {
		c.Notes = append(c.Notes, "all machines are emulated: nothing is compared")
		return
	}
	base := c.Columns[c.Base]
	for i, col := range c.Columns {
		if i == c.Base || col.Emulated {
			continue
		}
		has, common, lacking := 0, 0, 0
		first := report.Name("")
		for _, g := range c.Groups {
			for _, row := range g.Rows {
				// What does not depend on the kernel is in another column of the same report.
				anyKernel := row.Cells[c.Base] != nil && row.Cells[c.Base].benchmark.Name.Get("kernel") == ""
				switch cell := row.Cells[i]; {
				case anyKernel && col.Report == base.Report, anyKernel && cell == nil && c.firstOf(col.Report) != i:
				case cell != nil && row.Cells[c.Base] != nil:
					has, common = has+1, common+1
				case cell != nil:
					has++
				case row.Cells[c.Base] != nil:
					if lacking++; first == "" {
						first = row.Name
					}
				}
			}
		}
		switch {
		case common == 0:
			c.Notes = append(c.Notes, fmt.Sprintf("%s has no benchmark in common with %s: it has %s; %s has %s", col.Key, base.Key, c.extent(i), base.Key, c.extent(c.Base)))
		case lacking > 0 && !col.Peer: // another library is not expected to have all
			c.Notes = append(c.Notes, fmt.Sprintf("%s has %d of the %d benchmarks of %s: it lacks %s%s", col.Key, common, common+lacking, base.Key, first, c.reason(col, first)))
		}
	}
}

// firstOf returns the first column of a report.
func (c *Comparison) firstOf(source int) int {
	return slices.IndexFunc(c.Columns, func(col Column) bool { return col.Report == source })
}

// extent says what a column has: "Gemm, Peak of 1, 2 threads".
func (c *Comparison) extent(column int) string {
	var kinds, threads []string
	for _, g := range c.Groups {
		if !slices.ContainsFunc(g.Rows, func(r Row) bool { return r.Cells[column] != nil }) {
			continue
		}
		for _, row := range g.Rows {
			if n := row.Name.Get("threads"); n != "" && row.Cells[column] != nil && !slices.Contains(threads, n) {
				threads = append(threads, n)
			}
		}
		if !slices.Contains(kinds, g.Kind) {
			kinds = append(kinds, g.Kind)
		}
	}
	slices.SortFunc(threads, func(a, b string) int { return cmp.Compare(threadRank(a), threadRank(b)) })
	s := cmp.Or(strings.Join(kinds, ", "), "nothing")
	if len(threads) > 0 {
		s += " of " + strings.Join(threads, ", ") + " threads"
	}
	return s
}

// reason says why a column lacks a row, if its report says so.
func (c *Comparison) reason(col Column, name report.Name) string {
	for _, o := range c.Sources[col.Report].report.Omitted {
		if o.Name.Get("kernel") == col.Kernel && o.Name.Without("kernel") == name {
			return " (" + o.Reason + "), …"
		}
	}
	return ", …"
}
