package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/halfgrad/halfgrad/bench/compare"
	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/internal/files"
)

type benchCompareCmd struct {
	Reports []string `arg:"" help:"Reports that 'halfgrad bench' wrote, each FILE or NAME=FILE." placeholder:"FILE"`
	HTML    string   `name:"html" help:"Write a page for a browser, too." placeholder:"FILE"`
	JSON    bool     `help:"Print JSON and no table."`

	Markdown string `help:"Fill the tables in this Markdown file, such as docs/performance.md, with the figures of the one report, and print no table." placeholder:"FILE"`
}

// Help is what --help tells besides the flags.
func (*benchCompareCmd) Help() string {
	return `Puts the kernels of one report, or the reports of several machines or commits, side by
side: medians, their confidence intervals, shares of the FMA peak, and speed-ups against
the first column, or ~ where chance may have made the difference. Emulated machines are
shown and compared with nothing.

  halfgrad bench --kernel all --out here.json
  halfgrad bench compare here.json
  halfgrad bench compare --html comparison.html x86=here.json arm=there.json
  halfgrad bench compare --markdown docs/performance.md here.json

The page holds all that it shows: it loads nothing, and runs no scripts.`
}

func (c *benchCompareCmd) Run(e *env) error {
	var inputs []compare.Input
	for _, arg := range c.Reports {
		in := compare.Input{Path: arg}
		if label, path, found := strings.Cut(arg, "="); found && !exists(arg) {
			in.Label, in.Path = label, path
		}
		var err error
		if in.Report, err = report.Read(in.Path); err != nil {
			return usageError{err}
		}
		inputs = append(inputs, in)
	}
	if err := c.checkHTML(inputs); err != nil {
		return err
	}
	if c.Markdown != "" {
		return c.fillMarkdown(e, inputs)
	}
	comparison, err := compare.New(inputs...)
	if err != nil {
		return err
	}
	if c.HTML != "" {
		page, err := comparison.HTML()
		if err != nil {
			return err
		}
		if err := files.WriteFile(c.HTML, page); err != nil {
			return fmt.Errorf("bench compare: %w", err)
		}
	}
	if c.JSON {
		out := json.NewEncoder(e.stdout)
		out.SetIndent("", "  ")
		return out.Encode(comparison)
	}
	if err := comparison.WriteText(e.stdout); err != nil {
		return err
	}
	if c.HTML != "" {
		_, err = fmt.Fprintf(e.stdout, "wrote %s\n", c.HTML)
	}
	return err
}

// fillMarkdown fills the tables of a file.
func (c *benchCompareCmd) fillMarkdown(e *env, inputs []compare.Input) error {
	if len(inputs) != 1 || c.HTML != "" || c.JSON {
		return usagef("--markdown %s: want one report, and neither --html nor --json", c.Markdown)
	}
	if info, err := os.Stat(c.Markdown); err != nil || !info.Mode().IsRegular() {
		return usagef("--markdown %s: want a file whose tables are to be filled", c.Markdown)
	}
	text, err := os.ReadFile(c.Markdown)
	if err != nil {
		return usageError{err}
	}
	filled, err := compare.FillMarkdown(text, inputs[0].Report)
	if err != nil {
		return usagef("--markdown %s: %w", c.Markdown, err)
	}
	if bytes.Equal(filled, text) {
		_, err = fmt.Fprintf(e.stdout, "%s has the report's figures\n", c.Markdown)
		return err
	}
	if err := files.WriteFile(c.Markdown, filled); err != nil {
		return fmt.Errorf("bench compare: %w", err)
	}
	_, err = fmt.Fprintf(e.stdout, "wrote %s\n", c.Markdown)
	return err
}

// checkHTML sees whether the page can be written, and does not take a report's place.
func (c *benchCompareCmd) checkHTML(inputs []compare.Input) error {
	if c.HTML == "" {
		return nil
	}
	var reports []namedPath
	for _, in := range inputs {
		reports = append(reports, namedPath{"a report", in.Path})
	}
	if err := checkFiles([]namedPath{{"--html", c.HTML}}, reports...); err != nil {
		return err
	}
	if err := checkFolder(filepath.Dir(c.HTML)); err != nil {
		return usagef("--html %s: %w", c.HTML, err)
	}
	return nil
}
