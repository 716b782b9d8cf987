package data

import (
	"fmt"
	"math/rand/v2"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

// LoaderConfig says how a [Loader] deals out its data set.
type LoaderConfig struct {
	BatchSize int          // samples per batch, at least 1; the last batch of an epoch may be smaller
	DType     tensor.DType // the type of Batch.X
	Shuffle   bool         // a new order for each epoch, instead of that of the data set
	Seed      uint64       // of the shuffling
}

// Batch is a number of samples and their labels.
type Batch struct {
	X      *tensor.Tensor // [n, features], one sample a row
	Labels []int          // [n]
}

// Loader deals out a data set in batches, epoch by epoch. In each epoch every
// sample comes exactly once; where the batch size does not divide the number
// of samples, the last batch is smaller.
//
// The order of an epoch is a pure function of the seed and the number of the epoch, so
// [Loader.Seek] goes anywhere in a run without replaying it. A Loader is not
// for use by several goroutines at once.
type Loader struct {
	ds  Dataset
	cfg LoaderConfig
	n   int // samples

	epoch, batch int // what Next returns next

	pcg        *rand.PCG
	rng        *rand.Rand
	order      []int // of the samples; nil without shuffling
	orderEpoch int   // the epoch that order is of

	full, last Batch     // last shares full's memory
	row        []float32 // one sample on its way to fp16
}

// NewLoader returns a Loader for ds, at the first batch of epoch 0. It returns
// an error if the data set is empty or has no features or classes, or if the
// batch size or the type is not valid.
//
// All the memory a Loader needs is allocated here: one batch, and where it
// shuffles, one int per sample.
func NewLoader(ds Dataset, cfg LoaderConfig) (*Loader, error) {
	n, features := ds.Len(), ds.Features()
	switch {
	case cfg.BatchSize < 1:
		return nil, fmt.Errorf("data: a batch of %d samples cannot be: want at least 1", cfg.BatchSize)
	case cfg.DType != tensor.F16 && cfg.DType != tensor.F32:
		return nil, fmt.Errorf("data: batches of %v cannot be: want fp16 or fp32", cfg.DType)
	case n < 1:
		return nil, fmt.Errorf("data: the data set is empty: want at least 1 sample")
	case features < 1 || ds.Classes() < 1:
		return nil, fmt.Errorf("data: the data set has %d features and %d classes: want at least 1 of each", features, ds.Classes())
	}
	l := &Loader{ds: ds, cfg: cfg, n: n}

	size := min(cfg.BatchSize, n)
	labels := make([]int, size)
	rest := n % size
	if cfg.DType == tensor.F16 {
		x := make([]fp16.Float16, size*features)
		l.full = Batch{X: tensor.FromF16(x, size, features), Labels: labels}
		l.last = Batch{X: tensor.FromF16(x[:rest*features], rest, features), Labels: labels[:rest]}
		l.row = make([]float32, features)
	} else {
		x := make([]float32, size*features)
		l.full = Batch{X: tensor.FromF32(x, size, features), Labels: labels}
		l.last = Batch{X: tensor.FromF32(x[:rest*features], rest, features), Labels: labels[:rest]}
	}

	if cfg.Shuffle {
		l.pcg = rand.NewPCG(0, 0)
		l.rng = rand.New(l.pcg)
		l.order = make([]int, n)
		l.shuffle()
	}
	return l, nil
}

// Batches returns the number of batches in an epoch.
func (l *Loader) Batches() int { return (l.n-1)/l.cfg.BatchSize + 1 }

// Position returns the epoch and the number of the batch within it that
// [Loader.Next] returns next: what a checkpoint keeps, and Seek takes. At the
// end of an epoch, batch is Batches().
func (l *Loader) Position() (epoch, batch int) { return l.epoch, l.batch }

// Seek makes [Loader.Next] continue with the given batch of the given epoch,
// both counted from 0. Seek(epoch, 0) starts an epoch. It returns an
// error, and stays where it is, if epoch is negative or batch is not in
// [0, Batches()].
func (l *Loader) Seek(epoch, batch int) error {
	if epoch < 0 || batch < 0 || batch > l.Batches() {
		return fmt.Errorf("data: no batch %d in epoch %d: want an epoch from 0 and a batch in [0, %d]", batch, epoch, l.Batches())
	}
	l.epoch, l.batch = epoch, batch
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

// Next returns the next batch of the epoch, and false once the epoch is over,
// until [Loader.Seek] starts another. The batch is valid until the following
// call, which reuses its memory; Next allocates nothing.
//
// Values are rounded to fp16 to nearest, ties to even, where the batches are
// of fp16. Next panics if the data set returns a label that is not in
// [0, Classes).
func (l *Loader) Next() (b *Batch, ok bool) {
	from := l.batch * l.cfg.BatchSize
	if l.batch == l.Batches() {
		return nil, false
	}
	l.batch++
	b = &l.full
	if l.n-from < len(b.Labels) {
		b = &l.last
	}
	features, classes := l.ds.Features(), l.ds.Classes()
	for i := range b.Labels {
		index := from + i
		if l.order != nil {
			index = l.order[index]
		}
		row := l.row
		if l.cfg.DType == tensor.F32 {
			row = b.X.F32()[i*features : (i+1)*features]
		}
		label := l.ds.Sample(row, index)
		if label < 0 || label >= classes {
			panic(fmt.Sprintf("data: sample %d of the data set has the label %d: want one in [0, %d)", index, label, classes))
		}
		b.Labels[i] = label
		if l.cfg.DType == tensor.F16 {
			fp16.Narrow(b.X.F16()[i*features:(i+1)*features], row)
		}
	}
	return b, true
}
