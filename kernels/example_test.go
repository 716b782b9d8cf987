package kernels_test

import (
	"fmt"
	"log"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

func ExampleEngine_Gemm() {
	engine, err := kernels.New(kernels.Config{Threads: 2})
	if err != nil {
		log.Fatal(err)
	}
	a := make([]fp16.Float16, 6)
	b := make([]fp16.Float16, 6)
	fp16.Narrow(a, []float32{1, 2, 3, 4, 5, 6})
	fp16.Narrow(b, []float32{1, 0, 2, 0, 1, 2})
	c := make([]float32, 4)
	engine.Gemm(kernels.GemmArgs{
		A: tensor.MatrixF16(a, 2, 3),
		B: tensor.MatrixF16(b, 2, 3).T(), // stored 2×3, used as 3×2
		C: tensor.MatrixF32(c, 2, 2),
	})
	fmt.Println(c)
	// Output: [7 8 16 17]
}
