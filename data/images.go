package data

import (
	"fmt"
	"math"
	"math/big"
)

// Images is a labelled set of grey images of one size, as raw bytes.
type Images struct {
	N, H, W int
	Classes int    // labels are in [0, Classes)
	Pixels  []byte // [N, H, W]: row after row, image after image; 0 to 255
	Labels  []byte // [N]
}

// NewImages makes labelled images of the two arrays that IDX folders keep in
// two files: pixels of the shape [N, H, W] and labels of the shape [N]. The
// result shares their memory. Without an image, with counts that differ, or with a
// label that is not below classes, it returns a [*FormatError] that uses
// pixelsName or labelsName as the file's name.
func NewImages(pixels *IDX, pixelsName string, labels *IDX, labelsName string, classes int) (*Images, error) {
	if len(pixels.Dims) != 3 {
		return nil, &FormatError{File: pixelsName, Found: fmt.Sprintf("%d dimensions", len(pixels.Dims)), Want: "3: images, rows, columns"}
	}
	if len(labels.Dims) != 1 {
		return nil, &FormatError{File: labelsName, Found: fmt.Sprintf("%d dimensions", len(labels.Dims)), Want: "1: labels"}
	}
	if len(pixels.Data) == 0 {
		return nil, &FormatError{File: pixelsName, Found: fmt.Sprintf("the dimensions %v", pixels.Dims), Want: "at least one image of at least one pixel"}
	}
	if labels.Dims[0] != pixels.Dims[0] {
		return nil, &FormatError{File: labelsName, Found: fmt.Sprintf("%d labels", labels.Dims[0]),
			Want: fmt.Sprintf("%d, one for each image of %s", pixels.Dims[0], pixelsName)}
	}
	for i, label := range labels.Data {
		if int(label) >= classes {
			return nil, &FormatError{File: labelsName, Found: fmt.Sprintf("the label %d at index %d", label, i),
				Want: fmt.Sprintf("labels below %d", classes)}
		}
	}
	return &Images{
		N: pixels.Dims[0], H: pixels.Dims[1], W: pixels.Dims[2], Classes: classes,
		Pixels: pixels.Data, Labels: labels.Data,
	}, nil
}

// MeanStd returns the mean of all pixels and their standard deviation (that of
// the population), on the scale where black is 0 and white is 1. For MNIST's
// training images these are the familiar 0.1307 and 0.3081.
//
// The sums are exact integers, the variance is rounded once, and what follows
// is one square root and divisions, so the bits are the same on every machine. Images
// that are all of one colour have a standard deviation of exactly 0. Without
// pixels, both are 0.
func (im *Images) MeanStd() (mean, std float32) {
	var histogram [256]uint64
	for _, p := range im.Pixels {
		histogram[p]++
	}
	var sum, squares uint64
	for v, count := range histogram {
		sum += count * uint64(v)
		squares += count * uint64(v) * uint64(v)
	}
	n := uint64(len(im.Pixels))
	if n == 0 {
		return 0, 0
	}
	// n²·variance = n·Σp² − (Σp)², which takes more than 64 bits for MNIST.
	a := new(big.Int).Mul(new(big.Int).SetUint64(n), new(big.Int).SetUint64(squares))
	b := new(big.Int).SetUint64(sum)
	b.Mul(b, b)
	spread, _ := new(big.Float).SetInt(a.Sub(a, b)).Float64()
	scale := 255 * float64(n)
	return float32(float64(sum) / scale), float32(math.Sqrt(spread) / scale)
}

// Standardized returns the images as a [Dataset] of H·W features, [Bytes] indeed, each
// pixel p standing for (p/255 − mean) / std. The values are computed in float64
// and rounded to float32 once; there are only 256 of them. Give the test
// images the mean and std of the training images.
//
// A std of 0, which images of one colour have, counts as 1. Standardized
// panics if mean or std is not finite, if std is negative, or if the lengths
// of Pixels and Labels do not fit N, H and W.
func (im *Images) Standardized(mean, std float32) Dataset {
	if x := float64(mean) + float64(std); x-x != 0 || std < 0 {
		panic(fmt.Sprintf("data: Standardized: mean %v and std %v cannot be", mean, std))
	}
	if len(im.Labels) != im.N || len(im.Pixels) != im.N*im.H*im.W {
		panic(fmt.Sprintf("data: Standardized: %d pixels and %d labels for %d images of %d×%d",
			len(im.Pixels), len(im.Labels), im.N, im.H, im.W))
	}
	if std == 0 {
		std = 1
	}
	ds := &standardized{images: im}
	for p := range ds.value {
		ds.value[p] = float32((float64(p)/255 - float64(mean)) / float64(std))
	}
	return ds
}

// standardized is the Dataset that Images.Standardized returns.
type standardized struct {
	images *Images
	value  [256]float32 // the standardised value of each pixel value
}

func (ds *standardized) Len() int      { return ds.images.N }
func (ds *standardized) Features() int { return ds.images.H * ds.images.W }
func (ds *standardized) Classes() int  { return ds.images.Classes }

func (ds *standardized) Sample(dst []float32, i int) int {
	n := ds.Features()
	pixels := ds.images.Pixels[i*n : (i+1)*n]
	dst = dst[:len(pixels)] // spares the loop a bounds check
	for j, p := range pixels {
		dst[j] = ds.value[p]
	}
	return int(ds.images.Labels[i])
}

func (ds *standardized) Raw(i int) ([]byte, int) {
	n := ds.Features()
	return ds.images.Pixels[i*n : (i+1)*n], int(ds.images.Labels[i])
}

func (ds *standardized) Values() *[256]float32 { return &ds.value }
