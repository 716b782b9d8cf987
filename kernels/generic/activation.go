package generic

import (
	"github.com/halfgrad/halfgrad/kernels/micro"
	"github.com/halfgrad/halfgrad/portable"
)

// Vectors has the loops of micro.Vector.
var Vectors = []micro.Vector{{
	Tier: Tier, Supported: true,
	Forward: [micro.Activations]func(*micro.VectorCall){
		micro.Exp:      forward(portable.Exp32),
		micro.Sigmoid:  forward(portable.Sigmoid32),
		micro.Tanh:     forward(portable.Tanh32),
		micro.SiLU:     forward(portable.SiLU32),
		micro.GELU:     forward(portable.GELU32),
		micro.GELUTanh: forward(portable.GELUTanh32),
	},
	Backward: [micro.Activations]func(*micro.VectorCall){
		micro.Exp:      multiply,
		micro.Sigmoid:  backward(func(y float32) float32 { return float32(y * (1 - y)) }),
		micro.Tanh:     backward(func(y float32) float32 { return portable.FMA(-y, y, 1) }),
		micro.SiLU:     backward(portable.SiLUSlope32),
		micro.GELU:     backward(portable.GELUSlope32),
		micro.GELUTanh: backward(portable.GELUTanhSlope32),
	},
	Max: largest, ExpSum: expSum, Dot: dot, Centre: centre, Add: add, Multiply: multiply, Scale: scale,
	FlagsF16: flags(0x7c00, 0x0400), FlagsBF16: flags(0x7f80, 0x0080),
}}

func forward(f func(x float32) float32) func(*micro.VectorCall) {
	return func(c *micro.VectorCall) {
		for i, x := range c.X {
			c.Dst[i] = f(x)
		}
	}
}

func backward(slope func(saved float32) float32) func(*micro.VectorCall) {
	return func(c *micro.VectorCall) {
		for i, dy := range c.X {
			c.Dst[i] = dy * slope(c.Y[i])
		}
	}
}

func largest(c *micro.VectorCall) {
	for i, x := range c.X {
		if lane := &c.Lanes[i%micro.Lanes]; x > *lane {
			*lane = x
		}
	}
}

func expSum(c *micro.VectorCall) {
	for i, x := range c.X {
		y := portable.Exp32(x - c.Factor)
		c.Dst[i] = y
		c.Lanes[i%micro.Lanes] += y
	}
}

func dot(c *micro.VectorCall) {
	for i, x := range c.X {
		lane := &c.Lanes[i%micro.Lanes]
		*lane = portable.FMA(x, c.Y[i], *lane)
	}
}

func centre(c *micro.VectorCall) {
	for i, x := range c.X {
		c.Dst[i] = c.Y[i] * (x - c.Factor)
	}
}

func add(c *micro.VectorCall) {
	for i, x := range c.X {
		c.Dst[i] = x + c.Y[i]
	}
}

func multiply(c *micro.VectorCall) {
	for i, x := range c.X {
		c.Dst[i] = x * c.Y[i]
	}
}

func scale(c *micro.VectorCall) {
	for i, x := range c.X {
		c.Dst[i] = x * c.Factor
	}
}

func flags(exponent, unit uint32) func(*micro.HalvesCall) {
	return func(c *micro.HalvesCall) {
		for i, h := range c.X {
			c.Flags[i/2%micro.Lanes] |= (uint32(h)&exponent + unit) << (i % 2 * 16)
		}
	}
}
