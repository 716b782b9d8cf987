package report

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Merge adds what other has measured to r: on the same machine, with the same build.
// The error is that of [Same], and leaves r as it is.
//
// Benchmarks that both have are other's then, so that what took turns stays together.
// If other has peers, then all that r had of peers gives way to them, for the same
// reason. The date and the suite stay r's, and settings are what either had; how many
// samples a benchmark has only it tells then.
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

// Same returns an error that says in what two reports are not of the same machine and
// build: the first field in which they differ. Memory may by one part in 64, some of
// which a system keeps for itself at its start. What version a build is depends on how
// it was built, and is not looked at; its revision is, where both know one.
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

// same compares two structs of one type, an empty slice like none.
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

// union returns the elements of a, and those of b that a lacks.
func union[E comparable](a, b []E) []E {
	all := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}
