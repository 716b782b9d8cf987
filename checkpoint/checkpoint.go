// Package checkpoint keeps named tensors of fp16, bf16, fp32 and int32, and a few strings,
// in files of the safetensors format (https://huggingface.co/docs/safetensors), which
// Python, Rust and browsers read too.
//
// It knows nothing of models or optimizers: package trainer decides what a checkpoint
// holds. Each file that it writes has a checksum of everything else in its metadata.
// Files of other programs have none and are read without.
package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/halfgrad/halfgrad/checkpoint/safetensors"
	"github.com/halfgrad/halfgrad/internal/files"
	"github.com/halfgrad/halfgrad/tensor"
)

// File is the contents of a checkpoint.
type File struct {
	Metadata map[string]string // Unicode
	Tensors  []Tensor          // no two of one name
}

// Tensor is a named array, row-major, with as many elements as the product of its
// dimensions. The elements have a type also where there are none.
type Tensor struct {
	Name     string // Unicode
	Shape    []int
	Elements tensor.Elements
}

// Float32s returns the elements in fp32: those of an fp32 tensor themselves, and others
// widened. It panics if they are integers.
func (t Tensor) Float32s() []float32 {
	switch {
	case t.Elements.Len() == 0:
		return nil
	case t.Elements.DType() == tensor.F32:
		return t.Elements.F32()
	}
	wide := make([]float32, t.Elements.Len())
	t.Elements.Load(wide)
	return wide
}

// Tensor returns the tensor of the given name and whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	i := slices.IndexFunc(f.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// FormatError reports a file that is no checkpoint, or a damaged one.
type FormatError struct {
	Path string // "" where the bytes came from no file
	Err  error
}

func (e *FormatError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("checkpoint: not a safetensors file of numbers that halfgrad reads, or damaged: %v", e.Err)
	}
	return fmt.Sprintf("checkpoint: %s is not a safetensors file of numbers that halfgrad reads, or is damaged: %v", e.Path, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// The metadata hold the checksum under digestKey. Other keys that begin with ownPrefix
// are the state of halfgrad's programs.
const (
	ownPrefix = "halfgrad."
	digestKey = ownPrefix + "sha256"
)

// digest collects a SHA-256 of the names, types, shapes and elements of all tensors, in
// the order of their names, and of the metadata without the digest. The caller puts the
// elements of each tensor into hash.
func digest(tensors []safetensors.Tensor, metadata map[string]string, elements func(t safetensors.Tensor, hash io.Writer) error) (string, error) {
	hash := sha256.New()
	for _, t := range slices.SortedFunc(slices.Values(tensors), func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) }) {
		fmt.Fprintf(hash, "%q %v %v %d\n", t.Name, t.DType, t.Shape, t.Size)
		if err := elements(t, hash); err != nil {
			return "", err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if key != digestKey {
			fmt.Fprintf(hash, "%q %q\n", key, metadata[key])
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// checkUndigested returns an error if a file that has no digest should have one: it has
// other metadata of halfgrad, or the name of the digest itself is damaged.
func checkUndigested(metadata map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		differ := 0
		for i := range min(len(key), len(digestKey)) {
			if key[i] != digestKey[i] {
				differ++
			}
		}
		if strings.HasPrefix(key, ownPrefix) || len(key) == len(digestKey) && differ == 1 {
			return fmt.Errorf("its metadata have %q and no checksum %q", key, digestKey)
		}
	}
	return nil
}

// Write puts f into the file path. It writes a temporary file beside it, waits until
// that has reached the disk, and renames it, so that path has either its old contents
// or all of the new ones, whatever happens meanwhile. It returns when the new name has
// reached the disk, too. What it writes without an error, [Read] reads back.
//
// The next Write of the same path removes a temporary file that a killed process has
// left. A path that is a device, a pipe or a folder is an error.
func Write(path string, f *File) error {
	e, err := newEncoder(f)
	if err != nil {
		return fmt.Errorf("checkpoint: writing %s: %w", path, err)
	}
	if err := files.Replace(path, e.encode); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// Encode writes f to w. What it writes without an error, [Decode] reads back.
func Encode(w io.Writer, f *File) error {
	e, err := newEncoder(f)
	if err == nil {
		err = e.encode(w)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// encoder is a file that is ready to be written.
type encoder struct {
	header  *safetensors.Header
	encoded []byte            // the header
	tensors map[string]Tensor // by name
}

func (e *encoder) encode(w io.Writer) error {
	if _, err := w.Write(e.encoded); err != nil {
		return err
	}
	for _, t := range e.header.Tensors {
		if err := writeElements(w, e.tensors[t.Name].Elements); err != nil {
			return err
		}
	}
	return nil
}

// newEncoder checks f and makes the header of its file.
func newEncoder(f *File) (*encoder, error) {
	if _, taken := f.Metadata[digestKey]; taken {
		return nil, fmt.Errorf("metadata %q: the name is taken by the checksum", digestKey)
	}
	e := &encoder{tensors: make(map[string]Tensor, len(f.Tensors))}
	tensors := make([]safetensors.Tensor, len(f.Tensors))
	for i, t := range f.Tensors {
		dtype, ok := dtypes[t.Elements.DType()]
		if !ok {
			return nil, fmt.Errorf("tensor %q: its elements have no type: want fp16, bf16, fp32 or int32", t.Name)
		}
		tensors[i] = safetensors.Tensor{Name: t.Name, DType: dtype, Shape: t.Shape}
		e.tensors[t.Name] = t
	}
	// A header without the checksum first: the checksum is of its tensors.
	h, _, err := safetensors.NewHeader(f.Metadata, tensors)
	if err != nil {
		return nil, err
	}
	for _, t := range h.Tensors {
		if n := e.tensors[t.Name].Elements.Len(); int64(n) != t.Elements() {
			return nil, fmt.Errorf("tensor %q has %d elements, its shape %v has %d", t.Name, n, t.Shape, t.Elements())
		}
	}
	metadata := make(map[string]string, len(f.Metadata)+1)
	maps.Copy(metadata, f.Metadata)
	metadata[digestKey], err = digest(h.Tensors, f.Metadata, func(t safetensors.Tensor, hash io.Writer) error {
		return writeElements(hash, e.tensors[t.Name].Elements)
	})
	if err != nil {
		return nil, err
	}
	e.header, e.encoded, err = safetensors.NewHeader(metadata, tensors)
	return e, err
}

// Read returns the contents of the file path. Tensors of float64, which others write, become
// fp32 ones. The error is a [*FormatError] if there is a file but
// not a valid one, and wraps [fs.ErrNotExist] if there is none. Only regular files are
// read, and no more of one than its header allows.
func Read(path string) (*File, error) {
	return ReadSome(path, func(safetensors.Tensor) bool { return true })
}

// ReadSome is [Read] with the tensors that are wanted alone. The checksum is that of all,
// so a file that has one is read as a whole, but only what is wanted takes memory.
func ReadSome(path string, wanted func(safetensors.Tensor) bool) (*File, error) {
	r, size, err := files.Open(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	defer r.Close()
	f, err := decode(r, size, wanted)
	return f, atPath(err, path)
}

// ReadHeader returns the header of the file path: its metadata, and the names, types and
// shapes of its tensors. It reads no elements, so it cannot check them. The error is as
// that of [Read].
func ReadHeader(path string) (*safetensors.Header, error) {
	r, size, err := files.Open(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	defer r.Close()
	h, err := readHeader(r, size)
	if err != nil {
		return nil, atPath(err, path)
	}
	delete(h.Metadata, digestKey)
	return h, nil
}

// atPath adds the path to a format error.
func atPath(err error, path string) error {
	var format *FormatError
	if errors.As(err, &format) {
		format.Path = path
	}
	return err
}

// Decode returns the contents of a checkpoint that is in memory, as [Read] does. The
// error is a [*FormatError].
func Decode(data []byte) (*File, error) {
	return decode(bytes.NewReader(data), int64(len(data)), func(safetensors.Tensor) bool { return true })
}

// readHeader reads a header, the digest with it.
func readHeader(r io.ReaderAt, size int64) (*safetensors.Header, error) {
	h, err := safetensors.ReadHeader(r, size)
	if err == nil && h.Metadata[digestKey] == "" {
		err = checkUndigested(h.Metadata)
	}
	if err != nil {
		return nil, readError(err)
	}
	return h, nil
}

// readError returns err as a [*FormatError], unless it is the reading that failed.
func readError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return &FormatError{Err: err}
}

func decode(r io.ReaderAt, size int64, wanted func(safetensors.Tensor) bool) (*File, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	tensors := make(map[string]Tensor, len(h.Tensors))
	for _, t := range h.Tensors {
		if wanted(t) && inMemory(t.DType) == 0 {
			return nil, &FormatError{Err: fmt.Errorf("tensor %q is of type %s, want F32, F16, BF16, F64 or I32", t.Name, t.DType)}
		}
	}
	read := func(t safetensors.Tensor, hash io.Writer) error {
		if !wanted(t) && hash == io.Discard {
			return nil
		}
		data := io.TeeReader(h.Data(r, t), hash)
		if !wanted(t) {
			_, err := io.Copy(io.Discard, data)
			return err
		}
		if t.Elements() > math.MaxInt/4 {
			return fmt.Errorf("tensor %q of %d bytes does not fit into memory", t.Name, t.Size)
		}
		elements, err := readElements(data, t)
		tensors[t.Name] = Tensor{Name: t.Name, Shape: t.Shape, Elements: elements}
		return err
	}
	want, digested := h.Metadata[digestKey]
	if !digested {
		for _, t := range h.Tensors {
			if err := read(t, io.Discard); err != nil {
				return nil, readError(err)
			}
		}
	} else if got, err := digest(h.Tensors, h.Metadata, read); err != nil {
		return nil, readError(err)
	} else if got != want {
		return nil, &FormatError{Err: fmt.Errorf("its contents have the SHA-256 %.12s…, but were written with %.12s…", got, want)}
	}
	delete(h.Metadata, digestKey)
	f := &File{Metadata: h.Metadata}
	for _, t := range h.Tensors {
		if wanted(t) {
			f.Tensors = append(f.Tensors, tensors[t.Name])
		}
	}
	return f, nil
}
