package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stripes writes pictures of two classes: dark ones with a bright row, and with a bright
// column.
func stripes(t *testing.T, parts ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, part := range parts {
		for i := range 40 {
			m := image.NewGray(image.Rect(0, 0, 6, 5))
			class := "row"
			for at := range 5 {
				if i%2 == 0 {
					m.SetGray(at, i/2%5, color.Gray{200})
				} else {
					class = "column"
					m.SetGray(i/2%6, at, color.Gray{200})
				}
			}
			path := filepath.Join(dir, part, class, fmt.Sprintf("%02d.png", i))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(f, m); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// A folder of pictures by class is learned, evaluated and predicted like any data set.
func TestTrainOnPictures(t *testing.T) {
	dir, out := stripes(t, "train", "test"), filepath.Join(t.TempDir(), "run")
	r := succeed(t, "train", "--data", dir, "--out", out, "--hidden", "16", "--batch", "8", "--epochs", "40")
	if !strings.Contains(r.stdout, "images of 5×6") {
		t.Errorf("no size of the pictures in\n%s", r.stdout)
	}
	if r := succeed(t, "eval", "--checkpoint", out); !strings.Contains(r.stdout, "test accuracy 1.0000 (40 of 40 images)") {
		t.Errorf("the pictures are not learned:\n%s", r.stdout)
	}
	checkUsageError(t, command(t, "train", "--data", stripes(t, "train"), "--out", filepath.Join(t.TempDir(), "run")), "there is no test part", "want subfolders train and test")
	bad := filepath.Join(dir, "test", "row", "bad.png")
	if err := os.WriteFile(bad, []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	checkUsageError(t, command(t, "train", "--data", dir, "--out", filepath.Join(t.TempDir(), "run")), "bad.png")
}
