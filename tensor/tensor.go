// Package tensor has dense row-major arrays of one element type each, and two-dimensional
// views of them for matrix products.
//
// It is storage only, without arithmetic, broadcasting or autograd: package kernels
// computes, package nn differentiates.
package tensor

import (
	"fmt"
	"math"
	"slices"

	"github.com/halfgrad/halfgrad/bf16"
	"github.com/halfgrad/halfgrad/fp16"
)

// DType is the type of a tensor's elements.
type DType uint8

// The element types. The zero DType is not valid.
const (
	F16  DType = iota + 1 // IEEE 754 binary16
	F32                   // IEEE 754 binary32
	BF16                  // bfloat16, the upper half of an IEEE 754 binary32
	I32                   // 32-bit integers, such as labels and tokens
)

// String returns "fp16", "fp32", "bf16" or "int32".
func (d DType) String() string {
	switch d {
	case F16:
		return "fp16"
	case F32:
		return "fp32"
	case BF16:
		return "bf16"
	case I32:
		return "int32"
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Size returns the size of one element in bytes.
func (d DType) Size() int {
	if d < F16 || d > I32 {
		panic("tensor: Size of an invalid DType")
	}
	return int(sizes[d])
}

// sizes are those of elements in bytes. A table costs less than a switch where pieces of
// a few hundred elements are updated.
var sizes = [256]uint8{F16: 2, F32: 4, BF16: 2, I32: 4}

// ParseDType returns the type of the given name, fp16 or fp32: those that kernels have
// products for.
func ParseDType(s string) (DType, error) {
	switch s {
	case "fp16":
		return F16, nil
	case "fp32":
		return F32, nil
	}
	return 0, fmt.Errorf("tensor: unknown element type %q: want fp16 or fp32", s)
}

// Tensor is a dense row-major array. The zero Tensor is empty and has no type;
// [Tensor.Resize] gives it both.
type Tensor struct {
	shape    []int
	elements Elements
	memory   Elements // begins with the elements, and may have more
}

// New returns a tensor of zeros. It panics if dtype is not valid, if a dimension is
// negative, or if the dimensions, zeros aside, have a product so large that no memory
// could hold as many fp32 elements.
func New(dtype DType, shape ...int) *Tensor {
	t := new(Tensor)
	t.Resize(dtype, shape...)
	return t
}

// FromElements returns a tensor of the given shape that keeps e. It panics like [New],
// and if the number of elements is not the product of the dimensions.
func FromElements(e Elements, shape ...int) *Tensor {
	checkLen(e.len, shape)
	if e.dtype == 0 {
		panic("tensor: elements without a type")
	}
	return &Tensor{slices.Clone(shape), e, e}
}

// FromF16 is [FromElements] of a slice.
func FromF16(data []fp16.Float16, shape ...int) *Tensor {
	return FromElements(Of(data), shape...)
}

// FromF32 is [FromElements] of a slice.
func FromF32(data []float32, shape ...int) *Tensor {
	return FromElements(Of(data), shape...)
}

func checkLen(n int, shape []int) {
	if want := volume(shape); n != want {
		panic(fmt.Sprintf("tensor: %d elements given for the shape %v, which has %d", n, slices.Clone(shape), want))
	}
}

// volume returns the product of the dimensions. It panics if one is negative, or if
// those that are not zero have a product whose bytes an int cannot count in fp32. Each
// part of a valid shape is therefore valid too.
func volume(shape []int) int {
	n, empty := 1, false
	for _, d := range shape {
		// The messages get a clone, so that the callers' dimensions can stay on the stack.
		switch {
		case d < 0:
			panic(fmt.Sprintf("tensor: negative dimension in %v", slices.Clone(shape)))
		case d == 0:
			empty = true
		case d > math.MaxInt/4/n:
			panic(fmt.Sprintf("tensor: the shape %v has more elements than memory can hold", slices.Clone(shape)))
		default:
			n *= d
		}
	}
	if empty {
		return 0
	}
	return n
}

// Resize gives t a type and a shape. It keeps t's memory if that is large enough and of
// the same type, so that a buffer sized once for a full batch serves smaller ones without
// allocating. The elements' values are unspecified afterwards, except that new memory is
// zero. It panics like [New].
func (t *Tensor) Resize(dtype DType, shape ...int) {
	n := volume(shape)
	if t.memory.dtype != dtype || t.memory.len < n {
		t.memory = Make(dtype, n)
	}
	t.elements = t.memory.Slice(0, n)
	t.shape = append(t.shape[:0], shape...)
}

// SetRows changes the first dimension to n, within t's memory and without allocating: a
// tensor made for a full batch becomes one for a smaller batch, and back. The elements of
// the first rows stay as they are. It panics if t has no dimensions, or if n is negative
// or more than the memory has room for.
func (t *Tensor) SetRows(n int) {
	if len(t.shape) == 0 {
		panic("tensor: SetRows of a tensor without dimensions")
	}
	row := volume(t.shape[1:])
	if n < 0 || row > 0 && n > t.memory.len/row {
		panic(fmt.Sprintf("tensor: SetRows to %d of a tensor of shape %v with memory for %d elements", n, slices.Clone(t.shape), t.memory.len))
	}
	t.shape[0] = n
	t.elements = t.memory.Slice(0, n*row)
}

// ViewRows makes t a view of the rows of another tensor from the index from up to, and not
// including, to. They share the elements. It allocates only if t never had as many
// dimensions. It panics if the other tensor has no dimensions or no such rows.
func (t *Tensor) ViewRows(of *Tensor, from, to int) {
	if len(of.shape) == 0 {
		panic("tensor: ViewRows of a tensor without dimensions")
	}
	if from < 0 || from > to || to > of.shape[0] {
		panic(fmt.Sprintf("tensor: rows %d to %d of a tensor of shape %v", from, to, slices.Clone(of.shape)))
	}
	row := volume(of.shape[1:])
	t.elements = of.elements.Slice(from*row, to*row)
	t.memory = t.elements
	t.shape = append(t.shape[:0], of.shape...)
	t.shape[0] = to - from
}

// Share makes t, of at least one dimension, share elements: as many rows of the shape that
// it has as they are. It does not allocate. It panics if they are no whole number of rows.
func (t *Tensor) Share(e Elements) {
	row := volume(t.shape[1:])
	if row == 0 || e.len%row != 0 {
		panic(fmt.Sprintf("tensor: Share of %d elements by a tensor of shape %v", e.len, slices.Clone(t.shape)))
	}
	t.elements, t.memory = e, e
	t.shape[0] = e.len / row
}

// DType returns the type of the elements.
func (t *Tensor) DType() DType { return t.elements.dtype }

// Shape returns the dimensions, outermost first. Do not change them.
func (t *Tensor) Shape() []int { return t.shape }

// Len returns the number of elements.
func (t *Tensor) Len() int { return t.elements.len }

// Elements returns the elements, row after row. They are shared, not copied.
func (t *Tensor) Elements() Elements { return t.elements }

// F16 is [Elements.F16] of t's elements.
func (t *Tensor) F16() []fp16.Float16 { return t.elements.F16() }

// BF16 is [Elements.BF16] of t's elements.
func (t *Tensor) BF16() []bf16.BFloat16 { return t.elements.BF16() }

// F32 is [Elements.F32] of t's elements.
func (t *Tensor) F32() []float32 { return t.elements.F32() }

// I32 is [Elements.I32] of t's elements.
func (t *Tensor) I32() []int32 { return t.elements.I32() }

// FirstNonFinite is [Elements.FirstNonFinite] of t's elements.
func (t *Tensor) FirstNonFinite() int { return t.elements.FirstNonFinite() }

// Matrix returns a matrix that shares t's memory. Its columns are the last dimension,
// its rows all others; a tensor of one dimension is a single row. It panics if t has
// no dimensions.
func (t *Tensor) Matrix() Matrix {
	if len(t.shape) == 0 {
		panic("tensor: Matrix of a tensor without dimensions")
	}
	cols := t.shape[len(t.shape)-1]
	return Matrix{Rows: volume(t.shape[:len(t.shape)-1]), Cols: cols, Stride: cols, Elements: t.elements}
}
