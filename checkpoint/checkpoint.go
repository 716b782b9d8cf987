// Package checkpoint keeps named fp32 tensors and a few strings in a file of
// the safetensors format (https://huggingface.co/docs/safetensors), which
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
	"slices"

	"github.com/google/renameio/v2/maybe"
	"github.com/nlpodyssey/safetensors"
)

// File is what a checkpoint holds.
type File struct {
	Metadata map[string]string
	Tensors  []Tensor // no two of one name
}

// Tensor is a named fp32 array of at least one dimension, row-major.
type Tensor struct {
	Name   string
	Shape  []int
	Values []float32
}

// FormatError reports a file that is not a checkpoint, or not a whole one.
type FormatError struct {
	Path string // "" where the bytes came from no file
	Err  error
}

func (e *FormatError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("checkpoint: not a safetensors file of fp32 tensors, or damaged: %v", e.Err)
	}
	return fmt.Sprintf("checkpoint: %s is not a safetensors file of fp32 tensors, or is damaged: %v", e.Path, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// Write puts f into the file path. It writes another file beside it first, has
// it reach the disk, and renames it into place, so that path holds either its
// old contents or all of the new ones whatever happens meanwhile. (On Windows,
// where renaming is not atomic, it is written in place.)
func Write(path string, f *File) error {
	data, err := encode(f)
	if err != nil {
		return fmt.Errorf("checkpoint: writing %s: %w", path, err)
	}
	if err := maybe.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
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

// Decode returns the contents of a checkpoint that is in memory. The error is
// a [*FormatError].
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
		view := named.TensorView
		if view.DType() != safetensors.F32 {
			return nil, &FormatError{Err: fmt.Errorf("tensor %q is of type %s, want F32", named.Name, view.DType())}
		}
		t := Tensor{Name: named.Name, Values: make([]float32, len(view.Data())/4)}
		for _, d := range view.Shape() {
			if d > math.MaxInt32 {
				return nil, &FormatError{Err: fmt.Errorf("tensor %q has a dimension of %d", named.Name, d)}
			}
			t.Shape = append(t.Shape, int(d))
		}
		for i := range t.Values {
			t.Values[i] = math.Float32frombits(binary.LittleEndian.Uint32(view.Data()[4*i:]))
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
		data := make([]byte, 4*len(t.Values))
		for i, v := range t.Values {
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
		}
		view, err := safetensors.NewTensorView(safetensors.F32, shape, data)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		views[t.Name] = view
	}
	return safetensors.Serialize(views, f.Metadata)
}
