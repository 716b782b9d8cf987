package data

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

// LoaderConfig says how a [Loader] deals out its data set.
type LoaderConfig struct {
	BatchSize int          // samples per batch, at least 1; the last batch of an epoch may be smaller
	DType     tensor.DType // the type of Batch.X
	Shuffle   bool         // a new order for each epoch, instead of that of the data set; and new variants of the samples of [Random]
	Seed      uint64       // of the shuffling

	// Ahead has a goroutine prepare the next batch of the epoch while the caller works on
	// the present one. That pays where a processor is free and a batch has [AheadFrom]
	// values or more. The goroutine ends when the Loader is garbage.
	Ahead bool
}

// AheadFrom is the number of values in a batch from which on Ahead pays, roughly.
// (Best steps of `halfgrad bench train --threads 2` on a Zen 4, without and with it:
// 69 and 68 µs at --batch 1, the medians 80 and 92; 120 and 114 µs at 16, 361 and 342
// at 64, 622 and 588 at 128. An image has 784 values.)
const AheadFrom = 1 << 13

// Batch is a number of samples and their labels.
type Batch struct {
	X      *tensor.Tensor // [n, features], one sample a row
	Labels []int          // [n]
	Finite bool           // whether all of X is known to be finite
}

// Loader deals out a data set in batches, epoch by epoch. In each epoch every
// sample comes exactly once; where the batch size does not divide the number
// of samples, the last batch is smaller.
//
// The order of an epoch is a pure function of the seed and the number of the epoch, so
// [Loader.Seek] goes anywhere in a run without replaying it. A Loader is not
// for use by several goroutines at once.
type Loader struct {
	cfg LoaderConfig
	n   int // samples

	epoch, batch int // what Next returns next

	pcg        *rand.PCG
	rng        *rand.Rand
	order      []int // of the samples; nil without shuffling
	orderEpoch int   // the epoch that order is of

	dealer *dealer
	slots  [2]*slot // the second is there to be ahead
	now    int      // the slot that Next returned last

	ahead   *ahead // nil without LoaderConfig.Ahead
	pending bool   // whether the batch that Next returns next is being made
	err     error  // see Err
}

// slot is the memory of a batch.
type slot struct {
	full, last Batch     // last shares full's memory
	row        []float32 // one sample on its way to fp16
	raw        [][]byte  // the samples, where they are Bytes to be translated
	drawn      []byte    // those of them that were drawn
}

// dealer makes batches.
type dealer struct {
	ds  Dataset
	cfg LoaderConfig
	n   int // samples

	bytes  Bytes // nil where Sample is called
	table  [256]fp16.Float16
	random Random // nil where each sample is always the same
	pcg    rand.PCG
	at     int // the sample that is being made
}

// ahead is a goroutine that makes batches.
type ahead struct {
	ask  chan request
	done chan made
}

// request asks for a batch. The loader leaves its slot and order alone until the answer.
type request struct {
	slot  *slot
	order []int
	epoch int
	batch int
}

// made is the answer: a batch, an error, or the value of a panic in the data set.
type made struct {
	batch *Batch
	err   error
	panic any
}

// SampleError reports a sample that a [Dataset] could not provide, or provided with a
// label out of range.
type SampleError struct {
	Index int   // of the sample in the data set
	Err   error // the data set's own, or what is wrong with the label
}

// Error returns one line with all of e.
func (e *SampleError) Error() string { return fmt.Sprintf("data: sample %d: %v", e.Index, e.Err) }

// Unwrap returns e.Err.
func (e *SampleError) Unwrap() error { return e.Err }

// errExited is the error of a data set that ends the goroutine it is called from.
var errExited = errors.New("the data set called runtime.Goexit")

// ErrEmpty is returned where a data set has no samples.
var ErrEmpty = errors.New("data: the data set is empty: want at least 1 sample")

// PositionError reports a position that a [Loader] does not have. A checkpoint with such
// a position is of a run on other data or with batches of another size.
type PositionError struct {
	Epoch, Batch int
	Batches      int // in an epoch
}

// Error returns one line with all of e.
func (e *PositionError) Error() string {
	return fmt.Sprintf("data: no batch %d in epoch %d: want an epoch from 0 and a batch in [0, %d]", e.Batch, e.Epoch, e.Batches)
}

// NewLoader returns a Loader for ds, at the first batch of epoch 0. The error is
// [ErrEmpty] if ds has no samples; or it says that ds has no features or classes, or that
// the batch size or the type is not valid.
//
// All the memory a Loader needs is allocated here: one batch, or two where it is
// ahead, and where it shuffles, one int per sample.
func NewLoader(ds Dataset, cfg LoaderConfig) (*Loader, error) {
	n, features := ds.Len(), ds.Features()
	switch {
	case cfg.BatchSize < 1:
		return nil, fmt.Errorf("data: a batch of %d samples cannot be: want at least 1", cfg.BatchSize)
	case cfg.DType != tensor.F16 && cfg.DType != tensor.F32:
		return nil, fmt.Errorf("data: batches of %v cannot be: want fp16 or fp32", cfg.DType)
	case n < 1:
		return nil, ErrEmpty
	case features < 1 || ds.Classes() < 1:
		return nil, fmt.Errorf("data: the data set has %d features and %d classes: want at least 1 of each", features, ds.Classes())
	}
	d := &dealer{ds: ds, cfg: cfg, n: n}
	if r, ok := ds.(Random); ok && cfg.Shuffle {
		d.random = r
	}
	finite := false
	if b, ok := ds.(Bytes); ok && cfg.DType == tensor.F16 {
		d.bytes = b
		fp16.Narrow(d.table[:], b.Values()[:])
		finite = !slices.ContainsFunc(d.table[:], func(h fp16.Float16) bool { return !fp16.IsFinite(h) })
	}
	l := &Loader{cfg: cfg, n: n, dealer: d}
	l.slots[0] = d.newSlot(features, finite)
	if cfg.Ahead {
		l.slots[1] = d.newSlot(features, finite)
		l.ahead = &ahead{make(chan request, 1), make(chan made, 1)}
		go l.ahead.work(d)
		runtime.AddCleanup(l, func(ask chan request) { close(ask) }, l.ahead.ask)
	}

	if cfg.Shuffle {
		l.pcg = rand.NewPCG(0, 0)
		l.rng = rand.New(l.pcg)
		l.order = make([]int, n)
		l.shuffle()
	}
	return l, nil
}

func (d *dealer) newSlot(features int, finite bool) *slot {
	cfg, size := d.cfg, min(d.cfg.BatchSize, d.n)
	labels, rest := make([]int, size), d.n%size
	x := tensor.New(cfg.DType, size, features)
	s := &slot{full: Batch{X: x, Labels: labels, Finite: finite}, raw: make([][]byte, size)}
	s.last = Batch{Labels: labels[:rest], Finite: finite}
	if cfg.DType == tensor.F16 {
		s.last.X = tensor.FromF16(x.F16()[:rest*features], rest, features)
		s.row = make([]float32, features)
	} else {
		s.last.X = tensor.FromF32(x.F32()[:rest*features], rest, features)
	}
	if d.random != nil {
		s.drawn = make([]byte, size*features)
	}
	return s
}

// Batches returns the number of batches in an epoch.
func (l *Loader) Batches() int { return (l.n-1)/l.cfg.BatchSize + 1 }

// Position returns the epoch and the number of the batch within it that
// [Loader.Next] returns next: what a checkpoint keeps, and Seek takes. At the
// end of an epoch, batch is Batches().
func (l *Loader) Position() (epoch, batch int) { return l.epoch, l.batch }

// Seek makes [Loader.Next] continue with the given batch of the given epoch,
// both counted from 0. Seek(epoch, 0) starts an epoch, and Seek clears [Loader.Err]. It
// returns a [*PositionError], and stays where it is, if epoch is negative or batch is
// not in [0, Batches()].
func (l *Loader) Seek(epoch, batch int) error {
	if epoch < 0 || batch < 0 || batch > l.Batches() {
		return &PositionError{Epoch: epoch, Batch: batch, Batches: l.Batches()}
	}
	if l.pending { // it reads the order
		<-l.ahead.done
		l.pending = false
	}
	l.epoch, l.batch, l.err = epoch, batch, nil
	if l.cfg.Shuffle && l.orderEpoch != epoch {
		l.shuffle()
	}
	return nil
}

// shuffle puts into l.order the order of l.epoch.
func (l *Loader) shuffle() {
	l.pcg.Seed(l.cfg.Seed, streamShuffle+uint64(l.epoch))
	for i := range l.order {
		l.order[i] = i
	}
	l.rng.Shuffle(l.n, func(i, j int) { l.order[i], l.order[j] = l.order[j], l.order[i] })
	l.orderEpoch = l.epoch
}

// Next returns the next batch of the epoch. It returns false at the end of the epoch,
// and where the data set has failed, which [Loader.Err] tells; [Loader.Seek] goes on
// from either. The batch is valid until the following call, which reuses its memory;
// Next allocates nothing.
//
// Where the batches are of fp16, values are rounded to nearest, ties to even. If the
// data set panics, Next panics with the same value, with and without
// LoaderConfig.Ahead. A data set that calls runtime.Goexit ends the caller's goroutine;
// with LoaderConfig.Ahead the goroutine is the loader's, and Err reports it.
func (l *Loader) Next() (b *Batch, ok bool) {
	if l.err != nil || l.batch == l.Batches() {
		return nil, false
	}
	if l.pending {
		l.pending = false
		m := <-l.ahead.done
		if m.panic != nil {
			panic(m.panic)
		}
		b, l.err, l.now = m.batch, m.err, 1-l.now
	} else {
		b, l.err = l.dealer.deal(request{l.slots[l.now], l.order, l.epoch, l.batch})
	}
	if l.err != nil {
		return nil, false
	}
	l.batch++
	if l.ahead != nil && l.batch < l.Batches() {
		l.pending = true
		l.ahead.ask <- request{l.slots[1-l.now], l.order, l.epoch, l.batch}
	}
	return b, true
}

// Err returns nil after an epoch that ended because all samples were dealt out, and a
// [*SampleError] after one that the data set cut short. [Loader.Position] is then that
// of the batch with the sample, and [Loader.Seek] clears the error.
func (l *Loader) Err() error { return l.err }

// work makes the batches that are asked for.
func (a *ahead) work(d *dealer) {
	for r := range a.ask {
		a.answer(d, r)
	}
}

// answer makes a batch. Every way out of the data set sends an answer: a return, a
// panic and runtime.Goexit, after which another goroutine takes over the work.
func (a *ahead) answer(d *dealer, r request) {
	var m made
	returned := false
	defer func() {
		if !returned {
			if m.panic = recover(); m.panic == nil {
				m.err = &SampleError{d.at, errExited}
				go a.work(d)
			}
		}
		a.done <- m
	}()
	m.batch, m.err = d.deal(r)
	returned = true
}

// deal makes a batch.
func (d *dealer) deal(r request) (*Batch, error) {
	from := r.batch * d.cfg.BatchSize
	b := &r.slot.full
	if d.n-from < len(b.Labels) {
		b = &r.slot.last
	}
	classes := d.ds.Classes()
	for i := range b.Labels {
		index := from + i
		if r.order != nil {
			index = r.order[index]
		}
		d.at = index
		label, err := d.sample(r, b, i, index)
		if err == nil && (label < 0 || label >= classes) {
			err = fmt.Errorf("the label is %d: want one from 0 to %d", label, classes-1)
		}
		if err != nil {
			return nil, &SampleError{index, err}
		}
		b.Labels[i] = label
	}
	if d.bytes != nil {
		d.translate(b.X.F16(), r.slot.raw[:len(b.Labels)])
	}
	return b, nil
}

// translate replaces the bytes of samples by their values.
func (d *dealer) translate(x []fp16.Float16, samples [][]byte) {
	touch(samples)
	for _, sample := range samples {
		fp16.Lookup(x[:len(sample)], &d.table, sample)
		x = x[len(sample):]
	}
}

// touch reads a byte of each cache line of samples that lie anywhere in memory. No read
// waits for another, so the memory delivers several at once, which it would not if each
// sample were translated before the next is read: 128 images of MNIST's size, out of
// 47 MB, take 33 µs instead of 65 on a Zen 4 (`halfgrad bench train --threads 1
// --profile`, the phase "data"). The result is of no use.
//
//go:noinline
func touch(samples [][]byte) (all byte) {
	const line = 64
	for _, sample := range samples {
		for at := 0; at < len(sample); at += line {
			all |= sample[at]
		}
	}
	return all
}

// sample puts a sample of the data set into row i of the batch, or notes its bytes for
// the translation of the whole batch, and returns its label.
func (d *dealer) sample(r request, b *Batch, i, index int) (label int, err error) {
	if d.bytes != nil && d.random == nil {
		raw, label, err := d.bytes.Raw(index)
		if features := d.ds.Features(); err == nil && len(raw) != features {
			err = fmt.Errorf("there are %d bytes: want %d, one a feature", len(raw), features)
		}
		r.slot.raw[i] = raw
		return label, err
	}
	features := d.ds.Features()
	row := r.slot.row
	if d.cfg.DType == tensor.F32 {
		row = b.X.F32()[i*features : (i+1)*features]
	}
	if d.random != nil {
		raw := r.slot.drawn[i*features : (i+1)*features]
		d.pcg.Seed(d.cfg.Seed^(streamDraw+uint64(r.epoch)), uint64(index))
		if label, err = d.random.Draw(raw, index, d.pcg.Uint64()); err != nil {
			return 0, err
		}
		if d.bytes != nil {
			r.slot.raw[i] = raw
			return label, nil
		}
		values := d.random.Values()
		for j, v := range raw {
			row[j] = values[v]
		}
	} else if label, err = d.ds.Sample(row, index); err != nil {
		return 0, err
	}
	if d.cfg.DType == tensor.F16 {
		fp16.Narrow(b.X.F16()[i*features:(i+1)*features], row)
	}
	return label, nil
}
