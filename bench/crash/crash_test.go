package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/internal/datatest"
)

// newSurvey is one of a small run.
func newSurvey(t *testing.T) *survey {
	if testing.Short() {
		t.Skip("-short: it compiles the command and runs it many times")
	}
	s := &survey{ctx: t.Context(), dir: t.TempDir(), log: t.Output()}
	s.flags = []string{"--data", datatest.Folder(t, 600, 200, 1), "--hidden", "200", "--epochs", "20", "--batch", "16", "--lr", "0.01", "--log-every", "3", "--dropout", "0.2", "--ema", "0.9"}
	if err := s.build(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCrash(t *testing.T) {
	r, err := newSurvey(t).run(8, 1)
	if err != nil {
		t.Fatal(err)
	}
	if r.runs < 1 || len(r.hash) != 64 {
		t.Errorf("%+v", r)
	}
}

// A run that ends in other weights is found out.
func TestCompareFindsDifferences(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lines := `{"event":"start"}
{"event":"epoch","epoch":1,"images_per_sec":5}
{"event":"done","weights_sha256":"ab"}
`
	want, err := events(write("metrics.jsonl", lines))
	if err != nil {
		t.Fatal(err)
	}
	s := &survey{}
	write("metrics.jsonl", strings.Replace(lines, "5", "6", 1)+"")
	if err := s.compare(dir, want); err != nil {
		t.Errorf("another speed: %v", err)
	}
	for _, other := range []string{strings.Replace(lines, "ab", "ac", 1), strings.Replace(lines, `"epoch":1`, `"epoch":2`, 1), lines[:60]} {
		write("metrics.jsonl", other)
		if err := s.compare(dir, want); err == nil {
			t.Errorf("no error for %s", other)
		}
	}
	write("metrics.jsonl", lines)
	write(".checkpoint.safetensors123", "")
	if err := s.compare(dir, want); err == nil || !strings.Contains(err.Error(), "left behind") {
		t.Errorf("error %v for half a file", err)
	}
	write("checkpoint.safetensors", "half a file")
	if _, err := progress(dir); err == nil {
		t.Error("no error for a checkpoint that is not one")
	}
}
