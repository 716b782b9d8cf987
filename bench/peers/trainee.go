package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// checked is the number of first steps whose outcome must agree, or all of the first
// epoch if it is shorter.
const checked = 20

// outcome is the result of these steps.
type outcome struct {
	first, last float64 // losses
	moved       float64 // the Euclidean distance of the parameters from the initial ones
}

// agrees reports whether o can be the outcome of the same run as want in another
// precision: bf16 has errors of up to one part in 256.
func (o outcome) agrees(want outcome) bool {
	const tolerance = 0.02
	near := func(got, want, scale float64) bool { return math.Abs(got-want) <= tolerance*scale }
	return near(o.first, want.first, 1+want.first) && near(o.last, want.last, 1+want.last) && near(o.moved, want.moved, want.moved)
}

// begin trains for the first steps of a run.
func begin(t *bench.Trainee, batch int) (outcome, error) {
	start := parameters(t)
	var o outcome
	for i := range min(checked, t.Images.Len()/batch) {
		r, err := t.Step()
		switch {
		case err != nil:
			return outcome{}, err
		case r.Skipped:
			return outcome{}, fmt.Errorf("step %d is skipped: an overflow in %s", i+1, r.Overflow)
		case i == 0:
			o.first = r.Loss
		}
		o.last = r.Loss
	}
	sum := 0.0
	for i, v := range parameters(t) {
		d := float64(v) - float64(start[i])
		sum += d * d
	}
	o.moved = math.Sqrt(sum)
	return o, nil
}

// parameters returns all parameters, in the model's order. Weights are [in, out].
func parameters(t *bench.Trainee) []float32 {
	var all []float32
	for _, p := range t.Model.Params() {
		all = append(all, p.Master...)
	}
	return all
}

// publish writes the initial state of a run to files in folder, little-endian:
//
//	pixels      a byte each, image after image
//	labels      a byte each
//	values      the value of each of the 256 bytes, in fp32
//	order       of the images in the first epoch, in int64
//	parameters  in fp32
func publish(t *bench.Trainee, folder string) error {
	n := t.Images.Len()
	var pixels, labels []byte
	targets := data.NewSample(t.Images).Targets
	for i := range n {
		sample, err := t.Images.Raw(i, targets)
		if err != nil {
			return err
		}
		pixels, labels = append(pixels, sample...), append(labels, byte(targets[0].I32()[0]))
	}
	loader, err := data.NewLoader(indices(n), data.LoaderConfig{BatchSize: n, DType: tensor.F32, Shuffle: true})
	if err != nil {
		return err
	}
	all, _ := loader.Next()
	order := make([]int64, n)
	for i, index := range all.Targets[0].I32() {
		order[i] = int64(index)
	}
	for name, content := range map[string]any{"pixels": pixels, "labels": labels, "values": t.Images.Values()[0], "order": order, "parameters": parameters(t)} {
		if err := write(filepath.Join(folder, name), content); err != nil {
			return fmt.Errorf("peers: %w", err)
		}
	}
	return nil
}

func write(path string, content any) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(binary.Write(f, binary.LittleEndian, content), f.Close())
}

// indices is a data set whose targets are the indices of its samples.
type indices int

func (n indices) Len() int              { return int(n) }
func (n indices) Inputs() []data.Field  { return []data.Field{data.Numbers("nothing")} }
func (n indices) Targets() []data.Field { return []data.Field{data.Classes("index", int(n))} }

func (n indices) Sample(i int, to *data.Sample) error {
	to.Targets[0].I32()[0] = int32(i)
	return nil
}

// firstScale is the initial loss scale: low enough that none of the checked steps is
// skipped. At the usual 65536 the gradients of a badly misclassified image overflow.
const firstScale = 1 << 12

// student returns the answers of our worker that trains.
func student(e *kernels.Engine, cfg bench.TrainConfig) func(line string) string {
	cfg.Scale = firstScale
	peak := bench.NewPeak(e)
	var t *bench.Trainee
	prepare := func(folder string) (outcome, error) {
		var err error
		if t, err = bench.NewTrainee(e, cfg, nil); err != nil {
			return outcome{}, err
		}
		if err := publish(t, folder); err != nil {
			return outcome{}, err
		}
		return begin(t, cfg.Batch)
	}
	return func(line string) string {
		command, rest, _ := strings.Cut(line, " ")
		number, rest, _ := strings.Cut(rest, " ")
		n, _ := strconv.Atoi(number)
		switch {
		case command == "peak":
			return peakAnswer(peak)
		case command == "prepare" && n > 0 && rest != "":
			cfg.Batch = n
			o, err := prepare(rest)
			if err != nil {
				return "error " + err.Error()
			}
			return fmt.Sprintf("ok %g %g %g", o.first, o.last, o.moved)
		case command == "train" && n > 0 && t != nil:
			ns, err := steps(t, n)
			if err == nil {
				ns, err = steps(t, n)
			}
			if err != nil {
				return "error " + err.Error()
			}
			return fmt.Sprintf("%.1f", ns)
		}
		return "error unknown command, or nothing is prepared: " + line
	}
}

// steps returns the mean time of n training steps in nanoseconds. Skipped steps add their
// time but do not count.
func steps(t *bench.Trainee, n int) (float64, error) {
	taken := 0
	start := time.Now()
	for taken < n {
		r, err := t.Step()
		if err != nil {
			return 0, err
		}
		if !r.Skipped {
			taken++
		}
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n), nil
}
