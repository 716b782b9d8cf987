package kerneltest_test

import "unsafe"

var sink float32

// readPast reads the element after the last of s, as an assembly kernel with a
// wrong bound would.
func readPast(s []float32) {
	sink += *(*float32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(s)), 4*len(s)))
}
