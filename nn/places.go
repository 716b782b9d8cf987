package nn

import (
	"fmt"

	"github.com/halfgrad/halfgrad/tensor"
)

// mostAxes is the most axes of a sample that operations walk along.
const mostAxes = 16

// checkAxes returns an error if s has more axes than that.
func checkAxes(s Shape) error {
	if len(s) > mostAxes {
		return fmt.Errorf("an input of %v: want at most %d axes", s, mostAxes)
	}
	return nil
}

// places are where the elements of a tensor lie in memory: the index along each axis, times
// a stride. They are in row-major order.
type places struct {
	axes          int
	dims, strides [1 + mostAxes]int // with room for the batch
}

// add adds an axis, within those before. It becomes one with the last where it can.
func (p *places) add(dim, stride int) {
	last := p.axes - 1
	switch {
	case dim == 1:
		return
	case last >= 0 && p.strides[last] == dim*stride:
		p.dims[last] *= dim
		p.strides[last] = stride
		return
	}
	p.dims[p.axes], p.strides[p.axes] = dim, stride
	p.axes++
}

// len returns the number of places.
func (p *places) len() int { return Shape(p.dims[:p.axes]).Len() }

// at returns place i.
func (p *places) at(i int) (place int) {
	for a := p.axes - 1; a >= 0; a-- {
		place += i % p.dims[a] * p.strides[a]
		i /= p.dims[a]
	}
	return place
}

// gather sets dst to the elements of src at the places.
func (p *places) gather(dst, src tensor.Elements) {
	dims, strides := p.dims[:p.axes], p.strides[:p.axes]
	switch dst.DType() {
	case tensor.F16:
		gather(dst.F16(), src.F16(), dims, strides)
	case tensor.BF16:
		gather(dst.BF16(), src.BF16(), dims, strides)
	case tensor.F32:
		gather(dst.F32(), src.F32(), dims, strides)
	case tensor.I32:
		gather(dst.I32(), src.I32(), dims, strides)
	}
}

func gather[E tensor.Element](dst, src []E, dims, strides []int) {
	switch last := len(dims) - 1; {
	case last < 0:
		dst[0] = src[0]
	case last > 0:
		each := len(dst) / dims[0]
		for i := range dims[0] {
			gather(dst[i*each:(i+1)*each], src[i*strides[0]:], dims[1:], strides[1:])
		}
	case strides[0] == 1:
		copy(dst, src)
	default:
		for i, from := 0, 0; i < len(dst); i, from = i+1, from+strides[0] {
			dst[i] = src[from]
		}
	}
}
