// Package files opens, replaces and locks files so that nothing waits without end,
// nothing is left half-written, and no file of anyone else's is touched.
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

// KindError reports a path that is no regular file.
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

// Open opens a regular file for reading and returns its size. A device or a pipe is a
// [*KindError]: reading from one may wait for ever or never end.
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

// Target returns the path of the file that [Replace] would replace or make: path, or
// where its symbolic links lead. The error is a [*KindError] for anything but a regular
// file or nothing at all.
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

// Replace puts what write writes into the file path. It writes a temporary file beside
// it, waits until that has reached the disk, and renames it, so that path has either
// its old contents or all of the new ones, whatever happens meanwhile. It returns when
// the new name has reached the disk, too, where the file system can tell. A file that
// is there keeps its permissions; a new one has 0644 less the umask.
//
// Only a process that is killed leaves its temporary file behind. The next Replace of
// the same path removes it, and so does [RemoveLeftovers].
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

// createTemporary makes a temporary file for the file name in dir, and locks it where
// that is possible, so that others see that its process lives.
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

// The name of a temporary file is a dot, the name of the file that it is to become, a
// dot, a random number, and a digest of all this, in hexadecimal. The digest makes it
// certain that this program chose the name.
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

// temporaryOf returns the name of the file that the temporary file called temporary was
// to become, and whether it is one.
func temporaryOf(temporary string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(temporary, ".")
	dot := len(rest) - randomDigits - digestDigits - 1
	if !ok || dot < 1 || rest[dot] != '.' {
		return "", false
	}
	name, digits := rest[:dot], rest[dot+1:]
	return name, digits[randomDigits:] == temporaryDigest(name, digits[:randomDigits])
}

// RemoveLeftovers removes from the folder dir the temporary files that killed processes
// have left of the files whose names are wanted. It recognises them by their names and
// keeps those whose process lives.
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
		return nil // who knows whether its process lives
	case err != nil:
		return err
	}
	if runtime.GOOS == "windows" { // removes no open file
		f.Close()
	}
	return os.Remove(path)
}
