package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

func TestParseShape(t *testing.T) {
	got, err := ParseShape("128x256x784")
	if err != nil || got != (Shape{128, 256, 784}) || got.String() != "128x256x784" {
		t.Errorf("ParseShape = %v, %v", got, err)
	}
	for _, bad := range []string{"", "1x2", "1x2x3x4", "0x1x1", "-1x2x3", "1x2xk", "1x2x70000", "1 x2x3"} {
		if _, err := ParseShape(bad); err == nil {
			t.Errorf("ParseShape(%q): no error", bad)
		}
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{3: {5, 1, 3}, 2.5: {4, 1, 3, 2}, 7: {7}} {
		if got := Median(values); got != want {
			t.Errorf("median %v = %g, want %g", values, got, want)
		}
	}
}

// The figures of a result agree with each other. The test asserts no speed.
func TestGemmFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a measurement takes two seconds")
	}
	e, err := kernels.New(kernels.Config{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Gemm(context.Background(), e, Shape{32, 48, 64}, tensor.F16)
	if err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return a/b > 0.999 && a/b < 1.001 }
	switch flops := 2.0 * 32 * 48 * 64; {
	case r.M != 32 || r.N != 48 || r.K != 64 || r.Threads != 2 || r.Kernel != e.Tier() || r.DType != "fp16":
		t.Errorf("the result describes another measurement: %+v", r)
	case r.Repetitions < minRepetitions || r.BestNS > r.MedianNS || r.BestNS <= 0:
		t.Errorf("the times make no sense: %+v", r)
	case !near(r.GFLOPS, flops/r.BestNS) || !near(r.PeakRatio, r.GFLOPS/r.FMAPeakGFLOPS) || r.PeakRatioMedian <= 0:
		t.Errorf("the rates make no sense: %+v", r)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Gemm(cancelled, e, Shape{1, 1, 1}, tensor.F32); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func ExampleParseShape() {
	s, err := ParseShape("1024x10x256")
	fmt.Println(s.M, s.N, s.K, err)
	_, err = ParseShape("1024x10")
	fmt.Println(err)
	// Output:
	// 1024 10 256 <nil>
	// bench: shape "1024x10": want MxNxK with each from 1 to 65536, such as 128x256x784
}
