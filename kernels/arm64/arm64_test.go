package arm64_test

import (
	"testing"

	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels/arm64"
)

func TestConformance(t *testing.T) { kerneltest.Run(t, arm64.Kernels) }

func TestElementwise(t *testing.T) { kerneltest.RunElementwise(t, arm64.Elementwise) }

func TestVectors(t *testing.T) { kerneltest.RunVectors(t, arm64.Vectors) }

func TestAssembly(t *testing.T) { kerneltest.RunAssembly(t) }

func TestPeakLoops(t *testing.T) {
	for _, loop := range arm64.PeakLoops {
		if loop.Supported {
			loop.Func(0)
			loop.Func(3)
		}
	}
}
