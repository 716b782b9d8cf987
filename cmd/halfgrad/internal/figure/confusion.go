package figure

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Confusion draws a confusion matrix, counts[label][predicted], with each class's
// recall at the right and its precision below: shares of 1, as many as there
// are classes. Right predictions are blue and mistakes vermillion, the darker the more:
// shades follow the logarithm of the count, so that rare mistakes show beside
// the many right predictions.
func Confusion(title string, counts [][]int, recall, precision []float64) *Figure {
	n := len(counts)
	most, digits := 1, 0
	for _, row := range counts {
		for _, count := range row {
			most = max(most, count)
			digits = max(digits, len(strconv.Itoa(count)))
		}
	}
	numbers := style(9, ink)
	cell := max(numbers.Width("0")*vg.Length(digits)+8, 33)
	if n > 40 { // no room for numbers
		cell, numbers.Font.Size = 9, 0
	}
	small, label := style(9, ink), bold(style(10, ink))
	const left, right, bottom, top = 48, 44, 40, 62
	side := cell * vg.Length(n)
	width := max(left+side+right+2*margin, bold(style(12, ink)).Width(title)+2*margin)
	return &Figure{width: width, height: top + side + bottom + margin, draw: func(c draw.Canvas) {
		fill(c, color.White, c.Min.X, c.Min.Y, c.Max.X, c.Max.Y)
		write(c, bold(style(12, ink)), text.XLeft, margin, c.Max.Y-22, title)
		x0, y0 := margin+vg.Length(left), c.Max.Y-top
		x := func(k int) vg.Length { return x0 + cell*vg.Length(k) }
		y := func(k int) vg.Length { return y0 - cell*vg.Length(k) }
		write(c, style(10, faint), text.XCenter, x0+side/2, y0+20, "prediction")
		turned := style(10, faint)
		turned.Rotation = math.Pi / 2
		write(c, turned, text.XCenter, margin+8, y0-side/2, "label")
		every := max(1, int(math.Ceil(float64(14/cell)))) // names that do not touch
		for k := 0; k < n; k += every {
			name := strconv.Itoa(k)
			write(c, label, text.XCenter, x(k)+cell/2, y0+5, name)
			write(c, label, text.XRight, x0-6, y(k)-cell/2-4, name)
			write(c, small, text.XLeft, x0+side+6, y(k)-cell/2-3, percentage(recall[k]))
			if cell >= small.Width("99.9 %") {
				write(c, small, text.XCenter, x(k)+cell/2, y(n)-14, percentage(precision[k]))
			}
		}
		note := style(8, faint)
		write(c, note, text.XLeft, x0+side+6, y0+5, "recall")
		write(c, note, text.XRight, x0-6, y(n)-13, "precision")
		for i, row := range counts {
			for j, count := range row {
				hue := palette[1]
				if i == j {
					hue = palette[0]
				}
				shade := math.Log1p(float64(count)) / math.Log1p(float64(most))
				fill(c, tint(hue, shade), x(j), y(i+1), x(j+1), y(i))
				if count > 0 && numbers.Font.Size > 0 {
					s := numbers
					if shade > 0.6 {
						s.Color = color.White
					}
					write(c, s, text.XCenter, x(j)+cell/2, y(i)-cell/2-3.5, strconv.Itoa(count))
				}
			}
		}
		for k := range n + 1 {
			grid := draw.LineStyle{Color: ruled, Width: 0.5}
			c.StrokeLine2(grid, x0, y(k), x0+side, y(k))
			c.StrokeLine2(grid, x(k), y0, x(k), y0-side)
		}
	}}
}

// percentage writes a share in three digits, and never rounds to none or all.
func percentage(x float64) string {
	switch {
	case x == 0 || x == 1:
		return fmt.Sprintf("%.0f %%", 100*x)
	case x < 0.0005:
		return "< 0.1 %"
	case x >= 0.9995:
		return "> 99.9 %"
	}
	return fmt.Sprintf("%.1f %%", 100*x)
}
