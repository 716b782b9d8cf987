package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fake is machines that answer as halfgrad does.
type fake struct {
	tiers  map[string]string // JSON by the last word of what comes before halfgrad's arguments
	answer func(argv []string, sum string) (string, error)

	mu        sync.Mutex
	asked     []string
	now, most int // commands at the same time
}

const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// after returns what follows a flag.
func after(argv []string, flag string) string {
	return argv[slices.Index(argv, flag)+1]
}

func (f *fake) run(ctx context.Context, argv []string) ([]byte, error) {
	f.mu.Lock()
	f.asked = append(f.asked, strings.Join(argv, " "))
	f.now++
	f.most = max(f.most, f.now)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now--
		f.mu.Unlock()
	}()
	runtime.Gosched()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if slices.Contains(argv, "info") {
		return []byte(f.tiers[argv[slices.Index(argv, "info")-1]]), nil
	}
	answer := f.answer
	if answer == nil {
		answer = func(_ []string, sum string) (string, error) { return sum, nil }
	}
	got, err := answer(argv, sum)
	if slices.Contains(argv, "verify") {
		return fmt.Appendf(nil, "{\"threads\":1,\"sha256\":%q}\n{\"threads\":3,\"sha256\":%q}\n", sum, got), err
	}
	lines := fmt.Appendf(nil, "{\"event\":\"start\"}\n{\"event\":\"done\",\"weights_sha256\":%q}\n", got)
	return []byte("epoch 1/1\n"), errors.Join(err, os.WriteFile(after(argv, "--metrics"), lines, 0o644))
}

// lab is this machine and two others.
func lab() ([]machine, *fake) {
	return []machine{
			{arch: "amd64", binary: "native"},
			{arch: "arm64", emulator: "qemu-arm", cpu: "max", binary: "arm"},
			{arch: "s390x", emulator: "qemu-z", binary: "z"},
		}, &fake{tiers: map[string]string{
			"native": `{"available_kernels":["avx2","generic"]}`,
			"arm":    `{"available_kernels":["neonfhm","neon","generic"]}`,
			"z":      `{"available_kernels":["generic"]}`,
		}}
}

func start(t *testing.T, f *fake, machines []machine, only string) (*session, []*row) {
	t.Helper()
	s := &session{work: quick, folder: t.TempDir(), run: f.run, progress: new(bytes.Buffer)}
	rows, err := s.rows(t.Context(), machines, regexp.MustCompile(only))
	if err != nil {
		t.Fatal(err)
	}
	return s, rows
}

func names(rows []*row) (names []string) {
	for _, r := range rows {
		names = append(names, r.String())
	}
	return names
}

func TestRows(t *testing.T) {
	machines, f := lab()
	_, rows := start(t, f, machines, "")
	if want := []string{
		"amd64 (none) avx2 1 threads", "amd64 (none) avx2 2 threads", "amd64 (none) avx2 3 threads",
		"amd64 (none) generic 1 threads", "amd64 (none) generic 2 threads", "amd64 (none) generic 3 threads",
		"arm64 (qemu, max) neonfhm 1 threads", "arm64 (qemu, max) neon 2 threads", "arm64 (qemu, max) generic 3 threads",
		"s390x (qemu) generic 1 threads",
	}; !slices.Equal(names(rows), want) {
		t.Errorf("rows %q, want %q", names(rows), want)
	}
	if want := []string{"native info --json", "qemu-arm -cpu max arm info --json", "qemu-z z info --json"}; !slices.Equal(f.asked, want) {
		t.Errorf("asked %q, want %q", f.asked, want)
	}
	_, rows = start(t, f, machines, "arm64.*neon|s390x") // with the threads that they have without --only
	if want := []string{"arm64 (qemu, max) neonfhm 1 threads", "arm64 (qemu, max) neon 2 threads", "s390x (qemu) generic 1 threads"}; !slices.Equal(names(rows), want) {
		t.Errorf("rows %q, want %q", names(rows), want)
	}
}

func TestBadInfo(t *testing.T) {
	for answer, want := range map[string]string{
		`{"available_kernels":[]}`:      "no available_kernels",
		`qemu: uncaught target signal`:  "invalid character",
		`{"available_kernels":["avx"]}`: "no row matches",
	} {
		machines, f := lab()
		for m := range f.tiers {
			f.tiers[m] = answer
		}
		s := &session{work: quick, run: f.run}
		if _, err := s.rows(t.Context(), machines, regexp.MustCompile("mmx")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v does not say %q", answer, err, want)
		}
	}
}

func TestAllAgree(t *testing.T) {
	machines, f := lab()
	s, rows := start(t, f, machines, "generic [13]")
	f.asked = nil
	if err := s.do(t.Context(), rows, 1); err != nil {
		t.Fatal(err)
	}
	if err := agree(rows); err != nil {
		t.Error(err)
	}
	const want = `| architecture | emulation | kernel | training threads | digest of 500 cases | weights after 30 steps of SGD | after 30 steps of AdamW | after 20 steps with all options |
|---|---|---|---|---|---|---|---|
| amd64 | none | generic | 1 | 0123456789ab | 0123456789ab | 0123456789ab | 0123456789ab |
| amd64 | none | generic | 3 | 0123456789ab | 0123456789ab | 0123456789ab | 0123456789ab |
| arm64 | qemu, max | generic | 3 | 0123456789ab | 0123456789ab | 0123456789ab | 0123456789ab |
| s390x | qemu | generic | 1 | 0123456789ab | 0123456789ab | 0123456789ab | 0123456789ab |
`
	if got := s.table(rows); got != want {
		t.Errorf("table\n%s, want\n%s", got, want)
	}
	run := filepath.Join(s.folder, "run2")
	if asked := f.asked[8:12]; !slices.Equal(asked, []string{
		"qemu-arm -cpu max arm verify --cases 500 --json --kernel generic --threads 1,2,3",
		"qemu-arm -cpu max arm train --hidden 16 --max-steps 30 --kernel generic --threads 3 --out " + run + " --metrics " + run + ".jsonl",
		"qemu-arm -cpu max arm train --hidden 16 --max-steps 30 --optimizer adamw --kernel generic --threads 3 --out " + run + " --metrics " + run + ".jsonl",
		"qemu-arm -cpu max arm train --hidden 16 --max-steps 20 " + strings.Join(options, " ") + " --kernel generic --threads 3 --out " + run + " --metrics " + run + ".jsonl",
	}) {
		t.Errorf("asked %q", asked)
	}
	progress := s.progress.(*bytes.Buffer).String()
	if !regexp.MustCompile(`^(\d of 4: \w+ \(.*\) generic \d threads: \d+\.\d \+ \d+\.\d \+ \d+\.\d \+ \d+\.\d s\n){4}$`).MatchString(progress) {
		t.Errorf("progress:\n%s", progress)
	}
}

// Whoever is not as most are, or fails, is named, and all others are done.
func TestDisagreement(t *testing.T) {
	other := strings.ToUpper(sum)
	for _, tt := range []struct {
		name        string
		answer      func(argv []string, sum string) (string, error)
		errors, row string
	}{
		{"weights", func(argv []string, sum string) (string, error) {
			if argv[0] == "native" && after(argv, "--kernel") == "avx2" && after(argv, "--threads") == "1" {
				return other, nil
			}
			return sum, nil
		}, strings.Repeat("amd64 (none) avx2 1 threads: 0123456789AB where 9 of 10 rows have 0123456789ab\n", 2) + "amd64 (none) avx2 1 threads: 0123456789AB where 9 of 10 rows have 0123456789ab",
			"| amd64 | none | avx2 | 1 | 0123456789ab | 0123456789AB | 0123456789AB | 0123456789AB |"},
		{"digest, and verify says so", func(argv []string, sum string) (string, error) {
			if argv[0] == "qemu-z" && slices.Contains(argv, "verify") {
				return other, errors.New("other bits than the published digest")
			}
			return sum, nil
		}, "s390x (qemu) generic 1 threads: other bits than the published digest", "| s390x | qemu | generic | 1 | 0123456789AB | 0123456789ab | 0123456789ab | 0123456789ab |"},
		{"a crash", func(argv []string, sum string) (string, error) {
			if slices.Contains(argv, "adamw") && after(argv, "--kernel") == "neon" {
				return "", errors.New("segmentation fault")
			}
			return sum, nil
		}, "arm64 (qemu, max) neon 2 threads: segmentation fault", "| arm64 | qemu, max | neon | 2 | 0123456789ab | 0123456789ab | failed | 0123456789ab |"},
		{"no digest", func(argv []string, sum string) (string, error) {
			if argv[0] == "qemu-z" {
				return "", nil
			}
			return sum, nil
		}, `s390x (qemu) generic 1 threads: no sha256 in the last line "{\"threads\":3,\"sha256\":\"\"}"`, "| s390x | qemu | generic | 1 | failed | failed | failed | failed |"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			machines, f := lab()
			f.answer = tt.answer
			s, rows := start(t, f, machines, "")
			if err := s.do(t.Context(), rows, 3); err != nil {
				t.Fatal(err)
			}
			if err := agree(rows); err == nil || !strings.HasPrefix(err.Error(), tt.errors) || strings.Count(err.Error(), "generic 2 threads") > 0 {
				t.Errorf("error %v, want %s", err, tt.errors)
			}
			if table := s.table(rows); !strings.Contains(table, "\n"+tt.row+"\n") || strings.Count(table, "\n") != 12 {
				t.Errorf("no row %s in\n%s", tt.row, table)
			}
			if f.most > 3 {
				t.Errorf("%d commands at the same time, want 3 at most", f.most)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	machines, f := lab()
	ctx, cancel := context.WithCancel(t.Context())
	f.answer = func([]string, string) (string, error) { cancel(); return "", ctx.Err() }
	s, rows := start(t, f, machines, "")
	f.asked = nil
	if err := s.do(ctx, rows, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if n := len(f.asked); n > len(quick) {
		t.Errorf("%d commands after it was cancelled", n)
	}
}

func TestPresent(t *testing.T) {
	all, err := present(func(string) (string, error) { return "", nil })
	if err != nil || len(all) != 1+len(emulated) || all[0].emulator != "" || all[0].arch != runtime.GOARCH {
		t.Errorf("%v, error %v", all, err)
	}
	some, err := present(func(name string) (string, error) {
		if strings.Contains(name, "aarch64") || strings.Contains(name, "s390x") {
			return "", exec.ErrNotFound
		}
		return "", nil
	})
	if want := "qemu-aarch64-static, qemu-s390x-static: not installed; they are in Debian's package qemu-user-static"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if len(some) != 3 {
		t.Errorf("%v", some)
	}
}

func TestExecute(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell here")
	}
	t.Setenv("HALFGRAD_KERNEL", "avx2") // which other machines do not have
	out, err := execute(t.Context(), []string{"sh", "-c", `echo "kernel=$HALFGRAD_KERNEL"; echo first >&2; echo "the reason" >&2; exit 3`})
	if string(out) != "kernel=\n" || err == nil || err.Error() != "the reason" {
		t.Errorf("%q, error %v", out, err)
	}
	if _, err := execute(t.Context(), []string{"sh", "-c", "exit 4"}); err == nil || err.Error() != "exit status 4" {
		t.Errorf("error %v", err)
	}
	if _, err := execute(t.Context(), []string{"sh", "-c", "echo a warning >&2"}); err != nil {
		t.Errorf("error %v", err)
	}
	if _, err := execute(t.Context(), []string{"/nowhere/halfgrad"}); err == nil || !strings.Contains(err.Error(), "/nowhere/halfgrad") {
		t.Errorf("error %v", err)
	}
}
