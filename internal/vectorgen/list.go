package main

import "math"

// kind is an operation on the lanes of vectors.
type kind int

const (
	constant kind = iota // bits, in all lanes
	factor               // the call's Factor, in all lanes
	load                 // elements of X or Y
	store                // a to Dst

	add      // a + b
	sub      // a − b
	mul      // a·b
	div      // a/b
	fma      // a·b + c, rounded once
	fnma     // c − a·b, rounded once
	atMost   // a > b ? b : a, with a constant b
	atLeast  // a < b ? b : a, with a constant b
	rectify  // a < 0 ? 0 : a
	bySign   // the sign bit of a set ? b : c
	and      // the bits of a and b
	or       // the bits of a or b
	addInt   // a + b, as integers
	subInt   // a − b, as integers
	shl      // a << bits
	shr      // a >> bits
	laneAdd  // Lanes += a
	laneFMA  // Lanes = a·b + Lanes, rounded once
	laneMax  // a > Lanes ? a : Lanes
	laneFlag // Flags |= a
)

// value is the result of an operation.
type value struct {
	kind kind
	args []*value
	bits uint32 // of a constant; how far to shift
	from string // X or Y, of a load

	last int // the index of the operation that uses it last
	reg  int
}

// list is a function: its operations in their order.
type list struct {
	name, comment string
	call          string // the type of its argument
	lanes         string // Lanes, Flags or "" for none
	values        []*value
	constants     map[uint32]*value
}

func (l *list) do(k kind, args ...*value) *value {
	v := &value{kind: k, args: args, reg: -1}
	l.values = append(l.values, v)
	return v
}

func (l *list) bits(b uint32) *value {
	if l.constants[b] == nil {
		l.constants[b] = &value{kind: constant, bits: b, reg: -1}
	}
	return l.constants[b]
}

func (l *list) f(x float64) *value { return l.bits(math.Float32bits(float32(x))) }

func (l *list) load(from string) *value {
	v := l.do(load)
	v.from = from
	return v
}

func (l *list) shift(k kind, a *value, by uint32) *value {
	v := l.do(k, a)
	v.bits = by
	return v
}

func (l *list) fma(a, b, c *value) *value { return l.do(fma, a, b, c) }
func (l *list) mul(a, b *value) *value    { return l.do(mul, a, b) }
func (l *list) add(a, b *value) *value    { return l.do(add, a, b) }
func (l *list) sub(a, b *value) *value    { return l.do(sub, a, b) }
func (l *list) div(a, b *value) *value    { return l.do(div, a, b) }

// uses returns whether the function loads from a slice.
func (l *list) uses(from string) bool {
	for _, v := range l.values {
		if v.kind == load && v.from == from {
			return true
		}
	}
	return false
}

func (l *list) has(k kind) bool {
	for _, v := range l.values {
		for _, a := range v.args {
			if a.kind == k {
				return true
			}
		}
		if v.kind == k {
			return true
		}
	}
	return false
}

// liveness sets the last uses.
func (l *list) liveness() {
	for i, v := range l.values {
		v.last = i
		for _, a := range v.args {
			a.last = i
		}
	}
}
