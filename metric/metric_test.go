package metric_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/metric"
	"github.com/halfgrad/halfgrad/tensor"
)

var nan = float32(math.NaN())

// batch returns outputs and targets of the given shapes.
func batch[T tensor.Element](out []float32, outShape []int, target []T, shape []int) *metric.Batch {
	return &metric.Batch{
		Outputs: []*tensor.Tensor{tensor.FromF32(out, outShape...)},
		Targets: []*tensor.Tensor{tensor.FromElements(tensor.Of(target), shape...)},
	}
}

// The values are worked out by hand from the definitions. Each case is added as one batch
// and then, after a Reset, again.
func TestValues(t *testing.T) {
	// The largest outputs are of the classes 0, 1, 1, 2 (the first of two), none, and 2.
	classes := batch(
		[]float32{3, 1, 2, 0 /**/, 0, 5, 4, 1 /**/, 1, 2, 0, 0 /**/, 0, 0, 7, 7 /**/, nan, 1, 2, 3 /**/, 0, 0, 9, 0}, []int{6, 4},
		[]int32{0, 2, 1, 3, 0, -1}, []int{6})
	binary := []float32{0.5, -2, 0, 3, nan, 1}
	numbers := batch([]float32{1, 2, 3, 5}, []int{4, 1}, []float32{1, 4, 3, 4}, []int{4})
	tests := []struct {
		metric metric.Metric
		name   string
		higher bool
		batch  *metric.Batch
		want   float64
	}{
		{new(metric.Accuracy), "accuracy", true, classes, 2.0 / 5},
		{&metric.TopK{K: 1}, "top1_accuracy", true, classes, 2.0 / 5},
		{&metric.TopK{K: 2}, "top2_accuracy", true, classes, 4.0 / 5}, // not the one with a NaN
		{&metric.TopK{K: 9}, "top9_accuracy", true, classes, 4.0 / 5},
		// TP, FP, FN: 1, 0, 1; 1, 1, 0; 0, 1, 1; 0, 0, 1
		{new(metric.F1), "f1_macro", true, classes, (2.0/3 + 2.0/3 + 0 + 0) / 4},
		{&metric.F1{Micro: true}, "f1_micro", true, classes, 4.0 / (4 + 2 + 3)},
		{new(metric.Confusion), "confusion", true, classes, 2.0 / 5},
		{new(metric.BinaryAccuracy), "binary_accuracy", true, batch(binary, []int{6}, []int32{1, 0, 0, 0, 1, -1}, []int{6, 1}), 3.0 / 5},
		{new(metric.BinaryAccuracy), "binary_accuracy", true, batch(binary, []int{3, 2}, []float32{0.9, 0, 0.5, 0.4, 0, 1}, []int{3, 2}), 4.0 / 6},
		{new(metric.RMSE), "rmse", false, numbers, math.Sqrt(5.0 / 4)},
		{new(metric.MeanAbsoluteError), "mae", false, numbers, 3.0 / 4},
		{new(metric.R2), "r2", true, numbers, 1 - 5.0/6},                                             // the mean is 3
		{new(metric.R2), "r2", true, batch([]float32{2, 2}, []int{2}, []float32{2, 2}, []int{2}), 1}, // no deviation, no error
		{new(metric.R2), "r2", true, batch([]float32{2, 3}, []int{2}, []float32{2, 2}, []int{2}), 0}, // no deviation
		{new(metric.R2), "r2", true, batch([]float32{1, 5, 3, 7}, []int{2, 2}, []float32{1, 5, 3, 9}, []int{2, 2}), // a mean of two values
			(1 + (1 - 4.0/8)) / 2},
		{new(metric.Perplexity), "perplexity", false, &metric.Batch{LossSum: 6 * math.Log(8), LossWeight: 3}, 64},
	}
	for _, test := range tests {
		m := test.metric
		if m.Name() != test.name || m.HigherIsBetter() != test.higher {
			t.Errorf("%T: %q, higher is better: %v", m, m.Name(), m.HigherIsBetter())
		}
		if v := m.Value(); v == v {
			t.Errorf("%s: %v of nothing, want NaN", test.name, v)
		}
		for range 2 {
			if err := m.Add(test.batch); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			if v := m.Value(); math.Abs(v-test.want) > 1e-14*math.Abs(test.want) {
				t.Errorf("%s: %v, want %v", test.name, v, test.want)
			}
			m.Reset()
			if v := m.Value(); v == v {
				t.Errorf("%s: %v after Reset, want NaN", test.name, v)
			}
		}
	}
}

// Metrics of classes against naive code, over several batches of [n, 5, 7] in each type of
// outputs. Few distinct values make many equal outputs.
func TestClassesAgainstNaiveCode(t *testing.T) {
	const steps, classes = 5, 7
	rng := rand.New(rand.NewPCG(1, 2))
	accuracy, top3, macro, micro, confusion := new(metric.Accuracy), &metric.TopK{K: 3}, new(metric.F1), &metric.F1{Micro: true}, metric.NewConfusion(classes)
	all := []metric.Metric{accuracy, top3, macro, micro, confusion}
	var rows [][]float32
	var labels []int
	for _, dtype := range []tensor.DType{tensor.F16, tensor.BF16, tensor.F32, tensor.F32} {
		n := 1 + rng.IntN(6)
		out, target := tensor.New(dtype, n, steps, classes), tensor.New(tensor.I32, n, steps)
		for i := range target.I32() {
			row := make([]float32, classes)
			for k := range row {
				row[k] = float32(rng.IntN(4) - 2)
			}
			if rng.IntN(5) == 0 {
				row[rng.IntN(classes)] = nan
			}
			out.Elements().Slice(i*classes, (i+1)*classes).Store(row)
			target.I32()[i] = int32(rng.IntN(classes+1) - 1)
			if label := int(target.I32()[i]); label >= 0 {
				rows, labels = append(rows, row), append(labels, label)
			}
		}
		for _, m := range all {
			if err := m.Add(&metric.Batch{Outputs: []*tensor.Tensor{out}, Targets: []*tensor.Tensor{target}}); err != nil {
				t.Fatal(err)
			}
		}
	}

	var top, inTop3 []int // the predicted classes; 1 or 0
	for i, row := range rows {
		order := []int{0, 1, 2, 3, 4, 5, 6}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
		if slices.ContainsFunc(row, func(x float32) bool { return x != x }) {
			order = []int{-1, -1, -1}
		}
		top, inTop3 = append(top, order[0]), append(inTop3, 0)
		if slices.Contains(order[:3], labels[i]) {
			inTop3[i] = 1
		}
	}
	count := func(f func(i int) bool) (n float64) {
		for i := range rows {
			if f(i) {
				n++
			}
		}
		return n
	}
	n := float64(len(rows))
	var f1, tps, fps, fns, present float64
	for k := range classes {
		tp := count(func(i int) bool { return labels[i] == k && top[i] == k })
		fp := count(func(i int) bool { return labels[i] != k && top[i] == k })
		fn := count(func(i int) bool { return labels[i] == k && top[i] != k })
		tps, fps, fns = tps+tp, fps+fp, fns+fn
		if tp+fp+fn > 0 {
			present++
		}
		if tp > 0 {
			precision, recall := tp/(tp+fp), tp/(tp+fn)
			f1 += 2 * precision * recall / (precision + recall)
		}
	}
	right := count(func(i int) bool { return labels[i] == top[i] })
	want := []float64{right / n, count(func(i int) bool { return inTop3[i] == 1 }) / n, f1 / present, 2 * tps / (2*tps + fps + fns), right / n}
	for i, m := range all {
		if math.Abs(m.Value()-want[i]) > 1e-12 {
			t.Errorf("%s: %v, want %v", m.Name(), m.Value(), want[i])
		}
	}
	if accuracy.Samples != len(rows) || accuracy.Correct != int(right) {
		t.Errorf("%d of %d right, want %v of %d", accuracy.Correct, accuracy.Samples, right, len(rows))
	}
	unpredicted := 0
	for k, row := range confusion.Matrix() {
		unpredicted += confusion.Counts[metric.Outcome{Label: k, Class: -1}]
		for j, samples := range row {
			if naive := count(func(i int) bool { return labels[i] == k && top[i] == j }); float64(samples) != naive {
				t.Errorf("confusion of %d and %d: %d, want %v", k, j, samples, naive)
			}
		}
	}
	if naive := count(func(i int) bool { return top[i] == -1 }); naive == 0 || float64(unpredicted) != naive {
		t.Errorf("%d without a prediction, want %v", unpredicted, naive)
	}
}

// Metrics of numbers against two passes over all values, in batches of different sizes. The
// targets lie far from 0, where sums of squares would cancel.
func TestNumbersAgainstNaiveCode(t *testing.T) {
	const columns = 3
	rng := rand.New(rand.NewPCG(3, 4))
	rmse, mae, r2 := new(metric.RMSE), new(metric.MeanAbsoluteError), new(metric.R2)
	var out, target []float32
	for _, n := range []int{4, 1, 9} {
		y, want := make([]float32, n*columns), make([]float32, n*columns)
		for i := range y {
			want[i] = 1000 + float32(rng.NormFloat64())
			y[i] = want[i] + 0.5*float32(rng.NormFloat64())
		}
		out, target = append(out, y...), append(target, want...)
		for _, m := range []metric.Metric{rmse, mae, r2} {
			if err := m.Add(batch(y, []int{n, columns}, want, []int{n, columns})); err != nil {
				t.Fatal(err)
			}
		}
	}
	n := float64(len(out) / columns)
	var squares, sizes, determined float64
	for k := range columns {
		var mean, errors, deviations float64
		for i := k; i < len(out); i += columns {
			mean += float64(target[i]) / n
		}
		for i := k; i < len(out); i += columns {
			d := float64(out[i]) - float64(target[i])
			errors += d * d
			sizes += math.Abs(d)
			deviations += math.Pow(float64(target[i])-mean, 2)
		}
		squares += errors
		determined += (1 - errors/deviations) / columns
	}
	for _, test := range []struct {
		metric metric.Metric
		want   float64
	}{{rmse, math.Sqrt(squares / n / columns)}, {mae, sizes / n / columns}, {r2, determined}} {
		if v := test.metric.Value(); math.Abs(v-test.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", test.metric.Name(), v, test.want)
		}
	}
}

// What does not fit is an error that names it, and changes nothing.
func TestErrors(t *testing.T) {
	ofClasses := []metric.Metric{new(metric.Accuracy), &metric.TopK{K: 2}, new(metric.F1), new(metric.Confusion)}
	ofNumbers := []metric.Metric{new(metric.RMSE), new(metric.MeanAbsoluteError), new(metric.R2)}
	binary := []metric.Metric{new(metric.BinaryAccuracy)}
	six, four := make([]float32, 6), make([]float32, 4)
	tests := []struct {
		metrics []metric.Metric
		batch   *metric.Batch
		want    []string
	}{
		{slices.Concat(ofClasses, ofNumbers, binary), new(metric.Batch), []string{"0 outputs and 0 targets"}},
		{slices.Concat(ofNumbers, binary), batch(six, []int{2, 3}, six, []int{3, 2}), []string{"[2 3]", "[3 2]"}},
		{ofClasses, batch(six, []int{2, 3}, make([]int32, 3), []int{3}), []string{"[2 3]", "[3]", "[n, …, classes]"}},
		{ofClasses, batch(six, []int{6}, make([]int32, 6), []int{6}), []string{"[6]"}},
		{ofClasses, batch(four, []int{2, 2}, four, []int{2, 2}), []string{"[2 2]", "fp32"}},
		{ofClasses, batch(four, []int{2, 2}, []int32{0, 2}, []int{2}), []string{"target 1 is of class 2", "from 0 to 1"}},
		{ofClasses, batch(four, []int{2, 2}, []int32{0, -2}, []int{2}), []string{"target 1 is of class -2"}},
		{binary, batch(four, []int{4}, []int32{0, 1, 2, 0}, []int{4}), []string{"target 2 is of class 2"}},
		{ofNumbers, batch(four, []int{4}, []int32{0, 1, 2, 0}, []int{4}), []string{"int32", "want fp32"}},
	}
	for _, test := range tests {
		for _, m := range test.metrics {
			err := m.Add(test.batch)
			if err == nil {
				t.Errorf("%s: no error, want one with %q", m.Name(), test.want)
				continue
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %q, want one line with %q", m.Name(), err, part)
				}
			}
			if v := m.Value(); v == v {
				t.Errorf("%s: %v after an error, want NaN", m.Name(), v)
			}
		}
	}
	confusion := metric.NewConfusion(3)
	if err := confusion.Add(batch(four, []int{2, 2}, []int32{0, 1}, []int{2})); err == nil || !strings.Contains(err.Error(), "want 3 classes") {
		t.Errorf("2 outputs after 3: %v", err)
	}
	r2 := new(metric.R2)
	if err := r2.Add(batch(four, []int{2, 2}, four, []int{2, 2})); err != nil {
		t.Fatal(err)
	}
	if err := r2.Add(batch(six, []int{2, 3}, six, []int{2, 3})); err == nil || !strings.Contains(err.Error(), "want 2 values") {
		t.Errorf("3 values after 2: %v", err)
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	out := tensor.New(tensor.F16, 64, 10)
	labels, numbers := tensor.New(tensor.I32, 64), tensor.New(tensor.F32, 64, 10)
	bits := tensor.New(tensor.I32, 64, 10)
	for _, test := range []struct {
		target  *tensor.Tensor
		metrics []metric.Metric
	}{
		{labels, []metric.Metric{new(metric.Accuracy), &metric.TopK{K: 5}, new(metric.F1), new(metric.Confusion)}},
		{bits, []metric.Metric{new(metric.BinaryAccuracy)}},
		{numbers, []metric.Metric{new(metric.RMSE), new(metric.MeanAbsoluteError), new(metric.R2), new(metric.Perplexity)}},
	} {
		b := &metric.Batch{Outputs: []*tensor.Tensor{out}, Targets: []*tensor.Tensor{test.target}, LossWeight: 64}
		for _, m := range test.metrics {
			if n := testing.AllocsPerRun(10, func() { // which calls once more before
				if err := m.Add(b); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s: %v allocations for a batch", m.Name(), n)
			}
			m.Reset()
			if n := testing.AllocsPerRun(10, func() { m.Add(b) }); n != 0 {
				t.Errorf("%s: %v allocations for a batch after Reset", m.Name(), n)
			}
		}
	}
}
