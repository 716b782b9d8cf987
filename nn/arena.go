package nn

import (
	"cmp"
	"slices"
)

// block is memory of a plan's arena that is needed from one time to another, both included.
type block struct {
	bytes    int
	from, to int
	offset   int // the result of place
}

// alignment is the multiple of bytes at which blocks begin: a cache line, and the widest
// vector.
const alignment = 64

// place sets the offsets of blocks, so that blocks needed at the same time do not overlap,
// and returns the size of the arena. It places the largest block first, each in the lowest
// gap that is wide enough ("greedy by size": Pisarchyk and Lee, "Efficient Memory
// Management for Deep Neural Net Inference", 2020).
func place(blocks []*block) (size int) {
	order := slices.Clone(blocks)
	slices.SortStableFunc(order, func(a, b *block) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.from, b.from))
	})
	var placed []*block // by offset
	for _, b := range order {
		b.bytes = (b.bytes + alignment - 1) / alignment * alignment
		b.offset = 0
		for _, other := range placed {
			if other.to < b.from || b.to < other.from {
				continue // at another time
			}
			if b.offset+b.bytes <= other.offset {
				break // the gap before it is wide enough
			}
			b.offset = max(b.offset, other.offset+other.bytes)
		}
		at, _ := slices.BinarySearchFunc(placed, b, func(x, b *block) int { return cmp.Compare(x.offset, b.offset) })
		placed = slices.Insert(placed, at, b)
		size = max(size, b.offset+b.bytes)
	}
	return size
}

// needed returns the most bytes that blocks need at one time: no arena is smaller.
func needed(blocks []*block) (most int) {
	for _, at := range blocks { // the need rises only where a block begins
		sum := 0
		for _, b := range blocks {
			if b.from <= at.from && at.from <= b.to {
				sum += b.bytes
			}
		}
		most = max(most, sum)
	}
	return most
}
