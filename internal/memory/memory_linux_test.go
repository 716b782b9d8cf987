package memory

import (
	"os"
	"testing"
	"testing/fstest"
)

const (
	meminfo = "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    8000000 kB\n"
	gib     = 1 << 30
)

func TestMeasure(t *testing.T) {
	for _, tt := range []struct {
		name             string
		files            map[string]string
		total, available uint64
	}{
		{"no limits", map[string]string{"proc/meminfo": meminfo}, 16000000 << 10, 8000000 << 10},
		{"no /proc", nil, 0, 0},
		{"version 2", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/job/task\n",
			"sys/fs/cgroup/job/task/memory.max": "max\n",
			"sys/fs/cgroup/job/memory.max":      "4294967296\n", "sys/fs/cgroup/job/memory.current": "3221225472\n",
			"sys/fs/cgroup/job/memory.stat": "anon 2147483648\ninactive_file 1073741824\n",
		}, 4 * gib, 2 * gib},
		{"version 2, two limits", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/job/task\n",
			"sys/fs/cgroup/job/task/memory.max": "2147483648\n", "sys/fs/cgroup/job/task/memory.current": "1073741824\n",
			"sys/fs/cgroup/job/memory.max": "1073741824\n", "sys/fs/cgroup/job/memory.current": "2147483648\n", // lowered below its use
		}, gib, 0},
		{"version 1", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu:/other\n4:cpuset,memory:/job\n0::/\n",
			"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "8589934592\n", "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "5368709120\n",
			"sys/fs/cgroup/memory/job/memory.stat":       "inactive_file 1\ntotal_inactive_file 1073741824\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 8 * gib, 4 * gib},
		{"a container whose group is mounted at the root", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/not/visible/here\n",
			"sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/memory.current": "0\n",
		}, gib, gib},
		{"more than the machine has", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1099511627776\n",
		}, 16000000 << 10, 8000000 << 10},
	} {
		root := fstest.MapFS{}
		for name, content := range tt.files {
			root[name] = &fstest.MapFile{Data: []byte(content)}
		}
		if total, available := measure(root); total != tt.total || available != tt.available {
			t.Errorf("%s: %d bytes, %d available, want %d and %d", tt.name, total, available, tt.total, tt.available)
		}
	}
}

func TestAddressSpace(t *testing.T) {
	root := fstest.MapFS{"proc/self/statm": {Data: []byte("100 5 3 1 0 2 0\n")}}
	if got, want := addressSpace(root), uint64(100*os.Getpagesize()); got != want {
		t.Errorf("100 pages are %d bytes, want %d", got, want)
	}
}
