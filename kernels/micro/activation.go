package micro

import "fmt"

// Activation is a function that is applied to every element of a tensor.
type Activation uint8

// The activations. Package portable has each of them for one value, with the bound of its
// error.
const (
	Exp      Activation = iota // eˣ
	Sigmoid                    // 1/(1+e⁻ˣ)
	Tanh                       // tanh x
	SiLU                       // x·sigmoid(x), also called swish
	GELU                       // x·Φ(x) = ½·x·(1 + erf(x/√2))
	GELUTanh                   // ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))

	Activations // their number
)

// String returns a name such as "gelu".
func (a Activation) String() string {
	names := [Activations]string{"exp", "sigmoid", "tanh", "silu", "gelu", "gelu-tanh"}
	if a < Activations {
		return names[a]
	}
	return fmt.Sprintf("Activation(%d)", uint8(a))
}

// FromOutput reports whether the gradient is computed from the output y of the activation,
// which is so for exp, sigmoid and tanh, and not from its input x.
func (a Activation) FromOutput() bool { return a <= Tanh }

// Lanes is the number of partial sums of [Vector.ExpSum] and [Vector.Dot], and the number
// of elements that the functions of [Vector] take multiples of.
const Lanes = 16

// VectorCall has the arguments of a function of [Vector]. Functions use some of them. Those
// that are slices have the same length.
type VectorCall struct {
	Dst, X, Y []float32
	Factor    float32
	Lanes     [Lanes]float32
}

// HalvesCall has the arguments of a function that looks at elements of 16 bits.
type HalvesCall struct {
	X     []uint16      // the bits of the elements
	Flags [Lanes]uint32 // the result
}

// Vector has a tier's activations and other functions of float32 values. A loop defines
// each of them, and every tier agrees with it bit for bit:
//
//   - Slices have a multiple of [Lanes] elements, at most [MostElements] and at least
//     Lanes. Callers complete what is shorter. The elements of Lanes are read and written.
//   - The rules of [Elementwise] hold, but for fma, which rounds once.
//   - A field that is nil stands for the definition, in package generic.
type Vector struct {
	Tier      string // the instruction set, as in [Kernel.Tier]
	Supported bool   // whether this machine can run it

	// Forward computes the activation by a function of package portable:
	//
	//	Dst[i] = portable.GELU32(X[i]) // for example
	Forward [Activations]func(*VectorCall)

	// Backward computes the gradient by the input, Dst, from that by the output, X. Y has
	// the outputs of exp, sigmoid and tanh, and the inputs of the others.
	//
	//	Dst[i] = X[i] * Y[i]                         // Exp
	//	Dst[i] = X[i] * (Y[i] * (1 - Y[i]))          // Sigmoid
	//	Dst[i] = X[i] * fma(-Y[i], Y[i], 1)          // Tanh
	//	Dst[i] = X[i] * portable.SiLUSlope32(Y[i])   // and so on for GELU and GELUTanh
	Backward [Activations]func(*VectorCall)

	// Max takes the largest values of the lanes. A NaN is never larger.
	//
	//	if X[i] > Lanes[i%16] { Lanes[i%16] = X[i] }
	Max func(*VectorCall)

	// ExpSum is the exponential of softmax, with its sums. X[i] is at most Factor.
	//
	//	Dst[i] = portable.Exp32(X[i] - Factor)
	//	Lanes[i%16] = Lanes[i%16] + Dst[i]
	ExpSum func(*VectorCall)

	// Dot is the inner product of softmax's gradient.
	//
	//	Lanes[i%16] = fma(X[i], Y[i], Lanes[i%16])
	Dot func(*VectorCall)

	// Centre is softmax's gradient.
	//
	//	Dst[i] = Y[i] * (X[i] - Factor)
	Centre func(*VectorCall)

	Add      func(*VectorCall) // Dst[i] = X[i] + Y[i]
	Multiply func(*VectorCall) // Dst[i] = X[i] * Y[i]
	Scale    func(*VectorCall) // Dst[i] = X[i] * Factor

	// FlagsF16 and FlagsBF16 set the upper bit of a half of a flag for an infinity or a
	// NaN: the exponent, all ones, carries. X has a multiple of 2·Lanes elements.
	//
	//	Flags[i/2%16] |= (X[i]&0x7c00 + 0x0400) << (i % 2 * 16) // fp16
	//	Flags[i/2%16] |= (X[i]&0x7f80 + 0x0080) << (i % 2 * 16) // bf16
	FlagsF16, FlagsBF16 func(*HalvesCall)
}

// Sum returns the sum of the lanes: a tree, in which lane i is added to lane i + 8, then
// i to i + 4, i to i + 2 and i to i + 1.
func (c *VectorCall) Sum() float32 {
	s := c.Lanes
	for n := Lanes / 2; n > 0; n /= 2 {
		for i := range n {
			s[i] += s[i+n]
		}
	}
	return s[0]
}
