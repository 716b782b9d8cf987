//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Packing for the tier avx2: copies a block of a matrix, fp16 or fp32, to rows of
// float32, transposed or not:
//
//	packRows…  dst[i*stride+j] = src[i*srcStride+j]
//	packCols…  dst[i*stride+j] = src[j*srcStride+i]
//
// for i < rows and j < cols. packRows takes 8 columns or more; unless they are a
// multiple of 8, the last vector of a row overlaps the one before. packCols takes
// multiples of 8 rows and columns, at least 8; the wrapper in Go packs the edges.

#define ARGS    AX
#define DST     DI
#define STRIDE  R8
#define SRC     SI
#define SSTRIDE R9
#define ROWS    R10
#define COLS    R11

#define LOADF16(mem, y) VCVTPH2PS mem, y
#define LOADF32(mem, y) VMOVUPS mem, y

// Registers of packRows: those named above, and
//
//	AX,BX  the row as read and as written; AX is ARGS at the beginning
//	CX     elements of the row left, less 8
//	Y0     data in flight
//	DX, R12-R15, Y1-Y15 unused
//
// Budget of 8 elements: a load, with conversion for fp16, and a store.
#define PACKROWS(src, LOAD, shift, row, vector, tail, next) \
	MOVQ packArgs_dst(ARGS), DST;           \
	MOVQ packArgs_stride(ARGS), STRIDE;     \
	MOVQ src(ARGS), SRC;                    \
	MOVQ packArgs_srcStride(ARGS), SSTRIDE; \
	MOVQ packArgs_rows(ARGS), ROWS;         \
	MOVQ packArgs_cols(ARGS), COLS;         \
	SHLQ $2, STRIDE;                        \
	SHLQ $shift, SSTRIDE;                   \
row:                                            \
	MOVQ SRC, AX;                           \
	MOVQ DST, BX;                           \
	LEAQ -8(COLS), CX;                      \
vector:                                         \
	LOAD((AX), Y0);                         \
	VMOVUPS Y0, (BX);                       \
	ADDQ $(8<<shift), AX;                   \
	ADDQ $32, BX;                           \
	SUBQ $8, CX;                            \
	JGE  vector;                            \
	CMPQ CX, $-8;                           \
	JEQ  next;                              \
tail:                                           \
	SHLQ $2, CX;                            \
	ADDQ CX, BX;                            \
	SARQ $(2-shift), CX;                    \
	ADDQ CX, AX;                            \
	LOAD((AX), Y0);                         \
	VMOVUPS Y0, (BX);                       \
next:                                           \
	ADDQ SSTRIDE, SRC;                      \
	ADDQ STRIDE, DST;                       \
	DECQ ROWS;                              \
	JNZ  row;                               \
	VZEROUPPER

// func packRowsF16AVX2(args *packArgs)
TEXT ·packRowsF16AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	PACKROWS(packArgs_src, LOADF16, 1, row, vector, tail, next)
	RET

// func packRowsF32AVX2(args *packArgs)
TEXT ·packRowsF32AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	PACKROWS(packArgs_src, LOADF32, 2, row, vector, tail, next)
	RET

// Registers of packCols: those named above, and
//
//	AX       the first source row of the block, ARGS at the beginning; BX: the fifth
//	DX       3·srcStride; R13: 3·stride
//	CX       the fifth row of the block as written
//	R12      elements of the source rows left
//	R14,R15  the block as read and as written
//	Y0-Y7    a block of 8×8, Y8-Y15 half way
//
// Three rounds of 8 shuffles transpose the block: words of 4 bytes, of 8, and halves.
// Budget of 64 elements: 8 loads, 24 shuffles, 8 stores; one shuffle port takes 24
// cycles.
#define UNPACK(LO, HI, a, b, lo, hi) \
	LO b, a, lo; \
	HI b, a, hi
#define HALVES(a, b, lo, hi) \
	VPERM2F128 $0x20, b, a, lo; \
	VPERM2F128 $0x31, b, a, hi

#define PACKCOLS(src, LOAD, shift, strip, block) \
	MOVQ packArgs_dst(ARGS), DST;                   \
	MOVQ packArgs_stride(ARGS), STRIDE;             \
	MOVQ src(ARGS), SRC;                            \
	MOVQ packArgs_srcStride(ARGS), SSTRIDE;         \
	MOVQ packArgs_rows(ARGS), ROWS;                 \
	MOVQ packArgs_cols(ARGS), COLS;                 \
	SHLQ $2, STRIDE;                                \
	SHLQ $shift, SSTRIDE;                           \
	LEAQ (SSTRIDE)(SSTRIDE*2), DX;                  \
	LEAQ (STRIDE)(STRIDE*2), R13;                   \
strip:                                                  \
	MOVQ SRC, R14;                                  \
	MOVQ DST, R15;                                  \
	MOVQ ROWS, R12;                                 \
block:                                                  \
	MOVQ R14, AX;                                   \
	LEAQ (AX)(SSTRIDE*4), BX;                       \
	LOAD((AX), Y0);                                 \
	LOAD((AX)(SSTRIDE*1), Y1);                      \
	LOAD((AX)(SSTRIDE*2), Y2);                      \
	LOAD((AX)(DX*1), Y3);                           \
	LOAD((BX), Y4);                                 \
	LOAD((BX)(SSTRIDE*1), Y5);                      \
	LOAD((BX)(SSTRIDE*2), Y6);                      \
	LOAD((BX)(DX*1), Y7);                           \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Y0, Y1, Y8, Y9);   \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Y2, Y3, Y10, Y11); \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Y4, Y5, Y12, Y13); \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Y6, Y7, Y14, Y15); \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Y8, Y10, Y0, Y1);  \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Y9, Y11, Y2, Y3);  \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Y12, Y14, Y4, Y5); \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Y13, Y15, Y6, Y7); \
	HALVES(Y0, Y4, Y8, Y12);                        \
	HALVES(Y1, Y5, Y9, Y13);                        \
	HALVES(Y2, Y6, Y10, Y14);                       \
	HALVES(Y3, Y7, Y11, Y15);                       \
	LEAQ (R15)(STRIDE*4), CX;                       \
	VMOVUPS Y8, (R15);                              \
	VMOVUPS Y9, (R15)(STRIDE*1);                    \
	VMOVUPS Y10, (R15)(STRIDE*2);                   \
	VMOVUPS Y11, (R15)(R13*1);                      \
	VMOVUPS Y12, (CX);                              \
	VMOVUPS Y13, (CX)(STRIDE*1);                    \
	VMOVUPS Y14, (CX)(STRIDE*2);                    \
	VMOVUPS Y15, (CX)(R13*1);                       \
	LEAQ (R15)(STRIDE*8), R15;                      \
	ADDQ $(8<<shift), R14;                          \
	SUBQ $8, R12;                                   \
	JGT  block;                                     \
	LEAQ (SRC)(SSTRIDE*8), SRC;                     \
	ADDQ $32, DST;                                  \
	SUBQ $8, COLS;                                  \
	JGT  strip;                                     \
	VZEROUPPER

// func packColsF16AVX2(args *packArgs)
TEXT ·packColsF16AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	PACKCOLS(packArgs_src, LOADF16, 1, strip, block)
	RET

// func packColsF32AVX2(args *packArgs)
TEXT ·packColsF32AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	PACKCOLS(packArgs_src, LOADF32, 2, strip, block)
	RET
