package interchange_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/interchange"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// sameElements compares elements by their type and their values.
var sameElements = cmp.Comparer(func(a, b tensor.Elements) bool {
	x, y := checkpoint.Tensor{Elements: a}, checkpoint.Tensor{Elements: b}
	return a.DType() == b.DType() && slices.Equal(x.Float32s(), y.Float32s())
})

// The names and the layout are PyTorch's, written down by hand.
func TestStateDict(t *testing.T) {
	model := chain(nn.NewGraph(1), 3, dropout(0.1), linear(2), nn.ReLU, within("3", nn.ReLU, linear(1)))
	for i, p := range model.Params() {
		for j := range p.Master {
			p.Master[j] = float32(10*i+j) + 0x1p-12 // which fp16 has no room for, but beside 0
		}
	}
	half := func(values ...float32) []fp16.Float16 {
		h := make([]fp16.Float16, len(values))
		for i, v := range values {
			h[i] = fp16.FromFloat32(v)
		}
		return h
	}
	const e = 0x1p-12
	for dtype, want := range map[tensor.DType][]checkpoint.Tensor{
		tensor.F32: {
			{Name: "1.weight", Shape: []int{2, 3}, Elements: tensor.Of([]float32{e, 2 + e, 4 + e, 1 + e, 3 + e, 5 + e})},
			{Name: "1.bias", Shape: []int{2}, Elements: tensor.Of([]float32{10 + e, 11 + e})},
			{Name: "3.1.weight", Shape: []int{1, 2}, Elements: tensor.Of([]float32{20 + e, 21 + e})},
			{Name: "3.1.bias", Shape: []int{1}, Elements: tensor.Of([]float32{30 + e})},
		},
		tensor.F16: {
			{Name: "1.weight", Shape: []int{2, 3}, Elements: tensor.Of(half(e, 2, 4, 1, 3, 5))},
			{Name: "1.bias", Shape: []int{2}, Elements: tensor.Of(half(10, 11))},
			{Name: "3.1.weight", Shape: []int{1, 2}, Elements: tensor.Of(half(20, 21))},
			{Name: "3.1.bias", Shape: []int{1}, Elements: tensor.Of(half(30))},
		},
	} {
		got, err := interchange.StateDict(model, dtype)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&checkpoint.File{Metadata: map[string]string{"format": "pt"}, Tensors: want}, got, sameElements); diff != "" {
			t.Errorf("%v (-want +got):\n%s", dtype, diff)
		}
	}
}

// zeros returns tensors of zeros.
func zeros(shapes map[string][]int) *checkpoint.File {
	f := new(checkpoint.File)
	for name, shape := range shapes {
		n := 1
		for _, d := range shape {
			n *= d
		}
		f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: name, Shape: shape, Elements: tensor.Of(make([]float32, n))})
	}
	return f
}

// widths returns those of the layers, if they are Linear and ReLU in turn.
func widths(t *testing.T, model *nn.Graph) (w []int) {
	t.Helper()
	w = append(w, model.Inputs()[0].Shape()...)
	for i, n := range model.Nodes() {
		want := "ReLU"
		if i%2 == 0 {
			p := param(t, model, n.Name+".weight")
			want = fmt.Sprintf("Linear %d→%d", p.Shape[0], p.Shape[1])
			w = append(w, p.Shape[1])
		}
		if got := fmt.Sprint(n.Op); got != want {
			t.Fatalf("operation %d is %s, want %s", i, got, want)
		}
	}
	return w
}

func TestOrderOfLayers(t *testing.T) {
	for _, tt := range []struct {
		shapes map[string][]int
		order  []string
		want   []int
	}{
		{map[string][]int{"fc1.weight": {3, 2}, "fc2.weight": {4, 3}, "fc10.weight": {5, 4}, "fc10.bias": {5}}, nil, []int{2, 3, 4, 5}},
		{map[string][]int{"net.0.weight": {3, 2}, "net.2.weight": {4, 3}, "net.10.weight": {5, 4}}, nil, []int{2, 3, 4, 5}},
		{map[string][]int{"layers.9.weight": {4, 3}, "layers.8.weight": {3, 2}, "layers.09.weight": {3, 3}}, nil, []int{2, 3, 3, 4}},
		{map[string][]int{"a99999999999999999999.weight": {3, 2}, "a100000000000000000000.weight": {4, 3}}, nil, []int{2, 3, 4}},
		{map[string][]int{"fc.weight": {3, 2}, "fc2.weight": {4, 3}, "head.weight": {1, 4}}, nil, []int{2, 3, 4, 1}},
		{map[string][]int{"module.a.0.weight": {3, 2}, "module.b.0.weight": {4, 3}}, nil, []int{2, 3, 4}},
		{map[string][]int{"weight": {3, 2}, "bias": {3}}, nil, []int{2, 3}},
		{map[string][]int{"layers.0.weight": {3, 2}, "layers.1.weight": {4, 3}, "head.weight": {1, 4}}, []string{"layers.0", "layers.1", "head"}, []int{2, 3, 4, 1}},
		{map[string][]int{"policy.0.weight": {3, 2}, "value.0.weight": {4, 2}, "step": {}, "bn.running_mean": {7}}, []string{"policy.0"}, []int{2, 3}},
	} {
		model, err := interchange.FromStateDict(zeros(tt.shapes), tt.order...)
		if err != nil {
			t.Errorf("%v: %v", tt.shapes, err)
		} else if got := widths(t, model); !slices.Equal(got, tt.want) {
			t.Errorf("%v: widths %v, want %v", tt.shapes, got, tt.want)
		}
	}
}

func TestNoStateDict(t *testing.T) {
	with := func(name string, v float32) *checkpoint.File {
		f := zeros(map[string][]int{"fc.weight": {2, 3}, "fc.bias": {2}})
		w, _ := f.Tensor(name)
		w.Elements.F32()[1] = v
		return f
	}
	inf := float32(math.Inf(-1))
	half := &checkpoint.File{Tensors: []checkpoint.Tensor{{Name: "fc.weight", Shape: []int{1, 2}, Elements: tensor.Of([]fp16.Float16{0, 0x7c00})}}}
	for _, tt := range []struct {
		name, want string
		f          *checkpoint.File
		order      []string
	}{
		{"convolution", "conv1.weight has the shape [8 1 3 3]: want the two dimensions", zeros(map[string][]int{"conv1.weight": {8, 1, 3, 3}, "conv1.bias": {8}}), nil},
		{"normalisation", "bn.weight has the shape [8]: want the two dimensions", zeros(map[string][]int{"bn.weight": {8}, "bn.bias": {8}}), nil},
		{"a number", "weight has the shape []", zeros(map[string][]int{"weight": {}}), nil},
		{"statistics", "bn.running_mean is no part of a Linear layer", zeros(map[string][]int{"bn.running_mean": {8}}), nil},
		{"a bias alone", "fc.bias has no weight beside it: want a tensor fc.weight", zeros(map[string][]int{"fc.bias": {8}, "fc2.weight": {2, 2}}), nil},
		{"widths", "fc2.weight has the shape [5 4]: want [5 3], because fc1.weight before it has [3 2]", zeros(map[string][]int{"fc1.weight": {3, 2}, "fc2.weight": {5, 4}}), nil},
		{"other layout", "taken in the order fc1, fc2", zeros(map[string][]int{"fc1.weight": {2, 3}, "fc2.weight": {3, 4}}), nil},
		{"bias", "fc1.bias has the shape [2]: want [3], because fc1.weight has [3 2]", zeros(map[string][]int{"fc1.weight": {3, 2}, "fc1.bias": {2}}), nil},
		{"bias of two dimensions", "fc1.bias has the shape [3 1]: want [3]", zeros(map[string][]int{"fc1.weight": {3, 2}, "fc1.bias": {3, 1}}), nil},
		{"no outputs", "fc.weight has the shape [0 3]: want positive", zeros(map[string][]int{"fc.weight": {0, 3}, "fc.bias": {0}}), nil},
		{"no elements", "fc.weight has the shape [2 3] but 0 elements", &checkpoint.File{Tensors: []checkpoint.Tensor{{Name: "fc.weight", Shape: []int{2, 3}, Elements: tensor.Of([]float32{})}}}, nil},
		{"negative", "fc.weight has the shape [-2 -3]: want positive", &checkpoint.File{Tensors: []checkpoint.Tensor{{Name: "fc.weight", Shape: []int{-2, -3}, Elements: tensor.Of(make([]float32, 6))}}}, nil},
		{"integers", "fc.weight is of int32: want floating-point numbers", &checkpoint.File{Tensors: []checkpoint.Tensor{{Name: "fc.weight", Shape: []int{2, 3}, Elements: tensor.Make(tensor.I32, 6)}}}, nil},
		{"infinite weight", "fc.weight has the element -Inf at index 1", with("fc.weight", inf), nil},
		{"infinite bias", "fc.bias has the element -Inf at index 1", with("fc.bias", inf), nil},
		{"infinite fp16", "fc.weight has the element +Inf at index 1", half, nil},
		{"not there", "tensor head.weight is not there", with("fc.weight", 1), []string{"fc", "head"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := interchange.FromStateDict(tt.f, tt.order...)
			checkError(t, err, tt.want, new(*interchange.TensorError))
		})
	}
	_, err := interchange.FromStateDict(new(checkpoint.File))
	checkError(t, err, "there are no tensors", nil)
}

// scoped adds to g a graph with names in scopes, and returns it.
func scoped(g *nn.Graph) *nn.Graph {
	x := g.Input("x", 2)
	g.Scope("encoder", func() {
		g.Scope("layer.0", func() { x = nn.Linear(x, 3, nn.Named("fc")) })
		x = nn.Bias(x, nn.Named("shift"))
		g.Buffer("seen", []int{2}, 5)
	})
	g.Output("y", x)
	return g
}

// The tensors are those of a state dict of PyTorch with the same names, written down by hand.
func TestLoad(t *testing.T) {
	f := &checkpoint.File{Tensors: []checkpoint.Tensor{
		{Name: "not.ours", Shape: []int{1}, Elements: tensor.Of([]float32{1})},
		{Name: "encoder.seen", Shape: []int{2}, Elements: tensor.Of([]float32{8, 9})},
		{Name: "encoder.shift.bias", Shape: []int{3}, Elements: tensor.Of([]fp16.Float16{fp16.FromFloat32(0.5), fp16.FromFloat32(1), fp16.FromFloat32(2)})},
		{Name: "encoder.layer.0.fc.weight", Shape: []int{3, 2}, Elements: tensor.Of([]float32{1, 2, 3, 4, 5, 6})}, // [out, in]
		{Name: "encoder.layer.0.fc.bias", Shape: []int{3}, Elements: tensor.Of([]float32{10, 20, 30})},
	}}
	want := map[string][]float32{
		"encoder.layer.0.fc.weight": {1, 3, 5, 2, 4, 6}, // [in, out]
		"encoder.layer.0.fc.bias":   {10, 20, 30},
		"encoder.shift.bias":        {0.5, 1, 2},
		"encoder.seen":              {8, 9},
	}
	for name, g := range map[string]*nn.Graph{"values": scoped(nn.NewGraph(1)), "blank": scoped(nn.NewBlankGraph())} {
		t.Run(name, func(t *testing.T) {
			if name == "values" {
				forward(t, g, tensor.F16, []float32{0, 0}, 2) // makes the working copies, which have to follow
			}
			if err := interchange.Load(g, f); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, state(g)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// x = [1, -1] gives 1·1−1·2+10+0.5 and so on.
			for _, precision := range []tensor.DType{tensor.F32, tensor.F16} {
				if y := forward(t, g, precision, []float32{1, -1}, 2); !slices.Equal(y, []float32{9.5, 20, 31}) {
					t.Errorf("%v: the graph computes %v", precision, y)
				}
			}
			// The graph has values of its own: the file's may change.
			f.Tensors[4].Elements.F32()[0]++
			if got := state(g)["encoder.layer.0.fc.bias"][0]; got != 10 {
				t.Errorf("the graph shares the file's memory")
			}
			f.Tensors[4].Elements.F32()[0]--
		})
	}
}

// state returns a copy of the values of a graph by their names.
func state(g *nn.Graph) map[string][]float32 {
	values := map[string][]float32{}
	for _, p := range g.Params() {
		values[p.Name] = slices.Clone(p.Master)
	}
	for _, b := range g.Buffers() {
		values[b.Name] = slices.Clone(b.Values)
	}
	return values
}

func TestNotLoaded(t *testing.T) {
	const weight, shift, seen = "encoder.layer.0.fc.weight", "encoder.shift.bias", "encoder.seen"
	shapes := map[string][]int{weight: {3, 2}, "encoder.layer.0.fc.bias": {3}, shift: {3}, seen: {2}}
	with := func(name string, shape []int) *checkpoint.File {
		changed := maps.Clone(shapes)
		if changed[name] = shape; shape == nil {
			delete(changed, name)
		}
		return zeros(changed)
	}
	nan := zeros(shapes)
	w, _ := nan.Tensor(shift)
	w.Elements.F32()[2] = float32(math.NaN())
	short := zeros(shapes)
	for i, w := range short.Tensors {
		if w.Name == shift {
			short.Tensors[i].Elements = w.Elements.Slice(0, 2)
		}
	}
	for _, tt := range []struct {
		name, want string
		f          *checkpoint.File
	}{
		{"missing", "tensor encoder.shift.bias is not there", with(shift, nil)},
		{"buffer missing", "tensor encoder.seen is not there", with(seen, nil)},
		{"other layout", "tensor encoder.layer.0.fc.weight has the shape [2 3]: want [3 2]", with(weight, []int{2, 3})},
		{"other dimensions", "tensor encoder.shift.bias has the shape [1 3]: want [3]", with(shift, []int{1, 3})},
		{"other length of a buffer", "tensor encoder.seen has the shape [3]: want [2]", with(seen, []int{3})},
		{"NaN", "tensor encoder.shift.bias has the element NaN at index 2", nan},
		{"too few elements", "tensor encoder.shift.bias has the shape [3] but 2 elements", short},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, g := range []*nn.Graph{scoped(nn.NewGraph(1)), scoped(nn.NewBlankGraph())} {
				before := state(g)
				checkError(t, interchange.Load(g, tt.f), tt.want, new(*interchange.TensorError))
				if diff := cmp.Diff(before, state(g)); diff != "" {
					t.Errorf("the graph has changed (-before +after):\n%s", diff)
				}
			}
		})
	}
	bad := nn.NewGraph(1)
	nn.Linear(bad.Input("x", 2), -1)
	if err := interchange.Load(bad, zeros(shapes)); err != bad.Err() || err == nil {
		t.Errorf("error %v, want %v", err, bad.Err())
	}
}

// What we hand to PyTorch computes there what it computes here, in both types.
func TestPyTorchTakesOurs(t *testing.T) {
	model := randomModel(20, linear(33), nn.ReLU, dropout(0.5), linear(17), nn.ReLU, linear(5))
	const in, n = 20, 50
	dir := t.TempDir()
	x := uniform(1, n*in)
	for i, v := range x {
		x[i] = fp16.FromFloat32(v).Float32()
	}
	given := filepath.Join(dir, "x")
	if err := checkpoint.Write(given, &checkpoint.File{Tensors: []checkpoint.Tensor{{Name: "x", Shape: []int{n, in}, Elements: tensor.Of(x)}}}); err != nil {
		t.Fatal(err)
	}
	for _, precision := range []tensor.DType{tensor.F32, tensor.F16} {
		f, err := interchange.StateDict(model, precision)
		if err != nil {
			t.Fatal(err)
		}
		weights, out := filepath.Join(dir, "weights"), filepath.Join(dir, "logits")
		if err := checkpoint.Write(weights, f); err != nil {
			t.Fatal(err)
		}
		python(t, "torch", "torch_peer.py", "logits", weights, given, out,
			"Linear(20, 33)", "ReLU()", "Dropout(0.5)", "Linear(33, 17)", "ReLU()", "Linear(17, 5)")
		compare(t, precision.String(), model, precision, x, in, read(t, out, "logits"))
	}
}

// What PyTorch has trained computes here what it computes there, whatever its type.
func TestPyTorchsTaken(t *testing.T) {
	dir := t.TempDir()
	python(t, "torch", "torch_peer.py", "train", dir)
	for _, name := range []string{"new.pt", "old.pt"} { // of torch.save
		var torch *interchange.TorchFileError
		if err := interchange.CheckTorch(filepath.Join(dir, name)); !errors.As(err, &torch) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for _, dtype := range []string{"f32", "f16", "bf16", "f64"} {
		f, err := checkpoint.Read(filepath.Join(dir, dtype+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		model, err := interchange.FromStateDict(f)
		if err != nil {
			t.Fatal(err)
		}
		if got := widths(t, model); !slices.Equal(got, []int{20, 31, 24, 5}) {
			t.Fatalf("%s: widths %v", dtype, got)
		}
		theirs := filepath.Join(dir, dtype+"-logits.safetensors")
		compare(t, dtype, model, tensor.F32, read(t, theirs, "x").Float32s(), 20, read(t, theirs, "logits"))
	}
}

func read(t *testing.T, path, name string) checkpoint.Tensor {
	t.Helper()
	f, err := checkpoint.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	x, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no %s in %s", name, path)
	}
	return x
}

// compare fails unless our logits for x are those that others computed in float64, as
// far as the roundings of the precision allow.
func compare(t *testing.T, name string, model *nn.Graph, precision tensor.DType, x []float32, in int, want checkpoint.Tensor) {
	t.Helper()
	got, out := forward(t, model, precision, x, in), want.Shape[1]
	if len(got) != want.Elements.Len() {
		t.Fatalf("%s: %d logits, want %v", name, len(got), want.Shape)
	}
	largest, allowed := 0.0, 0.0
	for row := range len(x) / in {
		reference, off := exact(t, model, precision, x[row*in:(row+1)*in], 0)
		for j, r := range reference {
			theirs := float64(want.Float32s()[row*out+j]) // rounded to fp32 when it was read
			if d := math.Abs(theirs - r); d > unit32*math.Abs(r)+1e-12 {
				t.Fatalf("%s: row %d: PyTorch's logit %d is %v, %v away from %v in float64", name, row, j, theirs, d, r)
			}
			d := math.Abs(float64(got[row*out+j]) - r)
			if d > off[j] {
				t.Errorf("%s: row %d: logit %d is %v, want %v ± %v", name, row, j, got[row*out+j], r, off[j])
			}
			largest, allowed = max(largest, d), max(allowed, off[j])
		}
	}
	t.Logf("%s: %d logits, at most %.3g apart; roundings explain %.3g", name, len(got), largest, allowed)
}

func FuzzFromStateDict(f *testing.F) {
	file := func(header string, data ...float32) []byte {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
		b = append(b, header...)
		for _, v := range data {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		return b
	}
	f.Add(file(`{"fc1.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"fc2.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},"fc2.bias":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}}`, 1, 2, 3, 4, 5))
	f.Add(file(`{"weight":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}}`, 1))
	f.Add(file(`{"weight":{"dtype":"F32","shape":[0,2147483647],"data_offsets":[0,0]}}`))
	f.Add(file(`{"a.weight":{"dtype":"F32","shape":[1,1,1],"data_offsets":[0,4]}}`, 1))
	f.Add(file(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		theirs, err := checkpoint.Decode(data)
		if err != nil {
			return
		}
		model, err := interchange.FromStateDict(theirs)
		if err != nil {
			return
		}
		n := 0
		for _, p := range model.Params() {
			n += len(p.Master)
		}
		if n > len(data) { // an element takes two bytes, and a bias that is not there as many elements as its weight at most
			t.Fatalf("%d bytes became %d parameters", len(data), n)
		}
		// What is handed back has the same elements in another order of tensors.
		ours, err := interchange.StateDict(model, tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		again, err := interchange.FromStateDict(ours)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range model.Params() {
			if q := again.Params()[i]; !slices.Equal(p.Shape, q.Shape) || !slices.Equal(p.Master, q.Master) {
				t.Fatalf("%s has changed", p.Name)
			}
		}
		found := 0
		for _, mine := range ours.Tensors {
			for _, their := range theirs.Tensors {
				if slices.Equal(mine.Shape, their.Shape) && slices.Equal(mine.Elements.F32(), their.Float32s()) {
					found++
					break
				}
			}
		}
		if found < len(theirs.Tensors) {
			t.Fatalf("%d of %d tensors are there", found, len(theirs.Tensors))
		}
	})
}
