//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Packing for the tier avx512: copies a block of a matrix, fp16 or fp32, to rows of
// float32, transposed or not:
//
//	packRows…  dst[i*stride+j] = src[i*srcStride+j]
//	packCols…  dst[i*stride+j] = src[j*srcStride+i]
//
// for i < rows and j < cols, both at least 1. Ragged ends are loaded and stored under
// masks, so that nothing else is read or written.

#define ARGS    AX
#define DST     DI
#define STRIDE  R8
#define SRC     SI
#define SSTRIDE R9
#define ROWS    R10
#define COLS    R11

// Loads 16 elements, widened, under a mask and without.
#define LOADF16(mem, k, z) VCVTPH2PS.Z mem, k, z
#define LOADF32(mem, k, z) VMOVUPS.Z mem, k, z
#define FULLF16(mem, z) VCVTPH2PS mem, z
#define FULLF32(mem, z) VMOVUPS mem, z

// Sets k to the mask of the last vector of len elements, and CX to its 1 to 16 elements.
#define TAILMASK(len, k) \
	LEAQ  -1(len), CX; \
	ANDQ  $15, CX;     \
	INCQ  CX;          \
	MOVL  $-1, AX;     \
	BZHIL CX, AX, AX;  \
	KMOVW AX, k

// Registers of packRows: those named above, and
//
//	AX, BX  the row as read and as written; AX is ARGS at the beginning
//	CX      elements of the row left
//	DX      elements of the row before its last vector
//	R12     12·srcStride, how far ahead it prefetches
//	K1      the mask of the last vector
//	Z0,Z1   data in flight
//	R13-R15, K2-K7, Z2-Z31 unused
//
// Budget of 16 elements: a load, with conversion for fp16, and a store. On Intel the
// conversion also takes the shuffle port, one a cycle.
#define PACKROWS(src, LOAD, FULL, shift, row, two, one, tail) \
	MOVQ packArgs_dst(ARGS), DST;           \
	MOVQ packArgs_stride(ARGS), STRIDE;     \
	MOVQ src(ARGS), SRC;                    \
	MOVQ packArgs_srcStride(ARGS), SSTRIDE; \
	MOVQ packArgs_rows(ARGS), ROWS;         \
	MOVQ packArgs_cols(ARGS), COLS;         \
	SHLQ $2, STRIDE;                        \
	SHLQ $shift, SSTRIDE;                   \
	TAILMASK(COLS, K1);                     \
	MOVQ COLS, DX;                          \
	SUBQ CX, DX;                            \
	LEAQ (SSTRIDE)(SSTRIDE*2), R12;         \
	SHLQ $2, R12;                           \
row:                                            \
	MOVQ SRC, AX;                           \
	MOVQ DST, BX;                           \
	MOVQ DX, CX;                            \
	SUBQ $32, CX;                           \
	JLT  one;                               \
two:                                            \
	PREFETCHT0 (AX)(R12*1);                 \
	FULL((AX), Z0);                         \
	FULL((16<<shift)(AX), Z1);              \
	VMOVUPS Z0, (BX);                       \
	VMOVUPS Z1, 64(BX);                     \
	ADDQ $(32<<shift), AX;                  \
	ADDQ $128, BX;                          \
	SUBQ $32, CX;                           \
	JGE  two;                               \
one:                                            \
	ADDQ $16, CX;                           \
	JLT  tail;                              \
	FULL((AX), Z0);                         \
	VMOVUPS Z0, (BX);                       \
	ADDQ $(16<<shift), AX;                  \
	ADDQ $64, BX;                           \
tail:                                           \
	LOAD((AX), K1, Z0);                     \
	VMOVUPS Z0, K1, (BX);                   \
	ADDQ SSTRIDE, SRC;                      \
	ADDQ STRIDE, DST;                       \
	DECQ ROWS;                              \
	JNZ  row;                               \
	VZEROUPPER

// func packRowsF16AVX512(args *packArgs)
TEXT ·packRowsF16AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	PACKROWS(packArgs_src, LOADF16, FULLF16, 1, row, two, one, tail)
	RET

// func packRowsF32AVX512(args *packArgs)
TEXT ·packRowsF32AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	PACKROWS(packArgs_src, LOADF32, FULLF32, 2, row, two, one, tail)
	RET

// Registers of packCols: those named above but COLS, and
//
//	AX      the source row to read; ARGS at the beginning
//	BX      the last source row of the block, R11 bytes from its first. A block with
//	        fewer than 16 reads the last one again, and does not store the copies
//	DX      source rows left
//	R12     elements of the source rows left; R13: those of this block
//	R14,R15 the block as read and as written
//	CX      the row to write
//	K1,K2   the elements and the source rows of this block
//	Z0-Z15  a block of 16×16, Z16-Z31 half way
//	K3-K7 unused
//
// Four rounds of 16 shuffles transpose the block: words of 4 bytes, of 8, then lanes of
// 16 twice. Budget of 256 elements: 16 loads, 64 shuffles, 16 stores; one shuffle port
// takes 64 cycles.
#define LASTROW R11
#define UNPACK(LO, HI, a, b, lo, hi) \
	LO b, a, lo; \
	HI b, a, hi
#define LANES(a, b, lo, hi) \
	VSHUFF32X4 $0x88, b, a, lo; \
	VSHUFF32X4 $0xdd, b, a, hi
#define TAKE(LOAD, z) \
	LOAD((AX), K1, z); \
	ADDQ    SSTRIDE, AX; \
	CMPQ    AX, BX;      \
	CMOVQHI BX, AX
#define GIVE(z, stored) \
	VMOVUPS z, K2, (CX);  \
	ADDQ    STRIDE, CX;   \
	DECQ    R13;          \
	JZ      stored

#define PACKCOLS(src, LOAD, shift, strip, block, stored) \
	MOVQ packArgs_dst(ARGS), DST;                     \
	MOVQ packArgs_stride(ARGS), STRIDE;               \
	MOVQ src(ARGS), SRC;                              \
	MOVQ packArgs_srcStride(ARGS), SSTRIDE;           \
	MOVQ packArgs_rows(ARGS), ROWS;                   \
	MOVQ packArgs_cols(ARGS), DX;                     \
	SHLQ $2, STRIDE;                                  \
	SHLQ $shift, SSTRIDE;                             \
strip:                                                    \
	MOVQ $16, CX;                                     \
	CMPQ DX, CX;                                      \
	CMOVQLT DX, CX;                                   \
	MOVL $-1, AX;                                     \
	BZHIL CX, AX, AX;                                 \
	KMOVW AX, K2;                                     \
	DECQ CX;                                          \
	IMULQ SSTRIDE, CX;                                \
	MOVQ CX, LASTROW;                                 \
	MOVQ SRC, R14;                                    \
	MOVQ DST, R15;                                    \
	MOVQ ROWS, R12;                                   \
block:                                                    \
	MOVQ $16, R13;                                    \
	CMPQ R12, R13;                                    \
	CMOVQLT R12, R13;                                 \
	MOVL $-1, AX;                                     \
	BZHIL R13, AX, AX;                                \
	KMOVW AX, K1;                                     \
	MOVQ R14, AX;                                     \
	LEAQ (AX)(LASTROW*1), BX;                         \
	TAKE(LOAD, Z0);                                   \
	TAKE(LOAD, Z1);                                   \
	TAKE(LOAD, Z2);                                   \
	TAKE(LOAD, Z3);                                   \
	TAKE(LOAD, Z4);                                   \
	TAKE(LOAD, Z5);                                   \
	TAKE(LOAD, Z6);                                   \
	TAKE(LOAD, Z7);                                   \
	TAKE(LOAD, Z8);                                   \
	TAKE(LOAD, Z9);                                   \
	TAKE(LOAD, Z10);                                  \
	TAKE(LOAD, Z11);                                  \
	TAKE(LOAD, Z12);                                  \
	TAKE(LOAD, Z13);                                  \
	TAKE(LOAD, Z14);                                  \
	TAKE(LOAD, Z15);                                  \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Z0, Z1, Z16, Z17);   \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Z2, Z3, Z18, Z19);   \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Z4, Z5, Z20, Z21);   \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Z6, Z7, Z22, Z23);   \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Z8, Z9, Z24, Z25);   \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Z10, Z11, Z26, Z27); \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Z12, Z13, Z28, Z29); \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Z14, Z15, Z30, Z31); \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Z16, Z18, Z0, Z1);   \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Z17, Z19, Z2, Z3);   \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Z20, Z22, Z4, Z5);   \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Z21, Z23, Z6, Z7);   \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Z24, Z26, Z8, Z9);   \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Z25, Z27, Z10, Z11); \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Z28, Z30, Z12, Z13); \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Z29, Z31, Z14, Z15); \
	LANES(Z0, Z4, Z16, Z20);                          \
	LANES(Z1, Z5, Z17, Z21);                          \
	LANES(Z2, Z6, Z18, Z22);                          \
	LANES(Z3, Z7, Z19, Z23);                          \
	LANES(Z8, Z12, Z24, Z28);                         \
	LANES(Z9, Z13, Z25, Z29);                         \
	LANES(Z10, Z14, Z26, Z30);                        \
	LANES(Z11, Z15, Z27, Z31);                        \
	LANES(Z16, Z24, Z0, Z8);                          \
	LANES(Z17, Z25, Z1, Z9);                          \
	LANES(Z18, Z26, Z2, Z10);                         \
	LANES(Z19, Z27, Z3, Z11);                         \
	LANES(Z20, Z28, Z4, Z12);                         \
	LANES(Z21, Z29, Z5, Z13);                         \
	LANES(Z22, Z30, Z6, Z14);                         \
	LANES(Z23, Z31, Z7, Z15);                         \
	MOVQ R15, CX;                                     \
	GIVE(Z0, stored);                                 \
	GIVE(Z1, stored);                                 \
	GIVE(Z2, stored);                                 \
	GIVE(Z3, stored);                                 \
	GIVE(Z4, stored);                                 \
	GIVE(Z5, stored);                                 \
	GIVE(Z6, stored);                                 \
	GIVE(Z7, stored);                                 \
	GIVE(Z8, stored);                                 \
	GIVE(Z9, stored);                                 \
	GIVE(Z10, stored);                                \
	GIVE(Z11, stored);                                \
	GIVE(Z12, stored);                                \
	GIVE(Z13, stored);                                \
	GIVE(Z14, stored);                                \
	VMOVUPS Z15, K2, (CX);                            \
	ADDQ STRIDE, CX;                                  \
stored:                                                   \
	MOVQ CX, R15;                                     \
	ADDQ $(16<<shift), R14;                           \
	SUBQ $16, R12;                                    \
	JGT  block;                                       \
	MOVQ SSTRIDE, CX;                                 \
	SHLQ $4, CX;                                      \
	ADDQ CX, SRC;                                     \
	ADDQ $64, DST;                                    \
	SUBQ $16, DX;                                     \
	JGT  strip;                                       \
	VZEROUPPER

// func packColsF16AVX512(args *packArgs)
TEXT ·packColsF16AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	PACKCOLS(packArgs_src, LOADF16, 1, strip, block, stored)
	RET

// func packColsF32AVX512(args *packArgs)
TEXT ·packColsF32AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	PACKCOLS(packArgs_src, LOADF32, 2, strip, block, stored)
	RET
