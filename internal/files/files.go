// Package files opens, replaces and locks files. Opening a pipe or a device is an error
// and never waits, a file is replaced as a whole or not at all, and only temporary files
// that this program made are cleaned up.
package files

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// KindError reports a path that is not a regular file.
type KindError struct {
	Path string
	Mode fs.FileMode
}

func (e *KindError) Error() string {
	kind := "of an unknown kind"
	switch {
	case e.Mode.IsDir():
		kind = "a folder"
	case e.Mode&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case e.Mode&fs.ModeSocket != 0:
		kind = "a socket"
	case e.Mode&fs.ModeDevice != 0:
		kind = "a device"
	}
	return fmt.Sprintf("%s is %s: want a file", e.Path, kind)
}

// Open opens a regular file for reading and returns its size in bytes. The error is a
// [*KindError] for anything else: reading from a device or a pipe may wait forever or
// never end.
func Open(path string) (f *os.File, size int64, err error) {
	info, err := os.Stat(path) // opening a pipe would wait for its other end
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, &KindError{path, info.Mode()}
	}
	if f, err = os.Open(path); err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		f.Close()
		return nil, 0, &KindError{path, info.Mode()}
	}
	return f, info.Size(), nil
}

// Target returns the path of the file that [Replace] would replace or create: path, or
// the target of its symbolic links. The error is a [*KindError] if there is something at
// path other than a regular file.
func Target(path string) (string, error) {
	link, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path) // behind the links
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &KindError{path, info.Mode()}
	}
	if link.Mode()&fs.ModeSymlink != 0 {
		return filepath.EvalSymlinks(path)
	}
	return path, nil
}

// WriteFile is [Replace] with data.
func WriteFile(path string, data []byte) error {
	return Replace(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Replace replaces the file path by what write writes, or creates it. It writes a
// temporary file beside it, syncs that to disk, renames it, and syncs the folder, so that
// path has either its old contents or all of the new ones, whatever happens meanwhile.
// An existing file keeps its permissions; a new one has 0644 less the umask.
//
// A process that is killed leaves its temporary file behind. The next Replace of the same
// path removes it, and so does [RemoveLeftovers].
func Replace(path string, write func(io.Writer) error) (err error) {
	path, err = Target(path)
	if err != nil {
		return err
	}
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)                                      // "" is "."
	RemoveLeftovers(dir, func(n string) bool { return n == name }) // if it cannot, the new file is none the worse
	f, err := createTemporary(dir, name)
	if err != nil {
		return err
	}
	renamed := false
	defer func() {
		f.Close()
		if !renamed {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if info, err := os.Stat(path); err == nil {
		if err := f.Chmod(info.Mode().Perm()); err != nil && runtime.GOOS != "windows" {
			return err
		}
	}
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // renames no open file
		if err := f.Close(); err != nil {
			return err
		}
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	renamed = true
	if folder, err := os.Open(dir); err == nil {
		folder.Sync() // not every file system can
		folder.Close()
	}
	return nil
}

// createTemporary creates a temporary file for the file name in dir. It locks the file
// where locks exist, so that other processes see that this one lives.
func createTemporary(dir, name string) (*os.File, error) {
	for {
		path := filepath.Join(dir, temporaryName(name))
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return nil, err
		}
		switch err := TryLock(f); {
		case errors.Is(err, ErrLocked): // by RemoveLeftovers, between the two calls
		case err != nil && !errors.Is(err, errors.ErrUnsupported):
			f.Close()
			return nil, errors.Join(err, os.Remove(path))
		case sameFile(f, path):
			return f, nil
		}
		f.Close() // it has been removed: make another
	}
}

// sameFile reports whether path is still the name of f.
func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// The name of a temporary file consists of a dot, the name of the target, a dot, a random
// number and a digest of these, in hexadecimal. The digest proves that this program chose
// the name.
const (
	randomDigits = 16
	digestDigits = 16
)

func temporaryName(name string) string {
	var random [randomDigits / 2]byte
	rand.Read(random[:])
	digits := hex.EncodeToString(random[:])
	return "." + name + "." + digits + temporaryDigest(name, digits)
}

func temporaryDigest(name, random string) string {
	sum := sha256.Sum256([]byte("temporary file of halfgrad for " + name + " " + random))
	return hex.EncodeToString(sum[:digestDigits/2])
}

// temporaryOf returns the name of the target of a temporary file, and false for a name
// that is not a temporary file's.
func temporaryOf(temporary string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(temporary, ".")
	dot := len(rest) - randomDigits - digestDigits - 1
	if !ok || dot < 1 || rest[dot] != '.' {
		return "", false
	}
	name, digits := rest[:dot], rest[dot+1:]
	return name, digits[randomDigits:] == temporaryDigest(name, digits[:randomDigits])
}

// RemoveLeftovers removes the temporary files that killed processes left in the folder
// dir, for targets whose names are wanted. It keeps those of running processes.
func RemoveLeftovers(dir string, wanted func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name, ok := temporaryOf(entry.Name())
		if !ok || !wanted(name) || !entry.Type().IsRegular() {
			continue
		}
		if err := removeUnlocked(filepath.Join(dir, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeUnlocked removes a file unless a process has locked it.
func removeUnlocked(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	switch err := TryLock(f); {
	case errors.Is(err, ErrLocked), errors.Is(err, errors.ErrUnsupported):
		return nil // its process lives, or nobody can tell
	case err != nil:
		return err
	}
	if runtime.GOOS == "windows" { // removes no open file
		f.Close()
	}
	return os.Remove(path)
}
