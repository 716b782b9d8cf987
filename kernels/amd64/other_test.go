//go:build amd64 && !purego

package amd64_test

import (
	"testing"

	"github.com/halfgrad/halfgrad/kernels/amd64"
	"github.com/halfgrad/halfgrad/kernels/kerneltest"
)

func TestConformanceOfOthers(t *testing.T) { kerneltest.Run(t, amd64.OtherKernels()) }
