package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"

	"github.com/halfgrad/halfgrad/tensor"
)

// Images is a labelled set of images of one size, as raw bytes.
type Images struct {
	N, H, W int
	C       int      // channels of a pixel: 1 for grey, 3 for red, green and blue; 0 counts as 1
	Classes int      // labels are in [0, Classes)
	Pixels  []byte   // [N, H, W, C]: row after row, image after image; 0 to 255
	Labels  []int32  // [N]
	Names   []string // [Classes]: the names of the classes; nil if they have none
	Files   []string // [N]: the files that the images are from; nil if they had none of their own
}

// MaxClasses is the largest number of classes that [NewImages] accepts. It bounds the
// network that a damaged file of labels could ask for.
const MaxClasses = 1 << 16

// NewImages makes labelled images of the two arrays that an IDX folder keeps in two
// files: pixels, unsigned bytes of the shape [N, H, W], and labels, integers of the
// shape [N]. The result shares the memory of the pixels.
//
// Labels are in [0, classes). If classes is 0, the labels tell the number of classes:
// the largest label plus 1, at most [MaxClasses].
//
// The error is a [*FormatError] that names pixelsName or labelsName as its file. It
// reports arrays of another shape or type, counts that differ, no images at all, and
// labels out of range.
func NewImages(pixels *IDX, pixelsName string, labels *IDX, labelsName string, classes int) (*Images, error) {
	if pixels.Type.bytes() != 1 || pixels.Type == Int8 {
		return nil, &FormatError{File: pixelsName, Found: "elements of type " + pixels.Type.String(), Want: "uint8 (0x08)"}
	}
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
	all := make([]int32, labels.Dims[0])
	most := int32(0)
	limit := classes
	if classes == 0 {
		limit = MaxClasses
	}
	for i := range all {
		all[i] = labels.at(i)
		most = max(most, all[i])
		if all[i] < 0 || int(all[i]) >= limit {
			return nil, &FormatError{File: labelsName, Found: fmt.Sprintf("the label %d at index %d", all[i], i),
				Want: fmt.Sprintf("labels from 0 to %d", limit-1)}
		}
	}
	if classes == 0 {
		classes = int(most) + 1
	}
	return &Images{
		N: pixels.Dims[0], H: pixels.Dims[1], W: pixels.Dims[2], Classes: classes,
		Pixels: pixels.Data, Labels: all,
	}, nil
}

// SHA256 returns a digest of the images and their labels, in hexadecimal: the SHA-256
// of N, H, W and, if it is more than 1, C, as big-endian uint32, the pixels, and the
// labels as big-endian int32. The number of classes and all names are not part of it.
func (im *Images) SHA256() string {
	hash := sha256.New()
	var b []byte
	head := []int{im.N, im.H, im.W}
	if im.C > 1 {
		head = append(head, im.C)
	}
	for _, n := range head {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	hash.Write(b)
	hash.Write(im.Pixels)
	b = b[:0]
	for _, label := range im.Labels {
		b = binary.BigEndian.AppendUint32(b, uint32(label))
	}
	hash.Write(b)
	return hex.EncodeToString(hash.Sum(nil))
}

// channels returns the number of bytes of a pixel.
func (im *Images) channels() int { return max(im.C, 1) }

// MeanStd returns the mean of all pixels and their population standard deviation, on
// the scale where black is 0 and white is 1. For MNIST's training images these are the
// familiar 0.1307 and 0.3081. Of pixels in colours it takes all channels together.
//
// The bits are the same on every machine: the sums are exact integers, and one
// rounding, one square root and two divisions follow. Images of a single colour have a
// standard deviation of exactly 0. Without pixels, both results are 0.
func (im *Images) MeanStd() (mean, std float32) { return meanStd(im.Pixels, 0, 1) }

// ChannelMeanStd is [Images.MeanStd] of each channel.
func (im *Images) ChannelMeanStd() (mean, std []float32) {
	c := im.channels()
	mean, std = make([]float32, c), make([]float32, c)
	for k := range c {
		mean[k], std[k] = meanStd(im.Pixels, k, c)
	}
	return mean, std
}

// meanStd measures every step-th pixel value from the given one on.
func meanStd(pixels []byte, from, step int) (mean, std float32) {
	var histogram [256]uint64
	for i := from; i < len(pixels); i += step {
		histogram[pixels[i]]++
	}
	var n, sum, squares uint64
	for v, count := range histogram {
		n += count
		sum += count * uint64(v)
		squares += count * uint64(v) * uint64(v)
	}
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

// Standardized returns the images as a [Bytes] with one input, the [H·W·C] values of
// "image", and one target, "label". [Reshape] gives the input its rows, columns and
// channels. Pixel value p stands for (p/255 − mean) / std, computed in float64 and rounded
// to float32 once. Use the mean and std of the training images for the test images too.
//
// A std of 0, that of images of a single colour, counts as 1. Standardized panics if
// mean or std is not finite, if std is negative, or if the lengths of Pixels and Labels
// do not fit N, H, W and C.
func (im *Images) Standardized(mean, std float32) Bytes {
	return im.StandardizedChannels([]float32{mean}, []float32{std})
}

// StandardizedChannels is [Images.Standardized] with a mean and a std for each channel.
func (im *Images) StandardizedChannels(mean, std []float32) Bytes {
	c := im.channels()
	if len(mean) != len(std) || len(mean) != c && len(mean) != 1 {
		panic(fmt.Sprintf("data: Standardized: %d means and %d stds for %d channels", len(mean), len(std), c))
	}
	size := im.H * im.W * c
	if len(im.Labels) != im.N || len(im.Pixels) != im.N*size {
		panic(fmt.Sprintf("data: Standardized: %d bytes of pixels and %d labels for %d images of %d×%d×%d",
			len(im.Pixels), len(im.Labels), im.N, im.H, im.W, c))
	}
	ds := &standardized{
		images: im, size: size, values: make([][256]float32, len(mean)),
		inputs: []Field{Numbers("image", size)}, targets: []Field{Classes("label", im.Classes)},
	}
	for k := range mean {
		mean, std := float64(mean[k]), float64(std[k])
		if x := mean + std; x-x != 0 || std < 0 {
			panic(fmt.Sprintf("data: Standardized: mean %v and std %v cannot be", mean, std))
		}
		if std == 0 {
			std = 1
		}
		for p := range ds.values[k] {
			ds.values[k][p] = float32((float64(p)/255 - mean) / std)
		}
	}
	return ds
}

// standardized is what Images.Standardized returns.
type standardized struct {
	images          *Images
	size            int            // bytes of an image
	values          [][256]float32 // the standardised value of each pixel value; one table for all channels, or one for each
	inputs, targets []Field
}

func (ds *standardized) Len() int         { return ds.images.N }
func (ds *standardized) Inputs() []Field  { return ds.inputs }
func (ds *standardized) Targets() []Field { return ds.targets }

func (ds *standardized) Sample(i int, to *Sample) error {
	pixels, _ := ds.Raw(i, to.Targets)
	x := to.Inputs[0].F32()
	if len(ds.values) == 1 {
		value := &ds.values[0]
		x = x[:len(pixels)] // spares the loop a bounds check
		for j, p := range pixels {
			x[j] = value[p]
		}
		return nil
	}
	for j, p := range pixels {
		x[j] = ds.values[j%len(ds.values)][p]
	}
	return nil
}

func (ds *standardized) Raw(i int, targets []tensor.Elements) ([]byte, error) {
	targets[0].I32()[0] = ds.images.Labels[i]
	return ds.images.Pixels[i*ds.size : (i+1)*ds.size], nil
}

func (ds *standardized) Values() [][256]float32 { return ds.values }
