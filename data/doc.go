// Package data turns files into batches that a network can train on. It reads the IDX
// format and CSV, finds or fetches MNIST, standardises values, and deals any data set out in
// seeded, resumable batches of fp16, bf16 or fp32. Package pictures,
// below it, reads folders of pictures.
//
// It is not an input pipeline: data sets live in memory, and nothing is decoded in the
// background. A batch is made on request, or one batch ahead.
//
// # From MNIST to a batch
//
//	mnist, err := data.LoadMNIST(ctx, data.Source{}) // the cache, a Go module, or the web
//	mean, std := mnist.Train.MeanStd()               // 0.1307 and 0.3081
//	train, val, err := data.Split(mnist.Train.Standardized(mean, std), 5000, seed)
//	test := mnist.Test.Standardized(mean, std)       // by the training images' measure
//	loader, err := data.NewLoader(train, data.LoaderConfig{BatchSize: 128, DType: tensor.F16, Shuffle: true, Seed: seed})
//	for epoch := range epochs {
//		loader.Seek(epoch, 0)
//		for batch, ok := loader.Next(); ok; batch, ok = loader.Next() {
//			// batch.Inputs[0] is [n, 784], batch.Targets[0] is [n]
//		}
//		if err := loader.Err(); err != nil {
//			return err
//		}
//	}
//
// Data of your own needs no file format: implement the four methods of [Dataset], and
// [Split], [Subset] and [Loader] do the rest.
//
// # Same seed, same batches
//
// Every random choice is a Fisher–Yates shuffle by math/rand/v2's PCG, which is the
// same on every architecture, including 32-bit ones. The constants spell "split",
// "shuffle" and "draw":
//
//   - [Split] seeds the PCG with (seed, 0x73706c6974000000).
//   - A [Loader] seeds it for every epoch with (seed, 0x73687566666c6500 + epoch).
//   - The variant of a sample of [Random] is the first number of a PCG seeded with
//     (seed XOR (0x6472617700000000 + epoch), sample).
//
// A shuffle draws one bounded number for each position from the last down to the
// second. The batches of an epoch depend only on the seed and the number of the epoch,
// so [Loader.Seek] resumes a stopped run in the middle of an epoch.
//
// Standardisation gives the same bits everywhere too: the statistics come from exact
// integer sums, and no step has a product that a compiler could fuse.
package data
