package memory

import (
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func total() uint64 { t, _ := measure(os.DirFS("/")); return t }

func available() uint64 {
	root := os.DirFS("/")
	_, n := measure(root)
	var limit unix.Rlimit // of ulimit -v
	if unix.Getrlimit(unix.RLIMIT_AS, &limit) == nil && limit.Cur < math.MaxInt64 {
		n = min(n, limit.Cur-min(addressSpace(root), limit.Cur))
	}
	return n
}

// addressSpace returns how much of it this process has taken.
func addressSpace(root fs.FS) uint64 {
	statm, _ := fs.ReadFile(root, "proc/self/statm")
	pages, _, _ := strings.Cut(string(statm), " ")
	n, _ := strconv.ParseUint(pages, 10, 64)
	return n * uint64(os.Getpagesize())
}

// measure reads the files below root.
func measure(root fs.FS) (total, available uint64) {
	meminfo, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, 0
	}
	total, available = 1024*field(meminfo, "MemTotal:"), 1024*field(meminfo, "MemAvailable:")
	for _, g := range groups(root) {
		limit, ok := number(root, path.Join(g.dir, g.limit))
		if !ok || limit >= total {
			continue
		}
		total = limit
		used, _ := number(root, path.Join(g.dir, g.usage))
		stat, _ := fs.ReadFile(root, path.Join(g.dir, "memory.stat"))
		used -= min(field(stat, g.cache), used) // which the system gives back
		available = min(available, limit-min(used, limit))
	}
	return total, available
}

// group is a control group, with the names that its version has for its files.
type group struct{ dir, limit, usage, cache string }

// groups returns the control groups that this process is in and those around them,
// the innermost first.
func groups(root fs.FS) []group {
	cgroup, _ := fs.ReadFile(root, "proc/self/cgroup")
	var list []group
	for line := range strings.Lines(string(cgroup)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		var g group
		switch {
		case parts[1] == "":
			g = group{"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"}
		case strings.Contains(","+parts[1]+",", ",memory,"):
			g = group{"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
		default:
			continue
		}
		mount := g.dir
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			g.dir = path.Join(mount, at)
			list = append(list, g)
			if at == "/" {
				break
			}
		}
	}
	return list
}

// number reads a file that holds a number. A limit of "max" is none.
func number(root fs.FS, name string) (n uint64, ok bool) {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// field returns the number after a key at the beginning of a line.
func field(text []byte, key string) uint64 {
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == key {
			n, _ := strconv.ParseUint(words[1], 10, 64)
			return n
		}
	}
	return 0
}
