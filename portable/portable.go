// Package portable has functions that give the same bits on every machine: a correctly
// rounded fused multiply-add, exp and log, the activations of networks, and a cosine in
// float64 for learning rates.
//
// It does not replace package math, whose results may differ between architectures: some
// have assembly routines, and the compiler fuses operations for some. Everything here is
// built from IEEE 754 additions, multiplications and divisions, each rounded on its own: in
// float32 where a name ends in 32, and else in float64. Every product is written float64(x*y), which the Go specification (section
// "Floating-point operators") defines to prevent fusion.
package portable

import "math"

// FMA returns x·y + z rounded once, to nearest even, as the fused multiply-add
// instructions of AVX2, AVX-512 and NEON do.
//
// The product of two float32 is exact in float64 (24+24 ≤ 53 bits), but the sum need not
// be. Rounding it to float64 and then to float32 goes wrong if the first rounding lands on
// a tie of the second. The sum is therefore rounded to odd: Knuth's two-sum gives its
// exact error, and unless that is zero the last bit is made odd, which keeps every inexact
// sum off the ties (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums",
// IEEE Trans. Computers 57(4), 2008). This takes two spare bits, which float64 has.
func FMA(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	a := float64(z)
	s := p + a
	// Two-sum: s + e = p + a exactly, where s is finite.
	b := s - p
	e := (p - (s - b)) + (a - b)
	if e != 0 && e == e {
		if bits := math.Float64bits(s); bits&1 == 0 {
			// Step to the odd neighbour on the side of the error.
			if (e > 0) == (s > 0) {
				bits++
			} else {
				bits--
			}
			s = math.Float64frombits(bits)
		}
	}
	return float32(s)
}

// ln 2 in two parts. The first has 32 significant bits, so that its product with any
// exponent of a float32 is exact.
const (
	ln2Hi = 0x1.62e42fefp-1
	ln2Lo = 0x1.473de6af278edp-34
)

// Exp returns eˣ, within 0.501 units in the last place of float32 for results
// in the normal range. Results above the largest float32 are +Inf, those below
// half the smallest subnormal are 0, and Exp(NaN) is NaN.
func Exp(x float32) float32 {
	switch {
	case x != x:
		return x
	case x > 89:
		return float32(math.Inf(1))
	case x < -104:
		return 0
	}
	// x = k·ln 2 + r with |r| ≤ ln 2/2, so eˣ = 2ᵏ·eʳ.
	v := float64(x)
	k := math.Floor(float64(v*(1/math.Ln2)) + 0.5)
	r := v - float64(k*ln2Hi) - float64(k*ln2Lo)
	// The Taylor polynomial of degree 11: the next term is r¹²/12! < 7e-15.
	p := float64(1.0/39916800*r) + 1.0/3628800
	p = float64(p*r) + 1.0/362880
	p = float64(p*r) + 1.0/40320
	p = float64(p*r) + 1.0/5040
	p = float64(p*r) + 1.0/720
	p = float64(p*r) + 1.0/120
	p = float64(p*r) + 1.0/24
	p = float64(p*r) + 1.0/6
	p = float64(p*r) + 1.0/2
	p = float64(p*r) + 1
	p = float64(p*r) + 1
	// −150 ≤ k ≤ 129: 2ᵏ is a normal float64, and the product is exact.
	return float32(float64(p * math.Float64frombits(uint64(1023+int64(k))<<52)))
}

// Log returns the natural logarithm of x, within 0.501 units in the last place
// of float32. Log(0) is −Inf, the logarithm of a negative value or of NaN is
// NaN, and Log(+Inf) is +Inf.
func Log(x float32) float32 {
	switch {
	case x != x || x < 0:
		return float32(math.NaN())
	case x == 0:
		return float32(math.Inf(-1))
	case x > math.MaxFloat32:
		return x
	}
	// x = 2ᵏ·m with √½ ≤ m < √2; every float32 is a normal float64.
	bits := math.Float64bits(float64(x))
	k := int64(bits>>52) - 1023
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	if m > math.Sqrt2 {
		m /= 2
		k++
	}
	// ln m = 2·artanh(s) = 2·(s + s³/3 + s⁵/5 + …), s = (m−1)/(m+1), |s| ≤ 0.1716.
	// Up to s²¹: the remainder is below 2·s²³/(23·(1−s²)) < 3e-19.
	s := (m - 1) / (m + 1)
	s2 := s * s
	p := float64(1.0/21*s2) + 1.0/19
	p = float64(p*s2) + 1.0/17
	p = float64(p*s2) + 1.0/15
	p = float64(p*s2) + 1.0/13
	p = float64(p*s2) + 1.0/11
	p = float64(p*s2) + 1.0/9
	p = float64(p*s2) + 1.0/7
	p = float64(p*s2) + 1.0/5
	p = float64(p*s2) + 1.0/3
	p = float64(p*s2) + 1
	lnm := float64(2*s) * p
	e := float64(k)
	return float32(float64(e*ln2Hi) + (float64(e*ln2Lo) + float64(lnm)))
}

// CosPi returns cos(π·x) for x in [0, 1], within 1e-15. It uses Taylor's series about 0,
// for arguments up to ¼, after the exact reductions 1−x and ½−x.
func CosPi(x float64) float64 {
	if x > 0.5 {
		return -CosPi(1 - x)
	}
	sine := x > 0.25
	if sine {
		x = 0.5 - x // cos(π·x) = sin(π·(½−x))
	}
	t := float64(x * math.Pi)
	t2 := float64(t * t)
	if sine { // up to t¹⁷: the remainder is below (π/4)¹⁹/19! < 1e-19
		p := 1.0
		for _, n := range [...]float64{16 * 17, 14 * 15, 12 * 13, 10 * 11, 8 * 9, 6 * 7, 4 * 5, 2 * 3} {
			p = 1 - float64(t2*p)/n
		}
		return float64(t * p)
	}
	p := 1.0 // up to t¹⁸: the remainder is below (π/4)²⁰/20! < 1e-20
	for _, n := range [...]float64{17 * 18, 15 * 16, 13 * 14, 11 * 12, 9 * 10, 7 * 8, 5 * 6, 3 * 4, 1 * 2} {
		p = 1 - float64(t2*p)/n
	}
	return p
}
