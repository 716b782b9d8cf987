package kernels

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/halfgrad/halfgrad/tensor"
)

// allocate returns so many bytes. From 1 MiB on it asks for huge pages: a packed matrix is
// read over and over, and with pages of 4 KiB the translation of its addresses can take as
// long as the reading, above all in a virtual machine. (A product of 2000×2016×2000 on a
// rented Zen 5: 0.87 of the FMA peak without, 0.94 with, measured by turns.)
func allocate(size int) []byte {
	const page, least = 2 << 20, 1 << 20
	if size < least {
		return tensor.Memory(size)
	}
	pages := (size + page - 1) / page
	s := make([]byte, (pages+1)*page)
	from := -int(uintptr(unsafe.Pointer(&s[0]))) & (page - 1)
	// This is advice. A system that does not take it, such as a container that forbids it,
	// is no error.
	_ = unix.Madvise(s[from:from+pages*page], unix.MADV_HUGEPAGE)
	return s[from:][:size]
}
