// Halfgrad trains networks in mixed precision on CPUs, and tells how fast the
// machine is at it. Run it with --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/halfgrad/halfgrad/internal/files"
)

const description = `halfgrad trains neural networks in mixed precision on CPUs: fp16 storage, fp32
accumulation in assembly kernels, fp32 master weights and dynamic loss scaling.

Learn, and use what was learned:

  halfgrad train                  MNIST, which it fetches at first use
  halfgrad train --hidden 512,512 a larger network
  halfgrad train --resume         go on with a run that was interrupted
  halfgrad eval                   how good is it, class by class?
  halfgrad predict seven.png      which digit is that?
  halfgrad export --format onnx   hand it to other programs

Look inside:

  halfgrad train --metrics run.jsonl
  halfgrad plot run.jsonl --out run.png
  halfgrad inspect                why the loss is scaled, layer by layer

Measure the machine:

  halfgrad info                   what it supports, and what is chosen
  halfgrad bench --quick          how fast is it? in a report to compare
  halfgrad bench compare A.json B.json
  halfgrad verify                 does it compute the same bits as all others?

The result does not depend on the machine, the kernel or the number of threads:
runs with the same settings end in the same bits.

Exit status: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted.`

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

type cli struct {
	Version kong.VersionFlag `help:"Print the version and the commit, and exit."`

	Train   trainCmd   `cmd:"" help:"Train a network on MNIST or a data set in its form."`
	Eval    evalCmd    `cmd:"" help:"Evaluate a checkpoint on the test images."`
	Predict predictCmd `cmd:"" help:"Tell which classes pictures show: digits, for a network that learned MNIST."`
	Export  exportCmd  `cmd:"" help:"Hand a checkpoint's weights to other programs: PyTorch, ONNX runtimes."`
	Import  importCmd  `cmd:"" help:"Make a checkpoint of weights that PyTorch has trained."`
	Inspect inspectCmd `cmd:"" help:"Show what fp16 would lose of a network's gradients, with and without a loss scale."`
	Plot    plotCmd    `cmd:"" help:"Draw the course of training runs."`
	Info    infoCmd    `cmd:"" help:"Show the machine: features, kernels, caches."`
	Bench   benchCmd   `cmd:"" help:"Measure speed, as a share of the machine's own limit."`
	Verify  verifyCmd  `cmd:"" help:"Tell whether this machine computes the same bits as others."`

	Completion  completionCmd `cmd:"" help:"Print a script with which bash, zsh or fish completes commands and flags."`
	VersionLine versionCmd    `cmd:"" name:"version" help:"Print the version and the commit."`
}

// env is what a command uses of the world.
type env struct {
	stdout, stderr io.Writer
	terminal       bool            // whether stderr is one
	columns        func() int      // its width; nil for 80
	wrap           func() int      // the width of the terminal behind stdout; nil where there is none
	frame          time.Duration   // from one picture of a progress bar to the next
	program        string          // what to type for the program; empty for halfgrad
	explicit       map[string]bool // the flags given on the command line or in a file, by name
	fromFile       map[string]bool // those of them that a file gave
	flags          []*kong.Flag    // all flags of the command
}

// usageError is an error in what the user gave: a flag, a file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	e := &env{program: programName(os.Args[0]), stdout: os.Stdout, stderr: os.Stderr, terminal: isTerminal(os.Stderr), columns: columnsOf(os.Stderr), frame: 100 * time.Millisecond}
	if isTerminal(os.Stdout) {
		e.wrap = columnsOf(os.Stdout)
	}
	os.Exit(run(interruptible(e), os.Args[1:], e))
}

// interruptible returns a context that the first Ctrl-C or SIGTERM ends. What is under
// way may take long, so a line says at once that the signal has arrived. The second one
// ends the program.
func interruptible(e *env) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, signals...)
	go func() {
		<-arrived
		signal.Reset(signals...)
		if e.terminal {
			io.WriteString(e.stderr, "\r\x1b[K") // over the progress bar
		}
		e.tell(stopping)
		cancel()
	}()
	return ctx
}

// stopping is what an interrupted program says first.
const stopping = "halfgrad: stopping after the step or evaluation under way; a second Ctrl-C ends at once"

// run is the program: it returns the exit code. It fills in e.explicit and what follows it.
func run(ctx context.Context, args []string, e *env) (code int) {
	type exit int // --help asks to exit in the middle of parsing
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exit:
			code = int(r)
		default:
			panic(r)
		}
	}()
	var c cli
	parser, err := kong.New(&c,
		kong.Name("halfgrad"), kong.Description(description), kong.Writers(e.stdout, e.stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.WithHyphenPrefixedParameters(true), // so that --hidden -1 reaches the check of --hidden
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: defaultColumns}),
		kong.ValueFormatter(func(v *kong.Value) string {
			if v.HasDefault { // a long list can be wrapped behind its commas
				return strings.TrimSuffix(v.Help, ".") + " (default " + strings.ReplaceAll(v.Default, ",", ", ") + ")."
			}
			return v.Help
		}),
		kong.Vars{"recipes": recipeNames(), "version": version()},
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(err) // the declaration of the commands is wrong
	}
	if len(args) > 0 && args[0] == completeCommand {
		complete(e.stdout, parser.Model, args[1:])
		return exitOK
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return fail(e, usageError{err})
	}
	e.explicit, e.fromFile, e.flags = map[string]bool{}, map[string]bool{}, parsed.Selected().Flags
	for _, p := range parsed.Path {
		if p.Flag != nil {
			e.explicit[p.Flag.Name] = true
			e.fromFile[p.Flag.Name] = p.Resolved
			if kind := p.Flag.Target.Kind(); (kind == reflect.String || kind == reflect.Slice) && p.Flag.Target.Len() == 0 {
				return fail(e, usagef("--%s: it is empty: want a value, or no --%[1]s", p.Flag.Name))
			}
		}
	}
	out := &output{w: e.stdout, columns: e.wrap}
	e.stdout = out
	err = parsed.Run(e)
	var told *interruptedError
	if errors.Is(err, context.Canceled) && !errors.As(err, &told) {
		err = &interruptedError{cause: err, text: strings.TrimPrefix(parsed.Selected().FullPath(), "halfgrad ") + " was interrupted"}
	}
	if unwritten := out.finish(); unwritten != nil && !errors.Is(err, unwritten) {
		err = errors.Join(err, unwritten)
	}
	return fail(e, err)
}

// fail reports err, if there is one, on one line, and returns the exit code.
func fail(e *env, err error) int {
	if err == nil {
		return exitOK
	}
	// One line, whatever the error: several reasons are put side by side.
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if errors.Is(err, context.Canceled) {
		var told *interruptedError
		if e.terminal && errors.As(err, &told) && told.command != "" && strings.HasSuffix(text, told.command) {
			// The command has a line of its own, of any length: broken into lines, it could
			// not be pasted.
			e.tell("halfgrad: " + strings.TrimSpace(strings.TrimSuffix(text, told.command)))
			fmt.Fprintln(e.stderr, told.command)
			return exitInterrupted
		}
		e.tell("halfgrad: " + text)
		return exitInterrupted
	}
	e.tell("halfgrad: error: " + text)
	var usage usageError
	var kind *files.KindError
	if errors.As(err, &usage) || errors.As(err, &kind) || isUnopenable(err) {
		return exitUsage
	}
	return exitFailed
}

// isUnopenable reports whether err says that a file could not be opened because of
// what it is, rather than because the machine failed.
func isUnopenable(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && slices.ContainsFunc([]error{
		fs.ErrNotExist, fs.ErrPermission, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL, syscall.EROFS,
	}, func(target error) bool { return errors.Is(path, target) })
}
