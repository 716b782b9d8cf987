//go:build amd64 && !purego

package amd64_test

import (
	"testing"

	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels/amd64"
)

func TestConformanceOfOthers(t *testing.T) {
	list := amd64.OtherKernels()
	if len(list) == 0 {
		t.Fatal("no kernel would be another one on another machine")
	}
	kerneltest.Run(t, list)
}
