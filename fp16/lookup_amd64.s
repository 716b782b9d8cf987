//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func lookupVectors(args *lookupArgs)
//
// Replaces bytes by what a table of 256 words has for them, with AVX-512BW. It checks
// neither lengths nor features. Nothing beyond the elements is read or written: the last
// vector, of 1 to 32 elements, is masked.
//
// The table stays in eight registers. VPERMI2W looks the low six bits of 32 bytes up in
// two of them; the high two bits choose among the four results.
//
//	AX, CX    scratch; AX has the arguments at the beginning
//	BX        the next element
//	DX        elements before the last vector
//	DI, SI    dst and src
//	R8        the table
//	R9-R15    unused
//	K1        the mask of the last vector
//	K2, K3    bits 6 and 7 of the bytes
//	Z0        the bytes, as words, and what the table has for them
//	Z1-Z4     what each quarter of the table has for them
//	Z16-Z23   the table
//	Z24, Z25  64 and 128 in all words
//	Z5-Z15, Z26-Z31 unused
//
// Budget for 32 elements: a load, 4 copies, 2 tests, 4 permutations, 3 blends, a store, 3
// instructions of loop. The permutations are 3 operations each on Intel, and bind.
#define QUARTERS \
	VMOVDQA64 Z0, Z1;         \
	VMOVDQA64 Z0, Z2;         \
	VMOVDQA64 Z0, Z3;         \
	VMOVDQA64 Z0, Z4;         \
	VPTESTMW  Z24, Z0, K2;    \
	VPTESTMW  Z25, Z0, K3;    \
	VPERMI2W  Z17, Z16, Z1;   \
	VPERMI2W  Z19, Z18, Z2;   \
	VPERMI2W  Z21, Z20, Z3;   \
	VPERMI2W  Z23, Z22, Z4;   \
	VPBLENDMW Z2, Z1, K2, Z1; \
	VPBLENDMW Z4, Z3, K2, Z3; \
	VPBLENDMW Z3, Z1, K3, Z0

TEXT ·lookupVectors(SB), NOSPLIT, $0-8
	MOVQ         args+0(FP), AX
	MOVQ         lookupArgs_dst(AX), DI
	MOVQ         lookupArgs_table(AX), R8
	MOVQ         lookupArgs_src(AX), SI
	MOVQ         lookupArgs_n(AX), DX
	VMOVDQU64    (R8), Z16
	VMOVDQU64    64(R8), Z17
	VMOVDQU64    128(R8), Z18
	VMOVDQU64    192(R8), Z19
	VMOVDQU64    256(R8), Z20
	VMOVDQU64    320(R8), Z21
	VMOVDQU64    384(R8), Z22
	VMOVDQU64    448(R8), Z23
	MOVL         $0x00400040, AX
	VPBROADCASTD AX, Z24
	MOVL         $0x00800080, AX
	VPBROADCASTD AX, Z25

	// The last vector has (n-1) mod 32 + 1 elements.
	LEAQ  -1(DX), CX
	ANDQ  $31, CX
	SUBQ  CX, DX
	DECQ  DX
	MOVL  $2, AX
	SHLQ  CX, AX
	DECQ  AX
	KMOVD AX, K1
	XORL  BX, BX
	CMPQ  BX, DX
	JGE   last

vector:
	VPMOVZXBW (SI)(BX*1), Z0
	QUARTERS
	VMOVDQU16 Z0, (DI)(BX*2)
	ADDQ      $32, BX
	CMPQ      BX, DX
	JLT       vector

last:
	VPMOVZXBW.Z (SI)(BX*1), K1, Z0
	QUARTERS
	VMOVDQU16   Z0, K1, (DI)(BX*2)
	VZEROUPPER
	RET
