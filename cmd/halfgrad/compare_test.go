package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/bench/compare"
	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/kernels"
)

// tinyReports measures a report, and makes another of it, of twice the speed.
func tinyReports(t *testing.T, dir string) (a, b string) {
	t.Helper()
	t.Setenv(kernels.EnvKernel, "")
	a, b = filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")
	measure(t, benchSuiteCmd{Out: a}, false)
	r, err := report.Read(a)
	if err != nil {
		t.Fatal(err)
	}
	r.Machine.CPU = "Fast & New"
	for _, b := range r.Benchmarks {
		for i := range b.Samples {
			if b.Unit == report.GFLOPS {
				b.Samples[i] *= 2
			} else {
				b.Samples[i] /= 2
			}
		}
	}
	if err := r.Write(b); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestBenchCompare(t *testing.T) {
	dir := t.TempDir()
	a, b := tinyReports(t, dir)
	page := filepath.Join(dir, "new", "page.html")
	r := succeed(t, "bench", "compare", "before="+a, b, "--html", page)
	for _, want := range []string{"2 reports, which differ (*) in CPU\n", "A: before", "B: Fast & New", "matrix products in fp16, 2 threads, GFLOPS", "speed-up against A generic"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	if r.lastLine() != "wrote "+page {
		t.Errorf("the last line is %q", r.lastLine())
	}
	html, err := os.ReadFile(page)
	if err != nil || !bytes.HasPrefix(html, []byte("<!doctype html>")) || !bytes.Contains(html, []byte("Fast &amp; New")) {
		t.Errorf("%v, the page begins with %.100q", err, html)
	}

	var c compare.Comparison
	r = succeed(t, "bench", "compare", a, b, "--json", "--html", page)
	if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, g := range c.Groups {
		for _, row := range g.Rows {
			rows++
			if s := row.Cells[1].Speedup; s == nil || s.Ratio < 1.999 || s.Ratio > 2.001 {
				t.Errorf("%s: %+v, want 2", row.Name, s)
			}
		}
	}
	if rows != 14 || len(c.Columns) != 2 || c.Columns[1].Name != "Fast & New, generic" {
		t.Errorf("%d rows, %+v", rows, c.Columns)
	}

	// One report is a table, too, and a file may have = in its name.
	odd := filepath.Join(dir, "x=y.json")
	if err := os.Rename(a, odd); err != nil {
		t.Fatal(err)
	}
	if r := succeed(t, "bench", "compare", odd); !strings.Contains(r.stdout, "5×6×7 nt") {
		t.Errorf("no product in\n%s", r.stdout)
	}
}

func TestBenchCompareUsage(t *testing.T) {
	dir := t.TempDir()
	good, _ := tinyReports(t, dir)
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	edited := file("edited.json", bytes.Replace(data, []byte(`"rounds": 7`), []byte(`"rounds": 8`), 1))
	cut := file("cut.json", data[:len(data)/2])
	newer := file("newer.json", bytes.Replace(data, []byte(`"schema": 1`), []byte(`"schema": 2`), 1))
	foreign := file("foreign.json", []byte(`{"kind": "shopping list"}`))
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "<reports>"},
		{[]string{good, filepath.Join(dir, "none.json")}, "none.json"},
		{[]string{good, "x=" + filepath.Join(dir, "none.json")}, "none.json"},
		{[]string{good, edited}, edited + ": the content is not what was written"},
		{[]string{cut, good}, cut + ": the file is cut off"},
		{[]string{good, newer}, newer + ": a benchmark report of another schema version: 2"},
		{[]string{foreign}, foreign + ": not a halfgrad benchmark report"},
		{[]string{good, "--html", dir}, "is a folder: want a file"},
		{[]string{good, "--html", good}, "a report and --html are both"},
		{[]string{good, "--html", filepath.Join(good, "x.html")}, "not a directory"},
	} {
		r := command(t, append([]string{"bench", "compare"}, test.args...)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, test.want) || strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
			t.Errorf("halfgrad bench compare %s: exit code %d, %q, want %q", strings.Join(test.args, " "), r.code, r.stderr+r.stdout, test.want)
		}
	}
	if now, err := os.ReadFile(good); err != nil || !bytes.Equal(now, data) {
		t.Errorf("the report was overwritten (%v)", err)
	}
}

// The tables of a page are filled, and nothing of it is touched where they cannot be.
func TestBenchCompareMarkdown(t *testing.T) {
	a, b := tinyReports(t, t.TempDir())
	page := filepath.Join(t.TempDir(), "page.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("# Speed\n<!-- figures: products -->\nold\n<!-- end -->\n")
	if r := succeed(t, "bench", "compare", a, "--markdown", page); r.lastLine() != "wrote "+page {
		t.Errorf("the last line is %q", r.lastLine())
	}
	text, err := os.ReadFile(page)
	if err != nil || !strings.HasPrefix(string(text), "# Speed\n<!-- figures: products -->\n| M×N×K |") || !strings.HasSuffix(string(text), "|\n<!-- end -->\n") {
		t.Errorf("%v, the page is\n%s", err, text)
	}
	if r := succeed(t, "bench", "compare", a, "--markdown", page); r.lastLine() != page+" has the report's figures" {
		t.Errorf("the second time: %q", r.lastLine())
	}
	write("no tables")
	for want, args := range map[string][]string{
		"want one report":          {a, b, "--markdown", page},
		"want a file whose tables": {a, "--markdown", t.TempDir()},
		"no tables to fill":        {a, "--markdown", page},
	} {
		r := command(t, append([]string{"bench", "compare"}, args...)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%q: exit code %d, %s", want, r.code, r.stderr)
		}
	}
}
