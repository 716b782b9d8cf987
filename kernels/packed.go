package kernels

import (
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

// Packed is a copy of a matrix B in the order in which products with few rows read it. It
// pays for weights that are used many times between changes. It takes as much memory as
// the matrix. Any number of engines can use it at the same time. It never changes a result.
type Packed struct {
	rows, cols int
	f16        []fp16.Float16
	f32        []float32
}

// packedCols is the number of columns of a panel of a packed matrix: as many as the widest
// tier takes at a time.
const packedCols = 128

// Pack returns a packed copy of b (k×n), which may be transposed. Later changes of b do
// not affect the copy. It panics if b is inconsistent (see [tensor.Matrix.Check]).
func Pack(b tensor.Matrix) *Packed {
	if err := b.Check("B"); err != nil {
		panic("kernels: Pack: " + err.Error())
	}
	p := &Packed{rows: b.Rows, cols: b.Cols}
	if b.F16 != nil {
		p.f16 = make([]fp16.Float16, b.Rows*b.Cols)
	} else {
		p.f32 = make([]float32, b.Rows*b.Cols)
	}
	if b.Rows == 0 {
		return p // however many columns there are
	}
	for j := 0; j < b.Cols; j += packedCols {
		to := p.panel(j)
		for i := range b.Rows {
			for col := range to.Cols {
				at := i*b.Stride + j + col
				if b.Trans {
					at = (j+col)*b.Stride + i
				}
				if b.F16 != nil {
					to.F16[i*to.Stride+col] = b.F16[at]
				} else {
					to.F32[i*to.Stride+col] = b.F32[at]
				}
			}
		}
	}
	return p
}

// panel returns the panel whose first column is j: all rows of up to packedCols columns,
// without gaps.
func (p *Packed) panel(j int) tensor.Matrix {
	m := tensor.Matrix{Rows: p.rows, Cols: min(packedCols, p.cols-j)}
	m.Stride = m.Cols
	from, to := j*p.rows, (j+m.Cols)*p.rows
	if p.f16 != nil {
		m.F16 = p.f16[from:to]
	} else {
		m.F32 = p.f32[from:to]
	}
	return m
}

// block returns a block of the matrix whose columns lie in one panel.
func (p *Packed) block(i, j, rows, cols int) tensor.Matrix {
	return p.panel(roundDown(j, packedCols)).Block(i, j%packedCols, rows, cols)
}

// shape returns a matrix of the same type, shape and number of elements.
func (p *Packed) shape() tensor.Matrix {
	return tensor.Matrix{F16: p.f16, F32: p.f32, Rows: p.rows, Cols: p.cols, Stride: p.cols}
}
