package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/halfgrad/halfgrad/bench"
)

// stepsTurn is how long a turn of training steps is where nothing else is wanted.
const stepsTurn = 30 * time.Millisecond

// entrant is a library, or one way to use it, in a race.
type entrant struct {
	name    string
	workers []*worker // one for each number of threads
}

// race is our training steps against the peers'.
type race struct {
	entrants []entrant // ours first
	threads  []int
	rounds   int
	turn     time.Duration     // how long one is, and what is not timed before it
	cfg      bench.TrainConfig // of our steps
}

// enter starts an entrant's workers, the commands of which command returns, by the
// number of threads. Without an error it takes part.
func (r *race) enter(name string, cpus []int, command func(threads int) *exec.Cmd) error {
	e := entrant{name: name}
	for _, n := range r.threads {
		w, err := start(name, command(n), cpus[:n], timeout)
		if err != nil {
			e.stop()
			return err
		}
		e.workers = append(e.workers, w)
	}
	r.entrants = append(r.entrants, e)
	return nil
}

func (e *entrant) stop() {
	for _, w := range e.workers {
		w.stop()
	}
}

// stop ends the workers of all.
func (r *race) stop() {
	for _, e := range r.entrants {
		e.stop()
	}
}

// stepsResult is a row of the comparison: what each entrant does with one number
// of threads, or with the number that is the best for it.
type stepsResult struct {
	Model           string      `json:"model"`
	Batch           int         `json:"batch"`
	Optimizer       string      `json:"optimizer"`
	Precision       string      `json:"precision"` // ours
	Images          int         `json:"images"`
	Rounds          int         `json:"rounds"`
	About           string      `json:"about"`
	BestThreads     bool        `json:"best_threads"` // whether each has its best number of threads
	Threads         int         `json:"threads"`      // ours
	StepNS          float64     `json:"step_ns"`      // of our median turn
	FMAPeakGFLOPS   float64     `json:"fma_peak_gflops"`
	PeakRatioMedian float64     `json:"peak_ratio_median"` // of our products over the whole of the step, of turns in one round
	Peers           []stepsPeer `json:"peers"`
}

type stepsPeer struct {
	Name    string  `json:"name"`
	About   string  `json:"about"`
	How     string  `json:"how,omitempty"`
	Threads int     `json:"threads"`
	StepNS  float64 `json:"step_ns"`
	Ratio   float64 `json:"ratio"` // the median over the rounds of its time over ours
}

// batch takes all turns with so many images a step. It returns a row for each number
// of threads and, where there are several, one for the best.
func (r *race) batch(ctx context.Context, batch int) ([]stepsResult, error) {
	h, how, err := r.measure(ctx, batch)
	if err != nil {
		return nil, err
	}
	cfg := r.cfg
	results := h.results()
	for k := range results {
		row := &results[k]
		row.Model, row.Batch, row.Optimizer, row.Precision, row.Images = cfg.Model(), batch, cfg.Optimizer, cfg.Precision.String(), cfg.Images
		row.Rounds, row.About = r.rounds, r.entrants[0].workers[0].about.String()
		for i := range row.Peers {
			p, t := &row.Peers[i], slices.Index(r.threads, row.Peers[i].Threads)
			p.Name, p.About, p.How = r.entrants[i+1].name, r.entrants[i+1].workers[t].about.String(), how[i+1][t]
		}
	}
	return results, nil
}

// measure takes the turns. It returns how each entrant does it with each number of
// threads, too.
func (r *race) measure(ctx context.Context, batch int) (h heats, how [][]string, err error) {
	folder, err := os.MkdirTemp("", "halfgrad-peers-")
	if err != nil {
		return heats{}, nil, fmt.Errorf("peers: %w", err)
	}
	defer os.RemoveAll(folder)
	cfg := r.cfg
	cfg.Batch = batch
	h = heats{threads: r.threads, flops: cfg.FLOPs(), peaks: make([][]float64, len(r.threads))}
	how = make([][]string, len(r.entrants))
	counts := make([][]int, len(r.entrants))
	var ours outcome
	for i, e := range r.entrants {
		for _, w := range e.workers {
			o, says, err := w.prepareSteps(batch, folder)
			if err != nil {
				return heats{}, nil, err
			}
			if i == 0 {
				ours = o
			}
			if !o.agrees(ours) {
				return heats{}, nil, fmt.Errorf("peers: %s trains another way than halfgrad: with %d images a step, the outcome of the first is %+v, not %+v", w.name, batch, o, ours)
			}
			ns, err := w.steps(1)
			if err == nil { // the first may have been slow
				ns, err = w.steps(max(1, int(float64(r.turn)/4/ns)))
			}
			if err != nil {
				return heats{}, nil, err
			}
			how[i], counts[i] = append(how[i], says), append(counts[i], max(1, int(float64(r.turn)/ns)))
		}
		h.times = append(h.times, make([][]float64, len(r.threads)))
	}

	for round := range r.rounds {
		for t := range r.threads {
			peak, err := r.entrants[0].workers[t].number("peak")
			if err != nil {
				return heats{}, nil, err
			}
			h.peaks[t] = append(h.peaks[t], peak)
			for i := range r.entrants {
				if err := ctx.Err(); err != nil {
					return heats{}, nil, err
				}
				i = (i + round) % len(r.entrants)
				ns, err := r.entrants[i].workers[t].steps(counts[i][t])
				if err != nil {
					return heats{}, nil, err
				}
				h.times[i][t] = append(h.times[i][t], ns)
			}
		}
	}
	return h, how, nil
}

// heats are the measurements of a race.
type heats struct {
	threads []int
	flops   float64       // of a step's products
	times   [][][]float64 // of a step in nanoseconds, by entrant, ours first, then by number of threads, then by round
	peaks   [][]float64   // in GFLOPS, by number of threads, then by round
}

// results returns what the measurements say. It leaves out who is who.
func (h *heats) results() []stepsResult {
	var rows []stepsResult
	best := make([]int, len(h.times)) // of each entrant, the index of the number of threads
	for t := range h.threads {
		pick := make([]int, len(h.times))
		for i, times := range h.times {
			pick[i] = t
			if median(times[t]) < median(times[best[i]]) {
				best[i] = t
			}
		}
		rows = append(rows, h.row(pick))
	}
	if len(h.threads) > 1 {
		rows = append(rows, h.row(best))
		rows[len(rows)-1].BestThreads = true
	}
	return rows
}

// row compares the entrants with the numbers of threads of the given indices.
func (h *heats) row(pick []int) stepsResult {
	var r stepsResult
	ours, peaks := h.times[0][pick[0]], h.peaks[pick[0]]
	for i, t := range pick {
		times := h.times[i][t]
		var shares, ratios []float64
		for round, ns := range times {
			shares = append(shares, h.flops/ns/peaks[round])
			ratios = append(ratios, ns/ours[round])
		}
		if i == 0 {
			r.Threads, r.StepNS = h.threads[t], median(times)
			r.FMAPeakGFLOPS, r.PeakRatioMedian = slices.Max(peaks), median(shares)
			continue
		}
		r.Peers = append(r.Peers, stepsPeer{Threads: h.threads[t], StepNS: median(times), Ratio: median(ratios)})
	}
	return r
}

// median leaves the order of values, which are paired with others, as it is.
func median(values []float64) float64 { return bench.Median(slices.Clone(values)) }
