package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/halfgrad/halfgrad/checkpoint/safetensors"
)

// file is a safetensors file made by hand: a header and so many bytes of data.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func read(b []byte) (*safetensors.Header, error) {
	return safetensors.ReadHeader(bytes.NewReader(b), int64(len(b)))
}

func TestReadHeader(t *testing.T) {
	// Tensors in any order, white space, every escape, a scalar, a tensor without elements.
	b := file(`{"b":{"dtype":"I64","data_offsets":[6,14],"shape":[]},`+"\n"+
		`"__metadata__" : { "\u00e9\ud83d\ude00":"\"\\\/\b\f\n\r\t\u0000\uFFFD" , "":"�"},`+
		`"none":{"dtype":"BOOL","shape":[3,0],"data_offsets":[14,14]},`+
		`"a\u002eb":{"shape": [ 3 , 1 ],"dtype":"F16","data_offsets":[0,6]}}   `, 14)
	for i := range 14 {
		b[len(b)-14+i] = byte(i)
	}
	h, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	want := &safetensors.Header{
		Metadata: map[string]string{"é😀": "\"\\/\b\f\n\r\t\x00\ufffd", "": "\ufffd"},
		Tensors: []safetensors.Tensor{
			{Name: "a.b", DType: "F16", Shape: []int{3, 1}, Offset: 0, Size: 6},
			{Name: "b", DType: "I64", Shape: []int{}, Offset: 6, Size: 8},
			{Name: "none", DType: "BOOL", Shape: []int{3, 0}, Offset: 14, Size: 0},
		},
		Length: int64(len(b)) - 14,
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got, err := io.ReadAll(h.Data(bytes.NewReader(b), h.Tensors[1]))
	if err != nil || !bytes.Equal(got, []byte{6, 7, 8, 9, 10, 11, 12, 13}) {
		t.Errorf("the data of b are %v, error %v", got, err)
	}
	if n := h.Tensors[0].Elements(); n != 3 {
		t.Errorf("a.b has %d elements", n)
	}
}

func TestBadHeaders(t *testing.T) {
	const w = `{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	for name, b := range map[string][]byte{
		"nothing":                 nil,
		"eight bytes":             make([]byte, 8),
		"a longer header":         file(w+"}", 4)[:20],
		"the longest header":      binary.LittleEndian.AppendUint64(nil, math.MaxUint64),
		"a header of 100000001":   append(binary.LittleEndian.AppendUint64(nil, safetensors.MaxHeader+1), "{}"...),
		"no brace":                file(" {}", 0),
		"no object":               file("{", 0),
		"an array":                file("[]", 0),
		"something behind":        file(w+"}x", 4),
		"a comma behind":          file(w+",}", 4),
		"no comma":                file(w+`"x":{}}`, 4),
		"a name twice":            file(w+`,"w":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`, 4),
		"a name twice, escaped":   file(w+`,"\u0077":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`, 4),
		"metadata twice":          file(w+`,"__metadata__":{},"__metadata__":{}}`, 4),
		"a key twice":             file(w+`,"__metadata__":{"a":"b","a":"b"}}`, 4),
		"a field twice":           file(`{"w":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}`, 4),
		"a field too many":        file(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`, 4),
		"a field of other case":   file(`{"w":{"Dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
		"a field too few":         file(`{"w":{"dtype":"F32","data_offsets":[0,4]}}`, 4),
		"null metadata":           file(w+`,"__metadata__":null}`, 4),
		"a number as metadata":    file(w+`,"__metadata__":{"a":1}}`, 4),
		"one offset":              file(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[4]}}`, 4),
		"three offsets":           file(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 4),
		"offsets turned round":    file(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4),
		"a hole":                  file(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8),
		"a hole between":          file(w+`,"x":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}}`, 6),
		"an overlap":              file(w+`,"x":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, 6),
		"one place for two":       file(w+`,"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
		"data behind":             file(w+"}", 5),
		"data missing":            file(w+"}", 3),
		"another size":            file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4),
		"elements of nothing":     file(`{"w":{"dtype":"F32","shape":[],"data_offsets":[0,0]}}`, 0),
		"an unknown type":         file(`{"w":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, 4),
		"a product of 2^64":       file(`{"w":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0),
		"a product of 2^66":       file(`{"w":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`, 0),
		"a dimension of 2^63":     file(`{"w":{"dtype":"U8","shape":[9223372036854775808,0],"data_offsets":[0,0]}}`, 0),
		"offsets of 2^63":         file(`{"w":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}`, 0),
		"a negative dimension":    file(`{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4),
		"a fraction":              file(`{"w":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}`, 4),
		"an exponent":             file(`{"w":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}`, 4),
		"a leading zero":          file(`{"w":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}`, 4),
		"a number as text":        file(`{"w":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}`, 4),
		"no UTF-8":                file("{\"__metadata__\":{\"a\":\"\xff\"}}", 0),
		"half a surrogate pair":   file(`{"__metadata__":{"a":"\ud83d"}}`, 0),
		"a pair turned round":     file(`{"__metadata__":{"a":"\ude00\ud83d"}}`, 0),
		"an unknown escape":       file(`{"__metadata__":{"a":"\x41"}}`, 0),
		"a short escape":          file(`{"__metadata__":{"a":"\u12"}}`, 0),
		"a signed escape":         file(`{"__metadata__":{"a":"\u+123"}}`, 0),
		"a control character":     file("{\"__metadata__\":{\"a\":\"\n\"}}", 0),
		"a string without an end": file(`{"__metadata__":{"a":"b`, 0),
		"single quotes":           file(`{'w':{}}`, 0),
	} {
		if h, err := read(b); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, error %v: want one line", name, h, err)
		}
	}
}

// A file that says it is longer than it is, and one that cannot be read.
func TestReadErrors(t *testing.T) {
	b := file(`{}      `, 0)
	if _, err := safetensors.ReadHeader(bytes.NewReader(b[:12]), int64(len(b))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file cut short: error %v", err)
	}
	if _, err := safetensors.ReadHeader(bytes.NewReader(nil), int64(len(b))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file emptied meanwhile: error %v", err)
	}
}

func TestNewHeader(t *testing.T) {
	h, encoded, err := safetensors.NewHeader(map[string]string{"a": "<b>"}, []safetensors.Tensor{
		{Name: "half", DType: safetensors.F16, Shape: []int{3}},
		{Name: "z", DType: safetensors.F32, Shape: []int{2, 2}},
		{Name: "b", DType: safetensors.F32},
		{Name: "wide", DType: safetensors.F64, Shape: []int{1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// By hand: the widest elements first, then by name; padded to 8 bytes.
	text := `{"__metadata__":{"a":"\u003cb\u003e"},"b":{"dtype":"F32","shape":[],"data_offsets":[8,12]},"half":{"dtype":"F16","shape":[3],"data_offsets":[28,34]},` +
		`"wide":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"z":{"dtype":"F32","shape":[2,2],"data_offsets":[12,28]}}`
	text += strings.Repeat(" ", (8-len(text)%8)%8)
	if got := string(encoded[8:]); got != text || binary.LittleEndian.Uint64(encoded) != uint64(len(text)) {
		t.Errorf("encoded as\n%q, want\n%q", got, text)
	}
	again, err := read(append(encoded, make([]byte, 34)...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, again, cmpopts.EquateEmpty()); diff != "" || h.Size() != int64(len(encoded))+34 {
		t.Errorf("size %d; read back (-written +read):\n%s", h.Size(), diff)
	}
}

// A header that is read can be written, and is the same then but for the order of the
// data; JSON's own parser agrees with ours.
func FuzzReadHeader(f *testing.F) {
	f.Add([]byte(`{"__metadata__":{"a":"\ud83d\ude00"},"w":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}}`), 4)
	f.Add([]byte(`{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F32","shape":[],"data_offsets":[3,7]}} `), 7)
	f.Add([]byte(`{}`), 0)
	f.Fuzz(func(t *testing.T, header []byte, data int) {
		h, err := read(file(string(header), min(max(data, 0), 1<<16)))
		if err != nil {
			return
		}
		byName := cmpopts.SortSlices(func(a, b safetensors.Tensor) bool { return a.Name < b.Name })
		where := cmpopts.IgnoreFields(safetensors.Tensor{}, "Offset")
		again, encoded, err := safetensors.NewHeader(h.Metadata, h.Tensors)
		if err != nil {
			t.Fatal(err)
		}
		length := cmpopts.IgnoreFields(safetensors.Header{}, "Length")
		if diff := cmp.Diff(h, again, byName, where, length, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("written (-read +written):\n%s", diff)
		}
		last, err := read(append(encoded, make([]byte, again.Size()-again.Length)...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(again, last, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("read again (-written +read):\n%s", diff)
		}
		checkJSON(t, header, h)
	})
}

// checkJSON compares a header with what encoding/json makes of the same text.
func checkJSON(t *testing.T, text []byte, h *safetensors.Header) {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatalf("no JSON: %v", err)
	}
	if raw, ok := fields["__metadata__"]; ok {
		var metadata map[string]string
		if err := json.Unmarshal(raw, &metadata); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(metadata, h.Metadata); diff != "" {
			t.Errorf("metadata (-json +ours):\n%s", diff)
		}
		delete(fields, "__metadata__")
	}
	if len(fields) != len(h.Tensors) {
		t.Errorf("%d tensors, JSON has %d", len(h.Tensors), len(fields))
	}
	for _, tensor := range h.Tensors {
		var want struct {
			DType   safetensors.DType
			Shape   []int
			Offsets [2]int64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(fields[tensor.Name], &want); err != nil {
			t.Fatal(err)
		}
		if want.DType != tensor.DType || !slices.Equal(want.Shape, tensor.Shape) || want.Offsets != [2]int64{tensor.Offset, tensor.Offset + tensor.Size} {
			t.Errorf("tensor %+v, JSON has %+v", tensor, want)
		}
	}
}
