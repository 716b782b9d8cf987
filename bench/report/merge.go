package report

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Merge adds the benchmarks of other, a report of the same machine and build, to r. The
// error is that of [Same], and r is unchanged then.
//
// Where both have a benchmark, other's replaces r's, so that benchmarks that took turns
// stay together. For the same reason the peers of other, if any, replace all of r's. r
// keeps its date and suite and gets the settings of both; the number of rounds is then
// only a maximum.
func (r *Report) Merge(other *Report) error {
	if err := Same(r, other); err != nil {
		return err
	}
	gone := map[string]bool{} // kernels
	if len(other.Peers) > 0 {
		for _, p := range r.Peers {
			gone[p.Kernel] = true
		}
		r.Peers = slices.Clone(other.Peers)
	}
	measured, omitted := map[Name]bool{}, map[Name]bool{} // by other
	for _, b := range other.Benchmarks {
		measured[b.Name] = true
	}
	for _, o := range other.Omitted {
		omitted[o.Name] = true
	}

	var benchmarks []Benchmark
	run := 0
	for _, b := range r.Benchmarks {
		if !measured[b.Name] && !gone[b.Name.Get("kernel")] {
			benchmarks = append(benchmarks, b)
			run = max(run, b.Run)
		}
	}
	for _, b := range other.Benchmarks {
		if b.Run > 0 {
			b.Run += run
		}
		benchmarks = append(benchmarks, b)
	}
	r.Benchmarks = benchmarks

	var omissions []Omission
	for _, o := range r.Omitted {
		if !measured[o.Name] && !omitted[o.Name] && !gone[o.Name.Get("kernel")] {
			omissions = append(omissions, o)
		}
	}
	for _, o := range other.Omitted {
		if r.Find(o.Name) == nil {
			omissions = append(omissions, o)
		}
	}
	r.Omitted = omissions
	r.Settings.Kernels = union(r.Settings.Kernels, other.Settings.Kernels)
	r.Settings.Threads = union(r.Settings.Threads, other.Settings.Threads)
	r.Settings.Rounds = max(r.Settings.Rounds, other.Settings.Rounds)
	r.Seconds += other.Seconds
	return nil
}

// Same returns an error if two reports are of different machines or builds. It names the
// first field in which they differ. Memory may differ by one part in 64, because a system
// keeps some for itself when it starts. The version is ignored, because it depends on how
// the program was built; the revision counts where both reports know it.
func Same(a, b *Report) error {
	ma, mb := a.Machine, b.Machine
	if max(ma.Memory, mb.Memory)-min(ma.Memory, mb.Memory) <= ma.Memory/64 {
		mb.Memory = ma.Memory
	}
	if err := same("machine", ma, mb); err != nil {
		return err
	}
	ba, bb := a.Build, b.Build
	bb.Version = ba.Version
	if ba.Revision == "" || bb.Revision == "" {
		bb.Revision, bb.Modified = ba.Revision, ba.Modified
	}
	return same("build", ba, bb)
}

// same compares the fields of two structs. An empty slice equals nil.
func same[T any](what string, a, b T) error {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if one, other := fmt.Sprint(x.Field(i)), fmt.Sprint(y.Field(i)); one != other {
			field, _, _ := strings.Cut(x.Type().Field(i).Tag.Get("json"), ",")
			return fmt.Errorf("report: not the same %s: its %s is %.80q in one and %.80q in the other", what, field, one, other)
		}
	}
	return nil
}

// union returns the elements of a followed by those of b that a lacks.
func union[E comparable](a, b []E) []E {
	all := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}
