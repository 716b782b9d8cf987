package compare

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/halfgrad/halfgrad/bench/report"
)

// FillMarkdown returns a Markdown text with the tables of a report. A table stands where
// the text has the two comments
//
//	<!-- figures: NAME -->
//	<!-- end -->
//
// and replaces what is between them. The names are products, transposes, steps, trained,
// and "peers, N" for N threads. The tables have the machine's best tier, on one core and
// on two. docs/performance.md is made this way.
func FillMarkdown(text []byte, r *report.Report) ([]byte, error) {
	const begin, endName, end = "<!-- figures: ", " -->\n", "<!-- end -->"
	var out []byte
	filled := map[string]bool{}
	for {
		before, rest, found := bytes.Cut(text, []byte(begin))
		out = append(out, before...)
		if !found {
			break
		}
		name, rest, named := bytes.Cut(rest, []byte(endName))
		old, after, ended := bytes.Cut(rest, []byte(end))
		switch {
		case !named || !ended || bytes.Contains(old, []byte(begin)):
			return nil, fmt.Errorf("compare: %s%.20s: want a name, %q, and %q further down", begin, name, strings.TrimSpace(endName), end)
		case filled[string(name)]:
			return nil, fmt.Errorf("compare: there are two tables %q: want one", name)
		}
		var t *markdownTable
		for _, each := range markdownTables(r) {
			if each.name == string(name) {
				t = &each
			}
		}
		if t == nil {
			return nil, fmt.Errorf("compare: no table %q: there are products, transposes, steps, trained, %q and %q", name, "peers, 1", "peers, 2")
		}
		filled[t.name] = true
		out = append(out, begin+t.name+endName+t.String()+end...)
		text = after
	}
	if len(filled) == 0 {
		return nil, fmt.Errorf("compare: the text has no tables to fill: want a line %sNAME%s and one %s", begin, strings.TrimSpace(endName), end)
	}
	return out, nil
}

// markdownTable is a table of figures. A cell of "" is not known.
type markdownTable struct {
	name string
	head []string
	rows [][]string // the first cell says what the others are of
}

// String returns the table in Markdown, without the columns that have no figures.
func (t markdownTable) String() string {
	var columns []int
	for i := range t.head {
		if i == 0 || slices.ContainsFunc(t.rows, func(row []string) bool { return row[i] != "" }) {
			columns = append(columns, i)
		}
	}
	var b strings.Builder
	line := func(cells []string) {
		b.WriteByte('|')
		for _, i := range columns {
			text := cells[i]
			if text == "" {
				text = "–"
			}
			b.WriteString(" " + text + " |")
		}
		b.WriteByte('\n')
	}
	line(t.head)
	b.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
	for _, row := range t.rows {
		line(row)
	}
	return b.String()
}

// markdownShapes are the shapes of the products in the tables.
var markdownShapes = [][3]int{
	{128, 256, 784}, {128, 10, 256}, {784, 256, 128}, {128, 784, 256}, {256, 256, 256}, {512, 512, 512},
	{1024, 1024, 1024}, {2048, 2048, 2048}, {512, 3072, 768}, {1, 1024, 1024},
}

// markdownPeers are the libraries in the tables of products, and their names there.
var markdownPeers = []struct{ kernel, dtype, name string }{
	{"onednn", "fp32", "oneDNN"}, {"openblas", "fp32", "OpenBLAS"}, {"blis", "fp32", "BLIS"}, {"pytorch", "fp32", "PyTorch"},
	{"onnxruntime", "fp16", "ONNX Runtime, fp16"}, {"onnxruntime", "fp32", "and fp32"}, {"gonum", "fp32", "gonum"},
}

func markdownTables(r *report.Report) []markdownTable {
	return []markdownTable{products(r), transposes(r), against(r, 1), against(r, 2), steps(r), trained(r)}
}

// bestTier is the first of the machine's kernel tiers, "" if the report names none.
func bestTier(r *report.Report) string {
	if len(r.Machine.Kernels) == 0 {
		return ""
	}
	return r.Machine.Kernels[0]
}

func shapeName(shape [3]int) string { return fmt.Sprintf("%d×%d×%d", shape[0], shape[1], shape[2]) }

// findGemm returns a benchmark of a product, nil if the report has none.
func findGemm(r *report.Report, shape [3]int, trans, dtype string, threads int, kernel string) *report.Benchmark {
	return r.Find(report.Name(fmt.Sprintf("Gemm/m=%d/n=%d/k=%d/ta=%c/tb=%c/dtype=%s/threads=%d/kernel=%s",
		shape[0], shape[1], shape[2], trans[0], trans[1], dtype, threads, kernel)))
}

// trainStep returns a benchmark of a training step.
func trainStep(r *report.Report, model string, batch int, dtype string, threads int, kernel string) *report.Benchmark {
	return r.Find(report.Name(fmt.Sprintf("TrainStep/model=%s/batch=%d/optimizer=sgd/dtype=%s/threads=%d/kernel=%s", model, batch, dtype, threads, kernel)))
}

// rateAndShare is GFLOPS and the share of the peak.
func rateAndShare(b *report.Benchmark) string {
	if b == nil {
		return ""
	}
	s, unit, ok := b.Rate()
	if !ok || unit != report.GFLOPS {
		return ""
	}
	text := figure3(s.Center)
	if share, ok := b.Share(); ok {
		text += fmt.Sprintf(" (%.0f %%)", 100*share.Center)
	}
	return text
}

// faster is a peer's time over ours.
func faster(ours, peer *report.Benchmark) string {
	if ours == nil || peer == nil {
		return ""
	}
	s, ok := report.Paired(peer, ours)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%.2f", s.Center)
}

// products is ours, on one core and on two.
func products(r *report.Report) markdownTable {
	t := markdownTable{name: "products", head: []string{"M×N×K", "fp16, one core", "two cores", "fp32, one core", "two cores"}}
	for _, s := range markdownShapes {
		cells := []string{shapeName(s)}
		for _, dtype := range []string{"fp16", "fp32"} {
			for _, threads := range []int{1, 2} {
				cells = append(cells, rateAndShare(findGemm(r, s, "nn", dtype, threads, bestTier(r))))
			}
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// transposes is what the operands' order costs.
func transposes(r *report.Report) markdownTable {
	t := markdownTable{name: "transposes", head: []string{"M×N×K", "A·B", "A·Bᵀ", "Aᵀ·B"}}
	for _, s := range [][3]int{{128, 256, 784}, {512, 512, 512}, {512, 768, 3072}} {
		cells := []string{shapeName(s)}
		for _, trans := range []string{"nn", "nt", "tn"} {
			cells = append(cells, rateAndShare(findGemm(r, s, trans, "fp16", 1, bestTier(r))))
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// against is our fp16 products against others.
func against(r *report.Report, threads int) markdownTable {
	t := markdownTable{name: fmt.Sprintf("peers, %d", threads), head: []string{"M×N×K", "halfgrad, GFLOPS"}}
	for _, p := range markdownPeers {
		t.head = append(t.head, "× "+p.name)
	}
	for _, s := range markdownShapes {
		ours := findGemm(r, s, "nn", "fp16", threads, bestTier(r))
		cells := []string{shapeName(s), rateAndShare(ours)}
		for _, p := range markdownPeers {
			cells = append(cells, faster(ours, findGemm(r, s, "nn", p.dtype, threads, p.kernel)))
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// trainings are the training steps in the tables.
var trainings = []struct {
	model string
	batch int
}{{"784-256-10", 1}, {"784-256-10", 16}, {"784-256-10", 128}, {"784-1024-1024-10", 128}}

// steps is ours, on one core and on two.
func steps(r *report.Report) markdownTable {
	t := markdownTable{name: "steps", head: []string{"model, batch", "one core: ms", "share of the peak", "images/s", "two cores: ms", "share of the peak", "images/s"}}
	for _, c := range trainings {
		cells := []string{fmt.Sprintf("%s, %d", c.model, c.batch)}
		for _, threads := range []int{1, 2} {
			b := trainStep(r, c.model, c.batch, "fp16", threads, bestTier(r))
			if b == nil {
				cells = append(cells, "", "", "")
				continue
			}
			ns := b.Summary().Center
			share := ""
			if s, ok := b.Share(); ok {
				share = fmt.Sprintf("%.0f %%", 100*s.Center)
			}
			cells = append(cells, fmt.Sprintf("%.3f", ns/1e6), share, fmt.Sprintf("%.0f", float64(c.batch)/ns*1e9))
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// trained is our steps against PyTorch's.
func trained(r *report.Report) markdownTable {
	t := markdownTable{name: "trained", head: []string{"model, batch", "threads", "halfgrad, fp16: µs", "× PyTorch, fp32", "× PyTorch, bf16 autocast"}}
	for _, c := range trainings {
		for _, threads := range []int{1, 2} {
			ours := trainStep(r, c.model, c.batch, "fp16", threads, bestTier(r))
			us := ""
			if ours != nil {
				us = fmt.Sprintf("%.0f", ours.Summary().Center/1e3)
			}
			t.rows = append(t.rows, []string{
				fmt.Sprintf("%s, %d", c.model, c.batch), fmt.Sprint(threads), us,
				faster(ours, trainStep(r, c.model, c.batch, "fp32", threads, "pytorch")),
				faster(ours, trainStep(r, c.model, c.batch, "bf16", threads, "pytorch")),
			})
		}
	}
	return t
}
