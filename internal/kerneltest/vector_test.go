package kerneltest_test

import (
	"math"
	"os"
	"testing"

	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels/generic"
	"github.com/halfgrad/halfgrad/kernels/micro"
)

// vectorFaults change one thing each, for the worse.
var vectorFaults = map[string]func(v *micro.Vector){
	"flushes subnormals": func(v *micro.Vector) {
		wrapVector(&v.Forward[micro.Exp], func(x float32) float32 {
			if x < 0x1p-126 {
				return 0
			}
			return x
		})
	},
	"turns a NaN into a number": func(v *micro.Vector) {
		wrapVector(&v.Forward[micro.GELU], func(x float32) float32 {
			if x != x {
				return 0
			}
			return x
		})
	},
	"loses the sign of a zero": func(v *micro.Vector) {
		wrapVector(&v.Forward[micro.Tanh], func(x float32) float32 { return x + 0 })
	},
	"is one bit off": func(v *micro.Vector) {
		wrapVector(&v.Backward[micro.SiLU], func(x float32) float32 {
			if x > 100 {
				return math.Nextafter32(x, 0)
			}
			return x
		})
	},
	"adds to the next lane": func(v *micro.Vector) {
		right := v.ExpSum
		v.ExpSum = func(c *micro.VectorCall) {
			right(c)
			c.Lanes[3], c.Lanes[4] = c.Lanes[4], c.Lanes[3]
		}
	},
	"does not fuse": func(v *micro.Vector) {
		v.Dot = func(c *micro.VectorCall) {
			for i, x := range c.X {
				c.Lanes[i%micro.Lanes] += float32(x * c.Y[i])
			}
		}
	},
	"takes a NaN for the largest": func(v *micro.Vector) {
		right := v.Max
		v.Max = func(c *micro.VectorCall) {
			right(c)
			for i, x := range c.X {
				if x != x {
					c.Lanes[i%micro.Lanes] = x
				}
			}
		}
	},
	"overlooks an infinity": func(v *micro.Vector) {
		right := v.FlagsBF16
		v.FlagsBF16 = func(c *micro.HalvesCall) {
			right(c)
			c.Flags[7] &= 0xffff
		}
	},
	"reads past the end": func(v *micro.Vector) {
		right := v.Add
		v.Add = func(c *micro.VectorCall) {
			readPast(c.X)
			right(c)
		}
	},
}

// wrapVector changes what a function stores.
func wrapVector(f *func(*micro.VectorCall), change func(float32) float32) {
	right := *f
	*f = func(c *micro.VectorCall) {
		right(c)
		for i, x := range c.Dst {
			c.Dst[i] = change(x)
		}
	}
}

func TestVectorSuiteCatchesFaults(t *testing.T) {
	if name := os.Getenv("KERNELTEST_FAULT"); name != "" {
		v := generic.Vectors[0]
		vectorFaults[name](&v)
		kerneltest.RunVectors(t, []micro.Vector{v})
		return
	}
	for name := range vectorFaults {
		runFault(t, name, "TestVectorSuiteCatchesFaults")
	}
}
