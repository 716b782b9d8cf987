// Package digit turns any picture of a digit into an image like MNIST's: a light digit
// on a black ground, scaled, and centred by its mass. It also decodes pictures within
// limits, and scales whole pictures for networks that have learned something else.
//
// It does not find digits in a picture. It expects one, on a ground that is lighter or
// darker, and nothing else of any size. Brightness tells digit and ground apart, or one
// of the three primary colours if it has far more contrast. The ground is what most of
// the border shows, so leave a margin around the digit.
//
// # What MNIST has
//
// "The original black and white (bilevel) images from NIST were size normalized to
// fit in a 20x20 pixel box while preserving their aspect ratio. The resulting images
// contain grey levels as a result of the anti-aliasing technique used by the
// normalization algorithm. The images were centered in a 28x28 image by computing the
// center of mass of the pixels, and translating the image so as to position this
// point at the center of the 28x28 field" (http://yann.lecun.com/exdb/mnist/). The
// files say more exactly: the longer side of the box of all pixels that are not
// black is 20, and the centre of mass lies in pixel (14, 14), counted from 0.
//
// # How a picture gets there
//
//  1. Averages of whole pixels reduce it until no side is longer than 512. Transparent
//     parts get the colour of the ground.
//  2. A polynomial of the third degree in x and y models the light of the ground. Least
//     trimmed squares fit it, so that strokes and edges of shadows are outliers.
//     Subtracting it removes uneven light. The digit is on the side, lighter or darker,
//     with the larger deviations in the fourth power, in which a stroke outweighs a
//     shadow. Dark strokes count by their ratio to the ground, which light does not
//     change.
//  3. Noise is measured on the other side, without ink, and cut off. A threshold (N.
//     Otsu, IEEE Trans. Systems, Man, and Cybernetics 9(1), 1979) finds the core of the
//     strokes, whose brightness becomes 255. Grey levels in between stay.
//  4. Specks with less than 1/32 of the ink of the largest piece are dropped.
//  5. Strokes thinner than 7 % of the digit's longer side are widened.
//  6. The box of the pixels of at least a quarter of white is scaled and placed as above.
//
// The result is the same on every machine: all arithmetic is in integers, or in float64
// with each operation rounded on its own.
package digit

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
)

// ErrEmpty is returned for a picture in which nothing stands out from the ground. A
// digit has to stand out by more than the noise, and by a twelfth of white, or of the
// ground's brightness if it is dark.
var ErrEmpty = errors.New("digit: the picture is empty: nothing in it stands out from its ground")

// The size of MNIST's images.
const (
	Height = 28
	Width  = 28
)

// maxWork is the longest side of a picture that is worked on.
const maxWork = 512

// full is white.
const full = math.MaxUint16

// box returns how much of a side of n pixels the digit may fill: 20 of 28.
func box(n int) int { return max((20*n+14)/28, 1) }

// Normalize returns the digit in a picture as an image like MNIST's: h·w pixels, row
// after row, from 0, the ground, to 255. MNIST's own size is 28×28; the box that the
// digit fills grows with h and w. Normalize panics unless both are positive. The error
// is [ErrEmpty].
func Normalize(m image.Image, h, w int) ([]byte, error) {
	if h < 1 || w < 1 {
		panic(fmt.Sprintf("digit: Normalize: no image is %d×%d", h, w))
	}
	p := clearest(planes(m))
	if len(p.v) == 0 {
		return nil, ErrEmpty
	}
	p.flatten()
	if !p.stretch() {
		return nil, ErrEmpty
	}
	p.dropSpecks()
	return place(p.crop(least).thickened(), h, w), nil
}

// Fit returns a whole picture in h·w pixels: row after row, from 0, black, to 255. It
// is scaled in its own proportions, centred, and surrounded by the brightness of its
// border. Transparent parts get the colour of the ground. Fit panics unless h and w are
// positive. The error is [ErrEmpty] for a picture of a single brightness.
func Fit(m image.Image, h, w int) ([]byte, error) {
	if h < 1 || w < 1 {
		panic(fmt.Sprintf("digit: Fit: no image is %d×%d", h, w))
	}
	p := planes(m)[0]
	if len(p.v) == 0 || slices.Min(p.v) == slices.Max(p.v) {
		return nil, ErrEmpty
	}
	newH, newW := h, w
	if p.h*w > p.w*h { // full in height
		newW = max((2*p.w*h+p.h)/(2*p.h), 1)
	} else {
		newH = max((2*p.h*w+p.w)/(2*p.w), 1)
	}
	var border []int32
	for i, v := range p.v {
		if y, x := i/p.w, i%p.w; y == 0 || x == 0 || y == p.h-1 || x == p.w-1 {
			border = append(border, v)
		}
	}
	level := func(v int32) byte { return byte((255*int64(v) + full/2) / full) }
	pixels := bytes.Repeat([]byte{level(quantile(border, 1, 2))}, h*w)
	top, left := (h-newH)/2, (w-newW)/2
	for i, v := range scale(p, newH, newW).v {
		pixels[(top+i/newW)*w+left+i%newW] = level(v)
	}
	return pixels, nil
}

// Raw returns the brightness of each pixel of a picture of exactly h·w pixels, row after
// row, from 0, black, to 255. Transparent pixels are black. The error is a [*SizeError].
func Raw(m image.Image, h, w int) ([]byte, error) {
	b := m.Bounds()
	if b.Dy() != h || b.Dx() != w {
		return nil, &SizeError{Width: b.Dx(), Height: b.Dy(), Want: fmt.Sprintf("%d×%d", w, h)}
	}
	pixels := make([]byte, 0, h*w)
	at := sampler(m)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := at(x, y)
			pixels = append(pixels, byte(luma(uint32(c.R), uint32(c.G), uint32(c.B))>>8))
		}
	}
	return pixels, nil
}

// IsNormalized returns whether h·w pixels look like an image of MNIST, with nothing left
// to normalise. The ground is exactly black, strokes reach white, the longer side of all
// that is not black fills the box or misses it by a pixel, and the centre of mass is in
// the pixel in the middle. About one in ten thousand of MNIST's images fails this test.
func IsNormalized(pixels []byte, h, w int) bool {
	p := plane{h: h, w: w, v: make([]int32, len(pixels))}
	var brightest byte
	for i, b := range pixels {
		p.v[i], brightest = int32(b), max(brightest, b)
	}
	if brightest < 250 {
		return false
	}
	c := p.crop(1)
	// The tighter of the two directions is the one that is full.
	slack := min(box(h)-c.h, box(w)-c.w)
	if slack < 0 || slack > 1 {
		return false
	}
	// In hundredths of a pixel: MNIST's own rounding misses by up to two.
	y, x := p.centre(100)
	within := func(at, n int) bool { return at >= 100*(n/2)-2 && at < 100*(n/2+1) }
	return within(y, h) && within(x, w)
}
