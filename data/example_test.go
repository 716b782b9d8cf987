package data_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/tensor"
)

// parity is a data set made up on the spot: the bits of a number, labelled by
// whether an odd number of them is set.
type parity struct{ bits int }

func (p parity) Len() int              { return 1 << p.bits }
func (p parity) Inputs() []data.Field  { return []data.Field{data.Numbers("bits", p.bits)} }
func (p parity) Targets() []data.Field { return []data.Field{data.Classes("odd", 2)} }

func (p parity) Sample(i int, to *data.Sample) error {
	bits, odd := to.Inputs[0].F32(), to.Targets[0].I32()
	odd[0] = 0
	for b := range bits {
		bit := i >> b & 1
		bits[b] = float32(bit)
		odd[0] ^= int32(bit)
	}
	return nil
}

// A data set of one's own, dealt out in batches. No sample is dropped: the last
// batch has what is left.
func Example() {
	train, validation, err := data.Split(parity{bits: 3}, 3, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	loader, err := data.NewLoader(train, data.LoaderConfig{BatchSize: 2, DType: tensor.F16, Shuffle: true, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for batch, ok := loader.Next(); ok; batch, ok = loader.Next() {
		fmt.Println(batch.Inputs[0].Shape(), batch.Targets[0].Shape())
	}
	if err := loader.Err(); err != nil {
		fmt.Println(err)
	}
	fmt.Println("held out", validation.Len())
	// Output:
	// [2 3] [2]
	// [2 3] [2]
	// [1 3] [1]
	// held out 3
}
