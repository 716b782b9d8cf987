package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/internal/verify"
	"github.com/halfgrad/halfgrad/kernels"
)

// verifications runs the command with --json.
func verifications(t *testing.T, args ...string) (lines []verification) {
	t.Helper()
	for line := range strings.Lines(succeed(t, append([]string{"verify", "--json"}, args...)...).stdout) {
		var v verification
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		lines = append(lines, v)
	}
	return lines
}

// The published digest, and the table that it is in.
func TestVerify(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: all cases take a second or more")
	}
	r := succeed(t, "verify", "--kernel", kernels.Supported()[0], "--threads", "2")
	want := []string{kernels.Supported()[0], "2", "10000", "", verify.Published.All}
	rows := strings.Split(r.stdout, "\n")
	if got := strings.Fields(rows[1]); len(got) != len(want) || !slices.Equal(slices.Delete(got, 3, 4), slices.Delete(want, 3, 4)) {
		t.Errorf("row %q, want %v", rows[1], want)
	}
	if r.lastLine() != "all agree, and with the published digest" {
		t.Errorf("the last line is %q", r.lastLine())
	}
}

func TestVerifyTiersAndThreads(t *testing.T) {
	t.Setenv(kernels.EnvKernel, "")
	lines := verifications(t, "--cases", "50", "--seed", "7", "--threads", "3,1")
	var got, want []string
	for _, v := range lines {
		got = append(got, v.String())
		if v.Cases != 50 || v.Seed != 7 || v.Seconds <= 0 || len(v.SHA256) != 64 || v.SHA256 != lines[0].SHA256 || len(v.Groups) != int(verify.NumGroups) {
			t.Errorf("%+v", v)
		}
		for name, sum := range v.Groups {
			if len(sum) != 64 || sum != lines[0].Groups[name] {
				t.Errorf("%v: %s: %s", v, name, sum)
			}
		}
	}
	for _, tier := range kernels.Supported() {
		want = append(want, tier+" with 3 threads", tier+" with 1 threads")
	}
	if !slices.Equal(got, want) {
		t.Errorf("lines for %v, want %v", got, want)
	}
	if other := verifications(t, "--cases", "50", "--kernel", "generic", "--threads", "1"); len(other) != 1 || other[0].SHA256 == lines[0].SHA256 {
		t.Errorf("the seed makes no difference, or --kernel: %+v", other)
	}
	if r := succeed(t, "verify", "--cases", "20"); r.lastLine() != "all agree; a digest is published for 10000 cases and seed 1 only" {
		t.Errorf("the last line is %q", r.lastLine())
	}
}

func TestVerifyEnvironment(t *testing.T) {
	t.Setenv(kernels.EnvKernel, "generic")
	if lines := verifications(t, "--cases", "5", "--threads", "1"); len(lines) != 1 || lines[0].Kernel != "generic" {
		t.Errorf("%+v", lines)
	}
	if lines := verifications(t, "--cases", "5", "--threads", "1", "--kernel", "all"); len(lines) != len(kernels.Supported()) {
		t.Errorf("--kernel all: %+v", lines)
	}
	t.Setenv(kernels.EnvKernel, "mmx")
	checkUsageError(t, command(t, "verify"), "HALFGRAD_KERNEL=mmx", "generic")
}

// Who differs, and in what.
func TestVerifyDisagreement(t *testing.T) {
	good := verify.Published
	bad, worse := good, good
	bad.Groups[verify.ProductsF32] = "0"
	worse.Groups[verify.ProductsF16], worse.Groups[verify.Elementwise] = "1", "2"
	lines := func(sums ...verify.Sums) (all []verification) {
		for i, s := range sums {
			all = append(all, verification{Kernel: "neon", Threads: i + 1, sums: s})
		}
		return all
	}
	for _, tt := range []struct {
		all     []verification
		compare bool
		want    string
	}{
		{lines(good, good), true, ""},
		{lines(bad, bad), false, ""},
		{lines(good, bad, worse), false, "other bits than neon with 1 threads: neon with 2 threads in fp32 products; neon with 3 threads in fp16 products, elementwise"},
		{lines(bad, good), true, "other bits than the published digest: neon with 1 threads in fp32 products"},
		{lines(bad), true, "other bits than the published digest: neon with 1 threads in fp32 products"},
	} {
		err := agree(tt.all, tt.compare, good)
		if got := strings.TrimPrefix(fmt.Sprint(err), "verify: "); got != tt.want && (err != nil || tt.want != "") {
			t.Errorf("error %q, want %q", got, tt.want)
		}
	}
}

func TestVerifyBadFlags(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		want  []string
	}{
		{[]string{"--cases", "0"}, []string{"--cases 0", "want 1"}},
		{[]string{"--cases", "-3"}, []string{"--cases -3"}},
		{[]string{"--cases", "many"}, []string{"--cases", "many"}},
		{[]string{"--seed", "-1"}, []string{"--seed", "-1"}},
		{[]string{"--threads", "1,two"}, []string{"--threads", "two"}},
		{[]string{"--threads", "2,0"}, []string{"--threads 0", "want 1 to 1024"}},
		{[]string{"--threads", "5000"}, []string{"--threads 5000"}},
		{[]string{"--threads", "-1"}, []string{"--threads", "-1"}},
		{[]string{"--threads", ""}, []string{"--threads", "empty"}},
		{[]string{"--kernel", "mmx"}, []string{`"mmx"`, "generic"}},
		{[]string{"stray"}, []string{"stray"}},
	} {
		t.Run(strings.Join(tt.flags, " "), func(t *testing.T) {
			r := command(t, append([]string{"verify"}, tt.flags...)...)
			checkUsageError(t, r, tt.want...)
			if r.stdout != "" {
				t.Errorf("it began: %s", r.stdout)
			}
		})
	}
}

func TestVerifyInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	code := run(ctx, []string{"verify", "--threads", "1,2", "--cases", "100"}, &env{stdout: &cancelAfter{text: " 1      100 ", cancel: cancel}, stderr: &stderr})
	if code != exitInterrupted || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}

func TestVerifyProgressBar(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"verify", "--cases", "100", "--threads", "2"}, &env{stdout: &stdout, stderr: &stderr, terminal: true}); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, part := range []string{"generic with 2 threads", "\r"} {
		if !strings.Contains(stderr.String(), part) {
			t.Errorf("no %q in the bar %q", part, stderr.String())
		}
	}
	if strings.Contains(stdout.String(), "\r") {
		t.Errorf("the bar is in stdout: %q", stdout.String())
	}
}

func TestVerifyHelp(t *testing.T) {
	r := succeed(t, "verify", "--help")
	for _, part := range []string{"--cases", "--seed", "--kernel", "--threads", "--json", "(default 10000)", "SHA-256", "published"} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("no %q in\n%s", part, r.stdout)
		}
	}
}
