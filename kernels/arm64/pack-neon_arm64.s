//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Packing for both tiers. The functions differ in the types of the elements and in
// whether they transpose:
//
//	packRows…  dst[i*stride+j] = src[i*srcStride+j]
//	packCols…  dst[i*stride+j] = src[j*srcStride+i]
//
// for i < rows and j < cols. packRows takes 8 columns or more; unless they are a
// multiple of 8, the last vector of a row overlaps the one before. packCols takes
// multiples of 8, at least 8, or of 4 for float32. Go copies matrices that are neither
// converted nor transposed, and packs what is left beside the blocks.

#include "encode_arm64.h"

#define DST     R0
#define STRIDE  R1
#define SRC     R2
#define SSTRIDE R3
#define ROWS    R4
#define COLS    R5
#define ARGS    R6

// Loads the arguments. from and into are the fields of packArgs for the matrices, shift
// and to the logarithms of the bytes of their elements.
#define ARGUMENTS(from, shift, into, to) \
	MOVD into(ARGS), DST;                  \
	MOVD packArgs_stride(ARGS), STRIDE;    \
	MOVD from(ARGS), SRC;                  \
	MOVD packArgs_srcStride(ARGS), SSTRIDE; \
	MOVD packArgs_rows(ARGS), ROWS;        \
	MOVD packArgs_cols(ARGS), COLS;        \
	LSL  $to, STRIDE;               \
	LSL  $shift, SSTRIDE

// func packRowsF16NEON(args *packArgs)
//
//	R6, R7  where the row is read and written; R6 first has the arguments
//	R8      elements of the row left, less 8
//	V0-V2   elements in flight
TEXT ·packRowsF16NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	ARGUMENTS(packArgs_src, 1, packArgs_dst, 2)

row:
	MOVD SRC, R6
	MOVD DST, R7
	SUB  $8, COLS, R8

vector:
	FMOVQ.P 16(R6), F0
	FCVTL(0, 1)
	FCVTL2(0, 2)
	FSTPQ.P (F1, F2), 32(R7)
	SUBS    $8, R8
	BGE     vector
	CMN     $8, R8
	BEQ     next
	ADD     R8<<1, R6
	ADD     R8<<2, R7
	FMOVQ   (R6), F0
	FCVTL(0, 1)
	FCVTL2(0, 2)
	FSTPQ   (F1, F2), (R7)

next:
	ADD  SSTRIDE, SRC
	ADD  STRIDE, DST
	SUBS $1, ROWS
	BNE  row
	RET

// Registers of packCols: as named above, and
//
//	R6      the arguments; then the source row being read, and the row being written
//	R7, R8  where the block is read and written
//	R9      elements of the source rows left
//	V0-V7, V16-V23  a block of 8×8 or 4×4, before and after a round
//	V24,V25 widened elements in flight
//
// A round interleaves register i with the one half a block further on, into registers
// 2i and 2i+1. That rotates the bits of (row, column) by one place, so three rounds, or
// two of 4×4, exchange rows and columns. Budget: 24 shuffles for 64 elements, 8 for 16.
#define ROUND8A \
	VZIP1 V4.H8, V0.H8, V16.H8; VZIP2 V4.H8, V0.H8, V17.H8; \
	VZIP1 V5.H8, V1.H8, V18.H8; VZIP2 V5.H8, V1.H8, V19.H8; \
	VZIP1 V6.H8, V2.H8, V20.H8; VZIP2 V6.H8, V2.H8, V21.H8; \
	VZIP1 V7.H8, V3.H8, V22.H8; VZIP2 V7.H8, V3.H8, V23.H8
#define ROUND8B \
	VZIP1 V20.H8, V16.H8, V0.H8; VZIP2 V20.H8, V16.H8, V1.H8; \
	VZIP1 V21.H8, V17.H8, V2.H8; VZIP2 V21.H8, V17.H8, V3.H8; \
	VZIP1 V22.H8, V18.H8, V4.H8; VZIP2 V22.H8, V18.H8, V5.H8; \
	VZIP1 V23.H8, V19.H8, V6.H8; VZIP2 V23.H8, V19.H8, V7.H8
#define ROUND4A \
	VZIP1 V2.S4, V0.S4, V16.S4; VZIP2 V2.S4, V0.S4, V17.S4; \
	VZIP1 V3.S4, V1.S4, V18.S4; VZIP2 V3.S4, V1.S4, V19.S4
#define ROUND4B \
	VZIP1 V18.S4, V16.S4, V0.S4; VZIP2 V18.S4, V16.S4, V1.S4; \
	VZIP1 V19.S4, V17.S4, V2.S4; VZIP2 V19.S4, V17.S4, V3.S4

#define GET(v) FMOVQ (R6), v; ADD SSTRIDE, R6
#define PUT(v) FMOVQ v, (R6); ADD STRIDE, R6
#define GET4 MOVD R7, R6; GET(F0); GET(F1); GET(F2); GET(F3)
#define GET8 GET4; GET(F4); GET(F5); GET(F6); GET(F7)
#define PUT4 MOVD R8, R6; PUT(F0); PUT(F1); PUT(F2); PUT(F3)
#define PUT8 MOVD R8, R6; PUT(F16); PUT(F17); PUT(F18); PUT(F19); PUT(F20); PUT(F21); PUT(F22); PUT(F23)
#define PUTWIDE(n) FCVTL(n, 24); FCVTL2(n, 25); FSTPQ (F24, F25), (R6); ADD STRIDE, R6
#define PUTWIDE8 MOVD R8, R6; PUTWIDE(16); PUTWIDE(17); PUTWIDE(18); PUTWIDE(19); PUTWIDE(20); PUTWIDE(21); PUTWIDE(22); PUTWIDE(23)

#define PACKCOLS(size, from, shift, into, to, LOAD, TURN, STORE, strip, block) \
	ARGUMENTS(from, shift, into, to); \
strip:                             \
	MOVD SRC, R7;                  \
	MOVD DST, R8;                  \
	MOVD ROWS, R9;                 \
block:                             \
	LOAD;                          \
	TURN;                          \
	STORE;                         \
	ADD  $(size<<shift), R7;       \
	MOVD R6, R8;                   \
	SUBS $size, R9;                \
	BGT  block;                    \
	MOVD $size, R6;                \
	MADD R6, SRC, SSTRIDE, SRC;    \
	ADD  $(size<<to), DST;         \
	SUBS $size, COLS;              \
	BGT  strip

// func packColsF16NEON(args *packArgs)
TEXT ·packColsF16NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	PACKCOLS(8, packArgs_src, 1, packArgs_dst, 2, GET8, ROUND8A; ROUND8B; ROUND8A, PUTWIDE8, strip, block)
	RET

// func packColsF32NEON(args *packArgs)
TEXT ·packColsF32NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	PACKCOLS(4, packArgs_src, 2, packArgs_dst, 2, GET4, ROUND4A; ROUND4B, PUT4, strip, block)
	RET

// func turnF16NEON(args *packArgs)
//
// packCols for panels of fp16.
TEXT ·turnF16NEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), ARGS
	PACKCOLS(8, packArgs_src, 1, packArgs_dst, 1, GET8, ROUND8A; ROUND8B; ROUND8A, PUT8, strip, block)
	RET
