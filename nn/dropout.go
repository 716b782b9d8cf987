package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/halfgrad/halfgrad/tensor"
)

// Dropout sets each value to zero with a given probability in training, and divides the
// other values by the probability of being kept, so that evaluation needs no correction
// (Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
// Overfitting", JMLR 15, 2014; "inverted" dropout).
//
// The choice depends on the layer's seed and [Context].Pass alone. PCG gives one 64-bit
// number for four values, in row-major order, 16 bits each, the lowest first. A value
// is dropped if its bits are below 65536 times the probability.
type Dropout struct {
	rate  float64
	drop  uint64     // a value is dropped if its 16 bits are less
	scale [2]float32 // the factor of a value that is dropped, and of one that is kept
	seed  uint64
	pcg   rand.PCG
	kept  []uint64 // a bit for each value of the last Forward; empty if it dropped none
	row   []float32
	y, dx tensor.Tensor
}

// NewDropout returns a layer that drops values with probability rate, rounded to a multiple
// of 1/65536. Its seed is the next number of rng, or 0 if rng is nil, for a network that
// will not be trained. NewDropout panics unless rate is in [0, 1).
func NewDropout(rng *rand.Rand, rate float64) *Dropout {
	drop := math.Round(rate * (1 << 16))
	if !(rate >= 0 && drop < 1<<16) {
		panic(fmt.Sprintf("nn: NewDropout: the rate is %v: want one from 0 to less than 1", rate))
	}
	d := &Dropout{rate: rate, drop: uint64(drop), scale: [2]float32{0, float32(1 / (1 - drop/(1<<16)))}}
	if rng != nil {
		d.seed = rng.Uint64()
	}
	return d
}

// String returns, for example, "Dropout 0.5".
func (d *Dropout) String() string { return fmt.Sprintf("Dropout %g", d.rate) }

// Params returns nil: there is nothing to learn.
func (*Dropout) Params() []*Param { return nil }

// Forward drops values of x, of any shape, if ctx.Training is set. Otherwise it returns
// x itself.
func (d *Dropout) Forward(ctx *Context, x *tensor.Tensor) *tensor.Tensor {
	if !ctx.Training || d.drop == 0 {
		d.kept = d.kept[:0]
		return x
	}
	d.draw(ctx.Pass, x.Len())
	return d.mask(&d.y, x)
}

// Backward returns dy with zeros for the values that were dropped, and scaled like Forward.
func (d *Dropout) Backward(ctx *Context, dy *tensor.Tensor, wantDX bool) *tensor.Tensor {
	switch {
	case !wantDX:
		return nil
	case len(d.kept) == 0:
		return dy
	}
	return d.mask(&d.dx, dy)
}

// draw chooses which of n values are kept.
func (d *Dropout) draw(pass uint64, n int) {
	words := (n + 63) / 64
	if cap(d.kept) < words {
		d.kept = make([]uint64, words)
	}
	d.kept = d.kept[:words]
	d.pcg.Seed(d.seed, pass)
	for w := range d.kept {
		var kept uint64
		for at := 0; at < 64; at += 4 {
			r := d.pcg.Uint64()
			for i := range 4 {
				// The difference is negative, with its top bit set, if the value is dropped.
				kept |= (1 - (r&0xffff-d.drop)>>63) << (at + i)
				r >>= 16
			}
		}
		d.kept[w] = kept
	}
}

// mask sets dst to the scaled values of src that are kept, and to zero elsewhere.
func (d *Dropout) mask(dst, src *tensor.Tensor) *tensor.Tensor {
	dst.Resize(src.DType(), src.Shape()...)
	from, to := whole(src.Matrix()), whole(dst.Matrix())
	const atOnce = 1024 // a multiple of 64
	d.row = grow(d.row, atOnce)
	for at := 0; at < from.Cols; at += atOnce {
		n := min(atOnce, from.Cols-at)
		row := d.row[:n]
		from.Block(0, at, 1, n).LoadRow(row, 0)
		kept := d.kept[at/64:]
		for i, v := range row {
			row[i] = v * d.scale[kept[i/64]>>(i%64)&1]
		}
		to.Block(0, at, 1, n).StoreRow(row, 0)
	}
	return dst
}
