package kerneltest_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/halfgrad/halfgrad/kernels/generic"
	"github.com/halfgrad/halfgrad/kernels/kerneltest"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// faults are kernels with one mistake each. The suite must fail every one:
// a suite that passes them proves nothing about the others.
var faults = map[string]func(right micro.Kernel) micro.Kernel{
	"splits k over two accumulators": with(func(right kernelFunc) kernelFunc {
		return func(depth int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols int, accumulate bool) {
			half := depth / 2
			right(half, a, aRow, aCol, b, bRow, c, ldc, rows, cols, accumulate)
			if depth == 0 {
				return
			}
			rest := make([]float32, rows*cols)
			right(depth-half, a[half*aCol:], aRow, aCol, b[half*bRow:], bRow, rest, cols, rows, cols, false)
			for i := range rows {
				for j := range cols {
					c[i*ldc+j] += rest[i*cols+j]
				}
			}
		}
	}),
	"writes between the rows": with(func(right kernelFunc) kernelFunc {
		return func(depth int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols int, accumulate bool) {
			right(depth, a, aRow, aCol, b, bRow, c, ldc, rows, cols, accumulate)
			if ldc > cols {
				c[cols] = 0
			}
		}
	}),
	"writes a whole tile at the edge": with(func(right kernelFunc) kernelFunc {
		return func(depth int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols int, accumulate bool) {
			right(depth, a, aRow, aCol, b, bRow, c, ldc, rows, cols, accumulate)
			if cols < 4 && ldc > cols {
				c[cols] = 0
			}
		}
	}),
	"forgets the last step": with(func(right kernelFunc) kernelFunc {
		return func(depth int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols int, accumulate bool) {
			right(max(depth-1, 0), a, aRow, aCol, b, bRow, c, ldc, rows, cols, accumulate)
		}
	}),
	"takes A to be packed": with(func(right kernelFunc) kernelFunc {
		return func(depth int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols int, accumulate bool) {
			right(depth, append(a, make([]float32, depth*rows)...), 1, rows, b, bRow, c, ldc, rows, cols, accumulate)
		}
	}),
	"takes B to be packed": with(func(right kernelFunc) kernelFunc {
		return func(depth int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols int, accumulate bool) {
			right(depth, a, aRow, aCol, b, 4, c, ldc, rows, cols, accumulate)
		}
	}),
	"reads past the panel": with(func(right kernelFunc) kernelFunc {
		return func(depth int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols int, accumulate bool) {
			if depth > 0 {
				readPast(b)
			}
			right(depth, a, aRow, aCol, b, bRow, c, ldc, rows, cols, accumulate)
		}
	}),
	"rounds fp32 products": func(k micro.Kernel) micro.Kernel {
		k.Operands, k.Name = tensor.F32, "f32-2x4-generic"
		return k // the fp16 kernel, which may not take fp32 operands
	},
	"is named for another tile": func(k micro.Kernel) micro.Kernel {
		k.Name = "f16f32acc-6x16-generic"
		return k
	},
	"computes ten rows of a thin product at most": func(k micro.Kernel) micro.Kernel {
		right := k.Thin
		k.Thin = func(a []float32, aRow int, b tensor.Matrix, c []float32, ldc, rows int, accumulate bool) {
			right(a, aRow, b, c, ldc, min(rows, 10), accumulate)
		}
		return k
	},
	"forgets the last column of a thin product": func(k micro.Kernel) micro.Kernel {
		right := k.Thin
		k.Thin = func(a []float32, aRow int, b tensor.Matrix, c []float32, ldc, rows int, accumulate bool) {
			if b.Cols > 128 {
				b.Cols--
			}
			right(a, aRow, b, c, ldc, rows, accumulate)
		}
		return k
	},
	"takes an unpacked B to be dense": func(k micro.Kernel) micro.Kernel {
		k.Direct = func(a []float32, aRow, aCol int, b tensor.Matrix, c []float32, ldc, rows int, accumulate bool) {
			panel := make([]float32, b.Rows*k.NR)
			k.Pack(panel, k.NR, tensor.Matrix{F16: b.F16, Rows: b.Rows, Cols: b.Cols, Stride: b.Cols})
			k.Func(b.Rows, a, aRow, aCol, panel, k.NR, c, ldc, rows, b.Cols, accumulate)
		}
		return k
	},
	"packs the transpose": func(k micro.Kernel) micro.Kernel {
		right := k.Pack
		k.Pack = func(dst []float32, stride int, m tensor.Matrix) {
			if m.Rows == m.Cols {
				m = m.T()
			}
			right(dst, stride, m)
		}
		return k
	},
	"packs more than there is": func(k micro.Kernel) micro.Kernel {
		right := k.Pack
		k.Pack = func(dst []float32, stride int, m tensor.Matrix) {
			right(dst, stride, m)
			if m.Cols > 0 && stride > m.Cols && m.Rows > 1 {
				dst[m.Cols] = 0
			}
		}
		return k
	},
}

type kernelFunc = func(k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols int, accumulate bool)

// with makes a fault of a kernel's Func.
func with(wrong func(right kernelFunc) kernelFunc) func(micro.Kernel) micro.Kernel {
	return func(k micro.Kernel) micro.Kernel {
		k.Func = wrong(k.Func)
		return k
	}
}

// The suite ends the test that runs it, so each fault runs in a process of its
// own. An emulated process cannot start another: tests under qemu are run with
// -short, and a fault that the suite catches on one machine it catches on all.
func TestSuiteCatchesFaults(t *testing.T) {
	if name := os.Getenv("KERNELTEST_FAULT"); name != "" {
		kerneltest.Run(t, []micro.Kernel{faults[name](generic.Kernels[0])})
		return
	}
	for name := range faults {
		runFault(t, name, "TestSuiteCatchesFaults")
	}
}

// runFault runs a test in a process that has the named fault. It must fail.
func runFault(t *testing.T, name, test string) {
	if testing.Short() {
		t.Skip("-short: a process for each fault")
	}
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
		cmd.Env = append(os.Environ(), "KERNELTEST_FAULT="+name)
		out, err := cmd.CombinedOutput()
		var failed *exec.ExitError
		if !errors.As(err, &failed) {
			t.Errorf("the suite passes what %s (%v):\n%s", name, err, out)
		}
	})
}

func TestRequired(t *testing.T) {
	t.Setenv(kerneltest.EnvRequire, "avx2, mnist")
	for what, want := range map[string]bool{"avx2": true, "mnist": true, "neon": false, "": false} {
		if got := kerneltest.Required(what); got != want {
			t.Errorf("Required(%q) = %v", what, got)
		}
	}
}

func ExampleSame() {
	// The order of a sum shows in its bits, so the contract fixes it.
	chain := func(values ...float32) (acc float32) {
		for _, v := range values {
			acc = kerneltest.MulAdd(tensor.F16, v, v, acc)
		}
		return acc
	}
	const small = 1.0 / (1 << 12)
	fmt.Println(kerneltest.Same(chain(1, small, small), chain(small, small, 1)))
	// Output: false
}
