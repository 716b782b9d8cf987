package main

import (
	"fmt"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// product is a shape, and which of its operands are stored transposed.
type product struct {
	bench.Shape
	trans string // for A and for B: "nn", "nt", "tn" or "tt"
}

// String returns the product as workers are told of it.
func (p product) String() string { return fmt.Sprintf("%d %d %d %s", p.M, p.N, p.K, p.trans) }

// value is an operand's element where its position along k is p and the other
// is i: a positive number from 1/8 to 1/2 with few significant bits, exact in
// fp16, and different where rows, columns or operands are mixed up.
func value(i, p, fi, fp int) float32 {
	return float32(64+(fi*i+fp*p)%64) / float32(int(256)<<(i%2))
}

// elementA and elementB are the operands as all workers make them.
func elementA(i, p int) float32 { return value(i, p, 31, 17) }
func elementB(p, j int) float32 { return value(j, p, 13, 29) }

// operands returns A and B of a type, and room for C.
func operands(p product, dtype tensor.DType) kernels.GemmArgs {
	return kernels.GemmArgs{
		A: matrix(dtype, p.M, p.K, p.trans[0] == 't', elementA), B: matrix(dtype, p.K, p.N, p.trans[1] == 't', elementB),
		C: tensor.New(dtype, p.M, p.N).Matrix(),
	}
}

// matrix returns a matrix of given elements, which may be stored transposed.
func matrix(dtype tensor.DType, rows, cols int, transposed bool, element func(row, col int) float32) tensor.Matrix {
	if transposed {
		return matrix(dtype, cols, rows, false, func(row, col int) float32 { return element(col, row) }).T()
	}
	m := tensor.New(dtype, rows, cols).Matrix()
	row := make([]float32, cols)
	for i := range rows {
		for j := range row {
			row[j] = element(i, j)
		}
		m.StoreRow(row, i)
	}
	return m
}

// corners returns the first and the last element of the product, in float64.
func corners(s bench.Shape) (first, last float64) {
	for p := range s.K {
		first += float64(elementA(0, p)) * float64(elementB(p, 0))
		last += float64(elementA(s.M-1, p)) * float64(elementB(p, s.N-1))
	}
	return first, last
}

// near reports whether got can be want, rounded to fp16 along the way.
func near(got, want float64) bool {
	const unit = 1.0 / (1 << 10)
	return got >= want*(1-unit) && got <= want*(1+unit)
}
