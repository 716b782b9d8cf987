// Instructions without a mnemonic in Go's assembler, as in kernels/arm64, whose
// TestEncodings checks these too. Registers are bare numbers, the source first. The
// comment before a macro is its instruction as a disassembler prints it.

// fcvtl v{d}.4s, v{n}.4h
#define FCVTL(n, d) WORD $(0x0e217800 | (n)<<5 | (d))
// fcvtl2 v{d}.4s, v{n}.8h
#define FCVTL2(n, d) WORD $(0x4e217800 | (n)<<5 | (d))
// fcvtn v{d}.4h, v{n}.4s
#define FCVTN(n, d) WORD $(0x0e216800 | (n)<<5 | (d))
// fcvtn2 v{d}.8h, v{n}.4s
#define FCVTN2(n, d) WORD $(0x4e216800 | (n)<<5 | (d))
