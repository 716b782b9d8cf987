package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/internal/datatest"
	"github.com/halfgrad/halfgrad/internal/require"
	"github.com/halfgrad/halfgrad/kernels"
)

// machine is a kind of processor.
type machine struct {
	arch     string // GOARCH
	emulator string // a command of qemu; "" for the machine that this runs on
	cpu      string // that the emulator is to be; "" for its default
}

// emulated are the machines besides this one: x86 without AVX, Arm with and without
// half-precision arithmetic and FMLAL, one more architecture where Go's compiler fuses,
// and one that is big-endian.
var emulated = []machine{
	{arch: "amd64", emulator: "qemu-x86_64-static", cpu: "Nehalem"},
	{arch: "arm64", emulator: "qemu-aarch64-static", cpu: "cortex-a53"},
	{arch: "arm64", emulator: "qemu-aarch64-static", cpu: "neoverse-n1"},
	{arch: "arm64", emulator: "qemu-aarch64-static", cpu: "max"},
	{arch: "riscv64", emulator: "qemu-riscv64-static"},
	{arch: "s390x", emulator: "qemu-s390x-static"},
}

// String returns the machine as a test's name has it.
func (m machine) String() string {
	return strings.Trim(m.arch+"-"+m.cpu, "-")
}

// emulation says how the machine is had.
func (m machine) emulation() string {
	if m.emulator == "" {
		return "none"
	}
	return strings.TrimSuffix("qemu, "+m.cpu, ", ")
}

// run runs the command on m and returns what it prints.
func (m machine) run(t *testing.T, binary string, args ...string) ([]byte, error) {
	argv := append([]string{binary}, args...)
	if m.cpu != "" {
		argv = append([]string{"-cpu", m.cpu}, argv...)
	}
	if m.emulator != "" {
		argv = append([]string{m.emulator}, argv...)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, kernels.EnvKernel+"=") })
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("halfgrad %s: %w\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out, err
}

// work is what every row does: the command's arguments, and the table's name for it.
type work struct {
	name string
	args []string
}

// options are all that change the course of a training beside the optimizer.
var options = []string{
	"--dropout", "0.5", "--input-dropout", "0.1", "--shift", "1", "--label-smoothing", "0.1", "--loss-weight", "0.3", "--accumulate", "2",
	"--clip-norm", "0.5", "--clip-value", "0.1", "--schedule", "onecycle", "--warmup", "5", "--nesterov", "--weight-decay", "0.01", "--no-bias-decay",
}

// The first of these is verify, the others are training.
var (
	fullWork = []work{
		{"digest of all cases", []string{"verify"}},
		{"weights after an epoch of SGD", []string{"train", "--epochs", "1"}},
		{"after 200 steps of AdamW", []string{"train", "--optimizer", "adamw", "--max-steps", "200"}},
		{"after 100 steps with all options", append([]string{"train", "--max-steps", "100"}, options...)},
	}
	quickWork = []work{
		{"digest of 200 cases", []string{"verify", "--cases", "200"}},
		{"weights after 30 steps of SGD", []string{"train", "--hidden", "16", "--max-steps", "30", "--batch", "32"}},
		{"after 20 steps of AdamW with all options", append([]string{"train", "--hidden", "16", "--max-steps", "20", "--batch", "32", "--optimizer", "adamw"},
			slices.DeleteFunc(slices.Clone(options), func(s string) bool { return s == "--nesterov" })...)},
	}
)

// row is a machine with a tier and a number of threads for the training; verify takes
// 1, 2 and 3.
type row struct {
	machine
	tier    string
	threads int
	sums    []string // of each piece of work; "" where it failed
}

// TestSameBits does the same work with every kernel tier of this machine, of full of all
// machines that qemu emulates, and compares digests and weights, bit for bit. With -v it
// prints a table in Markdown. It is no test of truth: the packages' own tests compare
// with the naive loop.
func TestSameBits(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it compiles the command and runs it many times")
	}
	machines, todo, data := []machine{{arch: runtime.GOARCH}}, quickWork, []string{"--data", datatest.Folder(t, 1000, 100, 1)}
	if require.Full() {
		datatest.MNIST(t) // fetched once, and not by all rows at the same time
		machines, todo, data = append(machines, emulated...), fullWork, nil
	}
	binaries := map[string]string{}
	var rows []*row
	for i, m := range machines {
		if m.emulator != "" {
			if _, err := exec.LookPath(m.emulator); err != nil {
				t.Run(m.String(), func(t *testing.T) {
					require.Missing(t, "qemu", "%v; in Debian: apt-get install qemu-user-static", err)
				})
				continue
			}
		}
		if binaries[m.arch] == "" {
			goarch := m.arch
			if i == 0 {
				goarch = ""
			}
			binaries[m.arch] = build(t, goarch)
		}
		var info struct {
			Tiers []string `json:"available_kernels"`
		}
		out, err := m.run(t, binaries[m.arch], "info", "--json")
		if err == nil {
			err = json.Unmarshal(out, &info)
		}
		if err != nil || len(info.Tiers) == 0 {
			t.Fatalf("%v: kernels %q, error %v", m, info.Tiers, err)
		}
		for j, tier := range info.Tiers {
			threads := []int{1, 2, 3}
			if len(machines) > 1 && m.emulator != "" || !require.Full() {
				threads = []int{1 + (i+j)%3}
			}
			for _, n := range threads {
				rows = append(rows, &row{machine: m, tier: tier, threads: n, sums: make([]string, len(todo))})
			}
		}
	}
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows {
			t.Run(fmt.Sprintf("%v-%s-%d", r.machine, r.tier, r.threads), func(t *testing.T) {
				t.Parallel()
				for i, w := range todo {
					var err error
					if i == 0 {
						r.sums[i], err = r.verify(t, binaries[r.arch], w.args)
					} else {
						r.sums[i], err = r.train(t, binaries[r.arch], slices.Concat(w.args, data))
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	})
	t.Logf("the same bits everywhere:\n%s", table(todo, rows))
	for _, complaint := range disagreements(rows) {
		t.Error(complaint)
	}
}

// verify returns the digest of a row.
func (r *row) verify(t *testing.T, binary string, args []string) (string, error) {
	out, err := r.run(t, binary, slices.Concat(args, []string{"--json", "--kernel", r.tier, "--threads", "1,2,3"})...)
	if err != nil {
		return "", err
	}
	return lastValue(out, "sha256")
}

// train returns the digest of the weights that a row has learnt.
func (r *row) train(t *testing.T, binary string, args []string) (string, error) {
	dir := t.TempDir()
	metrics := filepath.Join(dir, "metrics.jsonl")
	args = slices.Concat(args, []string{"--kernel", r.tier, "--threads", fmt.Sprint(r.threads), "--out", filepath.Join(dir, "run"), "--metrics", metrics})
	if _, err := r.run(t, binary, args...); err != nil {
		return "", err
	}
	lines, err := os.ReadFile(metrics)
	if err != nil {
		return "", err
	}
	return lastValue(lines, "weights_sha256")
}

// lastValue returns a digest from the last of some lines of JSON.
func lastValue(lines []byte, key string) (string, error) {
	lines = bytes.TrimSpace(lines)
	last := lines[bytes.LastIndexByte(lines, '\n')+1:]
	var values map[string]any
	if err := json.Unmarshal(last, &values); err != nil {
		return "", fmt.Errorf("the last line is no JSON: %q", last)
	}
	value, _ := values[key].(string)
	if len(value) != 64 {
		return "", fmt.Errorf("no %s in the last line: %q", key, last)
	}
	return value, nil
}

// table returns the rows in Markdown.
func table(todo []work, rows []*row) string {
	var b strings.Builder
	b.WriteString("| architecture | emulation | kernel | training threads |")
	for _, w := range todo {
		b.WriteString(" " + w.name + " |")
	}
	b.WriteString("\n|---|---|---|---|" + strings.Repeat("---|", len(todo)) + "\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %d |", r.arch, r.emulation(), r.tier, r.threads)
		for _, sum := range r.sums {
			fmt.Fprintf(&b, " %.12s |", sum)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// disagreements names every row whose bits are not those of most rows. Rows that failed
// or did not run are not looked at.
func disagreements(rows []*row) []string {
	var list []string
	for i := range rows[0].sums {
		count, most := map[string]int{}, ""
		for _, r := range rows {
			if sum := r.sums[i]; sum != "" {
				if count[sum]++; count[sum] > count[most] {
					most = sum
				}
			}
		}
		for _, r := range rows {
			if sum := r.sums[i]; sum != "" && sum != most {
				list = append(list, fmt.Sprintf("%v, %s, %d threads: %.12s where %d of %d rows have %.12s", r.machine, r.tier, r.threads, sum, count[most], len(rows), most))
			}
		}
	}
	return list
}

// A row with other bits is found, and one that failed is not taken for one.
func TestDisagreements(t *testing.T) {
	rows := []*row{
		{machine: machine{arch: "amd64"}, tier: "avx2", threads: 1, sums: []string{"b", "x"}},
		{machine: machine{arch: "arm64", cpu: "max"}, tier: "neon", threads: 2, sums: []string{"a", "x"}},
		{machine: machine{arch: "s390x"}, tier: "generic", threads: 3, sums: []string{"a", ""}},
	}
	want := []string{"amd64, avx2, 1 threads: b where 2 of 3 rows have a"}
	if got := disagreements(rows); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for line, found := range map[string]bool{
		`{"threads":1}` + "\n" + `{"sha256":"` + strings.Repeat("0a", 32) + `"}` + "\n": true,
		`{"sha256":"0a"}`: false, "": false, "nonsense": false,
	} {
		if sum, err := lastValue([]byte(line), "sha256"); (err == nil) != found || found && len(sum) != 64 {
			t.Errorf("%q has the digest %q, error %v", line, sum, err)
		}
	}
}
