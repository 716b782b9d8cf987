// Package checkpoint keeps named tensors of fp32 and fp16 and a few strings in a
// file of the safetensors format (https://huggingface.co/docs/safetensors), which
// Python, Rust and browsers read too.
//
// It knows nothing of models or optimizers: trainer decides what a checkpoint
// holds.
package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2/maybe"
	"github.com/nlpodyssey/safetensors"

	"github.com/halfgrad/halfgrad/fp16"
)

// File is what a checkpoint holds.
type File struct {
	Metadata map[string]string
	Tensors  []Tensor // no two of one name
}

// Tensor is a named array, row-major, of fp32 or fp16: one of Values and Half is
// not nil, also where there are no elements.
type Tensor struct {
	Name   string
	Shape  []int
	Values []float32      // fp32
	Half   []fp16.Float16 // fp16
}

// Float32s returns the elements in fp32: Values itself, or Half widened.
func (t Tensor) Float32s() []float32 {
	if t.Half == nil {
		return t.Values
	}
	wide := make([]float32, len(t.Half))
	fp16.Widen(wide, t.Half)
	return wide
}

// FormatError reports a file that is not a checkpoint, or not a whole one.
type FormatError struct {
	Path string // "" where the bytes came from no file
	Err  error
}

func (e *FormatError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("checkpoint: not a safetensors file of floating-point tensors, or damaged: %v", e.Err)
	}
	return fmt.Sprintf("checkpoint: %s is not a safetensors file of floating-point tensors, or is damaged: %v", e.Path, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// Write puts f into the file path. It writes another file beside it first, has
// it reach the disk, and renames it into place, so that path holds either its
// old contents or all of the new ones whatever happens meanwhile; and it returns
// when the new name has reached the disk too. (On Windows, where renaming is not
// atomic, it is written in place.)
func Write(path string, f *File) error {
	data, err := encode(f)
	if err != nil {
		return fmt.Errorf("checkpoint: writing %s: %w", path, err)
	}
	if err := maybe.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	syncFolder(filepath.Dir(path))
	return nil
}

// syncFolder has the names in a folder reach the disk. Not every file system can,
// and the file is in place whether it can or not.
func syncFolder(path string) {
	if dir, err := os.Open(path); err == nil {
		dir.Sync()
		dir.Close()
	}
}

// Read returns the contents of the file path. The error is a [*FormatError] if
// there is a file but not a valid one, and wraps [fs.ErrNotExist] if there is
// none.
func Read(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	f, err := Decode(data)
	var format *FormatError
	if errors.As(err, &format) {
		format.Path = path
	}
	return f, err
}

// Decode returns the contents of a checkpoint that is in memory. Tensors of bf16 and
// of float64, which others write, become fp32 ones. The error is a [*FormatError].
func Decode(data []byte) (*File, error) {
	st, err := safetensors.Deserialize(data)
	if err != nil {
		return nil, &FormatError{Err: err}
	}
	_, header, err := safetensors.ReadMetadata(data)
	if err != nil {
		return nil, &FormatError{Err: err}
	}
	f := &File{Metadata: header.Metadata()}
	for _, named := range st.Tensors() {
		t := Tensor{Name: named.Name}
		for _, d := range named.TensorView.Shape() {
			if d > math.MaxInt32 {
				return nil, &FormatError{Err: fmt.Errorf("tensor %q has a dimension of %d", named.Name, d)}
			}
			t.Shape = append(t.Shape, int(d))
		}
		raw := named.TensorView.Data()
		switch dtype := named.TensorView.DType(); dtype {
		case safetensors.F32:
			t.Values = make([]float32, len(raw)/4)
			for i := range t.Values {
				t.Values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			}
		case safetensors.F16:
			t.Half = make([]fp16.Float16, len(raw)/2)
			for i := range t.Half {
				t.Half[i] = fp16.Float16(binary.LittleEndian.Uint16(raw[2*i:]))
			}
		case safetensors.BF16: // the upper half of an fp32
			t.Values = make([]float32, len(raw)/2)
			for i := range t.Values {
				t.Values[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
			}
		case safetensors.F64:
			t.Values = make([]float32, len(raw)/8)
			for i := range t.Values {
				t.Values[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
			}
		default:
			return nil, &FormatError{Err: fmt.Errorf("tensor %q is of type %s, want F32, F16, BF16 or F64", named.Name, dtype)}
		}
		f.Tensors = append(f.Tensors, t)
	}
	return f, nil
}

// Tensor returns the tensor of the given name and whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	i := slices.IndexFunc(f.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

func encode(f *File) ([]byte, error) {
	views := make(map[string]safetensors.TensorView, len(f.Tensors))
	for _, t := range f.Tensors {
		if _, twice := views[t.Name]; twice {
			return nil, fmt.Errorf("two tensors are named %q", t.Name)
		}
		shape := make([]uint64, len(t.Shape))
		for i, d := range t.Shape {
			shape[i] = uint64(d)
		}
		dtype, data := safetensors.F32, make([]byte, 0, 4*len(t.Values)+2*len(t.Half))
		for _, v := range t.Values {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		if t.Half != nil {
			dtype = safetensors.F16
			for _, h := range t.Half {
				data = binary.LittleEndian.AppendUint16(data, uint16(h))
			}
		}
		if t.Values != nil && t.Half != nil {
			return nil, fmt.Errorf("tensor %q has both fp32 and fp16 elements", t.Name)
		}
		view, err := safetensors.NewTensorView(dtype, shape, data)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		views[t.Name] = view
	}
	return safetensors.Serialize(views, f.Metadata)
}
