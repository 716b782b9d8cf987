package files

import (
	"os"

	"golang.org/x/sys/windows"
)

// TryLock locks an open file until it is closed or the process ends, even by a kill.
// The error is [ErrLocked] if it is locked already.
func TryLock(f *os.File) error {
	// Others cannot read a locked range, so it lies far behind the contents.
	where := windows.Overlapped{OffsetHigh: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &where)
	if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
		return ErrLocked
	}
	if err != nil {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}
