package kernels

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/halfgrad/halfgrad/tensor"
)

// job is work in independent tasks.
type job interface {
	// do does one task. own is the thread's memory.
	do(task int, own *workspace)
}

// crew is the goroutines that help with jobs, for one caller at a time. If two callers
// multiply at the same time, the second works alone.
//
// The caller opens a job, does tasks like any helper until none is left, closes the job,
// and waits for the helpers that are still at a task. It never waits for a helper that has
// not started: on a busy machine the caller does all the work.
//
// Helpers poll for the next job for some 100 µs before they sleep, because waking a thread
// takes longer than a small product. In training, products follow each other within that
// time.
type crew struct {
	helpers    int
	workspaces *pool[workspace]
	start      sync.Once
	busy       sync.Mutex // held by the caller whose jobs they are

	// The current job. job and tasks are written while no helper is active, and read by
	// active helpers only.
	job    job
	tasks  int
	next   atomic.Int64  // the next task to hand out
	open   atomic.Uint64 // the number of the job, or 0 if none is open
	jobs   uint64        // the number of jobs so far
	active atomic.Int64  // helpers that may be at a task

	mu     sync.Mutex // guards closed, and changes of asleep
	awake  sync.Cond
	closed bool
	asleep atomic.Int64 // sleeping helpers
}

func newCrew(helpers int, workspaces *pool[workspace]) *crew {
	c := &crew{helpers: helpers, workspaces: workspaces}
	c.awake.L = &c.mu
	return c
}

// spins is how often a helper looks for work before it sleeps. A look yields to other
// goroutines and takes about 0.1 µs.
const spins = 1000

// close ends the helpers.
func (c *crew) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.awake.Broadcast()
}

// hire returns the crew if the work is worth it and the crew is free; the caller releases
// it. Otherwise it returns nil, which is a crew without helpers.
func (e *Engine) hire(worth bool) *crew {
	if worth && e.crew != nil && e.crew.busy.TryLock() {
		return e.crew
	}
	return nil
}

func (c *crew) release() {
	if c != nil {
		c.busy.Unlock()
	}
}

// threads returns the number of threads that work on a job, the caller's included.
func (c *crew) threads() int {
	if c == nil {
		return 1
	}
	return 1 + c.helpers
}

// run does the tasks 0 … tasks-1 of j, each once, and returns when all are done. c was
// hired by the caller.
func (e *Engine) run(c *crew, tasks int, j job) {
	own := e.workspaces.get()
	defer e.workspaces.put(own)
	if c == nil || tasks == 1 {
		for task := range tasks {
			j.do(task, own)
		}
		return
	}
	c.start.Do(func() {
		for range c.helpers {
			go c.help()
		}
	})
	c.job, c.tasks = j, tasks
	c.next.Store(0)
	c.jobs++
	c.open.Store(c.jobs)
	if c.asleep.Load() > 0 {
		c.mu.Lock() // waits for helpers that saw no job to be asleep
		c.awake.Broadcast()
		c.mu.Unlock()
	}
	c.work(own)
	c.open.Store(0)
	for c.active.Load() > 0 {
		runtime.Gosched()
	}
	c.job = nil
}

// work does tasks of the open job until none is left.
func (c *crew) work(own *workspace) {
	for task := c.next.Add(1) - 1; task < int64(c.tasks); task = c.next.Add(1) - 1 {
		c.job.do(int(task), own)
	}
}

// help is the body of a helper's goroutine.
func (c *crew) help() {
	seen := uint64(0)
	for {
		job := c.wait(seen)
		if job == 0 {
			return
		}
		seen = job
		// The order matters: after the helper is active, it checks that the job is still
		// open. So the caller that closes it sees this helper, or this helper sees that it
		// is closed.
		c.active.Add(1)
		if c.open.Load() == job {
			own := c.workspaces.get()
			c.work(own)
			c.workspaces.put(own)
		}
		c.active.Add(-1)
	}
}

// wait waits for an open job other than seen and returns its number, or 0 if the crew is
// closed.
func (c *crew) wait(seen uint64) uint64 {
	for range spins {
		if job := c.open.Load(); job != 0 && job != seen {
			return job
		}
		runtime.Gosched()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asleep.Add(1)
	defer c.asleep.Add(-1)
	for !c.closed {
		if job := c.open.Load(); job != 0 && job != seen {
			return job
		}
		c.awake.Wait()
	}
	return 0
}

// workspace is the memory of one thread for one job.
type workspace struct {
	a      scratch   // strips of A
	b      scratch   // a block of B
	sums   []float32 // the sums of a block or strip of C, if C cannot hold them
	bias   []float32 // one value, repeated for a row
	turned []float32 // the transposed sums of a block of C
	vector vectorScratch
}

// pool keeps unused values for reuse, so that calls allocate nothing after the first few.
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

// scratch is memory that serves elements of any type.
type scratch struct {
	tensor.Elements // the current ones: as many as the memory has room for
	memory          []byte
}

// grow makes sure that there are at least n elements of the given type. Their values are
// unspecified.
func (s *scratch) grow(d tensor.DType, n int) {
	if s.DType() == d && s.Len() >= n {
		return
	}
	if size := n * d.Size(); len(s.memory) < size {
		s.memory = allocate(size)
	}
	s.Elements = tensor.View(s.memory, d, len(s.memory)/d.Size())
}

// grow returns a slice of length n in s's memory, or in new memory if that is too small.
// Its values are unspecified.
func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		const size = 4
		return tensor.View(allocate(n*size), tensor.F32, n).F32()
	}
	return s[:n]
}
