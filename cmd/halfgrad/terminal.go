package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// defaultColumns is the width of a terminal that does not tell its own.
const defaultColumns = 80

// isTerminal reports whether f is a terminal that can erase a line.
func isTerminal(f *os.File) bool {
	return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// columnsOf returns a function that measures the width of the terminal f. Each
// call measures anew, because people resize their windows.
func columnsOf(f *os.File) func() int {
	return func() int {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
		return defaultColumns
	}
}

// progressColumns returns the width of the terminal behind stderr.
func (e *env) progressColumns() int {
	if e.columns == nil {
		return defaultColumns
	}
	return max(1, e.columns())
}

// tell prints a line to stderr, wrapped if that is a terminal.
func (e *env) tell(line string) {
	if e.terminal {
		line = wrapLine(line, e.progressColumns())
	}
	fmt.Fprintln(e.stderr, line)
}

// progressLine is one line on a terminal, drawn over and over, that shows how much
// of something is done:
//
//	epoch 2/5  43% [====>     ]  loss 0.1234  95000 images/s  12s left
//
// It always fits the terminal: what has no room is left out. Off a terminal it
// draws nothing.
//
// The line is drawn here, and not by a library, because it has to survive a
// resized window. The cursor waits in the first column, so a terminal that
// rewraps the line keeps the cursor at the beginning, and erasing from there
// leaves no pieces behind.
type progressLine struct {
	env   *env
	what  string                         // the beginning of the line
	total int64                          // units that are 100 %
	rate  func(perSecond float64) string // formats the speed; nil shows none

	began, drawn time.Time
	first        int64 // units done when the line began
}

// show draws the line for so many units done. Fields follow the bar, the most
// important first; speed and remaining time are put behind the first one.
func (p *progressLine) show(done int64, fields ...string) {
	if !p.env.terminal {
		return
	}
	now := time.Now()
	if p.began.IsZero() {
		p.began, p.first = now, done
	}
	if !p.drawn.IsZero() && now.Sub(p.drawn) < p.env.frame {
		return
	}
	p.drawn = now
	if elapsed := now.Sub(p.began); elapsed > 0 && done > p.first {
		perSecond := float64(done-p.first) / elapsed.Seconds()
		var timing []string
		if p.rate != nil {
			timing = append(timing, p.rate(perSecond))
		}
		left := time.Duration(float64(p.total-done) / perSecond * float64(time.Second))
		timing = append(timing, left.Round(time.Second).String()+" left")
		n := min(1, len(fields))
		fields = append(fields[:n:n], append(timing, fields[n:]...)...)
	}
	fmt.Fprint(p.env.stderr, p.eraser()+drawProgress(p.env.progressColumns()-1, p.what, done, p.total, fields)+"\r")
}

// clear removes the line, so that something else can be printed in its place.
func (p *progressLine) clear() {
	if !p.drawn.IsZero() {
		io.WriteString(p.env.stderr, p.eraser())
		p.drawn = time.Time{}
	}
}

// eraser returns what removes a drawn line.
func (p *progressLine) eraser() string {
	if runtime.GOOS == "windows" { // whose older consoles show escape sequences
		return "\r" + strings.Repeat(" ", p.env.progressColumns()-1) + "\r"
	}
	return "\r\x1b[J" // to the end of the screen
}

// The width of a bar with its brackets.
const (
	minBar = 12
	maxBar = 32
)

// drawProgress returns a line of at most so many columns.
func drawProgress(columns int, what string, done, total int64, fields []string) string {
	part := 1.0
	if total > 0 {
		part = min(1, max(0, float64(done)/float64(total)))
	}
	head := fmt.Sprintf("%s %3d%%", what, int(100*part))
	free := columns - utf8.RuneCountInString(head)
	if free < 0 {
		return string([]rune(head)[:max(0, columns)])
	}
	bar := free >= minBar+1
	if bar && len(fields) > 0 && free >= utf8.RuneCountInString(fields[0])+2 {
		bar = free >= minBar+1+utf8.RuneCountInString(fields[0])+2 // the field comes first
	}
	if bar {
		free -= minBar + 1
	}
	var tail strings.Builder
	for _, f := range fields {
		n := utf8.RuneCountInString(f) + 2
		if n > free {
			break
		}
		tail.WriteString("  " + f)
		free -= n
	}
	if !bar {
		return head + tail.String()
	}
	inside := min(minBar+free, maxBar) - 2
	full := int(part * float64(inside))
	drawn := strings.Repeat("=", full)
	if full < inside {
		drawn += ">" + strings.Repeat(" ", inside-full-1)
	}
	return head + " [" + drawn + "]" + tail.String()
}

// wrapLine breaks a line at spaces to fit so many columns. The parts after the first are
// indented to where the second word or column of the line begins.
func wrapLine(line string, columns int) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	indent := 0
	if i := strings.IndexByte(line, ' '); i >= 0 {
		rest := strings.TrimLeft(line[i:], " ")
		indent = utf8.RuneCountInString(line[:len(line)-len(rest)])
	}
	if indent > columns/3 {
		indent = 0
	}
	var out []string
	runes, margin, least := []rune(line), "", indent // least: no break before it
	for room := columns; len(runes) > room; room = max(1, columns-len(margin)) {
		cut := room // within a word, if it has to be
		for i := room; i > least; i-- {
			if runes[i] == ' ' {
				cut = i
				break
			}
		}
		out = append(out, margin+strings.TrimRight(string(runes[:cut]), " "))
		runes = []rune(strings.TrimLeft(string(runes[cut:]), " "))
		margin, least = strings.Repeat(" ", indent), 0
	}
	out = append(out, margin+string(runes))
	return strings.Join(out, "\n")
}

// wrapMessage is wrapLine for a line that may end in a command to paste. Where it does not
// fit, the command gets a line of its own, of any length: broken, it could not be pasted.
func wrapMessage(line string, columns int) string {
	text, command, found := strings.Cut(line, ": halfgrad ")
	if !found || utf8.RuneCountInString(line) <= columns {
		return wrapLine(line, columns)
	}
	return wrapLine(text+":", columns) + "\nhalfgrad " + command
}

// output is the standard output of a command. It keeps the first error, which a
// command may then leave unchecked, and wraps lines where it is a terminal.
type output struct {
	w       io.Writer
	columns func() int // nil where lines may be of any length
	partial []byte     // a line without its end
	err     error
}

// Write passes p on. On a terminal it holds back the beginning of a line.
func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	text := p
	if o.columns != nil {
		end := bytes.LastIndexByte(p, '\n') + 1
		whole := string(append(o.partial, p[:end]...))
		if end == 0 {
			o.partial = append(o.partial, p...)
			return len(p), nil
		}
		o.partial = bytes.Clone(p[end:])
		columns := o.columns()
		var wrapped strings.Builder
		for line := range strings.Lines(whole) {
			if line[0] != '{' { // JSON stays as it is
				line = wrapMessage(strings.TrimSuffix(line, "\n"), columns) + "\n"
			}
			wrapped.WriteString(line)
		}
		text = []byte(wrapped.String())
	}
	if _, o.err = o.w.Write(text); o.err != nil {
		return 0, o.err
	}
	return len(p), nil
}

// finish writes what has been held back and returns the first error.
func (o *output) finish() error {
	if o.err == nil && len(o.partial) > 0 {
		_, o.err = o.w.Write(o.partial)
	}
	if o.err != nil {
		return fmt.Errorf("cannot write the output: %w", o.err)
	}
	return nil
}
