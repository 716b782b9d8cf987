//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Elementwise operations for both tiers: the loops of package micro's Elementwise, each
// operation rounded on its own.
//
// What this is not: fused. FMLA rounds once where the definition rounds twice. And it has
// no masks: the elements that do not fill a vector are computed one by one, by the same
// instructions, on lane 0 of registers whose other lanes begin as zero. Those lanes are
// never stored. A maximum over a register does include them; they hold 0, or NaN where
// the factor is not finite, when lane 0 is not finite either.

#include "encode_arm64.h"

// The arguments. Each function has a struct for them, whose offsets are in go_asm.h.
#define ARGS R20

// Sets result to 1 if the largest doubled magnitude in a lane of v is below a limit, and
// to 0 otherwise. Doubling drops the sign.
#define BELOW(UMAXV, v, f, limit, result) \
	UMAXV(v, v);       \
	FMOVS f, R0;       \
	MOVD  $limit, R1;  \
	CMPW  R1, R0;      \
	CSET  LO, R0;      \
	MOVB  R0, result

// Store
//
//	R0, R1   dst and its stride, in bytes
//	R2, R3   src and its stride, in bytes
//	R4, R5   rows left, columns
//	R6       bias, or 0
//	R7-R9    the current elements of dst, src and bias
//	R10      columns left
//	V0, V1   eight elements, V2, V3 their bias; V4 the lanes to rectify
//	V16      lane 0: the scale
//	V17      −0, which changes nothing, where there is no bias
//	V18      all ones to rectify, else 0
//	V19, V20 the largest doubled magnitudes stored so far
//
// Budget for 8 elements: 2 loads of pairs, 2 multiplications, 2 additions, 2
// comparisons, 4 ANDs, 2 or 4 for the maximum, and a store, with 2 conversions for
// fp16.
#define STORE(dst, shift) \
	MOVD  dst(ARGS), R0;                 \
	MOVD  storeArgs_dstStride(ARGS), R1; \
	MOVD  storeArgs_src(ARGS), R2;       \
	MOVD  storeArgs_stride(ARGS), R3;    \
	MOVD  storeArgs_rows(ARGS), R4;      \
	MOVD  storeArgs_cols(ARGS), R5;      \
	FMOVS storeArgs_scale(ARGS), F16;    \
	MOVD  storeArgs_bias(ARGS), R6;      \
	MOVBU storeArgs_relu(ARGS), R10;     \
	LSL   $shift, R1;          \
	LSL   $2, R3;              \
	NEG   R10, R10;            \
	VDUP  R10, V18.S4;         \
	MOVD  $0x80000000, R10;    \
	VDUP  R10, V17.S4;         \
	VMOVI $0, V19.B16;         \
	VMOVI $0, V20.B16

// Finishes the sums in x; b is their bias.
#define EPILOGUE(x, b) \
	FMUL_LANE(16, 0, x, x); \
	FADD4S(b, x, x);        \
	FCMLE0(x, 4);           \
	VAND  V18.B16, V4.B16, V4.B16; \
	BIC(4, x, x)

// AddRows
//
//	R0       sums
//	R1, R2   m, at the current columns, and its stride in bytes
//	R3, R4   rows; columns left
//	R5, R6   m, at the current row; rows left
//	V0-V3    16 columns of the sums; V0 and V1 eight; V0 one
//	V4-V7    the same columns of a row
//
// Budget for 16 elements: 2 loads of pairs, or 1 and 4 conversions for fp16, 4 additions,
// 3 more.
#define GET16F16 FLDPQ (R5), (F5, F7); FCVTL(5, 4); FCVTL2(5, 5); FCVTL(7, 6); FCVTL2(7, 7)
#define GET8F16 FMOVQ (R5), F5; FCVTL(5, 4); FCVTL2(5, 5)
#define GET1F16 VLD1R (R5), [V4.H4]; FCVTL(4, 4)
#define GET16F32 FLDPQ (R5), (F4, F5); FLDPQ 32(R5), (F6, F7)
#define GET8F32 FLDPQ (R5), (F4, F5)
#define GET1F32 FMOVS (R5), F4
#define ADDROWS(m, shift, GET16, GET8, GET1, strip, row, eight, eightrow, one, onerow, done) \
	MOVD  addRowsArgs_sums(ARGS), R0;   \
	MOVD  m(ARGS), R1;                  \
	MOVD  addRowsArgs_stride(ARGS), R2; \
	MOVD  addRowsArgs_rows(ARGS), R3;   \
	MOVD  addRowsArgs_cols(ARGS), R4;   \
	LSL   $shift, R2;           \
strip:                          \
	CMP   $16, R4;              \
	BLT   eight;                \
	FLDPQ (R0), (F0, F1);       \
	FLDPQ 32(R0), (F2, F3);     \
	MOVD  R1, R5;               \
	MOVD  R3, R6;               \
row:                            \
	GET16;                      \
	FADD4S(4, 0, 0);            \
	FADD4S(5, 1, 1);            \
	FADD4S(6, 2, 2);            \
	FADD4S(7, 3, 3);            \
	ADD   R2, R5;               \
	SUBS  $1, R6;               \
	BNE   row;                  \
	FSTPQ.P (F0, F1), 32(R0);   \
	FSTPQ.P (F2, F3), 32(R0);   \
	ADD   $(16<<shift), R1;     \
	SUB   $16, R4;              \
	JMP   strip;                \
eight:                          \
	CMP   $8, R4;               \
	BLT   one;                  \
	FLDPQ (R0), (F0, F1);       \
	MOVD  R1, R5;               \
	MOVD  R3, R6;               \
eightrow:                       \
	GET8;                       \
	FADD4S(4, 0, 0);            \
	FADD4S(5, 1, 1);            \
	ADD   R2, R5;               \
	SUBS  $1, R6;               \
	BNE   eightrow;             \
	FSTPQ.P (F0, F1), 32(R0);   \
	ADD   $(8<<shift), R1;      \
	SUB   $8, R4;               \
one:                            \
	CBZ   R4, done;             \
	FMOVS (R0), F0;             \
	MOVD  R1, R5;               \
	MOVD  R3, R6;               \
onerow:                         \
	GET1;                       \
	FADD4S(4, 0, 0);            \
	ADD   R2, R5;               \
	SUBS  $1, R6;               \
	BNE   onerow;               \
	FMOVS.P F0, 4(R0);          \
	ADD   $(1<<shift), R1;      \
	SUB   $1, R4;               \
	JMP   one;                  \
done:

// func storeF16NEON(args *storeArgs)
TEXT ·storeF16NEON(SB), NOSPLIT, $0-8
	MOVD  args+0(FP), ARGS
	STORE(storeArgs_dst, 1)

row:
	MOVD R0, R7
	MOVD R2, R8
	MOVD R6, R9
	VORR V17.B16, V17.B16, V2.B16
	VORR V17.B16, V17.B16, V3.B16
	SUBS $8, R5, R10
	BLT  rest

eight:
	FLDPQ.P 32(R8), (F0, F1)
	CBZ     R6, plain
	FLDPQ.P 32(R9), (F2, F3)

plain:
	EPILOGUE(0, 2)
	EPILOGUE(1, 3)
	FCVTN(0, 0)
	FCVTN2(1, 0)
	FMOVQ.P F0, 16(R7)
	VADD    V0.H8, V0.H8, V0.H8
	VUMAX   V0.H8, V19.H8, V19.H8
	SUBS    $8, R10
	BGE     eight

rest:
	ADDS $8, R10
	BEQ  next

one:
	FMOVS.P 4(R8), F0
	CBZ     R6, onePlain
	FMOVS.P 4(R9), F2

onePlain:
	EPILOGUE(0, 2)
	FCVTN(0, 0)
	VST1.P  V0.H[0], 2(R7)
	VADD    V0.H8, V0.H8, V0.H8
	VUMAX   V0.H8, V19.H8, V19.H8
	SUBS    $1, R10
	BNE     one

next:
	ADD  R1, R0
	ADD  R3, R2
	SUBS $1, R4
	BNE  row
	BELOW(UMAXV8H, 19, F19, 0xf800, storeArgs_finite(ARGS))
	RET

// func storeF32NEON(args *storeArgs)
TEXT ·storeF32NEON(SB), NOSPLIT, $0-8
	MOVD  args+0(FP), ARGS
	STORE(storeArgs_dst, 2)

row:
	MOVD R0, R7
	MOVD R2, R8
	MOVD R6, R9
	VORR V17.B16, V17.B16, V2.B16
	VORR V17.B16, V17.B16, V3.B16
	SUBS $8, R5, R10
	BLT  rest

eight:
	FLDPQ.P 32(R8), (F0, F1)
	CBZ     R6, plain
	FLDPQ.P 32(R9), (F2, F3)

plain:
	EPILOGUE(0, 2)
	EPILOGUE(1, 3)
	FSTPQ.P (F0, F1), 32(R7)
	VADD    V0.S4, V0.S4, V0.S4
	VADD    V1.S4, V1.S4, V1.S4
	VUMAX   V0.S4, V19.S4, V19.S4
	VUMAX   V1.S4, V20.S4, V20.S4
	SUBS    $8, R10
	BGE     eight

rest:
	ADDS $8, R10
	BEQ  next

one:
	FMOVS.P 4(R8), F0
	CBZ     R6, onePlain
	FMOVS.P 4(R9), F2

onePlain:
	EPILOGUE(0, 2)
	FMOVS.P F0, 4(R7)
	VADD    V0.S4, V0.S4, V0.S4
	VUMAX   V0.S4, V19.S4, V19.S4
	SUBS    $1, R10
	BNE     one

next:
	ADD   R1, R0
	ADD   R3, R2
	SUBS  $1, R4
	BNE   row
	VUMAX V20.S4, V19.S4, V19.S4
	BELOW(UMAXV4S, 19, F19, 0xff000000, storeArgs_finite(ARGS))
	RET

// func finiteNEON(args *finiteArgs)
//
//	R0, R1   x; elements left
//	V0, V1   eight products
//	V16      lane 0: the factor
//	V19, V20 the largest doubled magnitudes so far
//
// Budget for 8 elements: a load of a pair, 2 multiplications, 2 additions, 2 maxima.
TEXT ·finiteNEON(SB), NOSPLIT, $0-8
	MOVD  args+0(FP), ARGS
	MOVD  finiteArgs_x(ARGS), R0
	MOVD  finiteArgs_n(ARGS), R1
	FMOVS finiteArgs_factor(ARGS), F16
	VMOVI $0, V19.B16
	VMOVI $0, V20.B16
	SUBS  $8, R1
	BLT   rest

eight:
	FLDPQ.P 32(R0), (F0, F1)
	FMUL_LANE(16, 0, 0, 0)
	FMUL_LANE(16, 0, 1, 1)
	VADD    V0.S4, V0.S4, V0.S4
	VADD    V1.S4, V1.S4, V1.S4
	VUMAX   V0.S4, V19.S4, V19.S4
	VUMAX   V1.S4, V20.S4, V20.S4
	SUBS    $8, R1
	BGE     eight

rest:
	ADDS $8, R1
	BEQ  done

one:
	FMOVS.P 4(R0), F0
	FMUL_LANE(16, 0, 0, 0)
	VADD    V0.S4, V0.S4, V0.S4
	VUMAX   V0.S4, V19.S4, V19.S4
	SUBS    $1, R1
	BNE     one

done:
	VUMAX V20.S4, V19.S4, V19.S4
	BELOW(UMAXV4S, 19, F19, 0xff000000, finiteArgs_finite(ARGS))
	RET

// func rectifyF16NEON(args *rectifyF16Args)
//
// n is a multiple of 8. As signed words, positive values and NaNs are above 0. Negative
// NaNs are not, but are above infinity's bits, V16, without the sign.
//
//	R0-R2   dst, src, mask
//	R3      elements left
//	V0, V1  mask and src; V2 the mask without its signs
//	V16     infinity in all lanes; V17 all bits but the sign
//
// Budget for 8 elements: 2 loads, 2 ANDs, 2 comparisons, an OR, a store, 2 instructions
// of loop.
TEXT ·rectifyF16NEON(SB), NOSPLIT, $0-8
	MOVD  args+0(FP), ARGS
	MOVD rectifyF16Args_dst(ARGS), R0
	MOVD rectifyF16Args_src(ARGS), R1
	MOVD rectifyF16Args_mask(ARGS), R2
	MOVD rectifyF16Args_n(ARGS), R3
	MOVD $0x7c00, R4
	VDUP R4, V16.H8
	MOVD $0x7fff, R4
	VDUP R4, V17.H8

eight:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R1), F1
	VAND    V17.B16, V0.B16, V2.B16
	CMGT0_8H(0, 0)
	CMGT8H(16, 2, 2)
	VORR    V2.B16, V0.B16, V0.B16
	VAND    V0.B16, V1.B16, V1.B16
	FMOVQ.P F1, 16(R0)
	SUBS    $8, R3
	BNE     eight
	RET

// func rectifyF32NEON(args *rectifyF32Args)
//
//	R0-R2   dst, src, mask
//	R3      elements left
//	V0, V1  mask and src
//
// Budget for 4 elements: 2 loads, a comparison, an AND, a store, 2 instructions of loop.
TEXT ·rectifyF32NEON(SB), NOSPLIT, $0-8
	MOVD  args+0(FP), ARGS
	MOVD rectifyF32Args_dst(ARGS), R0
	MOVD rectifyF32Args_src(ARGS), R1
	MOVD rectifyF32Args_mask(ARGS), R2
	MOVD rectifyF32Args_n(ARGS), R3
	SUBS $4, R3
	BLT  rest

four:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R1), F1
	FCMLE0(0, 0)
	BIC(0, 1, 1)
	FMOVQ.P F1, 16(R0)
	SUBS    $4, R3
	BGE     four

rest:
	ADDS $4, R3
	BEQ  done

one:
	FMOVS.P 4(R2), F0
	FMOVS.P 4(R1), F1
	FCMLE0(0, 0)
	BIC(0, 1, 1)
	FMOVS.P F1, 4(R0)
	SUBS    $1, R3
	BNE     one

done:
	RET

// func addRowsF16NEON(args *addRowsArgs)
TEXT ·addRowsF16NEON(SB), NOSPLIT, $0-8
	MOVD  args+0(FP), ARGS
	ADDROWS(addRowsArgs_m, 1, GET16F16, GET8F16, GET1F16, strip, row, eight, eightrow, one, onerow, done)
	RET

// func addRowsF32NEON(args *addRowsArgs)
TEXT ·addRowsF32NEON(SB), NOSPLIT, $0-8
	MOVD  args+0(FP), ARGS
	ADDROWS(addRowsArgs_m, 2, GET16F32, GET8F32, GET1F32, strip, row, eight, eightrow, one, onerow, done)
	RET

// SGD
//
//	R0-R3    w, v, grad; half, or 0
//	R4, R5   elements left; nesterov
//	R6       not 0 if there is a decay
//	V0-V3    w, v, g, d
//	V16-V19  lane 0: unscale, rate, momentum, decay
//
// Budget for 4 elements: 3 loads, 3 stores, a conversion, and 5 to 9 multiplications
// and additions. The memory binds.
#define SGDSTEP(plain, heavy) \
	FMUL_LANE(16, 0, 2, 2);        \
	CBZ  R6, plain;                \
	FMUL_LANE(19, 0, 0, 3);        \
	FADD4S(3, 2, 2);               \
plain:                             \
	FMUL_LANE(18, 0, 1, 1);        \
	FADD4S(2, 1, 1);               \
	VORR V1.B16, V1.B16, V3.B16;   \
	CBZ  R5, heavy;                \
	FMUL_LANE(18, 0, 1, 3);        \
	FADD4S(3, 2, 3);               \
heavy:                             \
	FMUL_LANE(17, 0, 3, 3);        \
	FSUB4S(3, 0, 0)

// func sgdNEON(args *sgdArgs)
TEXT ·sgdNEON(SB), NOSPLIT, $0-8
	MOVD  args+0(FP), ARGS
	MOVD  sgdArgs_w(ARGS), R0
	MOVD  sgdArgs_v(ARGS), R1
	MOVD  sgdArgs_grad(ARGS), R2
	MOVD  sgdArgs_half(ARGS), R3
	MOVD  sgdArgs_n(ARGS), R4
	FMOVS sgdArgs_step+sgdStep_Unscale(ARGS), F16
	FMOVS sgdArgs_step+sgdStep_Rate(ARGS), F17
	FMOVS sgdArgs_step+sgdStep_Momentum(ARGS), F18
	FMOVS sgdArgs_step+sgdStep_Decay(ARGS), F19
	MOVWU sgdArgs_step+sgdStep_Decay(ARGS), R6
	MOVBU sgdArgs_step+sgdStep_Nesterov(ARGS), R5
	LSLW  $1, R6 // −0 is no decay either
	SUBS  $4, R4
	BLT   rest

four:
	FMOVQ   (R0), F0
	FMOVQ   (R1), F1
	FMOVQ.P 16(R2), F2
	SGDSTEP(plain, heavy)
	FMOVQ.P F1, 16(R1)
	FMOVQ.P F0, 16(R0)
	CBZ     R3, next
	FCVTN(0, 0)
	FMOVD.P F0, 8(R3)

next:
	SUBS $4, R4
	BGE  four

rest:
	ADDS $4, R4
	BEQ  done

one:
	FMOVS   (R0), F0
	FMOVS   (R1), F1
	FMOVS.P 4(R2), F2
	SGDSTEP(onePlain, oneHeavy)
	FMOVS.P F1, 4(R1)
	FMOVS.P F0, 4(R0)
	CBZ     R3, oneNext
	FCVTN(0, 0)
	VST1.P  V0.H[0], 2(R3)

oneNext:
	SUBS $1, R4
	BNE  one

done:
	RET

// Adam
//
//	R0-R3    w, m, v, grad
//	R4       half, or 0
//	R5       elements left
//	R6       not 0 if there is a decay
//	R7       not 0 if it is decoupled: applied to w, not to the gradient
//	V0-V4    w, m, v, g, d
//	V16-V23  lane 0: unscale, rate, decay, keep, beta1, rest1, beta2, rest2
//	V24, V25 all lanes: correction, epsilon
//
// Budget for 4 elements: 4 loads, 4 stores, a square root and two divisions. The last
// three bind: on a Neoverse N1 some 40 cycles.
#define ADAMSTEP(decoupled, plain) \
	FMUL_LANE(16, 0, 3, 3);  \
	CBNZ R7, decoupled;      \
	CBZ  R6, plain;          \
	FMUL_LANE(18, 0, 0, 4);  \
	FADD4S(4, 3, 3);         \
	JMP  plain;              \
decoupled:                   \
	FMUL_LANE(19, 0, 0, 0);  \
plain:                       \
	FMUL_LANE(20, 0, 1, 1);  \
	FMUL_LANE(21, 0, 3, 4);  \
	FADD4S(4, 1, 1);         \
	FMUL_LANE(22, 0, 2, 2);  \
	FMUL_LANE(23, 0, 3, 4);  \
	FMUL4S(3, 4, 4);         \
	FADD4S(4, 2, 2);         \
	FSQRT4S(2, 4);           \
	FDIV4S(24, 4, 4);        \
	FADD4S(25, 4, 4);        \
	FDIV4S(4, 1, 4);         \
	FMUL_LANE(17, 0, 4, 4);  \
	FSUB4S(4, 0, 0)

// func adamNEON(args *adamArgs)
TEXT ·adamNEON(SB), NOSPLIT, $0-8
	MOVD  args+0(FP), ARGS
	MOVD  adamArgs_w(ARGS), R0
	MOVD  adamArgs_m(ARGS), R1
	MOVD  adamArgs_v(ARGS), R2
	MOVD  adamArgs_grad(ARGS), R3
	MOVD  adamArgs_half(ARGS), R4
	MOVD  adamArgs_n(ARGS), R5
	FMOVS adamArgs_step+adamStep_Unscale(ARGS), F16
	FMOVS adamArgs_step+adamStep_Rate(ARGS), F17
	FMOVS adamArgs_step+adamStep_Decay(ARGS), F18
	FMOVS adamArgs_step+adamStep_Keep(ARGS), F19
	FMOVS adamArgs_step+adamStep_Beta1(ARGS), F20
	FMOVS adamArgs_step+adamStep_Rest1(ARGS), F21
	FMOVS adamArgs_step+adamStep_Beta2(ARGS), F22
	FMOVS adamArgs_step+adamStep_Rest2(ARGS), F23
	FMOVS adamArgs_step+adamStep_Correction(ARGS), F24
	FMOVS adamArgs_step+adamStep_Epsilon(ARGS), F25
	VDUP  V24.S[0], V24.S4
	VDUP  V25.S[0], V25.S4
	MOVWU adamArgs_step+adamStep_Decay(ARGS), R6
	LSLW  $1, R6 // −0 is no decay either
	MOVBU adamArgs_step+adamStep_Decoupled(ARGS), R7
	SUBS  $4, R5
	BLT   rest

four:
	FMOVQ   (R0), F0
	FMOVQ   (R1), F1
	FMOVQ   (R2), F2
	FMOVQ.P 16(R3), F3
	ADAMSTEP(decoupled, plain)
	FMOVQ.P F1, 16(R1)
	FMOVQ.P F2, 16(R2)
	FMOVQ.P F0, 16(R0)
	CBZ     R4, next
	FCVTN(0, 0)
	FMOVD.P F0, 8(R4)

next:
	SUBS $4, R5
	BGE  four

rest:
	ADDS $4, R5
	BEQ  done

one:
	FMOVS   (R0), F0
	FMOVS   (R1), F1
	FMOVS   (R2), F2
	FMOVS.P 4(R3), F3
	ADAMSTEP(oneDecoupled, onePlain)
	FMOVS.P F1, 4(R1)
	FMOVS.P F2, 4(R2)
	FMOVS.P F0, 4(R0)
	CBZ     R4, oneNext
	FCVTN(0, 0)
	VST1.P  V0.H[0], 2(R4)

oneNext:
	SUBS $1, R5
	BNE  one

done:
	RET
