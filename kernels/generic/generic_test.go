package generic_test

import (
	"testing"

	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels/generic"
)

func TestConformance(t *testing.T) { kerneltest.Run(t, generic.Kernels) }

func TestElementwise(t *testing.T) { kerneltest.RunElementwise(t, generic.Elementwise) }

func TestVectors(t *testing.T) { kerneltest.RunVectors(t, generic.Vectors) }

func TestPeakLoops(t *testing.T) {
	for _, loop := range generic.PeakLoops {
		if loop.Supported {
			loop.Func(0)
			loop.Func(3)
		}
	}
}
