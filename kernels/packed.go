package kernels

import "github.com/halfgrad/halfgrad/tensor"

// Packed is a copy of a matrix B in the order in which products with few rows read it. It
// pays for weights that are used many times between changes. It takes as much memory as
// the matrix. Any number of engines can use it at the same time. It never changes a result.
type Packed struct {
	rows, cols int
	elements   tensor.Elements
}

// packedCols is the number of columns of a panel of a packed matrix: as many as the widest
// tier takes at a time.
const packedCols = 128

// Pack returns a packed copy of b (k×n), which may be transposed. Later changes of b do
// not affect the copy. It panics if b is inconsistent (see [tensor.Matrix.Check]) or neither
// fp16 nor fp32.
func Pack(b tensor.Matrix) *Packed {
	if err := b.Check("B"); err != nil {
		panic("kernels: Pack: " + err.Error())
	}
	p := &Packed{rows: b.Rows, cols: b.Cols}
	switch b.DType() {
	case tensor.F16:
		p.elements = tensor.Of(pack(b, b.Elements.F16()))
	case tensor.F32:
		p.elements = tensor.Of(pack(b, b.Elements.F32()))
	default:
		panic("kernels: Pack: B is " + b.DType().String() + ": want fp16 or fp32")
	}
	return p
}

// pack returns the elements of b, which are src, panel by panel.
func pack[E tensor.Element](b tensor.Matrix, src []E) []E {
	dst := make([]E, 0, b.Rows*b.Cols)
	if b.Rows == 0 {
		return dst // however many columns there are
	}
	for j := 0; j < b.Cols; j += packedCols {
		for i := range b.Rows {
			for col := j; col < min(j+packedCols, b.Cols); col++ {
				at := i*b.Stride + col
				if b.Trans {
					at = col*b.Stride + i
				}
				dst = append(dst, src[at])
			}
		}
	}
	return dst
}

// panel returns the panel whose first column is j: all rows of up to packedCols columns,
// without gaps.
func (p *Packed) panel(j int) tensor.Matrix {
	cols := min(packedCols, p.cols-j)
	return tensor.Matrix{Rows: p.rows, Cols: cols, Stride: cols, Elements: p.elements.Slice(j*p.rows, (j+cols)*p.rows)}
}

// block returns a block of the matrix whose columns lie in one panel.
func (p *Packed) block(i, j, rows, cols int) tensor.Matrix {
	return p.panel(roundDown(j, packedCols)).Block(i, j%packedCols, rows, cols)
}

// shape returns a matrix of the same type, shape and number of elements.
func (p *Packed) shape() tensor.Matrix {
	return tensor.Matrix{Rows: p.rows, Cols: p.cols, Stride: p.cols, Elements: p.elements}
}
