//go:build unix

package files

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A pipe that nobody has open at its other end: opening it would wait.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o644); err != nil {
		t.Skip(err)
	}
	var kind *KindError
	if _, _, err := Open(path); !errors.As(err, &kind) {
		t.Errorf("opened: error %v", err)
	}
	if err := WriteFile(path, nil); !errors.As(err, &kind) {
		t.Errorf("replaced: error %v", err)
	}
}
