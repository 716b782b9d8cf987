// Command crash kills training runs, by SIGKILL and at random moments, and continues
// them, to see that nothing is lost by it.
//
//	go run ./bench/crash                  # 50 kills, in a minute
//	go run ./bench/crash --kills 500 --seed 7 -- --precision fp32
//
// After each kill the checkpoint must be readable, or not there yet, and the run goes
// on with `halfgrad train --resume`, each time on another number of threads and kernel
// tier. Whenever a run comes to its end, its weights and its metrics must be those of a
// run that nobody killed; as long as kills are left, another one begins then.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type cli struct {
	Kills int      `default:"50" help:"How many." placeholder:"N"`
	Seed  uint64   `default:"1" help:"Of the moments." placeholder:"N"`
	Keep  bool     `help:"Keep the folder of the binary and the runs."`
	Flags []string `arg:"" optional:"" help:"Flags for halfgrad train."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("crash"), kong.Description("Kill training runs at random moments, continue them, and compare what comes out."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	k.FatalIfErrorf(k.Run())
}

func (c *cli) Run(ctx context.Context) error {
	if c.Kills < 1 {
		return fmt.Errorf("crash: --kills %d: want 1 or more", c.Kills)
	}
	dir, err := os.MkdirTemp("", "crash-*")
	if err != nil {
		return err
	}
	if c.Keep {
		fmt.Fprintln(os.Stderr, "crash: in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	s := &survey{ctx: ctx, dir: dir, flags: c.Flags, log: os.Stderr}
	if err := s.build(); err != nil {
		return err
	}
	r, err := s.run(c.Kills, c.Seed)
	if err != nil {
		return err
	}
	fmt.Printf("%d kills in %d runs: %d before the first checkpoint, %d that no new checkpoint came before, %d steps repeated; every checkpoint was readable\n",
		c.Kills, r.runs, r.early, r.idle, r.repeated)
	fmt.Printf("weights sha256 %s at the end of each, as of the run that nobody killed\n", r.hash)
	return nil
}
