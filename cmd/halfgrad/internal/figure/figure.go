// Package figure draws what halfgrad's commands have to show: the course of
// training runs, what a network confuses with what, and its worst mistakes.
//
// A figure is drawn by gonum.org/v1/plot, as PNG, SVG or PDF. Colours are those
// of Okabe and Ito (https://jfly.uni-koeln.de/color/), which the colour-blind
// tell apart.
package figure

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	stdfont "golang.org/x/image/font"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgpdf"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/halfgrad/halfgrad/internal/files"
)

// Figure is a drawing that can be written in any of the formats.
type Figure struct {
	width, height vg.Length
	draw          func(draw.Canvas)
}

// dpi is the resolution of a PNG.
const dpi = 160

// formats are the file name extensions of the formats, and what draws them.
var formats = map[string]func(w, h vg.Length) vg.CanvasWriterTo{
	".png": func(w, h vg.Length) vg.CanvasWriterTo {
		return vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(dpi))}
	},
	".svg": func(w, h vg.Length) vg.CanvasWriterTo { return vgsvg.New(w, h) },
	".pdf": func(w, h vg.Length) vg.CanvasWriterTo { return pdfCanvas{vgpdf.New(w, h)} },
}

// CheckPath returns an error that lists the known formats unless path's
// extension is that of one.
func CheckPath(path string) error {
	if formats[extension(path)] == nil {
		return fmt.Errorf("%s: want a file name that ends in .png, .svg or .pdf", path)
	}
	return nil
}

// pdfCanvas is a vgpdf canvas that avoids what vgpdf gets wrong: it embeds one
// font only, of an encoding of bytes, Windows-1252, and turns images upside down.
type pdfCanvas struct{ *vgpdf.Canvas }

func (c pdfCanvas) FillString(f font.Face, at vg.Point, s string) {
	regular := f.Font
	regular.Weight = stdfont.WeightNormal
	s = strings.ReplaceAll(s, "→", "->")
	encoded, err := encoding.ReplaceUnsupported(charmap.Windows1252.NewEncoder()).String(s)
	if err != nil {
		encoded = s // cannot be: what the encoding lacks is replaced
	}
	c.Canvas.FillString(font.DefaultCache.Lookup(regular, f.Font.Size), at, encoded)
}

func (c pdfCanvas) DrawImage(r vg.Rectangle, im image.Image) {
	b := im.Bounds()
	turned := image.NewNRGBA(b)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			turned.Set(x, b.Max.Y-1-(y-b.Min.Y), im.At(x, y))
		}
	}
	c.Canvas.DrawImage(r, turned)
}

func extension(path string) string { return strings.ToLower(filepath.Ext(path)) }

// Write writes the figure to w in the format that the extension of name, such
// as ".svg", tells.
func (f *Figure) Write(w io.Writer, name string) error {
	if err := CheckPath(name); err != nil {
		return err
	}
	if extension(name) == ".pdf" { // vgpdf panics where it cannot have a temporary folder
		dir, err := os.MkdirTemp("", "halfgrad-figure-")
		if err != nil {
			return fmt.Errorf("figure: a PDF takes a temporary folder: %w", err)
		}
		defer os.Remove(dir)
	}
	c := formats[extension(name)](f.width, f.height)
	f.draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return fmt.Errorf("figure: %s: %w", name, err)
	}
	content := b.Bytes()
	if extension(name) == ".svg" { // a viewer that lacks the font shall take one of the same widths
		content = bytes.ReplaceAll(content, []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	}
	_, err := w.Write(content)
	return err
}

// Save writes the figure to the file at path, whole or not at all, in the
// format that its extension tells.
func (f *Figure) Save(path string) error {
	var b bytes.Buffer
	if err := f.Write(&b, path); err != nil {
		return err
	}
	return files.WriteFile(path, b.Bytes())
}

// MaxRuns is how many runs a figure tells apart by their colours.
const MaxRuns = 7

// The colours. A run's is the palette's, in order.
var (
	palette = [MaxRuns]color.NRGBA{
		{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}, // blue
		{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}, // vermillion
		{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}, // bluish green
		{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff}, // reddish purple
		{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff}, // orange
		{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff}, // sky blue
		{R: 0x00, G: 0x00, B: 0x00, A: 0xff},
	}
	ink   = color.NRGBA{R: 0x22, G: 0x22, B: 0x22, A: 0xff} // text
	faint = color.NRGBA{R: 0x66, G: 0x66, B: 0x66, A: 0xff} // text that matters less
	ruled = color.NRGBA{R: 0xe4, G: 0xe4, B: 0xe4, A: 0xff} // grids
)

// tint returns c lightened: share 1 is c itself, 0 is white.
func tint(c color.NRGBA, share float64) color.NRGBA {
	mix := func(v uint8) uint8 { return uint8(math.Round(255 - share*(255-float64(v)))) }
	return color.NRGBA{R: mix(c.R), G: mix(c.G), B: mix(c.B), A: 0xff}
}

// style returns one for text in Liberation Sans, which gonum brings along.
func style(size vg.Length, c color.Color) text.Style {
	return text.Style{
		Color: c, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: size},
		XAlign: text.XLeft, YAlign: text.YBottom,
		Handler: plot.DefaultTextHandler,
	}
}

func bold(s text.Style) text.Style {
	s.Font.Weight = stdfont.WeightBold
	return s
}

// write puts a line of text at x; y is its base line. align is text.XLeft, XCenter or XRight.
func write(c draw.Canvas, s text.Style, align text.XAlignment, x, y vg.Length, txt string) {
	s.XAlign = align
	c.FillText(s, vg.Point{X: x, Y: y}, printable(txt))
}

// fill fills a rectangle.
func fill(c draw.Canvas, col color.Color, x0, y0, x1, y1 vg.Length) {
	c.FillPolygon(col, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
}

// printable returns s without what an SVG must not contain: a file name may.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, s)
}
