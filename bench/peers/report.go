package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/bench/suite"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

type reportCmd struct {
	Shape   []string `help:"Only matrix products of these shapes, as MxNxK, separated by commas." placeholder:"MxNxK"`
	Quick   bool     `help:"Measure less, in a minute or two; without it, about a quarter of an hour on two cores."`
	Threads []int    `help:"Numbers of threads, separated by commas; without it, one and all cores." placeholder:"N"`
	Peers   []string `default:"onednn,openblas,blis,onnxruntime,pytorch,gonum" help:"Peers, separated by commas." placeholder:"NAME"`
	Out     string   `help:"File for the report; without it, the one of --into." placeholder:"FILE"`
	Into    string   `help:"A report of this machine and build to add to, in which our benchmarks of the same names are replaced." placeholder:"FILE"`
	Require bool     `help:"Fail where a peer is missing, instead of leaving it out."`
	Rounds  int      `help:"Rounds of turns; without it, 15 or, if quick, 11." placeholder:"N"`
	Kernel  string   `default:"auto" help:"Our kernel tier." placeholder:"TIER"`
	CPU     []int    `name:"cpu" help:"CPUs to pin to, the first as many as there are threads; without it, all." placeholder:"N"`
	Python  []string `default:"python3,/usr/bin/python3" help:"Where to look for PyTorch, in this order." placeholder:"PROGRAM"`
}

// plan is what is measured, and how.
type plan struct {
	name     string
	products []product
	steps    []bench.TrainConfig
	rounds   int
	turn     time.Duration // of products
	stepTurn time.Duration // of training steps
	longest  time.Duration // of a product
}

// newPlan returns the suite's products and training steps.
func newPlan(quick bool) plan {
	s := suite.Full()
	p := plan{name: "peers", rounds: 15, turn: 4 * time.Millisecond, stepTurn: 15 * time.Millisecond, longest: 500 * time.Millisecond}
	if quick {
		s = suite.Quick()
		p = plan{name: "peers-quick", rounds: 11, turn: 2 * time.Millisecond, stepTurn: 5 * time.Millisecond, longest: 50 * time.Millisecond}
	}
	for _, s := range s.Products {
		for _, trans := range s.Trans {
			if trans == "nn" || !quick {
				p.products = append(p.products, product{s.Shape, trans})
			}
		}
	}
	p.steps = s.Train
	return p
}

func (c *reportCmd) Run(ctx context.Context) error {
	p := newPlan(c.Quick)
	if len(c.Shape) > 0 {
		p.products, p.steps = nil, nil
		for _, s := range c.Shape {
			shape, err := bench.ParseShape(s)
			if err != nil {
				return err
			}
			p.products = append(p.products, product{shape, "nn"})
		}
	}
	if c.Rounds != 0 {
		p.rounds = c.Rounds
	}
	if p.rounds < 1 {
		return fmt.Errorf("peers: %d rounds: want at least one", p.rounds)
	}
	return c.measure(ctx, p, os.Stdout)
}

// measure takes the measurements of a plan and writes the report.
func (c *reportCmd) measure(ctx context.Context, p plan, out io.Writer) error {
	threads := c.Threads
	if len(threads) == 0 {
		threads = suite.DefaultThreads()
	}
	if slices.Min(threads) < 1 {
		return fmt.Errorf("peers: %v threads: want at least one", threads)
	}
	var chosen []peer
	for _, kernel := range c.Peers {
		peer, err := findPeer(kernel)
		if err != nil {
			return err
		}
		chosen = append(chosen, peer)
	}
	cpus, err := pins(c.CPU, slices.Max(threads))
	if err != nil {
		return err
	}
	path, base, err := c.base()
	if err != nil {
		return err
	}
	e, err := kernels.New(kernels.Config{Kernel: c.Kernel, Threads: 1})
	if err != nil {
		return err
	}
	at, err := newPlace(c.Python)
	if err != nil {
		return err
	}

	begun := time.Now()
	m := measurement{
		plan: p, at: at, cpus: cpus, threads: threads, tier: e.Tier(), out: out, require: c.Require, choices: map[string]choice{},
		report: &report.Report{
			Date: begun.UTC().Truncate(time.Second), Suite: p.name, Build: suite.ThisBuild(), Machine: suite.ThisMachine(),
			Settings: report.Settings{Kernels: []string{e.Tier()}, Threads: threads, Rounds: p.rounds},
		},
	}
	for _, peer := range chosen {
		if err := m.find(ctx, peer); err != nil {
			return err
		}
	}
	if len(m.peers) == 0 {
		return errors.New("peers: none of the peers is there")
	}
	for _, n := range threads {
		if err := m.multiply(ctx, n); err != nil {
			return err
		}
	}
	if err := m.train(ctx); err != nil {
		return err
	}
	m.report.Seconds = time.Since(begun).Round(time.Millisecond).Seconds()
	r := m.report
	if base != nil {
		if err := base.Merge(r); err != nil {
			return err
		}
		r = base
	}
	if err := r.Write(path); err != nil {
		return err
	}
	fmt.Fprintf(out, "wrote %s\n", path)
	return nil
}

// base returns the file to write and the report to add to, nil if there is none. It
// checks both before anything is measured.
func (c *reportCmd) base() (path string, base *report.Report, err error) {
	path = c.Out
	switch {
	case c.Out == "" && c.Into == "":
		return "", nil, errors.New("peers: want --out FILE, or --into FILE with a report to add to")
	case c.Into != "":
		if base, err = report.Read(c.Into); err != nil {
			return "", nil, err
		}
		if err := report.Same(base, &report.Report{Machine: suite.ThisMachine(), Build: suite.ThisBuild()}); err != nil {
			return "", nil, fmt.Errorf("peers: %s cannot be added to: %w", c.Into, err)
		}
		if path == "" {
			path = c.Into
		}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return "", nil, fmt.Errorf("peers: %s: there is no folder %s", path, filepath.Dir(path))
	}
	return path, base, nil
}

// measurement is a report in the making.
type measurement struct {
	plan
	at      place
	cpus    []int
	threads []int
	tier    string // ours
	out     io.Writer
	require bool // all peers

	peers   []peer            // that are there
	choices map[string]choice // by kernel
	report  *report.Report
}

// run is the number of all turns here.
const run = 1

// find adds a peer if it is installed, and chooses how it is used.
func (m *measurement) find(ctx context.Context, p peer) error {
	chosen, err := p.choose(ctx, m.at, m.cpus)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && m.require {
		return err
	}
	if err != nil {
		fmt.Fprintln(m.out, "left out:", err)
		return nil
	}
	m.peers, m.choices[p.kernel] = append(m.peers, p), chosen
	if chosen.note != "" {
		fmt.Fprintf(m.out, "%s: %s\n", p.kernel, chosen.note)
	}
	return nil
}

// note adds to the report's description of a peer.
func (m *measurement) note(kernel string, id identity, settings []string, notes ...string) {
	peers := &m.report.Peers
	i := slices.IndexFunc(*peers, func(p report.Peer) bool { return p.Kernel == kernel })
	if i < 0 {
		i = len(*peers)
		*peers = append(*peers, report.Peer{Kernel: kernel, Name: id.name, Version: id.version, Core: id.core, Settings: settings})
	}
	p := &(*peers)[i]
	for _, note := range notes {
		if note != "" && !strings.Contains(p.Note, note) {
			p.Note = strings.TrimPrefix(p.Note+"; "+note, "; ")
		}
	}
}

// contender is a worker with its part of the names of benchmarks.
type contender struct {
	worker        *worker
	kernel, dtype string
	transposes    bool
}

// multiply measures all products with so many threads.
func (m *measurement) multiply(ctx context.Context, threads int) error {
	var all []contender
	defer func() {
		for _, c := range all {
			c.worker.stop()
		}
	}()
	for _, dtype := range []string{"fp16", "fp32"} {
		w, err := ourWorker(m.at, dtype, m.tier, threads, m.cpus)
		if err != nil {
			return err
		}
		all = append(all, contender{w, m.tier, dtype, true})
	}
	for _, p := range m.peers {
		chosen := m.choices[p.kernel]
		for _, dtype := range p.dtypes {
			w, err := p.worker(m.at, running{dtype: dtype, threads: threads, settings: chosen.settings}, m.cpus)
			if err != nil {
				return err
			}
			all = append(all, contender{w, p.kernel, dtype, p.transposes})
			m.note(p.kernel, w.about, chosen.settings, w.about.detail, p.note, chosen.note)
		}
	}
	for _, p := range m.products {
		t := turns{us: all[0].worker, rounds: m.rounds, turn: m.turn, longest: m.longest}
		here := all[:1:1]
		for _, c := range all[1:] {
			if p.trans == "nn" || c.transposes {
				here, t.peers = append(here, c), append(t.peers, c.worker)
			}
		}
		scores, peaks, err := t.measure(ctx, p)
		if err != nil {
			return err
		}
		first := len(m.report.Benchmarks)
		for i, c := range here {
			name := suite.GemmName(p.Shape, p.trans, c.dtype, threads, c.kernel)
			if scores[i].times == nil {
				m.report.Omitted = append(m.report.Omitted, report.Omission{
					Name:   name,
					Reason: fmt.Sprintf("a product takes %v, more than %v", time.Duration(scores[i].once).Round(time.Millisecond), m.longest),
				})
				continue
			}
			m.add(name, p.FLOPs(), scores[i].times, peaks)
		}
		m.print(fmt.Sprintf("%v %s, %d threads", p.Shape, p.trans, threads), first)
	}
	return nil
}

// add adds a benchmark.
func (m *measurement) add(name report.Name, flops float64, times, peaks []float64) {
	m.report.Benchmarks = append(m.report.Benchmarks, report.Benchmark{
		Name: name, Unit: report.Nanoseconds, Work: &report.Work{Amount: flops, Unit: report.FLOP}, Samples: times, Peak: peaks, Run: run,
	})
}

// print prints a line about the benchmarks from first on, which took turns: the rate of
// the first, and the ratios of the others' rates to it.
func (m *measurement) print(what string, first int) {
	benchmarks := m.report.Benchmarks[first:]
	line := what + ":"
	for i := range benchmarks {
		b := &benchmarks[i]
		who := b.Name.Get("kernel") + " " + b.Name.Get("dtype")
		if i == 0 {
			rate, unit, _ := b.Rate()
			line += fmt.Sprintf(" %s %.1f %s", who, rate.Center, unit)
		} else if ratio, ok := report.Paired(&benchmarks[0], b); ok {
			line += fmt.Sprintf(", %s %.2f", who, ratio.Center)
		}
	}
	fmt.Fprintln(m.out, line)
}

// train measures all training steps, ours and PyTorch's.
func (m *measurement) train(ctx context.Context) error {
	if !slices.ContainsFunc(m.peers, func(p peer) bool { return p.kernel == "pytorch" }) {
		return nil
	}
	python, err := pythonWithTorch(m.at.pythons)
	if err != nil {
		return err
	}
	choices := map[string]choice{} // by precision
	steps := m.steps
	for len(steps) > 0 {
		// All batches of one model share its workers.
		cfg := steps[0]
		var batches []int
		steps = slices.DeleteFunc(slices.Clone(steps), func(s bench.TrainConfig) bool {
			alike := slices.Equal(s.Widths, cfg.Widths) && s.Images == cfg.Images && s.Optimizer == cfg.Optimizer
			if alike {
				batches = append(batches, s.Batch)
			}
			return alike
		})
		if err := m.trainModel(ctx, python, cfg, batches, choices); err != nil {
			return err
		}
	}
	return nil
}

// trainModel measures the steps of one model. choices are those made for earlier models.
func (m *measurement) trainModel(ctx context.Context, python string, cfg bench.TrainConfig, batches []int, choices map[string]choice) error {
	r := race{threads: m.threads, rounds: m.rounds, turn: m.stepTurn}
	defer r.stop()
	type entry struct{ kernel, dtype string }
	var entries []entry
	for _, precision := range []tensor.DType{tensor.F16, tensor.F32} {
		ours := cfg
		ours.Precision = precision
		if err := r.enter("halfgrad-"+precision.String(), m.cpus, ourTrainer(m.at, ours, m.tier)); err != nil {
			return err
		}
		entries = append(entries, entry{m.tier, precision.String()})
	}
	for _, precision := range []string{"fp32", "bf16"} {
		chosen, made := choices[precision]
		if !made {
			var err error
			if chosen, err = chooseTrainer(ctx, m.at, python, precision, cfg, m.cpus); err != nil {
				return err
			}
			choices[precision] = chosen
			note := chosen.note
			if note != "" {
				note = "training in " + precision + ": " + note
			}
			m.note("pytorch", identity{}, nil, note)
		}
		if err := r.enter("pytorch-"+precision, m.cpus, pyTorchTrainer(m.at, python, precision, cfg, chosen.settings)); err != nil {
			return err
		}
		entries = append(entries, entry{"pytorch", precision})
		m.note("pytorch", identity{}, nil, advice(r.entrants[len(r.entrants)-1]), malloc+" for products and training")
	}
	for _, batch := range batches {
		cfg.Batch = batch
		h, err := r.measure(ctx, batch)
		if err != nil {
			return err
		}
		for t, n := range m.threads {
			first := len(m.report.Benchmarks)
			for i, e := range entries {
				m.add(suite.TrainName(cfg, e.dtype, n, e.kernel), cfg.FLOPs(), h.times[i][t], h.peaks[t])
			}
			m.print(fmt.Sprintf("%s, batch %d, %d threads", cfg.Model(), batch, n), first)
		}
	}
	return nil
}
