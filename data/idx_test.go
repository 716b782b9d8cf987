package data_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/data"
)

// gz compresses b, as one gzip member.
func gz(b []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(b)
	z.Close()
	return buf.Bytes()
}

// twoByThree is an IDX file, byte by byte.
var twoByThree = []byte{
	0, 0, 8, 2, // uint8, two dimensions
	0, 0, 0, 2,
	0, 0, 0, 3,
	1, 2, 3, 4, 5, 255,
}

func TestReadIDX(t *testing.T) {
	want := &data.IDX{Type: data.Uint8, Dims: []int{2, 3}, Data: []byte{1, 2, 3, 4, 5, 255}}
	packed := gz(twoByThree)
	for _, tt := range []struct {
		name string
		file []byte
		want *data.IDX
	}{
		{"plain", twoByThree, want},
		{"gzipped", packed, want},
		{"gzipped in two members", slices.Concat(gz(twoByThree[:7]), gz(twoByThree[7:])), want},
		{"one dimension", []byte{0, 0, 8, 1, 0, 0, 0, 1, 7}, &data.IDX{Type: data.Uint8, Dims: []int{1}, Data: []byte{7}}},
		{"big-endian", append([]byte{0, 0, 8, 1, 0, 0, 1, 2}, make([]byte, 258)...), &data.IDX{Type: data.Uint8, Dims: []int{258}, Data: make([]byte, 258)}},
		{"int8", []byte{0, 0, 9, 1, 0, 0, 0, 1, 7}, &data.IDX{Type: data.Int8, Dims: []int{1}, Data: []byte{7}}},
		{"int16", []byte{0, 0, 11, 1, 0, 0, 0, 1, 1, 2}, &data.IDX{Type: data.Int16, Dims: []int{1}, Data: []byte{1, 2}}},
		{"int32", []byte{0, 0, 12, 1, 0, 0, 0, 1, 1, 2, 3, 4}, &data.IDX{Type: data.Int32, Dims: []int{1}, Data: []byte{1, 2, 3, 4}}},
		{"empty", []byte{0, 0, 8, 1, 0, 0, 0, 0}, &data.IDX{Type: data.Uint8, Dims: []int{0}, Data: []byte{}}},
		{"empty in one of many dimensions", []byte{0, 0, 8, 3, 64, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0}, &data.IDX{Type: data.Uint8, Dims: []int{1 << 30, 1 << 30, 0}, Data: []byte{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Whatever pieces the reader hands out, the result is the same.
			for _, r := range []io.Reader{bytes.NewReader(tt.file), iotest.OneByteReader(bytes.NewReader(tt.file)), iotest.DataErrReader(bytes.NewReader(tt.file))} {
				got, err := data.ReadIDX(r, "x")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestReadIDXLongerThanItsFirstBuffer(t *testing.T) {
	content := make([]byte, 3<<20+12345)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	file := slices.Concat([]byte{0, 0, 8, 1, 0, byte(len(content) >> 16), byte(len(content) >> 8 & 255), byte(len(content) & 255)}, content)
	for _, f := range [][]byte{file, gz(file)} {
		got, err := data.ReadIDX(bytes.NewReader(f), "x")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Data, content) {
			t.Error("the content differs")
		}
		if cap(got.Data) != len(content) {
			t.Errorf("%d bytes are kept for %d", cap(got.Data), len(content))
		}
	}
}

func TestReadIDXErrors(t *testing.T) {
	packed := gz(twoByThree)
	with := func(b []byte, i int, v byte) []byte {
		b = slices.Clone(b)
		b[i] = v
		return b
	}
	for _, tt := range []struct {
		name  string
		file  []byte
		want  string // the whole message
		cause error
	}{
		{"nothing", nil, "found 0 bytes, expected an IDX file, which begins with 4 bytes of magic number", io.ErrUnexpectedEOF},
		{"three bytes", twoByThree[:3], "found 3 bytes, expected an IDX file, which begins with 4 bytes of magic number", io.ErrUnexpectedEOF},
		{"magic", []byte("<html>"), "found the magic number 0x3c68746d, expected that of an IDX file, 0x000008 and the number of dimensions", nil},
		{"second byte", with(twoByThree, 1, 1), "found the magic number 0x00010802, expected that of an IDX file, 0x000008 and the number of dimensions", nil},
		{"floats", with(twoByThree, 2, 0x0d), "found elements of type float32 (0x0d), expected integers: uint8 (0x08), int8 (0x09), int16 (0x0b) or int32 (0x0c)", nil},
		{"type", with(twoByThree, 2, 7), "found elements of type 0x07, which IDX does not have, expected integers: uint8 (0x08), int8 (0x09), int16 (0x0b) or int32 (0x0c)", nil},
		{"no dimensions", []byte{0, 0, 8, 0, 1}, "found 0 dimensions, expected at least 1", nil},
		{"short header", twoByThree[:10], "found a header cut off after 10 bytes, expected 12 bytes for 2 dimensions", io.ErrUnexpectedEOF},
		{"a dimension of 4 G", []byte{0, 0, 8, 1, 255, 255, 255, 255}, "found a dimension of 4294967295, expected at most 1073741824", nil},
		{"a terabyte", []byte{0, 0, 8, 2, 0, 16, 0, 0, 0, 16, 0, 0}, "found the dimensions [1048576 1048576], expected at most 1073741824 elements", nil},
		{"2⁶⁴ bytes", []byte{0, 0, 8, 3, 64, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 16}, "found the dimensions [1073741824 1073741824 16], expected at most 1073741824 elements", nil},
		{"a promised gigabyte", []byte{0, 0, 8, 1, 64, 0, 0, 0, 1, 2}, "found 2 bytes of data, expected 1073741824 for the dimensions [1073741824]", io.ErrUnexpectedEOF},
		{"truncated", twoByThree[:len(twoByThree)-1], "found 5 bytes of data, expected 6 for the dimensions [2 3]", io.ErrUnexpectedEOF},
		{"no data", twoByThree[:12], "found 0 bytes of data, expected 6 for the dimensions [2 3]", io.ErrUnexpectedEOF},
		{"one byte more", append(slices.Clone(twoByThree), 0), "found more than 6 bytes of data, expected 6 for the dimensions [2 3]", nil},
		{"one byte more in gzip", gz(append(slices.Clone(twoByThree), 0)), "found more than 6 bytes of data, expected 6 for the dimensions [2 3]", nil},
		{"truncated in gzip", gz(twoByThree[:15]), "found 3 bytes of data, expected 6 for the dimensions [2 3]", io.ErrUnexpectedEOF},
		{"gzip in gzip", gz(packed), "found the magic number 0x1f8b0800, expected that of an IDX file, 0x000008 and the number of dimensions", nil},
		{"gzip magic alone", packed[:2], "found a gzip header that is cut off, expected a gzip file", io.ErrUnexpectedEOF},
		{"gzip method", with(packed, 2, 7), "found a damaged gzip header, expected a gzip file", gzip.ErrHeader},
		{"gzip without its end", packed[:len(packed)-3], "found 6 bytes of data and no clean end, expected 6 for the dimensions [2 3]", io.ErrUnexpectedEOF},
		{"gzip checksum", with(packed, len(packed)-6, packed[len(packed)-6]^1), "found a gzip stream that does not match its checksum, expected an undamaged one", gzip.ErrChecksum},
		{"gzip length", with(packed, len(packed)-1, 1), "found a gzip stream that does not match its checksum, expected an undamaged one", gzip.ErrChecksum},
		{"garbage after gzip", append(slices.Clone(packed), "0123456789abcdef"...), "found 16 bytes after the gzip stream, expected none", gzip.ErrHeader},
		{"9 bytes after gzip", append(slices.Clone(packed), "012345678"...), "found 9 bytes after the gzip stream, expected none", gzip.ErrHeader},
		{"1 byte after gzip", append(slices.Clone(packed), 0), "found 1 bytes after the gzip stream, expected none", gzip.ErrHeader},
		{"9 bytes after two members", slices.Concat(gz(twoByThree[:7]), gz(twoByThree[7:]), []byte("012345678")), "found 9 bytes after the gzip stream, expected none", gzip.ErrHeader},
		{"half a member after gzip", append(slices.Clone(packed), packed[:5]...), "found 6 bytes of data and no clean end, expected 6 for the dimensions [2 3]", io.ErrUnexpectedEOF},
		{"int32 cut off", []byte{0, 0, 0x0c, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0}, "found 5 bytes of data, expected 8 for the dimensions [2]", io.ErrUnexpectedEOF},
		{"a gigabyte of int32", []byte{0, 0, 0x0c, 1, 64, 0, 0, 0}, "found the dimensions [1073741824], expected at most 268435456 elements", nil},
		{"deflate", with(packed, 10, 0xff), "found a gzip stream damaged at byte 1, expected an undamaged one", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := data.ReadIDX(bytes.NewReader(tt.file), "some/file")
			if err == nil {
				t.Fatalf("no error, but %v", got)
			}
			if want := "data: some/file: " + tt.want; err.Error() != want {
				t.Errorf("error\n%q, want\n%q", err, want)
			}
			var format *data.FormatError
			if !errors.As(err, &format) || format.File != "some/file" {
				t.Errorf("%#v is no FormatError for some/file", err)
			}
			if tt.cause != nil && !errors.Is(err, tt.cause) {
				t.Errorf("the error does not match %v", tt.cause)
			}
		})
	}
}

// A reader's own error is not the file's fault.
func TestReadIDXPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for n := range len(twoByThree) + 1 {
		_, err := data.ReadIDX(io.MultiReader(bytes.NewReader(twoByThree[:n]), iotest.ErrReader(broken)), "x")
		var format *data.FormatError
		if !errors.Is(err, broken) || errors.As(err, &format) {
			t.Errorf("after %d bytes: %v, want %v", n, err, broken)
		}
		if !strings.HasPrefix(err.Error(), "data: x: ") {
			t.Errorf("after %d bytes: %q does not name the file", n, err)
		}
	}
}

func TestReadIDXFile(t *testing.T) {
	// The content says whether it is gzipped, the name does not.
	dir := t.TempDir()
	for name, content := range map[string][]byte{"a.gz": twoByThree, "b": gz(twoByThree)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := data.ReadIDXFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Dims, []int{2, 3}) {
			t.Errorf("%s: dimensions %v", name, got.Dims)
		}
	}
	if _, err := data.ReadIDXFile(filepath.Join(dir, "c")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}

func TestWriteIDX(t *testing.T) {
	var buf bytes.Buffer
	if err := data.WriteIDX(&buf, []int{2, 3}, twoByThree[12:]); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buf.Bytes(), twoByThree) {
		t.Errorf("wrote % x, want % x", buf.Bytes(), twoByThree)
	}
	for _, tt := range []struct {
		dims []int
		n    int
	}{
		{nil, 1}, {make([]int, 256), 0}, {[]int{-1}, 1}, {[]int{-1, -1}, 1}, {[]int{1<<30 + 1}, 0},
		{[]int{2, 3}, 5}, {[]int{2, 3}, 7}, {[]int{1 << 30, 1 << 30, 16}, 0},
	} {
		buf.Reset()
		if err := data.WriteIDX(&buf, tt.dims, make([]byte, tt.n)); err == nil {
			t.Errorf("no error for %d bytes of %d dimensions", tt.n, len(tt.dims))
		}
		if buf.Len() != 0 {
			t.Errorf("%d bytes written despite the error", buf.Len())
		}
	}
	for room := range len(twoByThree) {
		if err := data.WriteIDX(&fullDisk{room}, []int{2, 3}, twoByThree[12:]); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("with room for %d bytes: %v", room, err)
		}
	}
}

// fullDisk takes room bytes and no more.
type fullDisk struct{ room int }

func (w *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), w.room)
	w.room -= n
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// Whatever the bytes, there is no panic, and what is read is consistent and
// survives a round trip.
func FuzzReadIDX(f *testing.F) {
	packed := gz(twoByThree)
	for _, seed := range [][]byte{
		nil, twoByThree, twoByThree[:9], append(slices.Clone(twoByThree), 1), packed, packed[:len(packed)-4],
		{0, 0, 8, 1, 255, 255, 255, 255}, {0, 0, 8, 3, 64, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0}, {0x1f, 0x8b}, {0, 0, 13, 1, 0, 0, 0, 0}, {0, 0, 11, 1, 0, 0, 0, 1, 1, 2}, append(slices.Clone(packed), "012345678"...),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		x, err := data.ReadIDX(bytes.NewReader(file), "fuzz")
		if err != nil {
			var format *data.FormatError
			if !errors.As(err, &format) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%#v is no FormatError of one line", err)
			}
			return
		}
		var buf bytes.Buffer
		if x.Type != data.Uint8 { // which WriteIDX does not write
			n := map[data.IDXType]int{data.Int8: 1, data.Int16: 2, data.Int32: 4}[x.Type]
			for _, d := range x.Dims {
				n *= d
			}
			if n != len(x.Data) {
				t.Fatalf("%d bytes for %v of %v", len(x.Data), x.Dims, x.Type)
			}
			return
		}
		// WriteIDX checks the dimensions against the data.
		if err := data.WriteIDX(&buf, x.Dims, x.Data); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(file, []byte{0x1f}) && !bytes.Equal(buf.Bytes(), file) {
			t.Fatalf("% x becomes % x", file, buf.Bytes())
		}
		again, err := data.ReadIDX(&buf, "again")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(x, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
