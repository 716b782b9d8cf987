//go:build unix

package kerneltest

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Guarded returns n zeros that touch the end of their memory (or the
// beginning): the page next to them faults on any access.
func Guarded[T any](t testing.TB, n int, atEnd bool) []T {
	t.Helper()
	bytes := n * int(unsafe.Sizeof(*new(T)))
	page := unix.Getpagesize()
	size := (bytes + page - 1) / page * page
	mem, err := unix.Mmap(-1, 0, page+size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("mmap: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(mem); err != nil {
			t.Errorf("munmap: %v", err)
		}
	})
	for _, guard := range [][]byte{mem[:page], mem[page+size:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatalf("mprotect: %v", err)
		}
	}
	if n == 0 {
		return nil
	}
	from := page
	if atEnd {
		from = page + size - bytes
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&mem[from])), n)
}
