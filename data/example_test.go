package data_test

import (
	"fmt"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/tensor"
)

// parity is a data set made up on the spot: the bits of a number, labelled by
// whether an odd number of them is set.
type parity struct{ bits int }

func (p parity) Len() int      { return 1 << p.bits }
func (p parity) Features() int { return p.bits }
func (p parity) Classes() int  { return 2 }

func (p parity) Sample(dst []float32, i int) (label int, err error) {
	for b := range dst {
		bit := i >> b & 1
		dst[b] = float32(bit)
		label ^= bit
	}
	return label, nil
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
		fmt.Println(batch.X.Shape(), "labels", len(batch.Labels))
	}
	if err := loader.Err(); err != nil {
		fmt.Println(err)
	}
	fmt.Println("held out", validation.Len())
	// Output:
	// [2 3] labels 2
	// [2 3] labels 2
	// [1 3] labels 1
	// held out 3
}
