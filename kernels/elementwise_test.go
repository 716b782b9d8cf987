package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// lengths are below and above the most elements of a call and the limit for helpers.
var lengths = []int{0, 1, 63, 1000, 20000, 100001}

// forEngines runs f on engines of every tier at 1, 2 and 3 threads.
func forEngines(t *testing.T, f func(t *testing.T, e *kernels.Engine)) {
	for _, tier := range kernels.Supported() {
		for threads := 1; threads <= 3; threads++ {
			t.Run(fmt.Sprintf("kernel=%s/threads=%d", tier, threads), func(t *testing.T) {
				f(t, engine(t, kernels.Config{Kernel: tier, Threads: threads}))
			})
		}
	}
}

// values returns n values of fp32, and the same rounded to fp16.
func values(rng *rand.Rand, n int) ([]float32, []fp16.Float16) {
	x, h := kerneltest.Mixes[0].Slice(rng, tensor.F32, n), make([]fp16.Float16, n)
	for i := range x {
		h[i] = fp16.FromFloat32(x[i])
	}
	return x, h
}

func compare(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !kerneltest.Same(got[i], want[i]) {
			t.Fatalf("%s: %d elements: element %d is %g, want %g", what, len(want), i, got[i], want[i])
		}
	}
}

func TestFinite(t *testing.T) {
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		for _, n := range lengths {
			x := make([]float32, n)
			if !e.Finite(x, 1e30) {
				t.Errorf("%d zeros are not finite", n)
			}
			for _, at := range []int{0, n / 2, n - 1} {
				if n == 0 {
					continue
				}
				for _, bad := range []float32{float32(math.Inf(-1)), float32(math.NaN()), 1e10} {
					x[at] = bad
					if e.Finite(x, 1e30) {
						t.Errorf("%g × 1e30 at %d of %d is finite", bad, at, n)
					}
				}
				x[at] = 0
			}
		}
	})
}

func TestRectify(t *testing.T) {
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, n := range lengths {
			src, src16 := values(rng, n)
			mask, mask16 := values(rng, n)
			want := make([]float32, n)
			for i, m := range mask {
				if m > 0 {
					want[i] = src[i]
				}
			}
			dst := tensor.New(tensor.F32, n)
			e.Rectify(dst, tensor.FromF32(src, n), tensor.FromF32(mask, n))
			compare(t, "fp32", dst.F32(), want)

			half := tensor.New(tensor.F16, n)
			e.Rectify(half, tensor.FromF16(src16, n), tensor.FromF16(mask16, n))
			for i, h := range half.F16() {
				want := fp16.Float16(0)
				if mask16[i].Float32() > 0 {
					want = src16[i]
				}
				if h != want {
					t.Fatalf("fp16: element %d of %d is %v, want %v", i, n, h, want)
				}
			}
		}
	})
}

func TestAddRows(t *testing.T) {
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, shape := range [][2]int{{0, 3}, {3, 0}, {1, 1}, {128, 10}, {128, 256}, {70, 2001}} {
			rows, cols := shape[0], shape[1]
			for _, gap := range []int{0, 5} {
				x, h := values(rng, rows*(cols+gap))
				for _, m := range []tensor.Matrix{{Elements: tensor.Of(x)}, {Elements: tensor.Of(h)}} {
					m.Rows, m.Cols, m.Stride = rows, cols, cols+gap
					sums, _ := values(rng, cols)
					want := slices.Clone(sums)
					for i := range rows {
						for j := range cols {
							want[j] += at(m, i, j)
						}
					}
					e.AddRows(sums, m)
					compare(t, fmt.Sprint(m.DType()), sums, want)
				}
			}
		}
	})
}

func TestSGDAndAdam(t *testing.T) {
	forEngines(t, func(t *testing.T, e *kernels.Engine) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, n := range lengths {
			w, half := values(rng, n)
			v, _ := values(rng, n)
			m, _ := values(rng, n)
			grad, _ := values(rng, n)
			for i := range v {
				v[i] = float32(math.Abs(float64(v[i])))
			}
			sgd := kernels.SGD{Unscale: 0.25, Rate: 0.1, Momentum: 0.9, Decay: 0.01, Nesterov: true}
			w1, v1 := slices.Clone(w), slices.Clone(v)
			for i, g := range grad {
				g = float32(g*sgd.Unscale) + float32(sgd.Decay*w1[i])
				v1[i] = float32(sgd.Momentum*v1[i]) + g
				d := g + float32(sgd.Momentum*v1[i])
				w1[i] -= float32(sgd.Rate * d)
			}
			gotW, gotV := slices.Clone(w), slices.Clone(v)
			e.SGD(gotW, gotV, grad, tensor.Of(half), sgd)
			compare(t, "SGD: w", gotW, w1)
			compare(t, "SGD: v", gotV, v1)
			checkHalves(t, half, w1)

			adam := kernels.Adam{Unscale: 0.25, Rate: 0.01, Keep: 0.999, Beta1: 0.9, Rest1: 0.1, Beta2: 0.99, Rest2: 0.01, Correction: 0.5, Epsilon: 1e-8, Decoupled: true}
			w1, v1, m1 := slices.Clone(w), slices.Clone(v), slices.Clone(m)
			for i, g := range grad {
				g = float32(g * adam.Unscale)
				m1[i] = float32(adam.Beta1*m1[i]) + float32(adam.Rest1*g)
				v1[i] = float32(adam.Beta2*v1[i]) + float32(float32(adam.Rest2*g)*g)
				d := float32(math.Sqrt(float64(v1[i])))/adam.Correction + adam.Epsilon
				w1[i] = float32(w1[i]*adam.Keep) - float32(adam.Rate*float32(m1[i]/d))
			}
			gotW, gotM, gotV := slices.Clone(w), slices.Clone(m), slices.Clone(v)
			e.Adam(gotW, gotM, gotV, grad, tensor.Of(half), adam)
			compare(t, "Adam: w", gotW, w1)
			compare(t, "Adam: m", gotM, m1)
			compare(t, "Adam: v", gotV, v1)
			checkHalves(t, half, w1)
			e.Adam(gotW, gotM, gotV, grad, tensor.Elements{}, adam) // without fp16 weights
		}
	})
}

func checkHalves(t *testing.T, half []fp16.Float16, w []float32) {
	t.Helper()
	for i, h := range half {
		if h != fp16.FromFloat32(w[i]) {
			t.Fatalf("element %d of %d: %g is %g in fp16", i, len(w), w[i], h.Float32())
		}
	}
}

func TestElementwisePanics(t *testing.T) {
	e := engine(t, kernels.Config{})
	two, three, none := make([]float32, 2, 4), make([]float32, 3), tensor.Elements{}
	for want, f := range map[string]func(){
		"SGD: slices of different lengths":  func() { e.SGD(three, two, three, none, kernels.SGD{}) },
		"Adam: slices of different lengths": func() { e.Adam(three, three, two, three, none, kernels.Adam{}) },
		"SGD: slices of different length":   func() { e.SGD(three, three, three, tensor.Make(tensor.F16, 2), kernels.SGD{}) },
		"Adam: a copy of the weights in bf16: want fp16": func() {
			e.Adam(three, three, three, three, tensor.Make(tensor.BF16, 3), kernels.Adam{})
		},
		"Rectify of bf16: want fp16 or fp32": func() {
			x := tensor.New(tensor.BF16, 3)
			e.Rectify(x, x, x)
		},
		"AddRows: a matrix of int32: want fp16 or fp32": func() { e.AddRows(three, tensor.New(tensor.I32, 1, 3).Matrix()) },
		"dst is fp32 [3], src fp32 [2]":                 func() { e.Rectify(tensor.FromF32(three, 3), tensor.FromF32(two, 2), tensor.FromF32(three, 3)) },
		"3 sums and a matrix of 2 columns":              func() { e.AddRows(three, tensor.MatrixF32(two, 1, 2)) },
		"transposed: true":                              func() { e.AddRows(three, tensor.MatrixF32(three, 3, 1).T()) },
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

func TestElementwiseAllocatesNothing(t *testing.T) {
	e := engine(t, kernels.Config{Threads: 3})
	const n = 50000
	x, y, z := make([]float32, n), make([]float32, n), make([]float32, n)
	if got := testing.AllocsPerRun(20, func() {
		e.SGD(x, y, z, tensor.Elements{}, kernels.SGD{})
		e.Finite(x, 1)
		e.AddRows(x[:n/10], tensor.MatrixF32(y, 10, n/10))
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
