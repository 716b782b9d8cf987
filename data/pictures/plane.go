package pictures

import (
	"image"
	"image/color"
	"image/draw"
)

// plane is a picture as bytes.
type plane struct {
	h, w, c int
	pixels  []byte // [h, w, c]
}

// isGrey returns whether a picture is stored as a grey one.
func isGrey(m image.Image) bool {
	switch model := m.ColorModel().(type) {
	case color.Palette:
		for _, entry := range model {
			if r, g, b, _ := entry.RGBA(); r != g || g != b {
				return false
			}
		}
		return true
	default:
		return model == color.GrayModel || model == color.Gray16Model
	}
}

// newPlane returns a picture in c channels, on black.
func newPlane(m image.Image, c int) *plane {
	b := m.Bounds()
	p := &plane{b.Dy(), b.Dx(), c, make([]byte, b.Dy()*b.Dx()*c)}
	if m, ok := m.(*image.Gray); ok && c == 1 {
		for y := range p.h {
			copy(p.pixels[y*p.w:][:p.w], m.Pix[y*m.Stride:])
		}
		return p
	}
	// Colours are multiplied by their opacity in image.RGBA, as they would be on black. A
	// row at a time spares the memory of a second picture.
	row := image.NewRGBA(image.Rect(0, 0, p.w, 1))
	dst := p.pixels
	for y := range p.h {
		draw.Draw(row, row.Rect, m, image.Pt(b.Min.X, b.Min.Y+y), draw.Src)
		for x := range p.w {
			r, g, b := row.Pix[4*x], row.Pix[4*x+1], row.Pix[4*x+2]
			if c == 1 {
				dst[x] = grey(r, g, b)
			} else {
				dst[3*x], dst[3*x+1], dst[3*x+2] = r, g, b
			}
		}
		dst = dst[p.w*c:]
	}
	return p
}

// grey returns 0.299·r + 0.587·g + 0.114·b (ITU-R BT.601), rounded to nearest.
func grey(r, g, b byte) byte {
	return byte((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

// crop returns the largest rectangle in the middle with the proportions of h rows of w
// columns.
func (p *plane) crop(h, w int) *plane {
	rows, columns := p.h, p.w
	if p.w*h > p.h*w {
		columns = max((p.h*w+h/2)/h, 1)
	} else {
		rows = max((p.w*h+w/2)/w, 1)
	}
	q := &plane{rows, columns, p.c, make([]byte, 0, rows*columns*p.c)}
	y0, x0 := (p.h-rows)/2, (p.w-columns)/2
	for y := range rows {
		q.pixels = append(q.pixels, p.pixels[((y0+y)*p.w+x0)*p.c:][:columns*p.c]...)
	}
	return q
}

// scale returns p as h rows of w columns. It computes in integers, which no machine rounds
// otherwise: with 8 bits after the point between rows and columns, and rounded to nearest.
func (p *plane) scale(h, w int) *plane {
	if p.h == h && p.w == w {
		return p
	}
	wide := make([]uint16, p.h*w*p.c)
	columns := triangles(p.w, w)
	for y := range p.h {
		for x, t := range columns {
			for k := range p.c {
				var sum uint64
				for j, weight := range t.weights {
					sum += weight * uint64(p.pixels[(y*p.w+t.from+j)*p.c+k])
				}
				wide[(y*w+x)*p.c+k] = uint16((sum<<8 + t.total/2) / t.total)
			}
		}
	}
	q := &plane{h, w, p.c, make([]byte, h*w*p.c)}
	for y, t := range triangles(p.h, h) {
		for i := range w * p.c {
			var sum uint64
			for j, weight := range t.weights {
				sum += weight * uint64(wide[(t.from+j)*w*p.c+i])
			}
			q.pixels[y*w*p.c+i] = byte((sum + t.total<<7) / (t.total << 8))
		}
	}
	return q
}

// triangle has the weights of the old values that make a new one.
type triangle struct {
	from    int      // the first of them
	weights []uint64 // at most 2¹⁵ each, for sides of at most 2¹⁴
	total   uint64
}

// triangles returns the weights of each of n values that old ones are scaled to.
//
// In units of an old value, the new value i has its middle at (i + ½)·old/n, the old value
// k at k + ½, and the weight is 1 − distance / max(old/n, 1) where that is positive. All
// of it times 2·max(old, n) is in integers.
func triangles(old, n int) []triangle {
	all := make([]triangle, n)
	most := 2 * max(old, n)
	for i := range all {
		t := &all[i]
		weight := func(k int) int {
			d := (2*k+1)*n - (2*i+1)*old
			return most - max(d, -d)
		}
		for t.from = max(((2*i+1)*old-most)/(2*n)-1, 0); weight(t.from) <= 0; t.from++ {
		}
		for k := t.from; k < old && weight(k) > 0; k++ {
			t.weights = append(t.weights, uint64(weight(k)))
			t.total += uint64(weight(k))
		}
	}
	return all
}
