//go:build (amd64 || arm64) && !purego

package fp16

const (
	// lanes is what the assembly converts at once; Go takes the rest.
	lanes = 8
	// chunk bounds an assembly call to some tens of microseconds, because the scheduler
	// and the garbage collector cannot interrupt it.
	chunk = 1 << 16
)

func widen(dst []float32, src []Float16) {
	if hasConversions {
		for len(src) >= lanes {
			n := min(len(src), chunk) &^ (lanes - 1)
			widenVectors(&widenArgs{dst: &dst[0], src: &src[0], n: n})
			dst, src = dst[n:], src[n:]
		}
	}
	widenGo(dst, src)
}

func narrow(dst []Float16, src []float32) {
	if hasConversions {
		for len(src) >= lanes {
			n := min(len(src), chunk) &^ (lanes - 1)
			narrowVectors(&narrowArgs{dst: &dst[0], src: &src[0], n: n})
			dst, src = dst[n:], src[n:]
		}
	}
	narrowGo(dst, src)
}

// widenArgs are the arguments of widenVectors. Assembly finds arguments by their offsets
// in go_asm.h.
type widenArgs struct {
	dst *float32
	src *Float16
	n   int // elements, a positive multiple of lanes
}

// narrowArgs are the arguments of narrowVectors.
type narrowArgs struct {
	dst *Float16
	src *float32
	n   int // elements, a positive multiple of lanes
}

// widenVectors is widenGo over n elements.
//
//go:noescape
func widenVectors(args *widenArgs)

// narrowVectors is narrowGo over n elements.
//
//go:noescape
func narrowVectors(args *narrowArgs)
