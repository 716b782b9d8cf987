//go:build !purego

package fp16

import "golang.org/x/sys/cpu"

// hasConversions says whether VCVTPH2PS and VCVTPS2PH may be used on ymm registers.
// F16C alone is not enough: HasAVX also tells that the system saves them.
var hasConversions = cpu.X86.HasF16C && cpu.X86.HasAVX
