package main

import (
	"math"
	"testing"
)

func TestSlopes(t *testing.T) {
	numeric, computed, err := slopes()
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(numeric-computed) > 1e-3 || computed == 0 {
		t.Errorf("the derivative is %v by differences, and %v by Backward", numeric, computed)
	}
}
