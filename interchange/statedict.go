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

// StateDict returns the weights of model as PyTorch's torch.nn.Sequential has them in
// its state dict: "0.weight" of [out, in] (the transpose of what [nn.Linear] has) and
// "0.bias" of [out], "2.weight" and so on, by the numbers of the layers. In fp32 they are
// the master weights; in fp16 these are rounded. The metadata says "format": "pt", which
// Hugging Face's loaders ask for; the caller may add to it.
//
// In Python, model.load_state_dict(safetensors.torch.load_file(path)) takes it.
//
// The error is a [*LayerError] or a [*TensorError], or says what else is wrong.
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

// transposed returns the transpose of values, which are [rows, cols].
func transposed(values []float32, rows, cols int) []float32 {
	t := make([]float32, len(values))
	for i := range rows {
		for j, v := range values[i*cols : (i+1)*cols] {
			t[j*rows+i] = v
		}
	}
	return t
}

// FromStateDict returns a network of the Linear layers in f, with a ReLU between any
// two. f is of PyTorch: a layer is a tensor NAME.weight of [out, in] and, if it has a
// bias, NAME.bias of [out], whatever NAME is; a layer without one (Linear(…,
// bias=False)) gets a bias of zeros. fp32 is kept as it is, fp16 widened.
//
// A state dict does not tell how its layers are connected. They are taken in the order
// of their names, where numbers compare as numbers: fc2 comes before fc10. Where that is
// not the order of computation, or where f holds more than the network, order names the
// layers that are meant, first to last, by NAME; the other tensors are left alone.
//
// The error is a [*TensorError] that names the tensor which is missing, is no part of
// such a network, has another shape than its neighbours ask for, or is not finite.
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

// names returns the names of the layers in f, in their order. There is at least one,
// and no tensor that belongs to none.
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

// linear returns the parameters of the layer of that name, w of [out, in] and b of
// [out], or empty.
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

// check returns an error unless t has elements, as many as its shape says, and all are
// finite.
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

// naturally compares names, digits in a row as the number that they are.
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

// digits returns how many bytes of s, from the first, are digits.
func digits(s string) int {
	if i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		return i
	}
	return len(s)
}
