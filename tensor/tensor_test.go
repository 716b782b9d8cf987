package tensor_test

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/bf16"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

func TestResizeKeepsMemory(t *testing.T) {
	x := tensor.New(tensor.F16, 8, 4)
	first := &x.F16()[0]
	x.Resize(tensor.F16, 3, 5)
	if x.Len() != 15 || !slices.Equal(x.Shape(), []int{3, 5}) {
		t.Errorf("after Resize to 3×5: %d elements, shape %v", x.Len(), x.Shape())
	}
	if &x.F16()[0] != first {
		t.Error("a smaller shape took new memory")
	}
	if n := testing.AllocsPerRun(10, func() { x.Resize(tensor.F16, 2, 16); x.Resize(tensor.F16, 5) }); n != 0 {
		t.Errorf("Resize within the memory allocates %v times", n)
	}
	x.Resize(tensor.F32, 2)
	if x.DType() != tensor.F32 || len(x.F32()) != 2 {
		t.Errorf("after Resize to fp32: %v of %d", x.DType(), x.Len())
	}
	x.Resize(tensor.F32, 0, 3)
	if x.Len() != 0 || x.Matrix().Rows != 0 {
		t.Errorf("an empty tensor has %d elements, %d rows", x.Len(), x.Matrix().Rows)
	}
}

func TestSetRows(t *testing.T) {
	x := tensor.FromF32([]float32{0, 1, 2, 3, 4, 5, 6, 7}, 4, 2)
	if n := testing.AllocsPerRun(10, func() { x.SetRows(1); x.SetRows(3) }); n != 0 {
		t.Errorf("SetRows allocates %v times", n)
	}
	if !slices.Equal(x.Shape(), []int{3, 2}) || !slices.Equal(x.F32(), []float32{0, 1, 2, 3, 4, 5}) {
		t.Errorf("three rows: shape %v, elements %v", x.Shape(), x.F32())
	}
	x.SetRows(4)
	if x.Len() != 8 || x.F32()[7] != 7 {
		t.Errorf("all rows again: %v", x.F32())
	}
	x.SetRows(0)
	if x.Len() != 0 || x.Matrix().Rows != 0 {
		t.Errorf("no rows: %v", x.F32())
	}
	empty := tensor.New(tensor.F16, 2, 0)
	empty.SetRows(5)
	if !slices.Equal(empty.Shape(), []int{5, 0}) {
		t.Errorf("rows without elements: shape %v", empty.Shape())
	}
	scalar := tensor.New(tensor.BF16, 3)
	scalar.SetRows(1)
	if scalar.Len() != 1 || len(scalar.BF16()) != 1 {
		t.Errorf("one of three elements: shape %v", scalar.Shape())
	}
}

func TestViewRows(t *testing.T) {
	x := tensor.FromElements(tensor.Of([]int32{0, 1, 2, 3, 4, 5, 6, 7}), 4, 1, 2)
	view := new(tensor.Tensor)
	view.ViewRows(x, 1, 3)
	if !slices.Equal(view.Shape(), []int{2, 1, 2}) || !slices.Equal(view.I32(), []int32{2, 3, 4, 5}) {
		t.Errorf("rows 1 and 2: shape %v, elements %v", view.Shape(), view.I32())
	}
	view.I32()[0] = -2
	if x.I32()[2] != -2 {
		t.Error("the view has elements of its own")
	}
	if n := testing.AllocsPerRun(10, func() { view.ViewRows(x, 3, 4); view.ViewRows(x, 0, 4) }); n != 0 {
		t.Errorf("ViewRows allocates %v times", n)
	}
	view.ViewRows(x, 4, 4)
	if view.Len() != 0 || view.DType() != tensor.I32 {
		t.Errorf("no rows: %d elements of %v", view.Len(), view.DType())
	}
	view.ViewRows(x, 0, 1)
	defer func() {
		want := "tensor: SetRows to 2 of a tensor of shape [1 1 2] with memory for 2 elements"
		if msg := recover(); msg != want {
			t.Errorf("panic %v, want %q: a view must not grow into its neighbours", msg, want)
		}
	}()
	view.SetRows(2)
}

// Sizes whose products overflow an int, on machines of 32 and of 64 bits.
const (
	root = 1 << (bits.UintSize / 2) // its square is 0
	huge = math.MaxInt/2 + 1        // four times it is 0
)

func TestPanics(t *testing.T) {
	half := tensor.New(tensor.F16, 2, 3)
	for want, f := range map[string]func(){
		"tensor: 5 elements given for the shape [2 3]":                      func() { tensor.FromF32(make([]float32, 5), 2, 3) },
		"tensor: 6 elements given for the shape [7]":                        func() { tensor.FromF16(make([]fp16.Float16, 6), 7) },
		"tensor: negative dimension in [2 -1]":                              func() { tensor.New(tensor.F32, 2, -1) },
		"tensor: invalid DType(0)":                                          func() { tensor.New(0, 2) },
		"tensor: F32 of elements of fp16":                                   func() { half.F32() },
		"tensor: F16 of elements of fp32":                                   func() { tensor.New(tensor.F32, 1).F16() },
		"tensor: elements without a type":                                   func() { tensor.FromElements(tensor.Elements{}, 0) },
		"tensor: SetRows of a tensor without dim":                           func() { tensor.New(tensor.F32).SetRows(1) },
		"tensor: SetRows to 3 of a tensor of shape [2 3] with memory for 6": func() { half.SetRows(3) },
		"tensor: SetRows to -1 of a tensor":                                 func() { half.SetRows(-1) },
		"tensor: ViewRows of a tensor without dim":                          func() { half.ViewRows(tensor.New(tensor.F32), 0, 0) },
		"tensor: rows 1 to 3 of a tensor of shape [2 3]":                    func() { new(tensor.Tensor).ViewRows(half, 1, 3) },
		"tensor: rows 1 to 0 of a tensor of shape [2 3]":                    func() { new(tensor.Tensor).ViewRows(half, 1, 0) },
		"tensor: Matrix of a tensor without dim":                            func() { tensor.New(tensor.F32).Matrix() },
		"tensor: block of 2×2 at (1, 0) of a 2×3":                           func() { half.Matrix().Block(1, 0, 2, 2) },
		"tensor: block of 2×-1":                                             func() { half.Matrix().Block(0, 0, 2, -1) },
		"tensor: a row of a transposed":                                     func() { half.Matrix().T().LoadRow(make([]float32, 2), 0) },
	} {
		func() {
			defer func() {
				if msg, _ := recover().(string); !strings.HasPrefix(msg, want) {
					t.Errorf("panic %q, want %q", msg, want)
				}
			}()
			f()
		}()
	}
}

func TestShapesTooLarge(t *testing.T) {
	for _, shape := range [][]int{{root, root}, {root, root, 4}, {root, root + 1}, {huge, 4}, {huge}, {root, root, 0}, {0, root, root}} {
		for name, f := range map[string]func(){
			"New":     func() { tensor.New(tensor.F16, shape...) },
			"Resize":  func() { tensor.New(tensor.F32, 1).Resize(tensor.F16, shape...) },
			"FromF16": func() { tensor.FromF16(nil, shape...) },
			"FromF32": func() { tensor.FromF32(nil, shape...) },
		} {
			func() {
				defer func() {
					want := fmt.Sprintf("tensor: the shape %v has more elements than memory can hold", shape)
					if msg := recover(); msg != want {
						t.Errorf("%s: panic %q, want %q", name, msg, want)
					}
				}()
				f()
			}()
		}
	}
}

func TestBlockOutside(t *testing.T) {
	m := tensor.New(tensor.F16, 4, 4).Matrix()
	for _, at := range [][4]int{{math.MaxInt, 0, 1, 1}, {0, math.MaxInt, 1, 1}, {1, 0, math.MaxInt, 1}, {0, 1, 1, math.MaxInt}, {5, 0, 0, 0}} {
		func() {
			defer func() {
				want := fmt.Sprintf("tensor: block of %d×%d at (%d, %d) of a 4×4 matrix", at[2], at[3], at[0], at[1])
				if msg := recover(); msg != want {
					t.Errorf("panic %q, want %q", msg, want)
				}
			}()
			m.Block(at[0], at[1], at[2], at[3])
		}()
	}
}

func TestDType(t *testing.T) {
	for d, want := range map[tensor.DType]struct {
		name   string
		size   int
		parses bool
	}{
		tensor.F16: {"fp16", 2, true}, tensor.F32: {"fp32", 4, true}, tensor.BF16: {"bf16", 2, false}, tensor.I32: {"int32", 4, false},
	} {
		if d.String() != want.name || d.Size() != want.size {
			t.Errorf("%v has %d bytes, want %v", d, d.Size(), want)
		}
		if got, err := tensor.ParseDType(want.name); want.parses && got != d || want.parses != (err == nil) {
			t.Errorf("ParseDType(%q) = %v, %v", want.name, got, err)
		}
	}
	for _, s := range []string{"", "fp64", "FP16"} {
		if _, err := tensor.ParseDType(s); err == nil || !strings.Contains(err.Error(), "fp16 or fp32") {
			t.Errorf("ParseDType(%q): error %v", s, err)
		}
	}
}

func TestFirstNonFinite(t *testing.T) {
	inf, nan := float32(math.Inf(-1)), float32(math.NaN())
	for _, c := range []struct {
		values []float32
		want   int
	}{
		{nil, -1}, {[]float32{0, 65504, -65504, 6e-8}, -1}, {[]float32{1, inf}, 1}, {[]float32{nan, inf}, 0},
	} {
		half := make([]fp16.Float16, len(c.values))
		fp16.Narrow(half, c.values)
		if got := tensor.FromF32(c.values, len(c.values)).FirstNonFinite(); got != c.want {
			t.Errorf("fp32 %v: %d, want %d", c.values, got, c.want)
		}
		if got := tensor.FromF16(half, len(half)).FirstNonFinite(); got != c.want {
			t.Errorf("fp16 %v: %d, want %d", c.values, got, c.want)
		}
	}
	brain := tensor.Make(tensor.BF16, 3)
	brain.Store([]float32{bf16.Max, 65520, inf})
	if got := brain.FirstNonFinite(); got != 2 {
		t.Errorf("bf16: %d, want 2", got)
	}
	if got := tensor.Of([]int32{math.MinInt32}).FirstNonFinite(); got != -1 {
		t.Errorf("an integer counts as infinite: %d", got)
	}
	if got := tensor.FromF32([]float32{math.MaxFloat32, 65520}, 2).FirstNonFinite(); got != -1 {
		t.Errorf("the largest fp32 counts as infinite: %d", got)
	}
}

// Block, T and their combinations address the elements that the definition of
// Matrix says.
func TestMatrixViews(t *testing.T) {
	data := make([]float32, 5*7)
	for i := range data {
		data[i] = float32(i)
	}
	m := tensor.Matrix{Rows: 5, Cols: 6, Stride: 7, Elements: tensor.Of(data)}
	at := func(m tensor.Matrix, r, c int) float32 {
		if m.Trans {
			return m.Elements.F32()[c*m.Stride+r]
		}
		return m.Elements.F32()[r*m.Stride+c]
	}
	b := m.Block(1, 2, 3, 4)
	bt := m.T().Block(2, 1, 4, 3)
	for r := range 3 {
		for c := range 4 {
			want := float32((r+1)*7 + c + 2)
			if at(b, r, c) != want || at(bt, c, r) != want || at(b.T(), c, r) != want {
				t.Fatalf("element (%d, %d): Block %g, T().Block %g, Block().T() %g, want %g", r, c, at(b, r, c), at(bt, c, r), at(b.T(), c, r), want)
			}
		}
	}
	row := make([]float32, 4)
	b.LoadRow(row, 2)
	if want := []float32{23, 24, 25, 26}; !slices.Equal(row, want) {
		t.Errorf("row 2 is %v, want %v", row, want)
	}
	b.StoreRow([]float32{-1, -2, -3, -4}, 0)
	if want := []float32{7, 8, -1, -2, -3, -4, 13, 14}; !slices.Equal(data[7:15], want) {
		t.Errorf("after StoreRow: %v, want %v", data[7:15], want)
	}
	if empty := m.Block(5, 6, 0, 0); empty.Rows != 0 || empty.Check("m") != nil {
		t.Errorf("an empty block at the end: %+v", empty)
	}
}

func TestMatrixCheck(t *testing.T) {
	for want, m := range map[string]tensor.Matrix{
		"X: negative size -1×3":                             {Rows: -1, Cols: 3, Stride: 3},
		"X: stride 2 is smaller than a stored row of 3":     {Rows: 2, Cols: 3, Stride: 2, Elements: tensor.Make(tensor.F32, 6)},
		"X: 5 elements are too few for 2×3 with stride 3":   {Rows: 2, Cols: 3, Stride: 3, Elements: tensor.Make(tensor.F32, 5)},
		"X: stride 1 is smaller than a stored row of 2 ele": {Rows: 2, Cols: 3, Stride: 1, Trans: true, Elements: tensor.Make(tensor.F32, 6)},
		"X: 0 elements are too few for 1×1 with stride 1":   {Rows: 1, Cols: 1, Stride: 1},
	} {
		if err := m.Check("X"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", m, err, want)
		}
	}
	eight := tensor.Make(tensor.F32, 8)
	for _, m := range []tensor.Matrix{
		{Rows: 5, Cols: 1, Stride: huge, Elements: eight},
		{Rows: 1, Cols: 5, Stride: huge, Trans: true, Elements: eight},
		{Rows: huge + 1, Cols: 4, Stride: 4, Elements: eight},
		{Rows: 2, Cols: huge, Stride: huge, Elements: eight},
		{Rows: root + 1, Cols: 4, Stride: root, Elements: eight},
		{Rows: 2, Cols: 3, Stride: math.MaxInt, Elements: eight},
	} {
		want := fmt.Sprintf("X: 8 elements are too few for %d×%d with stride %d", m.Rows, m.Cols, m.Stride)
		if err := m.Check("X"); err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	for _, m := range []tensor.Matrix{
		{Rows: 1, Cols: 8, Stride: huge, Elements: eight}, // no second row
		{Rows: 2, Cols: 3, Stride: 5, Elements: eight},
		{Rows: huge, Cols: 0, Stride: huge},
	} {
		if err := m.Check("X"); err != nil {
			t.Error(err)
		}
	}
	if err := tensor.MatrixF16(make([]fp16.Float16, 6), 2, 3).T().Check("X"); err != nil {
		t.Error(err)
	}
}

func Example() {
	x := tensor.New(tensor.F16, 2, 3)
	m := x.Matrix()
	m.StoreRow([]float32{1, 2, 0.1}, 1)
	row := make([]float32, 3)
	m.LoadRow(row, 1)
	fmt.Println(x.DType(), x.Shape(), row)
	fmt.Println("transposed:", m.T().Rows, "by", m.T().Cols)
	// Output:
	// fp16 [2 3] [1 2 0.099975586]
	// transposed: 3 by 2
}
