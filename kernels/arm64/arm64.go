// Package arm64 has the kernels in AArch64 assembly. On other architectures, and with
// the build tag purego, it has none.
//
//   - neonfhm: Advanced SIMD with FEAT_FHM, whose FMLAL multiplies fp16 values and adds
//     to float32 (Apple M1, Neoverse V1 and N2, Cortex-A78C and X1C, and later ones).
//     Tile 6×16; operands stay fp16.
//   - neon: Advanced SIMD as every AArch64 processor has it: float32 FMA, and conversions
//     between fp16 and float32. Tile 6×16.
//
// Go's assembler has no mnemonics for most of the instructions. encode_arm64.h has a
// macro for each; a test checks them against a disassembler.
package arm64

//go:generate go run ../../internal/vectorgen arm64
