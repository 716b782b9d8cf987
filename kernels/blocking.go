package kernels

import (
	"cmp"
	"fmt"

	"github.com/klauspost/cpuid/v2"

	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Blocking holds the block sizes of a matrix product: a thread computes blocks
// of MC×NC elements of C at a time, KC steps at a time, or of all rows where
// there are no more steps. With fewer steps NC is larger: KC×NC elements are a
// block of B. Where B has to be packed beforehand, as many columns are at once as
// make at most B elements.
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
//   - a strip of A, 12×KC, fills three quarters of the L1 cache, and is at most
//     512 steps deep;
//   - a block of B, KC×NC, fills half of the L2 cache, and so do the sums of a
//     block of C, MC×NC, where there are several blocks over k: of neither is all
//     needed at once;
//   - the packed B, where it is packed beforehand, is twice as large as the L2
//     cache: packed soon before use it has not gone far.
//
// BenchmarkBlocking is the measurement behind these numbers. On a Zen 4, with
// 1 MiB of L2, all between KC 256 and 512 and MC 240 and 480 is within its noise
// of 2 % from 1024×1024×1024 on; a shallower block loses where k is little more
// than it (128×256×784 is at 0.95 of the peak with 256, at 0.96 with 512), a third
// of the L2 cache for B 2 % on large products, and rows too few to share the work
// of widening B, 120, up to 8 %. A packed B of half of the L3 cache instead of 2 MiB
// loses 2 % on 2048×2048×2048.
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

// split cuts n into the fewest parts of at most most elements each, as equal
// as multiples of unit allow, and returns the size of all but the last.
func split(n, most, unit int) int {
	return roundUp(ceilDiv(n, ceilDiv(n, most)), unit)
}

func ceilDiv(n, d int) int      { return (n + d - 1) / d }
func roundUp(n, unit int) int   { return ceilDiv(n, unit) * unit }
func roundDown(n, unit int) int { return n / unit * unit }
