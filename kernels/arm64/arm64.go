// Package arm64 has the kernels in AArch64 assembly. It imports no other tier; on
// other architectures, and with the build tag purego, it compiles to a package
// without kernels.
//
//   - neonfhm: Advanced SIMD with FEAT_FHM, whose FMLAL multiplies fp16 values and
//     adds to float32: Apple from the M1 on, Neoverse V1 and N2, Cortex-A78C and
//     X1C on. Tile 6×16, of operands that stay fp16.
//   - neon: Advanced SIMD as every AArch64 processor has it, which converts between
//     fp16 and float32 and has FMA for the latter. Tile 6×16.
//
// Go's assembler lacks most of the instructions. encode_arm64.h has a macro for
// each, which a test compares with a disassembler.
package arm64
