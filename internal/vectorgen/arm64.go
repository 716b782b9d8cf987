package main

import (
	"fmt"
	"strings"
)

var neon = &target{
	name: "neon", suffix: "NEON", lanes: 4, registers: 32,
	header: `// Activations and other functions of float32 values for the tiers neon and neonfhm: the
// loops of package micro's Vector, 16 elements a turn in four registers, one after the
// other.
//
// Registers of all functions, which lack those that they do not use:
//
//	R0       Dst
//	R1, R2   X and Y
//	R3       elements left
//	R4       the constants
//	R20      the arguments
//	V0-V31   values in flight; the highest hold what stays in the loop

#include "encode_arm64.h"
`,
	name1: func(r int) string { return fmt.Sprintf("V%d", r) },
	constants: func(bits []uint32) string {
		var b strings.Builder
		for i, x := range bits {
			for j := 0; j < 16; j += 8 {
				fmt.Fprintf(&b, "DATA constantsNEON<>+%d(SB)/8, $%#016x\n", 16*i+j, uint64(x)<<32|uint64(x))
			}
		}
		fmt.Fprintf(&b, "GLOBL constantsNEON<>(SB), RODATA|NOPTR, $%d\n", 16*len(bits))
		return b.String()
	},
	begin: func(e *emitter) {
		call := e.l.call
		e.line("MOVD args+0(FP), R20")
		if e.l.has(store) {
			e.line("MOVD %s_Dst(R20), R0", call)
		}
		e.line("MOVD %s_X(R20), R1", call)
		if e.l.uses("Y") {
			e.line("MOVD %s_Y(R20), R2", call)
		}
		e.line("MOVD (%s_X+8)(R20), R3", call)
		if call == "halvesCall" {
			e.line("LSR $1, R3")
		}
		if e.l.has(constant) {
			e.line("MOVD $constantsNEON<>(SB), R4")
		}
		if e.l.has(factor) {
			e.line("FMOVS %s_Factor(R20), F%d", call, e.fixed)
			e.line("VDUP V%d.S[0], V%d.S4", e.fixed, e.fixed)
		}
		for n, r := range e.lanes {
			e.line("FMOVQ (%s_%s+%d)(R20), F%d", call, e.l.lanes, 16*n, r)
		}
		for _, bits := range e.keptConstants() {
			e.line("FMOVQ %d(R4), F%d", 16*e.place[bits], e.kept[bits])
		}
		e.text.WriteString("\nloop:\n")
	},
	end: func(e *emitter) {
		if e.l.has(store) {
			e.line("ADD $64, R0")
		}
		e.line("ADD $64, R1")
		if e.l.uses("Y") {
			e.line("ADD $64, R2")
		}
		e.line("SUBS $16, R3")
		e.line("BNE loop")
		for n, r := range e.lanes {
			e.line("FMOVQ F%d, (%s_%s+%d)(R20)", r, e.l.call, e.l.lanes, 16*n)
		}
		e.line("RET")
	},
	one: oneNEON,
}

func oneNEON(e *emitter, v *value, i, part int) {
	var temporaries []int
	// in returns the register of a value; constants get temporary ones.
	in := func(a *value) int {
		switch a.kind {
		case factor:
			return e.fixed
		case constant:
			if r, found := e.kept[a.bits]; found {
				return r
			}
			r := e.take()
			e.line("FMOVQ %d(R4), F%d", 16*e.place[a.bits], r)
			temporaries = append(temporaries, r)
			return r
		}
		return a.reg
	}
	// free ends the use of the arguments and the temporary registers.
	free := func() {
		e.release(v, i)
		for _, r := range temporaries {
			e.give(r)
		}
	}
	switch v.kind {
	case load:
		v.reg = e.take()
		e.line("FMOVQ %d(%s), F%d", 16*part, map[string]string{"X": "R1", "Y": "R2"}[v.from], v.reg)
	case store:
		e.line("FMOVQ F%d, %d(R0)", in(v.args[0]), 16*part)
		free()
		v.reg = -1
	case add, sub, mul, div, atMost, atLeast:
		name := map[kind]string{add: "FADD4S", sub: "FSUB4S", mul: "FMUL4S", div: "FDIV4S", atMost: "FMIN4S", atLeast: "FMAX4S"}[v.kind]
		a, b := in(v.args[0]), in(v.args[1])
		free()
		v.reg = e.take()
		e.line("%s(%d, %d, %d)", name, b, a, v.reg)
	case and, or, addInt, subInt:
		name := map[kind]string{and: "VAND", or: "VORR", addInt: "VADD", subInt: "VSUB"}[v.kind]
		arrangement := map[kind]string{and: "B16", or: "B16", addInt: "S4", subInt: "S4"}[v.kind]
		a, b := in(v.args[0]), in(v.args[1])
		free()
		v.reg = e.take()
		e.line("%s V%d.%s, V%d.%s, V%d.%s", name, b, arrangement, a, arrangement, v.reg, arrangement)
	case shl, shr:
		free()
		v.reg = e.take()
		e.line("%s $%d, V%d.S4, V%d.S4", map[kind]string{shl: "VSHL", shr: "VUSHR"}[v.kind], v.bits, v.args[0].reg, v.reg)
	case fma, fnma:
		name := map[kind]string{fma: "VFMLA", fnma: "VFMLS"}[v.kind]
		a, b, c := v.args[0], v.args[1], v.args[2]
		ra, rb := in(a), in(b)
		var sum int
		own := c.dies(i) && c != a && c != b
		switch {
		case own:
			sum = c.reg
		case c.kind == constant && e.kept[c.bits] == 0:
			sum = e.take()
			e.line("FMOVQ %d(R4), F%d", 16*e.place[c.bits], sum)
		default:
			sum = e.take()
			rc := in(c)
			e.line("VORR V%d.B16, V%d.B16, V%d.B16", rc, rc, sum)
		}
		e.line("%s V%d.S4, V%d.S4, V%d.S4", name, rb, ra, sum)
		if own {
			c.reg = -1 // it is the result's now
		}
		free()
		v.reg = sum
	case rectify:
		mask := e.take()
		e.line("FCMLT0(%d, %d)", v.args[0].reg, mask)
		e.line("BIC(%d, %d, %d)", mask, v.args[0].reg, mask)
		free()
		v.reg = mask
	case bySign:
		mask := e.take()
		b, c := in(v.args[1]), in(v.args[2])
		e.line("CMLT0_4S(%d, %d)", v.args[0].reg, mask)
		e.line("VBSL V%d.B16, V%d.B16, V%d.B16", c, b, mask)
		free()
		v.reg = mask
	case laneAdd:
		e.line("FADD4S(%d, %d, %d)", v.args[0].reg, e.lanes[part], e.lanes[part])
		free()
	case laneFMA:
		e.line("VFMLA V%d.S4, V%d.S4, V%d.S4", v.args[0].reg, v.args[1].reg, e.lanes[part])
		free()
	case laneMax:
		mask := e.take()
		e.line("FCMGT4S(%d, %d, %d)", e.lanes[part], v.args[0].reg, mask)
		e.line("VBIT V%d.B16, V%d.B16, V%d.B16", mask, v.args[0].reg, e.lanes[part])
		e.give(mask)
		free()
	case laneFlag:
		e.line("VORR V%d.B16, V%d.B16, V%d.B16", v.args[0].reg, e.lanes[part], e.lanes[part])
		free()
	}
}
