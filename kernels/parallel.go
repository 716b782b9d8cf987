package kernels

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// crew is the goroutines that help with products, one product at a time: if
// two callers multiply at once, the second does its product alone.
//
// A product goes in phases of independent tasks. The caller opens a phase, does
// tasks like any helper until none is left, closes the phase, and waits for
// those that are still at one. It never waits for a helper that has not come:
// on a machine that is busy with other things the caller does all the work.
//
// Helpers look for the next phase in a loop for some 100 µs, in which products
// follow each other in training, before they go to sleep: waking a thread takes
// longer than a small product.
type crew struct {
	helpers int
	start   sync.Once
	busy    sync.Mutex // held by the caller whose product it is

	// The phase under way. What it is, is written while no helper is active, and
	// read by active helpers only.
	product *product
	tasks   int
	do      func(p *product, task int, own *workspace)
	next    atomic.Int64  // the next task to hand out
	open    atomic.Uint64 // the number of the phase, 0 while none is open
	phases  uint64        // opened so far
	active  atomic.Int64  // helpers that may be at a task

	mu     sync.Mutex // guards what follows
	awake  sync.Cond
	closed bool
	asleep atomic.Int64 // helpers; changes under mu
}

func newCrew(helpers int) *crew {
	c := &crew{helpers: helpers}
	c.awake.L = &c.mu
	return c
}

// spins is how often a helper looks for work before it goes to sleep. A look
// gives way to other goroutines and takes about 0.1 µs.
const spins = 1000

// close ends the helpers.
func (c *crew) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.awake.Broadcast()
}

// run does the tasks 0 … tasks-1 of p, each once, and returns when all are
// done. The caller holds c.busy, or else c is nil and nobody helps.
func (c *crew) run(p *product, tasks int, do func(p *product, task int, own *workspace)) {
	own := p.own.get()
	defer p.own.put(own)
	if c == nil || tasks == 1 {
		for task := range tasks {
			do(p, task, own)
		}
		return
	}
	c.start.Do(func() {
		for range c.helpers {
			go c.help()
		}
	})
	c.product, c.tasks, c.do = p, tasks, do
	c.next.Store(0)
	c.phases++
	c.open.Store(c.phases)
	if c.asleep.Load() > 0 {
		c.mu.Lock() // a helper that saw no phase is asleep by now
		c.awake.Broadcast()
		c.mu.Unlock()
	}
	c.work(own)
	c.open.Store(0)
	for c.active.Load() > 0 {
		runtime.Gosched()
	}
	c.product, c.do = nil, nil
}

// work does tasks of the open phase until none is left.
func (c *crew) work(own *workspace) {
	for task := c.next.Add(1) - 1; task < int64(c.tasks); task = c.next.Add(1) - 1 {
		c.do(c.product, int(task), own)
	}
}

// help is the life of a helper.
func (c *crew) help() {
	seen := uint64(0)
	for {
		phase := c.wait(seen)
		if phase == 0 {
			return
		}
		seen = phase
		// Active first, then the look whether the phase is still open: whoever
		// closes it sees this helper, or this helper sees that it is closed.
		c.active.Add(1)
		if c.open.Load() == phase {
			pool := c.product.own
			own := pool.get()
			c.work(own)
			pool.put(own)
		}
		c.active.Add(-1)
	}
}

// wait returns the number of an open phase other than seen, or 0 if there will
// be none.
func (c *crew) wait(seen uint64) uint64 {
	for range spins {
		if phase := c.open.Load(); phase != 0 && phase != seen {
			return phase
		}
		runtime.Gosched()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asleep.Add(1)
	defer c.asleep.Add(-1)
	for !c.closed {
		if phase := c.open.Load(); phase != 0 && phase != seen {
			return phase
		}
		c.awake.Wait()
	}
	return 0
}

// workspace is the memory that one thread needs for one product.
type workspace struct {
	a    []float32 // a block of A
	sums []float32 // a block of C, where that is fp16
}

// pool keeps the values that nobody is using, so that after the first few
// none is allocated.
type pool[T any] struct {
	mu   sync.Mutex
	free []*T
}

func (p *pool[T]) get() *T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.free) - 1; last >= 0 {
		v := p.free[last]
		p.free = p.free[:last]
		return v
	}
	return new(T)
}

func (p *pool[T]) put(v *T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, v)
}

// grow returns a slice of length n in s's memory, or in new memory if that is
// too small. What it holds is unspecified.
func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
