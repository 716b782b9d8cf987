// Package tensor holds what the numbers live in: dense row-major arrays of
// fp16 or fp32, and two-dimensional views of them for matrix products.
//
// It is storage only. There is no arithmetic, no broadcasting and no autograd
// here; kernels computes, nn differentiates.
package tensor

import (
	"fmt"
	"slices"

	"github.com/halfgrad/halfgrad/fp16"
)

// DType is the type of a tensor's elements.
type DType uint8

// The element types. The zero DType is not valid.
const (
	F16 DType = iota + 1 // IEEE 754 binary16
	F32                  // IEEE 754 binary32
)

// String returns "fp16" or "fp32", the names used on the command line.
func (d DType) String() string {
	switch d {
	case F16:
		return "fp16"
	case F32:
		return "fp32"
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Size returns the size of one element in bytes.
func (d DType) Size() int {
	switch d {
	case F16:
		return 2
	case F32:
		return 4
	}
	panic("tensor: Size of an invalid DType")
}

// ParseDType is the inverse of [DType.String].
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
	dtype DType
	shape []int
	f16   []fp16.Float16 // the elements when dtype is F16
	f32   []float32      // the elements when dtype is F32
}

// New returns a tensor of zeros. It panics if a dimension is negative or
// dtype is not valid.
func New(dtype DType, shape ...int) *Tensor {
	t := new(Tensor)
	t.Resize(dtype, shape...)
	return t
}

// FromF16 returns a tensor that keeps data, of the given shape. It panics if
// len(data) is not the product of the dimensions.
func FromF16(data []fp16.Float16, shape ...int) *Tensor {
	checkLen(len(data), shape)
	return &Tensor{dtype: F16, shape: slices.Clone(shape), f16: data}
}

// FromF32 returns a tensor that keeps data, of the given shape. It panics if
// len(data) is not the product of the dimensions.
func FromF32(data []float32, shape ...int) *Tensor {
	checkLen(len(data), shape)
	return &Tensor{dtype: F32, shape: slices.Clone(shape), f32: data}
}

func checkLen(n int, shape []int) {
	if want := volume(shape); n != want {
		panic(fmt.Sprintf("tensor: %d elements given for the shape %v, which has %d", n, slices.Clone(shape), want))
	}
}

func volume(shape []int) int {
	n := 1
	for _, d := range shape {
		if d < 0 {
			// A clone, so that the callers' dimensions can stay on the stack.
			panic(fmt.Sprintf("tensor: negative dimension in %v", slices.Clone(shape)))
		}
		n *= d
	}
	return n
}

// Resize gives t a type and a shape, keeping its memory where that is large
// enough, so that a buffer sized once for a full batch serves smaller ones
// without allocating. What the elements hold afterwards is unspecified, except
// that newly allocated ones are zero. It panics like [New].
func (t *Tensor) Resize(dtype DType, shape ...int) {
	n := volume(shape)
	switch dtype {
	case F16:
		t.f16, t.f32 = grow(t.f16, n), nil
	case F32:
		t.f16, t.f32 = nil, grow(t.f32, n)
	default:
		panic(fmt.Sprintf("tensor: invalid %v", dtype))
	}
	t.dtype = dtype
	t.shape = append(t.shape[:0], shape...)
}

func grow[E any](s []E, n int) []E {
	if s == nil || cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

// DType returns the type of the elements.
func (t *Tensor) DType() DType { return t.dtype }

// Shape returns the dimensions, outermost first. The caller must not change them.
func (t *Tensor) Shape() []int { return t.shape }

// Len returns the number of elements.
func (t *Tensor) Len() int { return len(t.f16) + len(t.f32) }

// F16 returns the elements of an fp16 tensor. It panics if t is of another type.
func (t *Tensor) F16() []fp16.Float16 {
	if t.dtype != F16 {
		panic("tensor: F16 of a tensor of " + t.dtype.String())
	}
	return t.f16
}

// F32 returns the elements of an fp32 tensor. It panics if t is of another type.
func (t *Tensor) F32() []float32 {
	if t.dtype != F32 {
		panic("tensor: F32 of a tensor of " + t.dtype.String())
	}
	return t.f32
}

// FirstNonFinite returns the index of the first infinity or NaN in t, or −1.
// It tests the exponent bits of what is stored.
func (t *Tensor) FirstNonFinite() int {
	if t.dtype == F16 {
		return slices.IndexFunc(t.f16, func(h fp16.Float16) bool { return !fp16.IsFinite(h) })
	}
	return slices.IndexFunc(t.f32, func(x float32) bool { return x-x != 0 })
}

// Matrix returns t as a matrix: the last dimension across, all others down.
// A tensor of one dimension is a single row. The matrix shares t's memory.
func (t *Tensor) Matrix() Matrix {
	if len(t.shape) == 0 {
		panic("tensor: Matrix of a tensor without dimensions")
	}
	cols := t.shape[len(t.shape)-1]
	return Matrix{
		Rows: volume(t.shape[:len(t.shape)-1]), Cols: cols, Stride: cols,
		F16: t.f16, F32: t.f32,
	}
}
