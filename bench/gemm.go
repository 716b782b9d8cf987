// Package bench measures how fast matrix products and training steps run, and what
// share of the machine's own limit they reach.
//
// The limit is the fp32 FMA peak of a loop that uses registers alone. It is measured in
// the same run, by turns with the product or the step, because the speed of a shared
// machine changes from one second to the next. Results give the best of many short
// repetitions spread over seconds, which is what the machine is capable of, and the
// medians.
package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/tensor"
)

// Shape is the shape of a matrix product: C (M×N) = A (M×K) · B (K×N).
type Shape struct{ M, N, K int }

// ParseShape reads a shape such as "128x256x784": M, N, K.
func ParseShape(s string) (Shape, error) {
	var d [3]int
	parts := strings.Split(s, "x")
	ok := len(parts) == 3
	for i := 0; ok && i < 3; i++ {
		v, err := strconv.Atoi(parts[i])
		ok = err == nil && 1 <= v && v <= 1<<16
		d[i] = v
	}
	if !ok {
		return Shape{}, fmt.Errorf("bench: shape %q: want MxNxK with each from 1 to 65536, such as 128x256x784", s)
	}
	return Shape{d[0], d[1], d[2]}, nil
}

// String returns the shape in the form that [ParseShape] reads.
func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.M, s.N, s.K) }

// FLOPs returns the floating-point operations of the product.
func (s Shape) FLOPs() float64 { return 2 * float64(s.M) * float64(s.N) * float64(s.K) }

// GemmResult says how fast a product ran.
type GemmResult struct {
	M               int     `json:"m"`
	N               int     `json:"n"`
	K               int     `json:"k"`
	Threads         int     `json:"threads"`
	Kernel          string  `json:"kernel"`      // the tier
	KernelName      string  `json:"kernel_name"` // the kernel within it
	DType           string  `json:"dtype"`       // of A, B and C
	Repetitions     int     `json:"repetitions"`
	MedianNS        float64 `json:"median_ns"`         // of one product
	BestNS          float64 `json:"best_ns"`           // of one product
	GFLOPS          float64 `json:"gflops"`            // of the best repetition
	FMAPeakGFLOPS   float64 `json:"fma_peak_gflops"`   // the best, with as many threads
	PeakRatio       float64 `json:"peak_ratio"`        // GFLOPS / FMAPeakGFLOPS
	PeakRatioMedian float64 `json:"peak_ratio_median"` // of each repetition against the peak taken just before it
}

const (
	minRepetitions = 30
	minDuration    = 2 * time.Second
	repetition     = 2 * time.Millisecond   // the shortest
	peakDuration   = 500 * time.Microsecond // of a measurement of the peak, about
	peakCall       = 100 * time.Microsecond // of one call of its loop, which cannot be preempted
)

// Gemm measures products of one shape and element type on e. It takes two seconds,
// or as long as thirty products take if that is longer. The error is ctx's.
func Gemm(ctx context.Context, e *kernels.Engine, shape Shape, dtype tensor.DType) (GemmResult, error) {
	g := product(shape, dtype)
	peak := NewPeak(e)
	e.Gemm(g) // warm up
	inner := 1
	for start := time.Now(); ; inner *= 2 {
		for range inner {
			e.Gemm(g)
		}
		if time.Since(start) >= repetition {
			break
		}
		start = time.Now()
	}

	flops := shape.FLOPs()
	var times, peaks, ratios []float64
	for start := time.Now(); len(times) < minRepetitions || time.Since(start) < minDuration; {
		if err := ctx.Err(); err != nil {
			return GemmResult{}, err
		}
		p := peak.Measure()
		t := time.Now()
		for range inner {
			e.Gemm(g)
		}
		ns := float64(time.Since(t).Nanoseconds()) / float64(inner)
		times, peaks, ratios = append(times, ns), append(peaks, p), append(ratios, flops/ns/p)
	}
	best := slices.Min(times)
	return GemmResult{
		M: shape.M, N: shape.N, K: shape.K, Threads: e.Threads(),
		Kernel: e.Tier(), KernelName: e.KernelName(dtype), DType: dtype.String(),
		Repetitions: len(times), MedianNS: Median(times), BestNS: best, GFLOPS: flops / best,
		FMAPeakGFLOPS: slices.Max(peaks), PeakRatio: flops / best / slices.Max(peaks), PeakRatioMedian: Median(ratios),
	}, nil
}

// product makes the operands. Their values lie around one: subnormals would be slow.
func product(s Shape, dtype tensor.DType) kernels.GemmArgs {
	rng := rand.New(rand.NewPCG(1, 1))
	matrix := func(rows, cols int) tensor.Matrix {
		m := tensor.New(dtype, rows, cols).Matrix()
		row := make([]float32, cols)
		for i := range rows {
			for j := range row {
				row[j] = rng.Float32() + 0.5
			}
			m.StoreRow(row, i)
		}
		return m
	}
	return kernels.GemmArgs{A: matrix(s.M, s.K), B: matrix(s.K, s.N), C: matrix(s.M, s.N)}
}

// Peak measures the FMA peak of as many threads as an engine uses.
type Peak struct {
	loop    micro.PeakLoop
	threads int
	turns   int // of one call
}

// NewPeak returns a measurement of the peak of e's tier. It takes a few hundred microseconds.
func NewPeak(e *kernels.Engine) Peak {
	p := Peak{loop: e.Peak(), threads: e.Threads(), turns: 1024}
	for {
		start := time.Now()
		p.loop.Func(p.turns)
		if time.Since(start) >= peakCall {
			return p
		}
		p.turns *= 2
	}
}

// Measure returns the GFLOPS of all threads together. Each thread times itself, so
// that starting the threads does not count.
func (p Peak) Measure() float64 {
	calls := int(peakDuration / peakCall)
	rate := func() float64 {
		start := time.Now()
		for range calls {
			p.loop.Func(p.turns)
		}
		return float64(calls) * float64(p.turns) * float64(p.loop.FLOPs) / float64(time.Since(start).Nanoseconds())
	}
	rates := make([]float64, p.threads)
	var others sync.WaitGroup
	for i := 1; i < p.threads; i++ {
		others.Go(func() { rates[i] = rate() })
	}
	rates[0] = rate()
	others.Wait()
	sum := 0.0
	for _, r := range rates {
		sum += r
	}
	return sum
}

// Median sorts values, of which there is at least one, and returns their median.
func Median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
