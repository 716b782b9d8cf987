package main

import (
	"encoding/xml"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeMetrics(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkSVG returns the content of a file that must be well-formed XML.
func checkSVG(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(b)))
	for {
		if _, err := d.Token(); err == io.EOF {
			return string(b)
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}

func checkPNG(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

// What train writes, plot draws.
func TestPlot(t *testing.T) {
	data, dir := smallData(t), t.TempDir()
	var files []string
	for _, precision := range []string{"fp16", "fp32"} {
		file := filepath.Join(dir, precision+".jsonl")
		args, _ := trainArgs(t, data, "--precision", precision, "--metrics", file)
		succeed(t, args...)
		files = append(files, file)
	}
	out := filepath.Join(dir, "runs.svg")
	if r := succeed(t, "plot", files[0], files[1], "--out", out); r.stdout != "wrote "+out+"\n" {
		t.Errorf("it says %q", r.stdout)
	}
	svg := checkSVG(t, out)
	for _, want := range []string{">fp16<", ">fp32<", ">Loss<", ">Accuracy<", ">Loss scale<", ">Learning rate<", ">Images per second<", ">training<", ">validation<", ">epoch<", "#0072B2", "#D55E00"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in the figure", want)
		}
	}
	succeed(t, "plot", files[0], "--out", out, "--x", "step")
	if svg := checkSVG(t, out); !strings.Contains(svg, ">step<") || strings.Contains(svg, ">fp32<") {
		t.Error("it is not fp16 alone over steps")
	}
	out = filepath.Join(dir, "runs.PNG")
	succeed(t, "plot", files[1], "--out", out)
	checkPNG(t, out)

	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	killed := writeMetrics(t, "killed.jsonl", string(b[:len(b)-20]))
	succeed(t, "plot", killed, "--out", out)
}

func TestPlotBadInput(t *testing.T) {
	good := writeMetrics(t, "good.jsonl", `{"event":"epoch","epoch":1,"train_loss":1}`+"\n")
	bad := writeMetrics(t, "bad.jsonl", `{"event":"epoch","epoch":1}`+"\nnonsense\n")
	none := writeMetrics(t, "none.jsonl", `{"event":"start","epoch":0}`+"\n")
	skip := writeMetrics(t, "skip.jsonl", `{"event":"epoch","epoch":1}`+"\n")
	out := filepath.Join(t.TempDir(), "out.png")
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--out", out}, []string{"run"}},
		{[]string{good}, []string{"--out"}},
		{[]string{good, "--out", "x.gif"}, []string{"--out x.gif", ".png, .svg or .pdf"}},
		{[]string{good, "--out", "x"}, []string{"--out x", ".png, .svg or .pdf"}},
		{[]string{good, "--out", out, "--x", "time"}, []string{"--x", `"epoch"`, `"step"`, `"time"`}},
		{[]string{good + ".missing", "--out", out}, []string{"good.jsonl.missing"}},
		{[]string{filepath.Dir(good), "--out", out}, []string{filepath.Dir(good)}},
		{[]string{os.DevNull, "--out", out}, []string{os.DevNull + " is a device: want a file"}},
		{[]string{good, bad, "--out", out}, []string{"bad.jsonl:2: want an event"}},
		{[]string{none, "--out", out}, []string{"none.jsonl: no event", "--metrics"}},
		{[]string{skip, "--out", out, "--x", "step"}, []string{"skip.jsonl", "epochs"}},
		{[]string{good, good, good, good, good, good, good, good, "--out", out}, []string{"8 runs: want 1 to 7"}},
		{[]string{good, "--out", filepath.Join(filepath.Dir(out), "missing", "x.png")}, []string{"--out", "missing"}},
	} {
		r := command(t, append([]string{"plot"}, tt.args...)...)
		checkUsageError(t, r, tt.want...)
		if r.stdout != "" {
			t.Errorf("%v: it says %q", tt.args, r.stdout)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("there is a figure")
	}
}

// A folder has the name of the figure.
func TestPlotWriteError(t *testing.T) {
	good := writeMetrics(t, "good.jsonl", `{"event":"epoch","epoch":1,"train_loss":1}`+"\n")
	taken := filepath.Join(t.TempDir(), "taken.png")
	if err := os.Mkdir(taken, 0o755); err != nil {
		t.Fatal(err)
	}
	checkUsageError(t, command(t, "plot", good, "--out", taken), "--out "+taken+" is a folder: want a file")
}

func TestPlotHelp(t *testing.T) {
	r := succeed(t, "plot", "--help")
	for _, part := range []string{"--out", "--x", "epoch or step", "--metrics", "PNG, SVG or PDF", "loss scale"} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("no %q in\n%s", part, r.stdout)
		}
	}
}
