package nn

// ReLU adds the rectifier: y = x where x > 0, and +0 where x ≤ 0. A NaN stays a NaN, so
// that an overflow in an earlier operation shows.
//
// It is a comparison and a mask, not a maximum, because the maximum instructions of x86
// and Arm disagree about NaNs and the sign of zero.
func ReLU(x *Value, opts ...Option) *Value {
	return Apply("ReLU", relu{}, []*Value{x}, opts...)
}

type relu struct{}

// String returns "ReLU".
func (relu) String() string { return "ReLU" }

func (relu) Infer(in []Shape) (Form, error) {
	if err := one(in); err != nil {
		return Form{}, err
	}
	return Form{Out: in[0], Backward: ReadsOut, InPlace: true}, nil
}

func (relu) Forward(c *Call) {
	c.Engine.Rectify(c.Out, c.In[0], c.In[0])
	if c.InFinite[0] == AllFinite {
		c.OutFinite = AllFinite
	}
}

func (relu) Backward(c *Call) {
	c.Engine.Rectify(c.DIn[0], c.DOut, c.Out)
	if c.DOutFinite == AllFinite {
		c.DInFinite[0] = AllFinite
	}
}

// ONNX writes a Relu.
func (relu) ONNX(w ONNXWriter, in, _ []ONNXValue) (string, error) {
	return w.Node("Relu", []string{in[0].Name}, nil), nil
}
