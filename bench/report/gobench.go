package report

import (
	"fmt"
	"io"

	"golang.org/x/perf/benchfmt"
)

// WriteGo writes the samples in Go's benchmark format, one per line, for benchstat:
//
//	benchstat old.txt new.txt                          # of one machine
//	benchstat -ignore goos,goarch,cpu a.txt b.txt      # of two
//	benchstat -col /kernel new.txt
//
// Times are in ns/op and counts in instructions/op, where less is better. Rates and the
// peak are in GFLOPS and the like, where more is better.
func (r *Report) WriteGo(w io.Writer) error {
	out := benchfmt.NewWriter(w)
	for _, unit := range []string{GFLOPS, "GB/s", "Gelem/s", "flop/instruction", "peak-GFLOPS"} {
		m := &benchfmt.UnitMetadata{UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: unit, Key: "better"}, OrigUnit: unit, Value: "higher"}
		if err := out.Write(m); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	// Nothing but what `go test -bench` writes: benchstat keeps results apart that differ in
	// any of these.
	var config []benchfmt.Config
	for _, c := range [][2]string{{"goos", r.Machine.OS}, {"goarch", r.Machine.Arch}, {"cpu", r.Machine.CPU}} {
		if c[1] != "" {
			config = append(config, benchfmt.Config{Key: c[0], Value: []byte(c[1]), File: true})
		}
	}
	if r.Machine.Emulated {
		config = append(config, benchfmt.Config{Key: "emulated", Value: []byte("true"), File: true})
	}
	for i := range r.Benchmarks {
		b := &r.Benchmarks[i]
		rates, unit := b.Rates(), b.RateUnit()
		for j, x := range b.Samples {
			result := &benchfmt.Result{Config: config, Name: benchfmt.Name(b.Name), Iters: 1}
			switch b.Unit {
			case Nanoseconds:
				result.Values = append(result.Values, benchfmt.Value{Value: x * 1e-9, Unit: "sec/op", OrigValue: x, OrigUnit: "ns/op"})
			case Instructions:
				result.Values = append(result.Values, benchfmt.Value{Value: x, Unit: "instructions/op"})
			}
			if rates != nil {
				result.Values = append(result.Values, benchfmt.Value{Value: rates[j], Unit: unit})
			}
			if len(b.Peak) > 0 {
				result.Values = append(result.Values, benchfmt.Value{Value: b.Peak[j], Unit: "peak-GFLOPS"})
			}
			if err := out.Write(result); err != nil {
				return fmt.Errorf("report: %w", err)
			}
		}
	}
	return nil
}
