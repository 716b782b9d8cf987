//go:build !purego

package fp16

import "golang.org/x/sys/cpu"

// hasLookup says whether AVX-512BW may be used. HasAVX512F also tells that the system
// saves the registers.
var hasLookup = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW

func lookup(dst []Float16, table *[256]Float16, src []byte) {
	if !hasLookup {
		lookupGo(dst, table, src)
		return
	}
	for len(src) > 0 {
		n := min(len(src), chunk)
		lookupVectors(&lookupArgs{dst: &dst[0], table: table, src: &src[0], n: n})
		dst, src = dst[n:], src[n:]
	}
}

// lookupArgs are the arguments of lookupVectors.
type lookupArgs struct {
	dst   *Float16
	table *[256]Float16
	src   *byte
	n     int // elements, at least 1
}

// lookupVectors is lookupGo over n elements.
//
//go:noescape
func lookupVectors(args *lookupArgs)
