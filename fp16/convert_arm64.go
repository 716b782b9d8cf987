//go:build !purego

package fp16

// hasConversions is what every AArch64 processor has.
const hasConversions = true
