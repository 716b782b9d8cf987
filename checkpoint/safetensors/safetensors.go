// Package safetensors reads and writes the headers of safetensors files
// (https://huggingface.co/docs/safetensors): eight bytes of header length, little
// endian, a header in JSON, and the elements of all tensors, one after the other.
//
// A header is small and says where each tensor lies, so a reader takes the header
// first, and then only the tensors that it wants. The package converts no elements.
//
// It is stricter than some: a header whose JSON has duplicate names, unknown fields,
// numbers that are not plain integers or strings that are not Unicode is an error, and
// so are tensors that overlap, leave holes, go beyond the data or whose shape and type
// do not give their size.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxHeader is the largest header in bytes. The reference implementation has the same limit.
const MaxHeader = 100_000_000

// metadataKey is the name in the header that holds strings and no tensor.
const metadataKey = "__metadata__"

// DType is the type of a tensor's elements, by the format's name.
type DType string

// The types that halfgrad reads. It writes all but F64.
const (
	F16  DType = "F16"
	BF16 DType = "BF16"
	F32  DType = "F32"
	F64  DType = "F64"
	I32  DType = "I32"
)

// sizes are those of an element in bytes. The format's types below a byte are missing.
var sizes = map[DType]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1,
	"U16": 2, "I16": 2, F16: 2, BF16: 2,
	"U32": 4, I32: 4, F32: 4,
	"U64": 8, "I64": 8, F64: 8, "C64": 8,
}

// Size returns the size of an element in bytes, 0 for an unknown type.
func (d DType) Size() int { return int(sizes[d]) }

// Tensor says where the elements of a tensor are, row-major and little endian.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []int // of a scalar: none
	Offset int64 // in bytes from the beginning of the data
	Size   int64 // in bytes
}

// Elements returns the number of elements.
func (t Tensor) Elements() int64 { return t.Size / sizes[t.DType] }

// Header is the header of a file.
type Header struct {
	Metadata map[string]string // nil where the file has none
	Tensors  []Tensor          // in the order of their data, no two of one name
	Length   int64             // of the header in bytes, with the eight that hold its length: the data begin here
}

// Size returns the size of the whole file in bytes.
func (h *Header) Size() int64 {
	if len(h.Tensors) == 0 {
		return h.Length
	}
	last := h.Tensors[len(h.Tensors)-1]
	return h.Length + last.Offset + last.Size
}

// Data returns a reader of the elements of t, a tensor of h, in the file that r reads.
func (h *Header) Data(r io.ReaderAt, t Tensor) *io.SectionReader {
	return io.NewSectionReader(r, h.Length+t.Offset, t.Size)
}

// ReadHeader reads the header of a file of size bytes. It reads nothing behind the
// header, and no more than size or [MaxHeader] allow whatever the file says.
func ReadHeader(r io.ReaderAt, size int64) (*Header, error) {
	var first [9]byte // the length, and the brace with which the header begins
	if size < int64(len(first)) {
		return nil, fmt.Errorf("%d bytes are too few for a header", size)
	}
	if read, err := r.ReadAt(first[:], 0); read < len(first) {
		return nil, unexpected(err)
	}
	n := binary.LittleEndian.Uint64(first[:8])
	switch {
	case first[8] != '{':
		return nil, errors.New("the ninth byte is not the { with which a header begins")
	case n > MaxHeader:
		return nil, fmt.Errorf("a header of %d bytes: want at most %d", n, MaxHeader)
	case int64(n) > size-8:
		return nil, fmt.Errorf("a header of %d bytes in a file of %d", n, size)
	}
	text := make([]byte, n)
	if read, err := r.ReadAt(text, 8); read < len(text) {
		return nil, unexpected(err)
	}
	h, err := parse(text)
	if err != nil {
		return nil, err
	}
	h.Length = int64(n) + 8
	slices.SortStableFunc(h.Tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
	if err := h.check(); err != nil {
		return nil, err
	}
	if h.Size() != size {
		return nil, fmt.Errorf("the header is of a file of %d bytes, there are %d", h.Size(), size)
	}
	return h, nil
}

// unexpected returns err, or what an end of the file before its size is.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// NewHeader returns a header for tensors of the given names, types and shapes, and its
// encoding, which a file begins with; the data follow in the order of the header's
// tensors. That order is by the size of an element, largest first, and then by name, so
// that each tensor is aligned. Offset and Size are filled in. The error tells what
// [ReadHeader] would reject.
func NewHeader(metadata map[string]string, tensors []Tensor) (h *Header, encoded []byte, err error) {
	h = &Header{Tensors: slices.Clone(tensors)}
	if len(metadata) > 0 {
		h.Metadata = metadata
	}
	slices.SortStableFunc(h.Tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), strings.Compare(a.Name, b.Name))
	})
	var offset int64
	for i := range h.Tensors {
		t := &h.Tensors[i]
		t.Offset = offset
		if t.Size, err = size(*t); err != nil {
			return nil, nil, err
		}
		if offset += t.Size; offset < 0 {
			return nil, nil, errors.New("tensors of more than 2^63 bytes")
		}
	}
	if err := h.check(); err != nil {
		return nil, nil, err
	}
	for key, value := range metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, nil, fmt.Errorf("metadata %q: %q is not Unicode: want UTF-8", key, value)
		}
	}
	encoded, err = h.encode()
	if err != nil {
		return nil, nil, err
	}
	h.Length = int64(len(encoded))
	return h, encoded, nil
}

// check returns an error unless the tensors have distinct names and lie without gaps one
// after the other, each of the size that its shape and type give.
func (h *Header) check() error {
	names := make(map[string]bool, len(h.Tensors))
	var end int64
	for _, t := range h.Tensors {
		want, err := size(t)
		switch {
		case err != nil:
			return err
		case names[t.Name]:
			return fmt.Errorf("two tensors are named %q", t.Name)
		case t.Name == metadataKey:
			return fmt.Errorf("a tensor is named %q, which is the place of strings", t.Name)
		case !utf8.ValidString(t.Name):
			return fmt.Errorf("tensor %q: the name is not Unicode: want UTF-8", t.Name)
		case t.Size != want:
			return fmt.Errorf("tensor %q has %d bytes, its shape %v in %s wants %d", t.Name, t.Size, t.Shape, t.DType, want)
		case t.Offset != end:
			return fmt.Errorf("tensor %q begins at byte %d of the data, want %d", t.Name, t.Offset, end)
		case t.Size > math.MaxInt64-MaxHeader-8-end:
			return fmt.Errorf("tensor %q of %d bytes goes beyond 2^63", t.Name, t.Size)
		}
		names[t.Name] = true
		end += t.Size
	}
	return nil
}

// size returns the size of t that its shape and type give. All dimensions but those of 0
// must have a product that fits: code that computes with parts of a shape is safe then.
func size(t Tensor) (int64, error) {
	element := sizes[t.DType]
	if element == 0 {
		return 0, fmt.Errorf("tensor %q is of an unknown type %q", t.Name, t.DType)
	}
	product, zero := uint64(element), false
	for _, d := range t.Shape {
		if d < 0 {
			return 0, fmt.Errorf("tensor %q has the shape %v: want no negative dimension", t.Name, t.Shape)
		}
		if d == 0 {
			zero = true
			continue
		}
		high, low := bits.Mul64(product, uint64(d))
		if high != 0 || low > math.MaxInt64 {
			return 0, fmt.Errorf("tensor %q has the shape %v: want less than 2^63 bytes", t.Name, t.Shape)
		}
		product = low
	}
	if zero {
		return 0, nil
	}
	return int64(product), nil
}

// encode returns the header with its length, padded with spaces so that the data begin
// at a multiple of eight bytes.
func (h *Header) encode() ([]byte, error) {
	type tensor struct {
		DType   DType    `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	fields := make(map[string]any, len(h.Tensors)+1)
	if len(h.Metadata) > 0 {
		fields[metadataKey] = h.Metadata
	}
	for _, t := range h.Tensors {
		fields[t.Name] = tensor{t.DType, append([]int{}, t.Shape...), [2]int64{t.Offset, t.Offset + t.Size}}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	text = append(text, bytes.Repeat([]byte{' '}, -len(text)&7)...)
	if len(text) > MaxHeader {
		return nil, fmt.Errorf("names, shapes and metadata make a header of %d bytes: want at most %d", len(text), MaxHeader)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), nil
}
