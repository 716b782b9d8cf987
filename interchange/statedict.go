package interchange

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// StateDict returns the weights of model as the state dict of PyTorch's
// torch.nn.Sequential: "0.weight" of [out, in], the transpose of [nn.Linear]'s, "0.bias"
// of [out], "2.weight" and so on, by the index of the layer. dtype is fp32, for the
// master weights, or fp16, for the rounded ones. The metadata has "format": "pt", which
// Hugging Face's loaders ask for. The caller may add to it.
//
// In Python, model.load_state_dict(safetensors.torch.load_file(path)) loads the file.
//
// The error is a [*LayerError] for a layer of another type, a [*TensorError] for weights
// that are not finite in dtype, or says what else is wrong.
func StateDict(model *nn.Sequential, dtype tensor.DType) (*checkpoint.File, error) {
	if dtype != tensor.F16 && dtype != tensor.F32 {
		return nil, fmt.Errorf("interchange: a state dict of %v: want fp16 or fp32", dtype)
	}
	list, err := modules(model)
	if err != nil {
		return nil, err
	}
	f := &checkpoint.File{Metadata: map[string]string{"format": "pt"}}
	for _, m := range list {
		l, ok := m.layer.(*nn.Linear)
		if !ok {
			continue
		}
		in, out := l.Weight.Shape[0], l.Weight.Shape[1]
		for _, t := range []checkpoint.Tensor{
			{Name: m.parameter(weight), Shape: []int{out, in}, Values: transposed(l.Weight.Master, in, out)},
			{Name: m.parameter(bias), Shape: []int{out}, Values: slices.Clone(l.Bias.Master)},
		} {
			if dtype == tensor.F16 {
				t.Half, err = rounded(t.Name, t.Values)
				t.Values = nil
			} else {
				err = checkFinite(t.Name, t.Values)
			}
			if err != nil {
				return nil, err
			}
			f.Tensors = append(f.Tensors, t)
		}
	}
	return f, nil
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
func FromStateDict(f *checkpoint.File, order ...string) (*nn.Sequential, error) {
	if len(order) == 0 {
		var err error
		if order, err = names(f); err != nil {
			return nil, err
		}
	}
	var layers []nn.Layer
	var before checkpoint.Tensor // the weight of the layer before
	for _, name := range order {
		w, b, err := linear(f, name)
		if err != nil {
			return nil, err
		}
		out, in := w.Shape[0], w.Shape[1]
		if len(layers) > 0 {
			if in != before.Shape[0] {
				return nil, &TensorError{w.Name, fmt.Sprintf("has the shape %v: want [%d %d], because %s before it has %v (weights are [out, in]; the layers are taken in the order %s)",
					w.Shape, out, before.Shape[0], before.Name, before.Shape, strings.Join(order, ", "))}
			}
			layers = append(layers, nn.NewReLU())
		}
		l := nn.NewLinear(nil, in, out)
		copy(l.Weight.Master, transposed(w.Float32s(), out, in))
		copy(l.Bias.Master, b.Float32s())
		layers, before = append(layers, l), w
	}
	return nn.NewSequential(layers...), nil
}

// names returns the names of the layers in f, sorted. A file without layers, or with a
// tensor that belongs to none, is an error.
func names(f *checkpoint.File) (order []string, err error) {
	for _, t := range f.Tensors {
		m, parameter := split(t.Name)
		switch parameter {
		case weight:
			order = append(order, m.name)
		case bias:
			if _, ok := f.Tensor(m.parameter(weight)); !ok {
				return nil, &TensorError{t.Name, "has no weight beside it: want a tensor " + m.parameter(weight)}
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
	m := module{name: name}
	w, ok := f.Tensor(m.parameter(weight))
	switch {
	case !ok:
		return w, b, &TensorError{m.parameter(weight), "is not there"}
	case len(w.Shape) != 2:
		return w, b, &TensorError{w.Name, fmt.Sprintf("has the shape %v: want the two dimensions [out, in] of a Linear layer", w.Shape)}
	}
	if err := check(w); err != nil {
		return w, b, err
	}
	b, ok = f.Tensor(m.parameter(bias))
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
