package kernels

import (
	"cmp"
	"fmt"

	"github.com/klauspost/cpuid/v2"

	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Blocking holds the block sizes of a matrix product, in elements. A thread computes
// blocks of C of MC rows and NC columns, KC steps at a time; with at most KC steps in all,
// a block may have all rows. With fewer than KC steps NC grows, so that a block of B keeps
// KC×NC elements. A B that is packed beforehand is packed at most B elements at a time.
type Blocking struct{ MC, KC, NC, B int }

// check returns an error for sizes that are negative, or so large that a product of two
// of them, which the driver takes, could overflow an int.
func (b Blocking) check() error {
	const most, mostB = 1 << 15, 1 << 30
	if min(b.MC, b.KC, b.NC, b.B) < 0 || max(b.MC, b.KC, b.NC) > most || b.B > mostB {
		return fmt.Errorf("kernels: blocking %+v: want at most %d for MC, KC and NC, at most %d for B, and 0 for the default", b, most, mostB)
	}
	return nil
}

// or returns b with its zero fields replaced by those of d.
func (b Blocking) or(d Blocking) Blocking {
	return Blocking{MC: cmp.Or(b.MC, d.MC), KC: cmp.Or(b.KC, d.KC), NC: cmp.Or(b.NC, d.NC), B: cmp.Or(b.B, d.B)}
}

// Caches holds the sizes, in bytes, of the data caches that one core sees.
type Caches struct {
	L1D int `json:"l1d"`
	L2  int `json:"l2"`
	L3  int `json:"l3"`
}

// MachineCaches returns the cache sizes that the processor reports. A missing or
// implausible size is replaced by 32 KiB, 512 KiB or 4 MiB, those of today's smaller cores.
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
//   - a strip of A, 12×KC, fills three quarters of the L1 cache, and is at most
//     512 steps deep;
//   - a block of B, KC×NC, fills half of the L2 cache, and so do the sums of a
//     block of C, MC×NC, if there are several blocks over k: neither is needed as a
//     whole at any one time;
//   - a B that is packed beforehand is packed in parts twice as large as the L2 cache,
//     which are used before they have left the L3 cache.
//
// BenchmarkBlocking is the measurement behind these numbers. On a Zen 4 with 1 MiB of
// L2, from 1024×1024×1024 on, KC from 256 to 512 and MC from 240 to 480 differ by no more
// than the noise of 2 %. A KC slightly smaller than k loses 1 % (128×256×784 is at 0.95 of
// the peak with 256, at 0.96 with 512), a third of the L2 cache for B 2 % on large
// products, MC = 120, whose rows are too few to share the work of widening B, up to 8 %,
// and packing half of the L3 cache instead of 2 MiB 2 % on 2048×2048×2048.
func blockingFor(k micro.Kernel, c Caches) Blocking {
	size := k.Panels.Size()
	kc := min(roundDown(c.L1D*3/4/(12*size), 8), 512)
	nc := max(roundDown(c.L2/2/(size*kc), k.NR), k.NR)
	return Blocking{
		MC: max(roundDown(c.L2/2/(tensor.F32.Size()*nc), rowUnit), k.MR),
		KC: kc,
		NC: nc,
		B:  min(c.L2*2, c.L3/2) / size,
	}
}

// split divides n into the fewest parts of at most most elements, as equal as multiples
// of unit allow, and returns the size of all parts but the last.
func split(n, most, unit int) int {
	return roundUp(ceilDiv(n, ceilDiv(n, most)), unit)
}

func ceilDiv(n, d int) int      { return (n + d - 1) / d }
func roundUp(n, unit int) int   { return ceilDiv(n, unit) * unit }
func roundDown(n, unit int) int { return n / unit * unit }
