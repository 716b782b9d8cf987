// Package verify makes one line of all that an engine computes: the SHA-256 of
// its results for a fixed sequence of random cases. Two machines, tiers or
// thread counts that print the same line compute the same bits.
//
// It is for comparing, and no test of truth: a mistake that all of them make does
// not show. The tests of the packages compare with the naive loop.
//
// # The cases
//
// Three in four are products, by [kernels.Engine.Gemm], three in four of these
// of fp16 operands; the others are elementwise operations and the conversions of
// package fp16. Case i takes its random numbers from math/rand/v2's
// PCG(seed, i) and from nowhere else, all of them before anything is computed:
// what it is depends neither on the engine nor on the cases before it.
//
// # The digest
//
// Hashed are the answers and all memory that a case may write, with what lies
// between the rows of a matrix and some elements on either side, so that a stray
// write shows. Elements are hashed in little-endian order, and a NaN as the one
// NaN 0x7e00 or 0x7fc00000: which NaN a result is, is left open by the contract
// of the kernels. Each [Group] of cases has a digest, and one over these is the
// digest of all.
package verify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"

	"github.com/halfgrad/halfgrad/kernels"
)

// The cases of the published digest.
const (
	DefaultCases = 10000
	DefaultSeed  = 1
)

// Group is a group of cases, which has a digest of its own: where two digests
// differ, the groups tell where to look.
type Group int

// The groups.
const (
	ProductsF16 Group = iota // of fp16 operands
	ProductsF32              // of fp32 operands
	Elementwise              // all operations of an engine but the product
	Conversions              // fp16.Widen and fp16.Narrow
	NumGroups
)

// String returns the group's name, such as "fp16 products".
func (g Group) String() string {
	return [NumGroups]string{"fp16 products", "fp32 products", "elementwise", "conversions"}[g]
}

// Sums are the digests, in hexadecimal.
type Sums struct {
	All    string // the SHA-256 of the groups' digests, one after the other
	Groups [NumGroups]string
}

// Published are the sums of DefaultCases cases with DefaultSeed, so that one
// machine alone can tell whether it computes what others do. They change when a
// case does, and must not otherwise.
var Published = Sums{
	All: "e871d1535f32d48179a90ec7e3e8c089a1b92b0ac0cc7655c4eb570ebbb52fcd",
	Groups: [NumGroups]string{
		ProductsF16: "f5eb0c8038c6120ff27719e65d9e47ecac0b39a045481c47ed3802e49198b09f",
		ProductsF32: "fab58a85e6499548efec20642ab2406ebd41de50f4088dd55378dc9505fe7811",
		Elementwise: "6ae2ccb29f425891db66d089c3ba0ab09ddada482366ecc4bbcab910896c6c92",
		Conversions: "65917009ce30676730b66cf3759759282ee0071ef28699eee0790ca02689f500",
	},
}

// Differ returns the groups whose digests are not the same in s and t.
func (s Sums) Differ(t Sums) []Group {
	var groups []Group
	for g := range NumGroups {
		if s.Groups[g] != t.Groups[g] {
			groups = append(groups, g)
		}
	}
	return groups
}

// NewEngine returns an engine for [Digest]: one whose threads share even the
// smallest product, which would else be computed by the caller alone, and most
// of the cases are small. The tier and errors are those of [kernels.New].
func NewEngine(tier string, threads int) (*kernels.Engine, error) {
	return kernels.New(kernels.Config{Kernel: tier, Threads: threads, SerialBelow: 1})
}

// Digest computes the first so many cases of a seed on e. After each it calls
// progress, unless that is nil. The error is ctx's.
func Digest(ctx context.Context, e *kernels.Engine, cases int, seed uint64, progress func(done int)) (Sums, error) {
	return digest(ctx, e, cases, seed, func(i int, _ *drawn) {
		if progress != nil {
			progress(i + 1)
		}
	})
}

// digest is Digest with a function that sees each case once it is computed,
// before it is hashed.
func digest(ctx context.Context, e *kernels.Engine, cases int, seed uint64, computed func(i int, c *drawn)) (Sums, error) {
	var groups [NumGroups]hash.Hash
	for g := range groups {
		groups[g] = sha256.New()
	}
	var b []byte
	for i := range cases {
		if err := ctx.Err(); err != nil {
			return Sums{}, err
		}
		c := draw(seed, i)
		c.answer = c.compute(e)
		computed(i, c)
		b = c.appendTo(b[:0])
		groups[c.group].Write(b)
	}
	var sums Sums
	all := sha256.New()
	for g, h := range groups {
		sum := h.Sum(nil)
		sums.Groups[g] = hex.EncodeToString(sum)
		all.Write(sum)
	}
	sums.All = hex.EncodeToString(all.Sum(nil))
	return sums, nil
}

// appendTo appends the bytes to be hashed.
func (c *drawn) appendTo(b []byte) []byte {
	if c.answer {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, s := range c.f16 {
		for _, h := range s {
			if h.IsNaN() {
				h = 0x7e00
			}
			b = binary.LittleEndian.AppendUint16(b, h.Bits())
		}
	}
	for _, s := range c.f32 {
		for _, x := range s {
			bits := math.Float32bits(x)
			if x != x {
				bits = 0x7fc00000
			}
			b = binary.LittleEndian.AppendUint32(b, bits)
		}
	}
	return b
}
