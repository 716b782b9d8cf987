package metric

import (
	"fmt"
	"slices"

	"github.com/halfgrad/halfgrad/tensor"
)

// Accuracy is the share of the targets whose class has the largest output. Of equal outputs
// the first counts as the largest.
type Accuracy struct {
	Correct, Samples int // targets so far: those that are right, and all but the ignored ones
	rows             Rows
}

func (*Accuracy) Name() string         { return "accuracy" }
func (*Accuracy) HigherIsBetter() bool { return true }
func (a *Accuracy) Reset()             { a.Correct, a.Samples = 0, 0 }
func (a *Accuracy) Value() float64     { return float64(a.Correct) / float64(a.Samples) }

// Add implements [Metric].
func (a *Accuracy) Add(b *Batch) error {
	return a.rows.Each(b, func(_ int, outputs []float32, class int) {
		a.Samples++
		if largest(outputs) == class {
			a.Correct++
		}
	})
}

// TopK is the share of the targets whose class is among the K largest outputs. Of equal
// outputs the first counts as the largest. K is at least 1.
type TopK struct {
	K                int
	correct, samples int
	rows             Rows
}

// Name returns "top5_accuracy" for a K of 5.
func (t *TopK) Name() string       { return fmt.Sprintf("top%d_accuracy", t.K) }
func (*TopK) HigherIsBetter() bool { return true }
func (t *TopK) Reset()             { t.correct, t.samples = 0, 0 }
func (t *TopK) Value() float64     { return float64(t.correct) / float64(t.samples) }

// Add implements [Metric].
func (t *TopK) Add(b *Batch) error {
	return t.rows.Each(b, func(_ int, outputs []float32, class int) {
		t.samples++
		x, before := outputs[class], 0
		for j, y := range outputs {
			if y != y {
				return
			}
			if y > x || y == x && j < class {
				before++
			}
		}
		if before < t.K {
			t.correct++
		}
	})
}

// F1 is the harmonic mean of precision and recall: 2·TP / (2·TP + FP + FN), as
// [ClassMetrics] has it of one class.
//
// Without Micro it is the mean over the classes, each counting the same ("macro" in
// scikit-learn). A class that is neither a target nor predicted is left out. With Micro, TP,
// FP and FN are those of all classes together.
type F1 struct {
	Micro bool

	right, labeled, predicted []int // by class
	rows                      Rows
}

// Name returns "f1_macro" or "f1_micro".
func (f *F1) Name() string {
	if f.Micro {
		return "f1_micro"
	}
	return "f1_macro"
}

func (*F1) HigherIsBetter() bool { return true }

// Reset implements [Metric].
func (f *F1) Reset() {
	clear(f.right)
	clear(f.labeled)
	clear(f.predicted)
}

// Add implements [Metric].
func (f *F1) Add(b *Batch) error {
	return f.rows.Each(b, func(_ int, outputs []float32, class int) {
		if more := len(outputs) - len(f.right); more > 0 {
			f.right = append(f.right, make([]int, more)...)
			f.labeled = append(f.labeled, make([]int, more)...)
			f.predicted = append(f.predicted, make([]int, more)...)
		}
		f.labeled[class]++
		predicted := largest(outputs)
		if predicted >= 0 {
			f.predicted[predicted]++
		}
		if predicted == class {
			f.right[class]++
		}
	})
}

// Value implements [Metric].
func (f *F1) Value() float64 {
	mean, classes, right, marked := 0.0, 0, 0, 0
	for k, r := range f.right {
		if n := f.labeled[k] + f.predicted[k]; n > 0 { // 2·TP + FP + FN
			mean += 2 * float64(r) / float64(n)
			classes++
			right += r
			marked += n
		}
	}
	if f.Micro {
		return 2 * float64(right) / float64(marked)
	}
	return mean / float64(classes)
}

// BinaryAccuracy is the share of the targets that a logit is on the right side of: above 0
// for 1, and not for 0. Outputs and targets have the same shape. Targets are of int32, 0, 1
// or [Ignored], or of fp32, where those above 0.5 count as 1.
type BinaryAccuracy struct {
	correct, samples int
	wide             []float32
}

func (*BinaryAccuracy) Name() string         { return "binary_accuracy" }
func (*BinaryAccuracy) HigherIsBetter() bool { return true }
func (a *BinaryAccuracy) Reset()             { a.correct, a.samples = 0, 0 }
func (a *BinaryAccuracy) Value() float64     { return float64(a.correct) / float64(a.samples) }

// Add implements [Metric].
func (a *BinaryAccuracy) Add(b *Batch) error {
	out, target, err := b.first()
	if err != nil {
		return err
	}
	if !sameShape(out.Shape(), target.Shape()) || target.DType() != tensor.I32 && target.DType() != tensor.F32 {
		return misfit(out, target, "int32 or fp32 of the shape of the outputs")
	}
	if target.DType() == tensor.I32 {
		if err := checkClasses(target.I32(), 2); err != nil {
			return err
		}
	}
	count := func(logit float32, one bool) {
		a.samples++
		if logit == logit && (logit > 0) == one {
			a.correct++
		}
	}
	a.wide = widened(a.wide, out)
	switch target.DType() {
	case tensor.I32:
		for i, class := range target.I32() {
			if class != Ignored {
				count(a.wide[i], class == 1)
			}
		}
	case tensor.F32:
		for i, p := range target.F32() {
			count(a.wide[i], p > 0.5)
		}
	}
	return nil
}

// widened returns the elements of t in fp32, in buf where that is large enough.
func widened(buf []float32, t *tensor.Tensor) []float32 {
	buf = slices.Grow(buf[:0], t.Len())[:t.Len()]
	t.Elements().Load(buf)
	return buf
}
