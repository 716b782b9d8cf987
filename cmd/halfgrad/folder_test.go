package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// process returns the command in a process of its own.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "HALFGRAD_TEST_MAIN=1")
	return cmd
}

// A second run into the same folder is refused, by a line that names the process of the
// first, and so is --resume; a run that was killed leaves the folder free and nothing
// of its own behind.
func TestTwoProcesses(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--epochs", "1000000", "--checkpoint-every", "1")
	first := process(t, args...)
	stdout, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "epoch") {
	}
	if !strings.HasPrefix(lines.Text(), "epoch") {
		t.Fatalf("the run does not train: %v", first.Wait())
	}
	for _, second := range [][]string{args, {"train", "--data", dir, "--out", out, "--resume"}, append(slices.Clone(args), "--overwrite")} {
		b, err := process(t, second...).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != exitUsage {
			t.Errorf("halfgrad %v: %v\n%s", second, err, b)
		}
		if want := fmt.Sprintf("process %d is running in %s", first.Process.Pid, out); !strings.Contains(string(b), want) || strings.Count(string(b), "\n") != 1 {
			t.Errorf("halfgrad %v says %q, want one line with %q", second, b, want)
		}
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.Wait()
	b, err := process(t, "train", "--data", dir, "--out", out, "--resume", "--max-steps", "1").CombinedOutput()
	if err != nil {
		t.Errorf("after the kill: %v\n%s", err, b)
	}
	for _, name := range filesIn(t, out) {
		if strings.HasPrefix(name, ".") {
			t.Errorf("%s is left", name)
		}
	}
}

// A folder whose name is a pattern touches none that the pattern would match.
func TestFolderIsNoPattern(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("such names cannot be")
	}
	dir, parent := smallData(t), t.TempDir()
	train := func(name string) string {
		out := filepath.Join(parent, name)
		succeed(t, "train", "--data", dir, "--out", out, "--hidden", "8", "--epochs", "3", "--keep", "1")
		return out
	}
	others := []string{train("exp1"), train("exp2")}
	for _, other := range others {
		for _, name := range []string{"epoch-0001.safetensors", ".halfgrad-1", ".checkpoint.safetensors1"} {
			if err := os.WriteFile(filepath.Join(other, name), []byte(read(t, filepath.Join(other, checkpointName))), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := filesIn(t, others[0])
	own := train("exp[12]")
	train("exp?")
	train("exp*")
	for _, other := range others {
		if got := filesIn(t, other); !slices.Equal(got, before) {
			t.Errorf("%s has %v, had %v", other, got, before)
		}
	}
	if got := filesIn(t, own); !slices.Contains(got, "epoch-0003.safetensors") || slices.Contains(got, "epoch-0002.safetensors") {
		t.Errorf("%s has %v, want the last epoch", own, got)
	}
}

// Files that are two things at once, and that are no files.
func TestOddOutputs(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir)
	succeed(t, args...)
	path := filepath.Join(out, checkpointName)
	notes := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(notes, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(t.TempDir(), "loop.png")
	if err := os.Symlink(loop, loop); err != nil {
		t.Skip(err)
	}
	picture := filepath.Join(t.TempDir(), "a.png")
	state := filepath.Join(t.TempDir(), checkpointName)
	succeed(t, "export", "--checkpoint", out, "--format", "safetensors", "--out", state)
	fresh := filepath.Join(t.TempDir(), "fresh")
	before := read(t, path)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"train", "--data", dir, "--out", out, "--metrics", path}, "--out and --metrics are both " + path},
		{[]string{"train", "--data", dir, "--out", fresh, "--metrics", filepath.Join(fresh, "epoch-0001.safetensors")}, "want different files"},
		{[]string{"train", "--data", dir, "--out", fresh, "--metrics", path, "--hidden", "32", "--init", out}, "--init and --metrics are both " + path},
		{[]string{"train", "--data", dir, "--out", fresh, "--metrics", notes}, "is no metrics of a run"},
		{[]string{"train", "--data", dir, "--out", notes}, "not a directory"},
		{[]string{"train", "--data", dir, "--out", loop}, "too many levels of symbolic links"},
		{[]string{"train", "--data", dir, "--out", fresh, "--init", loop}, loop},
		{[]string{"eval", "--data", dir, "--checkpoint", out, "--confusion", picture, "--mistakes", picture}, "--confusion and --mistakes are both " + picture},
		{[]string{"eval", "--data", dir, "--checkpoint", out, "--confusion", loop}, loop},
		{[]string{"eval", "--data", dir, "--checkpoint", loop}, loop},
		{[]string{"eval", "--data", dir, "--checkpoint", os.DevNull}, os.DevNull},
		{[]string{"export", "--checkpoint", out, "--format", "onnx", "--out", os.DevNull}, os.DevNull + " is a device"},
		{[]string{"export", "--checkpoint", out, "--format", "onnx", "--out", loop}, loop},
		{[]string{"import", state, "--out", filepath.Dir(state), "--force"}, "want different files"},
		{[]string{"plot", loop, "--out", picture}, loop},
	} {
		checkUsageError(t, command(t, tt.args...), tt.want)
	}
	if read(t, path) != before || read(t, notes) != "mine" {
		t.Error("a file has changed")
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("%s has been made: %v", fresh, err)
	}
}
