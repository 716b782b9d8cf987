//go:build amd64 && !purego

package amd64

import "github.com/halfgrad/halfgrad/kernels/micro"

// OtherKernels are the kernels with the choices of another machine of the same tier, so
// that a test on either machine covers both ways to multiply a row.
func OtherKernels() []micro.Kernel {
	var list []micro.Kernel
	for _, k := range Kernels {
		if k.Tier == "avx512" {
			k.Thin = thinAVX512(!halves512)
			list = append(list, k)
		}
	}
	return list
}
