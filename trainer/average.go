package trainer

// updateAverage moves the averaged weights towards the weights after a step:
//
//	average = d·average + (1−d)·weights,   d = min(Config.Average, (1+n)/(10+n))
//
// for the n-th step, so that the random first weights are soon forgotten (as in
// tf.train.ExponentialMovingAverage with num_updates).
func (t *Trainer) updateAverage() {
	if t.average == nil {
		return
	}
	n := float64(t.cfg.Optimizer.State().Steps)
	keep := min(t.cfg.Average, (1+n)/(10+n))
	for i, p := range t.params {
		t.cfg.Engine.Average(t.average[i], p.Master, float32(keep), float32(1-keep))
	}
	t.cfg.Profile.Lap("average")
}

// averaged calls f while the model has the averaged weights, if there are any.
func (t *Trainer) averaged(f func()) {
	t.swapAverage()
	defer t.swapAverage()
	f()
}

// swapAverage swaps the weights and the averaged ones.
func (t *Trainer) swapAverage() {
	for i, average := range t.average {
		p := t.params[i]
		for j, w := range p.Master { // in place: others share the memory
			p.Master[j], average[j] = average[j], w
		}
		p.Sync()
	}
}
