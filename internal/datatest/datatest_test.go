package datatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/data"
)

func TestFolder(t *testing.T) {
	dir := Folder(t, 200, 50, 1)
	mnist, err := data.LoadMNIST(context.Background(), data.Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		im *data.Images
		n  int
	}{{mnist.Train, 200}, {mnist.Test, 50}} {
		if part.im.N != part.n || part.im.H != 28 || part.im.W != 28 || part.im.Classes != 10 {
			t.Errorf("%d images of %d×%d in %d classes, want %d of 28×28 in 10", part.im.N, part.im.H, part.im.W, part.im.Classes, part.n)
		}
		var counts [10]int
		for _, label := range part.im.Labels {
			counts[label]++
		}
		for label, n := range counts {
			if n != part.n/10 {
				t.Errorf("%d of %d images are of class %d, want %d", n, part.n, label, part.n/10)
			}
		}
	}
}

func TestFolderIsAFunctionOfItsArguments(t *testing.T) {
	read := func(dir, name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a, same, other := Folder(t, 20, 10, 1), Folder(t, 20, 10, 1), Folder(t, 20, 10, 2)
	for _, name := range []string{"train-images-idx3-ubyte", "t10k-images-idx3-ubyte"} {
		if !bytes.Equal(read(a, name), read(same, name)) {
			t.Errorf("%s differs between two folders of one seed", name)
		}
		if bytes.Equal(read(a, name), read(other, name)) {
			t.Errorf("%s is the same for two seeds", name)
		}
	}
	if bytes.Equal(read(a, "train-images-idx3-ubyte")[16:16+784], read(a, "t10k-images-idx3-ubyte")[16:16+784]) {
		t.Error("a test image is a training image")
	}
}

// The nearest class mean, which is a linear model, must tell the test images apart.
func TestFolderIsLearnable(t *testing.T) {
	mnist, err := data.LoadMNIST(context.Background(), data.Source{Dir: Folder(t, 500, 200, 3)})
	if err != nil {
		t.Fatal(err)
	}
	var means [10][784]float64
	for i, label := range mnist.Train.Labels {
		for j, p := range mnist.Train.Pixels[i*784 : (i+1)*784] {
			means[label][j] += float64(p) / 50
		}
	}
	right := 0
	for i, label := range mnist.Test.Labels {
		best, bestDistance := -1, 0.0
		for class := range means {
			var distance float64
			for j, p := range mnist.Test.Pixels[i*784 : (i+1)*784] {
				d := float64(p) - means[class][j]
				distance += d * d
			}
			if best < 0 || distance < bestDistance {
				best, bestDistance = class, distance
			}
		}
		if best == int(label) {
			right++
		}
	}
	if right < 190 {
		t.Errorf("the nearest class mean is right for %d of 200 images, want at least 190", right)
	}
}

// outcome is a testing.TB that notes how a test ends.
type outcome struct {
	testing.TB
	end, message string
}

func (o *outcome) Helper() {}

func (o *outcome) Skipf(format string, args ...any) {
	o.end, o.message = "skip", fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (o *outcome) Fatal(args ...any) {
	o.end, o.message = "fatal", fmt.Sprint(args...)
	runtime.Goexit()
}

func TestCheck(t *testing.T) {
	unavailable := fmt.Errorf("no network: %w", data.ErrUnavailable)
	for _, tt := range []struct {
		err     error
		require bool
		want    string
	}{
		{nil, false, ""},
		{nil, true, ""},
		{unavailable, false, "skip"},
		{unavailable, true, "fatal"},
		{errors.New("damaged"), false, "fatal"},
		{errors.New("damaged"), true, "fatal"},
	} {
		o := &outcome{TB: t}
		done := make(chan bool)
		go func() {
			defer close(done)
			check(o, tt.err, tt.require)
		}()
		<-done
		if o.end != tt.want {
			t.Errorf("%v with require=%v: %q, want %q", tt.err, tt.require, o.end, tt.want)
		}
		if tt.want == "skip" && !strings.Contains(o.message, "HALFGRAD_REQUIRE=mnist") {
			t.Errorf("the skip does not say how to get the data: %s", o.message)
		}
	}
}

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "datatest-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := Write(dir, 100, 20, 1); err != nil {
		log.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range files {
		fmt.Println(f.Name())
	}
	// Output:
	// t10k-images-idx3-ubyte
	// t10k-labels-idx1-ubyte
	// train-images-idx3-ubyte
	// train-labels-idx1-ubyte
}
