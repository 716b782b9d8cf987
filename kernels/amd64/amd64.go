// Package amd64 has the kernels in x86-64 assembly. It imports no other tier;
// on other architectures, and with the build tag purego, it compiles to a
// package without kernels.
//
//   - avx2: AVX2, FMA and F16C, that is Intel from Haswell (2013) and AMD from
//     Excavator (2015) on. Tile 6×16.
package amd64
