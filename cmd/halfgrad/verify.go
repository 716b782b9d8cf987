package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/halfgrad/halfgrad/internal/verify"
	"github.com/halfgrad/halfgrad/kernels"
)

type verifyCmd struct {
	Cases   int    `default:"10000" help:"Cases to compute: random products, most of them small, and the operations around them." placeholder:"N"`
	Seed    uint64 `default:"1" help:"Seed of the cases." placeholder:"N"`
	Kernel  string `default:"all" help:"Kernel tier: all that the machine supports, or one that 'halfgrad info' lists." placeholder:"TIER"`
	Threads []int  `default:"1,2,3" help:"Numbers of threads, separated by commas." placeholder:"N"`
	JSON    bool   `help:"Print a line of JSON for each tier and number of threads."`
}

// Help is what --help tells besides the flags.
func (*verifyCmd) Help() string {
	return `Computes a fixed sequence of random cases with every kernel tier of the machine and
with several numbers of threads, and prints the SHA-256 of all results. The lines
of one machine must agree, and so must those of any two machines. For the default
cases and seed it compares with the digest that is published in the program.`
}

// verification is what `halfgrad verify --json` prints a line of.
type verification struct {
	Kernel  string            `json:"kernel"` // the tier
	Threads int               `json:"threads"`
	Cases   int               `json:"cases"`
	Seed    uint64            `json:"seed"`
	Seconds float64           `json:"seconds"`
	SHA256  string            `json:"sha256"`
	Groups  map[string]string `json:"groups"` // the digest of each kind of case

	sums verify.Sums
}

func (v verification) String() string {
	return fmt.Sprintf("%s with %d threads", v.Kernel, v.Threads)
}

func (c *verifyCmd) Run(ctx context.Context, e *env) error {
	engines, err := c.engines(e)
	if err != nil {
		return err
	}
	if !c.JSON {
		fmt.Fprintf(e.stdout, "%-8s  %7s  %7s  %7s  %s\n", "kernel", "threads", "cases", "seconds", "sha256")
	}
	var all []verification
	for _, engine := range engines {
		v, err := c.verify(ctx, e, engine)
		if err != nil {
			return err
		}
		all = append(all, v)
		if c.JSON {
			err = json.NewEncoder(e.stdout).Encode(v)
		} else {
			_, err = fmt.Fprintf(e.stdout, "%-8s  %7d  %7d  %7.2f  %s\n", v.Kernel, v.Threads, v.Cases, v.Seconds, v.SHA256)
		}
		if err != nil {
			return err
		}
	}
	published := c.Cases == verify.DefaultCases && c.Seed == verify.DefaultSeed
	if err := agree(all, published, verify.Published); err != nil || c.JSON {
		return err
	}
	with := fmt.Sprintf("; a digest is published for %d cases and seed %d only", verify.DefaultCases, verify.DefaultSeed)
	if published {
		with = ", and with the published digest"
	}
	_, err = fmt.Fprintf(e.stdout, "all agree%s\n", with)
	return err
}

// engines returns those that the flags ask for.
func (c *verifyCmd) engines(e *env) ([]*kernels.Engine, error) {
	if c.Cases < 1 {
		return nil, usagef("--cases %d: want 1 or more", c.Cases)
	}
	tiers := []string{c.Kernel}
	switch {
	case c.Kernel != "all":
	case os.Getenv(kernels.EnvKernel) != "" && !e.explicit["kernel"]:
		tiers = []string{kernels.Auto}
	default:
		tiers = kernels.Supported()
	}
	if len(c.Threads) == 0 {
		return nil, usagef("--threads: want numbers, such as 1,2,3")
	}
	var engines []*kernels.Engine
	for _, tier := range tiers {
		for _, threads := range c.Threads {
			if threads < 1 || threads > 1024 {
				return nil, usagef("--threads %d: want 1 to 1024 each", threads)
			}
			engine, err := verify.NewEngine(tier, threads)
			if err != nil {
				return nil, usageError{err}
			}
			engines = append(engines, engine)
		}
	}
	return engines, nil
}

// verify computes the digest of one engine, with a bar on a terminal.
func (c *verifyCmd) verify(ctx context.Context, e *env, engine *kernels.Engine) (verification, error) {
	v := verification{Kernel: engine.Tier(), Threads: engine.Threads(), Cases: c.Cases, Seed: c.Seed, Groups: map[string]string{}}
	progress := func(int) {}
	if e.terminal {
		line := &progressLine{env: e, what: v.String(), total: int64(c.Cases),
			rate: func(perSecond float64) string { return fmt.Sprintf("%.0f cases/s", perSecond) }}
		defer line.clear()
		progress = func(done int) { line.show(int64(done)) }
	}
	start := time.Now()
	sums, err := verify.Digest(ctx, engine, c.Cases, c.Seed, progress)
	v.Seconds, v.SHA256, v.sums = time.Since(start).Seconds(), sums.All, sums
	for g, sum := range sums.Groups {
		v.Groups[verify.Group(g).String()] = sum
	}
	return v, err
}

// agree returns an error that names who differs, and in what, unless all digests
// are the published one or, for cases of which none is published, the first.
func agree(all []verification, compare bool, published verify.Sums) error {
	want, whose := all[0].sums, all[0].String()
	if compare {
		want, whose = published, "the published digest"
	}
	var differ []string
	for _, v := range all {
		var groups []string
		for _, g := range v.sums.Differ(want) {
			groups = append(groups, g.String())
		}
		if groups != nil {
			differ = append(differ, fmt.Sprintf("%v in %s", v, strings.Join(groups, ", ")))
		}
	}
	if differ == nil {
		return nil
	}
	return fmt.Errorf("verify: other bits than %s: %s", whose, strings.Join(differ, "; "))
}
