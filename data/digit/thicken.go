package digit

import "math"

// MNIST's strokes are 2 to 4 pixels wide in a box of 20. The strokes of a fine pen would
// fade to a faint trace when reduced to that box, so they are widened first.
//
// Of 100 of MNIST's test images, drawn along their skeletons on a picture of 400 pixels
// a side, the network of `halfgrad train` recognises this many with and without it:
//
//	pen in pixels    1    2    3    5    8   12   30
//	without          7    7   13   40   77   93   99
//	with            99   99   99   99   99   99   99
//
// (The figures of 8 and 12 without are of pictures of 100 pixels with pens of 2 and 3.)
const (
	thin   = 0.07 // of the digit's longer side: narrower strokes are widened …
	stroke = 0.11 // … to this
)

// thickened returns a digit, which touches all four sides, with strokes that are wide
// enough to survive the reduction.
func (p plane) thickened() plane {
	side := float64(max(p.h, p.w))
	width := p.strokeWidth()
	if width >= thin*side {
		return p
	}
	by := int(math.Round((stroke*side - width) / 2))
	wide := plane{h: p.h + 2*by, w: p.w + 2*by, v: make([]int32, (p.h+2*by)*(p.w+2*by))}
	for y := range p.h {
		copy(wide.v[(y+by)*wide.w+by:], p.v[y*p.w:(y+1)*p.w])
	}
	// Alternating steps with and without corners grow each pixel to an octagon.
	for step := range by {
		wide = wide.grown(step%2 == 1)
	}
	return wide
}

// strokeWidth returns the mean width of the strokes, which are the pixels of at least
// half of white. A stroke of length l and width b has an area of l·b and a circumference
// of about 2·l. Counted in sides of pixels the circumference comes out 4/π too long, on
// average over all directions.
func (p plane) strokeWidth() float64 {
	ink := func(y, x int) bool { return y >= 0 && x >= 0 && y < p.h && x < p.w && p.v[y*p.w+x] >= 128 }
	area, sides := 0, 0
	for y := range p.h {
		for x := range p.w {
			if !ink(y, x) {
				continue
			}
			area++
			for _, n := range [4][2]int{{y - 1, x}, {y + 1, x}, {y, x - 1}, {y, x + 1}} {
				if !ink(n[0], n[1]) {
					sides++
				}
			}
		}
	}
	if sides == 0 {
		return 0
	}
	return 2 * float64(area) / (float64(sides) * math.Pi / 4)
}

// grown returns a plane with the largest value among each pixel and its four
// neighbours, or its eight neighbours with corners.
func (p plane) grown(corners bool) plane {
	g := plane{p.h, p.w, make([]int32, len(p.v))}
	for y := range p.h {
		for x := range p.w {
			var most int32
			for ny := max(y-1, 0); ny <= min(y+1, p.h-1); ny++ {
				for nx := max(x-1, 0); nx <= min(x+1, p.w-1); nx++ {
					if corners || ny == y || nx == x {
						most = max(most, p.v[ny*p.w+nx])
					}
				}
			}
			g.v[y*p.w+x] = most
		}
	}
	return g
}
