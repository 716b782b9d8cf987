//go:build !unix

package kerneltest

import "testing"

// Guarded returns n zeros. There is no guard page on this system.
func Guarded[T any](_ testing.TB, n int, _ bool) []T { return make([]T, n) }
