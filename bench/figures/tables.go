package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/halfgrad/halfgrad/bench/report"
)

// table is one of the README.
type table struct {
	name string // in the comments around it
	head []string
	rows []row
}

// row is a row of it: what is measured, and figures of it.
type row struct {
	name  string
	cells []cell
}

// cell is a figure, or several that belong together; the zero value is none.
type cell struct {
	text  string
	value float64 // the first of them; more is better
}

// missing is what a table has for what a report has not.
const missing = "–"

// shapes are those of the products in the README.
var shapes = [][3]int{
	{128, 256, 784}, {128, 10, 256}, {784, 256, 128}, {128, 784, 256}, {256, 256, 256}, {512, 512, 512},
	{1024, 1024, 1024}, {2048, 2048, 2048}, {512, 3072, 768}, {1, 1024, 1024},
}

// peers are those of the products, and what the README calls them.
var peers = []struct{ kernel, dtype, name string }{
	{"onednn", "fp32", "oneDNN"}, {"openblas", "fp32", "OpenBLAS"}, {"blis", "fp32", "BLIS"}, {"pytorch", "fp32", "PyTorch"},
	{"onnxruntime", "fp16", "ONNX Runtime, fp16"}, {"onnxruntime", "fp32", "and fp32"}, {"gonum", "fp32", "gonum"},
}

// tables returns the tables of a report.
func tables(r *report.Report) []table {
	return []table{products(r), transposes(r), against(r, 1), against(r, 2), steps(r), trained(r)}
}

// tier is the machine's best.
func tier(r *report.Report) string { return r.Machine.Kernels[0] }

func name(shape [3]int) string { return fmt.Sprintf("%d×%d×%d", shape[0], shape[1], shape[2]) }

// gemm returns a benchmark of a product, nil if the report has none.
func gemm(r *report.Report, shape [3]int, trans, dtype string, threads int, kernel string) *report.Benchmark {
	return r.Find(report.Name(fmt.Sprintf("Gemm/m=%d/n=%d/k=%d/ta=%c/tb=%c/dtype=%s/threads=%d/kernel=%s",
		shape[0], shape[1], shape[2], trans[0], trans[1], dtype, threads, kernel)))
}

// step returns a benchmark of a training step.
func step(r *report.Report, model string, batch int, dtype string, threads int, kernel string) *report.Benchmark {
	return r.Find(report.Name(fmt.Sprintf("TrainStep/model=%s/batch=%d/optimizer=sgd/dtype=%s/threads=%d/kernel=%s", model, batch, dtype, threads, kernel)))
}

// rate is GFLOPS and the share of the peak.
func rate(b *report.Benchmark) cell {
	if b == nil {
		return cell{}
	}
	s, unit, ok := b.Rate()
	if !ok || unit != report.GFLOPS {
		return cell{}
	}
	c := cell{figures(s.Center), s.Center}
	if share, ok := b.Share(); ok {
		c.text += fmt.Sprintf(" (%.0f %%)", 100*share.Center)
	}
	return c
}

// faster is a peer's time over ours.
func faster(ours, peer *report.Benchmark) cell {
	if ours == nil || peer == nil {
		return cell{}
	}
	s, ok := report.Paired(peer, ours)
	if !ok {
		return cell{}
	}
	return cell{fmt.Sprintf("%.2f", s.Center), s.Center}
}

// figures returns x with three digits.
func figures(x float64) string {
	return fmt.Sprintf("%.*f", max(2-int(math.Floor(math.Log10(x))), 0), x)
}

// products is ours, on one core and on two.
func products(r *report.Report) table {
	t := table{name: "products", head: []string{"M×N×K", "fp16, one core", "two cores", "fp32, one core", "two cores"}}
	for _, s := range shapes {
		var cells []cell
		for _, dtype := range []string{"fp16", "fp32"} {
			for _, threads := range []int{1, 2} {
				cells = append(cells, rate(gemm(r, s, "nn", dtype, threads, tier(r))))
			}
		}
		t.rows = append(t.rows, row{name(s), cells})
	}
	return t
}

// transposes is what the operands' order costs.
func transposes(r *report.Report) table {
	t := table{name: "transposes", head: []string{"M×N×K", "A·B", "A·Bᵀ", "Aᵀ·B"}}
	for _, s := range [][3]int{{128, 256, 784}, {512, 512, 512}, {512, 768, 3072}} {
		var cells []cell
		for _, trans := range []string{"nn", "nt", "tn"} {
			cells = append(cells, rate(gemm(r, s, trans, "fp16", 1, tier(r))))
		}
		t.rows = append(t.rows, row{name(s), cells})
	}
	return t
}

// against is our fp16 products against others.
func against(r *report.Report, threads int) table {
	t := table{name: fmt.Sprintf("peers, %d", threads), head: []string{"M×N×K", "halfgrad, GFLOPS"}}
	for _, p := range peers {
		t.head = append(t.head, "× "+p.name)
	}
	for _, s := range shapes {
		ours := gemm(r, s, "nn", "fp16", threads, tier(r))
		cells := []cell{rate(ours)}
		for _, p := range peers {
			cells = append(cells, faster(ours, gemm(r, s, "nn", p.dtype, threads, p.kernel)))
		}
		t.rows = append(t.rows, row{name(s), cells})
	}
	return t
}

// trainings are those of the README.
var trainings = []struct {
	model string
	batch int
}{{"784-256-10", 1}, {"784-256-10", 16}, {"784-256-10", 128}, {"784-1024-1024-10", 128}}

// steps is ours, on one core and on two.
func steps(r *report.Report) table {
	t := table{name: "steps", head: []string{"model, batch", "one core: ms", "share of the peak", "images/s", "two cores: ms", "share of the peak", "images/s"}}
	for _, c := range trainings {
		var cells []cell
		for _, threads := range []int{1, 2} {
			b := step(r, c.model, c.batch, "fp16", threads, tier(r))
			if b == nil {
				cells = append(cells, cell{}, cell{}, cell{})
				continue
			}
			ns := b.Summary().Center
			cells = append(cells, cell{fmt.Sprintf("%.3f", ns/1e6), 1e9 / ns})
			share := cell{}
			if s, ok := b.Share(); ok {
				share = cell{fmt.Sprintf("%.0f %%", 100*s.Center), s.Center}
			}
			cells = append(cells, share, cell{fmt.Sprintf("%.0f", float64(c.batch)/ns*1e9), 1e9 / ns})
		}
		t.rows = append(t.rows, row{fmt.Sprintf("%s, %d", c.model, c.batch), cells})
	}
	return t
}

// trained is our steps against PyTorch's.
func trained(r *report.Report) table {
	t := table{name: "trained", head: []string{"model, batch", "threads", "halfgrad, fp16: µs", "× PyTorch, fp32", "× PyTorch, bf16 autocast"}}
	for _, c := range trainings {
		for _, threads := range []int{1, 2} {
			ours := step(r, c.model, c.batch, "fp16", threads, tier(r))
			us := cell{}
			if ours != nil {
				ns := ours.Summary().Center
				us = cell{fmt.Sprintf("%.0f", ns/1e3), 1e9 / ns}
			}
			t.rows = append(t.rows, row{fmt.Sprintf("%s, %d", c.model, c.batch), []cell{
				{text: fmt.Sprint(threads)}, us,
				faster(ours, step(r, c.model, c.batch, "fp32", threads, "pytorch")),
				faster(ours, step(r, c.model, c.batch, "bf16", threads, "pytorch")),
			}})
		}
	}
	return t
}

// markdown returns the table as the README has it. Columns of which nothing is known
// are left out.
func (t table) markdown() string {
	known := func(column int) bool {
		return slices.ContainsFunc(t.rows, func(r row) bool { return r.cells[column].text != "" })
	}
	var b strings.Builder
	line := func(first string, cell func(i int) string) {
		b.WriteString("| " + first + " |")
		for i := range len(t.head) - 1 {
			if known(i) {
				b.WriteString(" " + cell(i) + " |")
			}
		}
		b.WriteByte('\n')
	}
	line(t.head[0], func(i int) string { return t.head[i+1] })
	b.WriteString("|---|")
	for i := range len(t.head) - 1 {
		if known(i) {
			b.WriteString("---|")
		}
	}
	b.WriteByte('\n')
	for _, r := range t.rows {
		line(r.name, func(i int) string {
			if r.cells[i].text == "" {
				return missing
			}
			return r.cells[i].text
		})
	}
	return b.String()
}

// fill returns a text with the tables between the comments that name them.
func fill(text []byte, tables []table) ([]byte, error) {
	for _, t := range tables {
		begin := fmt.Sprintf("<!-- figures: %s -->\n", t.name)
		const end = "<!-- end -->"
		before, rest, ok := bytes.Cut(text, []byte(begin))
		_, after, ok2 := bytes.Cut(rest, []byte(end))
		if !ok || !ok2 || bytes.Contains(after, []byte(begin)) {
			return nil, fmt.Errorf("want %q once, and %q after it", strings.TrimSpace(begin), end)
		}
		text = slices.Concat(before, []byte(begin), []byte(t.markdown()), []byte(end), after)
	}
	return text, nil
}

// differences tells how far the figures of is are from those of was.
func differences(was, is *report.Report) string {
	var b strings.Builder
	for _, r := range []*report.Report{was, is} {
		fmt.Fprintf(&b, "%s: %s, %s/%s, %s\n", map[bool]string{true: "committed", false: "this    "}[r == was], r.Machine.CPU, r.Machine.OS, r.Machine.Arch, r.Date.Format("2006-01-02"))
	}
	b.WriteString("\ncommitted → this, and by how much more (or less) is done in the same time\n\n")
	now := tables(is)
	var ratios []float64
	for i, t := range tables(was) {
		for j, r := range t.rows {
			for k, c := range r.cells {
				n := now[i].rows[j].cells[k]
				if c.value == 0 {
					continue
				}
				fmt.Fprintf(&b, "%-10s  %-24s  %-28s  %14s → ", t.name, r.name, t.head[k+1], c.text)
				if n.value == 0 {
					b.WriteString("not measured\n")
					continue
				}
				ratios = append(ratios, n.value/c.value)
				fmt.Fprintf(&b, "%-14s %+6.1f %%\n", n.text, 100*(n.value/c.value-1))
			}
		}
	}
	if len(ratios) > 0 {
		slices.Sort(ratios)
		fmt.Fprintf(&b, "\n%d figures: from %+.1f to %+.1f %%, half of them from %+.1f to %+.1f %%\n", len(ratios), 100*(ratios[0]-1), 100*(ratios[len(ratios)-1]-1),
			100*(ratios[len(ratios)/4]-1), 100*(ratios[len(ratios)*3/4]-1))
	}
	return b.String()
}
