//go:build amd64 && !purego

package fp16

import "golang.org/x/sys/cpu"

// hasF16C says whether VCVTPH2PS and VCVTPS2PH may be used on ymm registers.
// F16C alone is not enough: HasAVX also tells that the system saves them.
var hasF16C = cpu.X86.HasF16C && cpu.X86.HasAVX

const (
	// lanes is what the assembly converts at once; Go takes the rest.
	lanes = 8
	// chunk bounds one assembly call to some tens of microseconds, because
	// the scheduler and the garbage collector cannot interrupt it.
	chunk = 1 << 16
)

func widen(dst []float32, src []Float16) {
	if hasF16C {
		for len(src) >= lanes {
			n := min(len(src), chunk) &^ (lanes - 1)
			widenF16C(&dst[0], &src[0], n)
			dst, src = dst[n:], src[n:]
		}
	}
	widenGo(dst, src)
}

func narrow(dst []Float16, src []float32) {
	if hasF16C {
		for len(src) >= lanes {
			n := min(len(src), chunk) &^ (lanes - 1)
			narrowF16C(&dst[0], &src[0], n)
			dst, src = dst[n:], src[n:]
		}
	}
	narrowGo(dst, src)
}

// widenF16C is widenGo over n elements. n must be a positive multiple of lanes.
//
//go:noescape
func widenF16C(dst *float32, src *Float16, n int)

// narrowF16C is narrowGo over n elements. n must be a positive multiple of lanes.
//
//go:noescape
func narrowF16C(dst *Float16, src *float32, n int)
