package data

import (
	"fmt"
	"math"
	"slices"

	"github.com/halfgrad/halfgrad/tensor"
)

// MeanStd returns the mean of each value of the first input over all samples of ds, and
// the population standard deviation. [Images] have a faster way of their own.
//
// It computes in float64, in the order of the samples (B. P. Welford, "Note on a Method
// for Calculating Corrected Sums of Squares and Products", 1962), so that the bits are the
// same on every machine and a value that is always the same has a deviation of exactly 0.
// The error is [ErrEmpty]; a [*SampleError] if ds fails or a value is not finite; or it
// says that the input is not of numbers.
func MeanStd(ds Dataset) (mean, std []float32, err error) {
	input := ds.Inputs()[0]
	switch {
	case input.DType != tensor.F32:
		return nil, nil, fmt.Errorf("data: MeanStd of the input %q of %v: want numbers", input.Name, input.DType)
	case ds.Len() < 1:
		return nil, nil, ErrEmpty
	}
	size := input.Size()
	means, squares := make([]float64, size), make([]float64, size)
	sample := NewSample(ds)
	for i := range ds.Len() {
		if err := ds.Sample(i, sample); err != nil {
			return nil, nil, &SampleError{i, err}
		}
		for j, v := range sample.Inputs[0].F32() {
			if v-v != 0 {
				return nil, nil, &SampleError{i, input.wrong("input", j, v)}
			}
			x := float64(v)
			before := x - means[j]
			means[j] += before / float64(i+1)
			squares[j] += float64(before * (x - means[j]))
		}
	}
	mean, std = make([]float32, size), make([]float32, size)
	for j := range size {
		mean[j], std[j] = float32(means[j]), float32(math.Sqrt(squares[j]/float64(ds.Len())))
	}
	return mean, std, nil
}

// Standardize returns ds with (x − mean) / std for each value x of the first input,
// computed in float64 and rounded to float32 once. mean and std have an element for each
// value of the input, as from [MeanStd] of the training part, which also serves for the
// others. A std of 0, that of a value that is always the same, counts as 1.
//
// Standardize panics if the lengths are others, if mean or std is not finite, or if std
// is negative. The result is no [Bytes].
func Standardize(ds Dataset, mean, std []float32) Dataset {
	input := ds.Inputs()[0]
	if n := input.Size(); input.DType != tensor.F32 || len(mean) != n || len(std) != n {
		panic(fmt.Sprintf("data: Standardize: %d means and %d stds for the input %q of %d values of %v", len(mean), len(std), input.Name, n, input.DType))
	}
	s := &standardizedValues{ds, slices.Clone(mean), slices.Clone(std)}
	for j := range s.std {
		if x := float64(mean[j]) + float64(std[j]); x-x != 0 || std[j] < 0 {
			panic(fmt.Sprintf("data: Standardize: mean %v and std %v at %d cannot be", mean[j], std[j], j))
		}
		if s.std[j] == 0 {
			s.std[j] = 1
		}
	}
	return s
}

type standardizedValues struct {
	Dataset
	mean, std []float32
}

func (s *standardizedValues) Sample(i int, to *Sample) error {
	if err := s.Dataset.Sample(i, to); err != nil {
		return err
	}
	x := to.Inputs[0].F32()
	for j, v := range x {
		x[j] = float32((float64(v) - float64(s.mean[j])) / float64(s.std[j]))
	}
	return nil
}
