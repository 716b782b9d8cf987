package tensor

import (
	"fmt"

	"github.com/halfgrad/halfgrad/fp16"
)

// Matrix is a view of memory as a Rows×Cols matrix. It is a small value to pass around
// freely; copies share the elements.
//
// Row i of the *stored* matrix starts at index i·Stride and is contiguous. With Trans, the
// view is the transpose of the stored matrix:
//
//	element (r, c) = Elements[r·Stride + c]   if !Trans
//	                 Elements[c·Stride + r]   if Trans
//
// A matrix that is only a shape has the zero Elements.
type Matrix struct {
	Rows, Cols int  // of the view, after any transposition
	Stride     int  // elements from one stored row to the next
	Trans      bool // the view is the transpose of what is stored
	Elements   Elements
}

// MatrixF16 views data as a rows×cols matrix stored row after row.
func MatrixF16(data []fp16.Float16, rows, cols int) Matrix {
	return Matrix{Rows: rows, Cols: cols, Stride: cols, Elements: Of(data)}
}

// MatrixF32 views data as a rows×cols matrix stored row after row.
func MatrixF32(data []float32, rows, cols int) Matrix {
	return Matrix{Rows: rows, Cols: cols, Stride: cols, Elements: Of(data)}
}

// T returns the transpose of m, a view of the same elements. Nothing moves.
func (m Matrix) T() Matrix {
	m.Rows, m.Cols, m.Trans = m.Cols, m.Rows, !m.Trans
	return m
}

// DType returns the type of the elements, or 0 if m is only a shape.
func (m Matrix) DType() DType { return m.Elements.dtype }

// Check returns an error if m is inconsistent: a negative size, a stride smaller
// than a stored row, or too few elements. The error begins with name, the caller's name for the matrix. No size or stride is too large
// for it: a matrix that passes lies within its elements.
func (m Matrix) Check(name string) error {
	rows, cols := m.Rows, m.Cols
	if m.Trans {
		rows, cols = cols, rows
	}
	have := m.Elements.len
	switch {
	case rows < 0 || cols < 0:
		return fmt.Errorf("%s: negative size %d×%d", name, m.Rows, m.Cols)
	case rows == 0 || cols == 0:
		return nil
	case m.Stride < cols:
		return fmt.Errorf("%s: stride %d is smaller than a stored row of %d elements", name, m.Stride, cols)
	case have < cols || (have-cols)/m.Stride < rows-1: // without a product, which could overflow
		return fmt.Errorf("%s: %d elements are too few for %d×%d with stride %d", name, have, m.Rows, m.Cols, m.Stride)
	}
	return nil
}

// Block returns the rows×cols submatrix whose first element is (i, j), a view
// of the same elements. It panics if the block does not lie within m, which must
// be consistent (see [Matrix.Check]).
func (m Matrix) Block(i, j, rows, cols int) Matrix {
	if i < 0 || j < 0 || rows < 0 || cols < 0 || rows > m.Rows-i || cols > m.Cols-j {
		panic(fmt.Sprintf("tensor: block of %d×%d at (%d, %d) of a %d×%d matrix", rows, cols, i, j, m.Rows, m.Cols))
	}
	m.Rows, m.Cols = rows, cols
	if rows == 0 || cols == 0 || m.Elements.dtype == 0 {
		return m
	}
	from := i*m.Stride + j
	if m.Trans {
		from = j*m.Stride + i
	}
	m.Elements = m.Elements.Slice(from, m.Elements.len)
	return m
}

// LoadRow widens row i into dst, exactly. dst has at least Cols elements. It
// panics if m is transposed: its rows are not contiguous then.
func (m Matrix) LoadRow(dst []float32, i int) {
	from, to := m.row(i)
	m.Elements.Slice(from, to).Load(dst[:m.Cols])
}

// StoreRow rounds src, to nearest even, into row i. src has at least Cols
// elements. It panics if m is transposed.
func (m Matrix) StoreRow(src []float32, i int) {
	from, to := m.row(i)
	m.Elements.Slice(from, to).Store(src[:m.Cols])
}

func (m Matrix) row(i int) (from, to int) {
	if m.Trans {
		panic("tensor: a row of a transposed matrix is not contiguous")
	}
	return i * m.Stride, i*m.Stride + m.Cols
}
