package figure

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Mistake is an image that a network takes for something else.
type Mistake struct {
	Image       *image.Gray
	Index       int     // of the image in its data set
	Label       int     // what it is
	Class       int     // what it is taken for
	Probability float64 // that the network gives Class
}

// Mistakes draws a sheet of mistakes in their order, each with its label, what it is
// taken for, the probability that the network gives that, and #, its index.
// Without any, the title is all there is.
func Mistakes(title string, mistakes []Mistake) *Figure {
	const (
		columns           = 8
		picture vg.Length = 64
		caption vg.Length = 30
		gap     vg.Length = 14
		head    vg.Length = 44
	)
	across := min(max(len(mistakes), 1), columns)
	rows := (len(mistakes) + columns - 1) / columns
	heading := bold(style(12, ink))
	width := max(2*margin+vg.Length(across)*(picture+gap)-gap, heading.Width(title)+2*margin)
	height := head + vg.Length(rows)*(picture+caption) + margin/2
	return &Figure{width: width, height: height, draw: func(c draw.Canvas) {
		fill(c, color.White, c.Min.X, c.Min.Y, c.Max.X, c.Max.Y)
		write(c, heading, text.XLeft, margin, c.Max.Y-24, title)
		for i, m := range mistakes {
			x := margin + vg.Length(i%columns)*(picture+gap)
			y := c.Max.Y - head - vg.Length(i/columns)*(picture+caption)
			// The picture keeps its proportions, in the middle of its square.
			size := m.Image.Bounds().Size()
			w := picture * vg.Length(size.X) / vg.Length(max(size.X, size.Y))
			h := picture * vg.Length(size.Y) / vg.Length(max(size.X, size.Y))
			left, low := x+(picture-w)/2, y-picture+(picture-h)/2
			c.DrawImage(vg.Rectangle{Min: vg.Point{X: left, Y: low}, Max: vg.Point{X: left + w, Y: low + h}}, enlarged(m.Image))
			answer, small := bold(style(10, ink)), style(8, faint)
			is := fmt.Sprintf("%d → ", m.Label)
			write(c, answer, text.XLeft, x, y-picture-13, is)
			answer.Color = palette[1]
			write(c, answer, text.XLeft, x+answer.Width(is), y-picture-13, fmt.Sprint(m.Class))
			write(c, small, text.XLeft, x, y-picture-23, percentage(m.Probability))
			write(c, small, text.XRight, x+picture, y-picture-23, fmt.Sprintf("#%d", m.Index))
		}
	}}
}

// enlarged returns the image with each pixel repeated, so that whoever scales it further
// does not blur it, if it is small.
func enlarged(im *image.Gray) *image.Gray {
	size := im.Bounds().Size()
	factor := int(math.Ceil(224 / float64(max(size.X, size.Y))))
	large := image.NewGray(image.Rect(0, 0, factor*size.X, factor*size.Y))
	for y := range factor * size.Y {
		for x := range factor * size.X {
			large.SetGray(x, y, im.GrayAt(im.Rect.Min.X+x/factor, im.Rect.Min.Y+y/factor))
		}
	}
	return large
}
