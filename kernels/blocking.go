package kernels

import (
	"cmp"
	"fmt"

	"github.com/klauspost/cpuid/v2"

	"github.com/halfgrad/halfgrad/kernels/micro"
)

// Blocking holds the block sizes of a matrix product: a thread computes blocks
// of MC×NC elements of C at a time, KC steps at a time, and as many columns of
// B are packed at once as make at most B elements.
type Blocking struct{ MC, KC, NC, B int }

func (b Blocking) check() error {
	if b.MC < 0 || b.KC < 0 || b.NC < 0 || b.B < 0 {
		return fmt.Errorf("kernels: blocking %+v: sizes must be positive, or 0 for the default", b)
	}
	return nil
}

// or returns b with its zero fields taken from d.
func (b Blocking) or(d Blocking) Blocking {
	return Blocking{MC: cmp.Or(b.MC, d.MC), KC: cmp.Or(b.KC, d.KC), NC: cmp.Or(b.NC, d.NC), B: cmp.Or(b.B, d.B)}
}

// Caches holds the sizes, in bytes, of the data caches that one core sees.
type Caches struct {
	L1D int `json:"l1d"`
	L2  int `json:"l2"`
	L3  int `json:"l3"`
}

// MachineCaches returns the cache sizes as the processor reports them. Where
// it reports none, or nonsense, they are taken to be 32 KiB, 512 KiB and 4 MiB:
// what the smaller ones of today's cores have.
func MachineCaches() Caches {
	orDefault := func(reported, least, size int) int {
		if reported < least {
			return size
		}
		return reported
	}
	c := cpuid.CPU.Cache
	return Caches{
		L1D: orDefault(c.L1D, 8<<10, 32<<10),
		L2:  orDefault(c.L2, 128<<10, 512<<10),
		L3:  orDefault(c.L3, 1<<20, 4<<20),
	}
}

// blockingFor derives block sizes in the manner of Low et al. ("Analytical
// Modeling Is Enough for High-Performance BLIS", ACM TOMS 43(2), 2016):
//
//   - a panel of B, KC×NR, fits the L1 cache and 32 KiB, and is at most 384 steps
//     deep: A comes in streams, which the prefetchers see;
//   - a block of A, MC×KC, fills a quarter of the L2 cache; the rest is for the
//     sums of a block of C, MC×1024, and the panels of B, which pass through;
//   - the packed B, where it is packed beforehand, is as large as the L2 cache:
//     packed soon before use it has not gone far, and other cores use the L3
//     cache too.
//
// BenchmarkBlocking is the measurement behind these numbers. On a Zen 5 depths
// from 256 to 512, widths from 512 to 2048 and blocks of A from a sixth to a
// third of the cache are within its noise of 3 %, half of the cache loses up to
// 5 % on large products; on AVX-512 a depth of 256 is ahead by 1 %, and 192 and
// 768 are slower; a packed B of 4 MiB is 5 % slower than one of 2, and that 3 %
// slower than one of 1.
func blockingFor(k micro.Kernel, c Caches) Blocking {
	const size = 4 // bytes of a packed element
	kc := min(max(roundDown(min(c.L1D, 32<<10)/(size*k.NR), 8), 64), 384)
	return Blocking{
		MC: max(roundDown(c.L2/4/(size*kc), k.MR), k.MR),
		KC: kc,
		NC: roundUp(1024, k.NR),
		B:  min(c.L2, c.L3/2) / size,
	}
}

// split cuts n into the fewest parts of at most most elements each, as equal
// as multiples of unit allow, and returns the size of all but the last.
func split(n, most, unit int) int {
	return roundUp(ceilDiv(n, ceilDiv(n, most)), unit)
}

func ceilDiv(n, d int) int      { return (n + d - 1) / d }
func roundUp(n, unit int) int   { return ceilDiv(n, unit) * unit }
func roundDown(n, unit int) int { return n / unit * unit }
