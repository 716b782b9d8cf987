package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/halfgrad/halfgrad/checkpoint/safetensors"
)

// A file is written and one tensor of it read.
func Example() {
	_, file, err := safetensors.NewHeader(map[string]string{"made by": "an example"}, []safetensors.Tensor{
		{Name: "bias", DType: safetensors.F32, Shape: []int{2}},
		{Name: "scale", DType: safetensors.F16},
	})
	if err != nil {
		panic(err)
	}
	file, _ = binary.Append(file, binary.LittleEndian, []float32{0.5, -1})
	file, _ = binary.Append(file, binary.LittleEndian, uint16(0x3c00)) // 1 in fp16

	r := bytes.NewReader(file)
	h, err := safetensors.ReadHeader(r, r.Size())
	if err != nil {
		panic(err)
	}
	for _, t := range h.Tensors {
		fmt.Println(t.Name, t.DType, t.Shape, t.Size, "bytes")
	}
	var bias [2]float32
	if err := binary.Read(h.Data(r, h.Tensors[0]), binary.LittleEndian, &bias); err != nil {
		panic(err)
	}
	fmt.Println(bias)
	// Output:
	// bias F32 [2] 8 bytes
	// scale F16 [] 2 bytes
	// [0.5 -1]
}
