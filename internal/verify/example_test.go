package verify_test

import (
	"context"
	"fmt"

	"github.com/halfgrad/halfgrad/internal/verify"
	"github.com/halfgrad/halfgrad/kernels"
)

// The best tier of this machine and three threads against pure Go and one, over
// the first hundred cases. The digest is the same on your machine.
func Example() {
	for _, on := range []struct {
		tier    string
		threads int
	}{{kernels.Auto, 3}, {"generic", 1}} {
		engine, err := verify.NewEngine(on.tier, on.threads)
		if err != nil {
			fmt.Println(err)
			return
		}
		sums, err := verify.Digest(context.Background(), engine, 100, verify.DefaultSeed, nil)
		fmt.Println(sums.All[:12], err)
	}
	// Output:
	// d4d8aa75ac51 <nil>
	// d4d8aa75ac51 <nil>
}
