//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// The thin products of the kernels f16f32acc-6x16-avx2 (thin…F16AVX2) and
// f32-6x16-avx2 (thin…F32AVX2): a few rows of A by a matrix B that is not
// packed. The contract is in package micro.
//
// What this is not: it does not block for the caches. Each element of B is loaded,
// and widened, once for up to eight rows.
//
// The functions for eight, four, two and one rows take the columns in strips of 8,
// 16, 32 and 64. Each strip has eight accumulators: eight chains cover two FMA ports ×
// a latency of 4. The last columns are taken eight at a time and then one by one.
//
// Registers
//
//	AX       k, counts down
//	SI       a, row 0; BX, CX: rows 3 and 6. They move on by 4 a step
//	DI       b, moves on by R9 a step
//	DX       c, row 0 of the strip
//	R8       ldc in bytes
//	R9       bRow in bytes
//	R10      aRow in bytes
//	R11      b, the strip
//	R12      columns left
//	R13      accumulate
//	R14      c, moves on by R8 a row
//	R15      the arguments
//	Y0-Y7    the tile, row after row
//	Y8-Y11   a part of row p of B
//	Y12-Y15  values of A in all lanes
//
// Budget of one step of one row: 8 loads with conversion, 8 FMAs, a broadcast, 4
// additions, 2 instructions of loop. At one conversion a cycle the fp16 loop
// takes 8 cycles for 128 bytes, about what the caches beyond L1 deliver.

#define ARGS   R15
#define K      AX
#define A      SI
#define A3     BX
#define A6     CX
#define B      DI
#define C      DX
#define LDC    R8
#define BROW   R9
#define AROW   R10
#define BSTRIP R11
#define COLS   R12
#define ACC    R13
#define CROW   R14

// Loads elements of B: a vector of eight, or one.
#define LOADF16(mem, x, y) VCVTPH2PS mem, y
#define LOADF32(mem, x, y) VMOVUPS mem, y
#define ONEF16(mem, x, y) \
	VPXOR     x, x, x;         \
	VPINSRW   $0, mem, x, x;   \
	VCVTPH2PS x, x
#define ONEF32(mem, x, y) VMOVSS mem, x

// Loads and stores the sums of a row of the tile.
#define IN1(a) \
	VMOVUPS (CROW), a; \
	ADDQ    LDC, CROW
#define IN2(a, b) \
	VMOVUPS (CROW), a;   \
	VMOVUPS 32(CROW), b; \
	ADDQ    LDC, CROW
#define IN4(a, b, c, d) \
	VMOVUPS (CROW), a;   \
	VMOVUPS 32(CROW), b; \
	VMOVUPS 64(CROW), c; \
	VMOVUPS 96(CROW), d; \
	ADDQ    LDC, CROW
#define OUT1(a) \
	VMOVUPS a, (CROW); \
	ADDQ    LDC, CROW
#define OUT2(a, b) \
	VMOVUPS a, (CROW);   \
	VMOVUPS b, 32(CROW); \
	ADDQ    LDC, CROW
#define OUT4(a, b, c, d) \
	VMOVUPS a, (CROW);   \
	VMOVUPS b, 32(CROW); \
	VMOVUPS c, 64(CROW); \
	VMOVUPS d, 96(CROW); \
	ADDQ    LDC, CROW
#define INS1(a) \
	VMOVSS (CROW), a; \
	ADDQ   LDC, CROW
#define OUTS1(a) \
	VMOVSS a, (CROW); \
	ADDQ   LDC, CROW

#define IN8ROWS IN1(Y0); IN1(Y1); IN1(Y2); IN1(Y3); IN1(Y4); IN1(Y5); IN1(Y6); IN1(Y7)
#define OUT8ROWS OUT1(Y0); OUT1(Y1); OUT1(Y2); OUT1(Y3); OUT1(Y4); OUT1(Y5); OUT1(Y6); OUT1(Y7)
#define IN4ROWS IN2(Y0, Y1); IN2(Y2, Y3); IN2(Y4, Y5); IN2(Y6, Y7)
#define OUT4ROWS OUT2(Y0, Y1); OUT2(Y2, Y3); OUT2(Y4, Y5); OUT2(Y6, Y7)
#define IN2ROWS IN4(Y0, Y1, Y2, Y3); IN4(Y4, Y5, Y6, Y7)
#define OUT2ROWS OUT4(Y0, Y1, Y2, Y3); OUT4(Y4, Y5, Y6, Y7)
#define IN1ROW IN4(Y0, Y1, Y2, Y3); LEAQ 128(C), CROW; IN4(Y4, Y5, Y6, Y7)
#define OUT1ROW OUT4(Y0, Y1, Y2, Y3); LEAQ 128(C), CROW; OUT4(Y4, Y5, Y6, Y7)
// The same for one vector a row, and for one element.
#define IN8V IN8ROWS
#define OUT8V OUT8ROWS
#define IN4V IN1(Y0); IN1(Y1); IN1(Y2); IN1(Y3)
#define OUT4V OUT1(Y0); OUT1(Y1); OUT1(Y2); OUT1(Y3)
#define IN2V IN1(Y0); IN1(Y1)
#define OUT2V OUT1(Y0); OUT1(Y1)
#define IN1V IN1(Y0)
#define OUT1V OUT1(Y0)
#define IN8E INS1(X0); INS1(X1); INS1(X2); INS1(X3); INS1(X4); INS1(X5); INS1(X6); INS1(X7)
#define OUT8E OUTS1(X0); OUTS1(X1); OUTS1(X2); OUTS1(X3); OUTS1(X4); OUTS1(X5); OUTS1(X6); OUTS1(X7)
#define IN4E INS1(X0); INS1(X1); INS1(X2); INS1(X3)
#define OUT4E OUTS1(X0); OUTS1(X1); OUTS1(X2); OUTS1(X3)
#define IN2E INS1(X0); INS1(X1)
#define OUT2E OUTS1(X0); OUTS1(X1)
#define IN1E INS1(X0)
#define OUT1E OUTS1(X0)

// Adds a vector of B, times the value of A at mem, to a row of the tile.
#define ROW(mem, t, c) \
	VBROADCASTSS mem, t;  \
	VFMADD231PS  Y8, t, c

// Steps for one vector a row, or for one element, in the first lane.
#define STEP8V(LOAD, size) \
	LOAD((B), X8, Y8);            \
	ROW((A), Y12, Y0);            \
	ROW((A)(AROW*1), Y13, Y1);    \
	ROW((A)(AROW*2), Y14, Y2);    \
	ROW((A3), Y15, Y3);           \
	ROW((A3)(AROW*1), Y12, Y4);   \
	ROW((A3)(AROW*2), Y13, Y5);   \
	ROW((A6), Y14, Y6);           \
	ROW((A6)(AROW*1), Y15, Y7)
#define STEP4V(LOAD, size) \
	LOAD((B), X8, Y8);            \
	ROW((A), Y12, Y0);            \
	ROW((A)(AROW*1), Y13, Y1);    \
	ROW((A)(AROW*2), Y14, Y2);    \
	ROW((A3), Y15, Y3)
#define STEP2V(LOAD, size) \
	LOAD((B), X8, Y8);            \
	ROW((A), Y12, Y0);            \
	ROW((A)(AROW*1), Y13, Y1)
#define STEP1V(LOAD, size) \
	LOAD((B), X8, Y8);            \
	ROW((A), Y12, Y0)

// Steps for a strip.
#define ROW2(mem, t, c0, c1) \
	VBROADCASTSS mem, t;   \
	VFMADD231PS  Y8, t, c0; \
	VFMADD231PS  Y9, t, c1
#define LOAD4(LOAD, from, size) \
	LOAD((from*size)(B), X8, Y8);        \
	LOAD(((from+8)*size)(B), X9, Y9);    \
	LOAD(((from+16)*size)(B), X10, Y10); \
	LOAD(((from+24)*size)(B), X11, Y11)
#define FMA4(t, c0, c1, c2, c3) \
	VFMADD231PS  Y8, t, c0;  \
	VFMADD231PS  Y9, t, c1;  \
	VFMADD231PS  Y10, t, c2; \
	VFMADD231PS  Y11, t, c3
#define STEP8(LOAD, size) STEP8V(LOAD, size)
#define STEP4(LOAD, size) \
	LOAD((B), X8, Y8);                   \
	LOAD((8*size)(B), X9, Y9);           \
	ROW2((A), Y12, Y0, Y1);              \
	ROW2((A)(AROW*1), Y13, Y2, Y3);      \
	ROW2((A)(AROW*2), Y14, Y4, Y5);      \
	ROW2((A3), Y15, Y6, Y7)
#define STEP2(LOAD, size) \
	LOAD4(LOAD, 0, size);                \
	VBROADCASTSS (A), Y12;               \
	FMA4(Y12, Y0, Y1, Y2, Y3);           \
	VBROADCASTSS (A)(AROW*1), Y13;       \
	FMA4(Y13, Y4, Y5, Y6, Y7)
#define STEP1(LOAD, size) \
	VBROADCASTSS (A), Y12;               \
	LOAD4(LOAD, 0, size);                \
	FMA4(Y12, Y0, Y1, Y2, Y3);           \
	LOAD4(LOAD, 32, size);               \
	FMA4(Y12, Y4, Y5, Y6, Y7)

#define ZERO8 \
	VXORPS Y0, Y0, Y0; \
	VXORPS Y1, Y1, Y1; \
	VXORPS Y2, Y2, Y2; \
	VXORPS Y3, Y3, Y3; \
	VXORPS Y4, Y4, Y4; \
	VXORPS Y5, Y5, Y5; \
	VXORPS Y6, Y6, Y6; \
	VXORPS Y7, Y7, Y7

// A strip: loads its sums, runs the loop over k, stores them.
#define STRIP(TAKEIN, STEP, LEAVE, LOAD, size, start, loop, store) \
	ZERO8;                     \
	MOVQ  C, CROW;             \
	TESTL ACC, ACC;            \
	JZ    start;               \
	TAKEIN;                    \
start:                             \
	MOVQ  thinArgs_a(ARGS), A; \
	LEAQ  (A)(AROW*2), A3;     \
	ADDQ  AROW, A3;            \
	LEAQ  (A3)(AROW*2), A6;    \
	ADDQ  AROW, A6;            \
	MOVQ  BSTRIP, B;           \
	MOVQ  thinArgs_k(ARGS), K; \
	TESTQ K, K;                \
	JZ    store;               \
loop:                              \
	STEP(LOAD, size);          \
	ADDQ  BROW, B;             \
	ADDQ  $4, A;               \
	ADDQ  $4, A3;              \
	ADDQ  $4, A6;              \
	DECQ  K;                   \
	JNZ   loop;                \
store:                             \
	MOVQ  C, CROW;             \
	LEAVE

// A function: strips of width columns, then the last columns. b is the field with the
// matrix, size the bytes of an element of it, shift their logarithm.
#define THIN(b, width, INS, STEP, OUTS, INV, STEPV, OUTV, INE, OUTE, LOAD, ONE, size, shift) \
	MOVQ    thinArgs_aRow(ARGS), AROW;                               \
	MOVQ    b(ARGS), BSTRIP;                                         \
	MOVQ    thinArgs_bRow(ARGS), BROW;                               \
	MOVQ    thinArgs_c(ARGS), C;                                     \
	MOVQ    thinArgs_ldc(ARGS), LDC;                                 \
	MOVQ    thinArgs_cols(ARGS), COLS;                               \
	MOVBLZX thinArgs_accumulate(ARGS), ACC;                          \
	SHLQ    $2, AROW;                                                \
	SHLQ    $shift, BROW;                                            \
	SHLQ    $2, LDC;                                                 \
	SUBQ    $width, COLS;                                            \
	JLT     rest;                                                    \
strip:                                                                   \
	STRIP(INS, STEP, OUTS, LOAD, size, start, loop, store);          \
	ADDQ    $(width*size), BSTRIP;                                   \
	ADDQ    $(width*4), C;                                           \
	SUBQ    $width, COLS;                                            \
	JGE     strip;                                                   \
rest:                                                                    \
	ADDQ    $(width-8), COLS;                                        \
	JLT     few;                                                     \
vector:                                                                  \
	STRIP(INV, STEPV, OUTV, LOAD, size, startv, loopv, storev);      \
	ADDQ    $(8*size), BSTRIP;                                       \
	ADDQ    $32, C;                                                  \
	SUBQ    $8, COLS;                                                \
	JGE     vector;                                                  \
few:                                                                     \
	ADDQ    $8, COLS;                                                \
	JZ      done;                                                    \
one:                                                                     \
	STRIP(INE, STEPV, OUTE, ONE, size, startone, loopone, storeone); \
	ADDQ    $size, BSTRIP;                                           \
	ADDQ    $4, C;                                                   \
	DECQ    COLS;                                                    \
	JNZ     one;                                                     \
done:                                                                    \
	VZEROUPPER;                                                      \
	RET

// func thin8F16AVX2(args *thinArgs)
TEXT ·thin8F16AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 8, IN8ROWS, STEP8, OUT8ROWS, IN8V, STEP8V, OUT8V, IN8E, OUT8E, LOADF16, ONEF16, 2, 1)

// func thin4F16AVX2(args *thinArgs)
TEXT ·thin4F16AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 16, IN4ROWS, STEP4, OUT4ROWS, IN4V, STEP4V, OUT4V, IN4E, OUT4E, LOADF16, ONEF16, 2, 1)

// func thin2F16AVX2(args *thinArgs)
TEXT ·thin2F16AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 32, IN2ROWS, STEP2, OUT2ROWS, IN2V, STEP2V, OUT2V, IN2E, OUT2E, LOADF16, ONEF16, 2, 1)

// func thin1F16AVX2(args *thinArgs)
TEXT ·thin1F16AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 64, IN1ROW, STEP1, OUT1ROW, IN1V, STEP1V, OUT1V, IN1E, OUT1E, LOADF16, ONEF16, 2, 1)

// func thin8F32AVX2(args *thinArgs)
TEXT ·thin8F32AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 8, IN8ROWS, STEP8, OUT8ROWS, IN8V, STEP8V, OUT8V, IN8E, OUT8E, LOADF32, ONEF32, 4, 2)

// func thin4F32AVX2(args *thinArgs)
TEXT ·thin4F32AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 16, IN4ROWS, STEP4, OUT4ROWS, IN4V, STEP4V, OUT4V, IN4E, OUT4E, LOADF32, ONEF32, 4, 2)

// func thin2F32AVX2(args *thinArgs)
TEXT ·thin2F32AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 32, IN2ROWS, STEP2, OUT2ROWS, IN2V, STEP2V, OUT2V, IN2E, OUT2E, LOADF32, ONEF32, 4, 2)

// func thin1F32AVX2(args *thinArgs)
TEXT ·thin1F32AVX2(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 64, IN1ROW, STEP1, OUT1ROW, IN1V, STEP1V, OUT1V, IN1E, OUT1E, LOADF32, ONEF32, 4, 2)
