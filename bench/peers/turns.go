package main

import (
	"context"
	"time"
)

// turns are the products of our worker and of the peers', by turns.
type turns struct {
	us      *worker
	peers   []*worker
	rounds  int
	turn    time.Duration // how long a turn is, or one product if that is longer, and the untimed part before it
	longest time.Duration // of one product: a library that takes longer has no turns; 0 for any
}

// score is what one library took.
type score struct {
	once  float64   // ns of a product, about
	times []float64 // ns of a product in each round; none if it is too slow
}

// measure takes all turns of one product. It returns our score, those of the peers in
// their order, and the peak of each round.
func (t *turns) measure(ctx context.Context, p product) (scores []score, peaks []float64, err error) {
	all := append([]*worker{t.us}, t.peers...)
	var playing, calls []int // indices of all, and products in a turn
	scores = make([]score, len(all))
	for i, w := range all {
		if err := w.prepare(p); err != nil {
			return nil, nil, err
		}
		ns, err := w.gemm(p.Shape, 1)
		if err == nil && ns < float64(t.turn) { // the first may have been slow
			ns, err = w.gemm(p.Shape, max(1, int(float64(t.turn)/4/ns)))
		}
		if err != nil {
			return nil, nil, err
		}
		scores[i].once = ns
		if t.longest == 0 || ns <= float64(t.longest) {
			playing, calls = append(playing, i), append(calls, max(1, int(float64(t.turn)/ns)))
		}
	}
	for round := range t.rounds {
		peak, err := t.us.number("peak")
		if err != nil {
			return nil, nil, err
		}
		peaks = append(peaks, peak)
		for k := range playing {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			k = (k + round) % len(playing)
			i := playing[k]
			ns, err := all[i].gemm(p.Shape, calls[k])
			if err != nil {
				return nil, nil, err
			}
			scores[i].times = append(scores[i].times, ns)
		}
	}
	return scores, peaks, nil
}
