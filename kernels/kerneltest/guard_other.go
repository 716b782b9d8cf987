//go:build !unix

package kerneltest

import "testing"

// GuardedFloats returns n zeros. There is no guard page on this system.
func GuardedFloats(_ testing.TB, n int, _ bool) []float32 { return make([]float32, n) }
