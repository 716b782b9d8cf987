package main

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/checkpoint/safetensors"
	"github.com/halfgrad/halfgrad/internal/memory"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

// checkMemory returns a usage error if what needs more bytes than can be allocated now.
// Where that is not known, the machine's whole memory is the limit, and none where not
// even that is.
func checkMemory(what string, bytes float64) error {
	limit := memory.Available()
	if limit == 0 {
		limit = memory.Total()
	}
	if limit == 0 {
		limit = math.MaxUint64
	}
	if bits.UintSize == 32 { // the address space is the limit
		limit = min(limit, math.MaxInt32)
	}
	if bytes <= float64(limit) {
		return nil
	}
	return usagef("%s: %s of memory needed, and %s available", what, gibibytes(bytes), gibibytes(float64(limit)))
}

func gibibytes(n float64) string { return fmt.Sprintf("%.1f GiB", n/(1<<30)) }

// trainingMemory returns how many bytes training takes at least: the masters of the
// weights, their working copies, the optimizer's moments, the average, and what a plan
// takes.
func (s settings) trainingMemory() (float64, error) {
	g, err := s.spec().Blank()
	if err != nil {
		return 0, err
	}
	parameters := 0.0
	for _, p := range g.Params() {
		parameters += float64(p.Len())
	}
	plan, err := g.Measure(nn.PlanConfig{
		Batch: s.Batch, Precision: s.dtype(), Training: true,
		Stream: s.ClipNorm == 0 && s.ClipValue == 0 && s.Accumulate == 1,
	})
	if err != nil {
		return 0, err
	}
	perParameter := 4.0
	if s.dtype() != tensor.F32 {
		perParameter += float64(s.dtype().Size())
	}
	switch {
	case s.Optimizer != "sgd":
		perParameter += 8
	case s.Momentum > 0:
		perParameter += 4
	}
	if s.EMA > 0 {
		perParameter += 4
	}
	input := float64(s.Batch) * float64(s.Accumulate) * float64(s.Widths[0]) * float64(s.dtype().Size())
	return parameters*perParameter + float64(plan.Total()) + input, nil
}

// checkTrainingMemory is checkMemory for a run.
func (s settings) checkTrainingMemory() error {
	bytes, err := s.trainingMemory()
	if err != nil {
		return usageError{err}
	}
	return checkMemory(fmt.Sprintf("a network %s, trained with %s by batches of %d", s.shape(), s.Optimizer, s.Batch), bytes)
}

// readTensors reads a checkpoint with the tensors that are wanted, if they fit into
// memory.
func readTensors(path string, wanted func(safetensors.Tensor) bool) (*checkpoint.File, error) {
	h, err := checkpoint.ReadHeader(path)
	if err != nil {
		return nil, err
	}
	var size float64
	for _, t := range h.Tensors {
		if wanted(t) {
			size += float64(t.Elements()) * float64(min(4, t.DType.Size())) // float64 is narrowed
		}
	}
	if err := checkMemory("checkpoint "+path, size); err != nil {
		return nil, err
	}
	return checkpoint.ReadSome(path, wanted)
}

// allTensors wants them all.
func allTensors(safetensors.Tensor) bool { return true }

// weightTensors wants those of a network that is used, without the state of its training.
func weightTensors(t safetensors.Tensor) bool {
	return !strings.HasPrefix(t.Name, "optimizer.") && !strings.HasPrefix(t.Name, "half.")
}
