package main

import (
	"testing"

	"github.com/halfgrad/halfgrad/kernels"
)

// The network learns, and has the same weights on every tier, with any number of threads,
// and for 1, 2, 3 and 7 parts of a batch.
func TestNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it trains ten networks")
	}
	var want string
	for _, tier := range kernels.Supported() {
		for i, part := range []int{0, 32, 22, 10} {
			accuracy, hash, err := train(kernels.Config{Kernel: tier, Threads: 1 + i%3}, part)
			if err != nil {
				t.Fatal(err)
			}
			if want == "" {
				want = hash
			}
			if accuracy < 0.95 || hash != want {
				t.Errorf("%s, by %d: accuracy %v, weights %s, want %s", tier, part, accuracy, hash, want)
			}
		}
	}
}
