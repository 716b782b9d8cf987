package portable

import "math"

// The functions whose names end in 32 are the nonlinear functions of neural networks. They
// are made of float32 operations only: fused multiply-adds, additions, multiplications,
// divisions, selections and operations on bits, in one fixed order and without branches.
// So a vector unit computes the same bits, many elements at once, which package kernels
// relies on. Products that are added to something are written float32(x*y), so that the
// compiler does not fuse.
//
// The bounds are in units in the last place of the exact result (ulp), and are those of
// the subnormal numbers where the result is one. Tests measure them over all exponents.
// A NaN gives a NaN.

// The polynomial of eʳ for |r| ≤ ln 2/2 is 1 + r + r²·(exp2 + exp3·r + … + exp6·r⁴), with
// a relative error below 2⁻²⁸.
const (
	exp2 = 0x1.fffffcp-2
	exp3 = 0x1.555492p-3
	exp4 = 0x1.5558aep-5
	exp5 = 0x1.12398p-7
	exp6 = 0x1.6a4f28p-10
)

const (
	log2E = 0x1.715476p+0
	// ln 2 in two parts. A multiple of the first that is an exponent is exact in an FMA.
	ln2Hi32 = 0x1.62e43p-1
	ln2Lo32 = -0x1.05c61p-29
	// Adding this rounds a small number to an integer, which is then in the lowest bits.
	roundBits = 0x4b400000 // of 3·2²²
	rounder   = 3 << 22

	signBit = 1 << 31
)

// reduce returns k, as rounder + k, and r with x = k·ln 2 + r and |r| ≤ ln 2/2.
func reduce(x float32) (shifted, r float32) {
	shifted = FMA(x, log2E, rounder)
	k := shifted - rounder
	r = FMA(k, -ln2Hi32, x)
	return shifted, FMA(k, -ln2Lo32, r)
}

// expTail returns the polynomial exp2 + exp3·r + … + exp6·r⁴.
func expTail(r float32) float32 {
	p := FMA(exp6, r, exp5)
	p = FMA(p, r, exp4)
	p = FMA(p, r, exp3)
	return FMA(p, r, exp2)
}

// expSmall returns eʳ for |r| ≤ ln 2/2.
func expSmall(r float32) float32 { return FMA(FMA(expTail(r), r, 1), r, 1) }

// power returns two factors whose product is 2ᵏ, for k of reduce from −252 to 254. A result
// that is multiplied by one and then the other is rounded once, even if it is subnormal.
func power(shifted float32) (first, second float32) {
	u := math.Float32bits(shifted) - (roundBits - 254)
	half := u >> 1
	return math.Float32frombits(half << 23), math.Float32frombits((u - half) << 23)
}

// atLeast returns the larger of x and low, and atMost the smaller of x and high. They keep a NaN.
func atLeast(x, low float32) float32 {
	if x < low {
		return low
	}
	return x
}

func atMost(x, high float32) float32 {
	if x > high {
		return high
	}
	return x
}

// expNegative is Exp32 for x ≤ 0.
func expNegative(x float32) float32 {
	shifted, r := reduce(atLeast(x, -104))
	first, second := power(shifted)
	return float32(expSmall(r) * first * second)
}

// minusAbs returns −|x|.
func minusAbs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) | signBit) }

// bySign returns a if the sign bit of x is set, else b.
func bySign(x, a, b float32) float32 {
	if math.Float32bits(x)&signBit != 0 {
		return a
	}
	return b
}

// rectify returns 0 if x < 0, else x.
func rectify(x float32) float32 {
	if x < 0 {
		return 0
	}
	return x
}

// Exp32 returns eˣ within 1 ulp. Results above the largest float32 are +Inf, those below
// half the smallest subnormal are 0.
func Exp32(x float32) float32 { return expNegative(atMost(x, 89)) }

// Sigmoid32 returns 1/(1+e⁻ˣ) within 2.5 ulp. With z = e^−|x| it is 1/(1+z) or z/(1+z).
func Sigmoid32(x float32) float32 {
	z := expNegative(minusAbs(x))
	return bySign(x, z, 1) / (1 + z)
}

// Tanh32 returns tanh x within 2.7 ulp. With q = e^2|x| − 1, which keeps its relative
// precision near 0, it is ±q/(q+2). Tanh32(−0) is −0.
func Tanh32(x float32) float32 {
	a := atMost(math.Float32frombits(math.Float32bits(x)&^signBit), 10) // tanh 10 rounds to 1
	shifted, r := reduce(2 * a)
	// e^2a − 1 = 2ᵏ·(eʳ − 1) + (2ᵏ − 1)
	m := FMA(r*r, expTail(r), r)
	power := math.Float32frombits(math.Float32bits(shifted)<<23 + 0x3f800000)
	q := FMA(power, m, power-1)
	y := q / (q + 2)
	return math.Float32frombits(math.Float32bits(y) | math.Float32bits(x)&signBit)
}

// Erf32 returns the error function of x within 1.5 ulp. Below 0.9 it is an odd polynomial,
// above it 1 − e^−p with a polynomial p. Erf32(−0) is −0.
func Erf32(x float32) float32 {
	a := math.Float32frombits(math.Float32bits(x) &^ signBit)
	var y float32
	if a < 0.9 {
		s := a * a
		p := FMA(-0x1.3d5ffap-11, s, 0x1.47f6fep-8)
		p = FMA(p, s, -0x1.b6a7c6p-6)
		p = FMA(p, s, 0x1.ce1c1ep-4)
		p = FMA(p, s, -0x1.8126eep-2)
		p = FMA(p, s, 0x1.06eba6p-3)
		y = FMA(a, p, a)
	} else {
		a = atMost(a, 4) // erf 4 rounds to 1
		p := FMA(-0x1.9fb25p-13, a, 0x1.91cc8ep-9)
		p = FMA(p, a, -0x1.6d9ca4p-6)
		p = FMA(p, a, 0x1.aa730ap-4)
		p = FMA(p, a, 0x1.4621bcp-1)
		p = FMA(p, a, 0x1.20b752p+0)
		p = FMA(p, a, 0x1.5d0c4ep-13)
		y = 1 - expNegative(-p)
	}
	return math.Float32frombits(math.Float32bits(y) | math.Float32bits(x)&signBit)
}

// The functions f below are x·s(x) with s(x) + s(−x) = 1. So f(x) = max(x, 0) − |x|·s(−|x|),
// which keeps its relative precision for negative x. The slopes add up to 1 as well:
// f′(x) = 1 − f′(−x).

// SiLU32 returns x·sigmoid(x) within 3.5 ulp where x > −87; below, e^x is subnormal, and the
// error is below 2⁻¹⁴¹. SiLU32(−Inf) is 0.
func SiLU32(x float32) float32 {
	m := atLeast(minusAbs(x), -104)
	z := expNegative(m)
	return FMA(m, z/(1+z), rectify(x))
}

// SiLUSlope32 returns the derivative of x·sigmoid(x), with an error below 2⁻²².
func SiLUSlope32(x float32) float32 {
	m := atLeast(minusAbs(x), -104)
	z := expNegative(m)
	rest := 1 / (1 + z) // 1 − s
	slope := float32((z * rest) * FMA(m, rest, 1))
	return bySign(x, slope, 1-slope)
}

// The approximation of GELU by tanh is x·sigmoid(x·(linear + cubic·x²)), with linear =
// 2·√(2/π) and cubic = 0.044715·linear.
const (
	geluLinear     = 0x1.988454p+0
	geluCubic      = 0x1.2444f2p-4
	geluCubicThree = 0x1.b6676cp-3 // 3·cubic
)

// GELUTanh32 returns ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), the approximation of GELU by
// tanh, within 40 ulp for x > −5 and within 4 ulp for x > −0.5. The absolute error is below
// 2⁻²³·max(1, |x|) everywhere. GELUTanh32(−Inf) is 0.
func GELUTanh32(x float32) float32 {
	m := atLeast(minusAbs(x), -12) // the result is 0 below −12
	w := m * m
	z := expUnbounded(m * FMA(w, geluCubic, geluLinear))
	return FMA(m, z/(1+z), rectify(x))
}

// GELUTanhSlope32 returns the derivative of [GELUTanh32]'s function, with an error below 2⁻²².
func GELUTanhSlope32(x float32) float32 {
	m := atLeast(minusAbs(x), -12)
	w := m * m
	z := expUnbounded(m * FMA(w, geluCubic, geluLinear))
	rest := 1 / (1 + z)
	inner := m * FMA(w, geluCubicThree, geluLinear)
	slope := float32((z * rest) * FMA(inner, rest, 1))
	return bySign(x, slope, 1-slope)
}

// expUnbounded is Exp32 for −160 ≤ x ≤ 0.
func expUnbounded(x float32) float32 {
	shifted, r := reduce(x)
	first, second := power(shifted)
	return float32(expSmall(r) * first * second)
}

// gauss returns what GELU and its slope need for m from −14.6 to 0: e^−m²/2 as a number near
// 1 and the factors of [power], and the ratio Φ(m)/e^−m²/2, where Φ is the normal distribution.
//
// m² is taken in two parts, so that the exponential keeps its relative precision. The ratio
// is a polynomial in m/(3−m), over 3−m, with a relative error below 2⁻²⁵.
func gauss(m float32) (p, first, second, ratio float32) {
	s := m * m
	rest := FMA(m, m, -s)
	shifted, r := reduce(-0.5 * s)
	r = FMA(rest, -0.5, r)
	first, second = power(shifted)

	v := 1 / (3 - m)
	u := m * v
	q := FMA(-0x1.a2c1cp-6, u, -0x1.5709ap-3)
	q = FMA(q, u, -0x1.46cb1ep-2)
	q = FMA(q, u, -0x1.2e6f0ap-3)
	q = FMA(q, u, 0x1.41a7c2p-5)
	q = FMA(q, u, -0x1.1e38ep-2)
	q = FMA(q, u, -0x1.ada02ap-3)
	q = FMA(q, u, 0x1.11a0bcp+0)
	q = FMA(q, u, 0x1.0b94bap+1)
	q = FMA(q, u, 1.5)
	return expSmall(r), first, second, q * v
}

// GELU32 returns x·Φ(x) = ½·x·(1 + erf(x/√2)) within 6 ulp, also far below 0, where the
// formula with erf has no correct digit. GELU32(−Inf) is 0.
func GELU32(x float32) float32 {
	m := atLeast(minusAbs(x), -14.6) // the result is 0 below −14.6
	p, first, second, ratio := gauss(m)
	return FMA(p*ratio*m*first, second, rectify(x))
}

// GELUSlope32 returns Φ(x) + x·Φ′(x), the derivative of [GELU32]'s function, with an error
// below 2⁻²².
func GELUSlope32(x float32) float32 {
	const density = 0x1.988454p-2 // 1/√(2π)
	m := atLeast(minusAbs(x), -14.6)
	p, first, second, ratio := gauss(m)
	slope := float32(p * FMA(m, density, ratio) * first * second)
	return bySign(x, slope, 1-slope)
}
