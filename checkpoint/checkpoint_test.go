package checkpoint_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/halfgrad/halfgrad/bf16"
	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/checkpoint/safetensors"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

func sample() *checkpoint.File {
	return &checkpoint.File{
		Metadata: map[string]string{"progress": `{"epoch":3}`, "note": "größer"},
		Tensors: []checkpoint.Tensor{
			{Name: "0.weight", Shape: []int{2, 3}, Elements: tensor.Of([]float32{1, -2, 3e-45, float32(math.Inf(1)), 0, -0.5})},
			{Name: "0.bias", Shape: []int{3}, Elements: tensor.Of([]float32{7, 8, 9})},
			{Name: "brain", Shape: []int{3}, Elements: tensor.Of([]bf16.BFloat16{0x3f80, 0x8001, 0x7fc1})},
			{Name: "labels", Shape: []int{1, 2}, Elements: tensor.Of([]int32{7, math.MinInt32})},
			{Name: "half", Shape: []int{2, 2}, Elements: tensor.Of([]fp16.Float16{0x3c00, 0x8001, 0x7c00, 0})},
			{Name: "empty", Shape: []int{0, 2}, Elements: tensor.Of([]float32{})},
		},
	}
}

// sameElements compares elements by their type and their bits.
var sameElements = cmp.Transformer("bits", func(e tensor.Elements) any {
	switch e.DType() {
	case tensor.F16:
		return e.F16()
	case tensor.BF16:
		return e.BF16()
	case tensor.I32:
		return e.I32()
	}
	bits := make([]uint32, e.Len())
	for i, v := range e.F32() {
		bits[i] = math.Float32bits(v)
	}
	return bits
})

var byName = cmpopts.SortSlices(func(a, b checkpoint.Tensor) bool { return a.Name < b.Name })

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.safetensors")
	if err := checkpoint.Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	got, err := checkpoint.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got, byName, sameElements, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}
	if _, ok := got.Tensor("0.bias"); !ok {
		t.Error("0.bias is not there")
	}
	if _, ok := got.Tensor("1.bias"); ok {
		t.Error("1.bias is there")
	}
}

// The bytes of each type are those of its definition, little endian, and come back, with
// more elements than are converted at a time, and with none. The names of the types are the
// format's.
func TestTypes(t *testing.T) {
	const n = 20_001
	halves, brains, singles, integers := make([]fp16.Float16, n), make([]bf16.BFloat16, n), make([]float32, n), make([]int32, n)
	var raw [4][]byte
	for i := range n {
		bits := uint32(i) * 2654435761
		halves[i], brains[i], singles[i], integers[i] = fp16.Float16(bits>>16), bf16.BFloat16(bits>>16), float32(i)-n/2, int32(bits)
		raw[0] = binary.LittleEndian.AppendUint16(raw[0], uint16(bits>>16))
		raw[2] = binary.LittleEndian.AppendUint32(raw[2], math.Float32bits(singles[i]))
		raw[3] = binary.LittleEndian.AppendUint32(raw[3], bits)
	}
	raw[1] = raw[0]
	for i, elements := range []tensor.Elements{tensor.Of(halves), tensor.Of(brains), tensor.Of(singles), tensor.Of(integers)} {
		for _, n := range []int{0, 1, n} {
			elements := elements.Slice(0, n)
			dtype := []string{"F16", "BF16", "F32", "I32"}[i]
			want := &checkpoint.File{Metadata: map[string]string{}, Tensors: []checkpoint.Tensor{{Name: "w", Shape: []int{n}, Elements: elements}}}
			var file bytes.Buffer
			if err := checkpoint.Encode(&file, want); err != nil {
				t.Fatal(err)
			}
			data := raw[i][:n*elements.DType().Size()]
			if !bytes.Contains(file.Bytes(), []byte(`"dtype":"`+dtype+`"`)) || !bytes.HasSuffix(file.Bytes(), data) {
				t.Errorf("%d elements of %s are written as others", n, dtype)
			}
			got, err := checkpoint.Decode(file.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if w := got.Tensors[0].Elements; w.DType() != elements.DType() || w.Len() != n {
				t.Fatalf("%d elements of %s become %d of %v", n, dtype, w.Len(), w.DType())
			}
			var again bytes.Buffer
			if err := checkpoint.Encode(&again, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(file.Bytes(), again.Bytes()) {
				t.Errorf("%d elements of %s have changed", n, dtype)
			}
		}
	}
}

// bytesByHand is a checkpoint written from the format's documentation alone:
// eight bytes of header length, little endian, the header in JSON, the data.
func bytesByHand(header string, data ...float32) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for _, v := range data {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func TestDecodeByHand(t *testing.T) {
	f, err := checkpoint.Decode(bytesByHand(
		`{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}`, 1.5, -2))
	if err != nil {
		t.Fatal(err)
	}
	want := &checkpoint.File{
		Metadata: map[string]string{"a": "b"},
		Tensors:  []checkpoint.Tensor{{Name: "w", Shape: []int{2, 1}, Elements: tensor.Of([]float32{1.5, -2})}},
	}
	if diff := cmp.Diff(want, f, sameElements); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The same four numbers in each type: 1.5, -2, the smallest subnormal of fp16 and
// infinity, bit patterns from IEEE 754 and bfloat16's definition.
func TestDecodeTypes(t *testing.T) {
	want := []float32{1.5, -2, 0x1p-24, float32(math.Inf(1))}
	for dtype, bits := range map[string][]any{
		"F32":  {uint32(0x3fc00000), uint32(0xc0000000), uint32(0x33800000), uint32(0x7f800000)},
		"F16":  {uint16(0x3e00), uint16(0xc000), uint16(0x0001), uint16(0x7c00)},
		"BF16": {uint16(0x3fc0), uint16(0xc000), uint16(0x3380), uint16(0x7f80)},
		"F64":  {uint64(0x3ff8 << 48), uint64(0xc000 << 48), uint64(0x3e7 << 52), uint64(0x7ff << 52)},
	} {
		var raw []byte
		for _, b := range bits {
			raw, _ = binary.Append(raw, binary.LittleEndian, b)
		}
		header := fmt.Sprintf(`{"w":{"dtype":%q,"shape":[2,2],"data_offsets":[0,%d]}}`, dtype, len(raw))
		f, err := checkpoint.Decode(append(bytesByHand(header), raw...))
		if err != nil {
			t.Errorf("%s: %v", dtype, err)
			continue
		}
		w := f.Tensors[0]
		memory := map[string]tensor.DType{"F32": tensor.F32, "F16": tensor.F16, "BF16": tensor.BF16, "F64": tensor.F32}[dtype]
		if got := w.Float32s(); !slices.Equal(got, want) || w.Elements.DType() != memory {
			t.Errorf("%s: %v of %v, want %v of %v", dtype, got, w.Elements.DType(), want, memory)
		}
	}
}

func TestFloat32sOfNothing(t *testing.T) {
	for _, e := range []tensor.Elements{{}, tensor.Make(tensor.F32, 0), tensor.Make(tensor.I32, 0)} {
		if got := (checkpoint.Tensor{Elements: e}).Float32s(); len(got) != 0 {
			t.Errorf("no elements of %v are %v", e.DType(), got)
		}
	}
}

func TestDecodeIntegers(t *testing.T) {
	b := binary.LittleEndian.AppendUint32(bytesByHand(`{"labels":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}`), 3)
	f, err := checkpoint.Decode(binary.LittleEndian.AppendUint32(b, 0xffffffff))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Tensors[0].Elements.I32(); !slices.Equal(got, []int32{3, -1}) {
		t.Errorf("%v, want 3 and -1", got)
	}
}

func TestDamagedFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "good")
	if err := checkpoint.Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for name, data := range map[string][]byte{
		"empty":               {},
		"a bit flipped":       flipped,
		"a value edited":      bytes.Replace(good, []byte("epoch"), []byte("epoxh"), 1),
		"cut short":           good[:len(good)-1],
		"cut in the header":   good[:20],
		"trailing byte":       append(bytes.Clone(good), 0),
		"not a checkpoint":    []byte("PK\x03\x04 this is something else entirely"),
		"huge header":         binary.LittleEndian.AppendUint64(nil, math.MaxUint64),
		"overlapping tensors": bytesByHand(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 1),
		"shape beyond memory": bytesByHand(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}`, 1),
		"shape beyond 2^63":   bytesByHand(`{"a":{"dtype":"F32","shape":[1099511627776,1099511627776,0],"data_offsets":[0,0]}}`),
		"other element type":  bytesByHand(`{"a":{"dtype":"U32","shape":[1],"data_offsets":[0,4]}}`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "bad")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := checkpoint.Read(path)
			var format *checkpoint.FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v: want one line, a *FormatError that names the file", err)
			}
		})
	}
	if _, err := checkpoint.Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
}

// Any bit that is flipped is found, or does not matter (a digit of \u003c may be upper
// case): also in the name of the checksum, in checkpoints of runs and in other files.
func TestEveryBit(t *testing.T) {
	state := sample()
	state.Metadata["halfgrad.trainer"] = "{}"
	for name, want := range map[string]*checkpoint.File{"weights": sample(), "a run's state": state} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "good")
			if err := checkpoint.Write(path, want); err != nil {
				t.Fatal(err)
			}
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			bad := bytes.Clone(good)
			for i := range good {
				for bit := range 8 {
					bad[i] = good[i] ^ 1<<bit
					f, err := checkpoint.Decode(bad)
					if err != nil {
						continue
					}
					if diff := cmp.Diff(want, f, byName); diff != "" {
						t.Errorf("bit %d of byte %d flipped: no error, and (-want +got)\n%s", bit, i, diff)
					}
				}
				bad[i] = good[i]
			}
		})
	}
}

// A state without its checksum is no checkpoint, and neither is one whose checksum has
// another name. Other programs' files need none.
func TestChecksumIsNeeded(t *testing.T) {
	const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for metadata, ok := range map[string]bool{
		`{}`:                                true,
		`{"format":"pt"}`:                   true,
		`{"sshs_model_hash":"` + sum + `"}`: true, // as long as the name of ours
		`{"halfgrad.trainer":"{}"}`:         false,
		`{"halfgrad.sha257":"` + sum + `"}`: false,
		`{"ialfgrad.sha256":"` + sum + `"}`: false,
		`{"halfgrad.sha256":""}`:            false,
		`{"halfgrad.sha256":"` + sum + `"}`: false, // it is of something else
	} {
		_, err := checkpoint.Decode(bytesByHand(`{"__metadata__":` + metadata + `}`))
		var format *checkpoint.FormatError
		if ok && err != nil || !ok && !errors.As(err, &format) {
			t.Errorf("%s: error %v", metadata, err)
		}
	}
}

// testdata/old.safetensors was written by the library that halfgrad used before it had
// one of its own (github.com/nlpodyssey/safetensors at bfb01cc25f7c). It reads as ever,
// and the same contents make the same bytes.
func TestOldFile(t *testing.T) {
	const old = "testdata/old.safetensors"
	want := &checkpoint.File{
		Metadata: map[string]string{"halfgrad.trainer": `{"epoch":3}`, "note": "größer <&> \u2028 \"quoted\" \\ \n\x7f"},
		Tensors: []checkpoint.Tensor{
			{Name: "0.weight", Shape: []int{2, 3}, Elements: tensor.Of([]float32{1, -2, 3e-45, float32(math.Inf(1)), 0, -0.5})},
			{Name: "0.bias", Shape: []int{3}, Elements: tensor.Of([]float32{7, 8, 9})},
			{Name: "half.0.weight", Shape: []int{2, 2}, Elements: tensor.Of([]fp16.Float16{0x3c00, 0x8001, 0x7c00, 0})},
			{Name: "empty", Shape: []int{0, 2}, Elements: tensor.Of([]float32{})},
			{Name: "größer <&>", Shape: []int{1}, Elements: tensor.Of([]float32{-1})},
		},
	}
	got, err := checkpoint.Read(old)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, byName, sameElements, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	path := filepath.Join(t.TempDir(), "new")
	if err := checkpoint.Write(path, want); err != nil {
		t.Fatal(err)
	}
	a, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("written again:\n%q\nwant\n%q", b, a)
	}
}

// Some of the tensors, and the header alone.
func TestReadSome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	if err := checkpoint.Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	bias := func(t safetensors.Tensor) bool { return strings.HasSuffix(t.Name, "bias") }
	got, err := checkpoint.ReadSome(path, bias)
	if err != nil {
		t.Fatal(err)
	}
	want := &checkpoint.File{Metadata: sample().Metadata, Tensors: sample().Tensors[1:2]}
	if diff := cmp.Diff(want, got, sameElements); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h, err := checkpoint.ReadHeader(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample().Metadata, h.Metadata); diff != "" || len(h.Tensors) != len(sample().Tensors) {
		t.Errorf("header %+v: (-want +got)\n%s", h, diff)
	}

	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1 // of a tensor that is not wanted
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := checkpoint.ReadSome(path, bias); err == nil {
		t.Error("a damaged tensor that was not wanted: no error")
	}

	// Types that cannot be read do no harm where they are not wanted.
	mixed := append(bytesByHand(`{"bias":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}`, 0, 0), 0, 0, 128, 63)
	if err := os.WriteFile(path, mixed, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err = checkpoint.ReadSome(path, bias); err != nil || got.Tensors[0].Elements.F32()[0] != 1 {
		t.Errorf("%+v, error %v", got, err)
	}
}

// Only regular files are read and replaced, and a file that is no checkpoint costs no
// memory, however large it is.
func TestOddFiles(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 3<<30); err != nil {
		t.Skip(err) // no sparse files here
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := checkpoint.Read(large); err == nil {
		t.Error("3 GiB of zeros: no error")
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("reading 3 GiB of zeros allocates %d bytes", allocated)
	}
	if _, err := checkpoint.Read(dir); err == nil {
		t.Error("a folder is read")
	}
	if err := checkpoint.Write(dir, sample()); err == nil {
		t.Error("a folder is replaced")
	}
	for _, device := range []string{"/dev/zero", "/dev/full"} {
		before, err := os.Lstat(device)
		if err != nil {
			continue
		}
		if _, err := checkpoint.Read(device); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s is read: error %v", device, err)
		}
		if err := checkpoint.Write(device, sample()); err == nil {
			t.Errorf("%s is written", device)
		}
		if after, err := os.Lstat(device); err != nil || !os.SameFile(before, after) {
			t.Fatalf("%s is not what it was: %v", device, err)
		}
	}
}

// What cannot be written leaves what was there.
func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	if err := checkpoint.Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	with := func(added checkpoint.Tensor) *checkpoint.File {
		f := sample()
		f.Tensors = append(f.Tensors, added)
		return f
	}
	note := func(key, value string) *checkpoint.File {
		f := sample()
		f.Metadata[key] = value
		return f
	}
	for name, f := range map[string]*checkpoint.File{
		"a name given twice":       with(checkpoint.Tensor{Name: "0.bias", Shape: []int{1}, Elements: tensor.Of([]float32{1})}),
		"no type":                  with(checkpoint.Tensor{Name: "x", Shape: []int{0}}),
		"shape and values differ":  with(checkpoint.Tensor{Name: "x", Shape: []int{2}, Elements: tensor.Of([]float32{1})}),
		"a product that overflows": with(checkpoint.Tensor{Name: "x", Shape: []int{math.MaxInt, math.MaxInt}, Elements: tensor.Of([]float32{1})}),
		"a product beyond 2^63, 0": with(checkpoint.Tensor{Name: "x", Shape: []int{math.MaxInt, math.MaxInt, 0}, Elements: tensor.Make(tensor.F32, 0)}),
		"a negative dimension":     with(checkpoint.Tensor{Name: "x", Shape: []int{-1, -1}, Elements: tensor.Of([]float32{1})}),
		"the metadata's name":      with(checkpoint.Tensor{Name: "__metadata__", Shape: []int{1}, Elements: tensor.Of([]float32{1})}),
		"a name that is no text":   with(checkpoint.Tensor{Name: "x\xff", Shape: []int{1}, Elements: tensor.Of([]float32{1})}),
		"a key that is no text":    note("x\xff", "y"),
		"a value that is no text":  note("x", "\xed\xa0\x80"),
		"the checksum's name":      note("halfgrad.sha256", "0"),
		"a header of over 10^8":    note("x", strings.Repeat("x", 100_000_000)),
	} {
		if err := checkpoint.Write(path, f); err == nil {
			t.Errorf("%s: no error", name)
		}
		got, err := checkpoint.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sample(), got, byName, sameElements, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: the old file has changed:\n%s", name, diff)
		}
	}
	if err := checkpoint.Write(filepath.Join(path, "below-a-file"), sample()); err == nil {
		t.Error("an impossible path: no error")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(bytesByHand(`{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}`, 1.5, -2))
	f.Add(bytesByHand(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := checkpoint.Decode(data)
		if err != nil {
			return
		}
		for _, read := range file.Tensors {
			n := 1
			for _, d := range read.Shape {
				n *= d
			}
			if n != read.Elements.Len() {
				t.Fatalf("tensor %q of shape %v has %d elements", read.Name, read.Shape, read.Elements.Len())
			}
		}
	})
}

// What is written without an error is read back, whatever it is.
func FuzzEncode(f *testing.F) {
	f.Add("w", "v", "key", "value", 2, 3, uint8(6), uint8(1), uint32(0x7fc00001))
	f.Add("__metadata__", "\xff", "halfgrad.trainer", "\u2028\x00", -1, 1, uint8(1), uint8(0), uint32(0))
	f.Add("a", "a", "halfgrad.sha256", "", math.MaxInt, math.MaxInt, uint8(0), uint8(2), uint32(1))
	f.Fuzz(func(t *testing.T, name, other, key, value string, rows, cols int, n, dtype uint8, bits uint32) {
		want := &checkpoint.File{
			Metadata: map[string]string{key: value},
			Tensors:  []checkpoint.Tensor{{Name: name, Shape: []int{rows, cols}}, {Name: other, Elements: tensor.Of([]float32{math.Float32frombits(bits)})}},
		}
		switch first := &want.Tensors[0].Elements; dtype % 4 {
		case 0:
			*first = tensor.Of(slices.Repeat([]float32{math.Float32frombits(bits)}, int(n)))
		case 1:
			*first = tensor.Of(slices.Repeat([]fp16.Float16{fp16.Float16(bits)}, int(n)))
		case 2:
			*first = tensor.Of(slices.Repeat([]bf16.BFloat16{bf16.BFloat16(bits)}, int(n)))
		default:
			*first = tensor.Of(slices.Repeat([]int32{int32(bits)}, int(n)))
		}
		var file bytes.Buffer
		if err := checkpoint.Encode(&file, want); err != nil {
			return
		}
		got, err := checkpoint.Decode(file.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, byName, sameElements, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("read back (-written +read):\n%s", diff)
		}
	})
}

func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "weights.safetensors")
	err = checkpoint.Write(path, &checkpoint.File{
		Metadata: map[string]string{"made by": "an example"},
		Tensors:  []checkpoint.Tensor{{Name: "w", Shape: []int{2}, Elements: tensor.Of([]float32{0.25, 4})}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := checkpoint.Read(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	w, _ := f.Tensor("w")
	fmt.Println(f.Metadata["made by"], w.Shape, w.Elements.F32())
	// Output: an example [2] [0.25 4]
}
