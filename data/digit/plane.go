package digit

import (
	"image"
	"image/color"
	"slices"
)

// plane is a grey picture: h rows of w values, from black, 0, to white.
type plane struct {
	h, w int
	v    []int32
}

// sampler returns a function that reads the pixels of m, premultiplied by their opacity.
func sampler(m image.Image) func(x, y int) color.RGBA64 {
	if fast, ok := m.(image.RGBA64Image); ok {
		return fast.RGBA64At
	}
	return func(x, y int) color.RGBA64 {
		r, g, b, a := m.At(x, y).RGBA()
		return color.RGBA64{R: uint16(r), G: uint16(g), B: uint16(b), A: uint16(a)}
	}
}

// luma returns the brightness of a colour, as color.Gray16Model does.
func luma(r, g, b uint32) uint32 { return (19595*r + 38470*g + 7471*b + 1<<15) >> 16 }

// planes returns a picture, reduced, in brightness and in its three primary colours.
func planes(m image.Image) [4]plane {
	const alpha = 4 // one plane more, on the way
	bounds := m.Bounds()
	step := (max(bounds.Dx(), bounds.Dy(), 1) + maxWork - 1) / maxWork
	h, w := (bounds.Dy()+step-1)/step, (bounds.Dx()+step-1)/step
	var p [alpha + 1]plane
	for i := range p {
		p[i] = plane{h, w, make([]int32, h*w)}
	}
	at := sampler(m)
	for y := range h {
		for x := range w {
			block := image.Rect(x*step, y*step, (x+1)*step, (y+1)*step).Add(bounds.Min).Intersect(bounds)
			var sum [alpha + 1]uint64
			for py := block.Min.Y; py < block.Max.Y; py++ {
				for px := block.Min.X; px < block.Max.X; px++ {
					c := at(px, py)
					sum[0] += uint64(luma(uint32(c.R), uint32(c.G), uint32(c.B)))
					sum[1] += uint64(c.R)
					sum[2] += uint64(c.G)
					sum[3] += uint64(c.B)
					sum[alpha] += uint64(c.A)
				}
			}
			n := uint64(block.Dx() * block.Dy())
			for i := range p {
				p[i].v[y*w+x] = int32((sum[i] + n/2) / n)
			}
		}
	}
	result := [4]plane(p[:4])
	for i := range result {
		result[i].fill(p[alpha])
	}
	return result
}

// fill puts a colour behind transparent pixels. A picture that is mostly opaque gets its
// own ground, the median. Otherwise the opaque part is the digit, and gets black or
// white behind it, whichever differs more.
func (p *plane) fill(alpha plane) {
	var opaque []int32
	var sum, weight uint64
	for i, a := range alpha.v {
		sum += uint64(p.v[i])
		weight += uint64(a)
		if a == full {
			opaque = append(opaque, p.v[i])
		}
	}
	if weight == uint64(len(p.v))*full {
		return
	}
	var backdrop uint64
	switch {
	case 2*len(opaque) > len(p.v):
		backdrop = uint64(quantile(opaque, 1, 2))
	case 2*sum < weight:
		backdrop = full
	}
	for i, a := range alpha.v {
		p.v[i] = min(p.v[i]+int32((backdrop*uint64(full-a)+full/2)/full), full)
	}
}

// quantile returns the value with num/den of all values below it. It sorts v.
func quantile(v []int32, num, den int) int32 {
	slices.Sort(v)
	return v[min(len(v)*num/den, len(v)-1)]
}

// clearest returns the brightness, p[0], unless a colour has twice its contrast.
func clearest(p [4]plane) plane {
	best := p[0]
	_, most := otsu(best.histogram(full))
	most *= 4 // a variance is the contrast squared
	for _, colour := range p[1:] {
		if _, spread := otsu(colour.histogram(full)); spread > most {
			best, most = colour, spread
		}
	}
	return best
}

// bins is the number of levels of brightness in a histogram.
const bins = 1024

// histogram counts the values by bins of equal width, from 0 to top.
func (p plane) histogram(top int32) (counts [bins]int) {
	for _, v := range p.v {
		counts[bin(v, top)]++
	}
	return counts
}

func bin(v, top int32) int { return int(v) * (bins - 1) / int(top) }

// otsu splits a histogram into the two classes with the largest variance between them.
// It returns the last bin of the lower class, and the variance.
func otsu(counts [bins]int) (threshold int, variance float64) {
	var n, sum int64
	for i, c := range counts {
		n += int64(c)
		sum += int64(i) * int64(c)
	}
	var below, sumBelow int64
	for i, c := range counts {
		below += int64(c)
		sumBelow += int64(i) * int64(c)
		if below == 0 || below == n {
			continue
		}
		d := float64(sum*below - n*sumBelow)
		if v := d / float64(n) * d / float64(n) / float64(below) / float64(n-below); v > variance {
			threshold, variance = i, v
		}
	}
	return threshold, variance
}

// least is the ink, of 255, that makes a pixel count for the extent of the digit.
const least = 64

// flatten subtracts the ground from the digit, which comes out light. Dark strokes are
// divided by the ground, because light does not change their ratio to it. A ground
// darker than an eighth of white counts as that, because its noise is as strong.
func (p plane) flatten() {
	ground := p.ground()
	var lighter, darker int64
	for i, v := range p.v {
		d := int64(v-ground[i]) / 64 // 512²·1024⁴ fits into 63 bits
		if d > 0 {
			lighter += d * d * d * d
		} else {
			darker += d * d * d * d
		}
	}
	for i, v := range p.v {
		d := v - ground[i]
		if darker > lighter {
			d = int32(int64(-d) * full / int64(max(ground[i], full/8)))
		}
		p.v[i] = d
	}
}

// stretch scales the brightness of the strokes to 255 and sets anything that may be
// noise to 0. It returns false if nothing is left.
func (p plane) stretch() bool {
	sorted := slices.Clone(p.v)
	slices.Sort(sorted)
	from := slices.IndexFunc(sorted, func(v int32) bool { return v > 0 })
	if from < 0 {
		return false
	}
	// On the side of the ground without ink there is only noise. If it is normally
	// distributed, half of it deviates by less than 0.6745σ. All within 3σ is cut off.
	cut := 0
	if from > 0 {
		cut = -9 * int(sorted[from/2]) / 2
	}
	from = slices.IndexFunc(sorted, func(v int32) bool { return int(v) > cut })
	if from < 0 {
		return false
	}
	ink, top := sorted[from:], sorted[len(sorted)-1]
	threshold, _ := otsu(plane{v: ink}.histogram(top))
	core := slices.IndexFunc(ink, func(v int32) bool { return bin(v, top) > threshold })
	bright := int(quantile(ink[max(core, 0):], 3, 4)) // of all ink, if it has one brightness
	if bright-cut < max(cut/2, full/12) {             // noise alone has some pixels at 4σ
		return false
	}
	for i, v := range p.v {
		p.v[i] = int32((255*min(max(int(v)-cut, 0), bright-cut) + (bright-cut)/2) / (bright - cut))
	}
	return true
}

// dropSpecks blackens the pieces of ink that have less than 1/32 of the ink of the
// largest.
func (p plane) dropSpecks() {
	piece, weight := p.pieces(least)
	most := slices.Max(weight)
	for i, id := range piece {
		if id > 0 && 32*weight[id] < most {
			p.v[i] = 0
		}
	}
}

// pieces tells apart the pieces of ink: pixels of at least so much light that touch by
// sides or corners. It returns the number of each pixel's piece, from 1, or 0 for less
// light, and the ink of each piece.
func (p plane) pieces(least int32) (piece []int32, weight []int64) {
	piece = make([]int32, len(p.v))
	weight = []int64{0}
	var stack []int
	for start, v := range p.v {
		if v < least || piece[start] != 0 {
			continue
		}
		id := int32(len(weight))
		weight = append(weight, 0)
		piece[start] = id
		stack = append(stack[:0], start)
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			weight[id] += int64(p.v[i])
			y, x := i/p.w, i%p.w
			for ny := max(y-1, 0); ny <= min(y+1, p.h-1); ny++ {
				for nx := max(x-1, 0); nx <= min(x+1, p.w-1); nx++ {
					if j := ny*p.w + nx; p.v[j] >= least && piece[j] == 0 {
						piece[j] = id
						stack = append(stack, j)
					}
				}
			}
		}
	}
	return piece, weight
}

// crop returns the smallest part of the picture with all pixels of at least so much
// light.
func (p plane) crop(least int32) plane {
	top, left, bottom, right := p.h, p.w, 0, 0
	for y := range p.h {
		for x := range p.w {
			if p.v[y*p.w+x] >= least {
				top, bottom, left, right = min(top, y), y+1, min(left, x), max(right, x+1)
			}
		}
	}
	c := plane{h: max(bottom-top, 0), w: max(right-left, 0)}
	for y := top; y < bottom; y++ {
		c.v = append(c.v, p.v[y*p.w+left:y*p.w+right]...)
	}
	return c
}

// centre returns the centre of mass, from the upper left corner of the first pixel, in
// units of 1/parts of a pixel. p must not be all black.
func (p plane) centre(parts int) (y, x int) {
	var mass, massY, massX int64
	for i, v := range p.v {
		mass += 2 * int64(v)
		massY += int64(v) * int64(2*(i/p.w)+1)
		massX += int64(v) * int64(2*(i%p.w)+1)
	}
	return int(massY * int64(parts) / mass), int(massX * int64(parts) / mass)
}

// place scales a digit, which touches all four sides, to the box in an image of h·w
// pixels. It moves the centre of mass into the pixel in the middle, or as near as the
// digit stays within the image.
func place(digit plane, h, w int) []byte {
	boxH, boxW := box(h), box(w)
	newH, newW := boxH, boxW
	if digit.h*boxW > digit.w*boxH { // full in height
		newW = max((2*digit.w*boxH+digit.h)/(2*digit.h), 1)
	} else {
		newH = max((2*digit.h*boxW+digit.w)/(2*digit.w), 1)
	}
	scaled := scale(digit, newH, newW)
	pixels := make([]byte, h*w)
	y, x := scaled.centre(1)
	top, left := min(max(h/2-y, 0), h-newH), min(max(w/2-x, 0), w-newW)
	for i, v := range scaled.v {
		pixels[(top+i/newW)*w+left+i%newW] = byte(v)
	}
	return pixels
}

// scale returns p at another size. See weights for the pixels that make up a new one.
func scale(p plane, h, w int) plane {
	rows, columns := weights(p.h, h), weights(p.w, w)
	s := plane{h, w, make([]int32, h*w)}
	for y, row := range rows {
		for x, column := range columns {
			var sum, weight uint64
			for i, a := range row.of {
				from := (row.first+i)*p.w + column.first
				for j, b := range column.of {
					sum += a * b * uint64(p.v[from+j])
					weight += a * b
				}
			}
			s.v[y*w+x] = int32((sum + weight/2) / weight)
		}
	}
	return s
}

// span is the old pixels that make up a new one: from first on, with their weights.
type span struct {
	first int
	of    []uint64
}

// weights returns the spans of n new pixels in place of old ones. If there are fewer
// than before, a pixel has the part that it covers of each old one. If there are more,
// it lies between two old ones.
func weights(old, n int) []span {
	spans := make([]span, n)
	for i := range spans {
		for j := range old {
			var weight int // in units of 1/n of an old pixel
			if n <= old {
				weight = min((i+1)*old, (j+1)*n) - max(i*old, j*n)
			} else {
				between := (2*i+1)*old - (2*j+1)*n // centres, in half such units
				weight = 2*n - max(between, -between)
			}
			if weight > 0 {
				if spans[i].of == nil {
					spans[i].first = j
				}
				spans[i].of = append(spans[i].of, uint64(weight))
			}
		}
	}
	return spans
}
