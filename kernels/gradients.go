package kernels

// These are for gradients that are stored, and have no assembly, as only some runs ask
// for clipping and averaging. What they cost there: see Clip and Config in package trainer.

// normBlock is the number of elements whose squares are added up by themselves. It is
// part of the result, as is the number of lanes in sumSquares.
const normBlock = 1 << 13

// SumSquares returns the sum of the squares of x, in float64: those of each block of
// 8192 elements, in eight lanes, and then the sums of the blocks in their order. It is
// the same at any number of threads. The square of a float32 is exact in float64.
func (e *Engine) SumSquares(x []float32) float64 {
	p := e.passes.get()
	blocks := ceilDiv(len(x), normBlock)
	if cap(p.sums) < blocks {
		p.sums = make([]float64, blocks)
	}
	p.sums, p.grad = p.sums[:blocks], x
	const atOnce = 1
	p.run(e, blocks, atOnce, len(x) >= serialElements, func(p *pass, from, to int) {
		for b := from; b < to; b++ {
			p.sums[b] = sumSquares(p.grad[b*normBlock : min((b+1)*normBlock, len(p.grad))])
		}
	})
	sum := 0.0
	for _, s := range p.sums {
		sum += s
	}
	e.done(p)
	return sum
}

// sumSquares adds up squares: element i in lane i modulo 8, then the lanes in order.
func sumSquares(x []float32) float64 {
	var lanes [8]float64
	for len(x) >= 8 {
		for i, v := range x[:8] {
			lanes[i] += float64(v) * float64(v)
		}
		x = x[8:]
	}
	for i, v := range x {
		lanes[i] += float64(v) * float64(v)
	}
	sum := 0.0
	for _, lane := range lanes {
		sum += lane
	}
	return sum
}

// Clamp moves every element of x that is not in [−limit, limit] to the nearer end. A
// NaN stays one.
func (e *Engine) Clamp(x []float32, limit float32) {
	p := e.passes.get()
	p.grad, p.factor = x, limit
	e.pass(p, len(x), func(p *pass, from, to int) {
		limit := p.factor
		for i, v := range p.grad[from:to] {
			if v > limit {
				p.grad[from+i] = limit
			} else if v < -limit {
				p.grad[from+i] = -limit
			}
		}
	})
	e.done(p)
}

// Average moves avg towards x, element by element:
//
//	avg[i] = keep*avg[i] + rest*x[i]
//
// with each operation rounded on its own. It panics unless both are of one length.
func (e *Engine) Average(avg, x []float32, keep, rest float32) {
	if len(avg) != len(x) {
		panic("kernels: Average: slices of different lengths")
	}
	p := e.passes.get()
	p.w, p.grad, p.factor, p.factor2 = avg, x, keep, rest
	e.pass(p, len(x), func(p *pass, from, to int) {
		avg, x, keep, rest := p.w[from:to], p.grad[from:to], p.factor, p.factor2
		for i, a := range avg {
			avg[i] = float32(keep*a) + float32(rest*x[i])
		}
	})
	e.done(p)
}
