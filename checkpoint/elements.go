package checkpoint

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/halfgrad/halfgrad/bf16"
	"github.com/halfgrad/halfgrad/checkpoint/safetensors"
	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

// chunk is the number of elements that are converted at a time.
const chunk = 1 << 13

// dtypes are the types of elements in files, by those in memory.
var dtypes = map[tensor.DType]safetensors.DType{
	tensor.F16: safetensors.F16, tensor.BF16: safetensors.BF16, tensor.F32: safetensors.F32, tensor.I32: safetensors.I32,
}

// writeElements writes e, little endian.
func writeElements(w io.Writer, e tensor.Elements) error {
	buffer := make([]byte, 0, e.DType().Size()*min(chunk, e.Len()))
	for ; e.Len() > 0; e = e.From(chunk) {
		part := e.Slice(0, min(chunk, e.Len()))
		buffer = buffer[:0]
		switch e.DType() {
		case tensor.F16:
			for _, h := range part.F16() {
				buffer = binary.LittleEndian.AppendUint16(buffer, uint16(h))
			}
		case tensor.BF16:
			for _, b := range part.BF16() {
				buffer = binary.LittleEndian.AppendUint16(buffer, uint16(b))
			}
		case tensor.F32:
			for _, v := range part.F32() {
				buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
			}
		case tensor.I32:
			for _, v := range part.I32() {
				buffer = binary.LittleEndian.AppendUint32(buffer, uint32(v))
			}
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
	}
	return nil
}

// inMemory returns the type that elements of a file have in memory, or 0 if they cannot be
// read.
func inMemory(d safetensors.DType) tensor.DType {
	if d == safetensors.F64 {
		return tensor.F32
	}
	for memory, file := range dtypes {
		if file == d {
			return memory
		}
	}
	return 0
}

// readElements reads the elements of a tensor that the header describes as of, of a type
// that inMemory knows.
func readElements(r io.Reader, of safetensors.Tensor) (tensor.Elements, error) {
	n, size := int(of.Elements()), of.DType.Size()
	e := tensor.Make(inMemory(of.DType), n)
	buffer := make([]byte, size*min(chunk, n))
	for from := 0; from < n; from += chunk {
		part := e.Slice(from, min(from+chunk, n))
		raw := buffer[:size*part.Len()]
		if _, err := io.ReadFull(r, raw); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return e, err
		}
		switch of.DType {
		case safetensors.F16:
			for i := range part.F16() {
				part.F16()[i] = fp16.Float16(binary.LittleEndian.Uint16(raw[2*i:]))
			}
		case safetensors.BF16:
			for i := range part.BF16() {
				part.BF16()[i] = bf16.BFloat16(binary.LittleEndian.Uint16(raw[2*i:]))
			}
		case safetensors.F32:
			for i := range part.F32() {
				part.F32()[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			}
		case safetensors.I32:
			for i := range part.I32() {
				part.I32()[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
			}
		case safetensors.F64:
			for i := range part.F32() {
				part.F32()[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
			}
		}
	}
	return e, nil
}
