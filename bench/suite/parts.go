package suite

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/internal/memory"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
	"github.com/halfgrad/halfgrad/trainer"
)

// build makes the tasks, part by part.
func (s *session) build() error {
	engines, err := s.engines()
	if err != nil {
		return err
	}
	peaks := make([]bench.Peak, len(engines))
	for i, e := range engines {
		peaks[i] = bench.NewPeak(e)
		s.add(report.Benchmark{
			Name: report.Name(fmt.Sprintf("Peak/dtype=fp32/threads=%d/kernel=%s", e.Threads(), e.Tier())), Unit: report.GFLOPS,
		}, peaks[i], nil)
	}
	if err := s.memory(engines, peaks); err != nil {
		return err
	}
	s.convert(peaks[0])
	if err := s.products(engines, peaks); err != nil {
		return err
	}
	s.training(engines, peaks)
	return nil
}

// add adds a task, unless there is one of that name: tasks that do not depend on the
// tier are the same for all.
func (s *session) add(b report.Benchmark, peak bench.Peak, setUp func() (operation, error)) {
	if !slices.ContainsFunc(s.tasks, func(t *task) bool { return t.Name == b.Name }) {
		s.tasks = append(s.tasks, &task{Benchmark: b, peak: peak, setUp: setUp})
	}
}

// ready is the set-up of an operation that needs no preparation.
func ready(op operation) func() (operation, error) {
	return func() (operation, error) { return op, nil }
}

// mostMemory is the most bytes that the memory benchmarks take, all threads together.
// They never take more than a quarter of the machine's memory.
const mostMemory = 1 << 30

// pad is the gap between two arrays in elements. Arrays that start at the same offset in
// a page are slow: the processor takes a read for one that depends on a write.
const pad = 80

func (s *session) memory(engines []*kernels.Engine, peaks []bench.Peak) error {
	most := int64(mostMemory)
	if total := memory.Total(); total > 0 {
		most = int64(min(total/4, mostMemory))
	}
	var arena []float32 // shared by all, allocated when the first needs it
	size := 0
	for _, bytes := range s.Memory {
		if bytes < 4<<10 {
			return fmt.Errorf("suite: memory of %d bytes: want at least 4096", bytes)
		}
		for i, e := range engines {
			threads, n := e.Threads(), bytes/4
			for _, op := range []struct {
				name   string
				arrays int
				kernel bool // whether it depends on the tier
				do     func(x [3][]float32)
			}{
				{"read", 1, true, func(x [3][]float32) { read(e, x[0]) }},
				{"copy", 2, false, func(x [3][]float32) { copy(x[0], x[1]) }},
				{"triad", 3, false, func(x [3][]float32) { triad(x[0], x[1], x[2], 3) }},
			} {
				name := fmt.Sprintf("Memory/bytes=%d/op=%s/threads=%d", bytes, op.name, threads)
				if op.kernel {
					name += "/kernel=" + e.Tier()
				}
				if all := int64(bytes) * int64(threads); all > most {
					s.omitted = append(s.omitted, report.Omission{
						Name: report.Name(name), Reason: fmt.Sprintf("%d bytes, and %d may be used", all, most),
					})
					continue
				}
				size = max(size, n*threads)
				part := (n/op.arrays - pad) &^ 15
				s.add(report.Benchmark{
					Name: report.Name(name), Unit: report.Nanoseconds,
					Work: &report.Work{Amount: float64(4 * part * op.arrays * threads), Unit: report.Bytes},
				}, peaks[i], func() (operation, error) {
					if arena == nil {
						arena = make([]float32, size)
						for i := range arena {
							arena[i] = 1
						}
					}
					return func(times int) (time.Duration, error) {
						return together(threads, func(thread int) {
							x := arrays(arena[thread*n:][:n], op.arrays, part)
							for range times {
								op.do(x)
							}
						}), nil
					}, nil
				})
			}
		}
	}
	return nil
}

// arrays cuts arrays of so many elements out of a thread's memory.
func arrays(memory []float32, n, elements int) (x [3][]float32) {
	for i := range n {
		x[i] = memory[i*(elements+pad):][:elements]
	}
	return x
}

// read reads x by the check for infinities of e's tier.
func read(e *kernels.Engine, x []float32) {
	finite := true
	for len(x) > 0 {
		n := min(len(x), kernels.MostElements)
		finite = e.Elementwise().Finite(x[:n], 1) && finite
		x = x[n:]
	}
	if !finite {
		panic("suite: a 1 that is not finite")
	}
}

// triad is STREAM's. All have the same length.
func triad(a, b, c []float32, s float32) {
	b, c = b[:len(a)], c[:len(a)]
	for i := range a {
		a[i] = b[i] + s*c[i]
	}
}

// together runs f on so many threads. It returns the time from when all are ready until
// all are done.
func together(threads int, f func(thread int)) time.Duration {
	var ready atomic.Int64
	wait := func() {
		ready.Add(1)
		for ready.Load() < int64(threads) {
			runtime.Gosched()
		}
	}
	var others sync.WaitGroup
	for thread := 1; thread < threads; thread++ {
		others.Go(func() {
			wait()
			f(thread)
		})
	}
	wait()
	start := time.Now()
	f(0)
	others.Wait()
	return time.Since(start)
}

func (s *session) convert(peak bench.Peak) {
	if len(s.Convert) == 0 {
		return
	}
	var half []fp16.Float16
	var wide []float32
	most := slices.Max(s.Convert)
	for _, n := range s.Convert {
		for _, op := range []struct {
			name string
			do   func()
		}{
			{"widen", func() { fp16.Widen(wide[:n], half[:n]) }},
			{"narrow", func() { fp16.Narrow(half[:n], wide[:n]) }},
		} {
			s.add(report.Benchmark{
				Name: report.Name(fmt.Sprintf("Convert/elements=%d/op=%s/threads=1", n, op.name)), Unit: report.Nanoseconds,
				Work: &report.Work{Amount: float64(n), Unit: report.Element},
			}, peak, func() (operation, error) {
				if wide == nil {
					wide, half = values(most), make([]fp16.Float16, most)
					fp16.Narrow(half, wide)
				}
				return timed(op.do), nil
			})
		}
	}
}

// operands is the memory of A, B and C that all products of a type share.
type operands struct {
	f16 [3][]fp16.Float16 // A, B and C
	f32 [3][]float32
}

// product returns C = A·B.
func (o *operands) product(s bench.Shape, dtype tensor.DType, transA, transB bool) kernels.GemmArgs {
	return kernels.GemmArgs{
		A: o.matrix(0, dtype, s.M, s.K, transA), B: o.matrix(1, dtype, s.K, s.N, transB), C: o.matrix(2, dtype, s.M, s.N, false),
	}
}

// matrix views one of them.
func (o *operands) matrix(i int, dtype tensor.DType, rows, cols int, trans bool) tensor.Matrix {
	if trans {
		return o.matrix(i, dtype, cols, rows, false).T()
	}
	if dtype == tensor.F16 {
		return tensor.MatrixF16(o.f16[i][:rows*cols], rows, cols)
	}
	return tensor.MatrixF32(o.f32[i][:rows*cols], rows, cols)
}

// GemmName returns the name of a product's benchmark. trans is one of Product.Trans.
func GemmName(s bench.Shape, trans, dtype string, threads int, kernel string) report.Name {
	return report.Name(fmt.Sprintf("Gemm/m=%d/n=%d/k=%d/ta=%c/tb=%c/dtype=%s/threads=%d/kernel=%s",
		s.M, s.N, s.K, trans[0], trans[1], dtype, threads, kernel))
}

// TrainName returns the name of a training step's benchmark. dtype may be another
// library's that bench.TrainConfig does not have.
func TrainName(cfg bench.TrainConfig, dtype string, threads int, kernel string) report.Name {
	return report.Name(fmt.Sprintf("TrainStep/model=%s/batch=%d/optimizer=%s/dtype=%s/threads=%d/kernel=%s",
		cfg.Model(), cfg.Batch, cfg.Optimizer, dtype, threads, kernel))
}

func (s *session) products(engines []*kernels.Engine, peaks []bench.Peak) error {
	o := new(operands)
	sizes := map[tensor.DType][3]int{}
	for _, p := range s.Products {
		for _, d := range p.DTypes {
			m := sizes[d]
			sizes[d] = [3]int{max(m[0], p.Shape.M*p.Shape.K), max(m[1], p.Shape.K*p.Shape.N), max(m[2], p.Shape.M*p.Shape.N)}
		}
	}
	for i, n := range sizes[tensor.F16] {
		o.f16[i] = make([]fp16.Float16, n)
		fp16.Narrow(o.f16[i], values(n))
	}
	for i, n := range sizes[tensor.F32] {
		o.f32[i] = values(n)
	}
	for _, p := range s.Products {
		for _, dtype := range p.DTypes {
			for _, trans := range p.Trans {
				if len(trans) != 2 || trans[0] != 'n' && trans[0] != 't' || trans[1] != 'n' && trans[1] != 't' {
					return fmt.Errorf("suite: transposes %q: want nn, nt, tn or tt", trans)
				}
				g := o.product(p.Shape, dtype, trans[0] == 't', trans[1] == 't')
				for i, e := range engines {
					s.add(report.Benchmark{
						Name: GemmName(p.Shape, trans, dtype.String(), e.Threads(), e.Tier()), Unit: report.Nanoseconds,
						Work: &report.Work{Amount: p.Shape.FLOPs(), Unit: report.FLOP},
					}, peaks[i], ready(timed(func() { e.Gemm(g) })))
				}
			}
		}
	}
	return nil
}

func (s *session) training(engines []*kernels.Engine, peaks []bench.Peak) {
	for _, cfg := range s.Train {
		for i, e := range engines {
			s.add(report.Benchmark{
				Name: TrainName(cfg, cfg.Precision.String(), e.Threads(), e.Tier()), Unit: report.Nanoseconds,
				Work: &report.Work{Amount: cfg.FLOPs(), Unit: report.FLOP},
			}, peaks[i], func() (operation, error) {
				t, err := bench.NewTrainee(e, cfg, nil)
				if err != nil {
					return nil, err
				}
				return steps(t.Step), nil
			})
		}
	}
}

// steps is the operation of taking training steps. A step that is skipped because its
// gradients overflow is shorter and does not count.
func steps(step func() (trainer.StepResult, error)) operation {
	return func(n int) (took time.Duration, err error) {
		for n > 0 {
			start := time.Now()
			r, err := step()
			if err != nil {
				return 0, err
			}
			if !r.Skipped {
				took += time.Since(start)
				n--
			}
		}
		return took, nil
	}
}

// values returns n values around one, in which no arithmetic meets subnormals and no sum
// overflows fp16. They repeat.
func values(n int) []float32 {
	const period = 65521
	rng := rand.New(rand.NewPCG(1, 1))
	x := make([]float32, n)
	for i := range min(n, period) {
		x[i] = rng.Float32() + 0.5
	}
	for done := period; done < n; done *= 2 {
		copy(x[done:], x[:done])
	}
	return x
}
