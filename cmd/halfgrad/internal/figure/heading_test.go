package figure

import (
	"slices"
	"strings"
	"testing"
)

const (
	settled = `{"event":"start","widths":[784,256,10],"precision":"fp16","optimizer":"sgd","lr":0.1,"schedule":"onecycle","warmup":0,"batch":128,"epochs":2,"seed":1,"loss_scale":"dynamic"}
{"event":"rate","epoch":1,"steps":1,"lr":0.004}
{"event":"rate","epoch":1,"steps":3,"lr":0.1}
{"event":"epoch","epoch":1,"steps":10,"train_loss":0.5,"validation_loss":0.25,"validation_accuracy":0.9,"test_accuracy":0.8,"loss_scale":65536,"lr":0.05}
`
	finished = settled + `{"event":"epoch","epoch":2,"steps":20,"train_loss":0.125,"validation_loss":0.0625,"validation_accuracy":0.9875,"test_accuracy":0.985,"loss_scale":65536,"lr":0}
{"event":"done","epochs":2,"steps":20,"test_accuracy":0.985}
`
)

// The head of a figure tells what the runs have in common, in what each differs, how it
// ended, and what its file lacks.
func TestHeading(t *testing.T) {
	done := read(t, "runs/one.jsonl", finished)
	other := read(t, "runs/two.jsonl", strings.ReplaceAll(strings.ReplaceAll(settled, `"lr":0.1,"schedule":"onecycle"`, `"lr":0.05,"schedule":"cosine"`), `"precision":"fp16"`, `"precision":"fp32"`))
	texts, _ := svg(t, runsFigure(t, Epochs, done, other))
	for _, want := range []string{
		"784-256-10, sgd, batch 128, epochs 2, seed 1",
		"one", "fp16, learning rate 0.1, onecycle", "test 98.50 %, validation 98.75 %, validation loss 0.0625, training loss 0.125",
		"two", "fp32, learning rate 0.05, cosine", "test 80.00 %, validation 90.00 %, validation loss 0.25, training loss 0.5, 10 steps so far",
		"Not recorded: the loss of single batches (--log-every); what fp16 loses of the gradients (--stats)",
	} {
		if !slices.Contains(texts, want) {
			t.Errorf("no %q in %q", want, texts)
		}
	}
	texts, _ = svg(t, runsFigure(t, Epochs, done))
	if want := "784-256-10, fp16, sgd, learning rate 0.1, onecycle, batch 128, epochs 2, seed 1"; !slices.Contains(texts, want) {
		t.Errorf("no title %q in %q", want, texts)
	}
}

// A learning rate that rises first is drawn from where it was, not from its peak.
func TestRisingRate(t *testing.T) {
	warm := strings.ReplaceAll(finished, `"schedule":"onecycle","warmup":0`, `"schedule":"constant","warmup":3`)
	for name, file := range map[string]string{"onecycle": finished, "warm-up": warm} {
		for _, p := range panelsOf([]*Run{read(t, name, file)}, Steps) {
			if p.title != "Learning rate" {
				continue
			}
			want := []point{{1, 0.004}, {3, 0.1}, {10, 0.05}, {20, 0}}
			if got := p.curves[0].points; !slices.Equal(got, want) {
				t.Errorf("%s: the rate is drawn at %v, want %v", name, got, want)
			}
		}
	}
}

func TestFitted(t *testing.T) {
	s := style(10, ink)
	long := strings.Repeat("wide ", 100)
	if got := fitted(s, long, 100); s.Width(got) > 100 || !strings.HasSuffix(got, "…") || !strings.HasPrefix(got, "wide wide") {
		t.Errorf("%q is %v wide, want 100 at most, and an ellipsis", got, s.Width(got))
	}
	if got := fitted(s, "short", 100); got != "short" {
		t.Errorf("%q", got)
	}
}

// A run that failed at once has nothing to draw, and is told from a file of something else.
func TestNothingToDraw(t *testing.T) {
	_, err := ReadRun("m.jsonl", strings.NewReader(`{"event":"start","lr":1e38}
{"event":"error","steps":2,"epochs":0}
`))
	if err == nil || !strings.Contains(err.Error(), "ended after 2 steps") {
		t.Errorf("%v", err)
	}
}
