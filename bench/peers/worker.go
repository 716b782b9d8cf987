package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// A worker is a process that multiplies or trains with one library. It answers lines
// on its input by lines on its output:
//
//	                     ready WHAT IT IS               when it has started
//	prepare M N K     →  ok FIRST LAST [HOW]            the corners of the product, and how it is done
//	gemm M N K CALLS  →  NANOSECONDS                    of a call, after as many that are not timed
//	                     error WHAT                     instead of any of these
//
// The operands are those of operands.go. Our own worker knows two more:
//
//	keep M N K        →  ok FIRST LAST                  prepare, with B packed once and kept
//	peak              →  GFLOPS                         of the FMA loop, on all threads
//
// One that trains knows, instead of prepare, gemm and keep:
//
//	prepare BATCH DIR →  ok FIRST LAST MOVED [HOW]      the outcome of some steps, see trainee.go, and how they are done
//	train STEPS       →  NANOSECONDS                    of a step, after as many that are not timed
type worker struct {
	name, about string
	cmd         *exec.Cmd
	in          io.WriteCloser
	lines       chan string // closed when the process ends its output
	timeout     time.Duration
}

// start runs a worker on the given CPUs. The error says what it said instead of
// being ready.
func start(name string, cmd *exec.Cmd, cpus []int, timeout time.Duration) (*worker, error) {
	w := &worker{name: name, cmd: cmd, lines: make(chan string, 1), timeout: timeout}
	var err error
	if w.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := startOn(cpus, cmd); err != nil {
		return nil, fmt.Errorf("peers: %s: %w", name, err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			w.lines <- s.Text()
		}
		close(w.lines)
	}()
	about, err := w.answer("its start")
	if err == nil && !strings.HasPrefix(about, "ready ") {
		err = fmt.Errorf("peers: %s said %q, want ready", name, about)
	}
	if err != nil {
		w.stop()
		return nil, err
	}
	w.about = strings.TrimPrefix(about, "ready ")
	return w, nil
}

// stop ends the process.
func (w *worker) stop() {
	w.in.Close()
	w.cmd.Process.Kill()
	go func() { // so that the reader comes to its end
		for range w.lines {
		}
	}()
	w.cmd.Wait() //nolint:errcheck // it was killed
}

// ask sends a line and returns the answer. Between its answers the process is
// stopped: threads that wait for work by spinning would slow down the others.
func (w *worker) ask(line string) (string, error) {
	if err := proceed(w.cmd.Process); err != nil {
		return "", fmt.Errorf("peers: %s: %w", w.name, err)
	}
	defer halt(w.cmd.Process) //nolint:errcheck // it may have ended
	if _, err := io.WriteString(w.in, line+"\n"); err != nil {
		return "", fmt.Errorf("peers: %s ended instead of answering %q: %w", w.name, line, err)
	}
	return w.answer(strconv.Quote(line))
}

func (w *worker) answer(to string) (string, error) {
	select {
	case line, ok := <-w.lines:
		if !ok {
			return "", fmt.Errorf("peers: %s ended instead of answering %s", w.name, to)
		}
		if what, failed := strings.CutPrefix(line, "error "); failed {
			return "", fmt.Errorf("peers: %s: %s", w.name, what)
		}
		return line, nil
	case <-time.After(w.timeout):
		return "", fmt.Errorf("peers: %s did not answer %s within %v", w.name, to, w.timeout)
	}
}

// number asks for one positive number.
func (w *worker) number(line string) (float64, error) {
	s, err := w.ask(line)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0) {
		return 0, fmt.Errorf("peers: %s answered %q to %q, want a positive number", w.name, s, line)
	}
	return v, nil
}

// prepare makes the worker ready for a shape, by the command prepare or keep,
// and checks the product. It returns how the worker does it.
func (w *worker) prepare(command string, s bench.Shape) (how string, err error) {
	line := fmt.Sprintf("%s %d %d %d", command, s.M, s.N, s.K)
	answer, err := w.ask(line)
	if err != nil {
		return "", err
	}
	var first, last float64
	if n, err := fmt.Sscanf(answer, "ok %g %g %s", &first, &last, &how); n < 2 {
		return "", fmt.Errorf("peers: %s answered %q to %q, want ok and two numbers: %w", w.name, answer, line, err)
	}
	if wantFirst, wantLast := corners(s); !near(first, wantFirst) || !near(last, wantLast) {
		return "", fmt.Errorf("peers: %s has a wrong product of %v: its corners are %g and %g, want %g and %g", w.name, s, first, last, wantFirst, wantLast)
	}
	return how, nil
}

// gemm returns the nanoseconds of a product.
func (w *worker) gemm(s bench.Shape, calls int) (float64, error) {
	return w.number(fmt.Sprintf("gemm %d %d %d %d", s.M, s.N, s.K, calls))
}

// prepareSteps makes the worker ready to train with so many images a step on what is
// in folder. It returns what a few steps led to, and how the worker takes them.
func (w *worker) prepareSteps(batch int, folder string) (o outcome, how string, err error) {
	line := fmt.Sprintf("prepare %d %s", batch, folder)
	answer, err := w.ask(line)
	if err != nil {
		return outcome{}, "", err
	}
	if n, err := fmt.Sscanf(answer, "ok %g %g %g %s", &o.first, &o.last, &o.moved, &how); n < 3 {
		return outcome{}, "", fmt.Errorf("peers: %s answered %q to %q, want ok and three numbers: %w", w.name, answer, line, err)
	}
	return o, how, nil
}

// steps returns the nanoseconds of a training step, of so many.
func (w *worker) steps(n int) (float64, error) { return w.number(fmt.Sprintf("train %d", n)) }

// serve is a worker of ours: it says what it is, and then answers lines.
func serve(in io.Reader, out io.Writer, about string, answer func(line string) string) error {
	if _, err := fmt.Fprintf(out, "ready halfgrad, %s\n", about); err != nil {
		return err
	}
	s := bufio.NewScanner(in)
	for s.Scan() {
		if _, err := fmt.Fprintln(out, answer(s.Text())); err != nil {
			return err
		}
	}
	return s.Err()
}

// peakAnswer is the answer to peak: the best of a turn, since now and then the system
// has two threads on one CPU for a while.
func peakAnswer(peak bench.Peak) string {
	best := 0.0
	for start := time.Now(); time.Since(start) < turn; {
		best = max(best, peak.Measure())
	}
	return fmt.Sprintf("%.1f", best)
}

// multiplier answers what our worker is asked about products.
func multiplier(e *kernels.Engine, c tensor.DType) func(line string) string {
	peak := bench.NewPeak(e)
	var (
		ready bench.Shape
		args  kernels.GemmArgs
	)
	return func(line string) string {
		command, rest, _ := strings.Cut(line, " ")
		var s bench.Shape
		var calls int
		n, _ := fmt.Sscan(rest, &s.M, &s.N, &s.K, &calls)
		switch {
		case command == "peak":
			return peakAnswer(peak)
		case (command == "prepare" || command == "keep") && n == 3 && min(s.M, s.N, s.K) > 0:
			ready, args = s, operands(s, c)
			if command == "keep" {
				args.Packed = kernels.Pack(args.B)
			}
			e.Gemm(args)
			row := make([]float32, s.N)
			args.C.LoadRow(row, 0)
			first := row[0]
			args.C.LoadRow(row, s.M-1)
			return fmt.Sprintf("ok %g %g", first, row[s.N-1])
		case command == "gemm" && n == 4 && s == ready && calls > 0:
			for range calls {
				e.Gemm(args)
			}
			start := time.Now()
			for range calls {
				e.Gemm(args)
			}
			return fmt.Sprintf("%.1f", float64(time.Since(start).Nanoseconds())/float64(calls))
		}
		return "error unknown command, or a shape that is not prepared: " + line
	}
}
