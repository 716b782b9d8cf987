package checkpoint_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/fp16"
)

func sample() *checkpoint.File {
	return &checkpoint.File{
		Metadata: map[string]string{"progress": `{"epoch":3}`, "note": "größer"},
		Tensors: []checkpoint.Tensor{
			{Name: "0.weight", Shape: []int{2, 3}, Values: []float32{1, -2, 3e-45, float32(math.Inf(1)), 0, -0.5}},
			{Name: "0.bias", Shape: []int{3}, Values: []float32{7, 8, 9}},
			{Name: "half", Shape: []int{2, 2}, Half: []fp16.Float16{0x3c00, 0x8001, 0x7c00, 0}},
			{Name: "empty", Shape: []int{0, 2}, Values: []float32{}},
		},
	}
}

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
	if diff := cmp.Diff(sample(), got, byName); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}
	if _, ok := got.Tensor("0.bias"); !ok {
		t.Error("0.bias is not there")
	}
	if _, ok := got.Tensor("1.bias"); ok {
		t.Error("1.bias is there")
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
		Tensors:  []checkpoint.Tensor{{Name: "w", Shape: []int{2, 1}, Values: []float32{1.5, -2}}},
	}
	if diff := cmp.Diff(want, f); diff != "" {
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
		if got := w.Float32s(); !slices.Equal(got, want) || (w.Half != nil) != (dtype == "F16") {
			t.Errorf("%s: %+v as fp32 is %v, want %v", dtype, w, got, want)
		}
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
		"dimension of 2^40":   bytesByHand(`{"a":{"dtype":"F32","shape":[1099511627776,0],"data_offsets":[0,0]}}`),
		"other element type":  bytesByHand(`{"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}`, 1),
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

// Any byte that is damaged is found, or does not matter: JSON may have other white
// space, and where the checksum's own name is damaged, there is one more string.
func TestEveryByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "good")
	if err := checkpoint.Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			f, err := checkpoint.Decode(bad)
			if err != nil {
				continue
			}
			maps.DeleteFunc(f.Metadata, func(key, _ string) bool { return sample().Metadata[key] == "" })
			if diff := cmp.Diff(sample(), f, byName); diff != "" {
				t.Errorf("bit %d of byte %d flipped: no error, and (-want +got)\n%s", bit, i, diff)
			}
		}
	}
}

// What cannot be written leaves what was there.
func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	if err := checkpoint.Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]checkpoint.Tensor{
		"a name given twice":      {Name: "0.bias", Shape: []int{1}, Values: []float32{1}},
		"two types":               {Name: "x", Shape: []int{1}, Values: []float32{1}, Half: []fp16.Float16{1}},
		"shape and values differ": {Name: "x", Shape: []int{2}, Values: []float32{1}},
	} {
		f := sample()
		f.Tensors = append(f.Tensors, bad)
		if err := checkpoint.Write(path, f); err == nil {
			t.Errorf("%s: no error", name)
		}
		got, err := checkpoint.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sample(), got, byName); diff != "" {
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
		for _, tensor := range file.Tensors {
			n := 1
			for _, d := range tensor.Shape {
				n *= d
			}
			if n != len(tensor.Float32s()) {
				t.Fatalf("tensor %q of shape %v has %d values", tensor.Name, tensor.Shape, len(tensor.Values))
			}
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
		Tensors:  []checkpoint.Tensor{{Name: "w", Shape: []int{2}, Values: []float32{0.25, 4}}},
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
	fmt.Println(f.Metadata["made by"], w.Shape, w.Values)
	// Output: an example [2] [0.25 4]
}
