// Vectorgen writes the assembly of package micro's Vector for AVX2, AVX-512 and NEON, and
// the Go files that declare it. A function is described once, as a list of operations on
// vectors of float32 (functions.go). The tiers differ in the width of a register and in
// the instructions for an operation (amd64.go, arm64.go).
//
// It is no compiler: there are no branches, a list must fit the registers, and operations
// stay in their order.
//
//	go generate ./kernels/amd64 ./kernels/arm64
package main

import (
	"fmt"
	"go/format"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 || files(os.Args[1]) == nil {
		fmt.Fprintln(os.Stderr, "usage: vectorgen amd64|arm64, in the package that gets the files")
		os.Exit(2)
	}
	for name, text := range files(os.Args[1]) {
		if err := os.WriteFile(filepath.Join(".", name), []byte(text), 0o666); err != nil {
			fmt.Fprintln(os.Stderr, "vectorgen:", err)
			os.Exit(1)
		}
	}
}

// files returns the files of the package kernels/arch by their names, or nil if there is
// no such package.
func files(arch string) map[string]string {
	switch arch {
	case "amd64":
		return map[string]string{
			"vector-avx2_amd64.s":   assembly(avx2),
			"vector-avx512_amd64.s": assembly(avx512),
			"vector_amd64.go":       declarations("amd64", []tier{{"avx512", "hasAVX512", "AVX512"}, {"avx2", "hasAVX2", "AVX2"}}),
		}
	case "arm64":
		return map[string]string{
			"vector-neon_arm64.s": assembly(neon),
			"vector_arm64.go":     declarations("arm64", []tier{{"neonfhm", "hasFHM", "NEON"}, {"neon", "hasNEON", "NEON"}}),
		}
	}
	return nil
}

// formatted is text by gofmt's rules.
func formatted(text string) string {
	b, err := format.Source([]byte(text))
	if err != nil {
		panic(err)
	}
	return string(b)
}
