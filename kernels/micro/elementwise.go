package micro

import (
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

// Elementwise has a tier's functions for the work around the products. A loop defines
// each of them, and every tier agrees with it bit for bit:
//
//   - Each operation is rounded, in the order written; none are fused. Rounding to
//     fp16 is to nearest even. Subnormals are kept. A NaN may be any NaN.
//   - Slices with a common index have the same length, which may be 0, and need no
//     alignment. An output may be the same slice as an input, and overlaps nothing
//     else.
//   - Nothing outside the slices is read or written.
//   - As Go cannot preempt assembly, callers pass no more than [MostElements].
type Elementwise struct {
	Tier      string // the instruction set, as in [Kernel.Tier]
	Supported bool   // whether this machine can run it

	// Store ends a block of a product: it applies an epilogue to the sums in src, stores
	// the values in dst, and reports whether all of them are finite as stored. For every
	// element (i, j) of dst, which is not transposed,
	//
	//	x := src[i*stride+j]
	//	x = x * e.Scale
	//	if e.Bias != nil { x = x + e.Bias[j] }
	//	if e.ReLU && x <= 0 { x = +0 }
	//	dst(i, j) = x                     // rounded to fp16 if dst is that
	//	finite = finite && dst(i, j) is neither an infinity nor a NaN
	//
	// dst may be src itself, with the same stride.
	Store func(dst tensor.Matrix, src []float32, stride int, e Epilogue) (finite bool)

	// Finite reports whether x[i]·factor is finite for all i.
	Finite func(x []float32, factor float32) bool

	// RectifyF16 and RectifyF32 compute a rectifier, with its input as src and mask, or
	// its gradient, with its output as mask:
	//
	//	if mask[i] <= 0 { dst[i] = +0 } else { dst[i] = src[i] }
	//
	// A NaN in the mask keeps the element, as a positive value does.
	RectifyF16 func(dst, src, mask []fp16.Float16)
	RectifyF32 func(dst, src, mask []float32)

	// AddRows adds the rows of m, which is not transposed, in ascending order,
	// to sums, of length m.Cols:
	//
	//	for i := range m.Rows { for j := range m.Cols { sums[j] = sums[j] + m(i, j) } }
	AddRows func(sums []float32, m tensor.Matrix)

	// SGD takes a step of gradient descent with momentum. half is of fp16, or the zero Elements.
	//
	//	g := grad[i] * p.Unscale
	//	if p.Decay != 0 { g = g + p.Decay*w[i] }
	//	v[i] = p.Momentum*v[i] + g
	//	d := v[i]
	//	if p.Nesterov { d = g + p.Momentum*v[i] }
	//	w[i] = w[i] - p.Rate*d
	//	half[i] = w[i]
	SGD func(w, v, grad []float32, half tensor.Elements, p SGD)

	// Adam takes a step of Adam or AdamW. half is of fp16, or the zero Elements.
	//
	//	g, x := grad[i] * p.Unscale, w[i]
	//	if p.Decoupled { x = x * p.Keep } else if p.Decay != 0 { g = g + p.Decay*x }
	//	m[i] = p.Beta1*m[i] + p.Rest1*g
	//	v[i] = p.Beta2*v[i] + (p.Rest2*g)*g
	//	d := sqrt(v[i])/p.Correction + p.Epsilon
	//	w[i] = x - p.Rate*(m[i]/d)
	//	half[i] = w[i]
	Adam func(w, m, v, grad []float32, half tensor.Elements, p Adam)
}

// MostElements is the most elements of one call of an elementwise function, which takes
// some tens of microseconds at most.
const MostElements = 1 << 15

// Epilogue has the last operations on the sums of a product, see [Elementwise].
type Epilogue struct {
	Scale float32   // 1 for none
	Bias  []float32 // one value a column, or nil
	ReLU  bool
}

// SGD holds the numbers of a step of gradient descent, see [Elementwise].
type SGD struct {
	Unscale, Rate, Momentum, Decay float32
	Nesterov                       bool
}

// Adam holds the numbers of a step of Adam, see [Elementwise].
type Adam struct {
	Unscale, Rate, Decay, Keep float32
	Beta1, Rest1, Beta2, Rest2 float32
	Correction, Epsilon        float32
	Decoupled                  bool
}
