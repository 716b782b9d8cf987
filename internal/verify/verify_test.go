package verify

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/internal/require"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/portable"
	"github.com/halfgrad/halfgrad/tensor"
)

func engine(t *testing.T, tier string, threads int) *kernels.Engine {
	t.Helper()
	e, err := NewEngine(tier, threads)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The published digest on every tier, and of full with 1, 2 and 3 threads of each.
func TestPublished(t *testing.T) {
	cases, want := DefaultCases, Published
	if testing.Short() {
		cases = 400
	}
	for i, tier := range kernels.Supported() {
		for threads := 1; threads <= 3; threads++ {
			if threads != 3-i%3 && !testing.Short() && !require.Full() {
				continue
			}
			got, err := Digest(t.Context(), engine(t, tier, threads), cases, DefaultSeed, nil)
			if err != nil {
				t.Fatal(err)
			}
			if cases != DefaultCases && want == Published {
				want = got // of the first
			}
			if got != want {
				t.Errorf("%s, %d threads: %v differ:\n%+v, want\n%+v", tier, threads, got.Differ(want), got, want)
			}
		}
	}
}

// One bit of one result is another digest of its group and of all, and of no
// other group: the answer's, and any of any element in the memory.
func TestEveryBitCounts(t *testing.T) {
	e := engine(t, kernels.Auto, 2)
	rng := rand.New(rand.NewPCG(1, 1))
	spoiled := map[string]bool{}
	for seed := range uint64(300) {
		var group Group
		sums := func(spoil bool) Sums {
			s, err := digest(t.Context(), e, 3, seed, func(i int, c *drawn) {
				if i == 1 && spoil {
					group, spoiled[c.name] = c.group, true
					flip(rng, c)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		want, got := sums(false), sums(true)
		if d := want.Differ(got); !slices.Equal(d, []Group{group}) || got.All == want.All {
			t.Errorf("seed %d: a bit of %v: %v differ, and the whole: %v", seed, group, d, got.All != want.All)
		}
	}
	for _, name := range names {
		if !spoiled[name] {
			t.Errorf("no %s among the cases", name)
		}
	}
}

var names = []string{"Gemm", "Finite", "Rectify fp16", "Rectify fp32", "AddRows", "SGD", "Adam", "Lookup", "Widen", "Narrow"}

// flip changes a bit of what is hashed.
func flip(rng *rand.Rand, c *drawn) {
	for {
		switch at := rng.IntN(1 + len(c.f16) + len(c.f32)); {
		case at == 0:
			c.answer = !c.answer
			return
		case at <= len(c.f16):
			s := c.f16[at-1]
			if x := &s[rng.IntN(len(s))]; !x.IsNaN() { // a NaN with another bit is mostly a NaN
				*x ^= 1 << rng.IntN(16)
				return
			}
		default:
			s := c.f32[at-1-len(c.f16)]
			if x := &s[rng.IntN(len(s))]; *x == *x {
				*x = math.Float32frombits(math.Float32bits(*x) ^ 1<<rng.IntN(32))
				return
			}
		}
	}
}

// All NaNs are hashed as one, and nothing else is as anything else.
func TestNaNsAreOne(t *testing.T) {
	hashed := func(h uint16, x uint32) string {
		c := drawn{f16: [][]fp16.Float16{{fp16.Float16(h)}}, f32: [][]float32{{math.Float32frombits(x)}}}
		return string(c.appendTo(nil))
	}
	want := "\x00\x00\x7e\x00\x00\xc0\x7f"
	seen := map[string]int{}
	for i := range 1 << 16 {
		h, x := uint16(i), uint32(i)<<16|1
		nan := i&0x7c00 == 0x7c00 && i&0x3ff != 0
		if got := hashed(h, 0x7fc00001)[1:3]; (got == want[1:3]) != nan && h != 0x7e00 {
			t.Fatalf("fp16 %#04x is hashed as %x", h, got)
		}
		got := hashed(0x7e00, x)
		if nan := i&0x7f80 == 0x7f80; (got == want) != nan {
			t.Fatalf("fp32 %#08x is hashed as %x", x, got)
		}
		seen[got]++
	}
	if n, nans := len(seen), 1<<8; n != 1<<16-nans+1 {
		t.Errorf("%d values are hashed as %d", 1<<16, n)
	}
}

// What a case is depends neither on the cases before it nor on the engine.
func TestCasesAreIndependent(t *testing.T) {
	const cases = 200
	var want [cases][]byte
	for i := cases - 1; i >= 0; i-- {
		c := draw(3, i)
		c.answer = c.compute(engine(t, "generic", 1))
		want[i] = c.appendTo(nil)
	}
	_, err := digest(t.Context(), engine(t, kernels.Auto, 3), cases, 3, func(i int, c *drawn) {
		if !bytes.Equal(c.appendTo(nil), want[i]) {
			t.Errorf("case %d (%s) is another on its own", i, c.name)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The published cases have something of everything, and are not too much.
func TestCases(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: drawing all cases takes a second, and far more where it is emulated")
	}
	var multiplyAdds, elements, nans, infinities int
	groups, operations, forms := map[Group]int{}, map[string]int{}, map[string]int{}
	e := engine(t, kernels.Auto, 1)
	_, err := digest(t.Context(), e, DefaultCases, DefaultSeed, func(_ int, c *drawn) {
		groups[c.group]++
		operations[c.name]++
		for _, s := range c.f16 {
			for _, h := range s {
				count(h.Float32(), &elements, &nans, &infinities)
			}
		}
		for _, s := range c.f32 {
			for _, x := range s {
				count(x, &elements, &nans, &infinities)
			}
		}
		if c.product == nil {
			return
		}
		g := c.product
		m, n, k := g.C.Rows, g.C.Cols, g.A.Cols
		multiplyAdds += m * n * k
		operands := c.group.String()
		for form, is := range map[string]bool{
			"A transposed": g.A.Trans, "B transposed": g.B.Trans, "C transposed": g.C.Trans, "packed": g.Packed != nil,
			"C fp16": g.C.DType() == tensor.F16, "C fp32": g.C.DType() == tensor.F32, "accumulate": g.Accumulate, "scale": g.Scale != 0,
			"bias": g.Bias != nil, "ReLU": g.ReLU, "check, finite": g.Check && c.answer, "check, not finite": g.Check && !c.answer,
			"a row": m == 1, "a column": n == 1, "k=0": k == 0, "several blocks over k": m > 8 && n > 8 && k > 512,
			"three blocks over k": m > 8 && k > 1024, "many rows": m > 500, "many columns": n > 500, "narrow": m >= 64 && n < 16,
			"several strips and panels": m > 24 && n > 64, "gaps": g.C.Stride > max(m, n), "wide rows of B": g.B.Stride == 1<<11,
		} {
			if is {
				forms[operands+": "+form]++
			}
		}
		if m > 512 && n > 512 || m > 512 && k > 512 || n > 512 && k > 512 {
			forms["two long dimensions"]++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if operations[name] < 100 {
			t.Errorf("%d cases of %s", operations[name], name)
		}
	}
	for form, n := range forms {
		if n < 3 {
			t.Errorf("%s: %d cases", form, n)
		}
	}
	if len(operations) != len(names) || len(groups) != int(NumGroups) || len(forms) != 2*23+1 {
		t.Errorf("operations %v, groups %v, forms %v", operations, groups, forms)
	}
	if share := float64(groups[ProductsF16]) / float64(groups[ProductsF16]+groups[ProductsF32]); math.Abs(share-0.75) > 0.02 {
		t.Errorf("%.2f of the products are of fp16 operands, want 0.75", share)
	}
	if multiplyAdds > 150e6 {
		t.Errorf("%d multiply-adds are too many for an emulator", multiplyAdds)
	}
	// A digest of NaNs would tell nothing.
	if n := float64(elements); float64(nans)/n > 0.1 || float64(infinities)/n > 0.1 || nans == 0 || infinities == 0 {
		t.Errorf("of %d elements %d are NaNs and %d infinite", elements, nans, infinities)
	}
}

func count(x float32, elements, nans, infinities *int) {
	*elements++
	if x != x {
		*nans++
	} else if x-x != 0 {
		*infinities++
	}
}

// Values to be narrowed are near ties, on both sides of them, and on them.
func TestNarrowed(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	kinds := map[string]int{}
	for range 100000 {
		x := narrowed(rng.Uint64())
		h := fp16.FromFloat32(x)
		switch at := h.Float32(); {
		case x != x:
			kinds["NaN"]++
		case x == at:
			kinds["exact"]++
		case x == 65520 || x == -65520:
			kinds["tie at the end"]++
		case h.IsInf(0):
			kinds["overflow"]++
		case fp16.IsFinite(h^1) && x-at == (h^1).Float32()-x, fp16.IsFinite(h+1) && x-at == (h+1).Float32()-x, fp16.IsFinite(h-1) && x-at == (h-1).Float32()-x:
			kinds["tie"]++
			if fp16.IsSubnormal(h) {
				kinds["tie of subnormals"]++
			}
		default:
			kinds["other"]++
		}
	}
	for _, kind := range []string{"NaN", "exact", "tie at the end", "overflow", "tie", "tie of subnormals", "other"} {
		if kinds[kind] == 0 {
			t.Errorf("no value is of the kind %s: %v", kind, kinds)
		}
	}
}

// A multiply-add that is rounded twice, to float64 first, would show.
func TestDoubleRoundingShows(t *testing.T) {
	products, differ := 0, 0
	for i := range 2000 {
		c := draw(DefaultSeed, i)
		if c.group != ProductsF32 || c.product.Packed != nil || c.product.A.Trans || c.product.B.Trans {
			continue
		}
		products++
		a, b := c.product.A, c.product.B
		a32, b32 := a.Elements.F32(), b.Elements.F32()
		for at := range min(a.Rows*b.Cols, 200) {
			var once, twice float32
			for p := range a.Cols {
				x, y := a32[at/b.Cols*a.Stride+p], b32[p*b.Stride+at%b.Cols]
				once, twice = portable.FMA(x, y, once), float32(math.FMA(float64(x), float64(y), float64(twice)))
			}
			if once == once && once != twice {
				differ++
				break
			}
		}
	}
	if differ == 0 {
		t.Errorf("none of %d products differs", products)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	last := 0
	_, err := Digest(ctx, engine(t, "generic", 1), 1000, 1, func(done int) {
		if last = done; done == 5 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || last != 5 {
		t.Errorf("error %v after %d cases", err, last)
	}
}

func TestSeedAndCasesMatter(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range []struct {
		cases int
		seed  uint64
	}{{0, 1}, {50, 1}, {51, 1}, {50, 2}} {
		s, err := Digest(t.Context(), engine(t, "generic", 1), c.cases, c.seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[s.All] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d digests of 4", len(seen))
	}
}

func TestDiffer(t *testing.T) {
	other := Published
	other.Groups[Elementwise], other.Groups[ProductsF32] = "x", "y"
	if got := Published.Differ(other); !slices.Equal(got, []Group{ProductsF32, Elementwise}) {
		t.Errorf("%v differ", got)
	}
	if got := Published.Differ(Published); got != nil {
		t.Errorf("%v differ", got)
	}
}

func TestNewEngine(t *testing.T) {
	var unsupported *kernels.UnsupportedError
	if _, err := NewEngine("mmx", 1); !errors.As(err, &unsupported) {
		t.Errorf("error %v", err)
	}
}
