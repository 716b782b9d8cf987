package nn

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/tensor"
)

// indices returns the index along each axis of element i.
func indices(s Shape, i int) []int {
	at := make([]int, len(s))
	for a := len(s) - 1; a >= 0; a-- {
		at[a], i = i%s[a], i/s[a]
	}
	return at
}

// element is the inverse of indices.
func element(s Shape, at []int) (i int) {
	for a, d := range s {
		i = i*d + at[a]
	}
	return i
}

// alone runs an operation of one input forward and backward in fp32.
func alone(t *testing.T, y *Value, rows int, x, dy []float32) (out, dx []float32) {
	t.Helper()
	g := y.graph
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	n := g.nodes[0]
	in := n.In[0].shape
	form, err := n.Op.Infer([]Shape{in})
	if err != nil {
		t.Fatal(err)
	}
	c := Call{Engine: engineOf(t, "", 2), Rows: rows, Training: true, Scratch: make([]float32, form.Scratch), InFinite: make([]Finiteness, 1), DInFinite: make([]Finiteness, 1)}
	c.In = []*tensor.Tensor{tensor.FromF32(x, append([]int{rows}, in...)...)}
	c.DIn = []*tensor.Tensor{tensor.New(tensor.F32, c.In[0].Shape()...)}
	c.Out = tensor.New(tensor.F32, append([]int{rows}, y.shape...)...)
	c.DOut = tensor.FromF32(dy, c.Out.Shape()...)
	n.Op.Forward(&c)
	n.Op.Backward(&c)
	return c.Out.F32(), c.DIn[0].F32()
}

// Operations along axes give the bits of the plain loop over the elements, for axes of any
// length, those of 1 included, and for runs longer than what is widened at a time.
func TestAxes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	shapes := []Shape{{1}, {7}, {1, 1, 1}, {600}, {2, 515}, {515, 2}, {3, 300, 2}, {300, 3, 1}, {1, 2, 1, 3, 1}, {2, 3, 4, 5}, {2, 1, 3, 1, 2, 2}}
	for len(shapes) < 40 {
		s := Shape{}
		for range 1 + rng.IntN(5) {
			s = append(s, 1+rng.IntN(4))
		}
		shapes = append(shapes, s)
	}
	const rows = 2
	randoms := func(n int) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = rng.Float32() - 0.5
		}
		return values
	}
	for _, s := range shapes {
		x := randoms(rows * s.Len())
		g := NewGraph(1)
		order := rng.Perm(len(s))
		y := Transpose(g.Input("x", s...), order)
		if g.Err() != nil {
			t.Fatal(g.Err())
		}
		dy := randoms(rows * s.Len())
		out, dx := alone(t, y, rows, x, dy)
		for i := range x {
			from := indices(s, i%s.Len())
			to := make([]int, len(s))
			for a, b := range order {
				to[a] = from[b]
			}
			j := i/s.Len()*s.Len() + element(y.shape, to)
			if out[j] != x[i] || dx[i] != dy[j] {
				t.Fatalf("%v transposed by %v: other elements", s, order)
			}
		}

		for mask := range 1 << len(s) {
			var axes, kept []int
			for a := range s {
				if mask>>a&1 == 1 {
					axes = append(axes, a)
				} else {
					kept = append(kept, a)
				}
			}
			if len(axes) == 0 { // all of them
				kept = nil
			}
			for _, mean := range []bool{false, true} {
				g := NewGraph(1)
				build, name := Sum, "the sum"
				if mean {
					build, name = Mean, "the mean"
				}
				y := build(g.Input("x", s...), axes)
				n := y.shape.Len()
				dy := randoms(rows * n)
				out, dx := alone(t, y, rows, x, dy)
				want, wantDX := make([]float32, rows*n), make([]float32, len(x))
				count := float32(1)
				if mean {
					count = float32(s.Len() / n)
				}
				for i, v := range x {
					at, to := indices(s, i%s.Len()), []int{}
					for _, a := range kept {
						to = append(to, at[a])
					}
					j := i/s.Len()*n + element(y.shape, to)
					want[j] += v
					wantDX[i] = dy[j] / count
				}
				for j := range want {
					want[j] /= count
				}
				what := fmt.Sprintf("%s of %v over %v", name, s, axes)
				if !slices.Equal(out, want) {
					t.Fatalf("%s: other bits than the plain loop", what)
				}
				if !slices.Equal(dx, wantDX) {
					t.Fatalf("%s: another gradient than the plain loop", what)
				}
			}
		}
	}
}
