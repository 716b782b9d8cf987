package data

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Dataset is a finite set of labelled samples, each a fixed number of values.
// Implement it to train on data of your own.
//
// One [Loader] calls it from one goroutine at a time. Several loaders may share a
// Dataset that can be read concurrently.
type Dataset interface {
	// Len returns the number of samples.
	Len() int

	// Features returns the number of values of each sample, at least 1.
	Features() int

	// Classes returns the number of classes, at least 1.
	Classes() int

	// Sample fills dst, whose length is Features, with sample i of [0, Len), ready
	// for the network, and returns the sample's label, in [0, Classes). It must not
	// keep dst. The same i gives the same sample each time. An error ends the epoch:
	// see [Loader.Err].
	Sample(dst []float32, i int) (label int, err error)
}

// Bytes is a [Dataset] of bytes, each of which stands for a value. A [Loader]
// translates whole batches of them, which is faster than calling Sample.
type Bytes interface {
	Dataset

	// Raw returns sample i as bytes, which the caller must not change, and its label.
	Raw(i int) (sample []byte, label int, err error)

	// Values returns the value of each byte. It is the same table at every call.
	Values() *[256]float32
}

// Random is a [Bytes] whose samples vary at random. A [Loader] that shuffles deals out
// another variant of each sample in every epoch.
type Random interface {
	Bytes

	// Draw sets dst, whose length is Features, to a variant of sample i and returns
	// the label. The 64 random bits of r choose the variant.
	Draw(dst []byte, i int, r uint64) (label int, err error)
}

// Shift returns ds, images of h rows of w bytes, as a [Random] that moves each image
// down and across by −by to by pixels. All moves are equally likely, and zeros move in
// from the sides. Call [Subset] and [Split] first: their results are not Random. Shift
// panics if the images have another size, or by is negative.
func Shift(ds Bytes, h, w, by int) Random {
	if h < 1 || w < 1 || h*w != ds.Features() || by < 0 {
		panic(fmt.Sprintf("data: Shift: images of %d×%d by %d pixels, and %d features", h, w, by, ds.Features()))
	}
	return &shifted{ds, h, w, by}
}

type shifted struct {
	Bytes
	h, w, by int
}

func (s *shifted) Draw(dst []byte, i int, r uint64) (int, error) {
	src, label, err := s.Raw(i)
	if err != nil {
		return 0, err
	}
	choices := uint64(2*s.by + 1)
	down, across := int(r%choices)-s.by, int(r/choices%choices)-s.by
	clear(dst)
	from, to := max(-across, 0), max(across, 0)
	if n := s.w - from - to; n > 0 {
		for y := max(down, 0); y < min(s.h, s.h+down); y++ {
			copy(dst[y*s.w+to:][:n], src[(y-down)*s.w+from:])
		}
	}
	return label, nil
}

// Subset returns the samples of ds at the given indices, in that order; an
// index may be repeated. It keeps a copy of indices and reads ds as needed.
// Like slicing, it panics if an index is not in [0, ds.Len()).
func Subset(ds Dataset, indices []int) Dataset {
	for _, i := range indices {
		if i < 0 || i >= ds.Len() {
			panic(fmt.Sprintf("data: Subset: index %d of a data set of %d samples", i, ds.Len()))
		}
	}
	s := subset{Dataset: ds, indices: slices.Clone(indices)}
	if b, ok := ds.(Bytes); ok {
		return &byteSubset{s, b}
	}
	return &s
}

type subset struct {
	Dataset
	indices []int
}

func (s *subset) Len() int { return len(s.indices) }

func (s *subset) Sample(dst []float32, i int) (int, error) {
	return s.Dataset.Sample(dst, s.indices[i])
}

// byteSubset is a subset of Bytes.
type byteSubset struct {
	subset
	bytes Bytes
}

func (s *byteSubset) Raw(i int) ([]byte, int, error) { return s.bytes.Raw(s.indices[i]) }

func (s *byteSubset) Values() *[256]float32 { return s.bytes.Values() }

// HoldoutError reports a holdout that leaves one side without samples.
type HoldoutError struct {
	Holdout int // samples to hold out
	Samples int // samples of the data set
}

// Error returns one line with both numbers.
func (e *HoldoutError) Error() string {
	return fmt.Sprintf("data: cannot hold out %d of %d samples: want at least 1 held out and 1 left", e.Holdout, e.Samples)
}

// Split holds out holdout samples of ds, chosen at random by seed, as val; the
// others are train. Both keep the order of ds. It returns a [*HoldoutError] unless
// both are left with at least one sample.
func Split(ds Dataset, holdout int, seed uint64) (train, val Dataset, err error) {
	n := ds.Len()
	if holdout < 1 || holdout >= n {
		return nil, nil, &HoldoutError{Holdout: holdout, Samples: n}
	}
	order := rand.New(rand.NewPCG(seed, streamSplit)).Perm(n)
	slices.Sort(order[:holdout])
	slices.Sort(order[holdout:])
	return Subset(ds, order[holdout:]), Subset(ds, order[:holdout]), nil
}

// The second words of the PCG's seed. They keep the random choices of this package
// apart from each other.
const (
	streamSplit   = 0x73706c6974000000 // "split"
	streamShuffle = 0x73687566666c6500 // "shuffle", plus the epoch
	streamDraw    = 0x6472617700000000 // "draw", plus the epoch, XORed with the seed; the second word is the sample
)
