package nn

import "time"

// Profile adds up where the time of training steps goes, phase by phase. Each
// phase ends with a [Profile.Lap], and begins where the one before it ended, so that
// the phases are all there is. A nil Profile does nothing.
type Profile struct {
	last   time.Time
	phases []Phase
	next   int // the phase that is expected: steps are alike
}

// Phase is a part of a step.
type Phase struct {
	Name string        // such as "forward 0 (Linear 784→256)"
	Time time.Duration // in all
}

// Start begins a step.
func (p *Profile) Start() {
	if p != nil {
		p.last, p.next = time.Now(), 0
	}
}

// Lap ends a phase.
func (p *Profile) Lap(name string) {
	if p == nil {
		return
	}
	now := time.Now()
	took := now.Sub(p.last)
	p.last = now
	for range p.phases {
		if p.next == len(p.phases) {
			p.next = 0
		}
		phase := &p.phases[p.next]
		p.next++
		if phase.Name == name {
			phase.Time += took
			return
		}
	}
	p.phases = append(p.phases, Phase{name, took})
	p.next = len(p.phases)
}

// Reset takes all times back to zero.
func (p *Profile) Reset() {
	if p != nil {
		for i := range p.phases {
			p.phases[i].Time = 0
		}
	}
}

// Phases returns the phases, in the order in which they first came. The caller
// must not change the slice.
func (p *Profile) Phases() []Phase { return p.phases }
