package data

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// An IDX file holds, in this order, all integers big-endian:
//
//	2 bytes   0, 0
//	1 byte    the type of the elements: 8 is uint8
//	1 byte    the number of dimensions, n
//	n × 4     the dimensions, outermost first
//	…         the elements, row-major, and nothing after them
//
// Yann LeCun described the format on the MNIST page,
// http://yann.lecun.com/exdb/mnist/.

// maxIDX is the most bytes of elements that ReadIDX accepts, 1 GiB. EMNIST, the largest
// relative of MNIST, has 610 MiB. The limit bounds what a hostile file can unpack to.
const maxIDX = 1 << 30

// IDXType is the type of an IDX file's elements: the code in the third byte of the file.
type IDXType byte

// The integer types. IDX also has floating-point types, which ReadIDX refuses.
const (
	Uint8 IDXType = 0x08
	Int8  IDXType = 0x09
	Int16 IDXType = 0x0b
	Int32 IDXType = 0x0c
)

// String returns the name and the code of the type, such as "uint8 (0x08)".
func (t IDXType) String() string {
	name := map[IDXType]string{Uint8: "uint8", Int8: "int8", Int16: "int16", Int32: "int32", 0x0d: "float32", 0x0e: "float64"}[t]
	if name == "" {
		return fmt.Sprintf("%#02x, which IDX does not have", byte(t))
	}
	return fmt.Sprintf("%s (%#02x)", name, byte(t))
}

// bytes returns the size of an element; 0 for types that ReadIDX refuses.
func (t IDXType) bytes() int {
	switch t {
	case Uint8, Int8:
		return 1
	case Int16:
		return 2
	case Int32:
		return 4
	}
	return 0
}

// IDX is the content of an IDX file of integers: an array with at least one dimension.
type IDX struct {
	Type IDXType
	Dims []int  // outermost first; a dimension may be 0
	Data []byte // the elements, row-major and big-endian
}

// at returns element i.
func (x *IDX) at(i int) int32 {
	switch x.Type {
	case Uint8:
		return int32(x.Data[i])
	case Int8:
		return int32(int8(x.Data[i]))
	case Int16:
		return int32(int16(binary.BigEndian.Uint16(x.Data[2*i:])))
	}
	return int32(binary.BigEndian.Uint32(x.Data[4*i:]))
}

// FormatError reports a file that is damaged or of another kind than expected. An error
// of the file system is not a FormatError.
type FormatError struct {
	File  string // the file's name, as the caller gave it
	Place string // where in the file, such as "line 3"; empty for the file as a whole
	Found string // what the file has
	Want  string // what it should have
	Err   error  // the cause, where there is one, such as gzip.ErrChecksum
}

// Error returns one line that names the file, the place, what was found and what was
// expected.
func (e *FormatError) Error() string {
	place := e.File
	if e.Place != "" {
		place += ": " + e.Place
	}
	return fmt.Sprintf("data: %s: found %s, expected %s", place, e.Found, e.Want)
}

// Unwrap returns e.Err.
func (e *FormatError) Unwrap() error { return e.Err }

// ReadIDXFile reads the IDX file at path, gzipped or not, as [ReadIDX] does. It opens
// regular files only: a pipe or a device is a [*FormatError].
func ReadIDXFile(path string) (*IDX, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadIDX(f, path)
}

// openRegular opens a regular file. Opening a pipe would block until somebody writes to
// it, deaf to any context.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &FormatError{File: path, Found: fileKind(info.Mode()), Want: "a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return f, nil
}

// fileKind names a kind of file that is not regular.
func fileKind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

// ReadIDX reads an IDX file of integers from r, to its end. A file that begins like a
// gzip file is unpacked, whatever its name. The name serves for error messages only.
//
// Memory grows with the data that arrives, not with what the header promises, and files
// of more than 1 GiB are refused. The error is a [*FormatError] if the content is
// wrong: cut off, longer than its dimensions say, a damaged gzip stream, bytes after
// the gzip stream, or elements of another type.
func ReadIDX(r io.Reader, name string) (*IDX, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	d := idxReader{r: buffered, name: name}
	// An IDX file begins with 0, 0, so these two bytes cannot be one.
	if head, _ := buffered.Peek(len(gzipMagic)); string(head) == gzipMagic {
		members, err := newMembers(buffered)
		if errors.Is(err, gzip.ErrHeader) {
			return nil, &FormatError{File: name, Found: "a damaged gzip header", Want: "a gzip file", Err: err}
		}
		if err != nil {
			return nil, d.readError(err, "a gzip header that is cut off", "a gzip file")
		}
		d.r = members
	}
	return d.read()
}

// gzipMagic begins each member of a gzip file (RFC 1952, section 2.3.1).
const gzipMagic = "\x1f\x8b"

// members reads a gzip file, which is one or more members, one after the other. Unlike
// gzip.Reader alone, it can tell a file with other bytes at its end from one that is
// cut off.
type members struct {
	from *bufio.Reader
	z    *gzip.Reader
	end  error // where it is not nil, what Read returns from then on
}

// trailingError reports bytes after the last member of a gzip file.
type trailingError struct{ bytes int64 }

func (e *trailingError) Error() string { return fmt.Sprintf("%d bytes after the gzip stream", e.bytes) }
func (e *trailingError) Unwrap() error { return gzip.ErrHeader }

func newMembers(from *bufio.Reader) (*members, error) {
	z, err := gzip.NewReader(from)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &members{from: from, z: z}, nil
}

func (m *members) Read(p []byte) (int, error) {
	if m.end != nil {
		return 0, m.end
	}
	n, err := m.z.Read(p)
	if err == io.EOF {
		m.end = m.next()
		return n, m.end
	}
	return n, err
}

// next goes on to the next member. It returns io.EOF if there is none.
func (m *members) next() error {
	head, err := m.from.Peek(len(gzipMagic))
	if len(head) == 0 {
		return err
	}
	if string(head) == gzipMagic {
		err := m.z.Reset(m.from)
		m.z.Multistream(false)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	rest, err := io.Copy(io.Discard, io.LimitReader(m.from, maxIDX))
	if err != nil {
		return err
	}
	return &trailingError{rest}
}

// WriteIDX writes an IDX file of unsigned bytes to w, not gzipped. dims are the
// dimensions, outermost first, 1 to 255 of them, and data has one byte for each
// element, row-major.
func WriteIDX(w io.Writer, dims []int, data []byte) error {
	if len(dims) < 1 || len(dims) > 255 {
		return fmt.Errorf("data: WriteIDX: an IDX file has 1 to 255 dimensions, not %d", len(dims))
	}
	header := []byte{0, 0, byte(Uint8), byte(len(dims))}
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
	kind := IDXType(magic[2])
	size := kind.bytes()
	if size == 0 {
		return nil, d.wrong("elements of type "+kind.String(), "integers: uint8 (0x08), int8 (0x09), int16 (0x0b) or int32 (0x0c)")
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
	if volume > maxIDX/uint64(size) {
		return nil, d.wrong(fmt.Sprintf("the dimensions %v", dims), fmt.Sprintf("at most %d elements", maxIDX/size))
	}

	data, err := d.readData(dims, int(volume)*size)
	if err != nil {
		return nil, err
	}
	return &IDX{Type: kind, Dims: dims, Data: data}, nil
}

// readData reads n bytes and checks that the file ends there.
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

// readError makes an error of what a read returned: a FormatError if the content is to
// blame, and the reader's own error otherwise. found and want describe a file that ends
// too early.
func (d *idxReader) readError(err error, found, want string) error {
	var corrupt flate.CorruptInputError
	var trailing *trailingError
	switch {
	case errors.As(err, &trailing):
		found, want = trailing.Error(), "none"
	case errors.Is(err, gzip.ErrChecksum):
		found, want = "a gzip stream that does not match its checksum", "an undamaged one"
	case errors.Is(err, gzip.ErrHeader):
		found, want = "a damaged header of a further gzip member", "an undamaged one"
	case errors.As(err, &corrupt):
		found, want = fmt.Sprintf("a gzip stream damaged at byte %d", int64(corrupt)), "an undamaged one"
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return &FormatError{File: d.name, Found: found, Want: want, Err: io.ErrUnexpectedEOF}
	default:
		return fmt.Errorf("data: %s: %w", d.name, err)
	}
	return &FormatError{File: d.name, Found: found, Want: want, Err: err}
}
