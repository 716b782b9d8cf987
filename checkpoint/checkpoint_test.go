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
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/halfgrad/halfgrad/checkpoint"
)

func sample() *checkpoint.File {
	return &checkpoint.File{
		Metadata: map[string]string{"progress": `{"epoch":3}`, "note": "größer"},
		Tensors: []checkpoint.Tensor{
			{Name: "0.weight", Shape: []int{2, 3}, Values: []float32{1, -2, 3e-45, float32(math.Inf(1)), 0, -0.5}},
			{Name: "0.bias", Shape: []int{3}, Values: []float32{7, 8, 9}},
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
	for name, data := range map[string][]byte{
		"empty":               {},
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

// What cannot be written leaves what was there.
func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	if err := checkpoint.Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]checkpoint.Tensor{
		"a name given twice":      {Name: "0.bias", Shape: []int{1}, Values: []float32{1}},
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
			if n != len(tensor.Values) {
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
