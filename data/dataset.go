package data

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/halfgrad/halfgrad/tensor"
)

// Dataset is a finite set of samples. Each has one or more inputs and any number of
// targets, and all samples have the same ones. Implement it to train on data of your own.
//
// One [Loader] calls it from one goroutine at a time. Several loaders may share a
// Dataset that can be read concurrently.
type Dataset interface {
	// Len returns the number of samples.
	Len() int

	// Inputs describes what the network gets, in the order in which it takes it. The
	// result is the same at every call, and the caller must not change it.
	Inputs() []Field

	// Targets describes what the network's outputs are held against, likewise.
	Targets() []Field

	// Sample sets all elements of to to those of sample i of [0, Len). It must not keep
	// to. The same i gives the same sample each time. An error ends the epoch: see
	// [Loader.Err].
	Sample(i int, to *Sample) error
}

// Sample is memory for one sample: for each field the elements of its shape, row-major.
// Their type is the field's.
type Sample struct {
	Inputs, Targets []tensor.Elements
}

// NewSample returns memory for a sample of ds, all zeros.
func NewSample(ds Dataset) *Sample {
	elements := func(fields []Field) []tensor.Elements {
		all := make([]tensor.Elements, len(fields))
		for k, f := range fields {
			all[k] = tensor.Make(f.DType, f.Size())
		}
		return all
	}
	return &Sample{elements(ds.Inputs()), elements(ds.Targets())}
}

// Bytes is a [Dataset] with one input, of bytes that each stand for a number. A [Loader]
// translates whole batches of them, which is faster than calling Sample.
type Bytes interface {
	Dataset

	// Raw returns the input of sample i as bytes, which the caller must not change, and
	// sets the targets as Sample does.
	Raw(i int, targets []tensor.Elements) (input []byte, err error)

	// Values returns the number that each byte stands for, as one table or as one for each
	// channel: byte j of an input has table j modulo their number. They are the same at
	// every call, and the caller must not change them.
	Values() [][256]float32
}

// Random is a [Bytes] whose inputs vary at random. A [Loader] that shuffles deals out
// another variant of each sample in every epoch.
type Random interface {
	Bytes

	// Draw sets input, which has as many bytes as Raw returns, to a variant of that of
	// sample i, and sets the targets. The 64 random bits of r choose the variant.
	Draw(i int, r uint64, input []byte, targets []tensor.Elements) error
}

// Shift returns ds, images of h rows of w pixels, as a [Random] that moves each image
// down and across by −by to by pixels. All moves are equally likely, and zeros move in
// from the sides. A pixel has as many bytes as h and w leave it: one, or three in a
// picture in colours. Call [Subset] and [Split] first: their results are not Random.
// Shift panics if the images have another size, or by is negative.
func Shift(ds Bytes, h, w, by int) Random {
	size := ds.Inputs()[0].Size()
	if h < 1 || w < 1 || size%h != 0 || size/h%w != 0 || by < 0 {
		panic(fmt.Sprintf("data: Shift: images of %d×%d by %d pixels, and inputs of %d values", h, w, by, size))
	}
	return &shifted{ds, h, w, size / h / w, by}
}

type shifted struct {
	Bytes
	h, w, c int
	by      int
}

func (s *shifted) Draw(i int, r uint64, dst []byte, targets []tensor.Elements) error {
	src, err := s.Raw(i, targets)
	if err != nil {
		return err
	}
	choices := uint64(2*s.by + 1)
	down, across := int(r%choices)-s.by, int(r/choices%choices)-s.by
	clear(dst)
	from, to := max(-across, 0), max(across, 0)
	if n := (s.w - from - to) * s.c; n > 0 {
		row := s.w * s.c
		for y := max(down, 0); y < min(s.h, s.h+down); y++ {
			copy(dst[y*row+to*s.c:][:n], src[(y-down)*row+from*s.c:])
		}
	}
	return nil
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

func (s *subset) Sample(i int, to *Sample) error { return s.Dataset.Sample(s.indices[i], to) }

// byteSubset is a subset of Bytes.
type byteSubset struct {
	subset
	bytes Bytes
}

func (s *byteSubset) Raw(i int, targets []tensor.Elements) ([]byte, error) {
	return s.bytes.Raw(s.indices[i], targets)
}

func (s *byteSubset) Values() [][256]float32 { return s.bytes.Values() }

// Reshape returns ds with its first input in another shape, of as many values: the H, W and
// C of images for a convolution, say, instead of H·W·C values. If ds is a [Bytes] or a
// [Random], so is the result. Reshape panics if the shape has another number of values.
func Reshape(ds Dataset, shape ...int) Dataset {
	inputs := slices.Clone(ds.Inputs())
	was := inputs[0]
	inputs[0].Shape = slices.Clone(shape)
	if inputs[0].Size() != was.Size() {
		panic(fmt.Sprintf("data: Reshape: the input %q of shape %v does not have the shape %v", was.Name, was.Shape, shape))
	}
	switch ds := ds.(type) {
	case Random:
		return &reshapedRandom{ds, inputs}
	case Bytes:
		return &reshapedBytes{ds, inputs}
	}
	return &reshaped{ds, inputs}
}

type (
	reshaped struct {
		Dataset
		inputs []Field
	}
	reshapedBytes struct {
		Bytes
		inputs []Field
	}
	reshapedRandom struct {
		Random
		inputs []Field
	}
)

func (r *reshaped) Inputs() []Field       { return r.inputs }
func (r *reshapedBytes) Inputs() []Field  { return r.inputs }
func (r *reshapedRandom) Inputs() []Field { return r.inputs }

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
