package trainer

import (
	"fmt"

	"github.com/halfgrad/halfgrad/tensor"
)

// DivergedError reports a run that cannot go on: its loss, its weights or the optimizer's
// state are not finite any more. A lower learning rate, a warm-up or clipped gradients
// may prevent it.
type DivergedError struct {
	Step  int64   // the step that showed it, from 1, or the last one
	Where string  // such as "the loss", "0.weight[17]" or "the optimizer's momentum.0.weight[17]"
	Value float64 // the value there; finite if it is a weight that is too large for fp16
}

func (e *DivergedError) Error() string {
	reason := ""
	if finite(e.Value) {
		reason = ", too large for fp16"
	}
	return fmt.Sprintf("trainer: step %d: the run has diverged: %s is %.4g%s", e.Step, e.Where, e.Value, reason)
}

// diverged returns a [*DivergedError] if a weight, as the layers use it, or a value of the
// optimizer's state is not finite. It looks at every value, so call it when a step shows an
// overflow, and now and then.
func (t *Trainer) diverged(step int64) error {
	report := func(name string, i int, value float32) error {
		return &DivergedError{Step: step, Where: fmt.Sprintf("%s[%d]", name, i), Value: float64(value)}
	}
	for _, p := range t.params {
		used := tensor.FromF32(p.Master, len(p.Master))
		if t.cfg.Precision == tensor.F16 {
			used = tensor.FromElements(p.Working, p.Len())
		}
		if i := used.FirstNonFinite(); i >= 0 {
			return report(p.Name, i, p.Master[i])
		}
	}
	for _, s := range t.cfg.Optimizer.State().Slots {
		if i := tensor.FromF32(s.Values, len(s.Values)).FirstNonFinite(); i >= 0 {
			return report("the optimizer's "+s.Name, i, s.Values[i])
		}
	}
	return nil
}
