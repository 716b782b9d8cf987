package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/bench/suite"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// The guest is this program, run by the emulator. It does everything several times,
// with marks between, and prints what it was, for the host to put the counts to it.
type guestCmd struct {
	Kernel []string `required:""`
}

// A turn of the loop whose length is known, in assembly, has turnLength instructions.
const (
	turnLength = 5
	turns      = 1000
)

// marks are how many are made for a sample: an operation is between the first two, and
// two are between the second and the third, so that what the marks take is out of it.
const marks = 3

// account is what a guest prints.
type account struct {
	Machine report.Machine
	Build   report.Build
	Kernels []string // tiers
	Counted []counted
}

// counted is what was done in each sample.
type counted struct {
	Name report.Name // "" for the loop of known length
	FLOP float64
}

func (c *guestCmd) Run() error {
	a, err := perform(c.Kernel)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(a)
}

// perform does everything.
func perform(tiers []string) (account, error) {
	runtime.LockOSThread() // it is this thread that is counted
	a := account{Machine: suite.ThisMachine(), Build: suite.ThisBuild()}
	count := func(c counted, do func(times int) error) error {
		if err := do(1); err != nil { // what is only done once
			return err
		}
		for range samples {
			mark()
			for times := 1; times < marks; times++ {
				if err := do(times); err != nil {
					return err
				}
				mark()
			}
		}
		a.Counted = append(a.Counted, c)
		return nil
	}
	if err := count(counted{}, func(times int) error { loop(times * turns); return nil }); err != nil {
		return a, err
	}
	if len(tiers) == 1 && tiers[0] == "all" {
		tiers = kernels.Supported()
	}
	for _, tier := range tiers {
		e, err := kernels.New(kernels.Config{Kernel: tier, Threads: 1})
		if err != nil {
			return a, err
		}
		a.Kernels = append(a.Kernels, e.Tier())
		for _, s := range shapes {
			for _, dtype := range []tensor.DType{tensor.F16, tensor.F32} {
				g := kernels.GemmArgs{
					A: tensor.New(dtype, s.M, s.K).Matrix(), B: tensor.New(dtype, s.K, s.N).Matrix(), C: tensor.New(dtype, s.M, s.N).Matrix(),
				}
				name := countName(suite.GemmName(s, "nn", dtype.String(), 1, e.Tier()))
				err := count(counted{name, s.FLOPs()}, func(times int) error {
					for range times {
						e.Gemm(g)
					}
					return nil
				})
				if err != nil {
					return a, err
				}
			}
		}
		for _, cfg := range steps {
			run, err := bench.NewTrainee(e, cfg, nil)
			if err != nil {
				return a, err
			}
			name := countName(suite.TrainName(cfg, cfg.Precision.String(), 1, e.Tier()))
			err = count(counted{name, cfg.FLOPs()}, func(times int) error {
				for times > 0 {
					r, err := run.Step()
					if err != nil {
						return err
					}
					if !r.Skipped {
						times--
					}
				}
				return nil
			})
			if err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

// countName returns the name of instructions for that of a time.
func countName(name report.Name) report.Name {
	return report.Name(strings.Replace(string(name), "/kernel=", "/count="+report.Instructions+"/kernel=", 1))
}

// settle puts the counts of a guest's marks to its account, and returns the benchmarks.
// The error says what is missing or, by the loop of known length, wrong.
func settle(a account, counts io.Reader) ([]report.Benchmark, error) {
	var benchmarks []report.Benchmark
	for _, c := range a.Counted {
		b := report.Benchmark{Name: c.Name, Unit: report.Instructions, Work: &report.Work{Amount: c.FLOP, Unit: report.FLOP}}
		for range samples {
			var at [marks]int64
			for i := range at {
				if _, err := fmt.Fscan(counts, &at[i]); err != nil {
					return nil, fmt.Errorf("instructions: the counts of %q: %w", c.Name, err)
				}
			}
			n := (at[2] - at[1]) - (at[1] - at[0])
			if c.Name == "" && n != turns*turnLength {
				return nil, fmt.Errorf("instructions: a loop of %d instructions has %d by the counts: they are of no use", turns*turnLength, n)
			}
			b.Samples = append(b.Samples, float64(n))
		}
		if c.Name != "" {
			benchmarks = append(benchmarks, b)
		}
	}
	var more int64
	if n, _ := fmt.Fscan(counts, &more); n > 0 {
		return nil, fmt.Errorf("instructions: there are more counts than the guest tells of")
	}
	return benchmarks, nil
}
