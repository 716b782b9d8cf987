package compare

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/halfgrad/halfgrad/bench/report"
)

// peer returns what a report says about another library, nil for a tier or an unknown one.
func peer(r *report.Report, kernel string) *report.Peer {
	for i := range r.Peers {
		if r.Peers[i].Kernel == kernel {
			return &r.Peers[i]
		}
	}
	return nil
}

// peerText describes a library: its version, the processor that its code is for, and the
// settings that it was given.
func peerText(p report.Peer) string {
	s := strings.TrimSpace(p.Name + " " + p.Version)
	for _, more := range []string{p.Core, strings.Join(p.Settings, " ")} {
		if more != "" {
			s += ", " + more
		}
	}
	return s
}

// remarks returns what a report says about each library.
func (s Source) remarks() (list []report.Peer) {
	for _, p := range s.report.Peers {
		if p.Note != "" {
			list = append(list, p)
		}
	}
	return list
}

// label gives each report without a label the first of these that distinguishes all
// reports: processor, commit, file name, letter.
func (c *Comparison) label() {
	for _, name := range []func(s Source) string{
		func(s Source) string { return machineName(s.report.Machine) },
		func(s Source) string { return commit(s.report.Build) },
		func(s Source) string { return strings.TrimSuffix(filepath.Base(s.Path), ".json") },
		func(s Source) string { return s.Key },
	} {
		labels := make([]string, len(c.Sources))
		for i, s := range c.Sources {
			labels[i] = cmp.Or(s.Label, name(s))
		}
		if distinct := slices.Compact(slices.Sorted(slices.Values(labels))); len(distinct) < len(labels) || distinct[0] == "" {
			continue
		}
		for i := range c.Sources {
			c.Sources[i].Label = labels[i]
		}
		return
	}
	for i := range c.Sources { // the user's own labels are equal
		c.Sources[i].Label = cmp.Or(c.Sources[i].Label, c.Sources[i].Key)
	}
}

var brandNoise = regexp.MustCompile(`\((R|TM|r|tm)\)|\bCPU\b|\bProcessor\b|\b\d+-Core\b|@ *[0-9.]+ *GHz`)

// machineName returns the processor's name without trademarks and the like.
func machineName(m report.Machine) string {
	name := strings.Join(strings.Fields(brandNoise.ReplaceAllString(m.CPU, " ")), " ")
	name = cmp.Or(name, m.Arch)
	if m.Emulated {
		name += " (emulated)"
	}
	return shorten(name, 40)
}

// shorten cuts s to n runes.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// commit returns the short commit, "" if it is unknown.
func commit(b report.Build) string {
	s := b.Revision
	if len(s) > 10 {
		s = s[:10]
	}
	if s == "" && b.Version != "(devel)" {
		s = b.Version
	}
	if s != "" && b.Modified {
		s += " (modified)"
	}
	return s
}

// aspects lists the properties of the reports, and whether they differ.
func aspects(sources []Source) []Aspect {
	size := func(bytes uint64) string {
		if bytes == 0 {
			return "unknown"
		}
		return byteSize(bytes)
	}
	cache := func(bytes int) string { return size(uint64(max(bytes, 0))) }
	var list []Aspect
	add := func(name string, value func(r *report.Report) string) {
		a := Aspect{Name: name}
		for _, s := range sources {
			a.Values = append(a.Values, cmp.Or(value(s.report), "unknown"))
		}
		a.Differ = len(slices.Compact(slices.Clone(a.Values))) > 1
		list = append(list, a)
	}
	add("CPU", func(r *report.Report) string { return r.Machine.CPU })
	add("platform", func(r *report.Report) string { return r.Machine.OS + "/" + r.Machine.Arch })
	add("emulated", func(r *report.Report) string {
		if r.Machine.Emulated {
			return "yes: " + cmp.Or(r.Machine.Emulator, "as its maker says")
		}
		return "no"
	})
	add("cores", func(r *report.Report) string { return strconv.Itoa(r.Machine.Cores) })
	add("caches", func(r *report.Report) string {
		c := r.Machine.Caches
		if c == (report.Caches{}) {
			return ""
		}
		return fmt.Sprintf("L1 %s, L2 %s, L3 %s", cache(c.L1D), cache(c.L2), cache(c.L3))
	})
	add("memory", func(r *report.Report) string { return size(r.Machine.Memory) })
	add("hypervisor", func(r *report.Report) string { return cmp.Or(r.Machine.Hypervisor, "none known") })
	add("commit", func(r *report.Report) string { return commit(r.Build) })
	add("Go", func(r *report.Report) string { return r.Build.Go })
	add("kernels", func(r *report.Report) string { return strings.Join(r.Settings.Kernels, ", ") })
	add("peers", func(r *report.Report) string {
		var s []string
		for _, p := range r.Peers {
			s = append(s, peerText(p))
		}
		return cmp.Or(strings.Join(s, "; "), "none")
	})
	add("threads", func(r *report.Report) string {
		var s []string
		for _, n := range r.Settings.Threads {
			s = append(s, strconv.Itoa(n))
		}
		return strings.Join(s, ", ")
	})
	add("suite", func(r *report.Report) string { return fmt.Sprintf("%s, %d rounds", r.Suite, r.Settings.Rounds) })
	add("date", func(r *report.Report) string { return r.Date.Format(time.DateOnly) })
	return list
}

// byteSize writes a size in the largest unit in which it is 1 or more.
func byteSize(bytes uint64) string {
	if bytes == 0 {
		return "0 B"
	}
	unit, x := "B", float64(bytes)
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if x < 1024 {
			break
		}
		unit, x = next, x/1024
	}
	if x < 100 {
		x = rounded(x, 3)
	}
	return strconv.FormatFloat(x, 'g', 4, 64) + " " + unit
}

// kinds are the suite's benchmarks in the order of the groups.
var kinds = []struct{ kind, title string }{
	{"Peak", "FMA peak"}, {"Memory", "memory"}, {"Convert", "conversion"}, {"Gemm", "matrix products"}, {"TrainStep", "training steps"},
}

// kindRank orders groups: the suite's kinds first, then others.
func kindRank(kind string) int {
	for i, k := range kinds {
		if k.kind == kind {
			return i
		}
	}
	return len(kinds)
}

// threadRank orders numbers of threads, with "all" last.
func threadRank(threads string) int {
	n, err := strconv.Atoi(threads)
	if err != nil {
		n = 1 << 30
	}
	return n
}

// newGroup returns the group of a row, without rows. A group has one kind, type, number
// of threads and count; all peaks are in one group.
func newGroup(name report.Name) Group {
	g := Group{Kind: name.Base(), DType: name.Get("dtype"), Threads: name.Get("threads")}
	if g.Kind == "Peak" {
		g.DType, g.Threads = "", ""
	}
	g.Title = g.Kind
	if i := kindRank(g.Kind); i < len(kinds) {
		g.Title = kinds[i].title
	}
	if g.DType != "" {
		g.Title += " in " + g.DType
	}
	if g.Threads != "" {
		g.Title += ", " + threadsLabel(g.Threads)
	}
	if g.Count = name.Get("count"); g.Count != "" {
		g.Title += ", by " + g.Count
	}
	return g
}

func threadsLabel(threads string) string {
	switch threads {
	case "1":
		return "1 thread"
	case "all":
		return "all cores"
	}
	return threads + " threads"
}

// rowLabel returns a row's name within its group.
func rowLabel(name report.Name) string {
	get := name.Get
	switch {
	case name.Base() == "Peak" && get("threads") != "":
		return strings.TrimSpace(get("dtype") + " " + threadsLabel(get("threads")))
	case name.Base() == "Memory" && get("op") != "":
		if bytes, err := strconv.ParseUint(get("bytes"), 10, 64); err == nil {
			return get("op") + " " + byteSize(bytes)
		}
	case name.Base() == "Convert" && get("op") != "":
		return get("op") + " " + get("elements")
	case name.Base() == "Gemm" && get("m") != "":
		return strings.TrimSpace(shapeLabel(name) + " " + get("ta") + get("tb"))
	case name.Base() == "TrainStep" && get("model") != "":
		return fmt.Sprintf("%s, batch %s, %s", get("model"), get("batch"), get("optimizer"))
	}
	_, rest, _ := strings.Cut(string(name.Without("dtype", "threads", "count")), "/")
	return cmp.Or(strings.ReplaceAll(rest, "/", " "), name.Base())
}

func shapeLabel(name report.Name) string {
	return fmt.Sprintf("%s×%s×%s", name.Get("m"), name.Get("n"), name.Get("k"))
}
