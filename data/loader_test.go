package data_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

// counter is a Dataset whose sample i is i, i+⅓ and its label i mod 7.
type counter int

func (c counter) Len() int              { return int(c) }
func (c counter) Inputs() []data.Field  { return []data.Field{data.Numbers("number", 2)} }
func (c counter) Targets() []data.Field { return []data.Field{data.Classes("label", 7)} }

func (c counter) Sample(i int, to *data.Sample) error {
	x := to.Inputs[0].F32()
	x[0], x[1] = float32(i), float32(i)+1.0/3
	to.Targets[0].I32()[0] = int32(i % 7)
	return nil
}

func newLoader(t testing.TB, ds data.Dataset, cfg data.LoaderConfig) *data.Loader {
	t.Helper()
	l, err := data.NewLoader(ds, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// rest returns the samples of a counter that l still deals out in this epoch,
// batch by batch, and checks each batch.
func rest(t *testing.T, l *data.Loader, dtype tensor.DType) (batches [][]int) {
	t.Helper()
	for b, ok := l.Next(); ok; b, ok = l.Next() {
		n, values, labels := b.Len(), b.Inputs[0], b.Targets[0].I32()
		if values.DType() != dtype || !slices.Equal(values.Shape(), []int{n, 2}) || !slices.Equal(b.Targets[0].Shape(), []int{n}) {
			t.Fatalf("batch of %v %v with targets %v", values.DType(), values.Shape(), b.Targets[0].Shape())
		}
		if _, batch := l.Position(); batch < l.Batches() && b.First != (batch-1)*n {
			t.Fatalf("batch %d of %d samples begins with number %d", batch, n, b.First)
		}
		samples := make([]int, n)
		for i := range n {
			var x [2]float32
			values.Elements().Slice(2*i, 2*i+2).Load(x[:])
			s := int(x[0])
			want := float32(s) + 1.0/3
			if dtype == tensor.F16 {
				want = fp16.FromFloat32(want).Float32()
			}
			if x[1] != want || int(labels[i]) != s%7 {
				t.Fatalf("row %d: %v with label %d, want sample %d", i, x, labels[i], s)
			}
			samples[i] = s
		}
		batches = append(batches, samples)
	}
	if _, ok := l.Next(); ok {
		t.Fatal("a batch after the end of the epoch")
	}
	return batches
}

func TestLoaderDealsEachSampleOnce(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.F16, tensor.F32} {
		for _, shuffle := range []bool{false, true} {
			for _, n := range []int{1, 2, 7, 12, 100} {
				for _, size := range []int{1, 2, 3, 4, 12, 99, 100, 101, math.MaxInt} {
					t.Run(fmt.Sprintf("dtype=%v/shuffle=%v/n=%d/batch=%d", dtype, shuffle, n, size), func(t *testing.T) {
						l := newLoader(t, counter(n), data.LoaderConfig{BatchSize: size, DType: dtype, Shuffle: shuffle, Seed: 1})
						for epoch := range 3 {
							if err := l.Seek(epoch, 0); err != nil {
								t.Fatal(err)
							}
							batches := rest(t, l, dtype)
							if len(batches) != l.Batches() {
								t.Errorf("%d batches, Batches returns %d", len(batches), l.Batches())
							}
							for i, b := range batches {
								if i < len(batches)-1 && len(b) != size || len(b) > size || len(b) == 0 {
									t.Errorf("batch %d of %d has %d samples", i, len(batches), len(b))
								}
							}
							all := slices.Concat(batches...)
							if !shuffle && !slices.IsSorted(all) {
								t.Errorf("out of order: %v", all)
							}
							slices.Sort(all)
							for i := range n {
								if len(all) != n || all[i] != i {
									t.Fatalf("samples %v, want each below %d once", all, n)
								}
							}
						}
					})
				}
			}
		}
	}
}

func epochOf(t *testing.T, seed uint64, epoch int) []int {
	t.Helper()
	l := newLoader(t, counter(100), data.LoaderConfig{BatchSize: 8, DType: tensor.F32, Shuffle: true, Seed: seed})
	if err := l.Seek(epoch, 0); err != nil {
		t.Fatal(err)
	}
	return slices.Concat(rest(t, l, tensor.F32)...)
}

func TestLoaderOrder(t *testing.T) {
	base := epochOf(t, 1, 0)
	if !slices.Equal(base, epochOf(t, 1, 0)) {
		t.Error("the same seed and epoch give two orders")
	}
	for _, other := range [][]int{epochOf(t, 1, 1), epochOf(t, 2, 0), epochOf(t, 1, 1000)} {
		same := 0
		for i := range base {
			if base[i] == other[i] {
				same++
			}
		}
		// One place in a hundred agrees by chance.
		if same > 8 {
			t.Errorf("orders of two seeds or epochs agree in %d of 100 places", same)
		}
	}
}

// The documented order, written down as the documentation has it: it must not
// change, or runs could not be resumed by a later version.
func TestLoaderOrderIsAsDocumented(t *testing.T) {
	const seed, epoch, n = 42, 3, 100
	rng := rand.New(rand.NewPCG(seed, 0x73687566666c6500+epoch))
	want := make([]int, n)
	for i := range want {
		want[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := rng.Uint64N(uint64(i + 1))
		want[i], want[j] = want[j], want[i]
	}
	got := epochOf(t, seed, epoch)
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	golden := []int{14, 73, 41, 39, 29, 19, 77, 78, 28, 34} // testdata/order.py
	if !slices.Equal(got[:10], golden) {
		t.Errorf("starts with %v, want %v", got[:10], golden)
	}
}

func TestLoaderSeek(t *testing.T) {
	for _, shuffle := range []bool{false, true} {
		cfg := data.LoaderConfig{BatchSize: 8, DType: tensor.F16, Shuffle: shuffle, Seed: 5}
		straight := newLoader(t, counter(100), cfg)
		var epochs [][][]int
		for epoch := range 3 {
			straight.Seek(epoch, 0)
			epochs = append(epochs, rest(t, straight, tensor.F16))
		}
		// Backwards, so that nothing can depend on what ran before.
		l := newLoader(t, counter(100), cfg)
		for epoch := 2; epoch >= 0; epoch-- {
			for batch := l.Batches(); batch >= 0; batch-- {
				if err := l.Seek(epoch, batch); err != nil {
					t.Fatal(err)
				}
				if e, b := l.Position(); e != epoch || b != batch {
					t.Fatalf("position %d, %d after Seek(%d, %d)", e, b, epoch, batch)
				}
				got := rest(t, l, tensor.F16)
				if !slices.EqualFunc(got, epochs[epoch][batch:], slices.Equal) {
					t.Fatalf("shuffle=%v: epoch %d from batch %d: %v, want %v", shuffle, epoch, batch, got, epochs[epoch][batch:])
				}
				if e, b := l.Position(); e != epoch || b != l.Batches() {
					t.Fatalf("position %d, %d at the end of epoch %d", e, b, epoch)
				}
			}
		}
	}
}

func TestLoaderSeekErrors(t *testing.T) {
	l := newLoader(t, counter(100), data.LoaderConfig{BatchSize: 8, DType: tensor.F16, Shuffle: true})
	l.Seek(4, 2)
	for _, to := range [][2]int{{-1, 0}, {0, -1}, {0, 14}, {0, math.MaxInt}} {
		var position *data.PositionError
		if err := l.Seek(to[0], to[1]); !errors.As(err, &position) || *position != (data.PositionError{Epoch: to[0], Batch: to[1], Batches: l.Batches()}) {
			t.Errorf("Seek(%d, %d): error %v", to[0], to[1], err)
		}
		if epoch, batch := l.Position(); epoch != 4 || batch != 2 {
			t.Errorf("a failed Seek moves to %d, %d", epoch, batch)
		}
	}
}

// form is a Dataset with the given fields.
type form struct {
	n               int
	inputs, targets []data.Field
	sample          func(*data.Sample)
}

func (f form) Len() int              { return f.n }
func (f form) Inputs() []data.Field  { return f.inputs }
func (f form) Targets() []data.Field { return f.targets }

func (f form) Sample(_ int, to *data.Sample) error {
	f.sample(to)
	return nil
}

func TestNewLoaderErrors(t *testing.T) {
	good := data.LoaderConfig{BatchSize: 1, DType: tensor.F16}
	x, y := data.Numbers("x", 2), data.Classes("y", 3)
	of := func(n int, inputs, targets []data.Field) form { return form{n: n, inputs: inputs, targets: targets} }
	one := func(f data.Field) []data.Field { return []data.Field{f} }
	for _, tt := range []struct {
		ds   form
		cfg  data.LoaderConfig
		want string
	}{
		{of(1, one(x), one(y)), data.LoaderConfig{BatchSize: 0, DType: tensor.F16}, "data: a batch of 0 samples cannot be: want at least 1"},
		{of(1, one(x), one(y)), data.LoaderConfig{BatchSize: -3, DType: tensor.F16}, "data: a batch of -3 samples cannot be: want at least 1"},
		{of(1, one(x), one(y)), data.LoaderConfig{BatchSize: 1}, "data: batches of DType(0) cannot be: want fp16, bf16 or fp32"},
		{of(1, one(x), one(y)), data.LoaderConfig{BatchSize: 1, DType: tensor.I32}, "data: batches of int32 cannot be: want fp16, bf16 or fp32"},
		{of(0, one(x), one(y)), good, "data: the data set is empty: want at least 1 sample"},
		{of(1, nil, one(y)), good, "data: the data set has no inputs: want at least 1"},
		{of(1, one(data.Numbers("x", 3, 0)), one(y)), good, `data: the input "x" has the shape [3 0]: want dimensions of at least 1`},
		{of(1, one(data.Numbers("")), one(y)), good, "data: an input has no name"},
		{of(1, one(x), []data.Field{y, y}), good, `data: two targets are called "y"`},
		{of(1, one(x), one(data.Classes("y", -1))), good, `data: the target "y" is of int32 and has -1 classes: want an int32 for classes, and not less than 0 of them`},
		{of(1, one(data.Field{Name: "x", DType: tensor.F32, Classes: 4}), one(y)), good, `data: the input "x" is of fp32 and has 4 classes: want an int32 for classes, and not less than 0 of them`},
		{of(1, one(data.Field{Name: "x", DType: tensor.F16}), one(y)), good, `data: the input "x" is of fp16: want fp32 or int32`},
		{of(1, one(x), one(data.Field{Name: "y", DType: tensor.F32, Ignores: true})), good, `data: the target "y" of fp32 cannot be ignored: only targets of int32 can`},
		{of(1, one(data.Field{Name: "x", DType: tensor.I32, Ignores: true}), one(y)), good, `data: the input "x" of int32 cannot be ignored: only targets of int32 can`},
	} {
		if _, err := data.NewLoader(tt.ds, tt.cfg); err == nil || err.Error() != tt.want {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
	if _, err := data.NewLoader(of(0, one(x), one(y)), good); !errors.Is(err, data.ErrEmpty) {
		t.Errorf("without samples: error %v", err)
	}
}

// What a sample may not have, and the bounds of what it may.
func TestLoaderChecksValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	ignoring := data.Classes("next", 5, 3)
	ignoring.Ignores = true
	for _, tt := range []struct {
		target data.Field
		values any
		want   string // empty: all is well
	}{
		{data.Classes("label", 3), []int32{-1}, `the target "label" is -1: want one from 0 to 2`},
		{data.Classes("label", 3), []int32{3}, `the target "label" is 3: want one from 0 to 2`},
		{data.Classes("label", 3), []int32{2}, ""},
		{data.Classes("next", 5, 3), []int32{4, 0, -1}, `the target "next" is -1 at 2: want one from 0 to 4`},
		{ignoring, []int32{4, 0, -1}, ""},
		{ignoring, []int32{4, -2, -1}, `the target "next" is -2 at 1: want one from 0 to 4, or -1 to be ignored`},
		{ignoring, []int32{5, -1, -1}, `the target "next" is 5 at 0: want one from 0 to 4, or -1 to be ignored`},
		{data.Classes("count", 0), []int32{math.MinInt32}, ""},
		{data.Numbers("price", 2), []float32{1, nan}, `the target "price" is NaN at 1: want a finite number`},
		{data.Numbers("price"), []float32{inf}, `the target "price" is -Inf: want a finite number`},
		{data.Numbers("price", 2), []float32{math.MaxFloat32, 0}, ""},
	} {
		ds := form{1, []data.Field{data.Numbers("x")}, []data.Field{data.Classes("first", 1), tt.target}, func(to *data.Sample) {
			switch v := tt.values.(type) {
			case []int32:
				copy(to.Targets[1].I32(), v)
			case []float32:
				copy(to.Targets[1].F32(), v)
			}
			to.Inputs[0].F32()[0] = nan // is the caller's business
		}}
		l := newLoader(t, ds, data.LoaderConfig{BatchSize: 1, DType: tensor.F16})
		b, ok := l.Next()
		if tt.want == "" {
			if !ok || b.Finite {
				t.Errorf("%v: a batch: %v, error %v", tt.values, ok, l.Err())
			}
			continue
		}
		if want := "data: sample 0: " + tt.want; ok || l.Err() == nil || l.Err().Error() != want {
			t.Errorf("%v: a batch: %v, error %v, want %s", tt.values, ok, l.Err(), want)
		}
	}
	tokens := form{1, []data.Field{data.Classes("tokens", 9, 2)}, nil, func(to *data.Sample) { to.Inputs[0].I32()[1] = 9 }}
	l := newLoader(t, tokens, data.LoaderConfig{BatchSize: 1, DType: tensor.F32})
	if _, ok := l.Next(); ok || l.Err() == nil || l.Err().Error() != `data: sample 0: the input "tokens" is 9 at 1: want one from 0 to 8` {
		t.Errorf("a token out of range: a batch: %v, error %v", ok, l.Err())
	}
}

// fields is a data set with several inputs and targets of several types and shapes.
type fields int

func (n fields) Len() int { return int(n) }
func (n fields) Inputs() []data.Field {
	return []data.Field{data.Classes("tokens", 0, 3), data.Numbers("picture", 2, 2, 1), data.Numbers("scalar")}
}
func (n fields) Targets() []data.Field {
	return []data.Field{data.Numbers("box", 4), data.Classes("next", 0, 3)}
}

func (n fields) Sample(i int, to *data.Sample) error {
	for j := range int32(3) {
		to.Inputs[0].I32()[j] = int32(10*i) + j
		to.Targets[1].I32()[j] = int32(20*i) + j
	}
	for j := range 4 {
		to.Inputs[1].F32()[j] = float32(i) + float32(j)/3
		to.Targets[0].F32()[j] = float32(i) - float32(j)/3
	}
	to.Inputs[2].F32()[0] = float32(i) / 7
	return nil
}

// Any inputs and targets come in their types and shapes: numbers of inputs rounded, those
// of targets not, classes as they are.
func TestLoaderOfSeveralFields(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.F16, tensor.BF16, tensor.F32} {
		l := newLoader(t, fields(5), data.LoaderConfig{BatchSize: 2, DType: dtype})
		next := 0
		for b, ok := l.Next(); ok; b, ok = l.Next() {
			n := b.Len()
			for _, tt := range []struct {
				of    *tensor.Tensor
				dtype tensor.DType
				shape []int
			}{
				{b.Inputs[0], tensor.I32, []int{n, 3}}, {b.Inputs[1], dtype, []int{n, 2, 2, 1}}, {b.Inputs[2], dtype, []int{n}},
				{b.Targets[0], tensor.F32, []int{n, 4}}, {b.Targets[1], tensor.I32, []int{n, 3}},
			} {
				if tt.of.DType() != tt.dtype || !slices.Equal(tt.of.Shape(), tt.shape) {
					t.Errorf("%v of %v, want %v of %v", tt.of.DType(), tt.of.Shape(), tt.dtype, tt.shape)
				}
			}
			if b.First != next || b.Finite {
				t.Errorf("a batch begins with %d, want %d; known to be finite: %v", b.First, next, b.Finite)
			}
			for i := range n {
				want := data.NewSample(fields(5))
				if err := fields(5).Sample(next+i, want); err != nil {
					t.Fatal(err)
				}
				for k := range 2 {
					rounded := tensor.Make(dtype, want.Inputs[k+1].Len())
					rounded.Store(want.Inputs[k+1].F32())
					got, expected := make([]float32, rounded.Len()), make([]float32, rounded.Len())
					b.Inputs[k+1].Elements().Slice(i*rounded.Len(), (i+1)*rounded.Len()).Load(got)
					if rounded.Load(expected); !slices.Equal(got, expected) {
						t.Errorf("%v: input %d of sample %d is %v, want %v", dtype, k+1, next+i, got, expected)
					}
				}
				if !slices.Equal(b.Inputs[0].I32()[3*i:3*i+3], want.Inputs[0].I32()) || !slices.Equal(b.Targets[1].I32()[3*i:3*i+3], want.Targets[1].I32()) ||
					!slices.Equal(b.Targets[0].F32()[4*i:4*i+4], want.Targets[0].F32()) {
					t.Errorf("sample %d has tokens %v, next %v and box %v", next+i, b.Inputs[0].I32(), b.Targets[1].I32(), b.Targets[0].F32())
				}
			}
			next += n
		}
		epoch := 1
		if n := testing.AllocsPerRun(10, func() {
			l.Seek(epoch, 0)
			for _, ok := l.Next(); ok; _, ok = l.Next() {
			}
			epoch++
		}); n != 0 {
			t.Errorf("%v: %v allocations per epoch", dtype, n)
		}
	}
}

// short has a sample of too few bytes.
type short struct{ faultyBytes }

func (s short) Raw(i int, targets []tensor.Elements) ([]byte, error) {
	raw, err := s.faultyBytes.Raw(i, targets)
	if i == 3 {
		raw = raw[:1]
	}
	return raw, err
}

func TestLoaderRefusesTooFewBytes(t *testing.T) {
	l := newLoader(t, short{faultyBytes{faulty{counter(10), nil, nil}}}, data.LoaderConfig{BatchSize: 2, DType: tensor.F16})
	l.Next()
	_, ok := l.Next()
	if want := "data: sample 3: there are 1 bytes: want 2, one a value"; ok || l.Err() == nil || l.Err().Error() != want {
		t.Errorf("a batch: %v, error %v, want %s", ok, l.Err(), want)
	}
}

// A training step allocates nothing, and neither does what feeds it: a whole
// epoch with its shuffle, its full batches and its short one.
func TestLoaderAllocatesNothing(t *testing.T) {
	im := &data.Images{N: 100, H: 8, W: 8, Classes: 1, Pixels: make([]byte, 6400), Labels: make([]int32, 100)}
	train, _, err := data.Split(im.Standardized(0, 1), 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, dtype := range []tensor.DType{tensor.F16, tensor.F32} {
		l := newLoader(t, train, data.LoaderConfig{BatchSize: 32, DType: dtype, Shuffle: true})
		epoch := 0
		if n := testing.AllocsPerRun(10, func() {
			l.Seek(epoch, 0)
			for _, ok := l.Next(); ok; _, ok = l.Next() {
			}
			epoch++
		}); n != 0 {
			t.Errorf("%v: %v allocations per epoch", dtype, n)
		}
	}
}

// Bytes are translated to the same batches as by Sample, allocating nothing.
func TestLoaderOfBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	im := &data.Images{N: 100, H: 3, W: 5, Classes: 7, Pixels: make([]byte, 1500), Labels: make([]int32, 100)}
	for i := range im.Pixels {
		im.Pixels[i] = byte(rng.IntN(256))
	}
	for i := range im.Labels {
		im.Labels[i] = int32(i % 7)
	}
	train, _, err := data.Split(im.Standardized(0.3, 0.2), 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, ds := range []data.Dataset{im.Standardized(0.3, 0.2), train} {
		if _, ok := ds.(data.Bytes); !ok {
			t.Fatalf("%T are not bytes", ds)
		}
		noBytes := struct{ data.Dataset }{ds}
		plain := newLoader(t, noBytes, data.LoaderConfig{BatchSize: 32, DType: tensor.F16, Shuffle: true})
		fast := newLoader(t, ds, data.LoaderConfig{BatchSize: 32, DType: tensor.F16, Shuffle: true})
		for range plain.Batches() {
			want, _ := plain.Next()
			got, _ := fast.Next()
			if !slices.Equal(got.Inputs[0].F16(), want.Inputs[0].F16()) || !slices.Equal(got.Targets[0].I32(), want.Targets[0].I32()) || !slices.Equal(got.Inputs[0].Shape(), want.Inputs[0].Shape()) {
				t.Fatalf("a batch of %v differs", want.Inputs[0].Shape())
			}
		}
		epoch := 1
		if n := testing.AllocsPerRun(10, func() {
			fast.Seek(epoch, 0)
			for _, ok := fast.Next(); ok; _, ok = fast.Next() {
			}
			epoch++
		}); n != 0 {
			t.Errorf("%v allocations per epoch", n)
		}
	}
}

// One that is ahead deals out the same batches, wherever it is sent, keeps the one
// that the caller has, and allocates nothing.
func TestLoaderAhead(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.F16, tensor.F32} {
		for _, shuffle := range []bool{false, true} {
			cfg := data.LoaderConfig{BatchSize: 3, DType: dtype, Shuffle: shuffle, Seed: 5}
			plain := newLoader(t, counter(10), cfg)
			cfg.Ahead = true
			ds := &counted{counter: 10}
			ahead := newLoader(t, ds, cfg)
			size := func() int64 { // of the batch that Next returns next
				_, batch := ahead.Position()
				return int64(max(min(3, 10-3*batch), 0))
			}
			compare := func() {
				t.Helper()
				making := size() // after Seek, the first one is made by Next itself
				for {
					ds.made.Store(0)
					want, more := plain.Next()
					got, ok := ahead.Next()
					if ok != more {
						t.Fatalf("a batch: %v, want %v", ok, more)
					}
					if !more {
						return
					}
					for making += size(); ds.made.Load() < making; { // until the next one is made
						runtime.Gosched()
					}
					making = 0
					x, y := make([]float32, 2*got.Len()), make([]float32, 2*want.Len())
					got.Inputs[0].Elements().Load(x)
					want.Inputs[0].Elements().Load(y)
					if !slices.Equal(got.Targets[0].I32(), want.Targets[0].I32()) || !slices.Equal(x, y) || got.First != want.First {
						t.Fatalf("%v, shuffled %v: the batch of %v differs", dtype, shuffle, want.Targets[0].I32())
					}
				}
			}
			compare()
			for _, to := range [][2]int{{1, 0}, {1, 2}, {0, 1}, {3, 4}, {3, 0}} {
				ahead.Seek(to[0], 0)
				ahead.Next() // one is on its way when it is sent elsewhere
				if err := errors.Join(plain.Seek(to[0], to[1]), ahead.Seek(to[0], to[1])); err != nil {
					t.Fatal(err)
				}
				compare()
			}
			epoch := 4
			if n := testing.AllocsPerRun(10, func() {
				ahead.Seek(epoch, 0)
				for _, ok := ahead.Next(); ok; _, ok = ahead.Next() {
				}
				epoch++
			}); n != 0 {
				t.Errorf("%v allocations per epoch", n)
			}
		}
	}
}

// counted is a counter that counts the samples that it is asked for.
type counted struct {
	counter
	made atomic.Int64
}

func (c *counted) Sample(i int, to *data.Sample) error {
	defer c.made.Add(1)
	return c.counter.Sample(i, to)
}

// faulty is a counter that fails at some samples.
type faulty struct {
	counter
	at   map[int]bool
	fail func() error
}

func (f faulty) Sample(i int, to *data.Sample) error {
	if f.at[i] {
		if err := f.fail(); err != nil {
			return err
		}
	}
	return f.counter.Sample(i, to)
}

// faultyBytes is the same as Bytes, and Random.
type faultyBytes struct{ faulty }

func (f faultyBytes) Raw(i int, targets []tensor.Elements) ([]byte, error) {
	to := data.NewSample(f)
	to.Targets = targets
	err := f.Sample(i, to)
	return []byte{byte(i), 0}, err
}

func (f faultyBytes) Draw(i int, _ uint64, input []byte, targets []tensor.Elements) error {
	raw, err := f.Raw(i, targets)
	copy(input, raw)
	return err
}

func (faultyBytes) Values() [][256]float32 { return make([][256]float32, 1) }

// An error of the data set ends the epoch where it happens, whichever way the batches
// are made, and another Seek goes on from there.
func TestLoaderReportsErrors(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for _, ahead := range []bool{false, true} {
		for _, shuffle := range []bool{false, true} { // with bytes, from Raw and from Draw
			for _, bytes := range []bool{false, true} {
				f := faulty{counter(10), map[int]bool{5: true}, func() error { return broken }}
				var ds data.Dataset = f
				cfg := data.LoaderConfig{BatchSize: 2, DType: tensor.F16, Shuffle: shuffle, Seed: 1, Ahead: ahead}
				if bytes {
					ds = faultyBytes{f}
				}
				l := newLoader(t, ds, cfg)
				first := 0 // the batch that has sample 5
				if shuffle {
					first = slices.Index(epochOf10(t), 5) / 2
				} else {
					first = 2
				}
				for range 2 {
					n := 0
					for _, ok := l.Next(); ok; _, ok = l.Next() {
						n++
					}
					var sample *data.SampleError
					if n != first || !errors.Is(l.Err(), broken) || !errors.As(l.Err(), &sample) || sample.Index != 5 {
						t.Fatalf("ahead %v, shuffled %v, bytes %v: %d batches before the error %v, want %d", ahead, shuffle, bytes, n, l.Err(), first)
					}
					if _, ok := l.Next(); ok || l.Err() == nil {
						t.Fatal("it goes on after an error")
					}
					if epoch, batch := l.Position(); epoch != 0 || batch != first {
						t.Fatalf("position %d, %d after an error in batch %d", epoch, batch, first)
					}
					if err := l.Seek(0, 0); err != nil || l.Err() != nil {
						t.Fatalf("errors %v and %v after Seek", err, l.Err())
					}
				}
				delete(f.at, 5)
				for _, ok := l.Next(); ok; _, ok = l.Next() {
				}
				if _, batch := l.Position(); batch != 5 || l.Err() != nil {
					t.Fatalf("without the fault it ends after batch %d with %v", batch, l.Err())
				}
			}
		}
	}
}

// epochOf10 is the order of the first epoch of ten samples with seed 1.
func epochOf10(t *testing.T) []int {
	return slices.Concat(rest(t, newLoader(t, counter(10), data.LoaderConfig{BatchSize: 2, DType: tensor.F32, Shuffle: true, Seed: 1}), tensor.F32)...)
}

// A panic of the data set reaches the caller with its value, also from the goroutine
// that is ahead.
func TestLoaderPanics(t *testing.T) {
	type fault struct{}
	for _, ahead := range []bool{false, true} {
		ds := faulty{counter(4), map[int]bool{2: true}, func() error { panic(fault{}) }}
		l := newLoader(t, ds, data.LoaderConfig{BatchSize: 2, DType: tensor.F16, Ahead: ahead})
		if _, ok := l.Next(); !ok {
			t.Fatal("no first batch")
		}
		for range 2 {
			func() {
				defer func() {
					if r := recover(); r != any(fault{}) {
						t.Errorf("ahead %v: panics with %v", ahead, r)
					}
				}()
				l.Next()
				t.Error("no panic")
			}()
		}
	}
}

// A data set that ends the goroutine of the loader is an error, and the loader lives on.
func TestLoaderSurvivesGoexit(t *testing.T) {
	ds := faulty{counter(6), map[int]bool{3: true}, func() error { runtime.Goexit(); return nil }}
	l := newLoader(t, ds, data.LoaderConfig{BatchSize: 2, DType: tensor.F16, Ahead: true})
	l.Next()
	_, ok := l.Next()
	var sample *data.SampleError
	if ok || !errors.As(l.Err(), &sample) || sample.Index != 3 || !strings.Contains(l.Err().Error(), "runtime.Goexit") {
		t.Fatalf("a batch: %v, error %v", ok, l.Err())
	}
	delete(ds.at, 3)
	if err := l.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	if got := rest(t, l, tensor.F16); len(got) != 3 || l.Err() != nil {
		t.Errorf("afterwards %d batches, error %v", len(got), l.Err())
	}
}

// The goroutine of a loader that nobody holds any more ends, and lets go of its data.
func TestLoaderAheadEnds(t *testing.T) {
	const loaders = 20
	freed := make(chan struct{}, loaders)
	for range loaders {
		ds := &faulty{counter: 10}
		runtime.AddCleanup(ds, func(freed chan struct{}) { freed <- struct{}{} }, freed)
		newLoader(t, ds, data.LoaderConfig{BatchSize: 3, DType: tensor.F16, Ahead: true}).Next()
	}
	for n := 0; n < loaders; {
		runtime.GC()
		select {
		case <-freed:
			n++
		case <-time.After(time.Millisecond):
		}
	}
}

func samplesOf(ds data.Dataset) []int {
	samples, to := make([]int, ds.Len()), data.NewSample(ds)
	for i := range samples {
		if err := ds.Sample(i, to); err != nil {
			panic(err)
		}
		samples[i] = int(to.Inputs[0].F32()[0])
	}
	return samples
}

func TestSubset(t *testing.T) {
	indices := []int{5, 0, 5, 9}
	ds := data.Subset(counter(10), indices)
	indices[0] = 1 // the subset has its own copy
	if got := samplesOf(ds); !slices.Equal(got, []int{5, 0, 5, 9}) {
		t.Errorf("samples %v", got)
	}
	if diff := cmp.Diff(counter(10).Inputs(), ds.Inputs()) + cmp.Diff(counter(10).Targets(), ds.Targets()); diff != "" {
		t.Errorf("other fields than those of the data set: %s", diff)
	}
	to := data.NewSample(ds)
	if err := ds.Sample(3, to); to.Targets[0].I32()[0] != 2 || err != nil {
		t.Errorf("label %d, error %v, want 2", to.Targets[0].I32()[0], err)
	}
	if got := samplesOf(data.Subset(ds, []int{3, 2})); !slices.Equal(got, []int{9, 5}) {
		t.Errorf("subset of a subset: samples %v", got)
	}
	mustPanic(t, "index 10", func() { data.Subset(counter(10), []int{0, 10}) })
	mustPanic(t, "index -1", func() { data.Subset(counter(10), []int{-1}) })
}

func TestSplit(t *testing.T) {
	for _, holdout := range []int{1, 30, 99} {
		train, val, err := data.Split(counter(100), holdout, 7)
		if err != nil {
			t.Fatal(err)
		}
		a, b := samplesOf(train), samplesOf(val)
		if len(b) != holdout || !slices.IsSorted(a) || !slices.IsSorted(b) {
			t.Errorf("%d held out: %v and %v", holdout, a, b)
		}
		all := slices.Sorted(slices.Values(slices.Concat(a, b)))
		if !slices.Equal(all, samplesOf(counter(100))) {
			t.Errorf("together they are %v", all)
		}
	}
	val := func(seed uint64) []int {
		_, val, err := data.Split(counter(1000), 10, seed)
		if err != nil {
			t.Fatal(err)
		}
		return samplesOf(val)
	}
	if !slices.Equal(val(7), val(7)) {
		t.Error("one seed gives two hold-outs")
	}
	if slices.Equal(val(7), val(8)) {
		t.Error("two seeds give one hold-out")
	}
	golden := []int{33, 61, 113, 444, 695, 706, 731, 805, 806, 887} // testdata/order.py
	if !slices.Equal(val(7), golden) {
		t.Errorf("held out %v, want %v", val(7), golden)
	}
	for _, holdout := range []int{-1, 0, 100, 101} {
		var e *data.HoldoutError
		if _, _, err := data.Split(counter(100), holdout, 7); !errors.As(err, &e) || e.Holdout != holdout || e.Samples != 100 {
			t.Errorf("%d of 100: error %v", holdout, e)
		}
	}
}
