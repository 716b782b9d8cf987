package nn

import (
	"fmt"
	"math"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/portable"
	"github.com/halfgrad/halfgrad/tensor"
)

// Loss is what training minimises: a mean over the samples of a batch, or over their
// targets. A Loss is a stateless value: several goroutines may use it.
type Loss interface {
	// Check returns an error unless the loss is sound and can be taken of such outputs and
	// targets. It says what was wanted.
	Check(outputs []Shape, targets []Target) error

	// Weight returns the divisor of the mean: the number of targets that count, or the sum
	// of their weights.
	Weight(targets []*tensor.Tensor) float64

	// Sum returns c.Sum plus the weighted losses of all rows, added one after the other.
	// Where c.DOut is not nil, it sets the gradients of the sum by the outputs, times
	// c.Factor and in the outputs' type. The outputs and targets are [rows, shape…].
	//
	// Without c.DOut the sum is that of an evaluation, which leaves out what is there for
	// training alone, such as smoothing.
	Sum(c *LossCall) float64
}

// Target describes a target of a sample.
type Target struct {
	Name    string
	Shape   Shape
	DType   tensor.DType // fp32 or int32
	Classes int          // integers are in [0, Classes), or −1 for one to ignore; 0: any
}

// LossCall is what a loss works on. It is made once and used for many batches: a loss keeps
// its memory in it.
type LossCall struct {
	Engine  *kernels.Engine
	Outputs []*tensor.Tensor
	Targets []*tensor.Tensor
	DOut    []*tensor.Tensor // by output; nil in an evaluation
	Factor  float32          // the loss scale divided by the weight of the whole batch
	Sum     float64          // of the rows before

	memory []float32
}

// Floats returns memory of n elements, of any value, that is kept for the next call.
func (c *LossCall) Floats(n int) []float32 {
	if cap(c.memory) < n {
		c.memory = make([]float32, n)
	}
	return c.memory[:n]
}

// CrossEntropy is the softmax cross-entropy between logits of […, classes] and classes of
// […]: the weighted mean of −Σ tⱼ·ln softmax(logits)ⱼ, where the target t is 1 at the class
// and 0 elsewhere. It is computed in fp32. The largest logit of each row is subtracted
// first, so that no exponential overflows. Targets of −1 are ignored. It is PyTorch's
// CrossEntropyLoss.
//
// With p the softmax of a row, its gradient by the logits is p − t. A large loss scale can
// make that overflow fp16 to an infinity, which dynamic loss scaling detects.
type CrossEntropy struct {
	// Smoothing is the part of the target, in [0, 1), that is spread evenly over all
	// classes, the target's own included (Szegedy et al., "Rethinking the Inception
	// Architecture for Computer Vision", CVPR 2016, section 7). An evaluation does not
	// smooth.
	Smoothing float32

	// Weights, where not nil, are factors of the classes, at least 0. The mean divides by
	// the sum of the targets' weights.
	Weights []float32
}

// Check implements [Loss].
func (l CrossEntropy) Check(outputs []Shape, targets []Target) error {
	if !(l.Smoothing >= 0 && l.Smoothing < 1) {
		return fmt.Errorf("nn: CrossEntropy: a smoothing of %v: want 0 or more and less than 1", l.Smoothing)
	}
	if len(outputs) != 1 || len(targets) != 1 {
		return fmt.Errorf("nn: CrossEntropy: %d outputs and %d targets: want one of each", len(outputs), len(targets))
	}
	logits, t := outputs[0], targets[0]
	if len(logits) == 0 || t.DType != tensor.I32 || t.Shape.Len() != logits.Len()/logits.Last() {
		return fmt.Errorf("nn: CrossEntropy: logits of %v and targets of %v in %v: want logits of […, classes] and classes of […] in int32", logits, t.Shape, t.DType)
	}
	if t.Classes > logits.Last() {
		return fmt.Errorf("nn: CrossEntropy: %d logits for %d classes", logits.Last(), t.Classes)
	}
	if l.Weights == nil {
		return nil
	}
	if len(l.Weights) != logits.Last() {
		return fmt.Errorf("nn: CrossEntropy: %d weights for %d classes", len(l.Weights), logits.Last())
	}
	for i, w := range l.Weights {
		if !(w >= 0 && w <= math.MaxFloat32) {
			return fmt.Errorf("nn: CrossEntropy: the weight of class %d is %v: want a finite number of at least 0", i, w)
		}
	}
	return nil
}

// Weight implements [Loss].
func (l CrossEntropy) Weight(targets []*tensor.Tensor) (sum float64) {
	for _, class := range targets[0].I32() {
		switch {
		case class < 0:
		case l.Weights != nil && int(class) < len(l.Weights): // Sum finds the others
			sum += float64(l.Weights[class])
		default:
			sum++
		}
	}
	return sum
}

// Sum implements [Loss].
func (l CrossEntropy) Sum(c *LossCall) float64 {
	logits, classes := c.Outputs[0].Matrix(), c.Targets[0].I32()
	rows := c.Floats(logits.Rows * logits.Cols)
	c.Outputs[0].Elements().Load(rows)
	smoothing := l.Smoothing
	if c.DOut == nil {
		smoothing = 0
	}
	sum := c.Sum
	for i, class := range classes {
		row := rows[i*logits.Cols : (i+1)*logits.Cols]
		if class < 0 {
			clear(row)
			continue
		}
		if int(class) >= logits.Cols {
			panic(fmt.Sprintf("nn: CrossEntropy: target %d of row %d is not in [0, %d)", class, i, logits.Cols))
		}
		sum += l.row(row, int(class), smoothing, c.Factor)
	}
	if c.DOut != nil {
		c.DOut[0].Elements().Store(rows)
	}
	return sum
}

// row returns the loss of one row of logits, and replaces it by its gradient.
func (l CrossEntropy) row(row []float32, class int, smoothing, factor float32) float64 {
	if l.Weights == nil {
		spread := smoothing / float32(len(row))
		peak := 1 - smoothing + spread
		loss, sum := softmax(row, class, smoothing)
		for j, e := range row {
			target := spread
			if j == class {
				target = peak
			}
			row[j] = float32((e/sum - target) * factor)
		}
		return float64(loss)
	}
	// The weighted target is (1−s)·w_class at the class, and s/n·w_j everywhere.
	top := row[Argmax(row)]
	spread := smoothing / float32(len(row))
	kept := float32((1 - smoothing) * l.Weights[class])
	all := kept // the sum of the weighted target
	shifted := float32(kept * (row[class] - top))
	for j, x := range row {
		w := float32(spread * l.Weights[j])
		all += w
		shifted += float32(w * (x - top))
	}
	_, sum := softmax(row, class, 0)
	for j, e := range row {
		target := float32(spread * l.Weights[j])
		if j == class {
			target += kept
		}
		row[j] = float32((float32(e/sum*all) - target) * factor)
	}
	return float64(float32(portable.Log(sum)*all) - shifted)
}

// softmax replaces row by exp(row − max). It returns the sum of that, which is at least 1,
// and the loss ln(sum) − Σ tⱼ·(rowⱼ − max). Sums add in ascending order.
func softmax(row []float32, class int, smoothing float32) (loss, sum float32) {
	top := row[Argmax(row)]
	shifted := row[class] - top
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

// Probabilities replaces a row of logits by their softmax, computed as [CrossEntropy] does.
func Probabilities(logits []float32) {
	if len(logits) == 0 {
		return
	}
	_, sum := softmax(logits, 0, 0)
	for j, e := range logits {
		logits[j] = e / sum
	}
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
