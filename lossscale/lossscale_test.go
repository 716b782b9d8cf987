package lossscale_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/lossscale"
)

var (
	inf = float32(math.Inf(1))
	nan = float32(math.NaN())
)

func newScaler(t testing.TB, change func(*lossscale.Config)) *lossscale.Scaler {
	t.Helper()
	cfg := lossscale.Default()
	if change != nil {
		change(&cfg)
	}
	s, err := lossscale.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// window runs one window whose only gradient is g, and returns its event.
func window(t testing.TB, s *lossscale.Scaler, g float32) (lossscale.Event, error) {
	t.Helper()
	first, err := s.Unscale([]float32{1, g})
	if err != nil {
		t.Fatal(err)
	}
	if s.Overflowed() != (first >= 0) {
		t.Fatalf("Overflowed is %v, Unscale returned %d", s.Overflowed(), first)
	}
	if !s.Overflowed() {
		if err := s.Stepped(); err != nil {
			t.Fatal(err)
		}
	}
	return s.Update()
}

// The update rule of torch.amp.GradScaler, as published in its documentation
// and in aten/src/ATen/native/cuda/AmpKernels.cu, amp_update_scale:
//
//	if found_inf: scale *= backoff; tracker = 0
//	else if tracker + 1 == interval: grow, if the result is finite; tracker = 0
//	else: tracker += 1
//
// Each row was worked out by hand from that. 'x' is a window that overflows,
// '.' one that does not. The (scale, tracker) after each follow.
func TestGradScalerSemantics(t *testing.T) {
	type after struct {
		scale   float32
		tracker int
	}
	for _, c := range []struct {
		name     string
		interval int
		growth   float32
		backoff  float32
		initial  float32
		windows  string
		want     []after
	}{
		{"grows every interval clean windows", 3, 2, 0.5, 1024, ".......",
			[]after{{1024, 1}, {1024, 2}, {2048, 0}, {2048, 1}, {2048, 2}, {4096, 0}, {4096, 1}}},
		{"an overflow starts the count again", 3, 2, 0.5, 1024, "..x...",
			[]after{{1024, 1}, {1024, 2}, {512, 0}, {512, 1}, {512, 2}, {1024, 0}}},
		{"every overflow backs off", 3, 2, 0.5, 1024, "xxx.x",
			[]after{{512, 0}, {256, 0}, {128, 0}, {128, 1}, {64, 0}}},
		{"an interval of one grows each time", 1, 2, 0.5, 8, "..x.",
			[]after{{16, 0}, {32, 0}, {16, 0}, {32, 0}}},
		{"an overflow where it would have grown", 2, 2, 0.5, 8, ".x..",
			[]after{{8, 1}, {4, 0}, {4, 1}, {8, 0}}},
		{"other factors", 2, 4, 0.25, 16, "..x.x",
			[]after{{16, 1}, {64, 0}, {16, 0}, {16, 1}, {4, 0}}},
		{"the defaults", 2000, 2, 0.5, 65536, "x.",
			[]after{{32768, 0}, {32768, 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScaler(t, func(cfg *lossscale.Config) {
				cfg.Interval, cfg.Growth, cfg.Backoff, cfg.Initial = c.interval, c.growth, c.backoff, c.initial
				cfg.Floor, cfg.Ceiling = 1.0/(1<<60), 1<<60 // GradScaler has none
			})
			for i, w := range c.windows {
				old := s.Scale()
				g := float32(1)
				if w == 'x' {
					g = inf
				}
				e, err := window(t, s, g)
				if err != nil {
					t.Fatal(err)
				}
				if got := (after{s.Scale(), s.State().Clean}); got != c.want[i] {
					t.Fatalf("after window %d of %q: scale and tracker %v, want %v", i, c.windows, got, c.want[i])
				}
				if e.Old != old || e.New != s.Scale() || e.Overflow() != (w == 'x') || e.CleanSteps != c.want[i].tracker {
					t.Errorf("window %d: event %+v", i, e)
				}
			}
		})
	}
}

func TestDefaultsAreDocumentedOnes(t *testing.T) { // DeepSpeed#1022: documentation and defaults disagree
	got := newScaler(t, nil).Config()
	want := lossscale.Config{
		Mode: lossscale.Dynamic, Initial: 65536, Growth: 2, Interval: 2000, Backoff: 0.5,
		Floor: 0x1p-14, Ceiling: 16777216, Hysteresis: 1, Patience: 20,
	}
	if got != want {
		t.Errorf("defaults %+v, want %+v", got, want)
	}
}

func TestOrder(t *testing.T) {
	type call struct {
		name string
		do   func(*lossscale.Scaler) error
	}
	clean := call{"Unscale", func(s *lossscale.Scaler) error { _, err := s.Unscale([]float32{1}); return err }}
	bad := call{"Unscale", func(s *lossscale.Scaler) error { _, err := s.Unscale([]float32{inf}); return err }}
	checked := call{"Checked", func(s *lossscale.Scaler) error { return s.Checked(false) }}
	found := call{"Checked", func(s *lossscale.Scaler) error { return s.Checked(true) }}
	step := call{"Stepped", (*lossscale.Scaler).Stepped}
	update := call{"Update", func(s *lossscale.Scaler) error { _, err := s.Update(); return err }}
	for _, c := range []struct {
		name  string
		calls []call // the last of which is wrong
	}{
		{"step before unscaling", []call{step}},
		{"update before unscaling", []call{update}},
		{"unscale twice", []call{clean, clean}},
		{"unscale after the step", []call{clean, step, clean}},
		{"step twice", []call{clean, step, step}},
		{"step after an overflow", []call{bad, step}},
		{"check after unscaling", []call{clean, checked}},
		{"unscale after a check", []call{checked, clean}},
		{"step after an overflow was found", []call{found, step}},
		{"update twice", []call{clean, step, update, update}},
		{"step after the update", []call{clean, step, update, step}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScaler(t, nil)
			for i, call := range c.calls {
				err := call.do(s)
				if i < len(c.calls)-1 {
					if err != nil {
						t.Fatal(err)
					}
					continue
				}
				var order *lossscale.OrderError
				if !errors.As(err, &order) || order.Call != call.name {
					t.Errorf("error %v, want an *OrderError of %s", err, call.name)
				}
			}
		})
	}
	for _, calls := range [][]call{{clean, step, update, clean, step, update}, {bad, update, clean, step, update}, {clean, update}, {checked, step, update, found, update, checked, update}} {
		s := newScaler(t, nil)
		for i, call := range calls {
			if err := call.do(s); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
	}
}

// Checked and Unscale lead to the same scale.
func TestChecked(t *testing.T) {
	looked, told := newScaler(t, nil), newScaler(t, nil)
	for i, overflow := range []bool{true, false, true, true, false} {
		if got, want := told.Inverse(), 1/told.Scale(); got != want {
			t.Errorf("Inverse = %g, want %g", got, want)
		}
		grad := []float32{1}
		if overflow {
			grad[0] = inf
		}
		if _, err := looked.Unscale(grad); err != nil {
			t.Fatal(err)
		}
		if err := told.Checked(overflow); err != nil {
			t.Fatal(err)
		}
		if told.Overflowed() != overflow {
			t.Errorf("window %d: Overflowed = %v", i, !overflow)
		}
		a, _ := looked.Update()
		b, _ := told.Update()
		if a != b {
			t.Errorf("window %d: %+v, want %+v", i, b, a)
		}
	}
}

func TestUnscale(t *testing.T) {
	s := newScaler(t, func(c *lossscale.Config) { c.Initial = 1024 })
	a := []float32{1024, -512, 0, float32(math.Copysign(0, -1)), math.MaxFloat32, math.SmallestNonzeroFloat32}
	b := []float32{3}
	if first, err := s.Unscale(a, nil, b); first != -1 || err != nil {
		t.Fatalf("Unscale = %d, %v", first, err)
	}
	want := []float32{1, -0.5, 0, float32(math.Copysign(0, -1)), math.MaxFloat32 / 1024, 0}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(want[i]) {
			t.Errorf("a[%d] = %g, want %g", i, a[i], want[i])
		}
	}
	if b[0] != 3.0/1024 {
		t.Errorf("b = %v", b)
	}
	for _, bad := range []float32{inf, -inf, nan, -nan} {
		for at := range 5 {
			s := newScaler(t, nil)
			g := []float32{1, 2, 3, 4, 5}
			g[at] = bad
			if first, _ := s.Unscale([]float32{1}, g, []float32{bad}); first != 1 || !s.Overflowed() {
				t.Errorf("%g at %d: Unscale = %d, want 1", bad, at, first)
			}
		}
	}
}

func TestHysteresis(t *testing.T) {
	s := newScaler(t, func(c *lossscale.Config) { c.Initial, c.Hysteresis = 1024, 3 })
	for i, c := range []struct {
		g     float32
		cause lossscale.Cause
		scale float32
		left  int
	}{
		{inf, lossscale.Tolerated, 1024, 1}, {inf, lossscale.Tolerated, 1024, 0}, {inf, lossscale.BackedOff, 512, 0},
		{inf, lossscale.BackedOff, 256, 0}, {1, lossscale.Clean, 256, 2}, {inf, lossscale.Tolerated, 256, 1},
		{1, lossscale.Clean, 256, 2}, {inf, lossscale.Tolerated, 256, 1}, {inf, lossscale.Tolerated, 256, 0}, {inf, lossscale.BackedOff, 128, 0},
	} {
		e, err := window(t, s, c.g)
		if err != nil || e.Cause != c.cause || e.New != c.scale || e.HysteresisLeft != c.left {
			t.Errorf("window %d: %+v, %v; want %+v", i, e, err, c)
		}
	}
}

func TestStaticAndOff(t *testing.T) {
	for mode, scale := range map[lossscale.Mode]float32{lossscale.Static: 65536, lossscale.Off: 1} {
		s := newScaler(t, func(c *lossscale.Config) { c.Mode, c.Interval, c.Patience = mode, 1, 3 })
		for i, g := range []float32{1, 1, inf, 1, inf, inf} {
			e, err := window(t, s, g)
			if err != nil || s.Scale() != scale || e.New != scale || e.Overflow() != (g == inf) {
				t.Errorf("%s, window %d: scale %g, event %+v, error %v", mode, i, s.Scale(), e, err)
			}
		}
		_, err := window(t, s, nan)
		var diverged *lossscale.DivergedError
		if !errors.As(err, &diverged) || diverged.Skips != 3 || diverged.Mode != mode || !strings.Contains(err.Error(), "fixed at") {
			t.Errorf("%s: a third overflow in a row: error %v", mode, err)
		}
	}
}

// Apex: the scale decays to 0, and the next step divides by it.
func TestPitfallScaleDecaysToZero(t *testing.T) {
	s := newScaler(t, func(c *lossscale.Config) { c.Patience = 5 })
	var err error
	windows := 0
	for ; err == nil && windows < 1000; windows++ {
		_, err = window(t, s, inf)
	}
	var diverged *lossscale.DivergedError
	if !errors.As(err, &diverged) {
		t.Fatalf("after %d overflows: error %v", windows, err)
	}
	if windows != 30+5 { // 2¹⁶ down to 2⁻¹⁴, then the patience
		t.Errorf("%d overflows until the error, want 35", windows)
	}
	if s.Scale() != 0x1p-14 || diverged.Scale != s.Scale() || diverged.Skips != 5 {
		t.Errorf("the scale is %g, the error %+v", s.Scale(), diverged)
	}
	// The scaler goes on: after a clean step the count starts again.
	if _, err := window(t, s, 1); err != nil {
		t.Errorf("a clean window: %v", err)
	}
	if _, err := window(t, s, inf); err != nil {
		t.Errorf("the first overflow after it: %v", err)
	}
}

// keras#16100, tensorflow#38357, DeepSpeed#697: a floor of 1 skips for ever if the
// gradients fit fp16 only below it.
func TestPitfallFloorOfOne(t *testing.T) {
	gradient := func(scale float32) float32 { // overflows unless the scale is 1/8 or less
		if scale > 1.0/8 {
			return inf
		}
		return 1
	}
	s := newScaler(t, nil)
	for range 40 {
		if _, err := window(t, s, gradient(s.Scale())); err != nil {
			t.Fatal(err)
		}
	}
	if s.Scale() != 1.0/8 {
		t.Errorf("the scale settled at %g, want 1/8", s.Scale())
	}
	high := newScaler(t, func(c *lossscale.Config) { c.Floor = 1 })
	var err error
	for i := 0; i < 100 && err == nil; i++ {
		_, err = window(t, high, gradient(high.Scale()))
	}
	if err == nil {
		t.Error("with a floor of 1 it skips for ever and does not say so")
	}
}

// pytorch#98828: the scale grows to infinity.
func TestPitfallScaleGrowsToInfinity(t *testing.T) {
	s := newScaler(t, func(c *lossscale.Config) { c.Interval = 1 })
	for range 300 {
		if _, err := window(t, s, 0); err != nil {
			t.Fatal(err)
		}
	}
	if s.Scale() != 1<<24 {
		t.Errorf("the scale is %g, want the ceiling, 2^24", s.Scale())
	}
	odd := newScaler(t, func(c *lossscale.Config) { c.Interval, c.Initial, c.Ceiling = 1, 1024, 1500 })
	if e, _ := window(t, odd, 0); e.Cause != lossscale.Grown || e.New != 1500 {
		t.Errorf("a ceiling between two powers: %+v", e)
	}
	if e, _ := window(t, odd, 0); e.Cause != lossscale.Clean || e.New != 1500 {
		t.Errorf("at the ceiling: %+v", e)
	}
}

// pytorch#99640: the scaled gradient is finite, but not after the division.
func TestPitfallUnscaledOverflows(t *testing.T) {
	s := newScaler(t, func(c *lossscale.Config) { c.Initial = 1.0 / 1024 })
	g := []float32{1, math.MaxFloat32 / 512}
	if first, _ := s.Unscale(g); first != 0 {
		t.Errorf("%g divided by 1/1024 is %g, and passed", float32(math.MaxFloat32/512), g[1])
	}
	// The reverse: a gradient close to the limit of fp32 is in range when divided.
	s = newScaler(t, nil)
	if first, _ := s.Unscale([]float32{math.MaxFloat32}); first != -1 {
		t.Error("MaxFloat32 divided by 65536 counts as an overflow")
	}
}

// Apex and DeepSpeed look for overflow in a sum, which overflows for finite gradients.
func TestPitfallSumOverflows(t *testing.T) {
	s := newScaler(t, func(c *lossscale.Config) { c.Mode = lossscale.Off })
	g := slices.Repeat([]float32{math.MaxFloat32}, 64)
	if first, _ := s.Unscale(g); first != -1 {
		t.Error("64 finite gradients whose sum is infinite count as an overflow")
	}
	// Infinities of both signs must not cancel.
	s = newScaler(t, nil)
	if first, _ := s.Unscale([]float32{inf, -inf}); first != 0 {
		t.Error("+Inf and −Inf passed")
	}
}

// apex#237, #374: the scale changes within an accumulation window.
func TestPitfallScaleChangesWithinWindow(t *testing.T) {
	s := newScaler(t, func(c *lossscale.Config) { c.Interval = 1 })
	scale := s.Scale()
	if _, err := s.Unscale([]float32{inf}); err != nil {
		t.Fatal(err)
	}
	if s.Scale() != scale {
		t.Error("Unscale changed the scale")
	}
	if e, _ := s.Update(); e.Old != scale || s.Scale() != scale/2 {
		t.Errorf("Update: %+v", e)
	}
}

// accelerate#4289, fairseq2#1346, transformers PR 11663: the scaler is not in
// the checkpoint, or not yet made when it is saved.
func TestPitfallStateIsNotSaved(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	draw := func() float32 {
		if rng.IntN(4) == 0 {
			return inf
		}
		return 1
	}
	change := func(c *lossscale.Config) { c.Interval, c.Hysteresis, c.Patience = 3, 2, 1000 }
	for stop := range 60 { // 0: before the first window
		whole := newScaler(t, change)
		for range stop {
			if _, err := window(t, whole, draw()); err != nil {
				t.Fatal(err)
			}
		}
		b, err := json.Marshal(whole.State())
		if err != nil {
			t.Fatal(err)
		}
		var st lossscale.State
		if err := json.Unmarshal(b, &st); err != nil {
			t.Fatal(err)
		}
		resumed := newScaler(t, nil) // other settings: the saved ones win
		if err := resumed.Restore(st); err != nil {
			t.Fatal(err)
		}
		if resumed.Config() != whole.Config() {
			t.Fatalf("settings %+v after Restore, want %+v", resumed.Config(), whole.Config())
		}
		for i := range 60 {
			g := draw()
			a, errA := window(t, whole, g)
			b, errB := window(t, resumed, g)
			if a != b || errA != nil || errB != nil {
				t.Fatalf("saved after %d windows, %d later: %+v, %v; without a break %+v, %v", stop, i, b, errB, a, errA)
			}
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	good := newScaler(t, nil).State()
	for name, change := range map[string]func(*lossscale.State){
		"no settings":         func(st *lossscale.State) { *st = lossscale.State{} },
		"scale of zero":       func(st *lossscale.State) { st.Scale = 0 },
		"scale of NaN":        func(st *lossscale.State) { st.Scale = nan },
		"scale above ceiling": func(st *lossscale.State) { st.Scale = 1 << 25 },
		"negative count":      func(st *lossscale.State) { st.Clean = -1 },
		"more stuck than bad": func(st *lossscale.State) { st.Stuck = 1 },
		"off with a scale":    func(st *lossscale.State) { st.Config.Mode = lossscale.Off },
	} {
		s := newScaler(t, nil)
		before := s.State()
		st := good
		change(&st)
		if err := s.Restore(st); err == nil || s.State() != before {
			t.Errorf("%s: error %v, state %+v", name, err, s.State())
		}
	}
}

// DeepSpeed PR 3008: "65536, reducing to 65536".
func TestPitfallConfusingEvents(t *testing.T) {
	for want, e := range map[string]lossscale.Event{
		"overflow: step skipped, scale 65536 → 32768":                             {Cause: lossscale.BackedOff, Old: 65536, New: 32768},
		"overflow: step skipped, scale stays 65536 (tolerates 1 more in a row)":   {Cause: lossscale.Tolerated, Old: 65536, New: 65536, HysteresisLeft: 1},
		"overflow: step skipped, scale stays 6.1035156e-05, it cannot be lowered": {Cause: lossscale.Stuck, Old: 0x1p-14, New: 0x1p-14},
		"no overflow for a while: scale 65536 → 131072":                           {Cause: lossscale.Grown, Old: 65536, New: 131072},
		"no overflow: scale stays 65536":                                          {Cause: lossscale.Clean, Old: 65536, New: 65536},
	} {
		if got := e.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for name, change := range map[string]func(*lossscale.Config){
		`the mode is "auto"`:        func(c *lossscale.Config) { c.Mode = "auto" },
		"the initial scale is 0":    func(c *lossscale.Config) { c.Initial = 0 },
		"the initial scale is NaN":  func(c *lossscale.Config) { c.Initial = nan },
		"the initial scale is +Inf": func(c *lossscale.Config) { c.Initial = inf },
		"the growth factor is 1":    func(c *lossscale.Config) { c.Growth = 1 },
		"the growth factor is NaN":  func(c *lossscale.Config) { c.Growth = nan },
		"the backoff factor is 1":   func(c *lossscale.Config) { c.Backoff = 1 },
		"the backoff factor is 0":   func(c *lossscale.Config) { c.Backoff = 0 },
		"the growth interval is 0":  func(c *lossscale.Config) { c.Interval = 0 },
		"the hysteresis is 0":       func(c *lossscale.Config) { c.Hysteresis = 0 },
		"the patience is 0":         func(c *lossscale.Config) { c.Patience = 0 },
		"the floor is 131072":       func(c *lossscale.Config) { c.Floor = 131072 },
		"the floor is 0":            func(c *lossscale.Config) { c.Floor = 0 },
		"the ceiling is 1024":       func(c *lossscale.Config) { c.Ceiling = 1024 },
		"the ceiling is +Inf":       func(c *lossscale.Config) { c.Ceiling = inf },
	} {
		cfg := lossscale.Default()
		change(&cfg)
		if _, err := lossscale.New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v does not say %q", err, name)
		}
	}
	// The other modes ignore the settings of the dynamic mode.
	if _, err := lossscale.New(lossscale.Config{Mode: lossscale.Static, Initial: 128, Patience: 1}); err != nil {
		t.Error(err)
	}
}

// Whatever happens, the scale stays a power of two between floor and ceiling.
func FuzzScaler(f *testing.F) {
	f.Add([]byte{1, 2, 3, 250, 251, 252, 0, 0, 0}, uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, windows []byte, interval, hysteresis uint8) {
		s := newScaler(t, func(c *lossscale.Config) {
			c.Interval, c.Hysteresis = max(int(interval), 1), max(int(hysteresis), 1)
		})
		for _, w := range windows {
			g := float32(w)
			if w > 200 {
				g = []float32{inf, -inf, nan}[w%3]
			}
			old := s.Scale()
			e, err := window(t, s, g)
			scale := s.Scale()
			if frac, _ := math.Frexp(float64(scale)); frac != 0.5 || scale < s.Config().Floor || scale > s.Config().Ceiling {
				t.Fatalf("the scale is %g", scale)
			}
			if e.Old != old || e.New != scale || e.Overflow() != (w > 200) {
				t.Fatalf("event %+v of a window from %g to %g", e, old, scale)
			}
			if scale < old != (e.Cause == lossscale.BackedOff) || scale > old != (e.Cause == lossscale.Grown) {
				t.Fatalf("cause %q from %g to %g", e.Cause, old, scale)
			}
			if err != nil && (e.Cause != lossscale.Stuck || scale != s.Config().Floor) {
				t.Fatalf("error %v at the scale %g", err, scale)
			}
		}
	})
}

func Example() {
	scaler, err := lossscale.New(lossscale.Default())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, overflow := range []bool{false, true, false} {
		// The backward pass leaves gradients times the scale.
		grad := []float32{0.5 * scaler.Scale()}
		if overflow {
			grad[0] = float32(math.Inf(1))
		}
		if _, err := scaler.Unscale(grad); err != nil {
			fmt.Println(err)
			return
		}
		if !scaler.Overflowed() {
			fmt.Println("step with", grad)
			if err := scaler.Stepped(); err != nil {
				fmt.Println(err)
				return
			}
		}
		event, err := scaler.Update()
		fmt.Println(event, err)
	}
	// Output:
	// step with [0.5]
	// no overflow: scale stays 65536 <nil>
	// overflow: step skipped, scale 65536 → 32768 <nil>
	// step with [0.5]
	// no overflow: scale stays 32768 <nil>
}
