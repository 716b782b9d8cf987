// Package tensor has dense row-major arrays of fp16 or fp32, and two-dimensional
// views of them for matrix products.
//
// It is storage only, without arithmetic, broadcasting or autograd: package kernels
// computes, package nn differentiates.
package tensor

import (
	"fmt"
	"math"
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

// New returns a tensor of zeros. It panics if dtype is not valid, if a dimension is
// negative, or if the dimensions, zeros aside, have a product so large that no memory
// could hold as many fp32 elements.
func New(dtype DType, shape ...int) *Tensor {
	t := new(Tensor)
	t.Resize(dtype, shape...)
	return t
}

// FromF16 returns a tensor of the given shape that keeps data. It panics like [New],
// and if len(data) is not the product of the dimensions.
func FromF16(data []fp16.Float16, shape ...int) *Tensor {
	checkLen(len(data), shape)
	return &Tensor{dtype: F16, shape: slices.Clone(shape), f16: data}
}

// FromF32 returns a tensor of the given shape that keeps data. It panics like [New],
// and if len(data) is not the product of the dimensions.
func FromF32(data []float32, shape ...int) *Tensor {
	checkLen(len(data), shape)
	return &Tensor{dtype: F32, shape: slices.Clone(shape), f32: data}
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

// Resize gives t a type and a shape. It keeps t's memory if that is large enough, so
// that a buffer sized once for a full batch serves smaller ones without allocating.
// The elements' values are unspecified afterwards, except that new memory is zero. It
// panics like [New].
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

// Shape returns the dimensions, outermost first. Do not change them.
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

// FirstNonFinite returns the index of the first stored infinity or NaN, or −1.
func (t *Tensor) FirstNonFinite() int {
	if t.dtype == F16 {
		return slices.IndexFunc(t.f16, func(h fp16.Float16) bool { return !fp16.IsFinite(h) })
	}
	return slices.IndexFunc(t.f32, func(x float32) bool { return x-x != 0 })
}

// Matrix returns a matrix that shares t's memory. Its columns are the last dimension,
// its rows all others; a tensor of one dimension is a single row. It panics if t has
// no dimensions.
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
