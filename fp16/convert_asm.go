//go:build (amd64 || arm64) && !purego

package fp16

const (
	// lanes is what the assembly converts at once; Go takes the rest.
	lanes = 8
	// chunk bounds one assembly call to some tens of microseconds, because
	// the scheduler and the garbage collector cannot interrupt it.
	chunk = 1 << 16
)

func widen(dst []float32, src []Float16) {
	if hasConversions {
		for len(src) >= lanes {
			n := min(len(src), chunk) &^ (lanes - 1)
			widenVectors(&dst[0], &src[0], n)
			dst, src = dst[n:], src[n:]
		}
	}
	widenGo(dst, src)
}

func narrow(dst []Float16, src []float32) {
	if hasConversions {
		for len(src) >= lanes {
			n := min(len(src), chunk) &^ (lanes - 1)
			narrowVectors(&dst[0], &src[0], n)
			dst, src = dst[n:], src[n:]
		}
	}
	narrowGo(dst, src)
}

// widenVectors is widenGo over n elements. n must be a positive multiple of lanes.
//
//go:noescape
func widenVectors(dst *float32, src *Float16, n int)

// narrowVectors is narrowGo over n elements. n must be a positive multiple of lanes.
//
//go:noescape
func narrowVectors(dst *Float16, src *float32, n int)
