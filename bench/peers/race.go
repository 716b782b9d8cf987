package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

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
	turn     time.Duration // how long a turn is, and the untimed part before it
}

// enter starts the workers of an entrant, which then takes part. command returns the
// command for a number of threads.
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

// measure takes the turns, with so many images a step.
func (r *race) measure(ctx context.Context, batch int) (h heats, err error) {
	folder, err := os.MkdirTemp("", "halfgrad-peers-")
	if err != nil {
		return heats{}, fmt.Errorf("peers: %w", err)
	}
	defer os.RemoveAll(folder)
	h = heats{peaks: make([][]float64, len(r.threads))}
	counts := make([][]int, len(r.entrants))
	var ours outcome
	for i, e := range r.entrants {
		for _, w := range e.workers {
			o, err := w.prepareSteps(batch, folder)
			if err != nil {
				return heats{}, err
			}
			if i == 0 {
				ours = o
			}
			if !o.agrees(ours) {
				return heats{}, fmt.Errorf("peers: %s trains another way than halfgrad: with %d images a step, the outcome of the first is %+v, not %+v", w.name, batch, o, ours)
			}
			ns, err := w.steps(1)
			if err == nil { // the first may have been slow
				ns, err = w.steps(max(1, int(float64(r.turn)/4/ns)))
			}
			if err != nil {
				return heats{}, err
			}
			counts[i] = append(counts[i], max(1, int(float64(r.turn)/ns)))
		}
		h.times = append(h.times, make([][]float64, len(r.threads)))
	}

	for round := range r.rounds {
		for t := range r.threads {
			peak, err := r.entrants[0].workers[t].number("peak")
			if err != nil {
				return heats{}, err
			}
			h.peaks[t] = append(h.peaks[t], peak)
			for i := range r.entrants {
				if err := ctx.Err(); err != nil {
					return heats{}, err
				}
				i = (i + round) % len(r.entrants)
				ns, err := r.entrants[i].workers[t].steps(counts[i][t])
				if err != nil {
					return heats{}, err
				}
				h.times[i][t] = append(h.times[i][t], ns)
			}
		}
	}
	return h, nil
}

// heats are the measurements of a race.
type heats struct {
	times [][][]float64 // ns of a step by entrant, ours first, then by number of threads, then by round
	peaks [][]float64   // GFLOPS by number of threads, then by round
}
