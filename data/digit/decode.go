package digit

import (
	"bytes"
	"fmt"
	"image"
	_ "image/gif" // for image.Decode, as are the others
	_ "image/jpeg"
	_ "image/png"
	"io"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"
)

// The largest picture that is decoded, as its header tells. A photograph of 48
// megapixels takes 150 to 200 MB while it is decoded, on top of its file. Uncommon ones
// take more: up to 16 bytes a pixel with 16 bits a colour or in a progressive JPEG, so
// that the worst picture within the limits takes some 1.3 GB.
const (
	MaxSide   = 1 << 14 // pixels
	MaxPixels = 1 << 26 // 67 million
	MaxBytes  = 1 << 28 // of the file: 256 MiB
)

// limits are MaxSide, MaxPixels and MaxBytes, or what tests put in their place.
type limits struct{ side, pixels, bytes int }

// SizeError reports a picture of a size that is not wanted. It has not been decoded.
type SizeError struct {
	Width, Height int    // in pixels; 0 where only the bytes were counted
	Want          string // the size that is wanted
}

// Error returns one line with all of e.
func (e *SizeError) Error() string {
	if e.Width == 0 && e.Height == 0 {
		return fmt.Sprintf("digit: the picture's file is too long: want %s", e.Want)
	}
	return fmt.Sprintf("digit: the picture is of %d×%d pixels: want %s", e.Width, e.Height, e.Want)
}

// FormatError reports content that is not a picture, or not a whole one.
type FormatError struct {
	Err error // the decoder's error
}

// Error returns one line.
func (e *FormatError) Error() string {
	return fmt.Sprintf("digit: not a picture (PNG, JPEG, GIF, WebP, TIFF or BMP), or damaged: %v", e.Err)
}

// Unwrap returns e.Err.
func (e *FormatError) Unwrap() error { return e.Err }

// Decode reads a picture: PNG, JPEG, GIF, WebP, TIFF or BMP. JPEG and TIFF are turned
// upright by the orientation that a camera noted. Of several pictures in a file it is
// the first. Decode refuses a picture that is too large by its header before it decodes
// anything. The error is a [*SizeError], a [*FormatError] or the reader's own.
func Decode(r io.Reader) (image.Image, error) {
	return decode(r, limits{MaxSide, MaxPixels, MaxBytes})
}

func decode(r io.Reader, most limits) (image.Image, error) {
	source := &source{r: r}
	limited := &io.LimitedReader{R: source, N: int64(most.bytes) + 1}
	fail := func(err error) error {
		switch {
		case source.err != nil:
			return fmt.Errorf("digit: %w", source.err)
		case limited.N == 0:
			return &SizeError{Want: fmt.Sprintf("at most %d bytes", most.bytes)}
		}
		return &FormatError{err}
	}
	var head bytes.Buffer // what DecodeConfig reads
	var config image.Config
	var format string
	err := sheltered(func() (err error) {
		config, format, err = image.DecodeConfig(io.TeeReader(limited, &head))
		return err
	})
	if err != nil {
		if head.Len() == 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, fail(err)
	}
	switch w, h := config.Width, config.Height; {
	case w < 1 || h < 1:
		return nil, &FormatError{fmt.Errorf("it is of %d×%d pixels", w, h)}
	case w > most.side || h > most.side || w*h > most.pixels:
		return nil, &SizeError{w, h, fmt.Sprintf("at most %d on a side and %d in all", most.side, most.pixels)}
	}
	// In memory, because the decoder of TIFF would make a copy of any other reader.
	content, err := io.ReadAll(io.MultiReader(&head, limited))
	if err != nil || limited.N == 0 {
		return nil, fail(err)
	}
	var m image.Image
	err = sheltered(func() (err error) {
		m, _, err = image.Decode(bytes.NewReader(content))
		return err
	})
	if err != nil {
		return nil, fail(err)
	}
	switch format {
	case "jpeg":
		m = turn(m, exifOrientation(content))
	case "tiff":
		m = turn(m, tiffOrientation(content))
	}
	return m, nil
}

// sheltered makes an error of a panic. Decoders have had such with damaged files.
func sheltered(decode func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the decoder failed: %v", r)
		}
	}()
	return decode()
}

// source notes the error of its reader, which decoders pass on in various forms.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
