package tensorboard_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/halfgrad/halfgrad/cmd/halfgrad/internal/tensorboard"
)

// A curve of three values, for: tensorboard --logdir runs.
func Example() {
	dir, err := os.MkdirTemp("", "runs")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w, err := tensorboard.Create(dir, time.Now(), 1)
	if err != nil {
		log.Fatal(err)
	}
	for i, loss := range []float64{2.3, 0.7, 0.2} {
		w.Add(time.Now(), int64(i+1), tensorboard.Scalar{Tag: "step/loss", Value: loss})
	}
	if err := w.Close(); err != nil { // which tells of errors of Add, too
		log.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	fmt.Println(len(files), err)
	// Output: 1 <nil>
}
