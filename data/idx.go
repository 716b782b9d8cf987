package data

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// An IDX file is, in this order, all integers big-endian:
//
//	2 bytes   0, 0
//	1 byte    the type of the elements: 8 is uint8
//	1 byte    the number of dimensions, n
//	n × 4     the dimensions, outermost first
//	…         the elements, row-major, and nothing after them
//
// The format is Yann LeCun's, described on the MNIST page,
// http://yann.lecun.com/exdb/mnist/.

// maxIDX is the most elements that ReadIDX accepts, 1 GiB: EMNIST, the largest
// relative of MNIST, has 610 MiB. It bounds what a hostile file can make us
// unpack.
const maxIDX = 1 << 30

// IDX is the content of an IDX file of unsigned bytes: an array with at least
// one dimension.
type IDX struct {
	Dims []int  // outermost first; a dimension may be 0
	Data []byte // row-major; its length is the product of Dims
}

// FormatError reports that a file is not what it should be: damaged, or of
// another kind. An error of the file system is not a FormatError.
type FormatError struct {
	File  string // the file's name, as the caller gave it
	Found string // what is there
	Want  string // what should be there
	Err   error  // the cause, where there is one, such as gzip.ErrChecksum
}

// Error returns one line that names the file, what was found and what was expected.
func (e *FormatError) Error() string {
	return fmt.Sprintf("data: %s: found %s, expected %s", e.File, e.Found, e.Want)
}

// Unwrap returns e.Err.
func (e *FormatError) Unwrap() error { return e.Err }

// ReadIDXFile reads the IDX file at path, gzipped or not, as [ReadIDX] does.
func ReadIDXFile(path string) (*IDX, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	return ReadIDX(f, path)
}

// ReadIDX reads an IDX file of unsigned bytes from r, to its end. If it begins
// like a gzip file it is unpacked; what it is called does not matter. The name
// serves for error messages only.
//
// What the header promises is believed only as far as data follows: memory
// grows with what was read, and more than 1 GiB is refused. Whatever
// is wrong with the content is a [*FormatError], be it a truncated file, a
// byte too many, a damaged gzip stream or elements of another type.
func ReadIDX(r io.Reader, name string) (*IDX, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	d := idxReader{r: buffered, name: name}
	// An IDX file begins with 0, 0, so these two bytes cannot be one.
	if head, _ := buffered.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(buffered)
		if errors.Is(err, gzip.ErrHeader) {
			return nil, &FormatError{File: name, Found: "a damaged gzip header", Want: "a gzip file", Err: err}
		}
		if err != nil {
			return nil, d.readError(err, "a gzip header that is cut off", "a gzip file")
		}
		d.r = z
	}
	return d.read()
}

// WriteIDX writes an IDX file of unsigned bytes to w, not gzipped. It is the
// inverse of [ReadIDX]: dims are the dimensions, outermost first, 1 to 255 of
// them, and data has one byte for each element, row-major.
func WriteIDX(w io.Writer, dims []int, data []byte) error {
	if len(dims) < 1 || len(dims) > 255 {
		return fmt.Errorf("data: WriteIDX: an IDX file has 1 to 255 dimensions, not %d", len(dims))
	}
	header := []byte{0, 0, typeUint8, byte(len(dims))}
	volume := uint64(1)
	for _, d := range dims {
		if d < 0 || d > maxIDX {
			return fmt.Errorf("data: WriteIDX: dimension %d is not in [0, %d]", d, maxIDX)
		}
		header = binary.BigEndian.AppendUint32(header, uint32(d))
		// Saturates: neither factor exceeds 2³⁰+1, so there is no overflow.
		volume = min(volume*uint64(d), maxIDX+1)
	}
	if volume != uint64(len(data)) {
		return fmt.Errorf("data: WriteIDX: %d bytes given for the dimensions %v", len(data), dims)
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return nil
}

// The types of elements, by their codes in the third byte.
const typeUint8 = 0x08

var typeNames = map[byte]string{
	typeUint8: "uint8", 0x09: "int8", 0x0b: "int16", 0x0c: "int32", 0x0d: "float32", 0x0e: "float64",
}

// idxReader reads one file, after any unpacking.
type idxReader struct {
	r    io.Reader
	name string
}

func (d *idxReader) read() (*IDX, error) {
	var magic [4]byte
	if n, err := io.ReadFull(d.r, magic[:]); err != nil {
		return nil, d.readError(err, fmt.Sprintf("%d bytes", n), "an IDX file, which begins with 4 bytes of magic number")
	}
	if magic[0] != 0 || magic[1] != 0 {
		return nil, d.wrong(fmt.Sprintf("the magic number %#x", magic), "that of an IDX file, 0x000008 and the number of dimensions")
	}
	if magic[2] != typeUint8 {
		found := fmt.Sprintf("the unknown element type %#02x", magic[2])
		if name, ok := typeNames[magic[2]]; ok {
			found = fmt.Sprintf("elements of type %s (%#02x)", name, magic[2])
		}
		return nil, d.wrong(found, "uint8 (0x08)")
	}
	if magic[3] == 0 {
		return nil, d.wrong("0 dimensions", "at least 1")
	}

	header := make([]byte, 4*int(magic[3]))
	if n, err := io.ReadFull(d.r, header); err != nil {
		return nil, d.readError(err, fmt.Sprintf("a header cut off after %d bytes", len(magic)+n),
			fmt.Sprintf("%d bytes for %d dimensions", len(magic)+len(header), magic[3]))
	}
	dims := make([]int, magic[3])
	volume := uint64(1)
	for i := range dims {
		dim := binary.BigEndian.Uint32(header[4*i:])
		if dim > maxIDX {
			return nil, d.wrong(fmt.Sprintf("a dimension of %d", dim), fmt.Sprintf("at most %d", maxIDX))
		}
		dims[i] = int(dim)
		volume = min(volume*uint64(dim), maxIDX+1)
	}
	if volume > maxIDX {
		return nil, d.wrong(fmt.Sprintf("the dimensions %v", dims), fmt.Sprintf("at most %d elements", maxIDX))
	}

	data, err := d.readData(dims, int(volume))
	if err != nil {
		return nil, err
	}
	return &IDX{Dims: dims, Data: data}, nil
}

// readData reads n bytes, and makes sure that the file ends there.
func (d *idxReader) readData(dims []int, n int) ([]byte, error) {
	want := fmt.Sprintf("%d for the dimensions %v", n, dims)
	data := make([]byte, 0, min(n, 1<<20))
	for len(data) < n {
		if len(data) == cap(data) {
			grown := make([]byte, len(data), min(n, 2*cap(data)))
			copy(grown, data)
			data = grown
		}
		m, err := io.ReadFull(d.r, data[len(data):cap(data)])
		data = data[:len(data)+m]
		if err != nil {
			return nil, d.readError(err, fmt.Sprintf("%d bytes of data", len(data)), want)
		}
	}
	// This read also has gzip compare its checksum.
	switch m, err := io.ReadFull(d.r, make([]byte, 1)); {
	case m > 0:
		return nil, d.wrong(fmt.Sprintf("more than %d bytes of data", n), want)
	case err != io.EOF:
		return nil, d.readError(err, fmt.Sprintf("%d bytes of data and no clean end", n), want)
	}
	return data, nil
}

func (d *idxReader) wrong(found, want string) error {
	return &FormatError{File: d.name, Found: found, Want: want}
}

// readError makes an error of what a read returned: a FormatError if the
// content is to blame, where found and want describe a file that ended too
// early, and the reader's own error otherwise.
func (d *idxReader) readError(err error, found, want string) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, gzip.ErrChecksum):
		found, want = "a gzip stream that does not match its checksum", "an undamaged one"
	case errors.Is(err, gzip.ErrHeader):
		found, want = "bytes after the gzip stream", "none"
	case errors.As(err, &corrupt):
		found, want = fmt.Sprintf("a gzip stream damaged at byte %d", int64(corrupt)), "an undamaged one"
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return &FormatError{File: d.name, Found: found, Want: want, Err: io.ErrUnexpectedEOF}
	default:
		return fmt.Errorf("data: %s: %w", d.name, err)
	}
	return &FormatError{File: d.name, Found: found, Want: want, Err: err}
}
