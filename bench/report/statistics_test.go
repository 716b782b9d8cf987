package report

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

// counting returns 1 … n, not in order.
func counting(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = float64((i*7+3)%n + 1) // 7 divides none of the n that are used
	}
	return values
}

// The true median lies between the l-th and the h-th of n samples with a probability of
// P(l ≤ X < h), X binomial with n and ½ (David and Nagaraja, "Order Statistics", 7.1):
// of 11 samples between the second and the ninth with 1969/2¹¹. No interval of one
// sample less would do.
func TestSummary(t *testing.T) {
	for _, test := range []struct {
		n              int
		median, lo, hi float64
	}{{6, 3.5, 1, 6}, {11, 6, 2, 9}, {15, 8, 4, 12}, {20, 10.5, 6, 15}} {
		b := Benchmark{Samples: counting(test.n)}
		before := slices.Clone(b.Samples)
		s := b.Summary()
		if s.Center != test.median || s.Lo != test.lo || s.Hi != test.hi || !near(s.Confidence, covers(test.n, test.lo, test.hi)) || s.Confidence < Confidence {
			t.Errorf("of 1 … %d: %g (%g to %g) at %g, want %+v at %g", test.n, s.Center, s.Lo, s.Hi, s.Confidence, test, covers(test.n, test.lo, test.hi))
		}
		if covers(test.n, test.lo+1, test.hi) >= Confidence || covers(test.n, test.lo, test.hi-1) >= Confidence {
			t.Errorf("of %d samples fewer would do", test.n)
		}
		if diff := cmp.Diff(before, b.Samples); diff != "" {
			t.Errorf("the samples are sorted:\n%s", diff)
		}
	}
	if s := (&Benchmark{Samples: counting(5)}).Summary(); s.Center != 3 || !math.IsInf(s.Hi-s.Lo, 1) || len(s.Warnings) == 0 {
		t.Errorf("of five samples %+v, want an infinite interval and a warning", s)
	}
}

// covers returns P(lo ≤ X < hi).
func covers(n int, lo, hi float64) float64 {
	p, choose := 0.0, 1.0
	for i := range n + 1 {
		if x := float64(i); lo <= x && x < hi {
			p += choose
		}
		choose *= float64(n-i) / float64(i+1)
	}
	return p / math.Exp2(float64(n))
}

func TestRates(t *testing.T) {
	r := sampleReport()
	rate := func(i int) (float64, string) {
		s, unit, _ := r.Benchmarks[i].Rate()
		return s.Center, unit
	}
	// 2e6 flop in 25 and 33.3 µs are 80 and 60 GFLOPS; 8000 bytes in 100 and 200 ns.
	for i, want := range []struct {
		rate float64
		unit string
	}{{100.625, GFLOPS}, {70, GFLOPS}, {60, "GB/s"}, {0, ""}} {
		if got, unit := rate(i); !near(got, want.rate) || unit != want.unit {
			t.Errorf("%s: %g %s, want %+v", r.Benchmarks[i].Name, got, unit, want)
		}
	}
	share, ok := r.Benchmarks[1].Share() // 80 of 100 and 60 of 120
	if !ok || !near(share.Center, 0.65) {
		t.Errorf("a share of %g, %v, want 0.65", share.Center, ok)
	}
	for _, i := range []int{0, 2, 3} {
		if s, ok := r.Benchmarks[i].Share(); ok {
			t.Errorf("%s: a share of %g, want none", r.Benchmarks[i].Name, s.Center)
		}
	}
	images, ok := r.Benchmarks[3].Images() // 16 in 8 and in 4 ms
	if !ok || !near(images.Center, 3000) {
		t.Errorf("%g images/s, %v, want 3000", images.Center, ok)
	}
	if _, ok := r.Benchmarks[1].Images(); ok {
		t.Error("images of a product")
	}
}

func TestNoise(t *testing.T) {
	// Of 11 samples the interval is from the second to the ninth; the second and the tenth
	// are the 10th and the 90th percentile.
	samples := func(second, ninth, tenth float64) []float64 {
		return []float64{100, tenth, 100, 100, 500, ninth, 100, 100, 1, second, 100}
	}
	steady := samples(100, 100, 100)
	for _, test := range []struct {
		name          string
		samples, peak []float64
		want          string // in the text
	}{
		{"steady", steady, steady, ""},
		{"a bit", samples(95.1, 104.9, 400), samples(95.1, 104.9, 104.9), ""},
		{"no peak", steady, nil, ""},
		{"slow", samples(100, 106, 106), steady, "±6 %"},
		{"fast", samples(93, 100, 100), steady, "±7 %"},
		{"the peak", steady, samples(90, 100, 102), "the peak varied by 12 %"},
		{"few", []float64{100, 100, 100, 100, 100}, nil, "5 samples"},
	} {
		b := Benchmark{Samples: test.samples, Peak: test.peak}
		if got := b.Noise(); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// Four samples that are all smaller than four others happen by chance in two of the
// C(8, 4) = 70 ways to share them out.
func TestCompare(t *testing.T) {
	product := func(ns ...float64) *Benchmark {
		return &Benchmark{Name: "Gemm", Unit: Nanoseconds, Work: &Work{1000, FLOP}, Samples: ns}
	}
	slow, fast := product(40, 38, 42, 44), product(10, 9, 11, 12)
	ratio, c, err := Compare(slow, fast)
	want := (1000.0/11 + 1000.0/10) / (1000.0/42 + 1000.0/40)
	if err != nil || !near(ratio, want) || !near(c.P, 2.0/70) || c.P >= c.Alpha || c.N1 != 4 || c.N2 != 4 {
		t.Errorf("ratio %g, %+v, %v, want %g and p = %g", ratio, c, err, want, 2.0/70)
	}
	if ratio, c, err := Compare(slow, slow); err != nil || ratio != 1 || c.P < 0.9 {
		t.Errorf("with itself: ratio %g, %+v, %v", ratio, c, err)
	}
	slow.Work, fast.Work = nil, nil
	if ratio, c, err = Compare(slow, fast); err != nil || !near(ratio, 41/10.5) || !near(c.P, 2.0/70) {
		t.Errorf("times: ratio %g, %+v, %v, want %g", ratio, c, err, 41/10.5)
	}
	if _, _, err := Compare(slow, product(1)); err == nil || !strings.Contains(err.Error(), "want one unit") {
		t.Errorf("of two units: error %v", err)
	}
}
