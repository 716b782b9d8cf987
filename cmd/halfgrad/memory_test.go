package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/internal/memory"
)

// By hand: 2·3 + 3 + 3·4 + 4 = 25 parameters, 7 of them biases. A batch takes the input, 3
// and 4 outputs with their gradients, in blocks of 64 bytes, and 4 numbers of scratch.
func TestTrainingMemory(t *testing.T) {
	for _, tt := range []struct {
		s    settings
		want float64
	}{
		{settings{Precision: "fp16", Optimizer: "sgd", Momentum: 0.9, Batch: 10, Accumulate: 1}, 25*(4+2+4) + 4*7 + 10*2*2 + 64 + 128 + 128 + 64 + 4*4},
		{settings{Precision: "fp16", Optimizer: "sgd", Batch: 1, Accumulate: 1}, 25*(4+2) + 4*7 + 2*2 + 4*64 + 4*4},
		{settings{Precision: "fp16", Optimizer: "adam", Batch: 1, ClipNorm: 1, EMA: 0.9, Accumulate: 2}, 25*(4+2+8+4+4) + 2*2*2 + 4*64 + 4*4},
		{settings{Precision: "fp32", Optimizer: "adamw", Batch: 1, Accumulate: 1}, 25*(4+4+8) + 2*4 + 4*64 + 4*4},
	} {
		tt.s.Widths = []int{2, 3, 4}
		if got, err := tt.s.trainingMemory(); got != tt.want {
			t.Errorf("%+v: %v bytes, want %v, error %v", tt.s, got, tt.want, err)
		}
	}
}

// Sizes that the flags allow and that no machine has end in a line, before anything is
// allocated.
func TestTooLarge(t *testing.T) {
	if memory.Available() == 0 && memory.Total() == 0 {
		t.Skip("unknown here: there is no check")
	}
	dir := smallData(t)
	widest := strings.TrimSuffix(strings.Repeat("65536,", maxDepth-2), ",")
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{
		{"train", "--data", dir, "--out", out, "--hidden", widest},
		{"train", "--data", dir, "--out", out, "--hidden", widest, "--batch", "1048576", "--precision", "fp32", "--optimizer", "adam"},
		{"bench", "train", "--model", strings.ReplaceAll(widest, ",", "-")},
		{"eval", "--data", dir, "--checkpoint", hugeCheckpoint(t)},
		{"import", hugeCheckpoint(t), "--out", out},
	} {
		checkUsageError(t, command(t, args...), "GiB of memory needed", "GiB available")
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("%s has been made: %v", out, err)
	}
}

// hugeCheckpoint makes a file of 8 TiB that takes no place on the disk.
func hugeCheckpoint(t *testing.T) string {
	t.Helper()
	const rows = int64(1) << 20
	header := fmt.Sprintf(`{"0.weight":{"dtype":"F32","shape":[%d,%d],"data_offsets":[0,%d]}}`, rows, 2*rows, 8*rows*rows)
	path := filepath.Join(t.TempDir(), "huge.safetensors")
	if err := os.WriteFile(path, append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(8+len(header))+8*rows*rows); err != nil {
		t.Skip(err)
	}
	return path
}
