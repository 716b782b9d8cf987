//go:build darwin || freebsd

package memory

import (
	"runtime"

	"golang.org/x/sys/unix"
)

func total() uint64 {
	name := map[string]string{"darwin": "hw.memsize", "freebsd": "hw.physmem"}[runtime.GOOS]
	n, err := unix.SysctlUint64(name)
	if err != nil {
		return 0
	}
	return n
}

// available is not known: no sysctl counts what would be given back.
func available() uint64 { return 0 }
