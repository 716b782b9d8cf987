//go:build !linux

package kernels

import "github.com/halfgrad/halfgrad/fp16"

// allocate returns n elements.
func allocate[T float32 | fp16.Float16](n int) []T { return make([]T, n) }
