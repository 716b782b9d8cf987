package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// A worker is a process that multiplies or trains with one library. For each line on its
// input it writes one to its output:
//
//	                       ready WHAT IT IS             at the start, see identity
//	prepare M N K TRANS →  ok FIRST LAST                the corners of the product
//	gemm M N K CALLS    →  NANOSECONDS                  of a call, after as many untimed calls
//	show                →  C, row after row             of a small product
//	                       error WHAT                   instead of any of these
//
// operands.go has the operands. TRANS is "nn", with "t" for A or B if it is stored
// transposed. Our own worker also answers
//
//	peak                →  GFLOPS                       of the FMA loop, on all threads
//
// A worker that trains answers, instead of prepare and gemm,
//
//	prepare BATCH DIR   →  ok FIRST LAST MOVED          the outcome of some steps, see trainee.go
//	train STEPS         →  NANOSECONDS                  of a step, after as many untimed steps
type worker struct {
	name    string
	about   identity
	cmd     *exec.Cmd
	in      io.WriteCloser
	lines   chan string // closed when the process ends its output
	timeout time.Duration
}

// identity is what a worker says about itself. What it does not know is empty.
type identity struct {
	name, version string
	core          string // the processor or instruction set that its code is for
	detail        string
}

func parseIdentity(s string) identity {
	fields := append(strings.Split(s, "\t"), "", "", "")
	return identity{fields[0], fields[1], fields[2], fields[3]}
}

// String returns everything that is known.
func (id identity) String() string {
	s := strings.TrimSpace(id.name + " " + id.version)
	for _, more := range []string{id.core, id.detail} {
		if more != "" {
			s += ", " + more
		}
	}
	return s
}

// start runs a worker on the given CPUs. The error has what the worker said instead of
// "ready".
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
	w.about = parseIdentity(strings.TrimPrefix(about, "ready "))
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

// ask sends a line and returns the answer. The process is stopped between its answers:
// threads that spin while they wait would slow down the other workers.
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

// prepare makes the worker ready for a product, and checks it.
func (w *worker) prepare(p product) error {
	line := fmt.Sprintf("prepare %v", p)
	answer, err := w.ask(line)
	if err != nil {
		return err
	}
	var first, last float64
	if n, err := fmt.Sscanf(answer, "ok %g %g", &first, &last); n < 2 {
		return fmt.Errorf("peers: %s answered %q to %q, want ok and two numbers: %w", w.name, answer, line, err)
	}
	if wantFirst, wantLast := corners(p.Shape); !near(first, wantFirst) || !near(last, wantLast) {
		return fmt.Errorf("peers: %s has a wrong product of %v: its corners are %g and %g, want %g and %g", w.name, p.Shape, first, last, wantFirst, wantLast)
	}
	return nil
}

// gemm returns the nanoseconds of a product.
func (w *worker) gemm(s bench.Shape, calls int) (float64, error) {
	return w.number(fmt.Sprintf("gemm %d %d %d %d", s.M, s.N, s.K, calls))
}

// prepareSteps makes the worker ready to train with so many images a step on what is
// in folder. It returns the outcome of the first steps.
func (w *worker) prepareSteps(batch int, folder string) (o outcome, err error) {
	line := fmt.Sprintf("prepare %d %s", batch, folder)
	answer, err := w.ask(line)
	if err != nil {
		return outcome{}, err
	}
	if n, err := fmt.Sscanf(answer, "ok %g %g %g", &o.first, &o.last, &o.moved); n < 3 {
		return outcome{}, fmt.Errorf("peers: %s answered %q to %q, want ok and three numbers: %w", w.name, answer, line, err)
	}
	return o, nil
}

// steps returns the nanoseconds of a training step, the mean of n.
func (w *worker) steps(n int) (float64, error) { return w.number(fmt.Sprintf("train %d", n)) }

// serve runs a worker of ours: it says what it is and then answers lines.
func serve(in io.Reader, out io.Writer, id identity, answer func(line string) string) error {
	if _, err := fmt.Fprintf(out, "ready %s\t%s\t%s\t%s\n", id.name, id.version, id.core, id.detail); err != nil {
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

// peakAnswer is the answer to peak: the best of some milliseconds, because the system
// puts two threads on one CPU for a while now and then.
func peakAnswer(peak bench.Peak) string {
	best := 0.0
	for start := time.Now(); time.Since(start) < 10*time.Millisecond; {
		best = max(best, peak.Measure())
	}
	return fmt.Sprintf("%.6g", best)
}

// library multiplies in a worker of ours. multiply computes the product that was prepared
// last, and row returns one of its rows.
type library struct {
	prepare  func(p product)
	multiply func()
	row      func(i int) []float32
	peak     func() string // nil where it has none
}

// multiplier returns the answers of a worker of ours that multiplies.
func multiplier(l library) func(line string) string {
	var ready product
	return func(line string) string {
		command, rest, _ := strings.Cut(line, " ")
		var s bench.Shape
		var last string
		n, _ := fmt.Sscan(rest, &s.M, &s.N, &s.K, &last)
		calls, _ := strconv.Atoi(last)
		switch {
		case command == "peak" && l.peak != nil:
			return l.peak()
		case command == "prepare" && n == 4 && min(s.M, s.N, s.K) > 0 && slices.Contains([]string{"nn", "nt", "tn", "tt"}, last):
			ready = product{s, last}
			l.prepare(ready)
			l.multiply()
			return fmt.Sprintf("ok %g %g", l.row(0)[0], l.row(s.M - 1)[s.N-1])
		case command == "show" && ready.M > 0:
			var b strings.Builder
			for i := range ready.M {
				for _, v := range l.row(i) {
					fmt.Fprintf(&b, "%g ", v)
				}
			}
			return b.String()
		case command == "gemm" && n == 4 && s == ready.Shape && calls > 0:
			for range calls {
				l.multiply()
			}
			start := time.Now()
			for range calls {
				l.multiply()
			}
			return fmt.Sprintf("%.1f", float64(time.Since(start).Nanoseconds())/float64(calls))
		}
		return "error unknown command, or a shape that is not prepared: " + line
	}
}

// halfgrad is our own library, with matrices of one type.
func halfgrad(e *kernels.Engine, dtype tensor.DType) library {
	peak := bench.NewPeak(e)
	var args kernels.GemmArgs
	return library{
		prepare:  func(p product) { args = operands(p, dtype) },
		multiply: func() { e.Gemm(args) },
		row: func(i int) []float32 {
			row := make([]float32, args.C.Cols)
			args.C.LoadRow(row, i)
			return row
		},
		peak: func() string { return peakAnswer(peak) },
	}
}

// gonumBLAS is gonum's BLAS in Go, in fp32, with as many goroutines as GOMAXPROCS allows.
func gonumBLAS() library {
	var a, b, c blas32.General
	var ta, tb blas.Transpose
	return library{
		prepare: func(p product) {
			args := operands(p, tensor.F32)
			a, ta = general(args.A, p.trans[0] == 't')
			b, tb = general(args.B, p.trans[1] == 't')
			c, _ = general(args.C, false)
		},
		multiply: func() { blas32.Gemm(ta, tb, 1, a, b, 0, c) },
		row:      func(i int) []float32 { return c.Data[i*c.Stride:][:c.Cols] },
	}
}

// general converts a matrix to gonum's type.
func general(m tensor.Matrix, transposed bool) (blas32.General, blas.Transpose) {
	if transposed {
		g, _ := general(m.T(), false)
		return g, blas.Trans
	}
	g := blas32.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Cols, Data: make([]float32, m.Rows*m.Cols)}
	for i := range m.Rows {
		m.LoadRow(g.Data[i*g.Stride:][:m.Cols], i)
	}
	return g, blas.NoTrans
}

// gonumVersion returns the version of gonum that is linked.
func gonumVersion() string {
	const path = "gonum.org/v1/gonum"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return strings.TrimPrefix(m.Version, "v")
			}
		}
	}
	return ""
}
