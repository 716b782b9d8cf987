package kernels

// The operations of this file have no assembly: only runs with clipping or averaging need
// them. Clip and Config in package trainer say what they cost.

// normBlock is the number of elements of a partial sum of squares. It is part of the
// result, as is the number of lanes in sumSquares.
const normBlock = 1 << 13

// SumSquares returns the sum of the squares of x in float64, where the square of a float32
// is exact. It adds the squares of each block of 8192 elements in eight lanes, and then the
// sums of the blocks in order, so the result is the same at any number of threads.
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

// sumSquares adds the square of element i to lane i modulo 8, then the lanes in order.
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

// Clamp limits every element of x to [−limit, limit]. A NaN stays one.
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
// with each operation rounded on its own. It panics unless both have the same length.
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
