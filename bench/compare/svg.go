package compare

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// canvas is an SVG figure that is being drawn, in units of about a pixel. Colours and
// fonts are the style sheet's: a class says what a thing is.
type canvas struct {
	w, h float64
	body strings.Builder
}

// begin and end of text have these names in SVG.
const (
	start  = "start"
	middle = "middle"
	end    = "end"
)

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.body, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

// text writes s with its baseline at y.
func (c *canvas) text(class, anchor string, x, y float64, s string) {
	fmt.Fprintf(&c.body, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`, class, anchor, x, y, html.EscapeString(s))
}

func (c *canvas) rect(class string, x, y, w, h float64) {
	fmt.Fprintf(&c.body, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, x, y, w, h)
}

// bar is a rectangle from x1 to x2 whose far end is round.
func (c *canvas) bar(class string, x1, x2, y, h float64) {
	r, dir := min(2.5, max(x2-x1, x1-x2)), 1.0
	if x2 < x1 {
		dir = -1
	}
	fmt.Fprintf(&c.body, `<path class="%s" d="M%.1f %.1fH%.1fq%.1f 0 %.1f %.1fv%.1fq0 %.1f %.1f %.1fH%.1fz"/>`,
		class, x1, y, x2-dir*r, dir*r, dir*r, r, h-2*r, r, -dir*r, r, x1)
}

// path is a line through points.
func (c *canvas) path(class string, points [][2]float64) {
	fmt.Fprintf(&c.body, `<polyline class="%s" points="`, class)
	for i, p := range points {
		if i > 0 {
			c.body.WriteByte(' ')
		}
		fmt.Fprintf(&c.body, "%.1f,%.1f", p[0], p[1])
	}
	c.body.WriteString(`"/>`)
}

// A mark is a point of a figure.
const (
	circle = iota
	square
	triangle
)

func (c *canvas) mark(shape int, class string, x, y, r float64) {
	switch shape {
	case circle:
		fmt.Fprintf(&c.body, `<circle class="%s" cx="%.1f" cy="%.1f" r="%.1f"/>`, class, x, y, r)
	case square:
		c.rect(class, x-r*.9, y-r*.9, 1.8*r, 1.8*r)
	case triangle:
		fmt.Fprintf(&c.body, `<path class="%s" d="M%.1f %.1fl%.1f %.1fh%.1fz"/>`, class, x, y-1.2*r, 1.15*r, 2*r, -2.3*r)
	}
}

// group draws things of a class with a tip for a pointer to show.
func (c *canvas) group(class, tip string, draw func()) {
	fmt.Fprintf(&c.body, `<g class="%s"><title>%s</title>`, class, html.EscapeString(tip))
	draw()
	c.body.WriteString("</g>")
}

// svg returns the figure, with what is read out instead of it.
func (c *canvas) svg(title, description string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s"><title>%[3]s</title><desc>%s</desc>%s</svg>`,
		c.w, c.h, html.EscapeString(title), html.EscapeString(description), c.body.String()))
}
