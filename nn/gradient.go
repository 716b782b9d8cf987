package nn

import (
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// Sink takes gradients as they are computed.
type Sink interface {
	// Take gets elements from, from+1, … of the gradient of a parameter. param is its
	// index in [Graph.Params], and grad has at most [kernels.MostElements] elements.
	// Each element comes once. Several threads call Take at once.
	Take(param, from int, grad []float32)
}

// Gradient is where an operation puts the gradient of a parameter: memory, where it adds
// to what earlier parts of the batch have left, or a [Sink]. Each of its methods is one
// contribution, of which an operation makes one in a pass.
type Gradient struct {
	param     int // index in the graph
	elements  int
	width     int // the last dimension
	sums      []float32
	continues bool // whether sums holds those of earlier parts
	streamed  bool
	sink      Sink // where it is streamed to
}

// Product adds the product a·b, the gradient as a matrix whose columns are the
// parameter's last dimension: one chain of additions over the columns of a for each
// element.
func (g *Gradient) Product(e *kernels.Engine, a, b tensor.Matrix) {
	if g.streamed {
		e.Gemm(kernels.GemmArgs{C: tensor.Matrix{Rows: a.Rows, Cols: b.Cols}, A: a, B: b, Consumer: g})
		return
	}
	e.Gemm(kernels.GemmArgs{C: tensor.MatrixF32(g.sums, a.Rows, b.Cols), A: a, B: b, Accumulate: g.continues})
}

// AddRows adds the rows of m, whose columns are the parameter's elements, in ascending
// order.
func (g *Gradient) AddRows(e *kernels.Engine, m tensor.Matrix) {
	e.AddRows(g.Begin(), m)
	g.End()
}

// Begin returns the sums so far, in row-major order: zeros, or those of earlier parts of
// the batch. The caller adds its rows in ascending order, and calls End.
func (g *Gradient) Begin() []float32 {
	if g.sums == nil { // streamed as a whole, which planning does not know
		g.sums = make([]float32, g.elements)
	}
	if !g.continues {
		clear(g.sums)
	}
	return g.sums
}

// End ends what Begin began.
func (g *Gradient) End() {
	if g.streamed {
		g.take(0, g.sums)
	}
}

// take passes elements from, from+1, … on to the sink.
func (g *Gradient) take(from int, grad []float32) {
	for len(grad) > 0 {
		n := min(kernels.MostElements, len(grad))
		g.sink.Take(g.param, from, grad[:n])
		from, grad = from+n, grad[n:]
	}
}

// Consume implements [kernels.Consumer]. It moves short whole rows together, which takes
// less time than a call of the sink for each.
func (g *Gradient) Consume(i, j int, sums tensor.Matrix) {
	if sums.Cols < g.width || sums.Cols > moveBelow {
		values := sums.Elements.F32()
		for r := range sums.Rows {
			g.take((i+r)*g.width+j, values[r*sums.Stride:][:sums.Cols])
		}
		return
	}
	values := sums.Elements.F32()
	if sums.Stride > sums.Cols {
		for r := 1; r < sums.Rows; r++ {
			copy(values[r*sums.Cols:(r+1)*sums.Cols], values[r*sums.Stride:])
		}
	}
	g.take(i*g.width, values[:sums.Rows*sums.Cols])
}

// moveBelow is the largest number of elements of a row that is moved. (`halfgrad bench train
// --threads 1 --batch 1 --profile` on a Zen 4: the update of 256 rows of 10 takes 1.6
// instead of 7.4 µs; rows of 256 elements gain nothing.)
const moveBelow = 64
