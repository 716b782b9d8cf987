package digit

import (
	"cmp"
	"math"
	"slices"
)

// maxCells is the largest number of cells on a side of the grid that the ground is
// fitted to.
const maxCells = 32

// surface is a polynomial of the third degree in x and y: the coefficients of the
// monomials.
type surface [10]float64

const terms = len(surface{})

// sample is the mean of a cell, at its centre. x and y run from −1 to 1.
type sample struct {
	x, y, v   float64
	border    bool
	deviation float64 // from the surface of the last call of sort
}

// ground returns the light of the ground for each pixel.
//
// The fit is one of least trimmed squares, to the half of the cells that it fits best
// (P. Rousseeuw and K. Van Driessen, "Computing LTS Regression for Large Data Sets",
// Data Mining and Knowledge Discovery 12, 2006). Each step fits a surface to the half
// that the surface before fitted best. The first steps take cells at the border only,
// and the last takes all cells within three standard deviations.
func (p plane) ground() []int32 {
	cells := p.cells()
	var border []sample
	for _, s := range cells {
		if s.border {
			border = append(border, s)
		}
	}
	fit := fitted(border)
	for range 5 {
		fit = fitted(fit.closest(border))
	}
	for range 10 {
		fit = fitted(fit.closest(cells))
	}
	kept := fit.closest(cells)
	// The largest deviation of the closest half is 0.6745σ of a normal distribution.
	limit := min(3/0.6745*kept[len(kept)-1].deviation, outlier)
	if n := slices.IndexFunc(cells, func(s sample) bool { return s.deviation > limit }); n > len(kept) {
		kept = cells[:n]
	}
	fit = fitted(kept)

	light := make([]int32, 0, len(p.v))
	for y := range p.h {
		for x := range p.w {
			v := fit.at(position(x, p.w), position(y, p.h))
			light = append(light, int32(math.Round(min(max(v, 0), full))))
		}
	}
	return light
}

// position returns the centre of pixel i of n, on a scale from −1 to 1.
func position(i, n int) float64 { return float64(2*i+1-n) / float64(n) }

// cells returns the means of the picture's cells.
func (p plane) cells() []sample {
	var cells []sample
	rows, columns := min(p.h, maxCells), min(p.w, maxCells)
	for i := range rows {
		top, bottom := i*p.h/rows, (i+1)*p.h/rows
		for j := range columns {
			left, right := j*p.w/columns, (j+1)*p.w/columns
			var sum int64
			for y := top; y < bottom; y++ {
				for _, v := range p.v[y*p.w+left : y*p.w+right] {
					sum += int64(v)
				}
			}
			cells = append(cells, sample{
				x: float64(left+right-p.w) / float64(p.w), y: float64(top+bottom-p.h) / float64(p.h), v: float64(sum) / float64((bottom-top)*(right-left)),
				border: i == 0 || j == 0 || i == rows-1 || j == columns-1,
			})
		}
	}
	return cells
}

// outlier is the deviation from which on a cell never counts as ground.
const outlier = full / 8

// closest sorts the samples and returns the half that is closest to the surface. A digit
// that fills more than half of the picture would be among them, so outliers are left out
// if enough samples remain.
func (f surface) closest(samples []sample) []sample {
	f.sort(samples)
	half := samples[:len(samples)/2+1]
	far := slices.IndexFunc(half, func(s sample) bool { return s.deviation > outlier })
	if far > len(half)/4 {
		return half[:far]
	}
	return half
}

// sort sorts the samples by their distance from the surface.
func (f surface) sort(samples []sample) {
	for i, s := range samples {
		samples[i].deviation = math.Abs(s.v - f.at(s.x, s.y))
	}
	slices.SortStableFunc(samples, func(a, b sample) int { return cmp.Compare(a.deviation, b.deviation) })
}

func (f surface) at(x, y float64) (v float64) {
	for i, t := range monomials(x, y) {
		v += float64(f[i] * t)
	}
	return v
}

// monomials returns the terms of a surface at (x, y).
func monomials(x, y float64) surface {
	x2, y2 := x*x, y*y
	return surface{1, x, y, x2, x * y, y2, x2 * x, x2 * y, x * y2, y2 * y}
}

// fitted returns the surface of least squares. A term that the samples do not determine
// is 0, such as that of y for samples in one row.
func fitted(samples []sample) (f surface) {
	// Solves the normal equations by elimination.
	var a [terms][terms + 1]float64
	for _, s := range samples {
		m := monomials(s.x, s.y)
		for i := range m {
			for j := range m {
				a[i][j] += float64(m[i] * m[j])
			}
			a[i][terms] += float64(m[i] * s.v)
		}
	}
	var open [terms]bool
	for i := range a {
		if open[i] = a[i][i] < 1e-9*float64(len(samples)); open[i] {
			continue
		}
		for k := range a {
			if k == i {
				continue
			}
			factor := a[k][i] / a[i][i]
			for j := i; j <= terms; j++ {
				a[k][j] -= float64(factor * a[i][j])
			}
		}
	}
	for i := range f {
		if !open[i] {
			f[i] = a[i][terms] / a[i][i]
		}
	}
	return f
}
