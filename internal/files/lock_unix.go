//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package files

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// TryLock locks an open file until it is closed or the process ends, even by a kill.
// The error is [ErrLocked] if it is locked already, and wraps [errors.ErrUnsupported]
// where the system or the file system has no locks.
func TryLock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EWOULDBLOCK:
			return ErrLocked
		case err == unix.ENOLCK: // of a network's file system without its lock server
			return fmt.Errorf("lock %s: %w: %w", f.Name(), errors.ErrUnsupported, err)
		case err != nil:
			return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
		return nil
	}
}
