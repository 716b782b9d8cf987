package main

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/tensor"
)

// flag is a setting that a flag gives.
type flag struct {
	name  string
	value reflect.Value
}

// flags returns those of s that flags give.
func flags(s *settings) iter.Seq[flag] {
	return func(yield func(flag) bool) {
		v := reflect.ValueOf(s).Elem()
		for i := range v.NumField() {
			if name := v.Type().Field(i).Tag.Get("name"); name != "" {
				if !yield(flag{name, v.Field(i)}) {
					return
				}
			}
		}
	}
}

// copyGiven sets in dst what was given on the command line to what src has.
func copyGiven(dst, src *settings, given map[string]bool) {
	next, stop := iter.Pull(flags(src))
	defer stop()
	for f := range flags(dst) {
		if from, _ := next(); given[f.name] {
			f.value.Set(from.value)
		}
	}
}

// recipes are settings that were found to do well.
var recipes = map[string]func(*trainCmd){
	"mnist": func(c *trainCmd) {
		c.Hidden = "1024"
		c.Dropout, c.Shift, c.Smoothing = 0.2, 1, 0.05
		c.Optimizer, c.LR, c.WeightDecay, c.BiasDecay = "adamw", 0.003, 0.1, false
		c.Schedule, c.Epochs = "onecycle", 12
	},
}

// recipeNames returns the names of the recipes, for people.
func recipeNames() string { return strings.Join(slices.Sorted(maps.Keys(recipes)), ", ") }

// steps is a range of steps, counted from 0; the zero value is none.
type steps struct{ from, to int64 }

// UnmarshalText parses 100, 100-102 or 100-.
func (s *steps) UnmarshalText(text []byte) error {
	first, last, isRange := strings.Cut(string(text), "-")
	var err, err2 error
	s.from, err = strconv.ParseInt(first, 10, 64)
	switch {
	case !isRange:
		s.to = s.from + 1
	case last == "":
		s.to = math.MaxInt64
	default:
		s.to, err2 = strconv.ParseInt(last, 10, 64)
		s.to++
	}
	if err != nil || err2 != nil || s.from < 0 || s.to <= s.from {
		return fmt.Errorf("%q: want steps such as 100, 100-102 or 100-", text)
	}
	return nil
}

// MarshalText is the inverse of UnmarshalText; the zero value is "".
func (s steps) MarshalText() ([]byte, error) {
	switch {
	case s.to == 0:
		return nil, nil
	case s.to == math.MaxInt64:
		return fmt.Appendf(nil, "%d-", s.from), nil
	}
	return fmt.Appendf(nil, "%d-%d", s.from, s.to-1), nil
}

// inject returns what makes the gradients of these steps overflow; nil for none.
func (s steps) inject() func(step int64, dlogits *tensor.Tensor) {
	if s.to == 0 {
		return nil
	}
	return func(step int64, dlogits *tensor.Tensor) {
		if step < s.from || step >= s.to {
			return
		}
		inf := []float32{float32(math.Inf(1))}
		if dlogits.DType() == tensor.F32 {
			copy(dlogits.F32(), inf)
		} else {
			fp16.Narrow(dlogits.F16()[:1], inf)
		}
	}
}
