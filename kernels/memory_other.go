//go:build !linux

package kernels

import "github.com/halfgrad/halfgrad/tensor"

// allocate returns so many bytes.
func allocate(size int) []byte { return tensor.Memory(size) }
