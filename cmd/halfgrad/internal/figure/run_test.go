package figure

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// A run of three epochs of ten batches, with all that a file may tell.
const wholeRun = `{"event":"start","epoch":0,"steps":0,"widths":[4,2],"epochs":3,"lr":0.5,"loss_scale":"dynamic"}
{"event":"layer","epoch":1,"steps":5,"layer":"0 (Linear 4→2)","kind":"gradient","max":1,"zero":0.125,"subnormal":0.25,"overflow":0,"unscaled_zero":0.5,"unscaled_subnormal":0.25}
{"event":"layer","epoch":1,"steps":5,"layer":"0 (Linear 4→2)","kind":"activation","zero":1,"unscaled_zero":1}
{"event":"step","epoch":1,"steps":5,"loss":2,"lr":0.4,"loss_scale":65536,"grad_norm":3}
{"event":"skip","epoch":1,"steps":8,"overflow":"0.weight","loss_scale":32768}
{"event":"skip","epoch":1,"steps":9,"overflow":"0.weight","loss_scale":16384}
{"event":"epoch","epoch":1,"steps":10,"train_loss":1,"validation_loss":0.5,"validation_accuracy":0.9,"test_accuracy":0.88,"loss_scale":16384,"skipped_steps":2,"lr":0.3,"images_per_sec":1000}
{"event":"scale","epoch":2,"steps":15,"loss_scale":32768}
{"event":"news","epoch":"of another kind"}
{"event":"layer","epoch":2,"steps":15,"layer":"0 (Linear 4→2)","kind":"gradient","zero":0.375,"subnormal":0.25,"unscaled_zero":0.75,"unscaled_subnormal":0.25}

{"event":"epoch","epoch":2,"steps":20,"train_loss":null,"validation_loss":0.05,"validation_accuracy":0.92,"test_accuracy":0.9,"loss_scale":32768,"skipped_steps":0,"lr":0.2,"images_per_sec":1100,"more":[1]}
{"event":"epoch","epoch":3,"steps":30,"train_loss":0.01,"validation_loss":0.005,"validation_accuracy":0.94,"test_accuracy":0.92,"loss_scale":32768,"skipped_steps":0,"lr":0,"images_per_sec":1050}
{"event":"done","epochs":3,"steps":30,"skipped_steps":2,"test_accuracy":0.92,"test_loss":0.1,"weights_sha256":""}
`

func read(t testing.TB, name, content string) *Run {
	t.Helper()
	r, err := ReadRun(name, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var allowPoints = cmp.AllowUnexported(point{}, underflow{})

func TestReadRun(t *testing.T) {
	r := read(t, "run.jsonl", wholeRun)
	loss := func(l line) *float64 { return l.TrainLoss }
	for _, tt := range []struct {
		name      string
		got, want []point
	}{
		{"training loss", r.series(Epochs, "epoch", loss), []point{{1, 1}, {3, 0.01}}},
		{"training loss over steps", r.series(Steps, "epoch", loss), []point{{10, 1}, {30, 0.01}}},
		{"loss of a step", r.series(Epochs, "step", func(l line) *float64 { return l.Loss }), []point{{0.5, 2}}},
		{"loss scale", r.lossScales(Epochs), []point{{0, 65536}, {0.5, 65536}, {0.8, 32768}, {0.9, 16384}, {1, 16384}, {1.5, 32768}, {2, 32768}, {3, 32768}}},
		{"skipped", r.skipped(Steps), []point{{8, 1}, {9, 2}}},
	} {
		if diff := cmp.Diff(tt.want, tt.got, allowPoints); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
	if r.end(Epochs) != 3 || r.end(Steps) != 30 {
		t.Errorf("it ends at epoch %v and step %v, want 3 and 30", r.end(Epochs), r.end(Steps))
	}
	want := []*underflow{{layer: "0 (Linear 4→2)", kind: "gradient", zero: 0.25, subnormal: 0.25, unscaledZero: 0.625, unscaledSubnormal: 0.25, lines: 2}}
	if diff := cmp.Diff(want, r.underflows(), allowPoints); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A file of before epochs told their steps: their length follows from the end, and
// without that, what happened within an epoch is drawn in its middle.
func TestReadRunWithoutSteps(t *testing.T) {
	old := strings.NewReplacer(`"epoch":1,"steps":10,`, `"epoch":1,`, `"epoch":2,"steps":20,`, `"epoch":2,`, `"epoch":3,"steps":30,`, `"epoch":3,`).Replace(wholeRun)
	r := read(t, "", old)
	if got, want := r.skipped(Epochs), []point{{0.8, 1}, {0.9, 2}}; !slices.Equal(got, want) {
		t.Errorf("skipped at %v, want %v", got, want)
	}
	if got, want := r.skipped(Steps), []point{{8, 1}, {9, 2}}; !slices.Equal(got, want) || !r.hasSteps() {
		t.Errorf("skipped at %v, want %v", got, want)
	}
	r = read(t, "", old[:strings.Index(old, `{"event":"done"`)])
	if got, want := r.skipped(Epochs), []point{{0.5, 1}, {0.5, 2}}; !slices.Equal(got, want) {
		t.Errorf("skipped at %v, want %v", got, want)
	}
	if _, err := Runs([]*Run{r}, Steps); err == nil {
		t.Error("no error for steps that nobody knows")
	}
	// Of a first epoch that is not over, only steps can be told.
	r = read(t, "", old[:strings.Index(old, `{"event":"epoch"`)])
	if r.hasEpochs() || r.end(Steps) != 9 {
		t.Errorf("epochs: %v; it ends at step %v, want 9", r.hasEpochs(), r.end(Steps))
	}
	// Epochs tell how many steps were skipped if nothing else does.
	r = read(t, "", `{"event":"epoch","epoch":1,"skipped_steps":3}`+"\n"+`{"event":"epoch","epoch":2,"skipped_steps":4}`)
	if got, want := r.skipped(Epochs), []point{{1, 3}, {2, 7}}; !slices.Equal(got, want) {
		t.Errorf("skipped %v, want %v", got, want)
	}
}

// What a killed run did after the last checkpoint is done again.
func TestReadRunResumed(t *testing.T) {
	r := read(t, "", `{"event":"start","epoch":0,"steps":0,"epochs":3,"lr":0.1,"loss_scale":"1024"}
{"event":"epoch","epoch":1,"steps":10,"train_loss":1}
{"event":"step","epoch":2,"steps":11,"loss":7}
{"event":"skip","epoch":2,"steps":14,"loss_scale":512}
{"event":"resume","epoch":1,"steps":12,"epochs":3,"lr":0.1,"loss_scale":"1024"}
{"event":"epoch","epoch":2,"steps":20,"train_loss":0.5}
`)
	if got := r.series(Steps, "step", func(l line) *float64 { return l.Loss }); !slices.Equal(got, []point{{11, 7}}) {
		t.Errorf("steps %v", got)
	}
	if got, want := r.lossScales(Steps), []point{{0, 1024}}; !slices.Equal(got, want) {
		t.Errorf("loss scales %v, want %v", got, want)
	}
	if len(r.skipped(Steps)) != 0 {
		t.Error("the lost step is counted")
	}
	if got := r.series(Epochs, "epoch", func(l line) *float64 { return l.TrainLoss }); !slices.Equal(got, []point{{1, 1}, {2, 0.5}}) {
		t.Errorf("losses %v", got)
	}
}

// A run that was killed may leave a line cut short, at the end and nowhere else.
func TestReadRunTruncated(t *testing.T) {
	whole := read(t, "", wholeRun)
	lines := slices.Collect(strings.Lines(wholeRun))
	epoch3 := len(lines) - 2
	upTo := strings.Join(lines[:epoch3], "")
	want := read(t, "", upTo)
	for cut := 1; cut < len(lines[epoch3])-1; cut++ {
		r, err := ReadRun("", strings.NewReader(upTo+lines[epoch3][:cut]))
		if err != nil {
			t.Fatalf("cut after %q: %v", lines[epoch3][:cut], err)
		}
		if cut < len(lines[epoch3])-1 && len(r.lines) != len(want.lines) {
			t.Fatalf("cut after %q: %d lines, want %d", lines[epoch3][:cut], len(r.lines), len(want.lines))
		}
	}
	if r := read(t, "", strings.TrimSuffix(upTo+lines[epoch3], "\n")); len(r.lines) != len(whole.lines) {
		t.Errorf("without the last newline: %d lines, want %d", len(r.lines), len(whole.lines))
	}
}

func TestReadRunErrors(t *testing.T) {
	good := `{"event":"epoch","epoch":1,"train_loss":1}` + "\n"
	for _, tt := range []struct{ content, want string }{
		{"", "runs/a.jsonl: no event of a training run"},
		{`{"event":"news"}` + "\n", "no event of a training run"},
		{`{"eve`, "no event of a training run"},
		{good + "{\n" + good, "runs/a.jsonl:2: want an event as a JSON object"},
		{good + good + "nonsense\n", "runs/a.jsonl:3: want an event"},
		{good + "[1]\n", "runs/a.jsonl:2: want an event"},
		{good + "\n7", "runs/a.jsonl:3: want an event"},
		{good + `{"epoch":1}` + "\n", `runs/a.jsonl:2: want a JSON object with an "event"`},
		{good + `{"event":"epoch","epoch":"one"}` + "\n", "runs/a.jsonl:2: epoch event"},
		{good + `{"event":"epoch","epoch":-1}` + "\n", "runs/a.jsonl:2: epoch event: epoch -1"},
		{good + `{"event":"skip","epoch":1,"steps":-5}` + "\n", "runs/a.jsonl:2: skip event: epoch 1, steps -5"},
		{good + `{"event":"epoch","epoch":1,"train_loss":1e300}` + "\n", "runs/a.jsonl:2: epoch event: the number 1e+300"},
		{good + `{"event":"start","loss_scale":1}` + "\n", "runs/a.jsonl:2: start event"},
		{good + `{"event":"resume","epoch":-1}` + "\n", "runs/a.jsonl:2: resume event: epoch -1"},
		{good + `{"event":"done","epochs":[]}` + "\n", "runs/a.jsonl:2: done event"},
		{good + `{"event":"interrupted","steps":-1}` + "\n", "runs/a.jsonl:2: interrupted event"},
	} {
		if _, err := ReadRun("runs/a.jsonl", strings.NewReader(tt.content)); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want %q", tt.content, err, tt.want)
		}
	}
	broken := errors.New("broken")
	if _, err := ReadRun("a", io.MultiReader(strings.NewReader(good), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("error %v, want the reader's", err)
	}
}

// Whatever a file says, it is an error or can be drawn: every panel has points, and
// axes of finite ranges with ticks on them.
func FuzzReadRun(f *testing.F) {
	for line := range strings.Lines(wholeRun) { // short ones: Go takes long to minimize a long input
		f.Add([]byte(line))
	}
	f.Add([]byte(`{"event":"epoch","epoch":1,"train_loss":1e-99,"validation_loss":1e99,"loss_scale":1e-99,"skipped_steps":1e50}` + "\n" + `{"event":"skip","epoch":1,"steps":3}`))
	f.Add([]byte(`{"event":"epoch","test_accuracy":2}`))
	f.Add([]byte(`{"event":"step","steps":1125899906842624,"loss":-5,"grad_norm":0}` + "\n" + `{"event":"resume","steps":3}` + "\n" + `{"event":"epoch"}` + "\n{"))
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := ReadRun("name", strings.NewReader(string(content)))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "name:") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		for _, u := range r.underflows() {
			if all := u.zero + u.subnormal + u.unscaledZero + u.unscaledSubnormal; !(all >= 0 && all <= 4) {
				t.Errorf("%+v", u)
			}
		}
		for _, a := range []Axis{Epochs, Steps} {
			if end := r.end(a); !(end >= 0) || math.IsInf(end, 0) {
				t.Errorf("it ends at %v", end)
			}
			for _, p := range panelsOf([]*Run{r, r}, a) {
				lo, hi := p.span()
				if !(lo < hi) || math.IsInf(hi-lo, 0) {
					t.Errorf("%s: the axis is from %v to %v", p.title, lo, hi)
				}
				for _, tick := range p.scale.ticks(lo, hi) {
					if slack := 1e-6 * (hi - lo); !(tick.Value >= lo-slack && tick.Value <= hi+slack) {
						t.Errorf("%s: a tick at %v on an axis from %v to %v", p.title, tick.Value, lo, hi)
					}
				}
				for _, c := range p.curves {
					if len(c.points) == 0 {
						t.Errorf("%s: a curve of no points", p.title)
					}
				}
			}
		}
	})
}
