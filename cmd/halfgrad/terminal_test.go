package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
)

// screen is a terminal of endless height: what a text with the control characters
// of progress lines looks like. It refuses all others.
type screen struct {
	columns  int
	rows     [][]rune
	row, col int
	longest  int    // line that was ever drawn
	pending  []byte // an unfinished escape sequence or character
}

// Write draws p. It returns an error for a line that does not fit.
func (s *screen) Write(p []byte) (int, error) {
	n := len(p)
	p = append(s.pending, p...)
	for len(p) > 0 {
		if len(s.rows) == s.row {
			s.rows = append(s.rows, nil)
		}
		switch r, size := utf8.DecodeRune(p); {
		case r == '\r':
			s.col, p = 0, p[1:]
		case r == '\n':
			s.row, p = s.row+1, p[1:]
		case r == 0x1b && bytes.HasPrefix([]byte("\x1b[J"), p) && len(p) < 3, r == utf8.RuneError && !utf8.FullRune(p):
			s.pending = bytes.Clone(p)
			return n, nil
		case bytes.HasPrefix(p, []byte("\x1b[J")):
			s.rows = s.rows[:s.row+1]
			s.rows[s.row] = s.rows[s.row][:min(s.col, len(s.rows[s.row]))]
			p = p[3:]
		case r < ' ' || r == utf8.RuneError:
			return 0, fmt.Errorf("the terminal does not know %q", p[:min(8, len(p))])
		default:
			if s.col++; s.col > s.columns {
				return 0, fmt.Errorf("wider than %d columns: %q", s.columns, string(append(s.rows[s.row], r)))
			}
			s.longest = max(s.longest, s.col)
			line := s.rows[s.row]
			for len(line) < s.col {
				line = append(line, ' ')
			}
			line[s.col-1] = r
			s.rows[s.row], p = line, p[size:]
		}
	}
	s.pending = nil
	return n, nil
}

// String returns what is to be seen.
func (s *screen) String() string {
	var b strings.Builder
	for _, line := range s.rows {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// onTerminal runs the command in a process of its own on a pseudo-terminal.
// It returns all that was written and the exit code.
func onTerminal(t *testing.T, columns int, args ...string) (text []byte, code int) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no pseudo-terminals of this kind")
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "HALFGRAD_TEST_MAIN=1", "TERM=xterm")
	cmd.Dir = t.TempDir()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: uint16(columns)})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	text, _ = io.ReadAll(tty) // Linux ends it with an error
	cmd.Wait()
	return text, cmd.ProcessState.ExitCode()
}

// A training run on a terminal of any width leaves whole lines, and no piece of a bar.
func TestTrainingOnTerminal(t *testing.T) {
	dir := smallData(t)
	for _, columns := range []int{120, 80, 60, 20} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			text, code := onTerminal(t, columns, "train", "--data", dir, "--hidden", "32", "--batch", "32", "--epochs", "12", "--inject-overflow", "3")
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, text)
			}
			s := screen{columns: columns}
			if _, err := s.Write(text); err != nil {
				t.Fatal(err)
			}
			// What was drawn over and over, and how it looks at the end.
			drawn := regexp.MustCompile(`\r\x1b\[J(epoch +\d+/12 [^\r\n]*)\r[^\n]`).FindAllStringSubmatch(string(text), -1)
			if len(drawn) == 0 {
				t.Fatalf("no progress in %q", text)
			}
			for _, line := range drawn {
				if utf8.RuneCountInString(line[1]) > columns {
					t.Errorf("%q is wider than %d columns", line[1], columns)
				}
				if columns >= 60 && !regexp.MustCompile(`^epoch \d+/12 +\d+% \[=*>? *\]  loss \d+\.\d{4}`).MatchString(line[1]) {
					t.Errorf("the progress is %q", line[1])
				}
			}
			if columns < 60 {
				return
			}
			if n := strings.Count(s.String(), "\nepoch"); n != 12 {
				t.Errorf("%d lines of 12 epochs", n)
			}
			begins := regexp.MustCompile(`^(data     |network  |training |epoch +\d+/12  loss |saved |test accuracy | +\S)`)
			for _, line := range strings.Split(s.String(), "\n") {
				if !begins.MatchString(line) || strings.ContainsAny(line, "[]>%") {
					t.Errorf("the line %q on\n%s", line, s.String())
				}
			}
		})
	}
}

// The percentage is of the epoch that the line names.
func TestProgressOfEpoch(t *testing.T) {
	args, _ := trainArgs(t, smallData(t), "--epochs", "2", "--max-steps", "20")
	var stderr bytes.Buffer
	if code := run(t.Context(), args, &env{stdout: io.Discard, stderr: &stderr, terminal: true}); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var seen []string
	for _, m := range regexp.MustCompile(`epoch \d/2 +\d+%`).FindAllString(stderr.String(), -1) {
		seen = append(seen, strings.Join(strings.Fields(m), " "))
	}
	// 550 images make 18 batches of 32, the last of them of 6.
	if len(seen) != 20 || seen[0] != "epoch 1/2 5%" || seen[16] != "epoch 1/2 98%" || seen[17] != "epoch 1/2 100%" || seen[19] != "epoch 2/2 11%" {
		t.Errorf("progress %q", seen)
	}
}

func TestDrawProgress(t *testing.T) {
	fields := []string{"loss 0.1234", "95000 images/s", "12s left"}
	for columns, want := range map[int]string{
		100: "epoch 2/5  43% [============>                 ]  loss 0.1234  95000 images/s  12s left",
		79:  "epoch 2/5  43% [=========>             ]  loss 0.1234  95000 images/s  12s left",
		59:  "epoch 2/5  43% [=====>       ]  loss 0.1234  95000 images/s",
		40:  "epoch 2/5  43% [====>     ]  loss 0.1234",
		39:  "epoch 2/5  43%  loss 0.1234",
		27:  "epoch 2/5  43%  loss 0.1234",
		26:  "epoch 2/5  43%",
		9:   "epoch 2/5",
		1:   "e",
		0:   "",
	} {
		if got := drawProgress(columns, "epoch 2/5", 43, 100, fields); got != want {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
	for done, want := range map[int64]string{0: "x   0% [>         ]", 5: "x   5% [>         ]", 10: "x  10% [=>        ]", 99: "x  99% [=========>]", 100: "x 100% [==========]", 101: "x 100% [==========]"} {
		if got := drawProgress(19, "x", done, 100, nil); got != want {
			t.Errorf("%d: %q, want %q", done, got, want)
		}
	}
}

// A line is drawn for the width that the terminal has at that moment.
func TestProgressResized(t *testing.T) {
	columns := 80
	var stderr bytes.Buffer
	line := progressLine{env: &env{stderr: &stderr, terminal: true, columns: func() int { return columns }}, what: "fetch", total: 10}
	for i := range 9 {
		columns = 80 - 9*i
		stderr.Reset()
		line.show(int64(i), "12.3 of 45.6 MB")
		if s := (&screen{columns: columns - 1}); true {
			if _, err := s.Write(stderr.Bytes()); err != nil || s.longest == 0 {
				t.Errorf("%d columns: %q, %v", columns, stderr.String(), err)
			}
		}
	}
	line.env.frame = time.Hour
	stderr.Reset()
	line.show(10)
	if stderr.Len() != 0 {
		t.Errorf("drawn again before it is time: %q", stderr.String())
	}
	line.clear()
	line.clear()
	if stderr.String() != "\r\x1b[J" && runtime.GOOS != "windows" {
		t.Errorf("cleared by %q", stderr.String())
	}
}

func TestWrapLine(t *testing.T) {
	for _, tt := range []struct {
		line    string
		columns int
		want    string
	}{
		{"short", 10, "short"},
		{"exactly 10", 10, "exactly 10"},
		{"training sgd, learning rate 0.1 linear, batch 128", 40, "training sgd, learning rate 0.1 linear,\n         batch 128"},
		{"features  a b c d e f g h i j k", 22, "features  a b c d e f\ng h i j k"}, // indented by more than a third
		{"saved 0123456789012345678901234567890", 20, "saved 01234567890123\n      45678901234567\n      890"},
		{"×××× ×××× ××××", 9, "×××× ××××\n××××"},
		{"a b", 1, "a\nb"},
		{"abc", 1, "a\nb\nc"},
		{"", 1, ""},
	} {
		got := wrapLine(tt.line, tt.columns)
		for _, line := range strings.Split(got, "\n") {
			if utf8.RuneCountInString(line) > tt.columns {
				t.Errorf("%d columns: %q", tt.columns, line)
			}
		}
		if got != tt.want {
			t.Errorf("%q in %d columns:\n%s\nwant\n%s", tt.line, tt.columns, got, tt.want)
		}
	}
}

// Lines are wrapped on a terminal, whatever pieces they come in; JSON is not.
func TestOutput(t *testing.T) {
	var b bytes.Buffer
	o := &output{w: &b, columns: func() int { return 8 }}
	for _, part := range []string{"one two", " three\n{\"a\": 1, \"b\": 2}\nfo", "ur", " five six"} {
		if n, err := io.WriteString(o, part); err != nil || n != len(part) {
			t.Errorf("%d, %v", n, err)
		}
	}
	if err := o.finish(); err != nil {
		t.Error(err)
	}
	if want := "one two\nthree\n{\"a\": 1, \"b\": 2}\nfour five six"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// A standard output that takes nothing is an error, whichever command writes to it.
func TestFullOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	train, out := trainArgs(t, smallData(t))
	for _, args := range [][]string{{"info"}, {"info", "--json"}, train, {"export", "--checkpoint", out, "--format", "onnx"}} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, &env{stdout: full, stderr: &stderr}); code != exitFailed || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v: exit code %d: %s", args, code, stderr.String())
		}
	}
	if _, err := os.Stat(filepath.Join(out, checkpointName)); err != nil {
		t.Error(err) // the run itself went on to its end
	}
}

// A command to paste stays on one line.
func TestWrapMessage(t *testing.T) {
	const line = "kept the earlier run in x, unfinished after 2 of 3 epochs; go on with it by: halfgrad train --resume --out x --data /some/folder"
	got := wrapMessage(line, 40)
	lines := strings.Split(got, "\n")
	if last := lines[len(lines)-1]; last != "halfgrad train --resume --out x --data /some/folder" {
		t.Errorf("%q", got)
	}
	for _, l := range lines[:len(lines)-1] {
		if len(l) > 40 {
			t.Errorf("%q is longer than 40 columns", l)
		}
	}
	if got := wrapMessage(line, 200); got != line {
		t.Errorf("%q", got)
	}
}
