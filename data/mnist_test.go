package data_test

import (
	"math"
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/internal/datatest"
)

// What is known of the real MNIST: http://yann.lecun.com/exdb/mnist for the
// counts, and the mean and deviation that everyone standardises by.
func TestMNIST(t *testing.T) {
	mnist := datatest.MNIST(t)
	if mnist.Train.N != 60000 || mnist.Test.N != 10000 || mnist.Train.H != 28 || mnist.Train.W != 28 {
		t.Fatalf("%d and %d images of %d×%d", mnist.Train.N, mnist.Test.N, mnist.Train.H, mnist.Train.W)
	}
	histogram := func(labels []int32) []int {
		counts := make([]int, 10)
		for _, label := range labels {
			counts[label]++
		}
		return counts
	}
	if got, want := histogram(mnist.Train.Labels), []int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}; !slices.Equal(got, want) {
		t.Errorf("training images per digit: %v, want %v", got, want)
	}
	if got, want := histogram(mnist.Test.Labels), []int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}; !slices.Equal(got, want) {
		t.Errorf("test images per digit: %v, want %v", got, want)
	}
	if got, want := mnist.Train.Labels[:10], []int32{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}; !slices.Equal(got, want) {
		t.Errorf("the first labels are %v, want %v", got, want)
	}
	if got, want := mnist.Test.Labels[:10], []int32{7, 2, 1, 0, 4, 1, 4, 9, 5, 9}; !slices.Equal(got, want) {
		t.Errorf("the first test labels are %v, want %v", got, want)
	}
	mean, std := mnist.Train.MeanStd()
	if math.Abs(float64(mean)-0.1307) > 5e-5 || math.Abs(float64(std)-0.3081) > 5e-5 {
		t.Errorf("mean %v and std %v, want 0.1307 and 0.3081", mean, std)
	}
}
