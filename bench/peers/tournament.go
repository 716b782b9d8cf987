package main

import (
	"context"
	"slices"
	"time"

	"github.com/halfgrad/halfgrad/bench"
)

// tournament is our worker against the peers'.
type tournament struct {
	us      *worker
	peers   []*worker
	threads int
	rounds  int
	turn    time.Duration // how long a turn is, or one product, and what is not timed before it
	longest time.Duration // of one product: who takes longer has no turns; 0 for any
	kept    bool          // whether weights may be kept packed
}

// result is a row of the comparison. Rates are in GFLOPS.
type result struct {
	M               int          `json:"m"`
	N               int          `json:"n"`
	K               int          `json:"k"`
	Threads         int          `json:"threads"`
	Rounds          int          `json:"rounds"`
	Kept            bool         `json:"weights_kept"`
	About           string       `json:"about"`
	GFLOPS          float64      `json:"gflops"`            // ours, of the median turn
	FMAPeakGFLOPS   float64      `json:"fma_peak_gflops"`   // of the best turn
	PeakRatio       float64      `json:"peak_ratio"`        // of our best turn
	PeakRatioMedian float64      `json:"peak_ratio_median"` // of turns in one round
	Peers           []peerResult `json:"peers"`
	Best            string       `json:"best_peer"`  // the one whose median turn is the fastest
	BestRatio       float64      `json:"best_ratio"` // its ratio
}

type peerResult struct {
	Name            string  `json:"name"`
	About           string  `json:"about"`
	How             string  `json:"how,omitempty"`
	GFLOPS          float64 `json:"gflops"`
	PeakRatio       float64 `json:"peak_ratio"`
	PeakRatioMedian float64 `json:"peak_ratio_median"`
	Ratio           float64 `json:"ratio"` // the median over the rounds of its time over ours
}

// turn is how long one is where nothing else is wanted.
const turn = 10 * time.Millisecond

// score is one who took turns, or was too slow to.
type score struct {
	worker *worker
	how    string
	once   float64   // ns of a product, about
	times  []float64 // of a product in each round, in ns; none if it is too slow
}

// measure takes all turns of one product: ours, and the peers' in their order. The peak
// is that of each round.
func (t *tournament) measure(ctx context.Context, p product) (scores []score, peaks []float64, err error) {
	var playing []*score
	var calls []int
	scores = make([]score, 1+len(t.peers))
	for i, w := range append([]*worker{t.us}, t.peers...) {
		command := "prepare"
		if t.kept && w == t.us {
			command = "keep"
		}
		how, err := w.prepare(command, p)
		if err != nil {
			return nil, nil, err
		}
		ns, err := w.gemm(p.Shape, 1)
		if err == nil && ns < float64(t.turn) { // the first may have been slow
			ns, err = w.gemm(p.Shape, max(1, int(float64(t.turn)/4/ns)))
		}
		if err != nil {
			return nil, nil, err
		}
		scores[i] = score{worker: w, how: how, once: ns}
		if t.longest == 0 || ns <= float64(t.longest) {
			playing, calls = append(playing, &scores[i]), append(calls, max(1, int(float64(t.turn)/ns)))
		}
	}
	for round := range t.rounds {
		peak, err := t.us.number("peak")
		if err != nil {
			return nil, nil, err
		}
		peaks = append(peaks, peak)
		for i := range playing {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			i = (i + round) % len(playing)
			ns, err := playing[i].worker.gemm(p.Shape, calls[i])
			if err != nil {
				return nil, nil, err
			}
			playing[i].times = append(playing[i].times, ns)
		}
	}
	return scores, peaks, nil
}

// play compares one shape.
func (t *tournament) play(ctx context.Context, s bench.Shape) (result, error) {
	scores, peaks, err := t.measure(ctx, product{s, "nn"})
	if err != nil {
		return result{}, err
	}
	times := make([][]float64, len(scores))
	for i, score := range scores {
		times[i] = score.times
	}
	r := summarize(s, times, peaks)
	r.Threads, r.Rounds, r.Kept, r.About = t.threads, t.rounds, t.kept, t.us.about.String()
	for i := range r.Peers {
		p := &r.Peers[i]
		p.Name, p.About, p.How = t.peers[i].name, t.peers[i].about.String(), scores[i+1].how
		if p.GFLOPS == bestGFLOPS(r.Peers) {
			r.Best, r.BestRatio = p.Name, p.Ratio
		}
	}
	return r, nil
}

func bestGFLOPS(peers []peerResult) float64 {
	return slices.MaxFunc(peers, func(a, b peerResult) int {
		if a.GFLOPS < b.GFLOPS {
			return -1
		}
		return 1
	}).GFLOPS
}

// summarize makes a result of the times of a product in nanoseconds, ours first,
// and of the peaks, round by round.
func summarize(s bench.Shape, times [][]float64, peaks []float64) result {
	flops := s.FLOPs()
	r := result{M: s.M, N: s.N, K: s.K, FMAPeakGFLOPS: slices.Max(peaks)}
	for i, t := range times {
		var shares, ratios []float64
		for round, ns := range t {
			shares = append(shares, flops/ns/peaks[round])
			ratios = append(ratios, ns/times[0][round])
		}
		p := peerResult{
			GFLOPS: flops / bench.Median(slices.Clone(t)), PeakRatio: flops / slices.Min(t) / r.FMAPeakGFLOPS,
			PeakRatioMedian: bench.Median(shares), Ratio: bench.Median(ratios),
		}
		if i == 0 {
			r.GFLOPS, r.PeakRatio, r.PeakRatioMedian = p.GFLOPS, p.PeakRatio, p.PeakRatioMedian
		} else {
			r.Peers = append(r.Peers, p)
		}
	}
	return r
}
