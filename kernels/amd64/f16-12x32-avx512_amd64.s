//go:build !purego

#include "textflag.h"

// func gemm12x32F16AVX512(k int, a *float32, aRow, aCol int, b *fp16.Float16, bRow int, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernel f16f32acc-12x32-avx512 for a B that is read where it is, and
// widened on the way; cols is 32. Registers and passes are those of
// f32-12x32-avx512_amd64.s, the code is in 12x32-avx512_amd64.h.
//
// Budget of one step of twelve rows: what it is there, with two conversions in
// the place of two loads. On a Zen 5 they run beside the FMAs and are free. On a
// Zen 4 a step takes 26.7 cycles instead of 24.5. On Intel each takes an uop of the
// ports 0 and 5, which the FMAs need: 14 cycles instead of 12.

#define LOADB(p) \
	VCVTPH2PS (p), Z24;   \
	VCVTPH2PS 32(p), Z25
#define LOADBN(p) VCVTPH2PS (p), Z24
#define SIZELOG 1

TEXT ·gemm12x32F16AVX512(SB), NOSPLIT, $0-81
#include "12x32-avx512_amd64.h"
