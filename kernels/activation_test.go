package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/portable"
	"github.com/halfgrad/halfgrad/tensor"
)

var floats = []tensor.DType{tensor.F16, tensor.BF16, tensor.F32}

// activations has the definition of each activation and of its slope, by what it is
// computed from.
var activations = map[kernels.Activation][2]func(float32) float32{
	kernels.Exp:      {portable.Exp32, func(y float32) float32 { return y }},
	kernels.Sigmoid:  {portable.Sigmoid32, func(y float32) float32 { return float32(y * (1 - y)) }},
	kernels.Tanh:     {portable.Tanh32, func(y float32) float32 { return portable.FMA(-y, y, 1) }},
	kernels.SiLU:     {portable.SiLU32, portable.SiLUSlope32},
	kernels.GELU:     {portable.GELU32, portable.GELUSlope32},
	kernels.GELUTanh: {portable.GELUTanh32, portable.GELUTanhSlope32},
}

// floatTensor returns a tensor of random values, some of them special, and the values.
func floatTensor(rng *rand.Rand, d tensor.DType, shape ...int) (*tensor.Tensor, []float32) {
	t := tensor.New(d, shape...)
	x := make([]float32, t.Len())
	for i := range x {
		x[i] = float32(rng.NormFloat64() * 4)
		if rng.IntN(50) == 0 {
			x[i] *= 1e3
		}
	}
	t.Elements().Store(x)
	t.Elements().Load(x)
	return t, x
}

// compareTensor fails the test unless t has the values, rounded to its type.
func compareTensor(test *testing.T, what string, t *tensor.Tensor, want []float32) {
	test.Helper()
	rounded := tensor.New(t.DType(), len(want))
	rounded.Elements().Store(want)
	w, got := make([]float32, len(want)), make([]float32, len(want))
	rounded.Elements().Load(w)
	t.Elements().Load(got)
	compare(test, what, got, w)
}

func TestActivations(t *testing.T) {
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		rng := rand.New(rand.NewPCG(1, 1))
		for a, f := range activations {
			for _, d := range floats {
				for _, n := range []int{0, 1, 15, 16, 17, 2047, 9001} {
					what := fmt.Sprintf("%v of %d %v", a, n, d)
					src, x := floatTensor(rng, d, n)
					want := make([]float32, n)
					for i := range x {
						want[i] = f[0](x[i])
					}
					dst := tensor.New(d, n)
					e.Activate(a, dst, src)
					compareTensor(t, what, dst, want)

					dy, g := floatTensor(rng, d, n)
					for i := range x {
						want[i] = g[i] * f[1](x[i])
					}
					e.ActivateBackward(a, dst, dy, src)
					compareTensor(t, what+", backward", dst, want)
					e.ActivateBackward(a, src, dy, src)
					compareTensor(t, what+", backward in place", src, want)
				}
			}
		}
	})
}

// Softmax against its definition in the documentation, with the sums' order.
func TestSoftmax(t *testing.T) {
	sum := func(lanes []float32) float32 {
		for n := 8; n > 0; n /= 2 {
			for i := range n {
				lanes[i] += lanes[i+n]
			}
		}
		return lanes[0]
	}
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		rng := rand.New(rand.NewPCG(1, 1))
		for _, d := range floats {
			for _, shape := range [][]int{{1}, {5, 0}, {0, 5}, {3, 1}, {700, 10}, {2, 3, 16}, {2, 100}, {2, 40000}} {
				src, x := floatTensor(rng, d, shape...)
				dy, g := floatTensor(rng, d, shape...)
				cols := shape[len(shape)-1]
				want := make([]float32, len(x))
				for r := 0; r < len(x); r += max(cols, 1) {
					m := slices.Max(x[r : r+cols])
					lanes := make([]float32, 16)
					for i := range cols {
						want[r+i] = portable.Exp32(x[r+i] - m)
						lanes[i%16] += want[r+i]
					}
					inverse := 1 / sum(lanes)
					for i := range cols {
						want[r+i] *= inverse
					}
				}
				dst := tensor.New(d, shape...)
				e.Softmax(dst, src)
				compareTensor(t, fmt.Sprintf("%v of %v", shape, d), dst, want)
				e.Softmax(src, src)
				compareTensor(t, fmt.Sprintf("%v of %v, in place", shape, d), src, want)

				dst.Elements().Load(want)
				for r := 0; r < len(x); r += max(cols, 1) {
					lanes := make([]float32, 16)
					for i := r; i < r+cols; i++ {
						lanes[(i-r)%16] = portable.FMA(g[i], want[i], lanes[(i-r)%16])
					}
					s := sum(lanes)
					for i := r; i < r+cols; i++ {
						want[i] *= g[i] - s
					}
				}
				e.SoftmaxBackward(dst, dy, src)
				compareTensor(t, fmt.Sprintf("%v of %v, backward", shape, d), dst, want)
			}
		}
		inf := float32(math.Inf(1))
		for _, c := range [][2][]float32{
			{{-inf, 0, -inf}, {0, 1, 0}},
			{{-inf, -inf}, {float32(math.NaN()), float32(math.NaN())}},
			{{inf, 0}, {float32(math.NaN()), float32(math.NaN())}},
			{{3e38, -3e38}, {1, 0}},
		} {
			x := tensor.FromF32(slices.Clone(c[0]), len(c[0]))
			e.Softmax(x, x)
			compareTensor(t, fmt.Sprint(c[0]), x, c[1])
		}
	})
}

func TestArithmetic(t *testing.T) {
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		rng := rand.New(rand.NewPCG(1, 1))
		for _, d := range floats {
			for _, n := range []int{1, 40, 20001} {
				a, x := floatTensor(rng, d, n)
				b, y := floatTensor(rng, d, n)
				sums, products, scaled := make([]float32, n), make([]float32, n), make([]float32, n)
				for i := range x {
					sums[i], products[i], scaled[i] = x[i]+y[i], x[i]*y[i], x[i]*0.3
				}
				dst := tensor.New(d, n)
				e.Add(dst, a, b)
				compareTensor(t, "sum", dst, sums)
				e.Multiply(dst, a, b)
				compareTensor(t, "product", dst, products)
				e.Scale(dst, a, 0.3)
				compareTensor(t, "scaled", dst, scaled)
				wide := tensor.New(tensor.F32, n)
				e.Add(wide, a, b)
				compareTensor(t, "sum of another type", wide, sums)
			}
		}
	})
}

func TestFiniteTensor(t *testing.T) {
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		for _, d := range floats {
			for _, n := range []int{0, 1, 31, 32, 33, 100, 40001} {
				x := tensor.New(d, n)
				for i := range n { // as large as they may be
					if d == tensor.F16 {
						x.F16()[i] = 0xfbff
					} else {
						x.Elements().Slice(i, i+1).Store([]float32{-0x1.fep127})
					}
				}
				if !e.FiniteTensor(x) {
					t.Errorf("%d finite elements of %v are not finite", n, d)
				}
				for at := 0; at < n; at += 1 + at/70*500 {
					for _, bad := range []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())} {
						e1 := x.Elements().Slice(at, at+1)
						keep := make([]float32, 1)
						e1.Load(keep)
						e1.Store([]float32{bad})
						if e.FiniteTensor(x) {
							t.Fatalf("%g at %d of %d elements of %v is finite", bad, at, n, d)
						}
						e1.Store(keep)
					}
				}
			}
		}
		if !e.FiniteTensor(tensor.New(tensor.I32, 3)) {
			t.Error("integers are not finite")
		}
	})
}

func TestParallel(t *testing.T) {
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		for _, n := range []int{0, 1, 2, 7, 1000} {
			for _, atOnce := range []int{1, 3, 64, 5000} {
				times := make([]int, n)
				e.Parallel(n, atOnce, func(from, to int) {
					if to-from > atOnce || to <= from {
						t.Errorf("indices %d to %d: want 1 to %d of them", from, to, atOnce)
					}
					for i := from; i < to; i++ {
						times[i]++
					}
					e.Parallel(1, 1, func(int, int) {}) // a call within a call
				})
				for i, got := range times {
					if got != 1 {
						t.Fatalf("%d indices, %d at once: index %d came %d times", n, atOnce, i, got)
					}
				}
			}
		}
	})
}

// Tensors at the edge of their memory: nothing else is read or written, at any length.
func TestActivationBounds(t *testing.T) {
	for _, atEnd := range []bool{true, false} {
		x, y, dst := kerneltest.Guarded[float32](t, 70, atEnd), kerneltest.Guarded[float32](t, 70, atEnd), kerneltest.Guarded[float32](t, 70, atEnd)
		halves := kerneltest.Guarded[fp16.Float16](t, 70, atEnd)
		part := func(s []float32, n int) *tensor.Tensor {
			if atEnd {
				return tensor.FromF32(s[len(s)-n:], n)
			}
			return tensor.FromF32(s[:n:n], n)
		}
		for i := range x {
			x[i], y[i] = float32(i%9)-4, float32(i%7)-3
		}
		forEngines(t, func(t *testing.T, e *kernels.Engine) {
			for n := 1; n <= 70; n++ {
				a, b, d := part(x, n), part(y, n), part(dst, n)
				h := tensor.FromF16(halves[:n:n], n)
				if atEnd {
					h = tensor.FromF16(halves[70-n:], n)
				}
				e.Activate(kernels.GELU, h, a)
				e.Activate(kernels.GELU, d, a)
				want := make([]float32, n)
				for i, v := range a.F32() {
					want[i] = portable.GELU32(v)
				}
				compareTensor(t, "fp32", d, want)
				compareTensor(t, "fp16", h, want)
				e.ActivateBackward(kernels.SiLU, d, a, b)
				for i, v := range b.F32() {
					want[i] = a.F32()[i] * portable.SiLUSlope32(v)
				}
				compareTensor(t, "backward", d, want)
				e.Add(d, a, b)
				for i, v := range b.F32() {
					want[i] = a.F32()[i] + v
				}
				compareTensor(t, "sum", d, want)
				e.Softmax(d, a)
				e.SoftmaxBackward(d, a, b)
				if !e.FiniteTensor(d) || !e.FiniteTensor(h) {
					t.Fatalf("%d elements are not finite", n)
				}
			}
		})
	}
}

// Several goroutines use one engine at the same time.
func TestActivationsAtOnce(t *testing.T) {
	e := engine(t, kernels.Config{Threads: 3})
	src, _ := floatTensor(rand.New(rand.NewPCG(1, 1)), tensor.F16, 30000)
	want := tensor.New(tensor.F16, 30000)
	e.Activate(kernels.GELU, want, src)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			got := tensor.New(tensor.F16, 30000)
			for range 3 {
				e.Activate(kernels.GELU, got, src)
			}
			if !slices.Equal(got.F16(), want.F16()) {
				t.Error("another result beside other callers")
			}
		})
	}
	all.Wait()
}

func TestActivationPanics(t *testing.T) {
	e := engine(t, kernels.Config{})
	two, three, whole := tensor.New(tensor.F16, 2), tensor.New(tensor.F32, 3), tensor.New(tensor.I32, 3)
	for want, f := range map[string]func(){
		"kernels: Activate of tensors of the shapes [2] and [3]": func() { e.Activate(kernels.GELU, two, three) },
		"kernels: ActivateBackward of tensors of the shapes [2]": func() { e.ActivateBackward(kernels.GELU, three, three, two) },
		"kernels: Softmax of int32: want floating-point":         func() { e.Softmax(three, whole) },
		"kernels: Softmax of a tensor without dimensions":        func() { e.Softmax(tensor.New(tensor.F32), tensor.New(tensor.F32)) },
		"kernels: Parallel: 0 indices at once":                   func() { e.Parallel(3, 0, nil) },
	} {
		func() {
			defer func() {
				if msg, _ := recover().(string); !strings.Contains(msg, want) {
					t.Errorf("panic %q does not say %q", msg, want)
				}
			}()
			f()
		}()
	}
}

func TestActivationsAllocateNothing(t *testing.T) {
	e := engine(t, kernels.Config{Threads: 3})
	x, y := tensor.New(tensor.F16, 300, 100), tensor.New(tensor.F16, 300, 100)
	body := func(int, int) {}
	if got := testing.AllocsPerRun(20, func() {
		e.Activate(kernels.Sigmoid, y, x)
		e.ActivateBackward(kernels.Sigmoid, x, x, y)
		e.Softmax(y, x)
		e.SoftmaxBackward(x, x, y)
		e.Add(y, y, x)
		e.FiniteTensor(y)
		e.Parallel(100, 10, body)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// The time of an element, by tier.
//
//	go test ./kernels -run '^$' -bench Activation
func BenchmarkActivation(b *testing.B) {
	for _, tier := range kernels.Supported() {
		e := engine(b, kernels.Config{Kernel: tier, Threads: 1})
		for _, d := range []tensor.DType{tensor.F16, tensor.F32} {
			rng, values := rand.New(rand.NewPCG(1, 1)), make([]float32, 16*1024)
			for i := range values {
				values[i] = float32(rng.NormFloat64() * 2)
			}
			x := tensor.New(d, 16, 1024)
			x.Elements().Store(values)
			y := tensor.New(d, 16, 1024)
			run := func(name string, f func()) {
				b.Run(fmt.Sprintf("f=%s/dtype=%v/kernel=%s", name, d, tier), func(b *testing.B) {
					for b.Loop() {
						f()
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(x.Len()), "ns/element")
				})
			}
			for a := range kernels.GELUTanh + 1 {
				run(a.String(), func() { e.Activate(a, y, x) })
				run(a.String()+"-backward", func() { e.ActivateBackward(a, y, x, x) })
			}
			run("softmax", func() { e.Softmax(y, x) })
			run("softmax-backward", func() { e.SoftmaxBackward(y, x, x) })
			run("add", func() { e.Add(y, x, x) })
			run("finite", func() { e.FiniteTensor(x) })
		}
	}
}
