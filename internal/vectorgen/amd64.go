package main

import (
	"fmt"
	"strings"
)

var avx2 = x86("avx2", "AVX2", 8, 16, "Y", `// Activations and other functions of float32 values for the tier avx2: the loops of
// package micro's Vector, 16 elements a turn in two registers, one after the other.
//
// Registers of all functions, which lack those that they do not use:
//
//	SI, R8   X and Y
//	DI       Dst
//	BX       bytes from the first element to the next
//	DX       elements left
//	R15      the arguments
//	Y0-Y15   values in flight; the highest hold what stays in the loop
`)

var avx512 = x86("avx512", "AVX512", 16, 32, "Z", `// Activations and other functions of float32 values for the tier avx512: the loops of
// package micro's Vector, 16 elements a turn.
//
// Registers of all functions, which lack those that they do not use:
//
//	SI, R8   X and Y
//	DI       Dst
//	BX       bytes from the first element to the next
//	DX       elements left
//	R15      the arguments
//	K1       a mask
//	Z0-Z31   values in flight; the highest hold what stays in the loop
`)

func x86(name, suffix string, lanes, registers int, letter string, header string) *target {
	wide := lanes == 16
	t := &target{name: name, suffix: suffix, lanes: lanes, zero: true, registers: registers, header: header}
	t.name1 = func(r int) string { return fmt.Sprintf("%s%d", letter, r) }
	reg := t.name1
	// A constant fills a register in memory, or is one element, which AVX-512 repeats.
	size := 32
	if wide {
		size = 4
	}
	t.constants = func(bits []uint32) string {
		var b strings.Builder
		for i, x := range bits {
			if wide {
				fmt.Fprintf(&b, "DATA constants%s<>+%d(SB)/4, $%#08x\n", suffix, 4*i, x)
				continue
			}
			for j := 0; j < size; j += 8 {
				fmt.Fprintf(&b, "DATA constants%s<>+%d(SB)/8, $%#016x\n", suffix, size*i+j, uint64(x)<<32|uint64(x))
			}
		}
		fmt.Fprintf(&b, "GLOBL constants%s<>(SB), RODATA|NOPTR, $%d\n", suffix, size*len(bits))
		return b.String()
	}
	constantAt := func(e *emitter, bits uint32) string {
		return fmt.Sprintf("constants%s<>+%d(SB)", suffix, size*e.place[bits])
	}
	loadConstant := func(e *emitter, bits uint32, r int) {
		if kept, found := e.kept[bits]; found && kept != r {
			e.line("VMOVAPS %s, %s", reg(kept), reg(r))
		} else if wide {
			e.line("VBROADCASTSS %s, %s", constantAt(e, bits), reg(r))
		} else {
			e.line("VMOVUPS %s, %s", constantAt(e, bits), reg(r))
		}
	}
	// operand returns an instruction and its operand that may be a constant in memory.
	operand := func(e *emitter, instruction string, v *value) (string, string) {
		switch {
		case v.kind == factor:
			return instruction, reg(e.fixed)
		case v.kind != constant:
			return instruction, reg(v.reg)
		}
		if r, found := e.kept[v.bits]; found {
			return instruction, reg(r)
		}
		if wide {
			return instruction + ".BCST", constantAt(e, v.bits)
		}
		return instruction, constantAt(e, v.bits)
	}
	// inRegister returns the register of v; a constant gets a temporary one.
	inRegister := func(e *emitter, v *value) (r int, temporary bool) {
		switch v.kind {
		case factor:
			return e.fixed, false
		case constant:
			if r, found := e.kept[v.bits]; found {
				return r, false
			}
			r = e.take()
			loadConstant(e, v.bits, r)
			return r, true
		}
		return v.reg, false
	}
	// three writes instruction last, first, destination.
	three := func(e *emitter, v *value, i int, instruction string, first, last *value) {
		r, temporary := inRegister(e, first)
		instruction, text := operand(e, instruction, last)
		e.release(v, i)
		if temporary {
			e.give(r)
		}
		v.reg = e.take()
		e.line("%s %s, %s, %s", instruction, text, reg(r), reg(v.reg))
	}
	floats := map[kind]string{add: "VADDPS", sub: "VSUBPS", mul: "VMULPS", div: "VDIVPS"}
	integers := map[kind]string{and: "VPAND", or: "VPOR", addInt: "VPADDD", subInt: "VPSUBD", laneFlag: "VPOR"}
	if wide {
		integers[and], integers[or], integers[laneFlag] = "VPANDD", "VPORD", "VPORD"
	}
	t.one = func(e *emitter, v *value, i, part int) {
		at := fmt.Sprintf("%d(%%s)(BX*1)", part*lanes*4)
		if part == 0 {
			at = "(%s)(BX*1)"
		}
		switch v.kind {
		case load:
			v.reg = e.take()
			e.line("VMOVUPS "+at+", %s", map[string]string{"X": "SI", "Y": "R8"}[v.from], reg(v.reg))
		case store:
			r, temporary := inRegister(e, v.args[0])
			e.line("VMOVUPS %s, "+at, reg(r), "DI")
			if temporary {
				e.give(r)
			}
			e.release(v, i)
			v.reg = -1
		case add, mul, and, or, addInt:
			instruction := floats[v.kind] + integers[v.kind]
			first, last := v.args[0], v.args[1]
			if first.kind == constant {
				first, last = last, first
			}
			three(e, v, i, instruction, first, last)
		case sub, div, subInt:
			three(e, v, i, floats[v.kind]+integers[v.kind], v.args[0], v.args[1])
		case atMost: // the second source if that is a NaN
			three(e, v, i, "VMINPS", v.args[1], v.args[0])
		case atLeast:
			three(e, v, i, "VMAXPS", v.args[1], v.args[0])
		case rectify:
			three(e, v, i, "VMAXPS", &value{kind: constant}, v.args[0])
		case shl, shr:
			e.release(v, i)
			v.reg = e.take()
			e.line("%s $%d, %s, %s", map[kind]string{shl: "VPSLLD", shr: "VPSRLD"}[v.kind], v.bits, reg(v.args[0].reg), reg(v.reg))
		case bySign:
			other, temporary := inRegister(e, v.args[2])
			if wide {
				e.line("VPMOVD2M %s, K1", reg(v.args[0].reg))
				instruction, text := operand(e, "VBLENDMPS", v.args[1])
				e.release(v, i)
				v.reg = e.take()
				e.line("%s %s, %s, K1, %s", instruction, text, reg(other), reg(v.reg))
			} else {
				_, text := operand(e, "", v.args[1])
				e.release(v, i)
				v.reg = e.take()
				e.line("VBLENDVPS %s, %s, %s, %s", reg(v.args[0].reg), text, reg(other), reg(v.reg))
			}
			if temporary {
				e.give(other)
			}
		case fma, fnma:
			name := map[kind]string{fma: "VFMADD", fnma: "VFNMADD"}[v.kind]
			a, b, c := v.args[0], v.args[1], v.args[2]
			if a.kind == constant || !a.dies(i) && b.dies(i) {
				a, b = b, a
			}
			switch {
			case c.dies(i) && a.kind != constant: // c += a·b
				first, temporary := inRegister(e, a)
				instruction, text := operand(e, name+"231PS", b)
				e.line("%s %s, %s, %s", instruction, text, reg(first), reg(c.reg))
				if temporary {
					e.give(first)
				}
				v.reg = c.reg
				for n, arg := range v.args {
					if arg != c && arg.dies(i) && arg.reg >= 0 && (n == 0 || v.args[0] != arg) {
						e.give(arg.reg)
					}
				}
			default:
				// a = a·b + c, on a copy if a is used again. A constant in memory may be b or c.
				r := -1
				own := a.dies(i) && a != b && a != c
				switch {
				case own:
					r = a.reg
				case b.kind == constant && c.kind == constant: // loaded instead of a copy
					r = e.take()
					loadConstant(e, b.bits, r)
					b = a
				default:
					r = e.take()
					first, _ := inRegister(e, a)
					e.line("VMOVAPS %s, %s", reg(first), reg(r))
				}
				if b.kind == constant && c.kind != constant {
					second, _ := inRegister(e, c)
					instruction, text := operand(e, name+"132PS", b)
					e.line("%s %s, %s, %s", instruction, text, reg(second), reg(r))
				} else {
					second, temporary := inRegister(e, b)
					instruction, text := operand(e, name+"213PS", c)
					e.line("%s %s, %s, %s", instruction, text, reg(second), reg(r))
					if temporary {
						e.give(second)
					}
				}
				for n, arg := range v.args {
					first := true
					for _, earlier := range v.args[:n] {
						first = first && earlier != arg
					}
					if arg.dies(i) && arg.reg >= 0 && first && !(own && arg == a) {
						e.give(arg.reg)
					}
				}
				v.reg = r
			}
		case laneAdd:
			e.line("VADDPS %s, %s, %s", reg(v.args[0].reg), reg(e.lanes[part]), reg(e.lanes[part]))
			e.release(v, i)
		case laneFMA:
			e.line("VFMADD231PS %s, %s, %s", reg(v.args[0].reg), reg(v.args[1].reg), reg(e.lanes[part]))
			e.release(v, i)
		case laneMax: // the second source unless the first is larger
			e.line("VMAXPS %s, %s, %s", reg(e.lanes[part]), reg(v.args[0].reg), reg(e.lanes[part]))
			e.release(v, i)
		case laneFlag:
			e.line("%s %s, %s, %s", integers[laneFlag], reg(v.args[0].reg), reg(e.lanes[part]), reg(e.lanes[part]))
			e.release(v, i)
		}
	}
	t.begin = func(e *emitter) {
		call := e.l.call
		e.line("MOVQ args+0(FP), R15")
		if e.l.has(store) {
			e.line("MOVQ %s_Dst(R15), DI", call)
		}
		e.line("MOVQ %s_X(R15), SI", call)
		if e.l.uses("Y") {
			e.line("MOVQ %s_Y(R15), R8", call)
		}
		e.line("MOVQ (%s_X+8)(R15), DX", call)
		if call == "halvesCall" {
			e.line("SHRQ $1, DX")
		}
		if e.l.has(factor) {
			e.line("VBROADCASTSS %s_Factor(R15), %s", call, reg(e.fixed))
		}
		for n, r := range e.lanes {
			e.line("VMOVUPS (%s_%s+%d)(R15), %s", call, e.l.lanes, n*lanes*4, reg(r))
		}
		for _, bits := range e.keptConstants() {
			loadConstant(e, bits, e.kept[bits])
		}
		e.line("XORL BX, BX")
		e.text.WriteString("\nloop:\n")
	}
	t.end = func(e *emitter) {
		e.line("ADDQ $64, BX")
		e.line("SUBQ $16, DX")
		e.line("JNZ loop")
		for n, r := range e.lanes {
			e.line("VMOVUPS %s, (%s_%s+%d)(R15)", reg(r), e.l.call, e.l.lanes, n*lanes*4)
		}
		e.line("VZEROUPPER")
		e.line("RET")
	}
	return t
}
