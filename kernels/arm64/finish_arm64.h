// The end of a product, for the kernels of 6x16_arm64.h that finish: the tile passes the
// epilogue and is stored in dst as fp16, not in C. finish-f16-6x16-neon_arm64.s has the
// registers.

#define BIASBY  R19
#define DTILE   R22
#define DSTRIDE R23
#define DPASS   R24
#define BIAS    R25
#define RELU    R26
#define DAT     R10

#define NEXTPANEL(to) MOVD gemmArgs_bPanel(ARGS), to; LSL $BSHIFT, to
#define START \
	MOVD DPASS, DTILE;               \
	MOVD gemmArgs_bias(ARGS), BIAS;  \
	MOVD $minusZeros<>(SB), R0;      \
	CMP  $0, BIAS;                   \
	CSEL EQ, R0, BIAS, BIAS
#define PASSEDTOO(n) MOVD $n, R0; MADD R0, DPASS, DSTRIDE, DPASS

// Stands for a bias where there is none: adding −0 changes nothing.
DATA minusZeros<>+0(SB)/8, $0x8000000080000000
DATA minusZeros<>+8(SB)/8, $0x8000000080000000
DATA minusZeros<>+16(SB)/8, $0x8000000080000000
DATA minusZeros<>+24(SB)/8, $0x8000000080000000
DATA minusZeros<>+32(SB)/8, $0x8000000080000000
DATA minusZeros<>+40(SB)/8, $0x8000000080000000
DATA minusZeros<>+48(SB)/8, $0x8000000080000000
DATA minusZeros<>+56(SB)/8, $0x8000000080000000
GLOBL minusZeros<>(SB), RODATA|NOPTR, $64

// The begin of a function: the registers that KERNEL does not set.
#define BEGIN \
	MOVD  gemmArgs_dst(ARGS), DPASS;         \
	MOVD  gemmArgs_dstStride(ARGS), DSTRIDE; \
	LSL   $1, DSTRIDE;                       \
	MOVBU gemmArgs_relu(ARGS), RELU;         \
	NEG   RELU, RELU;                        \
	MOVD  gemmArgs_bias(ARGS), BIAS;         \
	CMP   $0, BIAS;                          \
	CSET  NE, BIASBY;                        \
	LSL   $6, BIASBY

// The end of a function: the sums are finite if the largest doubled magnitude is below
// that of infinity. Doubling drops the sign.
#define END \
	FMOVQ gemmArgs_most(ARGS), F7; \
	UMAXV8H(7, 7);                 \
	FMOVS F7, R0;                  \
	MOVD  $0xf800, R1;             \
	CMPW  R1, R0;                  \
	CSET  LO, R0;                  \
	MOVB  R0, gemmArgs_finite(ARGS)

// The epilogue of vector n, whose bias is b.
#define EPILOGUE(n, b) \
	FMUL_LANE(0, 0, n, n);       \
	FADD4S(b, n, n);             \
	FCMLE0(n, 5);                \
	VAND V6.B16, V5.B16, V5.B16; \
	BIC(5, n, n)

// A row of the tile from register n on, whose other names are f and v; g and w name
// register n+2.
#define FINISHROW(n, f, g, v, w) \
	EPILOGUE(n, 1);       \
	EPILOGUE(n+1, 2);     \
	EPILOGUE(n+2, 3);     \
	EPILOGUE(n+3, 4);     \
	FCVTN(n, n);          \
	FCVTN2(n+1, n);       \
	FCVTN(n+2, n+2);      \
	FCVTN2(n+3, n+2);     \
	FSTPQ (f, g), (DAT);  \
	ADD   DSTRIDE, DAT;   \
	VADD  v.H8, v.H8, v.H8; \
	VADD  w.H8, w.H8, w.H8; \
	VUMAX v.H8, V7.H8, V7.H8; \
	VUMAX w.H8, V7.H8, V7.H8

#define FINISH(ROWS) \
	MOVD  DTILE, DAT;               \
	ADD   $32, DTILE;               \
	FMOVS gemmArgs_scale(ARGS), F0; \
	FLDPQ (BIAS), (F1, F2);         \
	FLDPQ 32(BIAS), (F3, F4);       \
	ADD   BIASBY, BIAS;             \
	VDUP  RELU, V6.S4;              \
	FMOVQ gemmArgs_most(ARGS), F7;  \
	ROWS;                           \
	FMOVQ F7, gemmArgs_most(ARGS)

#define FINISH1 FINISHROW(8, F8, F10, V8, V10)
#define FINISH2 FINISH1; FINISHROW(12, F12, F14, V12, V14)
#define FINISH4 FINISH2; FINISHROW(16, F16, F18, V16, V18); FINISHROW(20, F20, F22, V20, V22)
#define FINISH6 FINISH4; FINISHROW(24, F24, F26, V24, V26); FINISHROW(28, F28, F30, V28, V30)
