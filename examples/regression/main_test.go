package main

import "testing"

func TestFit(t *testing.T) {
	rmse, err := fit(40)
	if err != nil {
		t.Fatal(err)
	}
	if !(rmse < 0.05) { // the curve's own deviation is 0.9
		t.Errorf("an error of %v", rmse)
	}
}
