package files

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// names returns the names in a folder.
func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", filepath.Join(dir, "none")) // nothing is to be made there
	path := filepath.Join(dir, "a[b]*?")
	if runtime.GOOS == "windows" {
		path = filepath.Join(dir, "a[b]")
	}
	if err := WriteFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Replace(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, "newer"); err != nil {
			return err
		}
		// Beside the target, and alive: no other process takes it away.
		if n := names(t, dir); len(n) != 2 {
			t.Errorf("while writing there are %q", n)
		}
		if err := RemoveLeftovers(dir, func(string) bool { return true }); err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "new" {
			t.Errorf("while writing there is %q, error %v", b, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "newer" {
		t.Errorf("there is %q, error %v", b, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("permissions %v, error %v", info.Mode(), err)
	}

	wrong := errors.New("wrong")
	if err := Replace(path, func(w io.Writer) error { io.WriteString(w, "x"); return wrong }); !errors.Is(err, wrong) {
		t.Errorf("error %v", err)
	}
	if n := names(t, dir); !slices.Equal(n, []string{filepath.Base(path)}) {
		t.Errorf("left in the folder: %q", n)
	}
	if err := WriteFile(filepath.Join(dir, "none", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such folder: error %v", err)
	}
	t.Chdir(dir)
	if err := WriteFile("relative", []byte("x")); err != nil {
		t.Error(err)
	}
}

// A link stays and the file that it leads to is replaced; a loop is an error.
func TestReplaceBehindLink(t *testing.T) {
	dir := t.TempDir()
	file, link, loop := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "loop")
	write(t, file, "old")
	if err := os.Symlink("file", link); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("new")); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "new" {
		t.Errorf("behind the link there is %q, error %v", b, err)
	}
	if to, err := os.Readlink(link); err != nil || to != "file" {
		t.Errorf("the link leads to %q, error %v", to, err)
	}
	if err := WriteFile(loop, nil); err == nil {
		t.Error("a loop is replaced")
	}
	if _, _, err := Open(loop); err == nil {
		t.Error("a loop is opened")
	}
}

func TestNoRegularFile(t *testing.T) {
	for _, path := range []string{t.TempDir(), "/dev/zero", "/dev/full", "/dev/stdout"} {
		before, err := os.Stat(path)
		if err != nil || before.Mode().IsRegular() { // /dev/stdout may be anything
			continue
		}
		var kind *KindError
		if _, _, err := Open(path); !errors.As(err, &kind) || !strings.Contains(err.Error(), path) {
			t.Errorf("opened %s: error %v", path, err)
		}
		kind = nil
		if err := WriteFile(path, nil); !errors.As(err, &kind) {
			t.Errorf("replaced %s: error %v", path, err)
		}
		if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
			t.Fatalf("%s is not what it was: %v", path, err)
		}
	}
}

// Files that killed processes have left go, and nobody else's do.
func TestRemoveLeftovers(t *testing.T) {
	dir := t.TempDir()
	others := []string{
		".checkpoint.safetensors123", ".halfgrad-notes", ".checkpoint.safetensors.0123456789abcdef0123456789abcdef",
		"checkpoint.safetensors", temporaryName("epoch-0001.safetensors"), temporaryName("checkpoint.safetensors") + "0",
		strings.Replace(temporaryName("chexkpoint.safetensors"), "x", "c", 1), // renamed
		temporaryName("checkpoint.safetensors")[1:],
	}
	for _, name := range others {
		write(t, filepath.Join(dir, name), "mine")
	}
	folder := temporaryName("checkpoint.safetensors")
	if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, temporaryName("checkpoint.safetensors"))
	write(t, left, "half")
	alive, err := createTemporary(dir, "checkpoint.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	if err := RemoveLeftovers(dir, func(name string) bool { return name == "checkpoint.safetensors" }); err != nil {
		t.Fatal(err)
	}
	if TryLock(alive) != nil {
		t.Skip("no locks here")
	}
	want := append(others, folder, filepath.Base(alive.Name()))
	slices.Sort(want)
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("left:\n%q, want\n%q", got, want)
	}
	write(t, left, "half again")
	if err := WriteFile(filepath.Join(dir, "checkpoint.safetensors"), []byte("whole")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Replace left what another had left: %v", err)
	}
}

func TestTryLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second := open(), open()
	if err := TryLock(first); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	if _, err := first.WriteString("who"); err != nil {
		t.Fatal(err)
	}
	if err := TryLock(second); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: error %v", err)
	}
	if b, err := io.ReadAll(second); err != nil || !bytes.Equal(b, []byte("who")) {
		t.Errorf("the contents of a locked file are %q, error %v", b, err)
	}
	first.Close()
	if err := TryLock(second); err != nil {
		t.Errorf("after the first has gone: %v", err)
	}
}
