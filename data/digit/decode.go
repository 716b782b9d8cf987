package digit

import (
	"bytes"
	"fmt"
	"image"
	_ "image/gif" // for image.Decode, as are the others
	_ "image/jpeg"
	_ "image/png"
	"io"
)

// The largest picture that is decoded, as its header tells. An uncommon one, of 16 bits
// a colour or a progressive JPEG in CMYK, takes some 20 bytes a pixel on the way.
const (
	MaxSide   = 1 << 14 // pixels
	MaxPixels = 1 << 25 // 33 million
	MaxBytes  = 1 << 26 // of the file: 64 MiB
)

// limits are MaxSide, MaxPixels and MaxBytes, or what tests put in their place.
type limits struct{ side, pixels, bytes int }

// SizeError reports a picture of a size that is not wanted. It has not been decoded.
type SizeError struct {
	Width, Height int    // in pixels; 0 where only its bytes were counted
	Want          string // what would be
}

// Error returns one line with all of e.
func (e *SizeError) Error() string {
	if e.Width == 0 && e.Height == 0 {
		return fmt.Sprintf("digit: the picture's file is too long: want %s", e.Want)
	}
	return fmt.Sprintf("digit: the picture is of %d×%d pixels: want %s", e.Width, e.Height, e.Want)
}

// FormatError reports what is not a picture, or not a whole one.
type FormatError struct {
	Err error // what the decoder found
}

// Error returns one line.
func (e *FormatError) Error() string {
	return fmt.Sprintf("digit: not a picture (PNG, JPEG or GIF), or damaged: %v", e.Err)
}

// Unwrap returns e.Err.
func (e *FormatError) Unwrap() error { return e.Err }

// Decode reads a picture: PNG, JPEG, which is turned upright where a camera noted how, or GIF,
// of which it is the first. What is too large by its header is not
// decoded. The error is a [*SizeError], a [*FormatError] or the reader's own.
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
	config, format, err := image.DecodeConfig(io.TeeReader(limited, &head))
	if err != nil {
		if head.Len() == 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, fail(err)
	}
	if w, h := config.Width, config.Height; w > most.side || h > most.side || w*h > most.pixels {
		return nil, &SizeError{w, h, fmt.Sprintf("at most %d on a side and %d in all", most.side, most.pixels)}
	}
	orientation := upright
	if format == "jpeg" {
		orientation = exifOrientation(head.Bytes())
	}
	m, _, err := image.Decode(io.MultiReader(&head, limited))
	if err != nil {
		return nil, fail(err)
	}
	return turn(m, orientation), nil
}

// source notes an error of its reader, which decoders pass on in various forms.
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
