// Package datatest gives tests data to learn from: the real MNIST where the machine has
// it, and a small synthetic folder in the same form anywhere.
package datatest

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/internal/require"
)

// MNIST returns MNIST from the cache or from Go's module cache. If it is in neither, the
// test is skipped with a message on how to get it. If HALFGRAD_REQUIRE lists "mnist",
// MNIST is fetched from the network instead, and the test fails if that is not
// possible. Damaged files always fail the test.
//
// MNIST is loaded once per test binary. Callers share it and must not change it.
func MNIST(t testing.TB) *data.MNIST {
	t.Helper()
	required := require.Listed("mnist")
	load := loadOffline
	if required {
		load = loadOnline
	}
	mnist, err := load()
	check(t, err, required)
	return mnist
}

// check skips or fails the test for the error of a load.
func check(t testing.TB, err error, required bool) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, data.ErrUnavailable) && !required:
		t.Skipf("MNIST IS NOT HERE, and this test needs it. To get it: %s=mnist go test github.com/halfgrad/halfgrad/data\n%v", require.Env, err)
	default:
		t.Fatal(err)
	}
}

var (
	loadOffline = sync.OnceValues(func() (*data.MNIST, error) {
		return data.LoadMNIST(context.Background(), data.Source{Offline: true})
	})
	loadOnline = sync.OnceValues(func() (*data.MNIST, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		return data.LoadMNIST(ctx, data.Source{})
	})
)

// Folder writes a small data set as [Write] does to a temporary folder of the test and
// returns the folder's path, for data.Source.Dir.
func Folder(t testing.TB, nTrain, nTest int, seed uint64) string {
	t.Helper()
	dir := t.TempDir()
	if err := Write(dir, nTrain, nTest, seed); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Write puts a small data set in MNIST's form into the folder dir: nTrain and nTest
// images of 28×28 in 10 classes.
//
// An image shows two of five blobs on a noisy ground, a different pair for each class,
// moved and lightened at random. A linear model can learn them from a few hundred
// images. Classes take turns, so all are equally frequent. The same arguments give the
// same bytes on every machine.
func Write(dir string, nTrain, nTest int, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	if err := writePart(dir, "train", nTrain, rng); err != nil {
		return err
	}
	return writePart(dir, "t10k", nTest, rng)
}

const side = 28

func writePart(dir, part string, n int, rng *rand.Rand) error {
	var pixels, labels []byte
	for i := range n {
		label := i % 10
		pixels = append(pixels, image(label, rng)...)
		labels = append(labels, byte(label))
	}
	if err := writeIDX(filepath.Join(dir, part+"-images-idx3-ubyte"), []int{n, side, side}, pixels); err != nil {
		return err
	}
	return writeIDX(filepath.Join(dir, part+"-labels-idx1-ubyte"), []int{n}, labels)
}

func writeIDX(path string, dims []int, content []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(data.WriteIDX(f, dims, content), f.Close())
}

// spots are the centres of the five blobs, and pairs the two that each class shows.
var (
	spots = [5][2]int{{7, 7}, {7, 20}, {14, 14}, {20, 7}, {20, 20}}
	pairs = [10][2]int{{0, 1}, {0, 2}, {0, 3}, {0, 4}, {1, 2}, {1, 3}, {1, 4}, {2, 3}, {2, 4}, {3, 4}}
)

// image draws one image. It counts in integers, which no machine rounds.
func image(label int, rng *rand.Rand) []byte {
	im := make([]byte, side*side)
	for i := range im {
		im[i] = byte(rng.IntN(64))
	}
	for _, spot := range pairs[label] {
		y0, x0 := spots[spot][0]+rng.IntN(5)-2, spots[spot][1]+rng.IntN(5)-2
		light := 160 + rng.IntN(96)
		for y := range side {
			for x := range side {
				d := (y-y0)*(y-y0) + (x-x0)*(x-x0)
				if v := light - 8*d; v > int(im[y*side+x]) {
					im[y*side+x] = byte(v)
				}
			}
		}
	}
	return im
}
