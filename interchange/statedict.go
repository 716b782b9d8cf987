package interchange

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// StateDict returns the parameters and buffers of a graph as a PyTorch state dict, under
// their names: of a chain those of torch.nn.Sequential, "0.weight" and so on. Matrices are
// the transposes of halfgrad's: a Linear's weight is [out, in] there. dtype is fp32, for
// the master weights, or fp16, for the rounded ones. The metadata has "format": "pt", which
// Hugging Face's loaders ask for. The caller may add to it.
//
// In Python, model.load_state_dict(safetensors.torch.load_file(path)) loads the file.
//
// The error is a [*TensorError] for values that are not finite in dtype, or says what else
// is wrong.
func StateDict(graph *nn.Graph, dtype tensor.DType) (*checkpoint.File, error) {
	if dtype != tensor.F16 && dtype != tensor.F32 {
		return nil, fmt.Errorf("interchange: a state dict of %v: want fp16 or fp32", dtype)
	}
	if graph.Blank() {
		return nil, errors.New("interchange: the graph has no values")
	}
	f := &checkpoint.File{Metadata: map[string]string{"format": "pt"}}
	add := func(name string, shape []int, values []float32) (err error) {
		shape, values = slices.Clone(shape), slices.Clone(values)
		if len(shape) == 2 {
			values = transposed(values, shape[0], shape[1])
			shape[0], shape[1] = shape[1], shape[0]
		}
		t := checkpoint.Tensor{Name: name, Shape: shape, Elements: tensor.Of(values)}
		if dtype == tensor.F16 {
			var half []fp16.Float16
			half, err = rounded(name, values)
			t.Elements = tensor.Of(half)
		} else {
			err = checkFinite(name, values)
		}
		f.Tensors = append(f.Tensors, t)
		return err
	}
	for _, p := range graph.Params() {
		if err := add(p.Name, p.Shape, p.Master); err != nil {
			return nil, err
		}
	}
	for _, b := range graph.Buffers() {
		if err := add(b.Name, b.Shape, b.Values); err != nil {
			return nil, err
		}
	}
	if len(f.Tensors) == 0 {
		return nil, errors.New("interchange: the graph has no parameters: want at least one")
	}
	return f, nil
}

// Load sets the parameters and buffers of a graph, which may be blank, to the tensors of the
// same names in a PyTorch state dict, with matrices transposed as in [StateDict]. fp16
// becomes fp32. The error is a [*TensorError] that names a tensor that is missing, has
// another shape, or is not finite. After an error the graph is as it was before.
func Load(graph *nn.Graph, f *checkpoint.File) error {
	if err := graph.Err(); err != nil {
		return err
	}
	read := func(name string, shape []int) ([]float32, error) {
		t, ok := f.Tensor(name)
		if !ok {
			return nil, &TensorError{name, "is not there"}
		}
		want := slices.Clone(shape)
		if len(shape) == 2 {
			want[0], want[1] = shape[1], shape[0]
		}
		if !slices.Equal(t.Shape, want) {
			return nil, &TensorError{name, fmt.Sprintf("has the shape %v: want %v", t.Shape, want)}
		}
		if err := check(t); err != nil {
			return nil, err
		}
		values := slices.Clone(t.Float32s())
		if len(shape) == 2 {
			values = transposed(values, want[0], want[1])
		}
		return values, nil
	}
	params, buffers := map[*nn.Param][]float32{}, map[*nn.Buffer][]float32{}
	var err error
	for _, p := range graph.Params() {
		if params[p], err = read(p.Name, p.Shape); err != nil {
			return err
		}
	}
	for _, b := range graph.Buffers() {
		if buffers[b], err = read(b.Name, b.Shape); err != nil {
			return err
		}
	}
	for p, values := range params {
		if p.Master == nil {
			p.Master = values
		}
		copy(p.Master, values) // in place: others share the memory
		p.Sync()
	}
	for b, values := range buffers {
		if b.Values == nil {
			b.Values = values
		}
		copy(b.Values, values)
	}
	return nil
}

// transposed returns the transpose of values, a matrix of [rows, cols].
func transposed(values []float32, rows, cols int) []float32 {
	t := make([]float32, len(values))
	for i := range rows {
		for j, v := range values[i*cols : (i+1)*cols] {
			t[j*rows+i] = v
		}
	}
	return t
}

// FromStateDict returns a network of the Linear layers in f, a PyTorch state dict, with a
// ReLU between any two. A layer is a tensor NAME.weight of [out, in] and a tensor
// NAME.bias of [out], for any NAME. A layer without a bias (Linear(…, bias=False)) gets
// one of zeros. fp16 becomes fp32.
//
// A state dict does not tell how its layers are connected. FromStateDict sorts them by
// name, with numbers compared as numbers: fc2 comes before fc10. If that is not the order
// of computation, or f holds other tensors too, give the NAMEs of the layers as order,
// first to last. Other tensors are then ignored.
//
// The error is a [*TensorError] that names a tensor that is missing, is not part of a
// Linear layer, does not fit the layer before it, or is not finite.
func FromStateDict(f *checkpoint.File, order ...string) (*nn.Graph, error) {
	if len(order) == 0 {
		var err error
		if order, err = names(f); err != nil {
			return nil, err
		}
	}
	var widths []int
	var weights, biases []checkpoint.Tensor
	for i, name := range order {
		w, b, err := linear(f, name)
		if err != nil {
			return nil, err
		}
		out, in := w.Shape[0], w.Shape[1]
		if i == 0 {
			widths = append(widths, in)
		} else if before := weights[i-1]; in != before.Shape[0] {
			return nil, &TensorError{w.Name, fmt.Sprintf("has the shape %v: want [%d %d], because %s before it has %v (weights are [out, in]; the layers are taken in the order %s)",
				w.Shape, out, before.Shape[0], before.Name, before.Shape, strings.Join(order, ", "))}
		}
		widths, weights, biases = append(widths, out), append(weights, w), append(biases, b)
	}
	g := nn.NewBlankGraph()
	g.Output("logits", nn.MLP(g.Input("image", widths[0]), widths[1:]...))
	for i := range order {
		w, b := g.Params()[2*i], g.Params()[2*i+1]
		w.Master, b.Master = transposed(weights[i].Float32s(), widths[i+1], widths[i]), make([]float32, widths[i+1])
		copy(b.Master, biases[i].Float32s())
	}
	return g, g.Err()
}

// names returns the names of the layers in f, sorted. A file without layers, or with a
// tensor that belongs to none, is an error.
func names(f *checkpoint.File) (order []string, err error) {
	for _, t := range f.Tensors {
		layer, name := split(t.Name)
		switch name {
		case weight:
			order = append(order, layer)
		case bias:
			if _, ok := f.Tensor(parameter(layer, weight)); !ok {
				return nil, &TensorError{t.Name, "has no weight beside it: want a tensor " + parameter(layer, weight)}
			}
		default:
			return nil, &TensorError{t.Name, "is no part of a Linear layer: want names that end in weight or bias, or the names of the layers that are meant"}
		}
	}
	if len(order) == 0 {
		return nil, errors.New("interchange: there are no tensors: want the weights of Linear layers")
	}
	slices.SortFunc(order, naturally)
	return order, nil
}

// linear returns the parameters of the named layer: w of [out, in], and b of [out] or
// without elements.
func linear(f *checkpoint.File, name string) (w, b checkpoint.Tensor, err error) {
	w, ok := f.Tensor(parameter(name, weight))
	switch {
	case !ok:
		return w, b, &TensorError{parameter(name, weight), "is not there"}
	case len(w.Shape) != 2:
		return w, b, &TensorError{w.Name, fmt.Sprintf("has the shape %v: want the two dimensions [out, in] of a Linear layer", w.Shape)}
	}
	if err := check(w); err != nil {
		return w, b, err
	}
	b, ok = f.Tensor(parameter(name, bias))
	if !ok {
		return w, b, nil
	}
	if !slices.Equal(b.Shape, w.Shape[:1]) {
		return w, b, &TensorError{b.Name, fmt.Sprintf("has the shape %v: want %v, because %s has %v", b.Shape, w.Shape[:1], w.Name, w.Shape)}
	}
	return w, b, check(b)
}

// check returns an error unless t has as many elements as its shape says, at least one,
// all of them finite.
func check(t checkpoint.Tensor) error {
	if d := t.Elements.DType(); d == tensor.I32 {
		return &TensorError{t.Name, fmt.Sprintf("is of %v: want floating-point numbers", d)}
	}
	values, n := t.Float32s(), int64(1)
	for _, d := range t.Shape { // one or two
		if d < 1 || d > 1<<31-1 {
			return &TensorError{t.Name, fmt.Sprintf("has the shape %v: want positive dimensions below 2^31", t.Shape)}
		}
		n *= int64(d)
	}
	if n != int64(len(values)) {
		return &TensorError{t.Name, fmt.Sprintf("has the shape %v but %d elements", t.Shape, len(values))}
	}
	return checkFinite(t.Name, values)
}

// naturally compares names, with a run of digits compared as a number.
func naturally(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		m, n := digits(x), digits(y)
		if m == 0 || n == 0 {
			if x[0] != y[0] {
				return cmp.Compare(x[0], y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		p, q := strings.TrimLeft(x[:m], "0"), strings.TrimLeft(y[:n], "0")
		if c := cmp.Or(cmp.Compare(len(p), len(q)), cmp.Compare(p, q)); c != 0 {
			return c
		}
		x, y = x[m:], y[n:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

// digits returns the number of digits that s begins with.
func digits(s string) int {
	if i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		return i
	}
	return len(s)
}
