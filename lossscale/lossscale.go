// Package lossscale keeps small gradients alive in fp16: its state machine chooses
// the factor of the loss.
//
// The smallest fp16 number is 2⁻²⁴, and many gradients are smaller. So the gradient
// of the loss is multiplied by a scale before it is propagated, and the gradients of
// the parameters, which are fp32, are divided by it. Too small a scale rounds
// gradients to zero. Too large a scale makes infinities. A dynamic scale adapts: it
// grows now and then, and when a step overflows, that step is skipped and the
// scale backs off (Micikevicius et al., "Mixed Precision Training", ICLR 2018).
//
// The package multiplies and checks gradients. It does not run a model, hold
// an optimizer, or skip steps itself.
//
// A window is one step, with all batches whose gradients it accumulates. It goes
//
//	READY ── Unscale ──► UNSCALED ── Stepped ──► STEPPED
//	  ▲                     │                      │
//	  └────────── Update ───┴──────────────────────┘
//
// with Checked instead of Unscale for callers that check the gradients themselves and
// divide them later. Any other order is an [*OrderError]: unscaling twice, stepping
// after an overflow, updating in the middle of a window.
package lossscale

import (
	"fmt"
	"math"
)

// Scaler is the state machine. It is not safe for concurrent use.
type Scaler struct {
	cfg   Config
	scale float32
	clean int // steps without overflow since the scale last changed
	row   int // overflows in a row
	stuck int // overflows in a row while the scale could not be lowered

	phase    phase
	overflow bool // in the current window
}

type phase string

const (
	ready    phase = "ready"
	unscaled phase = "unscaled"
	stepped  phase = "stepped"
)

// OrderError reports a call out of order.
type OrderError struct {
	Call  string // what was called
	State string // the state it was called in
}

func (e *OrderError) Error() string {
	return fmt.Sprintf("lossscale: %s called in the state %q: the order is Unscale or Checked, then Stepped unless there was an overflow, then Update", e.Call, e.State)
}

// DivergedError reports that the gradients keep overflowing while the scale
// cannot be lowered. The cause is the model, the learning rate or the data.
type DivergedError struct {
	Mode  Mode
	Scale float32
	Skips int // in a row at this scale
}

func (e *DivergedError) Error() string {
	if e.Mode == Dynamic {
		return fmt.Sprintf("lossscale: the gradients overflowed %d times in a row with the scale at its floor, %v", e.Skips, e.Scale)
	}
	return fmt.Sprintf("lossscale: the gradients overflowed %d times in a row; the scale is fixed at %v", e.Skips, e.Scale)
}

// New returns a scaler in its initial state. The error is that of
// [Config.Validate].
func New(cfg Config) (*Scaler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Scaler{cfg: cfg, scale: cfg.Initial, phase: ready}
	if cfg.Mode == Off {
		s.scale = 1
	}
	return s, nil
}

// Config returns the settings: those of New, or of the last [Scaler.Restore].
func (s *Scaler) Config() Config { return s.cfg }

// Scale returns the factor for the loss, or for its gradient. Only Update and Restore
// change it.
func (s *Scaler) Scale() float32 { return s.scale }

// Inverse returns 1/Scale, the factor that unscales a gradient.
func (s *Scaler) Inverse() float32 { return 1 / s.scale }

// Checked replaces Unscale for a caller that has checked the gradients itself and
// leaves the division to the optimizer, which saves a pass over the weights. overflow
// is whether any gradient, multiplied by Inverse, is infinite or NaN.
//
// The error is an [*OrderError] if the window's gradients have been unscaled or
// checked before.
func (s *Scaler) Checked(overflow bool) error {
	if s.phase != ready {
		return &OrderError{"Checked", string(s.phase)}
	}
	s.phase, s.overflow = unscaled, overflow
	return nil
}

// Unscale divides all gradients of a window by the scale, in place, and looks
// for infinities and NaNs in the result, element by element. It returns the
// index of the first slice that has one, or −1.
//
// The check follows the division, because a finite gradient divided by a
// scale below 1 can overflow (pytorch#99640). It looks at every element's
// exponent instead of a sum, because a sum of finite gradients can overflow.
// The division is a multiplication by the reciprocal, which is exact for
// powers of two. Mode Off checks too, because gradients can overflow at any scale.
//
// The error is an [*OrderError] if the window's gradients have been unscaled or checked
// before. They are then not changed.
func (s *Scaler) Unscale(grads ...[]float32) (first int, err error) {
	if s.phase != ready {
		return -1, &OrderError{"Unscale", string(s.phase)}
	}
	s.phase = unscaled
	first = -1
	inverse := s.Inverse()
	for i, grad := range grads {
		if !unscale(grad, inverse) && first < 0 {
			first = i
		}
	}
	s.overflow = first >= 0
	return first, nil
}

// unscale multiplies grad by inverse and returns whether all of it is finite.
func unscale(grad []float32, inverse float32) bool {
	const exponent = 0x7f800000
	finite := true
	for i, g := range grad {
		g *= inverse
		grad[i] = g
		if math.Float32bits(g)&exponent == exponent {
			finite = false
		}
	}
	return finite
}

// Overflowed returns whether some gradient of the current window is not finite, so that
// its step must be skipped.
func (s *Scaler) Overflowed() bool { return s.overflow }

// Stepped notes that the optimizer has taken its step. The error is an
// [*OrderError] if the gradients were not unscaled, overflowed, or were
// stepped with before.
func (s *Scaler) Stepped() error {
	if s.phase != unscaled || s.overflow {
		state := string(s.phase)
		if s.overflow {
			state += ", overflowed"
		}
		return &OrderError{"Stepped", state}
	}
	s.phase = stepped
	return nil
}

// Cause says why the scale did what it did.
type Cause string

// The causes.
const (
	Clean     Cause = "clean"      // no overflow: the scale stays
	Grown     Cause = "grown"      // enough clean steps: the scale grows, up to the ceiling
	Tolerated Cause = "tolerated"  // an overflow that the hysteresis forgives: the scale stays
	BackedOff Cause = "backed off" // an overflow: the scale falls, down to the floor
	Stuck     Cause = "stuck"      // an overflow at a scale that cannot fall
)

// Event says what an update did to the scale.
type Event struct {
	Cause          Cause
	Old, New       float32 // the scale of the window that ended, and that of the next
	CleanSteps     int     // in a row, towards the next growth
	OverflowsInRow int
	HysteresisLeft int // overflows in a row that would still be tolerated
}

// Overflow returns whether the window overflowed.
func (e Event) Overflow() bool {
	return e.Cause == Tolerated || e.Cause == BackedOff || e.Cause == Stuck
}

// String returns the event in a few words, such as
// "overflow: step skipped, scale 65536 → 32768".
func (e Event) String() string {
	switch e.Cause {
	case Grown:
		return fmt.Sprintf("no overflow for a while: scale %v → %v", e.Old, e.New)
	case Tolerated:
		return fmt.Sprintf("overflow: step skipped, scale stays %v (tolerates %d more in a row)", e.New, e.HysteresisLeft)
	case BackedOff:
		return fmt.Sprintf("overflow: step skipped, scale %v → %v", e.Old, e.New)
	case Stuck:
		return fmt.Sprintf("overflow: step skipped, scale stays %v, it cannot be lowered", e.New)
	}
	return fmt.Sprintf("no overflow: scale stays %v", e.New)
}

// Update ends a window and sets the scale for the next. The error is an
// [*OrderError] before Unscale, and a [*DivergedError] if this overflow is at least
// the Patience-th in a row that could not lower the scale.
func (s *Scaler) Update() (Event, error) {
	if s.phase == ready {
		return Event{}, &OrderError{"Update", string(s.phase)}
	}
	e := Event{Cause: Clean, Old: s.scale}
	if s.overflow {
		s.clean = 0
		s.row++
		e.Cause = s.backOff()
	} else {
		s.row, s.stuck = 0, 0
		s.clean++
		if s.cfg.Mode == Dynamic && s.clean >= s.cfg.Interval {
			s.clean = 0
			if s.scale < s.cfg.Ceiling {
				s.scale = min(s.scale*s.cfg.Growth, s.cfg.Ceiling)
				e.Cause = Grown
			}
		}
	}
	e.New, e.CleanSteps, e.OverflowsInRow = s.scale, s.clean, s.row
	if s.cfg.Mode == Dynamic {
		e.HysteresisLeft = max(s.cfg.Hysteresis-1-s.row, 0)
	}
	s.phase, s.overflow = ready, false
	if e.Cause == Stuck && s.stuck >= s.cfg.Patience {
		return e, &DivergedError{s.cfg.Mode, s.scale, s.stuck}
	}
	return e, nil
}

// backOff lowers the scale, if it can be lowered and the hysteresis is used up.
func (s *Scaler) backOff() Cause {
	switch {
	case s.cfg.Mode == Dynamic && s.row < s.cfg.Hysteresis:
		return Tolerated
	case s.cfg.Mode == Dynamic && s.scale > s.cfg.Floor:
		s.scale = max(s.scale*s.cfg.Backoff, s.cfg.Floor)
		return BackedOff
	}
	s.stuck++
	return Stuck
}

// State is the complete state of a scaler between two windows, with its settings, so that
// a continued run keeps them.
type State struct {
	Config Config  `json:"config"`
	Scale  float32 `json:"scale"`
	Clean  int     `json:"clean_steps"`
	Row    int     `json:"overflows_in_row"`
	Stuck  int     `json:"overflows_stuck"`
}

// State returns the state between two windows, or before the first. It does not record
// the middle of a window.
func (s *Scaler) State() State { return State{s.cfg, s.scale, s.clean, s.row, s.stuck} }

// Restore makes s continue from st. The error says what in st is impossible. After an error
// s is as it was before.
func (s *Scaler) Restore(st State) error {
	if err := st.Config.Validate(); err != nil {
		return err
	}
	low, high := st.Config.Floor, st.Config.Ceiling
	switch st.Config.Mode {
	case Static:
		low, high = st.Config.Initial, st.Config.Initial
	case Off:
		low, high = 1, 1
	}
	if !(low <= st.Scale && st.Scale <= high) {
		return fmt.Errorf("lossscale: the state has a scale of %v: want one from %v to %v", st.Scale, low, high)
	}
	if st.Clean < 0 || st.Row < 0 || st.Stuck < 0 || st.Stuck > st.Row {
		return fmt.Errorf("lossscale: the state counts %d clean steps and %d overflows, %d of them stuck: want none negative, and no more stuck than overflows in a row",
			st.Clean, st.Row, st.Stuck)
	}
	*s = Scaler{cfg: st.Config, scale: st.Scale, clean: st.Clean, row: st.Row, stuck: st.Stuck, phase: ready}
	return nil
}
