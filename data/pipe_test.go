//go:build unix

package data_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/internal/datatest"
)

// Opening a pipe would wait for somebody to write to it, for ever.
func TestPipesAreRefused(t *testing.T) {
	dir := datatest.Folder(t, 20, 10, 1)
	path := filepath.Join(dir, "t10k-labels-idx1-ubyte")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	_, err := data.LoadMNIST(t.Context(), data.Source{Dir: dir})
	var format *data.FormatError
	if !errors.As(err, &format) || format.File != path || !strings.HasSuffix(err.Error(), "found a named pipe, expected a regular file") {
		t.Errorf("a pipe in a folder: error %v", err)
	}
	if _, err := data.ReadIDXFile("/dev/null"); !errors.As(err, &format) || format.Found != "a device" {
		t.Errorf("a device: error %v", err)
	}
	if _, err := data.ReadIDXFile(dir); !errors.As(err, &format) || format.Found != "a folder" {
		t.Errorf("a folder: error %v", err)
	}
}
