// Package checkpoint keeps named tensors of fp32 and fp16 and a few strings in a
// file of the safetensors format (https://huggingface.co/docs/safetensors), which
// Python, Rust and browsers read too.
//
// It knows nothing of models or optimizers: trainer decides what a checkpoint
// holds. What it writes has a checksum, in the metadata, that covers everything else;
// files of other programs have none, and are read without.
package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

// digestKey is where the metadata holds the checksum.
const digestKey = "halfgrad.sha256"

// digest returns a SHA-256 of the names, types, shapes and elements of all tensors, in
// the order of their names, and of the metadata but for a digest.
func digest(tensors []safetensors.NamedTensorView, metadata map[string]string) string {
	hash := sha256.New()
	for _, t := range slices.SortedFunc(slices.Values(tensors), func(a, b safetensors.NamedTensorView) int { return strings.Compare(a.Name, b.Name) }) {
		fmt.Fprintf(hash, "%q %v %v %d\n", t.Name, t.TensorView.DType(), t.TensorView.Shape(), len(t.TensorView.Data()))
		hash.Write(t.TensorView.Data())
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if key != digestKey {
			fmt.Fprintf(hash, "%q %q\n", key, metadata[key])
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

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
	if want, ok := f.Metadata[digestKey]; ok {
		if got := digest(st.Tensors(), f.Metadata); got != want {
			return nil, &FormatError{Err: fmt.Errorf("its contents have the SHA-256 %.12s…, but were written with %.12s…", got, want)}
		}
		delete(f.Metadata, digestKey)
	}
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
	named := make([]safetensors.NamedTensorView, 0, len(f.Tensors))
	for _, t := range f.Tensors {
		if _, twice := views[t.Name]; twice {
			return nil, fmt.Errorf("two tensors are named %q", t.Name)
		}
		view, err := t.view()
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		views[t.Name] = view
		named = append(named, safetensors.NamedTensorView{Name: t.Name, TensorView: view})
	}
	metadata := map[string]string{digestKey: digest(named, f.Metadata)}
	maps.Copy(metadata, f.Metadata)
	return safetensors.Serialize(views, metadata)
}

// view returns the tensor in the form of the format.
func (t Tensor) view() (safetensors.TensorView, error) {
	if t.Values != nil && t.Half != nil {
		return safetensors.TensorView{}, errors.New("both fp32 and fp16 elements")
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
	return safetensors.NewTensorView(dtype, shape, data)
}
