package nn

import "time"

// Profile adds up the time of training steps by phase. A [Profile.Lap] ends a phase and
// begins the next, so the phases cover the whole step. A nil Profile does nothing.
type Profile struct {
	last   time.Time
	phases []Phase
	next   int // index of the phase that should come next, as in the step before
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

// Reset sets all times to zero.
func (p *Profile) Reset() {
	if p != nil {
		for i := range p.phases {
			p.phases[i].Time = 0
		}
	}
}

// Phases returns the phases in the order of their first occurrence. The caller
// must not change the slice.
func (p *Profile) Phases() []Phase { return p.phases }
