package nn

import (
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/portable"
	"github.com/halfgrad/halfgrad/tensor"
)

// CrossEntropy is the softmax cross-entropy loss of a batch: the mean over its
// samples of −Σ tⱼ·ln softmax(logits)ⱼ, where the target t is 1 at the label and 0
// elsewhere. It is computed in fp32. The largest logit of each row is subtracted first, so
// that no exponential overflows.
type CrossEntropy struct {
	// Smoothing is the part of the target, in [0, 1), that Loss spreads evenly over all
	// classes, the label's included (Szegedy et al., "Rethinking the Inception
	// Architecture for Computer Vision", CVPR 2016, section 7; as in PyTorch's
	// CrossEntropyLoss). Evaluate does not smooth.
	Smoothing float32

	dlogits tensor.Tensor
	rows    []float32 // the logits, then their exponentials, then the gradient
}

// Loss returns the mean loss, unscaled, and its gradient by the logits, times scale and in
// the type of the logits. The gradient belongs to c and is valid until the next call.
// logits is [batch, classes]. Loss panics unless there is one label a row, each in
// [0, classes).
//
// With p the softmax of a row and t its target, the gradient is (p − t)·scale/batch.
// A large scale can make it overflow fp16 to an infinity, which dynamic loss scaling
// detects.
func (c *CrossEntropy) Loss(logits *tensor.Tensor, labels []int, scale float32) (loss float64, dlogits *tensor.Tensor) {
	m := logits.Matrix()
	checkLabels(m, labels)
	c.dlogits.Resize(logits.DType(), m.Rows, m.Cols)
	g := c.dlogits.Matrix()
	c.rows = grow(c.rows, m.Rows*m.Cols)
	whole(m).LoadRow(c.rows, 0)
	factor := scale / float32(m.Rows)
	spread := c.Smoothing / float32(m.Cols)
	peak := 1 - c.Smoothing + spread
	for i, label := range labels {
		row := c.rows[i*m.Cols : (i+1)*m.Cols]
		rowLoss, sum := softmax(row, label, c.Smoothing)
		loss += float64(rowLoss)
		for j, e := range row {
			target := spread
			if j == label {
				target = peak
			}
			row[j] = float32((e/sum - target) * factor)
		}
	}
	whole(g).StoreRow(c.rows, 0)
	return loss / float64(m.Rows), &c.dlogits
}

// Evaluate returns the sum of the losses over the rows of logits, and the number of
// rows whose largest logit is at the label. It panics like Loss.
func (c *CrossEntropy) Evaluate(logits *tensor.Tensor, labels []int) (lossSum float64, correct int) {
	m := logits.Matrix()
	checkLabels(m, labels)
	c.rows = grow(c.rows, m.Rows*m.Cols)
	whole(m).LoadRow(c.rows, 0)
	for i, label := range labels {
		row := c.rows[i*m.Cols : (i+1)*m.Cols]
		if Argmax(row) == label {
			correct++
		}
		rowLoss, _ := softmax(row, label, 0)
		lossSum += float64(rowLoss)
	}
	return lossSum, correct
}

// whole returns a tensor's matrix as a single row.
func whole(m tensor.Matrix) tensor.Matrix {
	m.Rows, m.Cols = 1, m.Rows*m.Cols
	return m
}

func checkLabels(logits tensor.Matrix, labels []int) {
	if len(labels) != logits.Rows {
		panic(fmt.Sprintf("nn: CrossEntropy: %d labels for %d rows of logits", len(labels), logits.Rows))
	}
	for i, label := range labels {
		if label < 0 || label >= logits.Cols {
			panic(fmt.Sprintf("nn: CrossEntropy: label %d of row %d is not in [0, %d)", label, i, logits.Cols))
		}
	}
}

// softmax replaces row by exp(row − max). It returns the sum of that, which is at least 1,
// and the loss ln(sum) − Σ tⱼ·(rowⱼ − max). Sums add in ascending order.
func softmax(row []float32, label int, smoothing float32) (loss, sum float32) {
	top := row[Argmax(row)]
	shifted := row[label] - top
	if smoothing != 0 {
		all := float32(0)
		for _, x := range row {
			all += x - top
		}
		shifted = float32((1-smoothing)*shifted) + float32(smoothing/float32(len(row))*all)
	}
	for j, x := range row {
		row[j] = portable.Exp(x - top)
		sum += row[j]
	}
	return portable.Log(sum) - shifted, sum
}

// Argmax returns the index of the first NaN or, if there is none, of the largest value, the
// first of equal ones. It returns −1 for an empty slice.
func Argmax(values []float32) int {
	best, top := -1, float32(math.Inf(-1))
	for i, v := range values {
		if v != v {
			return i
		}
		if best < 0 || v > top {
			best, top = i, v
		}
	}
	return best
}
