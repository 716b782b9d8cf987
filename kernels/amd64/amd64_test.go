package amd64_test

import (
	"testing"

	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels/amd64"
)

func TestConformance(t *testing.T) { kerneltest.Run(t, amd64.Kernels) }

func TestElementwise(t *testing.T) { kerneltest.RunElementwise(t, amd64.Elementwise) }

func TestVectors(t *testing.T) { kerneltest.RunVectors(t, amd64.Vectors) }

func TestAssembly(t *testing.T) { kerneltest.RunAssembly(t) }

func TestPeakLoops(t *testing.T) {
	for _, loop := range amd64.PeakLoops {
		if loop.Supported {
			loop.Func(0)
			loop.Func(3)
		}
	}
}
