//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// The thin products of the kernels f16f32acc-12x32-avx512 (thin…F16AVX512) and
// f32-12x32-avx512 (thin…F32AVX512): a few rows of A by a matrix B that is not
// packed. The contract is in package micro.
//
// What this is not: it does not block for the caches. Each element of B is loaded,
// and widened, once for up to eight rows.
//
// The functions for eight, four, two and one rows take the columns in strips of 16,
// 16, 8 and 8 accumulators: eight chains cover two FMA ports × a latency of 4. The last
// columns are taken sixteen at a time, under a mask.
//
// Registers
//
//	AX       k, counts down; scratch between the loops
//	SI       a, row 0; BX, CX: rows 3 and 6. They move on by 4 a step. Outside the
//	         loop BX is a row of c
//	DI       b, moves on by R9 a step
//	DX       c, row 0 of the strip
//	R8       ldc in bytes
//	R9       bRow in bytes
//	R10      aRow in bytes
//	R11      b, the strip
//	R12      columns left
//	R13,R14  unused
//	R15      the arguments
//	K1       the columns of the last vector
//	K2       ones if the sums begin with C, zeros if they begin with zero
//	K3       K1 and K2
//	K4-K7    unused
//	Z0-Z15   the tile, row after row
//	Z16-Z23  row p of B
//	Z24-Z31  values of A in all lanes
//
// Budget of one step of one row: 8 loads with conversion, 8 FMAs, a broadcast, 2
// additions, 2 instructions of loop. At one conversion a cycle the fp16 loop
// takes 8 cycles for 256 bytes, more than the caches beyond L1 deliver: bandwidth
// binds, and fp16 needs half of that of fp32.

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

// Loads 16 elements of B, without and with a mask.
#define FULLF16(mem, z) VCVTPH2PS mem, z
#define FULLF32(mem, z) VMOVUPS mem, z
#define PARTF16(mem, z) VCVTPH2PS.Z mem, K1, z
#define PARTF32(mem, z) VMOVUPS.Z mem, K1, z

// Loads and stores the sums of a row of the tile, and moves BX on to the next.
#define IN1(k, a) \
	VMOVUPS.Z (BX), k, a;    \
	ADDQ      LDC, BX
#define IN2(a, b) \
	VMOVUPS.Z (BX), K2, a;   \
	VMOVUPS.Z 64(BX), K2, b; \
	ADDQ      LDC, BX
#define IN4(a, b, c, d) \
	VMOVUPS.Z (BX), K2, a;    \
	VMOVUPS.Z 64(BX), K2, b;  \
	VMOVUPS.Z 128(BX), K2, c; \
	VMOVUPS.Z 192(BX), K2, d; \
	ADDQ      LDC, BX
#define OUT1(a) \
	VMOVUPS a, K1, (BX);    \
	ADDQ    LDC, BX
#define OUT2(a, b) \
	VMOVUPS a, (BX);    \
	VMOVUPS b, 64(BX);  \
	ADDQ    LDC, BX
#define OUT4(a, b, c, d) \
	VMOVUPS a, (BX);     \
	VMOVUPS b, 64(BX);   \
	VMOVUPS c, 128(BX);  \
	VMOVUPS d, 192(BX);  \
	ADDQ    LDC, BX

// Adds one, two or four vectors of B, times the value of A in t, to a row of the tile.
#define FMA1(t, a) \
	VFMADD231PS Z16, t, a
#define FMA2(t, a, b) \
	VFMADD231PS Z16, t, a; \
	VFMADD231PS Z17, t, b
#define FMA4(t, a, b, c, d) \
	VFMADD231PS Z16, t, a; \
	VFMADD231PS Z17, t, b; \
	VFMADD231PS Z18, t, c; \
	VFMADD231PS Z19, t, d

// Loads the values of A for a step, and moves on to the next.
#define TAKE8 \
	VBROADCASTSS (A), Z24;           \
	VBROADCASTSS (A)(AROW*1), Z25;   \
	VBROADCASTSS (A)(AROW*2), Z26;   \
	VBROADCASTSS (A3), Z27;          \
	VBROADCASTSS (A3)(AROW*1), Z28;  \
	VBROADCASTSS (A3)(AROW*2), Z29;  \
	VBROADCASTSS (A6), Z30;          \
	VBROADCASTSS (A6)(AROW*1), Z31;  \
	ADDQ $4, A;                      \
	ADDQ $4, A3;                     \
	ADDQ $4, A6
#define TAKE4 \
	VBROADCASTSS (A), Z24;           \
	VBROADCASTSS (A)(AROW*1), Z25;   \
	VBROADCASTSS (A)(AROW*2), Z26;   \
	VBROADCASTSS (A3), Z27;          \
	ADDQ $4, A;                      \
	ADDQ $4, A3
#define TAKE2 \
	VBROADCASTSS (A), Z24;           \
	VBROADCASTSS (A)(AROW*1), Z25;   \
	ADDQ $4, A
#define TAKE1 \
	VBROADCASTSS (A), Z24;           \
	ADDQ $4, A

#define LOADB1(LOAD) \
	LOAD((B), Z16); \
	ADDQ BROW, B
#define LOADB2(LOAD, size) \
	LOAD((B), Z16);         \
	LOAD((16*size)(B), Z17); \
	ADDQ BROW, B
#define LOADB4(LOAD, size) \
	LOAD((B), Z16);          \
	LOAD((16*size)(B), Z17); \
	LOAD((32*size)(B), Z18); \
	LOAD((48*size)(B), Z19); \
	ADDQ BROW, B
#define LOADB8(LOAD, size) \
	LOAD((B), Z16);           \
	LOAD((16*size)(B), Z17);  \
	LOAD((32*size)(B), Z18);  \
	LOAD((48*size)(B), Z19);  \
	LOAD((64*size)(B), Z20);  \
	LOAD((80*size)(B), Z21);  \
	LOAD((96*size)(B), Z22);  \
	LOAD((112*size)(B), Z23); \
	ADDQ BROW, B

// Steps for strips, and for the last columns (STEP…R).
#define STEP8(FULL, PART, size) \
	LOADB2(FULL, size); \
	TAKE8;              \
	FMA2(Z24, Z0, Z1);   FMA2(Z25, Z2, Z3);   FMA2(Z26, Z4, Z5);   FMA2(Z27, Z6, Z7); \
	FMA2(Z28, Z8, Z9);   FMA2(Z29, Z10, Z11); FMA2(Z30, Z12, Z13); FMA2(Z31, Z14, Z15)
#define STEP8R(FULL, PART, size) \
	LOADB1(PART); \
	TAKE8;        \
	FMA1(Z24, Z0); FMA1(Z25, Z1); FMA1(Z26, Z2); FMA1(Z27, Z3); \
	FMA1(Z28, Z4); FMA1(Z29, Z5); FMA1(Z30, Z6); FMA1(Z31, Z7)
#define STEP4(FULL, PART, size) \
	LOADB4(FULL, size); \
	TAKE4;              \
	FMA4(Z24, Z0, Z1, Z2, Z3);   FMA4(Z25, Z4, Z5, Z6, Z7); \
	FMA4(Z26, Z8, Z9, Z10, Z11); FMA4(Z27, Z12, Z13, Z14, Z15)
#define STEP4R(FULL, PART, size) \
	LOADB1(PART); \
	TAKE4;        \
	FMA1(Z24, Z0); FMA1(Z25, Z1); FMA1(Z26, Z2); FMA1(Z27, Z3)
#define STEP2(FULL, PART, size) \
	LOADB4(FULL, size); \
	TAKE2;              \
	FMA4(Z24, Z0, Z1, Z2, Z3); FMA4(Z25, Z4, Z5, Z6, Z7)
#define STEP2R(FULL, PART, size) \
	LOADB1(PART); \
	TAKE2;        \
	FMA1(Z24, Z0); FMA1(Z25, Z1)
#define STEP1(FULL, PART, size) \
	LOADB8(FULL, size); \
	TAKE1;              \
	FMA4(Z24, Z0, Z1, Z2, Z3);     \
	VFMADD231PS Z20, Z24, Z4;      \
	VFMADD231PS Z21, Z24, Z5;      \
	VFMADD231PS Z22, Z24, Z6;      \
	VFMADD231PS Z23, Z24, Z7
#define STEP1R(FULL, PART, size) \
	LOADB1(PART); \
	TAKE1;        \
	FMA1(Z24, Z0)

#define SUMS8(IN) IN(Z0, Z1); IN(Z2, Z3); IN(Z4, Z5); IN(Z6, Z7); IN(Z8, Z9); IN(Z10, Z11); IN(Z12, Z13); IN(Z14, Z15)
#define SUMS4(IN) IN(Z0, Z1, Z2, Z3); IN(Z4, Z5, Z6, Z7); IN(Z8, Z9, Z10, Z11); IN(Z12, Z13, Z14, Z15)
#define SUMS2(IN) IN(Z0, Z1, Z2, Z3); IN(Z4, Z5, Z6, Z7)
#define IN8S SUMS8(IN2)
#define OUT8S SUMS8(OUT2)
#define IN4S SUMS4(IN4)
#define OUT4S SUMS4(OUT4)
#define IN2S SUMS2(IN4)
#define OUT2S SUMS2(OUT4)
#define IN1S IN4(Z0, Z1, Z2, Z3); LEAQ 256(C), BX; IN4(Z4, Z5, Z6, Z7)
#define OUT1S OUT4(Z0, Z1, Z2, Z3); LEAQ 256(C), BX; OUT4(Z4, Z5, Z6, Z7)
#define IN1R IN1(K3, Z0)
#define IN2R IN1R; IN1(K3, Z1)
#define IN4R IN2R; IN1(K3, Z2); IN1(K3, Z3)
#define IN8R IN4R; IN1(K3, Z4); IN1(K3, Z5); IN1(K3, Z6); IN1(K3, Z7)
#define OUT1R OUT1(Z0)
#define OUT2R OUT1R; OUT1(Z1)
#define OUT4R OUT2R; OUT1(Z2); OUT1(Z3)
#define OUT8R OUT4R; OUT1(Z4); OUT1(Z5); OUT1(Z6); OUT1(Z7)

// A step of one row in vectors of 256 bits, for processors that split 512-bit
// operations. On a Zen 4 a conversion of 8 elements from memory takes 0.5 cycles, one of
// 16 takes 1.4. So 128 columns take 9.5 cycles a step, in 16 accumulators, instead of
// 15.6. That is faster than the L3 cache delivers: each step prefetches the row 8 steps
// ahead, into the L2 cache. In the L1 cache, rows a multiple of 4096 bytes apart evict
// each other.
#define STEP1Y(FULL, PART, size) \
	VBROADCASTSS (A), Y31;       \
	ADDQ         $4, A;          \
	PREFETCHT1   0(B)(BROW*8); \
	PREFETCHT1   64(B)(BROW*8); \
	PREFETCHT1   128(B)(BROW*8); \
	PREFETCHT1   192(B)(BROW*8); \
	FULL(0(B), Y16);       \
	FULL(16(B), Y17);       \
	FULL(32(B), Y18);       \
	FULL(48(B), Y19);       \
	FULL(64(B), Y20);       \
	FULL(80(B), Y21);       \
	FULL(96(B), Y22);       \
	FULL(112(B), Y23);      \
	VFMADD231PS  Y16, Y31, Y0; \
	VFMADD231PS  Y17, Y31, Y1; \
	VFMADD231PS  Y18, Y31, Y2; \
	VFMADD231PS  Y19, Y31, Y3; \
	VFMADD231PS  Y20, Y31, Y4; \
	VFMADD231PS  Y21, Y31, Y5; \
	VFMADD231PS  Y22, Y31, Y6; \
	VFMADD231PS  Y23, Y31, Y7; \
	FULL(128(B), Y16);      \
	FULL(144(B), Y17);      \
	FULL(160(B), Y18);      \
	FULL(176(B), Y19);      \
	FULL(192(B), Y20);      \
	FULL(208(B), Y21);      \
	FULL(224(B), Y22);      \
	FULL(240(B), Y23);      \
	VFMADD231PS  Y16, Y31, Y8; \
	VFMADD231PS  Y17, Y31, Y9; \
	VFMADD231PS  Y18, Y31, Y10; \
	VFMADD231PS  Y19, Y31, Y11; \
	VFMADD231PS  Y20, Y31, Y12; \
	VFMADD231PS  Y21, Y31, Y13; \
	VFMADD231PS  Y22, Y31, Y14; \
	VFMADD231PS  Y23, Y31, Y15; \
	ADDQ         BROW, B
#define EACH1Y(DO) \
	DO(0, Y0);    DO(32, Y1);   DO(64, Y2);   DO(96, Y3);   \
	DO(128, Y4);  DO(160, Y5);  DO(192, Y6);  DO(224, Y7);  \
	DO(256, Y8);  DO(288, Y9);  DO(320, Y10); DO(352, Y11); \
	DO(384, Y12); DO(416, Y13); DO(448, Y14); DO(480, Y15)
#define INY(at, y) VMOVUPS.Z at(BX), K2, y
#define OUTY(at, y) VMOVUPS y, at(BX)
#define IN1Y EACH1Y(INY)
#define OUT1Y EACH1Y(OUTY)

// A strip: loads its sums, runs the loop over k, stores them.
#define STRIP(TAKEIN, STEP, LEAVE, FULL, PART, size, loop, store) \
	MOVQ  C, BX;               \
	TAKEIN;                    \
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
	STEP(FULL, PART, size);    \
	DECQ  K;                   \
	JNZ   loop;                \
store:                             \
	MOVQ  C, BX;               \
	LEAVE

// A function: strips of width columns, then the last columns. b is the field with the
// matrix, size the bytes of an element of it, shift their logarithm.
#define THIN(b, width, INS, STEP, OUTS, INR, STEPR, OUTR, FULL, PART, size, shift) \
	MOVQ    thinArgs_aRow(ARGS), AROW;                        \
	MOVQ    b(ARGS), BSTRIP;                                  \
	MOVQ    thinArgs_bRow(ARGS), BROW;                        \
	MOVQ    thinArgs_c(ARGS), C;                              \
	MOVQ    thinArgs_ldc(ARGS), LDC;                          \
	MOVQ    thinArgs_cols(ARGS), COLS;                        \
	MOVBLZX thinArgs_accumulate(ARGS), AX;                    \
	SHLQ    $2, AROW;                                         \
	SHLQ    $shift, BROW;                                     \
	SHLQ    $2, LDC;                                          \
	NEGL    AX;                                               \
	KMOVW   AX, K2;                                           \
	SUBQ    $width, COLS;                                     \
	JLT     rest;                                             \
strip:                                                            \
	STRIP(INS, STEP, OUTS, FULL, PART, size, loop, store);    \
	ADDQ    $(width*size), BSTRIP;                            \
	ADDQ    $(width*4), C;                                    \
	SUBQ    $width, COLS;                                     \
	JGE     strip;                                            \
rest:                                                             \
	ADDQ    $width, COLS;                                     \
	JZ      done;                                             \
vector:                                                           \
	MOVQ    $16, CX;                                          \
	CMPQ    COLS, CX;                                         \
	CMOVQLT COLS, CX;                                         \
	MOVL    $-1, AX;                                          \
	BZHIL   CX, AX, AX;                                       \
	KMOVW   AX, K1;                                           \
	KANDW   K1, K2, K3;                                       \
	STRIP(INR, STEPR, OUTR, FULL, PART, size, loopr, storer); \
	ADDQ    $(16*size), BSTRIP;                               \
	ADDQ    $64, C;                                           \
	SUBQ    $16, COLS;                                        \
	JGT     vector;                                           \
done:                                                             \
	VZEROUPPER;                                               \
	RET

// func thin8F16AVX512(args *thinArgs)
TEXT ·thin8F16AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 32, IN8S, STEP8, OUT8S, IN8R, STEP8R, OUT8R, FULLF16, PARTF16, 2, 1)

// func thin4F16AVX512(args *thinArgs)
TEXT ·thin4F16AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 64, IN4S, STEP4, OUT4S, IN4R, STEP4R, OUT4R, FULLF16, PARTF16, 2, 1)

// func thin2F16AVX512(args *thinArgs)
TEXT ·thin2F16AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 64, IN2S, STEP2, OUT2S, IN2R, STEP2R, OUT2R, FULLF16, PARTF16, 2, 1)

// func thin1F16AVX512(args *thinArgs)
TEXT ·thin1F16AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 128, IN1S, STEP1, OUT1S, IN1R, STEP1R, OUT1R, FULLF16, PARTF16, 2, 1)

// func thin1F16HalvesAVX512(args *thinArgs)
TEXT ·thin1F16HalvesAVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 128, IN1Y, STEP1Y, OUT1Y, IN1R, STEP1R, OUT1R, FULLF16, PARTF16, 2, 1)

// func thin8F32AVX512(args *thinArgs)
TEXT ·thin8F32AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 32, IN8S, STEP8, OUT8S, IN8R, STEP8R, OUT8R, FULLF32, PARTF32, 4, 2)

// func thin4F32AVX512(args *thinArgs)
TEXT ·thin4F32AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 64, IN4S, STEP4, OUT4S, IN4R, STEP4R, OUT4R, FULLF32, PARTF32, 4, 2)

// func thin2F32AVX512(args *thinArgs)
TEXT ·thin2F32AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 64, IN2S, STEP2, OUT2S, IN2R, STEP2R, OUT2R, FULLF32, PARTF32, 4, 2)

// func thin1F32AVX512(args *thinArgs)
TEXT ·thin1F32AVX512(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), ARGS
	THIN(thinArgs_b, 128, IN1S, STEP1, OUT1S, IN1R, STEP1R, OUT1R, FULLF32, PARTF32, 4, 2)
