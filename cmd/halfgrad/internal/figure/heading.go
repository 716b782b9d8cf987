package figure

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// settings are those that a run's first event tells, by their names in the file.
type settings map[string]json.RawMessage

// described are the settings that a heading tells, in its order. Others follow from
// these, or change nothing that the panels show.
var described = []struct {
	key, name string // the name goes before the value
	always    bool   // whether the title has it; else only runs that differ in it do
}{
	{"widths", "", true}, {"precision", "", true}, {"optimizer", "", true}, {"lr", "learning rate", true}, {"schedule", "", true},
	{"batch", "batch", true}, {"epochs", "epochs", true}, {"seed", "seed", true},
	{"warmup", "warm-up", false}, {"accumulate", "accumulate", false}, {"momentum", "momentum", false}, {"weight_decay", "weight decay", false},
	{"bias_decay", "bias decay", false}, {"nesterov", "nesterov", false}, {"decay", "decay", false}, {"decay_every", "decay every", false},
	{"dropout", "dropout", false}, {"input_dropout", "input dropout", false}, {"shift", "shift", false}, {"label_smoothing", "label smoothing", false},
	{"clip_norm", "clip norm", false}, {"clip_value", "clip value", false}, {"ema", "averaged by", false},
	{"loss_scale", "loss scale", false}, {"loss_weight", "loss weight", false}, {"early_stop", "early stop", false},
	{"holdout", "held out", false}, {"kernel", "kernel", false}, {"threads", "threads", false},
}

// value returns a setting as the command line has it, and "" where the file lacks it.
func (s settings) value(key string) string {
	raw := string(s[key])
	if raw == "null" {
		return ""
	}
	var list []json.Number
	if json.Unmarshal(s[key], &list) == nil {
		var parts []string
		for _, n := range list {
			parts = append(parts, n.String())
		}
		return strings.Join(parts, "-")
	}
	return strings.Trim(raw, `"`)
}

// heading is what stands above the panels: what the runs have in common, and for each run
// its colour, its name, the settings that the others have not, and its results.
type heading struct {
	title   string
	runs    []runHeading
	missing []string // what the panels lack, and which flag adds it
}

type runHeading struct{ name, differs, results string }

func newHeading(runs []*Run, names []string, panels []panel) (h heading) {
	var common []string
	differs := make([][]string, len(runs))
	for _, d := range described {
		var values []string
		for _, r := range runs {
			v := r.settings.value(d.key)
			if v != "" && d.name != "" {
				v = d.name + " " + v
			}
			values = append(values, v)
		}
		if slices.ContainsFunc(values, func(v string) bool { return v != values[0] }) {
			for i, v := range values {
				if v != "" {
					differs[i] = append(differs[i], v)
				}
			}
		} else if d.always && values[0] != "" {
			common = append(common, values[0])
		}
	}
	h.title = strings.Join(common, ", ")
	if h.title == "" {
		h.title = "Training"
	}
	for i, r := range runs {
		h.runs = append(h.runs, runHeading{names[i], strings.Join(differs[i], ", "), r.results()})
	}
	shown := func(title string) bool {
		return slices.ContainsFunc(panels, func(p panel) bool { return p.title == title })
	}
	without := func(event string) bool {
		return !slices.ContainsFunc(runs, func(r *Run) bool {
			return slices.ContainsFunc(r.lines, func(l line) bool { return l.Event == event })
		})
	}
	if without("step") {
		h.missing = append(h.missing, "the loss of single batches (--log-every)")
	}
	if without("layer") {
		h.missing = append(h.missing, "what fp16 loses of the gradients (--stats)")
	}
	if !shown("Loss scale") {
		h.missing = append(h.missing, "a loss scale (it was off)")
	}
	return h
}

// results returns the last values of a run and how it ended.
func (r *Run) results() string {
	var parts []string
	last := func(name, format string, factor float64, value func(line) *float64) {
		for _, l := range slices.Backward(r.lines) {
			if v := value(l); l.Event == "epoch" && v != nil {
				parts = append(parts, name+" "+fmt.Sprintf(format, *v*factor))
				return
			}
		}
	}
	last("test", "%.2f %%", 100, func(l line) *float64 { return l.TestAccuracy })
	last("validation", "%.2f %%", 100, func(l line) *float64 { return l.ValidationAccuracy })
	last("validation loss", "%.3g", 1, func(l line) *float64 { return l.ValidationLoss })
	last("training loss", "%.3g", 1, func(l line) *float64 { return l.TrainLoss })
	switch r.ending {
	case "interrupted":
		parts = append(parts, fmt.Sprintf("interrupted after %d steps", r.steps))
	case "error":
		parts = append(parts, fmt.Sprintf("failed after %d steps", r.steps))
	case "":
		parts = append(parts, fmt.Sprintf("%d steps so far", r.steps))
	}
	return strings.Join(parts, ", ")
}

// The measures of a heading.
const (
	headingTitle vg.Length = 20
	headingRun   vg.Length = 27 // two lines of text
	headingNote  vg.Length = 13
	legendLine   vg.Length = 20 // of the run's colour
)

func (h heading) height() vg.Length {
	height := headingTitle + vg.Length(len(h.runs))*headingRun
	if len(h.missing) > 0 {
		height += headingNote
	}
	return height
}

func (h heading) draw(c draw.Canvas) {
	width := c.Max.X - c.Min.X
	title, name, small := bold(style(11, ink)), bold(style(10, ink)), style(9, faint)
	y := c.Max.Y - 11
	write(c, title, text.XLeft, c.Min.X, y, fitted(title, h.title, width))
	y -= headingTitle
	for i, r := range h.runs {
		c.StrokeLine2(draw.LineStyle{Color: palette[i], Width: 2.5}, c.Min.X, y+3.5, c.Min.X+legendLine, y+3.5)
		x := c.Min.X + legendLine + 5
		shown := fitted(name, r.name, width/2)
		write(c, name, text.XLeft, x, y, shown)
		after := x + name.Width(shown) + 8
		write(c, style(10, ink), text.XLeft, after, y, fitted(style(10, ink), r.differs, c.Max.X-after))
		write(c, small, text.XLeft, x, y-12, fitted(small, r.results, c.Max.X-x))
		y -= headingRun
	}
	if len(h.missing) > 0 {
		write(c, style(8, faint), text.XLeft, c.Min.X, y+2, fitted(style(8, faint), "Not recorded: "+strings.Join(h.missing, "; "), width))
	}
}

// fitted returns s, cut short with an ellipsis where it is wider than width.
func fitted(s text.Style, txt string, width vg.Length) string {
	txt = printable(txt)
	if s.Width(txt) <= width {
		return txt
	}
	runes := []rune(txt)
	for len(runes) > 0 && s.Width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
