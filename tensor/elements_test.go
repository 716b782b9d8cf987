package tensor_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/halfgrad/halfgrad/bf16"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

func TestElementsShareMemory(t *testing.T) {
	half, brain := []fp16.Float16{0x3c00, 0}, []bf16.BFloat16{0x3f80, 0}
	wide, whole := []float32{1, 0}, []int32{1, 0}
	for _, c := range []struct {
		e    tensor.Elements
		want tensor.DType
		same func(e tensor.Elements) bool
	}{
		{tensor.Of(half), tensor.F16, func(e tensor.Elements) bool { return &e.F16()[0] == &half[0] }},
		{tensor.Of(brain), tensor.BF16, func(e tensor.Elements) bool { return &e.BF16()[0] == &brain[0] }},
		{tensor.Of(wide), tensor.F32, func(e tensor.Elements) bool { return &e.F32()[0] == &wide[0] }},
		{tensor.Of(whole), tensor.I32, func(e tensor.Elements) bool { return &e.I32()[0] == &whole[0] }},
	} {
		if c.e.DType() != c.want || c.e.Len() != 2 || !c.same(c.e) {
			t.Errorf("%d elements of %v, want those given, of %v", c.e.Len(), c.e.DType(), c.want)
		}
		zeros := tensor.Make(c.want, 3)
		if zeros.DType() != c.want || zeros.Len() != 3 {
			t.Errorf("Make of %v: %d elements of %v", c.want, zeros.Len(), zeros.DType())
		}
	}
	if got := tensor.Of([]float32(nil)); got.Len() != 0 || got.DType() != tensor.F32 || got.F32() != nil {
		t.Errorf("elements of a nil slice: %v", got)
	}
	if size := unsafe.Sizeof(tensor.Elements{}); size > 3*unsafe.Sizeof(uintptr(0)) {
		t.Errorf("Elements has %d bytes, more than a slice", size)
	}
	// append takes new memory, as the elements end where they do.
	_ = append(tensor.Of(wide).Slice(0, 1).F32(), 7)
	if wide[1] != 0 {
		t.Error("append wrote behind the elements")
	}
}

func TestSlice(t *testing.T) {
	e := tensor.Of([]float32{0, 1, 2, 3, 4})
	if got := e.Slice(1, 4).Slice(1, 3).F32(); !slices.Equal(got, []float32{2, 3}) {
		t.Errorf("slice of a slice: %v", got)
	}
	if got := tensor.Of([]fp16.Float16{0, 1, 2}).Slice(2, 3).F16(); got[0] != 2 {
		t.Errorf("the last fp16 element: %v", got)
	}
	if got := e.Slice(5, 5); got.Len() != 0 || got.DType() != tensor.F32 {
		t.Errorf("nothing at the end: %v", got)
	}
	if got := (tensor.Elements{}).Slice(0, 0); got != (tensor.Elements{}) {
		t.Errorf("nothing of nothing: %v", got)
	}
	for _, c := range [][2]int{{0, 6}, {-1, 2}, {3, 2}, {6, 6}, {math.MinInt, math.MaxInt}, {2, -1}} {
		func() {
			defer func() {
				want := fmt.Sprintf("tensor: elements %d to %d of 5", c[0], c[1])
				if msg := fmt.Sprint(recover()); msg != want {
					t.Errorf("panic %v, want %q", msg, want)
				}
			}()
			e.Slice(c[0], c[1])
		}()
	}
}

func TestFrom(t *testing.T) {
	e := tensor.Of([]int32{0, 1, 2})
	if got := e.From(1).I32(); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("from 1 on: %v", got)
	}
	for _, n := range []int{3, 4, math.MaxInt} {
		if got := e.From(n); got.Len() != 0 || got.DType() != tensor.I32 {
			t.Errorf("from %d on: %v", n, got)
		}
	}
	panics(t, "tensor: elements -1 to 3 of 3", func() { e.From(-1) })
}

func TestMemory(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 1000} {
		memory := tensor.Memory(n)
		if len(memory) != n || cap(memory) != n {
			t.Errorf("Memory(%d) has %d bytes, room for %d", n, len(memory), cap(memory))
		}
		if e := tensor.View(memory, tensor.F32, n/4); uintptr(e.Pointer())%64 != 0 {
			t.Errorf("Memory(%d) begins at %p", n, e.Pointer())
		}
	}
}

func TestView(t *testing.T) {
	words := make([]int32, 4)
	memory := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 16)
	e := tensor.View(memory[4:], tensor.I32, 2)
	e.I32()[1] = 7
	if words[2] != 7 || e.Len() != 2 {
		t.Errorf("memory after a store through a view: %v", words)
	}
	if got := tensor.View(memory[2:], tensor.BF16, 7); got.Len() != 7 {
		t.Errorf("%d elements, want 7", got.Len())
	}
	if got := tensor.View(nil, tensor.F32, 0); got.Len() != 0 || got.DType() != tensor.F32 {
		t.Errorf("a view of nothing: %v", got)
	}
	for want, f := range map[string]func(){
		"tensor: View of 5 elements of fp32 in 16 bytes":                   func() { tensor.View(memory, tensor.F32, 5) },
		"tensor: View of -1 elements of fp16 in 16 bytes":                  func() { tensor.View(memory, tensor.F16, -1) },
		"tensor: View of 4611686018427387904 elements of int32 in 16 byte": func() { tensor.View(memory, tensor.I32, math.MaxInt/2+1) },
		"tensor: View of fp32 in memory that is not aligned to 4 bytes":    func() { tensor.View(memory[2:], tensor.F32, 1) },
		"tensor: View of bf16 in memory that is not aligned to 2 bytes":    func() { tensor.View(memory[1:], tensor.BF16, 1) },
		"tensor: Size of an invalid DType":                                 func() { tensor.View(memory, 0, 1) },
	} {
		if math.MaxInt == math.MaxInt32 {
			want = strings.Replace(want, "4611686018427387904", "1073741824", 1)
		}
		panics(t, want, f)
	}
}

func TestElementsOfAnotherType(t *testing.T) {
	half, whole, none := tensor.Make(tensor.F16, 1), tensor.Make(tensor.I32, 1), tensor.Elements{}
	for want, f := range map[string]func(){
		"tensor: invalid DType(9)":                   func() { tensor.Make(9, 1) },
		"tensor: F16 of elements of int32":           func() { whole.F16() },
		"tensor: BF16 of elements of fp16":           func() { half.BF16() },
		"tensor: F32 of elements of int32":           func() { whole.Load(make([]float32, 1)) },
		"tensor: I32 of elements of DType(0)":        func() { none.I32() },
		"tensor: 1 elements for 2 values":            func() { whole.Store(make([]float32, 2)) },
		"fp16: Narrow: dst and src differ in length": func() { half.Store(nil) },
		"bf16: Widen: dst and src differ in length":  func() { tensor.Make(tensor.BF16, 2).Load(make([]float32, 1)) },
		"tensor: 3 elements for 1 values":            func() { tensor.Make(tensor.F32, 3).Load(make([]float32, 1)) },
	} {
		panics(t, want, f)
	}
}

func panics(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if msg := fmt.Sprint(recover()); !strings.HasPrefix(msg, want) {
			t.Errorf("panic %q, want %q", msg, want)
		}
	}()
	f()
}

func TestLoadStore(t *testing.T) {
	src := []float32{1, -0.1, 65520, 1e-30}
	for d, want := range map[tensor.DType][]float32{
		tensor.F32:  src,
		tensor.F16:  {1, -0.099975586, float32(math.Inf(1)), 0},
		tensor.BF16: {1, -0.100097656, 65536, 9.984021e-31},
	} {
		e, got := tensor.Make(d, len(src)), make([]float32, len(src))
		e.Store(src)
		e.Load(got)
		if !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", d, got, want)
		}
	}
}

// A pointer into the middle of memory is all that keeps it.
func TestElementsKeepMemory(t *testing.T) {
	var kept []tensor.Elements
	for i := range 100 {
		e := tensor.Make(tensor.F32, 1000)
		e.F32()[999] = float32(i)
		arena := make([]byte, 4096)
		arena[4095] = byte(i)
		kept = append(kept, e.Slice(999, 1000), e.Slice(1000, 1000), tensor.View(arena, tensor.F16, 2048).Slice(2047, 2048))
	}
	for range 3 {
		runtime.GC()
		for range 200 {
			tensor.Make(tensor.I32, 1000).I32()[999] = -1
		}
	}
	for i := range 100 {
		if got := kept[3*i].F32()[0]; got != float32(i) {
			t.Fatalf("element %d is %g after garbage collections", i, got)
		}
		if got := kept[3*i+2].F16()[0]; byte(got) != byte(i) && byte(got>>8) != byte(i) {
			t.Fatalf("element %d of an arena is %#x after garbage collections", i, uint16(got))
		}
	}
}

func ExampleElements() {
	e := tensor.Make(tensor.BF16, 3)
	e.Store([]float32{1, 2, 0.1})
	wide := make([]float32, 2)
	e.Slice(1, 3).Load(wide)
	fmt.Println(e.DType(), e.Len(), wide, e.BF16())
	// Output: bf16 3 [2 0.100097656] [1 2 0.100097656]
}
