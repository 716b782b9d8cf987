//go:build !purego

#include "textflag.h"

// func gemm12x32F16AVX512(k int, a *float32, aRow, aCol int, b *fp16.Float16, bRow int, c *float32, ldc, rows, cols int, accumulate bool)
//
// The kernel f16f32acc-12x32-avx512 for a B that is read where it is, and
// widened on the way. Registers and passes are those of
// f32-12x32-avx512_amd64.s, the code is in 12x32-avx512_amd64.h.
//
// Budget of one step of twelve rows: what it is there, with two conversions in
// the place of two loads. On AMD from Zen 4 on they run on ports that the FMAs do
// not use, and are free. On Intel each takes an uop of the ports 0 and 5, which
// the FMAs need: 14 cycles instead of 12.

#define LOADB(p) \
	VCVTPH2PS.Z (p), K1, Z24;   \
	VCVTPH2PS.Z 32(p), K2, Z25
#define LOADBN(p) VCVTPH2PS.Z (p), K1, Z24
#define SIZELOG 1

TEXT ·gemm12x32F16AVX512(SB), NOSPLIT, $0-81
#include "12x32-avx512_amd64.h"
