package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"golang.org/x/perf/benchmath"
)

// Confidence is the level of all confidence intervals.
const Confidence = 0.95

// The limits beyond which samples are noisy.
const (
	WideInterval = 0.05 // from the median to a bound, as a share of the median
	WidePeak     = 0.10 // from the peak's 10th to its 90th percentile, as a share of its median
)

// MinSamples is the smallest number of samples with a finite confidence interval of the
// median at the level Confidence: six lie on one side of the true median once in 32 times.
const MinSamples = 6

// Summary returns the median of the samples and its confidence interval, whatever their
// distribution. The bounds are infinite for fewer than MinSamples.
func (b *Benchmark) Summary() benchmath.Summary { return summary(b.Samples) }

func summary(samples []float64) benchmath.Summary {
	return benchmath.AssumeNothing.Summary(sample(samples), Confidence)
}

// sample returns a copy that benchmath may sort.
func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}

// Rate returns the work per time and its unit: GFLOPS, GB/s (1e9 bytes) or Gelem/s; or
// the work per instruction, in flop/instruction and so on. More is better. ok is false
// if the work is unknown.
func (b *Benchmark) Rate() (s benchmath.Summary, unit string, ok bool) {
	rates := b.Rates()
	if rates == nil {
		return benchmath.Summary{}, "", false
	}
	return summary(rates), b.RateUnit(), true
}

// RateUnit returns the unit of [Benchmark.Rate], "" where the work is not known.
func (b *Benchmark) RateUnit() string {
	switch {
	case b.Unit == GFLOPS:
		return GFLOPS
	case b.Work == nil:
		return ""
	case b.Unit == Instructions:
		return b.Work.Unit + "/instruction"
	}
	return rateUnits[b.Work.Unit]
}

// Rates returns the rate of each sample, nil where the work is not known.
func (b *Benchmark) Rates() []float64 {
	if b.Unit == GFLOPS {
		return b.Samples
	}
	if b.Work == nil {
		return nil
	}
	rates := make([]float64, len(b.Samples))
	for i, x := range b.Samples {
		rates[i] = b.Work.Amount / x
	}
	return rates
}

// Share returns the share of the FMA peak: of each sample, the rate over the peak just
// before it. ok is false if the work is not arithmetic or the peak was not measured.
func (b *Benchmark) Share() (s benchmath.Summary, ok bool) {
	if b.RateUnit() != GFLOPS || len(b.Peak) == 0 {
		return benchmath.Summary{}, false
	}
	rates := b.Rates()
	shares := make([]float64, len(rates))
	for i, rate := range rates {
		shares[i] = rate / b.Peak[i]
	}
	return summary(shares), true
}

// Images returns the images per second of a training step, by the batch in its name. ok
// is false for other benchmarks.
func (b *Benchmark) Images() (s benchmath.Summary, ok bool) {
	batch, err := strconv.Atoi(b.Name.Get("batch"))
	if err != nil || b.Unit != Nanoseconds {
		return benchmath.Summary{}, false
	}
	images := make([]float64, len(b.Samples))
	for i, ns := range b.Samples {
		images[i] = float64(batch) / ns * 1e9
	}
	return summary(images), true
}

// Noise says why the samples are noisy, or returns "".
func (b *Benchmark) Noise() string {
	if len(b.Samples) < MinSamples {
		return fmt.Sprintf("%d samples: a confidence interval takes %d", len(b.Samples), MinSamples)
	}
	s := b.Summary()
	if width := max(s.Hi/s.Center-1, 1-s.Lo/s.Center); width > WideInterval {
		return fmt.Sprintf("the confidence interval is ±%.0f %%", 100*width)
	}
	if len(b.Peak) > 0 {
		if spread := spread(b.Peak); spread > WidePeak {
			return fmt.Sprintf("the peak varied by %.0f %% meanwhile", 100*spread)
		}
	}
	return ""
}

// spread returns the distance from the 10th to the 90th percentile, as a share of the
// median.
func spread(values []float64) float64 {
	s := sample(values).Values
	at := func(p float64) float64 { return s[int(math.Round(p*float64(len(s)-1)))] }
	return (at(0.9) - at(0.1)) / at(0.5)
}

// Compare compares two benchmarks: the ratio of b's median rate to a's, above 1 where b
// is faster, and the Mann-Whitney U test, whose P is the probability that chance alone
// makes samples so different. Where the work of both is unknown, their rates are
// operations per time. The error says why they cannot be compared: their units differ, or
// the work of one is unknown.
func Compare(a, b *Benchmark) (ratio float64, c benchmath.Comparison, err error) {
	if ua, ub := a.RateUnit(), b.RateUnit(); ua != ub {
		return 0, benchmath.Comparison{}, fmt.Errorf("report: %s is in %q and %s in %q: want one unit", a.Name, ua, b.Name, ub)
	}
	ra, rb := a.Rates(), b.Rates()
	if ra == nil && a.Unit != b.Unit {
		return 0, benchmath.Comparison{}, fmt.Errorf("report: %s is in %q and %s in %q: want one unit", a.Name, a.Unit, b.Name, b.Unit)
	}
	if ra == nil { // both are times, or instructions
		c = benchmath.AssumeNothing.Compare(sample(a.Samples), sample(b.Samples))
		return a.Summary().Center / b.Summary().Center, c, nil
	}
	c = benchmath.AssumeNothing.Compare(sample(ra), sample(rb))
	return summary(rb).Center / summary(ra).Center, c, nil
}

// Paired returns the median of the ratios of b's rate to a's, sample by sample, above 1
// where b is faster. What slowed the whole machine for a while cancels out. ok is false
// if the two did not take turns or their work differs.
func Paired(a, b *Benchmark) (s benchmath.Summary, ok bool) {
	sameWork := a.Work == b.Work || a.Work != nil && b.Work != nil && *a.Work == *b.Work
	if a.Run == 0 || a.Run != b.Run || a.Unit != b.Unit || !sameWork || len(a.Samples) != len(b.Samples) ||
		a.Name.Without("dtype", "kernel") != b.Name.Without("dtype", "kernel") {
		return benchmath.Summary{}, false
	}
	ratios := make([]float64, len(a.Samples))
	for i, x := range a.Samples {
		ratios[i] = x / b.Samples[i]
		if a.Unit == GFLOPS {
			ratios[i] = 1 / ratios[i]
		}
	}
	return summary(ratios), true
}
