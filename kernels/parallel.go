package kernels

import "sync"

// parallel runs the tasks 0 … tasks-1, each once, on at most p.threads
// goroutines, the caller's among them, and returns when all are done. Tasks are
// handed out one by one, so that a slow core takes fewer.
func (p *product) parallel(tasks int, do func(p *product, task int, own *workspace)) {
	p.next.Store(0)
	for range min(p.threads, tasks) - 1 {
		p.helpers.Go(func() { p.work(tasks, do) })
	}
	p.work(tasks, do)
	p.helpers.Wait()
}

// work does tasks until all are handed out.
func (p *product) work(tasks int, do func(p *product, task int, own *workspace)) {
	own := p.own.get()
	for task := int(p.next.Add(1)) - 1; task < tasks; task = int(p.next.Add(1)) - 1 {
		do(p, task, own)
	}
	p.own.put(own)
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
