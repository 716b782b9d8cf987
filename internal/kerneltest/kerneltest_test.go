package kerneltest_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels/generic"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// faults are kernels with one mistake each. The suite must fail every one:
// a suite that passes them proves nothing about the others.
var faults = map[string]func(right micro.Kernel) micro.Kernel{
	"splits k over two accumulators": with(func(right func(micro.Call)) func(micro.Call) {
		return func(x micro.Call) {
			half := x.K / 2
			first, second := x, x
			first.K = half
			right(first)
			if x.K == 0 {
				return
			}
			second.K, second.A, second.B = x.K-half, x.A.From(half*x.ACol), x.B.From(half*x.BRow)
			second.C, second.LDC, second.Accumulate = make([]float32, x.Rows*x.Cols), x.Cols, false
			right(second)
			for i := range x.Rows {
				for j := range x.Cols {
					x.C[i*x.LDC+j] += second.C[i*x.Cols+j]
				}
			}
		}
	}),
	"writes between the rows": with(func(right func(micro.Call)) func(micro.Call) {
		return func(x micro.Call) {
			right(x)
			if x.LDC > x.Cols {
				x.C[x.Cols] = 0
			}
		}
	}),
	"writes a whole tile at the edge": with(func(right func(micro.Call)) func(micro.Call) {
		return func(x micro.Call) {
			right(x)
			if x.Cols%4 != 0 && x.LDC > x.Cols {
				x.C[x.Cols] = 0
			}
		}
	}),
	"forgets the last step": with(func(right func(micro.Call)) func(micro.Call) {
		return func(x micro.Call) {
			x.K = max(x.K-1, 0)
			right(x)
		}
	}),
	"takes A to be packed": with(func(right func(micro.Call)) func(micro.Call) {
		return func(x micro.Call) {
			x.A, x.ARow, x.ACol = tensor.Of(append(x.A.F32(), make([]float32, x.K*x.Rows)...)), 1, x.Rows
			right(x)
		}
	}),
	"takes the rows of B to lie together": with(func(right func(micro.Call)) func(micro.Call) {
		return func(x micro.Call) {
			x.BRow = 4
			right(x)
		}
	}),
	"takes the panels of B to lie together": with(func(right func(micro.Call)) func(micro.Call) {
		return func(x micro.Call) {
			x.BPanel = 4 * x.K
			right(x)
		}
	}),
	"reads past the panel": with(func(right func(micro.Call)) func(micro.Call) {
		return func(x micro.Call) {
			if x.K > 0 {
				readPast(x.B.F32())
			}
			right(x)
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
		k.Thin = func(c micro.Call, b tensor.Matrix) {
			c.Rows = min(c.Rows, 10)
			right(c, b)
		}
		return k
	},
	"forgets the last column of a thin product": func(k micro.Kernel) micro.Kernel {
		right := k.Thin
		k.Thin = func(c micro.Call, b tensor.Matrix) {
			if c.Cols > 128 {
				c.Cols--
				b.Cols--
			}
			right(c, b)
		}
		return k
	},
	"takes an unpacked B to be dense": func(k micro.Kernel) micro.Kernel {
		right := k.Widen
		k.Widen = func(c micro.Call, b tensor.Matrix) {
			b.Stride = b.Cols
			right(c, b)
		}
		return k
	},
	"leaves nothing of an unpacked B": func(k micro.Kernel) micro.Kernel {
		right := k.Widen
		k.Widen = func(c micro.Call, b tensor.Matrix) {
			c.B = tensor.Make(tensor.F32, c.B.Len())
			right(c, b)
		}
		return k
	},
	"finishes before the bias": func(k micro.Kernel) micro.Kernel {
		k.Finish = func(c micro.Call, dst tensor.Matrix, e micro.Epilogue) bool {
			c.C = append([]float32(nil), c.C...)
			k.Func(c)
			e.Bias = nil
			return generic.Elementwise[0].Store(dst, c.C, c.LDC, e)
		}
		return k
	},
	"packs the transpose": func(k micro.Kernel) micro.Kernel {
		right := k.Pack
		k.Pack = func(dst tensor.Elements, stride int, m tensor.Matrix) {
			if m.Rows == m.Cols {
				m = m.T()
			}
			right(dst, stride, m)
		}
		return k
	},
	"packs more than there is": func(k micro.Kernel) micro.Kernel {
		right := k.Pack
		k.Pack = func(dst tensor.Elements, stride int, m tensor.Matrix) {
			right(dst, stride, m)
			if m.Cols > 0 && stride > m.Cols && m.Rows > 1 {
				dst.F32()[m.Cols] = 0
			}
		}
		return k
	},
}

// with makes a fault of a kernel's Func.
func with(wrong func(right func(micro.Call)) func(micro.Call)) func(micro.Kernel) micro.Kernel {
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
