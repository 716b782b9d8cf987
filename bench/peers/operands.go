package main

import (
	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// value is an operand's element where its position along k is p and the other
// is i: a positive number from 1/8 to 1/2 with few significant bits, exact in
// fp16, and different where rows, columns or operands are mixed up.
func value(i, p, fi, fp int) float32 {
	return float32(64+(fi*i+fp*p)%64) / float32(int(256)<<(i%2))
}

// operands returns A and B as all workers make them, in fp16, and room for C.
func operands(s bench.Shape, c tensor.DType) kernels.GemmArgs {
	a, b := tensor.New(tensor.F16, s.M, s.K), tensor.New(tensor.F16, s.K, s.N)
	for i := range s.M {
		for p := range s.K {
			a.F16()[i*s.K+p] = fp16.FromFloat32(value(i, p, 31, 17))
		}
	}
	for p := range s.K {
		for j := range s.N {
			b.F16()[p*s.N+j] = fp16.FromFloat32(value(j, p, 13, 29))
		}
	}
	return kernels.GemmArgs{A: a.Matrix(), B: b.Matrix(), C: tensor.New(c, s.M, s.N).Matrix()}
}

// corners returns the first and the last element of the product, in float64.
func corners(s bench.Shape) (first, last float64) {
	for p := range s.K {
		first += float64(value(0, p, 31, 17)) * float64(value(0, p, 13, 29))
		last += float64(value(s.M-1, p, 31, 17)) * float64(value(s.N-1, p, 13, 29))
	}
	return first, last
}

// near reports whether got can be want, rounded to fp16 along the way.
func near(got, want float64) bool {
	const unit = 1.0 / (1 << 10)
	return got >= want*(1-unit) && got <= want*(1+unit)
}
