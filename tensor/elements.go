package tensor

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/halfgrad/halfgrad/bf16"
	"github.com/halfgrad/halfgrad/fp16"
)

// Element is a type of elements.
type Element interface {
	fp16.Float16 | bf16.BFloat16 | float32 | int32
}

// Elements is a slice of elements of one type, which DType tells. Copies share the
// elements. The zero Elements has no elements and no type.
//
// Unlike a slice it has no capacity, so that append to a slice that it returns never
// writes beyond it.
//
// It is a pointer, a length and a tag, because a matrix is passed by value into every
// product, and one slice for each type would make it twice as large. The rules of package
// unsafe hold as follows. The pointer is an unsafe.Pointer to the first element, so the
// garbage collector keeps the memory and adjusts the pointer to a stack that moves. It
// never points behind the memory: see Slice. It is converted to a pointer to the elements'
// type alone: the tag is set where the memory's type is known, and View checks alignment
// and length.
type Elements struct {
	first unsafe.Pointer // to the first element; unspecified if there is none
	len   int
	dtype DType
}

// Of returns the elements of s, which it shares.
func Of[E Element](s []E) Elements {
	e := Elements{first: unsafe.Pointer(unsafe.SliceData(s)), len: len(s)}
	switch any((*E)(nil)).(type) {
	case *fp16.Float16:
		e.dtype = F16
	case *bf16.BFloat16:
		e.dtype = BF16
	case *float32:
		e.dtype = F32
	case *int32:
		e.dtype = I32
	}
	return e
}

// Make returns n zeros of the given type. It panics if d is not valid.
func Make(d DType, n int) Elements {
	switch d {
	case F16:
		return Of(make([]fp16.Float16, n))
	case BF16:
		return Of(make([]bf16.BFloat16, n))
	case F32:
		return Of(make([]float32, n))
	case I32:
		return Of(make([]int32, n))
	}
	panic("tensor: invalid " + d.String())
}

// View returns the n elements of the given type that lie at the beginning of memory, such
// as a part of an arena. It panics if d is not valid, if memory is too small, or if it does
// not begin at a multiple of the elements' size.
func View(memory []byte, d DType, n int) Elements {
	size := d.Size()
	first := unsafe.Pointer(unsafe.SliceData(memory))
	switch {
	case n < 0 || n > len(memory)/size:
		panic(fmt.Sprintf("tensor: View of %d elements of %v in %d bytes", n, d, len(memory)))
	case uintptr(first)%uintptr(size) != 0:
		panic(fmt.Sprintf("tensor: View of %v in memory that is not aligned to %d bytes", d, size))
	}
	return Elements{first, n, d}
}

// Memory returns n zero bytes, for View. They begin at a multiple of 64, the size of a
// cache line, in memory that does not move.
//
//go:noinline
func Memory(n int) []byte {
	const line = 64
	all := make([]byte, n+line-1)
	from := -int(uintptr(unsafe.Pointer(unsafe.SliceData(all)))) & (line - 1)
	return all[from : from+n : from+n]
}

// Pointer returns the address of the first element, for assembly. If there are no
// elements, it may be nil, and must not be read from.
func (e Elements) Pointer() unsafe.Pointer { return e.first }

// DType returns the type of the elements, or 0 if e is the zero Elements.
func (e Elements) DType() DType { return e.dtype }

// Len returns the number of elements.
func (e Elements) Len() int { return e.len }

// F16 returns the elements as a slice. It panics if they are of another type than fp16.
func (e Elements) F16() []fp16.Float16 {
	if e.dtype != F16 {
		e.mismatch("F16")
	}
	return unsafe.Slice((*fp16.Float16)(e.first), e.len)
}

// BF16 returns the elements as a slice. It panics if they are of another type than bf16.
func (e Elements) BF16() []bf16.BFloat16 {
	if e.dtype != BF16 {
		e.mismatch("BF16")
	}
	return unsafe.Slice((*bf16.BFloat16)(e.first), e.len)
}

// F32 returns the elements as a slice. It panics if they are of another type than fp32.
func (e Elements) F32() []float32 {
	if e.dtype != F32 {
		e.mismatch("F32")
	}
	return unsafe.Slice((*float32)(e.first), e.len)
}

// I32 returns the elements as a slice. It panics if they are of another type than int32.
func (e Elements) I32() []int32 {
	if e.dtype != I32 {
		e.mismatch("I32")
	}
	return unsafe.Slice((*int32)(e.first), e.len)
}

// mismatch keeps the message out of its callers, so that they are inlined.
//
//go:noinline
func (e Elements) mismatch(method string) {
	panic(fmt.Sprintf("tensor: %s of elements of %v", method, e.dtype))
}

// Slice returns the elements from the index from up to, and not including, to. It panics
// if there are none at these indices.
func (e Elements) Slice(from, to int) Elements {
	if uint(from) > uint(to) || uint(to) > uint(e.len) {
		panic(indexError{from, to, e.len})
	}
	if from < to { // a pointer behind the last element could keep other memory alive
		e.first = unsafe.Add(e.first, from*int(sizes[e.dtype]))
	}
	e.len = to - from
	return e
}

// From returns the elements from the index n on, or none if there are not so many.
func (e Elements) From(n int) Elements { return e.Slice(min(n, e.len), e.len) }

// indexError is what Slice panics with. A value costs the callers of Slice, into which it
// is inlined, less than a message.
type indexError struct{ from, to, len int }

func (e indexError) Error() string {
	return fmt.Sprintf("tensor: elements %d to %d of %d", e.from, e.to, e.len)
}

// Load converts all elements to dst, exactly. It panics if dst has another number of
// elements, or if e does not hold floating-point numbers.
func (e Elements) Load(dst []float32) {
	switch e.dtype {
	case F16:
		fp16.Widen(dst, e.F16())
	case BF16:
		bf16.Widen(dst, e.BF16())
	default:
		copy(dst, e.sameLen(len(dst)).F32())
	}
}

// Store rounds all of src to e, to nearest with ties to even. It panics if e has another
// number of elements, or if it does not hold floating-point numbers.
func (e Elements) Store(src []float32) {
	switch e.dtype {
	case F16:
		fp16.Narrow(e.F16(), src)
	case BF16:
		bf16.Narrow(e.BF16(), src)
	default:
		copy(e.sameLen(len(src)).F32(), src)
	}
}

func (e Elements) sameLen(n int) Elements {
	if e.len != n {
		panic(fmt.Sprintf("tensor: %d elements for %d values", e.len, n))
	}
	return e
}

// FirstNonFinite returns the index of the first infinity or NaN, or −1.
func (e Elements) FirstNonFinite() int {
	switch e.dtype {
	case F16:
		return slices.IndexFunc(e.F16(), func(h fp16.Float16) bool { return !fp16.IsFinite(h) })
	case BF16:
		return slices.IndexFunc(e.BF16(), func(b bf16.BFloat16) bool { return !bf16.IsFinite(b) })
	case F32:
		return slices.IndexFunc(e.F32(), func(x float32) bool { return x-x != 0 })
	}
	return -1 // integers, or nothing
}

// Copy copies the elements of src to dst. It panics unless both have one type and length.
func Copy(dst, src Elements) {
	if dst.dtype != src.dtype || dst.len != src.len {
		panic(fmt.Sprintf("tensor: Copy of %d elements of %v to %d of %v", src.len, src.dtype, dst.len, dst.dtype))
	}
	switch dst.dtype {
	case F16:
		copy(dst.F16(), src.F16())
	case BF16:
		copy(dst.BF16(), src.BF16())
	case F32:
		copy(dst.F32(), src.F32())
	case I32:
		copy(dst.I32(), src.I32())
	}
}

// Clear sets all elements to zero.
func (e Elements) Clear() {
	if e.len > 0 {
		clear(unsafe.Slice((*byte)(e.first), e.len*e.dtype.Size()))
	}
}
