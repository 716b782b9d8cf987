//go:build amd64 && !purego

package amd64_test

import (
	"testing"

	"github.com/halfgrad/halfgrad/kernels/amd64"
	"github.com/halfgrad/halfgrad/kernels/kerneltest"
)

func TestConformanceOfOthers(t *testing.T) {
	list := amd64.OtherKernels()
	if len(list) == 0 {
		t.Fatal("no kernel would be another one on another machine")
	}
	kerneltest.Run(t, list)
}
