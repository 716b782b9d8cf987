// Package amd64 has the kernels in x86-64 assembly. It imports no other tier. On
// other architectures, and with the build tag purego, it has no kernels.
//
//   - avx512: AVX-512 F, BW, VL and DQ, on Intel servers from Skylake-SP
//     (2017) and AMD from Zen 4 (2022) on. Tile 12×32.
//   - avx2: AVX2, FMA and F16C, on Intel from Haswell (2013) and AMD from
//     Excavator (2015) on. Tile 6×16.
package amd64

//go:generate go run ../../internal/vectorgen amd64
