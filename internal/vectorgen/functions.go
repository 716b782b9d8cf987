package main

// The functions follow those of package portable, operation by operation, which a test of
// the tiers holds them to.

const (
	signBit   = 1 << 31
	roundBits = 0x4b400000
)

// reduce is portable's: x = k·ln 2 + r.
func (l *list) reduce(x *value) (shifted, r *value) {
	shifted = l.fma(x, l.f(0x1.715476p+0), l.bits(roundBits))
	k := l.sub(shifted, l.bits(roundBits))
	r = l.do(fnma, k, l.f(0x1.62e43p-1), x)
	return shifted, l.do(fnma, k, l.f(-0x1.05c61p-29), r)
}

// horner returns the value of a polynomial, the highest coefficient first.
func (l *list) horner(x *value, coefficients ...float64) *value {
	p := l.f(coefficients[0])
	for _, c := range coefficients[1:] {
		p = l.fma(p, x, l.f(c))
	}
	return p
}

func (l *list) expTail(r *value) *value {
	return l.horner(r, 0x1.6a4f28p-10, 0x1.12398p-7, 0x1.5558aep-5, 0x1.555492p-3, 0x1.fffffcp-2)
}

func (l *list) expSmall(r *value) *value {
	return l.fma(l.fma(l.expTail(r), r, l.f(1)), r, l.f(1))
}

func (l *list) power(shifted *value) (first, second *value) {
	u := l.do(subInt, shifted, l.bits(roundBits-254))
	half := l.shift(shr, u, 1)
	first = l.shift(shl, half, 23)
	return first, l.shift(shl, l.do(subInt, u, half), 23)
}

func (l *list) exp(x *value) *value {
	shifted, r := l.reduce(x)
	p := l.expSmall(r)
	first, second := l.power(shifted)
	return l.mul(l.mul(p, first), second)
}

func (l *list) minusAbs(x *value) *value { return l.do(or, x, l.bits(signBit)) }
func (l *list) abs(x *value) *value      { return l.do(and, x, l.bits(signBit-1)) }

func (l *list) atLeast(x *value, low float64) *value { return l.do(atLeast, x, l.f(low)) }
func (l *list) atMost(x *value, high float64) *value { return l.do(atMost, x, l.f(high)) }

// slope stores X times the slope, which is one less that of the other sign.
func (l *list) slope(x, slope *value) {
	other := l.sub(l.f(1), slope)
	l.store(l.mul(l.do(bySign, x, slope, other), l.load("X")))
}

func (l *list) store(v *value) { l.do(store, v) }

func (l *list) geluTanh(m *value) (w, z *value) {
	w = l.mul(m, m)
	return w, l.exp(l.mul(m, l.fma(w, l.f(0x1.2444f2p-4), l.f(0x1.988454p+0))))
}

// gauss is portable's.
func (l *list) gauss(m *value) (p, first, second, ratio *value) {
	v := l.div(l.f(1), l.sub(l.f(3), m))
	u := l.mul(m, v)
	q := l.horner(u, -0x1.a2c1cp-6, -0x1.5709ap-3, -0x1.46cb1ep-2, -0x1.2e6f0ap-3, 0x1.41a7c2p-5,
		-0x1.1e38ep-2, -0x1.ada02ap-3, 0x1.11a0bcp+0, 0x1.0b94bap+1, 1.5)
	ratio = l.mul(q, v)
	s := l.mul(m, m)
	minus := l.do(fnma, m, m, s) // s − m², the rest with the other sign
	shifted, r := l.reduce(l.mul(s, l.f(-0.5)))
	r = l.fma(minus, l.f(0.5), r)
	p = l.expSmall(r)
	first, second = l.power(shifted)
	return p, first, second, ratio
}

// functions returns all functions.
func functions() []*list {
	var all []*list
	define := func(name, comment string, body func(l *list)) {
		l := &list{name: name, comment: comment, call: "vectorCall", constants: map[uint32]*value{}}
		body(l)
		for _, v := range l.values {
			switch v.kind {
			case laneAdd, laneFMA, laneMax:
				l.lanes = "Lanes"
			case laneFlag:
				l.lanes, l.call = "Flags", "halvesCall"
			}
		}
		l.liveness()
		all = append(all, l)
	}
	define("exp", "Dst = portable.Exp32(X)", func(l *list) {
		l.store(l.exp(l.atLeast(l.atMost(l.load("X"), 89), -104)))
	})
	define("sigmoid", "Dst = portable.Sigmoid32(X)", func(l *list) {
		x := l.load("X")
		z := l.exp(l.atLeast(l.minusAbs(x), -104))
		l.store(l.div(l.do(bySign, x, z, l.f(1)), l.add(z, l.f(1))))
	})
	define("tanh", "Dst = portable.Tanh32(X)", func(l *list) {
		x := l.load("X")
		a := l.atMost(l.abs(x), 10)
		shifted, r := l.reduce(l.add(a, a))
		t := l.expTail(r)
		m := l.fma(l.mul(r, r), t, r)
		power := l.do(addInt, l.shift(shl, shifted, 23), l.f(1))
		q := l.fma(power, m, l.sub(power, l.f(1)))
		y := l.div(q, l.add(q, l.f(2)))
		l.store(l.do(or, y, l.do(and, x, l.bits(signBit))))
	})
	define("silu", "Dst = portable.SiLU32(X)", func(l *list) {
		x := l.load("X")
		m := l.atLeast(l.minusAbs(x), -104)
		z := l.exp(m)
		l.store(l.fma(m, l.div(z, l.add(z, l.f(1))), l.do(rectify, x)))
	})
	define("gelu", "Dst = portable.GELU32(X)", func(l *list) {
		x := l.load("X")
		m := l.atLeast(l.minusAbs(x), -14.6)
		p, first, second, ratio := l.gauss(m)
		l.store(l.fma(l.mul(l.mul(l.mul(p, ratio), m), first), second, l.do(rectify, x)))
	})
	define("geluTanh", "Dst = portable.GELUTanh32(X)", func(l *list) {
		x := l.load("X")
		m := l.atLeast(l.minusAbs(x), -12)
		_, z := l.geluTanh(m)
		l.store(l.fma(m, l.div(z, l.add(z, l.f(1))), l.do(rectify, x)))
	})
	define("sigmoidBackward", "Dst = X * (Y * (1 - Y))", func(l *list) {
		y := l.load("Y")
		l.store(l.mul(l.mul(y, l.sub(l.f(1), y)), l.load("X")))
	})
	define("tanhBackward", "Dst = X * fma(-Y, Y, 1)", func(l *list) {
		y := l.load("Y")
		l.store(l.mul(l.do(fnma, y, y, l.f(1)), l.load("X")))
	})
	define("siluBackward", "Dst = X * portable.SiLUSlope32(Y)", func(l *list) {
		x := l.load("Y")
		m := l.atLeast(l.minusAbs(x), -104)
		z := l.exp(m)
		rest := l.div(l.f(1), l.add(z, l.f(1)))
		l.slope(x, l.mul(l.mul(z, rest), l.fma(m, rest, l.f(1))))
	})
	define("geluBackward", "Dst = X * portable.GELUSlope32(Y)", func(l *list) {
		x := l.load("Y")
		m := l.atLeast(l.minusAbs(x), -14.6)
		p, first, second, ratio := l.gauss(m)
		w := l.fma(m, l.f(0x1.988454p-2), ratio)
		l.slope(x, l.mul(l.mul(l.mul(p, w), first), second))
	})
	define("geluTanhBackward", "Dst = X * portable.GELUTanhSlope32(Y)", func(l *list) {
		x := l.load("Y")
		m := l.atLeast(l.minusAbs(x), -12)
		w, z := l.geluTanh(m)
		rest := l.div(l.f(1), l.add(z, l.f(1)))
		inner := l.mul(m, l.fma(w, l.f(0x1.b6676cp-3), l.f(0x1.988454p+0)))
		l.slope(x, l.mul(l.mul(z, rest), l.fma(inner, rest, l.f(1))))
	})
	define("largest", "if X > Lanes { Lanes = X }", func(l *list) { l.do(laneMax, l.load("X")) })
	define("expSum", "Dst = portable.Exp32(X - Factor), which is added to Lanes", func(l *list) {
		y := l.exp(l.atLeast(l.atMost(l.sub(l.load("X"), &value{kind: factor}), 89), -104))
		l.store(y)
		l.do(laneAdd, y)
	})
	define("dot", "Lanes = fma(X, Y, Lanes)", func(l *list) { l.do(laneFMA, l.load("X"), l.load("Y")) })
	define("centre", "Dst = Y * (X - Factor)", func(l *list) {
		l.store(l.mul(l.sub(l.load("X"), &value{kind: factor}), l.load("Y")))
	})
	define("add", "Dst = X + Y", func(l *list) { l.store(l.add(l.load("X"), l.load("Y"))) })
	define("multiply", "Dst = X * Y", func(l *list) { l.store(l.mul(l.load("X"), l.load("Y"))) })
	define("scale", "Dst = X * Factor", func(l *list) { l.store(l.mul(l.load("X"), &value{kind: factor})) })
	flags := func(exponent, unit uint32) func(l *list) {
		return func(l *list) {
			x := l.do(and, l.load("X"), l.bits(exponent<<16|exponent))
			l.do(laneFlag, l.do(addInt, x, l.bits(unit<<16|unit)))
		}
	}
	define("flagsF16", "Flags |= X&0x7c00 + 0x0400, in both halves", flags(0x7c00, 0x0400))
	define("flagsBF16", "Flags |= X&0x7f80 + 0x0080, in both halves", flags(0x7f80, 0x0080))
	return all
}
