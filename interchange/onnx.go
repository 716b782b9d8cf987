package interchange

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// ONNXConfig configures [ONNX].
type ONNXConfig struct {
	// Precision is fp32 or fp16, see [ONNX].
	Precision tensor.DType

	// Input, where not empty, is what the file calls the first input, such as "pixels".
	Input string

	// Mean and Std standardise the first input: the network gets (input − Mean) / Std. A Std
	// of 0 counts as 1, as in data.Images.Standardized.
	Mean, Std float32

	// Probabilities adds an output "probabilities", the softmax of the first output.
	Probabilities bool

	// Metadata goes into the file, for its readers.
	Metadata map[string]string
}

// ONNX returns the bytes of an ONNX file that computes a graph in inference. Its inputs and
// outputs have the graph's names and the shapes [batch, shape…], for any batch, in float32
// or int32. Parameters are initializers under their names, in halfgrad's layout. The
// operators are those that the operations write (see [nn.ONNX]) and in fp16 Cast, of opset
// 14 (IR version 7), which runtimes have known since 2021.
//
// In fp32 everything is fp32. In fp16 the parameters, the inputs and the output of each
// operation are rounded to fp16, and operations compute in fp32, as in halfgrad's own
// fp16. The results differ from halfgrad's by the order of the sums, which is the
// runtime's, and by the standardisation, which rounds twice in fp32.
//
// The error is an [*OpError] or a [*TensorError], or says what else is wrong.
func ONNX(graph *nn.Graph, cfg ONNXConfig) ([]byte, error) {
	if cfg.Precision != tensor.F16 && cfg.Precision != tensor.F32 {
		return nil, fmt.Errorf("interchange: an ONNX model in %v: want fp16 or fp32", cfg.Precision)
	}
	if x := float64(cfg.Mean) + float64(cfg.Std); x-x != 0 || cfg.Std < 0 {
		return nil, fmt.Errorf("interchange: an ONNX model that standardises by a mean of %v and a deviation of %v: want finite numbers, the latter not negative", cfg.Mean, cfg.Std)
	}
	switch {
	case graph.Err() != nil:
		return nil, graph.Err()
	case graph.Blank():
		return nil, errors.New("interchange: the graph has no values")
	case len(graph.Outputs()) == 0:
		return nil, errors.New("interchange: the graph has no output: want at least one")
	}
	if err := checkNames(graph, cfg); err != nil {
		return nil, err
	}
	w := writer{precision: cfg.Precision, values: map[*nn.Value]string{}, params: map[*nn.Param]string{}, used: map[string]int{}}
	if err := w.add(graph, cfg); err != nil {
		return nil, err
	}
	var size int64
	for _, t := range w.initializers {
		size += int64(len(t))
	}
	if size > maxFile {
		return nil, fmt.Errorf("interchange: an ONNX file of %d bytes of weights: want at most %d, which is what a protocol buffer holds", size, maxFile)
	}
	return w.file(cfg.Metadata), nil
}

// checkNames returns an error if two values of the file would have the same name. Names
// within the graph begin with a slash.
func checkNames(graph *nn.Graph, cfg ONNXConfig) error {
	names := []string{"mean", "std"}
	for i, v := range graph.Inputs() {
		if i == 0 && cfg.Input != "" {
			names = append(names, cfg.Input)
		} else {
			names = append(names, v.Name())
		}
	}
	for _, p := range graph.Params() {
		names = append(names, p.Name)
	}
	for _, o := range graph.Outputs() {
		names = append(names, o.Name)
	}
	if cfg.Probabilities {
		names = append(names, "probabilities")
	}
	slices.Sort(names)
	for i, name := range names[1:] {
		if name == names[i] {
			return fmt.Errorf("interchange: two values of the ONNX model have the name %q: want each name once among inputs, parameters, outputs, mean and std", name)
		}
	}
	return nil
}

const (
	// Opset 14 has all operators in the form used here. It came with IR version 7, in
	// ONNX 1.9 (docs/Versioning.md of ONNX).
	irVersion = 7
	opset     = 14

	// The limit of weights in bytes: a protocol buffer has at most 2 GiB, 1 MiB of it for
	// everything else.
	maxFile = 1<<31 - 1<<20
)

// writer builds an ONNX graph. It is the [nn.ONNXWriter] of the operation at hand.
type writer struct {
	precision       tensor.DType
	at              string // the operation's name, after a slash
	nodes           []node
	initializers    []message
	inputs, outputs []message
	values          map[*nn.Value]string // the names of values in fp32
	params          map[*nn.Param]string
	used            map[string]int // names of nodes, and how often they were wanted
}

// node applies an operator.
type node struct {
	name, operator string
	inputs         []string
	output         string
	attributes     map[string]any
}

// add adds the whole graph.
func (w *writer) add(graph *nn.Graph, cfg ONNXConfig) error {
	for i, v := range graph.Inputs() {
		name := v.Name()
		if i == 0 && cfg.Input != "" {
			name = cfg.Input
		}
		kind := v.DType()
		if kind == 0 {
			kind = tensor.F32
		}
		w.inputs = append(w.inputs, valueInfo(name, kind, v.Shape()))
		value := name
		if kind == tensor.F32 {
			if i == 0 {
				w.at = "/standardize"
				if cfg.Mean != 0 {
					w.constant("mean", cfg.Mean)
					value = w.Node("Sub", []string{value, "mean"}, nil)
				}
				if cfg.Std != 0 && cfg.Std != 1 {
					w.constant("std", cfg.Std)
					value = w.Node("Div", []string{value, "std"}, nil)
				}
			}
			w.at = "/" + v.Name()
			value = w.round(value)
		}
		w.values[v] = value
	}
	for _, n := range graph.Nodes() {
		if err := w.operation(n); err != nil {
			return err
		}
	}
	for i, o := range graph.Outputs() {
		value := w.values[o.Value]
		w.nodes = append(w.nodes, node{name: "/" + o.Name + "/Identity", operator: "Identity", inputs: []string{value}, output: o.Name})
		w.outputs = append(w.outputs, valueInfo(o.Name, tensor.F32, o.Value.Shape()))
		if i == 0 && cfg.Probabilities {
			w.nodes = append(w.nodes, node{name: "/probabilities/Softmax", operator: "Softmax", inputs: []string{value}, output: "probabilities", attributes: map[string]any{"axis": -1}})
			w.outputs = append(w.outputs, valueInfo("probabilities", tensor.F32, o.Value.Shape()))
		}
	}
	return nil
}

// operation adds an operation.
func (w *writer) operation(n *nn.Node) error {
	op, ok := n.Op.(nn.ONNX)
	if !ok {
		return &OpError{Node: n}
	}
	w.at = "/" + n.Name
	var in, params []nn.ONNXValue
	for _, v := range n.In {
		in = append(in, nn.ONNXValue{Name: w.values[v], Shape: v.Shape()})
	}
	if weighted, ok := op.(nn.Weighted); ok {
		for _, p := range weighted.Params() {
			name, err := w.parameter(p)
			if err != nil {
				return err
			}
			params = append(params, nn.ONNXValue{Name: name, Shape: p.Shape})
		}
	}
	out, err := op.ONNX(w, in, params)
	if err != nil {
		return &OpError{n, err}
	}
	if out != w.values[n.In[0]] {
		out = w.round(out)
	}
	w.values[n.Out] = out
	return nil
}

// Node implements [nn.ONNXWriter].
func (w *writer) Node(operator string, in []string, attributes map[string]any) (out string) {
	name := w.unique(w.at + "/" + operator)
	w.nodes = append(w.nodes, node{name: name, operator: operator, inputs: in, output: name + "_output", attributes: attributes})
	return name + "_output"
}

// unique returns a name that no node has.
func (w *writer) unique(name string) string {
	w.used[name]++
	if n := w.used[name]; n > 1 {
		return fmt.Sprintf("%s_%d", name, n)
	}
	return name
}

// Floats implements [nn.ONNXWriter].
func (w *writer) Floats(shape []int, values ...float32) (name string) {
	name = w.unique(w.at + "/constant")
	w.initialize(name, tensor.F32, shape, fp32Bytes(values))
	return name
}

// Ints implements [nn.ONNXWriter].
func (w *writer) Ints(shape []int, values ...int64) (name string) {
	name = w.unique(w.at + "/constant")
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	w.initialize(name, 0, shape, raw)
	return name
}

// cast adds a node that converts a value to another type. It returns the name of the result.
func (w *writer) cast(from string, to tensor.DType, name string) string {
	w.nodes = append(w.nodes, node{name: name, operator: "Cast", inputs: []string{from}, output: name + "_output", attributes: map[string]any{"to": elementType(to)}})
	return name + "_output"
}

// round adds nodes that round a value to fp16 and widen it again, if the precision is fp16.
// It returns the name of the result.
func (w *writer) round(value string) string {
	if w.precision != tensor.F16 {
		return value
	}
	return w.cast(w.cast(value, tensor.F16, w.unique(w.at+"/Narrow")), tensor.F32, w.unique(w.at+"/Widen"))
}

// parameter adds a parameter in the graph's precision, once, and returns the name of its
// value in fp32.
func (w *writer) parameter(p *nn.Param) (string, error) {
	if name, ok := w.params[p]; ok {
		return name, nil
	}
	if w.precision == tensor.F32 {
		if err := checkFinite(p.Name, p.Master); err != nil {
			return "", err
		}
		w.initialize(p.Name, tensor.F32, p.Shape, fp32Bytes(p.Master))
		w.params[p] = p.Name
		return p.Name, nil
	}
	half, err := rounded(p.Name, p.Master)
	if err != nil {
		return "", err
	}
	raw := make([]byte, 0, 2*len(half))
	for _, h := range half {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(h))
	}
	w.initialize(p.Name, tensor.F16, p.Shape, raw)
	w.params[p] = w.cast(p.Name, tensor.F32, "/"+p.Name+"/Widen")
	return w.params[p], nil
}

// constant adds an initializer of one fp32 number.
func (w *writer) constant(name string, v float32) {
	w.initialize(name, tensor.F32, nil, fp32Bytes([]float32{v}))
}

func fp32Bytes(values []float32) []byte {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

// The rest of the file is the encoding. The field numbers are those of onnx.proto
// (https://github.com/onnx/onnx/blob/v1.12.0/onnx/onnx.proto).

// message is an encoded protocol buffer message.
type message []byte

func (m *message) integer(field protowire.Number, v int) {
	*m = protowire.AppendTag(*m, field, protowire.VarintType)
	*m = protowire.AppendVarint(*m, uint64(v))
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendTag(*m, field, protowire.Fixed32Type)
	*m = protowire.AppendFixed32(*m, math.Float32bits(v))
}

func (m *message) text(field protowire.Number, s string) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendString(*m, s)
}

func (m *message) bytes(field protowire.Number, b []byte) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendBytes(*m, b)
}

// elementType returns the number of d in TensorProto.DataType, and that of int64 for 0.
func elementType(d tensor.DType) int {
	switch d {
	case tensor.F16:
		return 10 // FLOAT16
	case tensor.I32:
		return 6 // INT32
	case 0:
		return 7 // INT64
	}
	return 1 // FLOAT
}

// initialize adds a TensorProto with the elements raw, little endian.
func (w *writer) initialize(name string, dtype tensor.DType, shape []int, raw []byte) {
	var t message
	for _, d := range shape {
		t.integer(1, d) // dims
	}
	t.integer(2, elementType(dtype)) // data_type
	t.text(8, name)                  // name
	t.bytes(9, raw)                  // raw_data
	w.initializers = append(w.initializers, t)
}

// encode returns a NodeProto.
func (n node) encode() (m message) {
	for _, in := range n.inputs {
		m.text(1, in) // input
	}
	m.text(2, n.output)   // output
	m.text(3, n.name)     // name
	m.text(4, n.operator) // op_type
	for _, key := range slices.Sorted(maps.Keys(n.attributes)) {
		var a message  // AttributeProto
		a.text(1, key) // name
		switch v := n.attributes[key].(type) {
		case int:
			a.integer(3, v)  // i
			a.integer(20, 2) // type: INT
		case float32:
			a.float(2, v)    // f
			a.integer(20, 1) // type: FLOAT
		case string:
			a.text(4, v)     // s
			a.integer(20, 3) // type: STRING
		case []int:
			for _, x := range v {
				a.integer(8, x) // ints
			}
			a.integer(20, 7) // type: INTS
		default:
			panic(fmt.Sprintf("interchange: the attribute %s of %s is a %T: want an int, float32, string or []int", key, n.name, v))
		}
		m.bytes(5, a) // attribute
	}
	return m
}

// valueInfo returns the ValueInfoProto of a value of shape [batch, shape…].
func valueInfo(name string, kind tensor.DType, dims nn.Shape) (m message) {
	var batch message      // TensorShapeProto.Dimension
	batch.text(2, "batch") // dim_param
	var shape message      // TensorShapeProto
	shape.bytes(1, batch)  // dim
	for _, d := range dims {
		var dim message
		dim.integer(1, d) // dim_value
		shape.bytes(1, dim)
	}
	var array message                   // TypeProto.Tensor
	array.integer(1, elementType(kind)) // elem_type
	array.bytes(2, shape)               // shape
	var tensorType message              // TypeProto
	tensorType.bytes(1, array)          // tensor_type
	m.text(1, name)                     // name
	m.bytes(2, tensorType)              // type
	return m
}

// file returns a ModelProto.
func (w *writer) file(metadata map[string]string) (m message) {
	var p message // GraphProto
	for _, n := range w.nodes {
		p.bytes(1, n.encode()) // node
	}
	p.text(2, "halfgrad") // name
	for _, t := range w.initializers {
		p.bytes(5, t) // initializer
	}
	for _, in := range w.inputs {
		p.bytes(11, in) // input
	}
	for _, out := range w.outputs {
		p.bytes(12, out) // output
	}

	var operators message       // OperatorSetIdProto
	operators.integer(2, opset) // version
	m.integer(1, irVersion)     // ir_version
	m.text(2, "halfgrad")       // producer_name
	m.bytes(7, p)               // graph
	m.bytes(8, operators)       // opset_import
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		var entry message // StringStringEntryProto
		entry.text(1, key)
		entry.text(2, metadata[key])
		m.bytes(14, entry) // metadata_props
	}
	return m
}
