package interchange

import (
	"encoding/binary"
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

	// Mean and Std standardise the input: the network gets (pixels − Mean) / Std. A Std
	// of 0 counts as 1, as in data.Images.Standardized.
	Mean, Std float32

	// Metadata goes into the file, for its readers.
	Metadata map[string]string
}

// ONNX returns the bytes of an ONNX file that computes model in inference. It has one
// input "pixels", float32 of [batch, features], by convention from 0 to 1, and one output
// "logits", float32 of [batch, classes], for any batch. Weights are initializers with the
// names of [StateDict], in the layout [in, out]. The operators are Gemm, Relu, Sub and
// Div, and in fp16 Cast, of opset 14 (IR version 7), which runtimes have known since 2021.
//
// In fp32 everything is fp32. In fp16 the weights, the input and each layer's output are
// rounded to fp16, and products and sums are fp32, as in halfgrad's own fp16. The results
// differ from halfgrad's by the order of the sums, which is the runtime's, and by the
// standardisation, which rounds twice in fp32.
//
// The error is a [*LayerError] or a [*TensorError], or says what else is wrong.
func ONNX(model *nn.Sequential, cfg ONNXConfig) ([]byte, error) {
	if cfg.Precision != tensor.F16 && cfg.Precision != tensor.F32 {
		return nil, fmt.Errorf("interchange: an ONNX model in %v: want fp16 or fp32", cfg.Precision)
	}
	if x := float64(cfg.Mean) + float64(cfg.Std); x-x != 0 || cfg.Std < 0 {
		return nil, fmt.Errorf("interchange: an ONNX model that standardises by a mean of %v and a deviation of %v: want finite numbers, the latter not negative", cfg.Mean, cfg.Std)
	}
	list, err := modules(model)
	if err != nil {
		return nil, err
	}
	g := graph{precision: cfg.Precision, value: inputName}
	if err := g.add(list, cfg.Mean, cfg.Std); err != nil {
		return nil, err
	}
	g.nodes[len(g.nodes)-1].output = outputName

	var size int64
	for _, t := range g.initializers {
		size += int64(len(t))
	}
	if size > maxFile {
		return nil, fmt.Errorf("interchange: an ONNX file of %d bytes of weights: want at most %d, which is what a protocol buffer holds", size, maxFile)
	}
	return g.file(cfg.Metadata), nil
}

const (
	inputName  = "pixels"
	outputName = "logits"

	// Opset 14 has all operators in the form used here. It came with IR version 7, in
	// ONNX 1.9 (docs/Versioning.md of ONNX).
	irVersion = 7
	opset     = 14

	// The limit of weights in bytes: a protocol buffer has at most 2 GiB, 1 MiB of it for
	// everything else.
	maxFile = 1<<31 - 1<<20
)

// graph is an ONNX graph under construction.
type graph struct {
	precision    tensor.DType
	nodes        []node
	initializers []message
	value        string // the name of the last node's output
	in, out      int    // widths of the network's input and output
}

// node applies an operator.
type node struct {
	name, operator string
	inputs         []string
	output         string
	to             tensor.DType // of a Cast
}

// add adds the whole network.
func (g *graph) add(list []module, mean, std float32) error {
	if mean != 0 {
		g.constant("mean", mean)
		g.apply("Sub", "/standardize", "mean")
	}
	if std != 0 && std != 1 {
		g.constant("std", std)
		g.apply("Div", "/standardize", "std")
	}
	g.round("/input")
	for _, m := range list {
		at := "/" + m.name
		switch l := m.layer.(type) {
		case *nn.Linear:
			if g.in == 0 {
				g.in = l.Weight.Shape[0]
			}
			g.out = l.Weight.Shape[1]
			w, err := g.parameter(m.parameter(weight), l.Weight)
			if err != nil {
				return err
			}
			b, err := g.parameter(m.parameter(bias), l.Bias)
			if err != nil {
				return err
			}
			g.apply("Gemm", at, w, b)
			g.round(at)
		case *nn.ReLU: // of what is rounded, and so rounded
			g.apply("Relu", at)
		}
	}
	return nil
}

// apply adds a node that takes the last value and parameters.
func (g *graph) apply(operator, at string, parameters ...string) {
	name := at + "/" + operator
	g.nodes = append(g.nodes, node{name: name, operator: operator, inputs: append([]string{g.value}, parameters...), output: name + "_output"})
	g.value = name + "_output"
}

// cast adds a node that converts the value called from to another type. It returns the
// name of the result.
func (g *graph) cast(from string, to tensor.DType, name string) string {
	g.nodes = append(g.nodes, node{name: name, operator: "Cast", inputs: []string{from}, output: name + "_output", to: to})
	return name + "_output"
}

// round adds nodes that round the last value to fp16 and widen it again, if the precision
// is fp16.
func (g *graph) round(at string) {
	if g.precision == tensor.F16 {
		g.value = g.cast(g.cast(g.value, tensor.F16, at+"/Narrow"), tensor.F32, at+"/Widen")
	}
}

// parameter adds a parameter in the graph's precision and returns the name of its value in
// fp32.
func (g *graph) parameter(name string, p *nn.Param) (string, error) {
	if g.precision == tensor.F32 {
		if err := checkFinite(name, p.Master); err != nil {
			return "", err
		}
		g.initialize(name, tensor.F32, p.Shape, fp32Bytes(p.Master))
		return name, nil
	}
	half, err := rounded(name, p.Master)
	if err != nil {
		return "", err
	}
	raw := make([]byte, 0, 2*len(half))
	for _, h := range half {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(h))
	}
	g.initialize(name, tensor.F16, p.Shape, raw)
	return g.cast(name, tensor.F32, "/"+name+"/Widen"), nil
}

// constant adds an initializer of one fp32 number.
func (g *graph) constant(name string, v float32) {
	g.initialize(name, tensor.F32, nil, fp32Bytes([]float32{v}))
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

func (m *message) text(field protowire.Number, s string) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendString(*m, s)
}

func (m *message) bytes(field protowire.Number, b []byte) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendBytes(*m, b)
}

// elementType returns the number of d in TensorProto.DataType.
func elementType(d tensor.DType) int {
	if d == tensor.F16 {
		return 10 // FLOAT16
	}
	return 1 // FLOAT
}

// initialize adds a TensorProto with the elements raw, little endian.
func (g *graph) initialize(name string, dtype tensor.DType, shape []int, raw []byte) {
	var t message
	for _, d := range shape {
		t.integer(1, d) // dims
	}
	t.integer(2, elementType(dtype)) // data_type
	t.text(8, name)                  // name
	t.bytes(9, raw)                  // raw_data
	g.initializers = append(g.initializers, t)
}

// encode returns a NodeProto.
func (n node) encode() (m message) {
	for _, in := range n.inputs {
		m.text(1, in) // input
	}
	m.text(2, n.output)   // output
	m.text(3, n.name)     // name
	m.text(4, n.operator) // op_type
	if n.to != 0 {
		var a message                   // AttributeProto
		a.text(1, "to")                 // name
		a.integer(3, elementType(n.to)) // i
		a.integer(20, 2)                // type: INT
		m.bytes(5, a)                   // attribute
	}
	return m
}

// valueInfo returns the ValueInfoProto of an fp32 value of shape [batch, width].
func valueInfo(name string, width int) (m message) {
	var batch, features message // TensorShapeProto.Dimension
	batch.text(2, "batch")      // dim_param
	features.integer(1, width)  // dim_value
	var shape message           // TensorShapeProto
	shape.bytes(1, batch)       // dim
	shape.bytes(1, features)
	var array message                         // TypeProto.Tensor
	array.integer(1, elementType(tensor.F32)) // elem_type
	array.bytes(2, shape)                     // shape
	var kind message                          // TypeProto
	kind.bytes(1, array)                      // tensor_type
	m.text(1, name)                           // name
	m.bytes(2, kind)                          // type
	return m
}

// file returns a ModelProto.
func (g *graph) file(metadata map[string]string) (m message) {
	var p message // GraphProto
	for _, n := range g.nodes {
		p.bytes(1, n.encode()) // node
	}
	p.text(2, "halfgrad") // name
	for _, t := range g.initializers {
		p.bytes(5, t) // initializer
	}
	p.bytes(11, valueInfo(inputName, g.in))   // input
	p.bytes(12, valueInfo(outputName, g.out)) // output

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
