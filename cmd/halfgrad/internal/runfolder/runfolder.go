// Package runfolder manages the folder of a training run: the names of its checkpoints,
// and a lock that keeps a second run out.
//
// It removes only checkpoints that halfgrad has written, in that folder alone. Paths are
// never patterns.
package runfolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/internal/files"
)

// The checkpoints in a folder: the last one, and the one with the best validation.
// [Epoch] names the others.
const (
	Checkpoint = "checkpoint.safetensors"
	Best       = "best.safetensors"
)

// lockName is the file that is locked. It exists during a run, and after one that was
// killed.
const lockName = ".halfgrad.lock"

// Epoch returns the name of the checkpoint of an epoch, counted from 1.
func Epoch(n int) string { return fmt.Sprintf("epoch-%04d.safetensors", n) }

// epochOf is the inverse of Epoch.
func epochOf(name string) (n int, ok bool) {
	digits, _ := strings.CutPrefix(name, "epoch-")
	digits, _ = strings.CutSuffix(digits, ".safetensors")
	n, err := strconv.Atoi(digits)
	return n, err == nil && Epoch(n) == name
}

// isName reports whether a name is that of a checkpoint in a folder.
func isName(name string) bool {
	_, epoch := epochOf(name)
	return epoch || name == Checkpoint || name == Best
}

// IsCheckpoint reports whether path has the name of a checkpoint in a folder, and was
// written by halfgrad.
func IsCheckpoint(path string) bool {
	if !isName(filepath.Base(path)) {
		return false
	}
	ok, _ := written(path)
	return ok
}

// Reserved reports whether a run may write a file of that name into its folder. It
// ignores case, as some file systems do.
func Reserved(name string) bool {
	name = strings.ToLower(name)
	return isName(name) || name == lockName
}

// Folder is the folder of a run, locked against other runs.
type Folder struct {
	dir  string
	lock *os.File // nil where there are no locks
	made []string // the folders that Open created, innermost first
}

// BusyError reports a folder in which another process runs.
type BusyError struct {
	Dir   string
	Owner Owner
}

// Owner is a process that holds a folder.
type Owner struct {
	PID  int    `json:"pid"` // 0 if unknown
	Host string `json:"host"`
}

func (e *BusyError) Error() string {
	who := "another process"
	if e.Owner.PID != 0 {
		who = fmt.Sprintf("process %d", e.Owner.PID)
		if host, err := os.Hostname(); err != nil || host != e.Owner.Host {
			who += " on " + e.Owner.Host
		}
	}
	return fmt.Sprintf("%s is running in %s: want another folder, or wait until it has ended", who, e.Dir)
}

// ForeignError reports a file that a run would replace, but that halfgrad did not write
// or that is damaged.
type ForeignError struct {
	Path string
	Err  error // nil for a sound file of something else
}

func (e *ForeignError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%v: want another folder, or that file moved away", e.Err)
	}
	return fmt.Sprintf("%s was not written by halfgrad: want another folder, or that file moved away", e.Path)
}

func (e *ForeignError) Unwrap() error { return e.Err }

// Open creates the folder dir if need be, locks it, and removes the temporary files that
// killed runs left there. The error is a [*BusyError] if another process holds the lock,
// and a [*ForeignError] if the run would replace a file that halfgrad did not write.
//
// Where the file system has no locks, Open succeeds and Locked is false.
func Open(dir string) (f *Folder, err error) {
	f = &Folder{dir: dir}
	if f.made, err = missing(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	err = f.acquire()
	if err == nil {
		err = files.RemoveLeftovers(dir, isName)
	}
	if err == nil {
		err = f.check(Checkpoint)
	}
	if err == nil {
		err = f.check(Best)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// CheckEpochs returns a [*ForeignError] if there is a file named as the checkpoint of an
// epoch up to last that halfgrad did not write. A run that keeps its epochs would replace
// it.
func (f *Folder) CheckEpochs(last int) error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if n, ok := epochOf(entry.Name()); ok && n <= last {
			if err := f.check(entry.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// check returns a [*ForeignError] if there is a file of that name that halfgrad did not
// write.
func (f *Folder) check(name string) error {
	ok, err := written(f.Path(name))
	if ok || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return &ForeignError{f.Path(name), err}
}

// missing returns the folders to create for dir, innermost first.
func missing(dir string) (made []string, err error) {
	for {
		switch _, err := os.Stat(dir); {
		case err == nil:
			return made, nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		made = append(made, dir)
		parent := filepath.Dir(dir)
		if parent == dir {
			return made, nil
		}
		dir = parent
	}
}

// written reports whether halfgrad wrote the checkpoint path. It reads only the header.
func written(path string) (bool, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, nil
	}
	h, err := checkpoint.ReadHeader(path)
	if err != nil {
		return false, err
	}
	for key := range h.Metadata {
		if strings.HasPrefix(key, "halfgrad.") {
			return true, nil
		}
	}
	return false, nil
}

// acquire locks the folder by its lock file.
func (f *Folder) acquire() error {
	path := f.Path(lockName)
	for {
		if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
			return &ForeignError{path, nil}
		}
		lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		switch err := files.TryLock(lock); {
		case errors.Is(err, files.ErrLocked):
			defer lock.Close()
			return &BusyError{f.dir, holder(lock)}
		case err != nil:
			lock.Close()
			if text, err := os.ReadFile(path); err == nil && len(text) == 0 {
				os.Remove(path) // made just now
			}
			if errors.Is(err, errors.ErrUnsupported) {
				return nil
			}
			return err
		}
		if a, err := lock.Stat(); err == nil {
			if b, err := os.Lstat(path); err == nil && os.SameFile(a, b) {
				return f.own(lock)
			}
		}
		lock.Close() // its run has ended meanwhile, and removed it
	}
}

// own writes this process into the locked file.
func (f *Folder) own(lock *os.File) error {
	text, err := io.ReadAll(io.LimitReader(lock, 1<<16))
	if err == nil && len(text) > 0 {
		var before Owner
		if json.Unmarshal(text, &before) != nil || before.PID == 0 {
			lock.Close()
			return &ForeignError{lock.Name(), nil}
		}
	}
	f.lock = lock // from here on Close removes it
	owner := Owner{PID: os.Getpid()}
	owner.Host, _ = os.Hostname()
	text, marshal := json.Marshal(owner)
	if err := errors.Join(err, marshal, lock.Truncate(0)); err != nil {
		return err
	}
	_, err = lock.WriteAt(text, 0)
	return err
}

// holder returns the process in a locked file. It waits a while for the process to write
// itself there.
func holder(lock *os.File) (o Owner) {
	for range 50 {
		text := make([]byte, 1<<10)
		n, _ := lock.ReadAt(text, 0)
		if json.Unmarshal(text[:n], &o) == nil {
			return o
		}
		time.Sleep(10 * time.Millisecond)
	}
	return Owner{}
}

// Locked reports whether other runs are kept out.
func (f *Folder) Locked() bool { return f.lock != nil }

// Path returns the path of a file in the folder.
func (f *Folder) Path(name string) string { return filepath.Join(f.dir, name) }

// Close unlocks the folder. It removes the folders that Open created if they are empty.
func (f *Folder) Close() error {
	var err error
	if f.lock != nil {
		if runtime.GOOS == "windows" { // removes no open file
			f.lock.Close()
		}
		if err = os.Remove(f.lock.Name()); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		f.lock.Close()
		f.lock = nil
	}
	for _, dir := range f.made {
		if os.Remove(dir) != nil { // there is something in it
			break
		}
	}
	f.made = nil
	return err
}

// Prune removes the checkpoints that halfgrad wrote of epochs before first or after last.
func (f *Folder) Prune(first, last int) error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		n, ok := epochOf(entry.Name())
		if !ok || first <= n && n <= last {
			continue
		}
		if err := f.Remove(entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes the checkpoint of that name, if halfgrad wrote it.
func (f *Folder) Remove(name string) error {
	if !IsCheckpoint(f.Path(name)) {
		return nil
	}
	return os.Remove(f.Path(name))
}
