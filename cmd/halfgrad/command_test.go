package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Without arguments there is the help, as with --help.
func TestBareCall(t *testing.T) {
	if r := succeed(t); r.stdout != succeed(t, "--help").stdout || !strings.Contains(r.stdout, "halfgrad train") {
		t.Errorf("it says\n%s", r.stdout)
	}
}

// The help of every command fits 80 columns.
func TestHelpFits(t *testing.T) {
	for _, name := range []string{"", "train", "eval", "predict", "export", "import", "inspect", "plot", "info", "verify", "completion", "version",
		"bench", "bench suite", "bench gemm", "bench train", "bench compare", "bench export"} {
		for line := range strings.Lines(succeed(t, append(strings.Fields(name), "--help")...).stdout) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s --help has a line of %d columns: %s", name, n, line)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	if a, b := succeed(t, "--version"), succeed(t, "version"); a != b || !strings.HasPrefix(a.stdout, "halfgrad ") || strings.Count(a.stdout, "\n") != 1 {
		t.Errorf("--version says %q, version %q", a.stdout, b.stdout)
	}
	settings := func(s ...string) (out []debug.BuildSetting) {
		for pair := range slices.Chunk(s, 2) {
			out = append(out, debug.BuildSetting{Key: pair[0], Value: pair[1]})
		}
		return out
	}
	for _, tt := range []struct {
		info *debug.BuildInfo
		want string
	}{
		{nil, "(devel)"},
		{&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3"},
		{&debug.BuildInfo{Settings: settings("vcs.revision", "0123456789abcdef0123", "vcs.time", "2026-01-02T03:04:05Z", "vcs.modified", "false")}, "(devel), commit 0123456789ab of 2026-01-02T03:04:05Z"},
		{&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3+dirty"}, Settings: settings("vcs.revision", "0123", "vcs.modified", "true")}, "v1.2.3+dirty, commit 0123 with changes"},
	} {
		if got := versionOf(tt.info); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestCompletion(t *testing.T) {
	words := func(shell string, line ...string) (found []string) {
		for answer := range strings.Lines(succeed(t, append([]string{completeCommand, shell}, line...)...).stdout) {
			word, _, ok := strings.Cut(strings.TrimSuffix(answer, "\n"), "\t")
			if !ok {
				t.Errorf("the answer %q has no tab", answer)
			}
			found = append(found, word)
		}
		return found
	}
	for _, tt := range []struct {
		line []string
		want []string
	}{
		{[]string{"tr"}, []string{"train"}},
		{[]string{"bench", ""}, []string{"suite", "gemm", "train", "compare", "export"}},
		{[]string{"bench", "--qu"}, []string{"--quick"}}, // of the command that is the default
		{[]string{"bench", "gemm", "--dt"}, []string{"--dtype"}},
		{[]string{"bench", "gemm", "--dtype", "fp3"}, []string{"fp32"}},
		{[]string{"train", "--optimizer", ""}, []string{"sgd", "adam", "adamw"}},
		{[]string{"train", "--optimizer=ada"}, []string{"--optimizer=adam", "--optimizer=adamw"}},
		{[]string{"train", "--resume", "--lab"}, []string{"--label-smoothing"}}, // --resume takes no further word
		{[]string{"train", "--no"}, []string{"--no-bias-decay"}},
		{[]string{"train", "--lr", "--ep"}, nil}, // the value of --lr
		{[]string{"train", "--epochs", "3", "--epo"}, nil},
		{[]string{"train", "--data", ""}, []string{":file"}},
		{[]string{"plot", "run"}, []string{":file"}},
		{[]string{"completion", ""}, []string{"bash", "zsh", "fish"}},
		{[]string{"frobnicate", "--x=", ""}, []string{"train", "eval", "predict", "export", "import", "inspect", "plot", "info", "bench", "verify", "completion", "version"}},
	} {
		if got := words("zsh", tt.line...); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.line, got, tt.want)
		}
	}
	// bash takes --flag=value for three words.
	for _, line := range [][]string{{"train", "--optimizer", "=", "adamw"}, {"train", "--optimizer", "=", "adamw"}} {
		if got := words("bash", line...); !slices.Equal(got, []string{"adamw"}) {
			t.Errorf("bash %q: %q", line, got)
		}
	}
	if got := words("bash", "train", "--optimizer", "="); len(got) != 3 {
		t.Errorf("bash, behind the =: %q", got)
	}
	checkUsageError(t, command(t, "completion", "tcsh"), "tcsh", "bash")
}

// The scripts, in the shells that are there.
func TestCompletionScripts(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "halfgrad"), []byte("#!/bin/sh\nHALFGRAD_TEST_MAIN=1 exec '"+os.Args[0]+"' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for shell, script := range map[string]string{
		"bash": `source <(halfgrad completion bash)
			COMP_WORDS=(halfgrad train --optimizer = adamw); COMP_CWORD=4; _halfgrad; echo "${COMPREPLY[@]}"
			COMP_WORDS=(halfgrad tr); COMP_CWORD=1; _halfgrad; echo "${COMPREPLY[@]}"`,
		"fish": `halfgrad completion fish | source
			complete -C "halfgrad train --optimizer=adamw" | string replace -- --optimizer= ''
			complete -C "halfgrad tr" | string split -f 1 \t`,
		"zsh": `compdef() { :; }; _describe() { for f in $found; do echo ${f%%:*}; done }
			source <(halfgrad completion zsh)
			words=(halfgrad train --optimizer=adamw); CURRENT=3; _halfgrad | sed s/--optimizer=//
			words=(halfgrad tr); CURRENT=2; _halfgrad`,
	} {
		t.Run(shell, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("the program is a script of a Unix shell")
			}
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("there is no %s", shell)
			}
			cmd := exec.Command(path, "-c", script)
			cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+bin)
			out, err := cmd.CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != "adamw\ntrain" {
				t.Errorf("%v, %q", err, got)
			}
		})
	}
}

// Without --checkpoint it is the one that halfgrad train writes by default.
func TestDefaultCheckpoint(t *testing.T) {
	dir := smallData(t)
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"eval", "--data", dir}, {"inspect", "--data", dir}, {"export", "--format", "onnx"}, {"predict", "x.png"}} {
		checkUsageError(t, command(t, args...), "there is no checkpoint halfgrad-run", "--checkpoint")
	}
	succeed(t, "train", "--data", dir, "--hidden", "8", "--epochs", "1", "--batch", "32")
	succeed(t, "eval", "--data", dir)
	succeed(t, "inspect", "--data", dir)
	succeed(t, "export", "--format", "onnx")
}

// Files that cannot be opened are wrong input, whatever is the matter with them.
func TestUnopenableFiles(t *testing.T) {
	dir := t.TempDir()
	loop, secret := filepath.Join(dir, "loop"), filepath.Join(dir, "secret")
	if err := os.Symlink(loop, loop); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(secret, nil, 0); err != nil {
		t.Fatal(err)
	}
	paths := []string{loop, filepath.Join(loop, "below"), dir, filepath.Join(dir, strings.Repeat("long", 100)), filepath.Join(secret, "below")}
	if f, err := os.Open(secret); err != nil {
		paths = append(paths, secret)
	} else {
		f.Close() // permissions do not bind everybody
	}
	for _, path := range paths {
		for _, args := range [][]string{
			{"train", "--data", path, "--out", filepath.Join(dir, "run")}, {"eval", "--checkpoint", path}, {"inspect", "--checkpoint", path},
			{"export", "--format", "onnx", "--checkpoint", path}, {"import", path, "--out", filepath.Join(dir, "run")}, {"train", "--init", path, "--out", filepath.Join(dir, "run")},
			{"plot", path, "--out", filepath.Join(dir, "x.png")}, {"bench", "compare", path}, {"bench", "export", path},
		} {
			checkUsageError(t, command(t, args...))
		}
	}
}

// An interrupted command says so in a sentence.
func TestInterruptedCommands(t *testing.T) {
	dir := smallData(t)
	train, out := trainArgs(t, dir)
	succeed(t, train...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{"bench", "--quick", "--json"}, {"bench", "gemm"}, {"bench", "train"}, {"verify"}, {"eval", "--data", dir, "--checkpoint", out}} {
		var stdout, stderr bytes.Buffer
		code := run(ctx, args, &env{stdout: &stdout, stderr: &stderr})
		if text := stderr.String(); code != exitInterrupted || !strings.Contains(text, "interrupted") || strings.Contains(text, "context") || strings.Count(text, "\n") != 1 {
			t.Errorf("%v: exit code %d: %s", args, code, text)
		}
	}
}

// A value that is empty, as of a variable of a script that was not set, is no default.
func TestEmptyValues(t *testing.T) {
	dir := smallData(t)
	for _, flag := range []string{"model", "hidden", "precision", "optimizer", "schedule", "recipe", "loss-scale", "data", "init", "out", "metrics", "tensorboard", "config", "kernel"} {
		args, out := trainArgs(t, dir)
		checkUsageError(t, command(t, append(args, "--"+flag, "")...), "--"+flag)
		if _, err := os.Stat(out); err == nil {
			t.Errorf("--%s '': there is a folder %s", flag, out)
		}
	}
	for _, args := range [][]string{{"bench", "gemm", "--shape", ""}, {"bench", "--out", ""}, {"verify", "--threads", ""}, {"eval", "--confusion", ""}, {"export", "--format", "onnx", "--out", ""}} {
		checkUsageError(t, command(t, args...), args[len(args)-2])
	}
}

// A report does not replace a device, and a file without an end is not read for ever.
func TestDevices(t *testing.T) {
	for _, path := range []string{"/dev/full", "/dev/zero"} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("this system has no %s", path)
		}
	}
	checkUsageError(t, command(t, "bench", "--quick", "--out", "/dev/full"), "--out /dev/full is a device")
	for _, args := range [][]string{{"plot", "/dev/zero", "--out", filepath.Join(t.TempDir(), "x.png")}, {"eval", "--checkpoint", "/dev/zero"}, {"train", "--config", "/dev/zero"}} {
		checkUsageError(t, command(t, args...), "/dev/zero")
	}
}
