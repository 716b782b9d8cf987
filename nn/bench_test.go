package nn

import (
	"testing"

	"github.com/halfgrad/halfgrad/tensor"
)

// Operations along axes, over 8 samples in fp16.
func BenchmarkAxes(b *testing.B) {
	for _, c := range []struct {
		name  string
		shape Shape
		build func(x *Value) *Value
	}{
		{"heads", Shape{128, 4, 64}, func(x *Value) *Value { return Transpose(x, []int{1, 0, 2}) }},
		{"matrix", Shape{256, 128}, func(x *Value) *Value { return Transpose(x, []int{1, 0}) }},
		{"pixels", Shape{32, 16, 64}, func(x *Value) *Value { return Mean(x, []int{0, 1}) }},
		{"tokens", Shape{128, 256}, func(x *Value) *Value { return Mean(x, []int{1}) }},
	} {
		g := NewGraph(1)
		x := c.build(g.Input("x", c.shape...))
		if g.Err() != nil {
			b.Fatal(g.Err())
		}
		n := g.Nodes()[0]
		form, _ := n.Op.Infer([]Shape{c.shape})
		const rows = 8
		call := Call{Rows: rows, Training: true, Scratch: make([]float32, form.Scratch), InFinite: make([]Finiteness, 1), DInFinite: make([]Finiteness, 1)}
		call.In = []*tensor.Tensor{tensor.New(tensor.F16, append([]int{rows}, c.shape...)...)}
		call.DIn = call.In
		call.Out = tensor.New(tensor.F16, append([]int{rows}, x.Shape()...)...)
		call.DOut = call.Out
		b.Run("op="+c.name+"/pass=forward", func(b *testing.B) {
			b.SetBytes(int64(2 * rows * c.shape.Len()))
			for b.Loop() {
				n.Op.Forward(&call)
			}
		})
		b.Run("op="+c.name+"/pass=backward", func(b *testing.B) {
			b.SetBytes(int64(2 * rows * c.shape.Len()))
			for b.Loop() {
				n.Op.Backward(&call)
			}
		})
	}
}
