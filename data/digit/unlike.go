package digit

import "fmt"

// The range of MNIST's training images, but for about one in two thousand on either
// side.
const (
	leastInk, mostInk     = 25.0, 240.0 // in white pixels
	leastWidth, mostWidth = 1.0, 6.0    // of the strokes, in pixels
	mostPieces            = 4
)

// Unlike tells how 28·28 pixels, from [Normalize] or [Raw], differ from any digit of
// MNIST: in the amount of ink, the width of its strokes or the number of its pieces. It
// returns "" where they do not. It panics if pixels has another length.
//
// It is a coarse test: it reports 0.15 % of MNIST's training images, 0.20 % of the test
// images and all of 100 pictures of uniform noise, but letters only where they are very
// thin or very bold. (TestUnlike; [Normalize] already takes pictures of noise for empty.)
func Unlike(pixels []byte) string {
	if len(pixels) != Height*Width {
		panic(fmt.Sprintf("digit: Unlike: %d pixels, want %d", len(pixels), Height*Width))
	}
	p := plane{Height, Width, make([]int32, len(pixels))}
	sum := 0
	for i, v := range pixels {
		p.v[i] = int32(v)
		sum += int(v)
	}
	ink := float64(sum) / 255
	switch {
	case ink < leastInk:
		return "it has less ink than a digit"
	case ink > mostInk:
		return "it has more ink than a digit"
	}
	if _, weight := p.pieces(128); len(weight)-1 > mostPieces {
		return "it is in more pieces than a digit"
	}
	switch width := p.strokeWidth(); {
	case width < leastWidth:
		return "its strokes are thinner than a digit's"
	case width > mostWidth:
		return "its strokes are wider than a digit's"
	}
	return ""
}
