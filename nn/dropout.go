package nn

import (
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/tensor"
)

// Dropout adds an operation that, in training, sets each value to zero with probability
// rate and divides the others by the probability of being kept, so that inference needs
// no correction (Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
// Overfitting", JMLR 15, 2014; "inverted" dropout). The rate is rounded to a multiple of
// 1/65536. It is an error unless that is in [0, 1).
//
// A value is dropped by multiplying it by zero, so an infinity becomes a NaN and shows.
//
// The choice is a function of the operation's seed, the epoch, the number of the sample in
// the epoch and the place in the sample, so no split of a batch shows. The seed is one
// number from the graph's random numbers.
func Dropout(x *Value, rate float64, opts ...Option) *Value {
	g := x.graph
	g.check()
	if x.bad {
		return x
	}
	name := g.name("Dropout", collect(opts))
	drop := math.Round(rate * (1 << 16))
	if !(rate >= 0 && drop < 1<<16) {
		return g.fail(g.path(name), "a dropout rate of %v: want one from 0 to less than 1", rate)
	}
	d := &dropout{rate: rate, drop: uint64(drop), scale: [2]float32{0, float32(1 / (1 - drop/(1<<16)))}}
	if g.rng != nil {
		d.seed = g.rng.Uint64()
	}
	return g.apply(name, d, []*Value{x})
}

type dropout struct {
	rate  float64
	drop  uint64     // a value is dropped if its 16 bits are less
	scale [2]float32 // the factor of a value that is dropped, and of one that is kept
	seed  uint64
}

// String returns, for example, "Dropout 0.5".
func (d *dropout) String() string { return fmt.Sprintf("Dropout %g", d.rate) }

func (d *dropout) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	return Form{Out: in[0], InPlace: true, Scratch: dropoutAtOnce}, nil
}

func (d *dropout) Forward(c *Call) {
	if !c.Training || d.drop == 0 {
		if c.Out.Elements() != c.In[0].Elements() {
			tensor.Copy(c.Out.Elements(), c.In[0].Elements())
		}
		c.OutFinite = c.InFinite[0]
		return
	}
	d.mask(c, c.Out, c.In[0])
}

// Backward draws the numbers of Forward again: nothing is saved.
func (d *dropout) Backward(c *Call) { d.mask(c, c.DIn[0], c.DOut) }

// dropoutAtOnce is the number of values that are scaled at a time, a multiple of four.
const dropoutAtOnce = 1024

// mask sets dst to the scaled values of src that are kept, and to zero elsewhere.
func (d *dropout) mask(c *Call, dst, src *tensor.Tensor) {
	width := src.Len() / c.Rows
	from, to := src.Elements(), dst.Elements()
	for r := range c.Rows {
		key := d.key(c.Position.Epoch, c.Position.First+r)
		for at := 0; at < width; at += dropoutAtOnce {
			row := c.Scratch[:min(dropoutAtOnce, width-at)]
			i := r*width + at
			from.Slice(i, i+len(row)).Load(row)
			d.scaleRow(row, key+uint64(at/4)*golden)
			to.Slice(i, i+len(row)).Store(row)
		}
	}
}

// scaleRow multiplies values by zero or by the factor of those that are kept. Each number of
// 64 bits decides about four values, the lowest 16 bits about the first.
func (d *dropout) scaleRow(row []float32, state uint64) {
	for i := 0; i < len(row); i += 4 {
		state += golden
		bits := mix(state)
		for j := range row[i:min(i+4, len(row))] {
			// The difference is negative, with its top bit set, if the value is dropped.
			row[i+j] *= d.scale[1-(bits&0xffff-d.drop)>>63]
			bits >>= 16
		}
	}
}

// key returns where the numbers of a sample begin.
func (d *dropout) key(epoch, sample int) uint64 {
	return mix(mix(d.seed+uint64(epoch)*golden) + uint64(sample)*golden)
}

// golden is the increment of SplitMix64, 2⁶⁴ divided by the golden ratio.
const golden = 0x9e3779b97f4a7c15

// mix is the output function of SplitMix64 (Steele, Lea and Flood, "Fast Splittable
// Pseudorandom Number Generators", OOPSLA 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// ONNX passes the value through: dropout is for training.
func (d *dropout) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	return in[0].Name, nil
}
