package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/internal/datatest"
)

func TestDigestsOfMNIST(t *testing.T) {
	mnist := datatest.MNIST(t)
	if o := newOrigin(mnistPlace, mnist); o != (origin{mnistPlace, mnistTrainDigest, mnistTestDigest, true}) {
		t.Errorf("MNIST is %+v", o)
	}
}

// flipLabel changes the label of the first image of a part of a data set.
func flipLabel(t *testing.T, dir, part string) {
	t.Helper()
	path := filepath.Join(dir, part+"-labels-idx1-ubyte")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[8] = (b[8] + 1) % 10
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// What a checkpoint learned from is what it is evaluated on, inspected with and
// continued on, unless --data says otherwise.
func TestCheckpointsKnowTheirData(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir)
	accuracy := succeed(t, args...).accuracy(t)
	if got := succeed(t, "eval", "--checkpoint", out).accuracy(t); got != accuracy {
		t.Errorf("eval says %v, train said %v", got, accuracy)
	}
	succeed(t, "inspect", "--checkpoint", out)
	succeed(t, "train", "--resume", "--out", out, "--epochs", "4")

	// Another set is allowed where that makes sense, and noted.
	other := datatest.Folder(t, 600, 200, 2)
	r := command(t, "eval", "--checkpoint", out, "--data", other)
	if r.code != 0 || r.stderr != fmt.Sprintf("note: --data %s has other test images than the data that the checkpoint was trained on, from %s\n", other, dir) {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	checkUsageError(t, command(t, "inspect", "--checkpoint", out, "--data", other), other, "the training images or their labels are others", dir)
	checkUsageError(t, command(t, "train", "--resume", "--out", out, "--data", other), other, "the training images or their labels are others", dir)

	// The place does not matter, the content does.
	moved := filepath.Join(t.TempDir(), "moved away")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"eval", "--checkpoint", out}, {"inspect", "--checkpoint", out}, {"train", "--resume", "--out", out, "--epochs", "5"}} {
		checkUsageError(t, command(t, args...), dir, "not there any more", "--data")
		succeed(t, append(args, "--data", moved)...)
	}
	succeed(t, "eval", "--checkpoint", out, "--data", moved)
	if s, err := loadSettings(out, load(t, filepath.Join(out, checkpointName))); err != nil || s.Origin.Place != moved {
		t.Errorf("the run that was continued is of %s, error %v", s.Origin.Place, err)
	}

	// The same pixels with other labels are other data.
	flipLabel(t, moved, "t10k")
	checkUsageError(t, command(t, "eval", "--checkpoint", out), moved, "the test images or their labels are others", "--data")
	checkUsageError(t, command(t, "train", "--resume", "--out", out), moved, "the test images or their labels are others")
	succeed(t, "inspect", "--checkpoint", out) // takes training images
	if r := command(t, "eval", "--checkpoint", out, "--data", moved); r.code != 0 || !strings.HasPrefix(r.stderr, "note: ") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	flipLabel(t, moved, "train")
	for _, args := range [][]string{{"train", "--resume", "--out", out}, {"train", "--resume", "--out", out, "--data", moved}, {"inspect", "--checkpoint", out}} {
		checkUsageError(t, command(t, args...), moved, "the training images or their labels are others")
	}
}

// Checkpoints from before they told of their data.
func TestCheckpointsThatDoNotKnowTheirData(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--epochs", "2")
	succeed(t, args...)
	path := filepath.Join(out, checkpointName)
	f := load(t, path)
	var all map[string]any
	if err := json.Unmarshal([]byte(f.Metadata[settingsKey]), &all); err != nil {
		t.Fatal(err)
	}
	forget := func(change func()) {
		t.Helper()
		delete(all, "data")
		delete(all, "classes")
		change()
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		f.Metadata[settingsKey] = string(b)
		if err := checkpoint.Write(path, f); err != nil {
			t.Fatal(err)
		}
	}
	forget(func() {})
	for _, args := range [][]string{{"eval", "--checkpoint", out}, {"inspect", "--checkpoint", out}, {"train", "--resume", "--out", out}} {
		checkUsageError(t, command(t, args...), path[:len(path)-len(checkpointName)-1], "does not tell which data it was trained on", "--data")
	}
	succeed(t, "eval", "--checkpoint", out, "--data", dir)
	checkUsageError(t, command(t, "train", "--resume", "--out", out, "--data", datatest.Folder(t, 600, 200, 2)), "the training images are others")
	succeed(t, "train", "--resume", "--out", out, "--data", dir, "--epochs", "3")
	succeed(t, "eval", "--checkpoint", out) // knows them from now on

	// By its measures this one is of MNIST.
	datatest.MNIST(t)
	f = load(t, path)
	forget(func() { all["mean"], all["std"] = mnistMean, mnistStd })
	if r := succeed(t, "eval", "--checkpoint", out); !strings.Contains(r.stdout, "of 10000 images") {
		t.Errorf("it is not MNIST that is taken: %s", r.stdout)
	}
}

// A checkpoint keeps its data on the way out and back, but not the path.
func TestExportsKnowTheirData(t *testing.T) {
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--epochs", "1")
	accuracy := succeed(t, args...).accuracy(t)
	for _, format := range []string{"safetensors", "onnx"} {
		succeed(t, "export", "--checkpoint", out, "--format", format)
		b, err := os.ReadFile(filepath.Join(out, "model."+format))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(dir)) {
			t.Errorf("model.%s tells where the data are", format)
		}
	}
	back := t.TempDir()
	succeed(t, "import", filepath.Join(out, "model.safetensors"), "--out", back)
	checkUsageError(t, command(t, "eval", "--checkpoint", back), "does not tell where the data are", "--data")
	if got := succeed(t, "eval", "--checkpoint", back, "--data", dir).accuracy(t); got != accuracy {
		t.Errorf("eval says %v, train said %v", got, accuracy)
	}
	if r := command(t, "eval", "--checkpoint", back, "--data", datatest.Folder(t, 600, 200, 2)); r.code != 0 || !strings.HasPrefix(r.stderr, "note: ") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}

	// Others tell nothing.
	datatest.MNIST(t)
	succeed(t, "import", foreign(t, nil, tensorOf("fc.weight", 10, 784)), "--out", back, "--force", "--mean", "0.5", "--std", "0.5")
	if r := command(t, "eval", "--checkpoint", back); r.code != 0 || !strings.Contains(r.stdout, "of 10000 images") || !strings.HasPrefix(r.stderr, "note: ") {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

// The command that an interrupted run prints does what it says, in a shell.
func TestResumeHintInAShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell here")
	}
	folder := filepath.Join(t.TempDir(), `it's a "$HOME" [12]*; exit 3 #`)
	dir, out := filepath.Join(folder, "data"), filepath.Join(folder, "run")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Skipf("no such names here: %v", err)
	}
	if err := datatest.Write(dir, 600, 200, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	args := []string{"train", "--data", dir, "--out", out, "--hidden", "32", "--batch", "32", "--epochs", "3"}
	code := run(ctx, args, &env{stdout: &cancelAfter{text: "epoch 2/3", cancel: cancel}, stderr: &stderr})
	_, hint, found := strings.Cut(strings.TrimSpace(stderr.String()), "go on with: ")
	if code != exitInterrupted || !found {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	cmd := exec.Command(sh, "-c", `halfgrad() { HALFGRAD_TEST_MAIN=1 "$HALFGRAD_TEST_BINARY" "$@"; }; `+hint)
	cmd.Env = append(os.Environ(), "HALFGRAD_TEST_BINARY="+os.Args[0])
	cmd.Dir = t.TempDir() // where it is pasted does not matter
	text, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "test accuracy") || !strings.Contains(string(text), "after 3 epochs") {
		t.Errorf("%s: %v: %s", hint, err, text)
	}
}

func TestProgramName(t *testing.T) {
	for args0, want := range map[string]string{
		"halfgrad": "halfgrad", "./halfgrad": "./halfgrad", "/opt/my tools/halfgrad": "'/opt/my tools/halfgrad'", "it's": `'it'\''s'`,
		"/tmp/go-build123/b001/exe/halfgrad": "go run github.com/halfgrad/halfgrad/cmd/halfgrad",
	} {
		if got := programName(args0); got != want {
			t.Errorf("%s: %s, want %s", args0, got, want)
		}
	}
}

// manyClasses writes a data set of so many classes to a folder: images of 8×8 whose
// rows tell the label in binary. Labels are of the given IDX type.
func manyClasses(t *testing.T, classes, train, test int, kind byte) string {
	t.Helper()
	dir := t.TempDir()
	for part, n := range map[string]int{"train": train, "t10k": test} {
		images := binary.BigEndian.AppendUint32([]byte{0, 0, 8, 3}, uint32(n))
		images = append(images, 0, 0, 0, 8, 0, 0, 0, 8)
		labels := binary.BigEndian.AppendUint32([]byte{0, 0, kind, 1}, uint32(n))
		for i := range n {
			label := i % classes
			for y := range 8 {
				for x := range 8 {
					ink := byte(20 + (i*7+x*y)%30)
					if x == 3 && y == i%3 {
						ink += 100
					}
					if label>>y&1 == 1 && x > 0 && x < 7 {
						ink = 200 + byte(i+x)%50
					}
					images = append(images, ink)
				}
			}
			switch kind {
			case 8:
				labels = append(labels, byte(label))
			case 0x0b:
				labels = binary.BigEndian.AppendUint16(labels, uint16(label))
			case 0x0c:
				labels = binary.BigEndian.AppendUint32(labels, uint32(label))
			}
		}
		writeFile(t, filepath.Join(dir, part+"-images-idx3-ubyte"), images)
		writeFile(t, filepath.Join(dir, part+"-labels-idx1-ubyte"), labels)
	}
	return dir
}

// Any number of classes is trained, evaluated, predicted, exported and imported.
func TestClasses(t *testing.T) {
	for _, tt := range []struct {
		classes, want int
		kind          byte
		flags         []string
	}{
		{2, 2, 8, nil},
		{2, 5, 8, []string{"--classes", "5"}},
		{26, 26, 8, nil},
		{26, 26, 8, []string{"--model", "64-32-26"}},
		{26, 30, 8, []string{"--model", "64-32-30"}},
		{100, 100, 0x0b, nil},
		{30, 30, 0x0c, nil},
	} {
		t.Run(fmt.Sprint(tt.classes, tt.kind, tt.flags), func(t *testing.T) {
			dir := manyClasses(t, tt.classes, 4*tt.classes+100, 200, tt.kind)
			out := filepath.Join(t.TempDir(), "run")
			args := []string{"train", "--data", dir, "--out", out, "--epochs", "40", "--batch", "16", "--optimizer", "adam"}
			if tt.flags == nil || tt.flags[0] == "--classes" {
				args = append(args, "--hidden", "64")
			}
			accuracy := succeed(t, append(args, tt.flags...)...).accuracy(t)
			if accuracy < 0.9 {
				t.Errorf("accuracy %v", accuracy)
			}
			s, err := loadSettings(out, load(t, filepath.Join(out, checkpointName)))
			if err != nil || s.Widths[len(s.Widths)-1] != tt.want || s.Classes != tt.want {
				t.Errorf("a network %s for %d classes, want %d", s.shape(), s.Classes, tt.want)
			}
			text := succeed(t, "eval", "--checkpoint", out)
			if got := text.accuracy(t); got != accuracy {
				t.Errorf("eval says %v, train said %v", got, accuracy)
			}
			if lines := strings.Count(text.stdout, "\n"); lines > maxTable+3 {
				t.Errorf("eval says %d lines", lines)
			}
			var e evaluation
			if err := json.Unmarshal([]byte(succeed(t, "eval", "--checkpoint", out, "--json").stdout), &e); err != nil || len(e.Classes) != tt.want || len(e.Confusion) != tt.want {
				t.Errorf("%d classes in JSON, a matrix of %d, error %v", len(e.Classes), len(e.Confusion), err)
			}
			figure := filepath.Join(t.TempDir(), "confusion.png")
			succeed(t, "eval", "--checkpoint", out, "--confusion", figure)
			checkPNG(t, figure)

			picture := filepath.Join(t.TempDir(), "one.png")
			images, err := os.ReadFile(filepath.Join(dir, "t10k-images-idx3-ubyte"))
			if err != nil {
				t.Fatal(err)
			}
			var encoded bytes.Buffer
			if err := png.Encode(&encoded, &image.Gray{Pix: images[16+64 : 16+128], Stride: 8, Rect: image.Rect(0, 0, 8, 8)}); err != nil {
				t.Fatal(err)
			}
			writeFile(t, picture, encoded.Bytes())
			if p := predictions(t, "--checkpoint", out, picture)[0]; p.Class != 1 || len(p.Probabilities) != tt.want || !p.Raw {
				t.Errorf("image 1 is taken for %d of %d, raw %v", p.Class, len(p.Probabilities), p.Raw)
			}

			succeed(t, "export", "--checkpoint", out, "--format", "onnx")
			succeed(t, "export", "--checkpoint", out, "--format", "safetensors")
			back := t.TempDir()
			succeed(t, "import", filepath.Join(out, "model.safetensors"), "--out", back)
			if got := succeed(t, "eval", "--checkpoint", back, "--data", dir).accuracy(t); got != accuracy {
				t.Errorf("imported again: %v, was %v", got, accuracy)
			}
		})
	}
}

func TestBadClasses(t *testing.T) {
	dir := manyClasses(t, 26, 100, 50, 8)
	out := filepath.Join(t.TempDir(), "run")
	small := smallData(t)
	args, run := trainArgs(t, small, "--epochs", "1")
	succeed(t, args...)
	ones := manyClasses(t, 1, 100, 50, 8)
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"train", "--data", dir, "--out", out, "--classes", "25"}, []string{"train-labels-idx1-ubyte", "the label 25 at index 25", "labels from 0 to 24"}},
		{[]string{"train", "--data", dir, "--out", out, "--model", "64-32-25"}, []string{"the label 25 at index 25"}},
		{[]string{"train", "--data", dir, "--out", out, "--model", "64-32-26", "--classes", "27"}, []string{"a network 64-32-26", "in 27 classes"}},
		{[]string{"train", "--data", dir, "--out", out, "--classes", "-1"}, []string{"--classes -1", "1 to 65536"}},
		{[]string{"train", "--data", dir, "--out", out, "--classes", "65537"}, []string{"--classes 65537"}},
		{[]string{"train", "--data", ones, "--out", out}, []string{"all labels", "are 0", "--classes"}},
		{[]string{"train", "--resume", "--out", run, "--classes", "12"}, []string{"--resume: --classes is 10 in the checkpoint, not 12"}},
		{[]string{"eval", "--checkpoint", run, "--data", dir}, []string{"a network 784-32-10", "the label 10 at index 10", "labels from 0 to 9"}},
	} {
		checkUsageError(t, command(t, tt.args...), tt.want...)
	}
	flipLabel(t, small, "t10k")
	if _, err := os.Stat(filepath.Join(out, checkpointName)); err == nil {
		t.Error("there is a checkpoint")
	}
}

// MNIST has ten classes, and a name.
func TestMNISTByName(t *testing.T) {
	datatest.MNIST(t)
	out := filepath.Join(t.TempDir(), "run")
	succeed(t, "train", "--data", "mnist", "--max-steps", "1", "--out", out)
	if s, err := loadSettings(out, load(t, filepath.Join(out, checkpointName))); err != nil || s.Origin.Place != "mnist" || s.shape() != "784-256-10" {
		t.Errorf("%+v, error %v", s, err)
	}
	checkUsageError(t, command(t, "train", "--model", "784-256-12", "--out", filepath.Join(t.TempDir(), "run")), "a network 784-256-12", "in 10 classes")
	args, small := trainArgs(t, smallData(t), "--epochs", "1")
	succeed(t, args...)
	r := command(t, "eval", "--checkpoint", small, "--data", "mnist")
	if r.code != 0 || !strings.Contains(r.stdout, "of 10000 images") || !strings.HasPrefix(r.stderr, "note: ") {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

// Whatever keeps a folder from being read, it is the user's to mend.
func TestUnreadableData(t *testing.T) {
	folder := t.TempDir()
	loop, file := filepath.Join(folder, "loop"), filepath.Join(folder, "file")
	writeFile(t, file, nil)
	if err := os.Symlink(loop, loop); err != nil {
		t.Skipf("no links here: %v", err)
	}
	for _, dir := range []string{loop, file, filepath.Join(folder, "none")} {
		checkUsageError(t, command(t, "train", "--data", dir, "--out", filepath.Join(folder, "run")), dir)
	}
}

// A pipe among the data or the pictures is no reason to ignore Ctrl-C.
func TestPipes(t *testing.T) {
	mkfifo, err := exec.LookPath("mkfifo")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("there is no mkfifo here")
	}
	pipe := func(path string) string {
		if text, err := exec.Command(mkfifo, path).CombinedOutput(); err != nil {
			t.Skipf("no pipes here: %s", text)
		}
		return path
	}
	dir := smallData(t)
	args, out := trainArgs(t, dir, "--epochs", "1")
	succeed(t, args...)
	if err := os.Remove(filepath.Join(dir, "t10k-images-idx3-ubyte")); err != nil {
		t.Fatal(err)
	}
	pipe(filepath.Join(dir, "t10k-images-idx3-ubyte"))
	checkUsageError(t, command(t, args...), "t10k-images-idx3-ubyte", "found a named pipe, expected a regular file")
	checkUsageError(t, command(t, "eval", "--checkpoint", out), "t10k-images-idx3-ubyte", "found a named pipe")

	picture := pipe(filepath.Join(t.TempDir(), "a.png"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if _, err := readPicture(ctx, picture); err != context.Canceled {
		t.Errorf("error %v", err)
	}
	if code := run(ctx, []string{"predict", "--checkpoint", out, picture}, &env{stdout: &stdout, stderr: &stderr}); code != exitInterrupted {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}
