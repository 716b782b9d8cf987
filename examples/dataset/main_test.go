package main

import "testing"

func TestSpirals(t *testing.T) {
	accuracy, err := train(spirals{points: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if accuracy < 0.97 { // a straight line gets about half of them right
		t.Errorf("%.3f of the points are on the right arm, want 0.97 at least", accuracy)
	}
}
