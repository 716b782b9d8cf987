package kerneltest_test

import (
	"math"
	"os"
	"testing"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels/generic"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// elementwiseFaults change one thing each, for the worse.
var elementwiseFaults = map[string]func(e *micro.Elementwise){
	"turns a NaN into a zero": func(e *micro.Elementwise) {
		wrapStore(e, func(x float32) float32 {
			if x != x {
				return 0
			}
			return x
		})
	},
	"flushes subnormals": func(e *micro.Elementwise) {
		wrapStore(e, func(x float32) float32 {
			if math.Abs(float64(x)) < 0x1p-126 {
				return 0
			}
			return x
		})
	},
	"keeps the sign of a rectified zero": func(e *micro.Elementwise) {
		right := e.Store
		e.Store = func(dst tensor.Matrix, src []float32, stride int, p micro.Epilogue) bool {
			relu := p.ReLU
			p.ReLU = false
			finite := right(dst, src, stride, p)
			if relu {
				for i := range dst.Rows {
					for j := range dst.Cols {
						at, half := i*dst.Stride+j, dst.DType() == tensor.F16
						if half && dst.Elements.F16()[at].Float32() < 0 {
							dst.Elements.F16()[at] = 0
						} else if !half && dst.Elements.F32()[at] < 0 {
							dst.Elements.F32()[at] = 0
						}
					}
				}
			}
			return finite
		}
	},
	"looks at the sums before they are rounded": func(e *micro.Elementwise) {
		right := e.Store
		e.Store = func(dst tensor.Matrix, src []float32, stride int, p micro.Epilogue) bool {
			if dst.DType() == tensor.F32 {
				return right(dst, src, stride, p)
			}
			wide := tensor.MatrixF32(make([]float32, dst.Rows*dst.Cols), dst.Rows, dst.Cols)
			right(dst, src, stride, p)
			return right(wide, src, stride, p)
		}
	},
	"stores between the rows": func(e *micro.Elementwise) {
		right := e.Store
		e.Store = func(dst tensor.Matrix, src []float32, stride int, p micro.Epilogue) bool {
			finite := right(dst, src, stride, p)
			if dst.DType() == tensor.F16 && dst.Rows > 1 && dst.Stride > dst.Cols {
				dst.Elements.F16()[dst.Cols]++
			}
			return finite
		}
	},
	"rounds fp16 towards zero": func(e *micro.Elementwise) {
		wrapStore(e, func(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ 0x1fff) })
	},
	"looks at a sum": func(e *micro.Elementwise) {
		e.Finite = func(x []float32, factor float32) bool {
			sum := float32(0)
			for _, v := range x {
				sum += v * factor
			}
			return sum-sum == 0
		}
	},
	"looks before it multiplies": func(e *micro.Elementwise) {
		right := e.Finite
		e.Finite = func(x []float32, _ float32) bool { return right(x, 1) }
	},
	"rectifies a NaN": func(e *micro.Elementwise) {
		right := e.RectifyF16
		e.RectifyF16 = func(dst, src, mask []fp16.Float16) {
			nan := make([]bool, len(mask))
			for i, m := range mask {
				nan[i] = m.IsNaN()
			}
			right(dst, src, mask)
			for i := range nan {
				if nan[i] {
					dst[i] = 0
				}
			}
		}
	},
	"adds the rows from the last": func(e *micro.Elementwise) {
		right := e.AddRows
		e.AddRows = func(sums []float32, m tensor.Matrix) {
			for i := m.Rows - 1; i >= 0; i-- {
				right(sums, m.Block(i, 0, 1, m.Cols))
			}
		}
	},
	"reads past the end": func(e *micro.Elementwise) {
		right := e.SGD
		e.SGD = func(w, v, grad []float32, half tensor.Elements, p micro.SGD) {
			if len(grad) > 0 {
				readPast(grad)
			}
			right(w, v, grad, half, p)
		}
	},
	"has no momentum of its own": func(e *micro.Elementwise) {
		right := e.SGD
		e.SGD = func(w, v, grad []float32, half tensor.Elements, p micro.SGD) {
			p.Nesterov = false
			right(w, v, grad, half, p)
		}
	},
	"fuses a product of SGD": func(e *micro.Elementwise) {
		right := e.SGD
		e.SGD = func(w, v, grad []float32, half tensor.Elements, p micro.SGD) {
			old := append([]float32(nil), w...)
			right(w, v, grad, half, p)
			if !p.Nesterov {
				for i := range w {
					w[i] = float32(float64(old[i]) - float64(p.Rate)*float64(v[i]))
				}
			}
		}
	},
	"leaves the halves as they were": func(e *micro.Elementwise) {
		right := e.SGD
		e.SGD = func(w, v, grad []float32, _ tensor.Elements, p micro.SGD) { right(w, v, grad, tensor.Elements{}, p) }
	},
	"couples the decay of AdamW": func(e *micro.Elementwise) {
		right := e.Adam
		e.Adam = func(w, m, v, grad []float32, half tensor.Elements, p micro.Adam) {
			p.Decoupled = false
			right(w, m, v, grad, half, p)
		}
	},
	"forgets epsilon": func(e *micro.Elementwise) {
		right := e.Adam
		e.Adam = func(w, m, v, grad []float32, half tensor.Elements, p micro.Adam) {
			p.Epsilon = 0
			right(w, m, v, grad, half, p)
		}
	},
}

// wrapStore changes the sums before they are stored.
func wrapStore(e *micro.Elementwise, change func(float32) float32) {
	right := e.Store
	e.Store = func(dst tensor.Matrix, src []float32, stride int, p micro.Epilogue) bool {
		src = append([]float32(nil), src...)
		for i, x := range src {
			src[i] = change(x)
		}
		return right(dst, src, stride, p)
	}
}

func TestElementwiseSuiteCatchesFaults(t *testing.T) {
	if name := os.Getenv("KERNELTEST_FAULT"); name != "" {
		e := generic.Elementwise[0]
		elementwiseFaults[name](&e)
		kerneltest.RunElementwise(t, []micro.Elementwise{e})
		return
	}
	for name := range elementwiseFaults {
		runFault(t, name, "TestElementwiseSuiteCatchesFaults")
	}
}
