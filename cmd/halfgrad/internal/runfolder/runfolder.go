// Package runfolder keeps the folder of a training run: its checkpoints, and a lock that
// keeps a second run out.
//
// It replaces and removes files of the folder itself only, and only checkpoints that
// halfgrad has written. Paths are never patterns.
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

// The checkpoints in a folder: that of the last save, and that with the best validation.
// [Epoch] names the others.
const (
	Checkpoint = "checkpoint.safetensors"
	Best       = "best.safetensors"
)

// lockName is the file that is locked. It is there only while a run is, or after a run
// that was killed.
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

// Reserved reports whether a name is that of a file which a run writes into its folder.
// Upper and lower case are the same: they are on some file systems.
func Reserved(name string) bool {
	name = strings.ToLower(name)
	return isName(name) || name == lockName
}

// Folder is the folder of a run under way, locked against other runs.
type Folder struct {
	dir  string
	lock *os.File // nil where there are no locks
	made []string // the folders that Open made, the innermost first
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

// ForeignError reports a file that has the name of one of a run's, but was not written by
// halfgrad or is damaged.
type ForeignError struct {
	Path string
	Err  error // nil if it is sound, but of something else
}

func (e *ForeignError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%v: want another folder, or that file moved away", e.Err)
	}
	return fmt.Sprintf("%s was not written by halfgrad: want another folder, or that file moved away", e.Path)
}

func (e *ForeignError) Unwrap() error { return e.Err }

// Open makes the folder dir unless it is there, locks it, and removes the temporary files
// that runs which were killed have left there. The error is a [*BusyError] if another
// process holds it, and a [*ForeignError] if a file in it would be replaced or removed
// that is someone else's.
//
// Where the file system has no locks, Locked is false.
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

// CheckEpochs returns a [*ForeignError] if a checkpoint of an epoch up to last is someone
// else's. Prune leaves such files alone, but a run that keeps its epochs would replace
// them.
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

// check returns a [*ForeignError] if there is a file of that name that is someone else's.
func (f *Folder) check(name string) error {
	ok, err := written(f.Path(name))
	if ok || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return &ForeignError{f.Path(name), err}
}

// missing returns the folders that have to be made for dir, the innermost first.
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

// written reports whether halfgrad has written the checkpoint path. It reads the header
// alone.
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

// own writes into the locked file who holds it.
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

// holder returns who has locked a file. The process may not have written that yet.
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

// Close unlocks the folder, and removes it if Open has made it and nothing is in it.
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

// Prune removes the checkpoints of all epochs but those from first to last.
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

// Remove removes a checkpoint, if there is one of that name which halfgrad has written.
func (f *Folder) Remove(name string) error {
	if !IsCheckpoint(f.Path(name)) {
		return nil
	}
	return os.Remove(f.Path(name))
}
