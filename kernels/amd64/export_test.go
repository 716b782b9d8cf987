//go:build amd64 && !purego

package amd64

import "github.com/halfgrad/halfgrad/kernels/micro"

// OtherKernels are those that the machine would have if it were another one of its
// tier: both ways to multiply a row must work wherever either is tested.
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
