// Instructions without a mnemonic in Go's assembler, one macro each. Registers are bare
// numbers, in Go's order: sources first, the destination last. Encodings are those of
// the Arm Architecture Reference Manual (DDI 0487), chapter C7.2.
//
// The comment before a macro is its instruction as a disassembler prints it, with the
// macro's parameters in braces. TestEncodings assembles every macro with many operands,
// and compares llvm-mc's disassembly with these comments.

// d += n × lane i of m; for FMLAL and FMLAL2 m is below 16

// fmla v{d}.4s, v{n}.4s, v{m}.s[{i}]
#define FMLA_LANE(m, i, n, d) WORD $(0x4f801000 | ((i)&1)<<21 | ((i)&2)<<10 | (m)<<16 | (n)<<5 | (d))
// fmlal v{d}.4s, v{n}.4h, v{m}.h[{i}]
#define FMLAL_LANE(m, i, n, d) WORD $(0x4f800000 | ((i)&1)<<20 | ((i)&2)<<20 | ((i)&4)<<9 | (m)<<16 | (n)<<5 | (d))
// fmlal2 v{d}.4s, v{n}.4h, v{m}.h[{i}]
#define FMLAL2_LANE(m, i, n, d) WORD $(0x6f808000 | ((i)&1)<<20 | ((i)&2)<<20 | ((i)&4)<<9 | (m)<<16 | (n)<<5 | (d))

// Load an fp16 into lane 0 and zeros into the others, and move on to the next

// ldr h{t}, [x{n}], #2
#define LDRH_POST(n, t) WORD $(0x7c402400 | (n)<<5 | (t))

// Conversions: from the lower or upper half of n, and to the lower or upper half of d.
// FCVTN clears the upper half.

// fcvtl v{d}.4s, v{n}.4h
#define FCVTL(n, d) WORD $(0x0e217800 | (n)<<5 | (d))
// fcvtl2 v{d}.4s, v{n}.8h
#define FCVTL2(n, d) WORD $(0x4e217800 | (n)<<5 | (d))
// fcvtn v{d}.4h, v{n}.4s
#define FCVTN(n, d) WORD $(0x0e216800 | (n)<<5 | (d))
// fcvtn2 v{d}.8h, v{n}.4s
#define FCVTN2(n, d) WORD $(0x4e216800 | (n)<<5 | (d))

// Arithmetic on four float32: d = n op m, each rounded

// fadd v{d}.4s, v{n}.4s, v{m}.4s
#define FADD4S(m, n, d) WORD $(0x4e20d400 | (m)<<16 | (n)<<5 | (d))
// fsub v{d}.4s, v{n}.4s, v{m}.4s
#define FSUB4S(m, n, d) WORD $(0x4ea0d400 | (m)<<16 | (n)<<5 | (d))
// fmul v{d}.4s, v{n}.4s, v{m}.4s
#define FMUL4S(m, n, d) WORD $(0x6e20dc00 | (m)<<16 | (n)<<5 | (d))
// fmul v{d}.4s, v{n}.4s, v{m}.s[{i}]
#define FMUL_LANE(m, i, n, d) WORD $(0x4f809000 | ((i)&1)<<21 | ((i)&2)<<10 | (m)<<16 | (n)<<5 | (d))
// fdiv v{d}.4s, v{n}.4s, v{m}.4s
#define FDIV4S(m, n, d) WORD $(0x6e20fc00 | (m)<<16 | (n)<<5 | (d))
// fmin v{d}.4s, v{n}.4s, v{m}.4s
#define FMIN4S(m, n, d) WORD $(0x4ea0f400 | (m)<<16 | (n)<<5 | (d))
// fmax v{d}.4s, v{n}.4s, v{m}.4s
#define FMAX4S(m, n, d) WORD $(0x4e20f400 | (m)<<16 | (n)<<5 | (d))
// fsqrt v{d}.4s, v{n}.4s
#define FSQRT4S(n, d) WORD $(0x6ea1f800 | (n)<<5 | (d))

// Comparisons, which set the lanes of d where they hold to all ones, and their use

// fcmle v{d}.4s, v{n}.4s, #0.0
#define FCMLE0(n, d) WORD $(0x6ea0d800 | (n)<<5 | (d))
// fcmlt v{d}.4s, v{n}.4s, #0.0
#define FCMLT0(n, d) WORD $(0x4ea0e800 | (n)<<5 | (d))
// fcmgt v{d}.4s, v{n}.4s, v{m}.4s
#define FCMGT4S(m, n, d) WORD $(0x6ea0e400 | (m)<<16 | (n)<<5 | (d))
// cmlt v{d}.4s, v{n}.4s, #0
#define CMLT0_4S(n, d) WORD $(0x4ea0a800 | (n)<<5 | (d))
// cmgt v{d}.8h, v{n}.8h, #0
#define CMGT0_8H(n, d) WORD $(0x4e608800 | (n)<<5 | (d))
// cmgt v{d}.8h, v{n}.8h, v{m}.8h
#define CMGT8H(m, n, d) WORD $(0x4e603400 | (m)<<16 | (n)<<5 | (d))
// bic v{d}.16b, v{n}.16b, v{m}.16b
#define BIC(m, n, d) WORD $(0x4e601c00 | (m)<<16 | (n)<<5 | (d))
// umaxv h{d}, v{n}.8h
#define UMAXV8H(n, d) WORD $(0x6e70a800 | (n)<<5 | (d))
// umaxv s{d}, v{n}.4s
#define UMAXV4S(n, d) WORD $(0x6eb0a800 | (n)<<5 | (d))
