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
	DType     tensor.DType // of inputs of numbers: fp16, bf16 or fp32
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

// Batch is a number of samples. Its tensors are those of the data set's fields, in the
// same order, and their first dimension is the sample.
type Batch struct {
	Inputs  []*tensor.Tensor // [n, shape of the field]: numbers in the loader's type, classes in int32
	Targets []*tensor.Tensor // [n, shape of the field]: numbers in fp32, classes in int32
	Finite  bool             // whether all inputs are known to be finite
	First   int              // the number of the first sample in the order of the epoch
}

// Len returns the number of samples.
func (b *Batch) Len() int { return b.Inputs[0].Shape()[0] }

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
	full, last Batch    // last shares full's memory
	sample     Sample   // the one that is being made, in full's memory but for rows
	rows       []row    // the inputs that are rounded from fp32
	raw        [][]byte // the inputs, where they are Bytes
	drawn      []byte   // those of them that were drawn
}

// row is an input of one sample, in fp32.
type row struct {
	input  int
	values []float32
}

// dealer makes batches.
type dealer struct {
	ds              Dataset
	inputs, targets []Field
	cfg             LoaderConfig
	n               int // samples

	bytes  Bytes               // nil where Sample is called
	tables [][256]fp16.Float16 // the values of bytes in fp16; nil for another type
	random Random              // nil where each sample is always the same
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
// class out of range, or with a target that is not finite.
type SampleError struct {
	Index int   // of the sample in the data set
	Err   error // the data set's own, or what is wrong with the value
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
// [ErrEmpty] if ds has no samples; or it says what is wrong with the fields of ds, or that
// the batch size or the type is not valid.
//
// All the memory a Loader needs is allocated here: one batch, or two where it is
// ahead, and where it shuffles, one int per sample.
func NewLoader(ds Dataset, cfg LoaderConfig) (*Loader, error) {
	n, inputs, targets := ds.Len(), ds.Inputs(), ds.Targets()
	switch {
	case cfg.BatchSize < 1:
		return nil, fmt.Errorf("data: a batch of %d samples cannot be: want at least 1", cfg.BatchSize)
	case cfg.DType != tensor.F16 && cfg.DType != tensor.BF16 && cfg.DType != tensor.F32:
		return nil, fmt.Errorf("data: batches of %v cannot be: want fp16, bf16 or fp32", cfg.DType)
	case n < 1:
		return nil, ErrEmpty
	}
	if err := checkFields(inputs, targets); err != nil {
		return nil, err
	}
	d := &dealer{ds: ds, inputs: inputs, targets: targets, cfg: cfg, n: n}
	finite := !slices.ContainsFunc(inputs, func(f Field) bool { return f.DType == tensor.F32 })
	if b, ok := ds.(Bytes); ok && len(inputs) == 1 && inputs[0].DType == tensor.F32 {
		r, random := ds.(Random)
		if random && cfg.Shuffle {
			d.random = r
		}
		if cfg.DType == tensor.F16 {
			values := b.Values()
			if len(values) < 1 || inputs[0].Size()%len(values) != 0 {
				return nil, fmt.Errorf("data: %d tables of values for inputs of %d bytes", len(values), inputs[0].Size())
			}
			d.bytes, d.tables = b, make([][256]fp16.Float16, len(values))
			finite = true
			for k := range values {
				fp16.Narrow(d.tables[k][:], values[k][:])
				finite = finite && !slices.ContainsFunc(d.tables[k][:], func(h fp16.Float16) bool { return !fp16.IsFinite(h) })
			}
		}
	}
	l := &Loader{cfg: cfg, n: n, dealer: d}
	l.slots[0] = d.newSlot(finite)
	if cfg.Ahead {
		l.slots[1] = d.newSlot(finite)
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

func (d *dealer) newSlot(finite bool) *slot {
	size := min(d.cfg.BatchSize, d.n)
	rest := d.n % size
	s := &slot{raw: make([][]byte, size)}
	s.full.Finite, s.last.Finite = finite, finite
	for k, f := range d.inputs {
		dtype := f.DType
		if dtype == tensor.F32 {
			dtype = d.cfg.DType
		}
		s.full.Inputs = append(s.full.Inputs, tensor.New(dtype, slices.Concat([]int{size}, f.Shape)...))
		if dtype != f.DType {
			s.rows = append(s.rows, row{k, make([]float32, f.Size())})
		}
	}
	for _, f := range d.targets {
		s.full.Targets = append(s.full.Targets, tensor.New(f.DType, slices.Concat([]int{size}, f.Shape)...))
	}
	first := func(all []*tensor.Tensor) (views []*tensor.Tensor) {
		for _, t := range all {
			view := new(tensor.Tensor)
			view.ViewRows(t, 0, rest)
			views = append(views, view)
		}
		return views
	}
	s.last.Inputs, s.last.Targets = first(s.full.Inputs), first(s.full.Targets)
	s.sample = Sample{make([]tensor.Elements, len(d.inputs)), make([]tensor.Elements, len(d.targets))}
	for _, r := range s.rows {
		s.sample.Inputs[r.input] = tensor.Of(r.values)
	}
	if d.random != nil {
		s.drawn = make([]byte, size*d.inputs[0].Size())
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
	b, s := &r.slot.full, r.slot
	n := b.Len()
	if left := d.n - from; left < n {
		b, n = &s.last, left
	}
	b.First = from
	for i := range n {
		index := from + i
		if r.order != nil {
			index = r.order[index]
		}
		d.at = index
		if err := d.sample(r, b, i, index); err != nil {
			return nil, &SampleError{index, err}
		}
	}
	if d.bytes != nil {
		d.translate(b.Inputs[0].F16(), s.raw[:n])
	}
	return b, nil
}

// translate replaces the bytes of samples by their values.
func (d *dealer) translate(x []fp16.Float16, samples [][]byte) {
	touch(samples)
	for _, sample := range samples {
		if len(d.tables) == 1 {
			fp16.Lookup(x[:len(sample)], &d.tables[0], sample)
		} else {
			for j := 0; j < len(sample); j += len(d.tables) {
				for k := range d.tables {
					x[j+k] = d.tables[k][sample[j+k]]
				}
			}
		}
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
// the translation of the whole batch.
func (d *dealer) sample(r request, b *Batch, i, index int) error {
	s := r.slot
	for k, t := range b.Targets {
		size := d.targets[k].Size()
		s.sample.Targets[k] = t.Elements().Slice(i*size, (i+1)*size)
	}
	if err := d.inputsOf(r, b, i, index); err != nil {
		return err
	}
	for k, f := range d.targets {
		if err := f.checkValues("target", s.sample.Targets[k]); err != nil {
			return err
		}
	}
	return nil
}

// inputsOf is sample but for the check of the targets.
func (d *dealer) inputsOf(r request, b *Batch, i, index int) (err error) {
	s := r.slot
	if d.bytes != nil && d.random == nil {
		s.raw[i], err = d.bytes.Raw(index, s.sample.Targets)
		if size := d.inputs[0].Size(); err == nil && len(s.raw[i]) != size {
			err = fmt.Errorf("there are %d bytes: want %d, one a value", len(s.raw[i]), size)
		}
		return err
	}
	var drawn []byte
	if d.random != nil {
		size := d.inputs[0].Size()
		drawn = s.drawn[i*size : (i+1)*size]
		d.pcg.Seed(d.cfg.Seed^(streamDraw+uint64(r.epoch)), uint64(index))
		if err := d.random.Draw(index, d.pcg.Uint64(), drawn, s.sample.Targets); err != nil {
			return err
		}
		if d.bytes != nil {
			s.raw[i] = drawn
			return nil
		}
	}
	row := func(k int) tensor.Elements {
		size := d.inputs[k].Size()
		return b.Inputs[k].Elements().Slice(i*size, (i+1)*size)
	}
	rounded := s.rows
	for k := range d.inputs {
		if len(rounded) > 0 && rounded[0].input == k {
			rounded = rounded[1:] // its memory stays the same
		} else {
			s.sample.Inputs[k] = row(k)
		}
	}
	if d.random != nil {
		x, values := s.sample.Inputs[0].F32(), d.random.Values()
		for j, v := range drawn {
			x[j] = values[j%len(values)][v]
		}
	} else if err := d.ds.Sample(index, &s.sample); err != nil {
		return err
	}
	for k, f := range d.inputs {
		if f.DType == tensor.I32 {
			if err := f.checkValues("input", s.sample.Inputs[k]); err != nil {
				return err
			}
		}
	}
	for _, r := range s.rows {
		row(r.input).Store(r.values)
	}
	return nil
}
