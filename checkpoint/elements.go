package checkpoint

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/halfgrad/halfgrad/checkpoint/safetensors"
	"github.com/halfgrad/halfgrad/fp16"
)

// chunk is the number of elements that are converted at a time.
const chunk = 1 << 13

// writeTo writes the elements, little endian.
func (t Tensor) writeTo(w io.Writer) error {
	buffer := make([]byte, 0, 4*chunk)
	for rest := t.Values; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
		buffer = buffer[:0]
		for _, v := range rest[:min(chunk, len(rest))] {
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
	}
	for rest := t.Half; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
		buffer = buffer[:0]
		for _, h := range rest[:min(chunk, len(rest))] {
			buffer = binary.LittleEndian.AppendUint16(buffer, uint16(h))
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
	}
	return nil
}

// decodable reports whether [Tensor.readFrom] knows a type.
func decodable(d safetensors.DType) bool {
	switch d {
	case safetensors.F32, safetensors.F16, safetensors.BF16, safetensors.F64:
		return true
	}
	return false
}

// readFrom reads the elements of a tensor that the header describes as of.
func (t *Tensor) readFrom(r io.Reader, of safetensors.Tensor) error {
	n, size := int(of.Elements()), of.DType.Size()
	if of.DType == safetensors.F16 {
		t.Half = make([]fp16.Float16, n)
	} else {
		t.Values = make([]float32, n)
	}
	buffer := make([]byte, size*min(chunk, n))
	for from := 0; from < n; from += chunk {
		to := min(from+chunk, n)
		raw := buffer[:size*(to-from)]
		if _, err := io.ReadFull(r, raw); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		switch of.DType {
		case safetensors.F16:
			for i := range t.Half[from:to] {
				t.Half[from+i] = fp16.Float16(binary.LittleEndian.Uint16(raw[2*i:]))
			}
		case safetensors.F32:
			for i := range t.Values[from:to] {
				t.Values[from+i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			}
		case safetensors.BF16: // the upper half of an fp32
			for i := range t.Values[from:to] {
				t.Values[from+i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
			}
		case safetensors.F64:
			for i := range t.Values[from:to] {
				t.Values[from+i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
			}
		}
	}
	return nil
}
