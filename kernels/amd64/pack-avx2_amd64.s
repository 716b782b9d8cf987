//go:build !purego

#include "textflag.h"

// Packing for the tier avx2: a block of a matrix, fp16 or fp32, to rows of
// float32. The four functions differ in what they load and in whether they
// turn the block:
//
//	packRows…  dst[i*stride+j] = src[i*srcStride+j]
//	packCols…  dst[i*stride+j] = src[j*srcStride+i]
//
// for i < rows and j < cols. packRows takes 8 columns or more, and where they
// are no multiple of 8 the last vector of a row overlaps the one before.
// packCols takes rows and cols that are multiples of 8, and at least 8; the
// ragged edges are the wrapper's.

#define DST     DI
#define STRIDE  R8
#define SRC     SI
#define SSTRIDE R9
#define ROWS    R10
#define COLS    R11

#define LOADF16(mem, y) VCVTPH2PS mem, y
#define LOADF32(mem, y) VMOVUPS mem, y

// Registers of packRows: as named above, and
//
//	AX,BX  where the row is read and written
//	CX     elements of the row left, less 8
//	Y0     on its way
#define PACKROWS(LOAD, shift, row, vector, tail, next) \
	MOVQ dst+0(FP), DST;          \
	MOVQ stride+8(FP), STRIDE;    \
	MOVQ src+16(FP), SRC;         \
	MOVQ srcStride+24(FP), SSTRIDE; \
	MOVQ rows+32(FP), ROWS;       \
	MOVQ cols+40(FP), COLS;       \
	SHLQ $2, STRIDE;              \
	SHLQ $shift, SSTRIDE;         \
row:                              \
	MOVQ SRC, AX;                 \
	MOVQ DST, BX;                 \
	LEAQ -8(COLS), CX;            \
vector:                           \
	LOAD((AX), Y0);               \
	VMOVUPS Y0, (BX);             \
	ADDQ $(8<<shift), AX;         \
	ADDQ $32, BX;                 \
	SUBQ $8, CX;                  \
	JGE  vector;                  \
	CMPQ CX, $-8;                 \
	JEQ  next;                    \
tail:                             \
	SHLQ $2, CX;                  \
	ADDQ CX, BX;                  \
	SARQ $(2-shift), CX;          \
	ADDQ CX, AX;                  \
	LOAD((AX), Y0);               \
	VMOVUPS Y0, (BX);             \
next:                             \
	ADDQ SSTRIDE, SRC;            \
	ADDQ STRIDE, DST;             \
	DECQ ROWS;                    \
	JNZ  row;                     \
	VZEROUPPER

// func packRowsF16AVX2(dst *float32, stride int, src *fp16.Float16, srcStride, rows, cols int)
TEXT ·packRowsF16AVX2(SB), NOSPLIT, $0-48
	PACKROWS(LOADF16, 1, row, vector, tail, next)
	RET

// func packRowsF32AVX2(dst *float32, stride int, src *float32, srcStride, rows, cols int)
TEXT ·packRowsF32AVX2(SB), NOSPLIT, $0-48
	PACKROWS(LOADF32, 2, row, vector, tail, next)
	RET

// Registers of packCols: as named above, and
//
//	AX       the source row being read; BX: 4 rows on; DX: 3·srcStride
//	CX       where a block is written, row by row
//	R12      elements of the source rows left
//	R13      3·stride
//	R14,R15  where the block is read and written
//	Y0-Y7    a block of 8×8, and Y8-Y15 half way
//
// The block is turned in three rounds of 8 shuffles: words of 4 bytes, of 8,
// and halves. One shuffle port takes 24 cycles for 64 elements.
#define UNPACK(LO, HI, a, b, lo, hi) \
	LO b, a, lo; \
	HI b, a, hi
#define HALVES(a, b, lo, hi) \
	VPERM2F128 $0x20, b, a, lo; \
	VPERM2F128 $0x31, b, a, hi

#define PACKCOLS(LOAD, shift, strip, block) \
	MOVQ dst+0(FP), DST;          \
	MOVQ stride+8(FP), STRIDE;    \
	MOVQ src+16(FP), SRC;         \
	MOVQ srcStride+24(FP), SSTRIDE; \
	MOVQ rows+32(FP), ROWS;       \
	MOVQ cols+40(FP), COLS;       \
	SHLQ $2, STRIDE;              \
	SHLQ $shift, SSTRIDE;         \
	LEAQ (SSTRIDE)(SSTRIDE*2), DX; \
	LEAQ (STRIDE)(STRIDE*2), R13; \
strip:                            \
	MOVQ SRC, R14;                \
	MOVQ DST, R15;                \
	MOVQ ROWS, R12;               \
block:                            \
	MOVQ R14, AX;                 \
	LEAQ (AX)(SSTRIDE*4), BX;     \
	LOAD((AX), Y0);               \
	LOAD((AX)(SSTRIDE*1), Y1);    \
	LOAD((AX)(SSTRIDE*2), Y2);    \
	LOAD((AX)(DX*1), Y3);         \
	LOAD((BX), Y4);               \
	LOAD((BX)(SSTRIDE*1), Y5);    \
	LOAD((BX)(SSTRIDE*2), Y6);    \
	LOAD((BX)(DX*1), Y7);         \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Y0, Y1, Y8, Y9);   \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Y2, Y3, Y10, Y11); \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Y4, Y5, Y12, Y13); \
	UNPACK(VUNPCKLPS, VUNPCKHPS, Y6, Y7, Y14, Y15); \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Y8, Y10, Y0, Y1);  \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Y9, Y11, Y2, Y3);  \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Y12, Y14, Y4, Y5); \
	UNPACK(VUNPCKLPD, VUNPCKHPD, Y13, Y15, Y6, Y7); \
	HALVES(Y0, Y4, Y8, Y12);      \
	HALVES(Y1, Y5, Y9, Y13);      \
	HALVES(Y2, Y6, Y10, Y14);     \
	HALVES(Y3, Y7, Y11, Y15);     \
	LEAQ (R15)(STRIDE*4), CX;     \
	VMOVUPS Y8, (R15);            \
	VMOVUPS Y9, (R15)(STRIDE*1);  \
	VMOVUPS Y10, (R15)(STRIDE*2); \
	VMOVUPS Y11, (R15)(R13*1);    \
	VMOVUPS Y12, (CX);            \
	VMOVUPS Y13, (CX)(STRIDE*1);  \
	VMOVUPS Y14, (CX)(STRIDE*2);  \
	VMOVUPS Y15, (CX)(R13*1);     \
	LEAQ (R15)(STRIDE*8), R15;    \
	ADDQ $(8<<shift), R14;        \
	SUBQ $8, R12;                 \
	JGT  block;                   \
	LEAQ (SRC)(SSTRIDE*8), SRC;   \
	ADDQ $32, DST;                \
	SUBQ $8, COLS;                \
	JGT  strip;                   \
	VZEROUPPER

// func packColsF16AVX2(dst *float32, stride int, src *fp16.Float16, srcStride, rows, cols int)
TEXT ·packColsF16AVX2(SB), NOSPLIT, $0-48
	PACKCOLS(LOADF16, 1, strip, block)
	RET

// func packColsF32AVX2(dst *float32, stride int, src *float32, srcStride, rows, cols int)
TEXT ·packColsF32AVX2(SB), NOSPLIT, $0-48
	PACKCOLS(LOADF32, 2, strip, block)
	RET
