package generic

import (
	"math"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Elementwise has the loops of micro.Elementwise. Conversions of products, as in
// float32(x*y) + z, keep the compiler from fusing.
var Elementwise = []micro.Elementwise{{
	Tier: Tier, Supported: true,
	Store: store, Finite: finite, RectifyF16: rectifyF16, RectifyF32: rectifyF32,
	AddRows: addRows, SGD: sgd, Adam: adam,
}}

const exponentF32 = 0x7f800000

func store(dst tensor.Matrix, src []float32, stride int, e micro.Epilogue) bool {
	finite := true
	var f16 []fp16.Float16
	var f32 []float32
	half := dst.DType() == tensor.F16
	if half {
		f16 = dst.Elements.F16()
	} else {
		f32 = dst.Elements.F32()
	}
	for i := range dst.Rows {
		row := src[i*stride : i*stride+dst.Cols]
		for j, x := range row {
			x = float32(x * e.Scale)
			if e.Bias != nil {
				x += e.Bias[j]
			}
			if e.ReLU && x <= 0 {
				x = 0
			}
			if at := i*dst.Stride + j; half {
				h := fp16.FromFloat32(x)
				f16[at] = h
				finite = finite && fp16.IsFinite(h)
			} else {
				f32[at] = x
				finite = finite && math.Float32bits(x)&exponentF32 != exponentF32
			}
		}
	}
	return finite
}

func finite(x []float32, factor float32) bool {
	for _, v := range x {
		if math.Float32bits(v*factor)&exponentF32 == exponentF32 {
			return false
		}
	}
	return true
}

func rectifyF16(dst, src, mask []fp16.Float16) {
	const signBit, infinity = 0x8000, 0x7c00
	for i, m := range mask {
		keep := m&^signBit > infinity || m&signBit == 0 && m != 0
		h := fp16.Float16(0)
		if keep {
			h = src[i]
		}
		dst[i] = h
	}
}

func rectifyF32(dst, src, mask []float32) {
	for i, m := range mask {
		if m <= 0 {
			dst[i] = 0
		} else {
			dst[i] = src[i]
		}
	}
}

func addRows(sums []float32, m tensor.Matrix) {
	for i := range m.Rows {
		at := i * m.Stride
		if m.DType() == tensor.F16 {
			for j, h := range m.Elements.F16()[at : at+m.Cols] {
				sums[j] += h.Float32()
			}
		} else {
			for j, x := range m.Elements.F32()[at : at+m.Cols] {
				sums[j] += x
			}
		}
	}
}

func sgd(w, v, grad []float32, half tensor.Elements, p micro.SGD) {
	for i, g := range grad {
		g = float32(g * p.Unscale)
		if p.Decay != 0 {
			g += float32(p.Decay * w[i])
		}
		v[i] = float32(p.Momentum*v[i]) + g
		d := v[i]
		if p.Nesterov {
			d = g + float32(p.Momentum*d)
		}
		w[i] -= float32(p.Rate * d)
	}
	if half.DType() != 0 {
		half.Store(w)
	}
}

func adam(w, m, v, grad []float32, half tensor.Elements, p micro.Adam) {
	for i, g := range grad {
		g, x := float32(g*p.Unscale), w[i]
		if p.Decoupled {
			x = float32(x * p.Keep)
		} else if p.Decay != 0 {
			g += float32(p.Decay * x)
		}
		m[i] = float32(p.Beta1*m[i]) + float32(p.Rest1*g)
		v[i] = float32(p.Beta2*v[i]) + float32(float32(p.Rest2*g)*g)
		// A square root in float64, rounded to float32, is correctly rounded.
		d := float32(math.Sqrt(float64(v[i])))/p.Correction + p.Epsilon
		w[i] = x - float32(p.Rate*float32(m[i]/d))
	}
	if half.DType() != 0 {
		half.Store(w)
	}
}
