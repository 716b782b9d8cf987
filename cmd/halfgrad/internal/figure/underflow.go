package figure

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The measures of the chart of underflows.
const (
	barHeight  vg.Length = 7
	barsLeft   vg.Length = 150 // room for the layers' names
	barsRight  vg.Length = 190 // room for the bars' labels
	layerSpace vg.Length = 8
)

// underflowRow is a layer's gradients, in each of the runs that tell of them.
type underflowRow struct {
	layer, kind string
	runs        []runUnderflow
}

type runUnderflow struct {
	run int
	*underflow
}

func underflowRows(runs []*Run) (rows []underflowRow) {
	for i, r := range runs {
		for _, u := range r.underflows() {
			at := slices.IndexFunc(rows, func(row underflowRow) bool { return row.layer == u.layer && row.kind == u.kind })
			if at < 0 {
				at = len(rows)
				rows = append(rows, underflowRow{layer: u.layer, kind: u.kind})
			}
			rows[at].runs = append(rows[at].runs, runUnderflow{i, u})
		}
	}
	return rows
}

func (r underflowRow) height() vg.Length {
	return max(2*vg.Length(len(r.runs))*(barHeight+1.5), 20) + layerSpace
}

func underflowHeight(rows []underflowRow) (h vg.Length) {
	if len(rows) == 0 {
		return 0
	}
	for _, r := range rows {
		h += r.height()
	}
	return h + 2*headHeight
}

// drawUnderflow draws the rows at the bottom of c: for each run a bar without loss
// scaling and one with it.
func drawUnderflow(c draw.Canvas, rows []underflowRow) {
	if len(rows) == 0 {
		return
	}
	y := c.Min.Y + underflowHeight(rows) - headHeight
	title, small := bold(style(titleSize, ink)), style(8, ink)
	write(c, title, text.XLeft, c.Min.X, y, "Gradients that underflow in fp16")
	write(c, style(8, faint), text.XLeft, c.Min.X+title.Width("Gradients that underflow in fp16")+5, y,
		"share of the values that are not zero, mean over the run; full colour: becomes zero, light: becomes subnormal")
	y -= 10
	left, right := c.Min.X+barsLeft, c.Max.X-barsRight
	bottom := c.Min.Y + headHeight - 8
	most := 0.0
	for _, row := range rows {
		for _, u := range row.runs {
			most = max(most, u.zero+u.subnormal, u.unscaledZero+u.unscaledSubnormal)
		}
	}
	most = min(max(most*1.02, 1e-3), 1)
	at := func(share float64) vg.Length { return left + (right-left)*vg.Length(min(share/most, 1)) }
	for _, t := range linearTicks(0, 100*most, " %") {
		x := at(t.Value / 100)
		c.StrokeLine2(draw.LineStyle{Color: ruled, Width: 0.6}, x, bottom, x, y)
		write(c, small, text.XCenter, x, bottom-11, t.Label)
	}
	for _, row := range rows {
		write(c, small, text.XLeft, c.Min.X, y-9, row.layer)
		write(c, style(8, faint), text.XLeft, c.Min.X, y-19, row.kind)
		bar := y
		for _, u := range row.runs {
			for _, b := range []struct {
				name            string
				zero, subnormal float64
			}{
				{"without scaling", u.unscaledZero, u.unscaledSubnormal},
				{"scaled", u.zero, u.subnormal},
			} {
				full := palette[u.run]
				fill(c, tint(full, 0.35), left, bar-barHeight, at(b.zero+b.subnormal), bar)
				fill(c, full, left, bar-barHeight, at(b.zero), bar)
				s := style(7, ink)
				write(c, s, text.XLeft, at(b.zero+b.subnormal)+4, bar-barHeight+1, fmt.Sprintf("%s: %s zero, %s subnormal", b.name, percentage(b.zero), percentage(b.subnormal)))
				bar -= barHeight + 1.5
			}
		}
		y -= row.height()
	}
	c.StrokeLine2(draw.LineStyle{Color: faint, Width: 0.6}, left, bottom, left, c.Min.Y+underflowHeight(rows)-headHeight-10)
}
