// Package nn has graphs of operations, and plans that run them forward and backward.
//
// A [Graph] is a network's topology and parameters:
//
//	g := nn.NewGraph(seed)
//	x := g.Input("image", 784)
//	h := nn.ReLU(nn.Linear(x, 256))
//	h = nn.Add(h, nn.Linear(h, 256, nn.Named("residual")))
//	g.Output("logits", nn.Linear(h, 10))
//
// A [Plan] is a graph made ready for a batch size, a storage type, and training or
// inference. It places all activations and their gradients in one piece of memory by the
// times at which they are needed, so a step allocates nothing.
//
// There is no autograd: every [Op] brings its backward pass. There is no optimizer and no
// training loop: a plan computes gradients, and its callers use them.
//
// # Precision
//
// A plan stores activations, their gradients and the weights that it multiplies in its
// storage type. Operations compute in fp32 and round once, when they store. Gradients of
// parameters are fp32, straight from the accumulators.
//
// # Same bits
//
// Every result is the same on every machine, with any number of threads, and for any
// split of a batch into parts, see [Op] and [Weighted].
package nn
