package lossscale

import (
	"errors"
	"fmt"
)

// Mode says how the scale is chosen.
type Mode string

// The modes.
const (
	Dynamic Mode = "dynamic" // it follows the gradients
	Static  Mode = "static"  // it stays at Config.Initial
	Off     Mode = "off"     // it is 1
)

// Config holds the settings of a [Scaler]. [Default] has the usual ones.
type Config struct {
	Mode Mode `json:"mode"`

	// Initial is the scale to begin with.
	Initial float32 `json:"initial"`

	// Growth multiplies the scale after Interval clean steps in a row.
	Growth   float32 `json:"growth"`
	Interval int     `json:"interval"`

	// Backoff multiplies the scale after an overflow.
	Backoff float32 `json:"backoff"`

	// Floor and Ceiling bound the scale. A floor of 1 is too high for a model
	// whose unscaled gradients overflow: it would skip every step for ever
	// (keras#16100, tensorflow#38357, DeepSpeed#697).
	Floor   float32 `json:"floor"`
	Ceiling float32 `json:"ceiling"`

	// Hysteresis is how many overflows in a row it takes to lower the scale.
	// With 1, every overflow lowers it. With h, the first h−1 of a row do not,
	// and each further one of the row does. Any clean step ends the row.
	//
	// Other programs define the word differently: Megatron-LM's documentation
	// says "in a row", but its code forgives overflows only when the scale grows.
	Hysteresis int `json:"hysteresis"`

	// Patience is the number of skipped steps in a row that ends a run, where the
	// scale cannot be lowered because it is at the floor or not dynamic.
	// [Scaler.Update] then returns a [*DivergedError].
	Patience int `json:"patience"`
}

// Default returns the defaults: a dynamic scale as in torch.amp.GradScaler, with a floor
// and a ceiling in addition.
func Default() Config {
	return Config{
		Mode:    Dynamic,
		Initial: 1 << 16,
		Growth:  2, Interval: 2000,
		Backoff: 0.5,
		Floor:   1.0 / (1 << 14), // at which a gradient of 1 is the smallest normal fp16 number
		Ceiling: 1 << 24,

		Hysteresis: 1,
		Patience:   20,
	}
}

// extreme bounds every scale: from 2⁻⁶⁴ to 2⁶⁴ both the scale and its
// reciprocal are far from the limits of fp32.
const extreme = 1 << 64

// Validate returns an error that names each setting that is out of its range.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, name string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("lossscale: %s is %v: want %s", name, value, want))
		}
	}
	check(c.Mode == Dynamic || c.Mode == Static || c.Mode == Off, "the mode", fmt.Sprintf("%q", c.Mode), "dynamic, static or off")
	check(c.Initial >= 1.0/extreme && c.Initial <= extreme, "the initial scale", c.Initial, "a number from 2^-64 to 2^64")
	check(c.Patience >= 1, "the patience", c.Patience, "at least 1")
	if c.Mode == Dynamic {
		check(c.Growth > 1 && c.Growth <= extreme, "the growth factor", c.Growth, "more than 1 and at most 2^64")
		check(c.Backoff > 0 && c.Backoff < 1, "the backoff factor", c.Backoff, "more than 0 and less than 1")
		check(c.Interval >= 1, "the growth interval", c.Interval, "at least 1")
		check(c.Hysteresis >= 1, "the hysteresis", c.Hysteresis, "at least 1")
		check(c.Floor >= 1.0/extreme && c.Floor <= c.Initial, "the floor", c.Floor, fmt.Sprintf("from 2^-64 to the initial scale, %v", c.Initial))
		check(c.Ceiling >= c.Initial && c.Ceiling <= extreme, "the ceiling", c.Ceiling, fmt.Sprintf("from the initial scale, %v, to 2^64", c.Initial))
	}
	return errors.Join(errs...)
}
