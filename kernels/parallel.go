package kernels

import (
	"sync"
	"sync/atomic"
)

// parallel calls do(0) … do(tasks-1), each once, on at most threads goroutines,
// the caller's among them, and returns when all have returned. Tasks are handed
// out one by one, so that a slow core takes fewer.
func parallel(threads, tasks int, do func(task int)) {
	if threads == 1 || tasks == 1 {
		for task := range tasks {
			do(task)
		}
		return
	}
	var next atomic.Int64
	work := func() {
		for task := int(next.Add(1)) - 1; task < tasks; task = int(next.Add(1)) - 1 {
			do(task)
		}
	}
	var others sync.WaitGroup
	for range min(threads, tasks) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

// workspace is the memory that one thread needs for one product.
type workspace struct {
	a    []float32 // a packed block of A
	b    []float32 // a packed block of B; used by the caller's workspace only
	sums []float32 // partial sums of an fp16 C; likewise
	run  []float32 // one column of a panel while it is packed
	tile []float32 // a tile at the edge of C
}

// workspaces keeps the workspaces that no thread is using, so that after the
// first few products none is allocated.
type workspaces struct {
	mu   sync.Mutex
	free []*workspace
}

func (ws *workspaces) get() *workspace {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if last := len(ws.free) - 1; last >= 0 {
		w := ws.free[last]
		ws.free = ws.free[:last]
		return w
	}
	return new(workspace)
}

func (ws *workspaces) put(w *workspace) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.free = append(ws.free, w)
}

// grow returns a slice of length n in s's memory, or in new memory if that is
// too small. What it holds is unspecified.
func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
