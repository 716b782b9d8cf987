package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/internal/datatest"
)

// beginner returns a data folder and the folder of a run of one step on it: a
// network that makes mistakes.
func beginner(t *testing.T) (dir, out string) {
	t.Helper()
	dir = smallData(t)
	args, out := trainArgs(t, dir, "--max-steps", "1")
	succeed(t, args...)
	return dir, out
}

// The classes of --json are what follows from its confusion matrix by the
// definitions, and the table shows the same.
func TestEvalClasses(t *testing.T) {
	dir, out := beginner(t)
	var e evaluation
	if err := json.Unmarshal([]byte(succeed(t, "eval", "--checkpoint", out, "--data", dir, "--json").stdout), &e); err != nil {
		t.Fatal(err)
	}
	if len(e.Confusion) != 10 || len(e.Classes) != 10 {
		t.Fatalf("%d rows of confusion and %d classes, want 10", len(e.Confusion), len(e.Classes))
	}
	text := succeed(t, "eval", "--checkpoint", out, "--data", dir)
	lines := strings.Split(strings.TrimSpace(text.stdout), "\n")
	if len(lines) != 12 || !slices.Equal(strings.Fields(lines[0]), []string{"class", "support", "precision", "recall", "F1"}) {
		t.Fatalf("want a head, ten classes and the accuracy:\n%s", text.stdout)
	}
	if accuracy := text.accuracy(t); math.Abs(accuracy-float64(e.TestAccuracy)) > 5e-5 {
		t.Errorf("the accuracy is %v in the text, %v in JSON", accuracy, e.TestAccuracy)
	}
	images, correct := 0, 0
	for k, c := range e.Classes {
		var row, column int
		for j := range 10 {
			row += e.Confusion[k][j]
			column += e.Confusion[j][k]
		}
		images += row
		correct += e.Confusion[k][k]
		want := classEvaluation{Class: k, Support: row}
		if right := float64(e.Confusion[k][k]); right > 0 {
			want.Precision, want.Recall = right/float64(column), right/float64(row)
			want.F1 = 2 * want.Precision * want.Recall / (want.Precision + want.Recall)
		}
		if row != 20 || !cmp.Equal(c, want, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })) {
			t.Errorf("class %d is %+v, want %+v with a support of 20", k, c, want)
		}
		if got, want := strings.Fields(lines[1+k]), strings.Fields(fmt.Sprintf("%d %d %.4f %.4f %.4f", k, row, want.Precision, want.Recall, want.F1)); !slices.Equal(got, want) {
			t.Errorf("the line of class %d is %v, want %v", k, got, want)
		}
	}
	if images != e.Images || correct != e.Correct || images != 200 || correct == 200 {
		t.Errorf("%d of %d by the confusion matrix, %d of %d by the rest", correct, images, e.Correct, e.Images)
	}
}

func TestEvalFigures(t *testing.T) {
	dir, out := beginner(t)
	folder := t.TempDir()
	confusion, mistakes := filepath.Join(folder, "confusion.svg"), filepath.Join(folder, "mistakes.svg")
	var e evaluation
	if err := json.Unmarshal([]byte(succeed(t, "eval", "--checkpoint", out, "--data", dir, "--json").stdout), &e); err != nil {
		t.Fatal(err)
	}
	r := succeed(t, "eval", "--checkpoint", out, "--data", dir, "--confusion", confusion, "--mistakes", mistakes, "--worst", "7")
	wrong := e.Images - e.Correct
	for _, part := range []string{"wrote " + confusion, fmt.Sprintf("wrote %s, 7 of %d mistakes", mistakes, wrong)} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("it does not say %q:\n%s", part, r.stdout)
		}
	}
	r.accuracy(t)
	svg := checkSVG(t, confusion)
	for _, row := range e.Confusion {
		for _, count := range row {
			if text := fmt.Sprintf(">%d<", count); count > 0 && !strings.Contains(svg, text) {
				t.Errorf("no %s in the confusion matrix", text)
			}
		}
	}
	svg = checkSVG(t, mistakes)
	if n := strings.Count(svg, "<image "); n != 7 || !strings.Contains(svg, fmt.Sprintf(">7 of %d mistakes", wrong)) {
		t.Errorf("%d images, want 7", n)
	}
	// Fewer mistakes than were asked for; and JSON with figures is JSON alone.
	r = succeed(t, "eval", "--checkpoint", out, "--data", dir, "--mistakes", mistakes, "--worst", "1000", "--confusion", filepath.Join(folder, "c.png"), "--json")
	if n := strings.Count(checkSVG(t, mistakes), "<image "); n != wrong || !json.Valid([]byte(r.stdout)) {
		t.Errorf("%d images, want %d: %s", n, wrong, r.stdout)
	}
	checkPNG(t, filepath.Join(folder, "c.png"))
}

// The sheet shows what the network is wrong about: the labels of the files at
// the indices that it names, none of them twice.
func TestEvalMistakesAreWrong(t *testing.T) {
	dir, out := beginner(t)
	path := filepath.Join(t.TempDir(), "m.svg")
	succeed(t, "eval", "--checkpoint", out, "--data", dir, "--mistakes", path, "--worst", "1000")
	images, err := data.LoadMNIST(t.Context(), data.Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var label, class, index int
	seen := map[int]bool{}
	var texts []string
	for _, part := range strings.Split(checkSVG(t, path), "</text>") {
		texts = append(texts, strings.TrimSpace(part[strings.LastIndex(part, ">")+1:]))
	}
	for i := range texts {
		if !strings.HasPrefix(texts[i], "#") {
			continue
		}
		if _, err := fmt.Sscan(strings.Join([]string{strings.TrimSuffix(texts[i-3], " →"), texts[i-2], texts[i][1:]}, " "), &label, &class, &index); err != nil {
			t.Fatalf("%q: %v", texts[i-3:i+1], err)
		}
		if seen[index] || label == class || int(images.Test.Labels[index]) != label {
			t.Errorf("image %d of label %d is shown as %d → %d", index, images.Test.Labels[index], label, class)
		}
		seen[index] = true
	}
	if len(seen) == 0 {
		t.Error("no mistake is shown")
	}
}

func TestWorstMistakes(t *testing.T) {
	m := &mistakes{all: []mistake{
		{Index: 0, Probability: 0.5, Loss: 9},
		{Index: 1, Probability: 0.9, Loss: 2},
		{Index: 2, Probability: 1, Loss: 20},
		{Index: 3, Probability: 1, Loss: 30},
		{Index: 4, Probability: 0.9, Loss: 2},
	}}
	var got []int
	for _, p := range m.worst(4) {
		got = append(got, p.Index)
	}
	if want := []int{3, 2, 1, 4}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if n := len(m.worst(9)); n != 5 || m.all[0].Index != 0 {
		t.Errorf("%d of 5 mistakes, or they were moved", n)
	}
}

// A network without a mistake has none to show, and that is said.
func TestEvalNoMistake(t *testing.T) {
	args, out := trainArgs(t, smallData(t))
	succeed(t, args...)
	path := filepath.Join(t.TempDir(), "m.png")
	r := command(t, "eval", "--checkpoint", out, "--data", datatest.Folder(t, 600, 10, 1), "--mistakes", path)
	if r.code != 0 || !strings.Contains(r.lastLine(), "(10 of 10 images)") || !strings.Contains(r.stdout, "wrote "+path+", but there is no mistake to show\n") {
		t.Errorf("it says\n%s", r.stdout)
	}
	checkPNG(t, path)
}

func TestEvalBadFlags(t *testing.T) {
	dir, out := beginner(t)
	folder := t.TempDir()
	for _, tt := range []struct {
		flags []string
		want  []string
	}{
		{[]string{"--confusion", "a.gif"}, []string{"--confusion a.gif", ".png, .svg or .pdf"}},
		{[]string{"--mistakes", "a"}, []string{"--mistakes a", ".png, .svg or .pdf"}},
		{[]string{"--worst", "0"}, []string{"--worst 0", "want 1 to 1000"}},
		{[]string{"--worst", "-2"}, []string{"--worst -2"}},
		{[]string{"--worst", "1001"}, []string{"--worst 1001"}},
		{[]string{"--worst", "many"}, []string{"--worst", "many"}},
		{[]string{"--confusion", filepath.Join(folder, "missing", "a.png")}, []string{"--confusion", "missing"}},
		{[]string{"--mistakes", filepath.Join(folder, "missing", "a.png")}, []string{"--mistakes", "missing"}},
	} {
		r := command(t, append([]string{"eval", "--checkpoint", out, "--data", dir}, tt.flags...)...)
		checkUsageError(t, r, tt.want...)
		if r.stdout != "" {
			t.Errorf("%v: it says %q", tt.flags, r.stdout)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v are left (%v)", left, err)
	}
}
