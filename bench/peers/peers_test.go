package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// The test binary is a worker too, a good or a bad one, and the command itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main()
		return
	}
	switch behaviour := os.Getenv("PEERS_WORKER"); behaviour {
	case "":
		os.Exit(m.Run())
	case "dies":
		fmt.Println("ready to die")
	case "complains":
		fmt.Println("error no such library")
	case "hangs":
		fmt.Println("ready to wait")
		time.Sleep(time.Minute)
	case "garbage", "wrong":
		fmt.Println("ready for anything")
		answer := map[string]string{"garbage": "four", "wrong": "ok 1 2"}[behaviour]
		for range 10 {
			fmt.Println(answer)
		}
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // until nobody asks any more
	default:
		e, err := kernels.New(kernels.Config{Threads: 1})
		if err == nil {
			answer := multiplier(halfgrad(e, tensor.F16, tensor.F16))
			if cfg, trains := lessons[behaviour]; trains {
				answer = student(e, cfg)
			}
			// It may say that its code is for some core, and be slow on purpose.
			id := identity{name: "halfgrad", core: os.Getenv("PEERS_CORE")}
			if os.Getenv("PEERS_SLOW") != "" {
				answer = slowly(answer)
			}
			err = serve(os.Stdin, os.Stdout, id, answer)
		}
		if err != nil {
			fmt.Println("error", err)
		}
	}
}

// slowly answers that products take longer than they do.
func slowly(answer func(line string) string) func(line string) string {
	return func(line string) string {
		if strings.HasPrefix(line, "gemm ") {
			return "1e9"
		}
		return answer(line)
	}
}

// fake starts this binary as a worker.
func fake(t *testing.T, behaviour string, timeout time.Duration) (*worker, error) {
	t.Helper()
	cpus, err := available()
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PEERS_WORKER="+behaviour)
	w, err := start(behaviour, cmd, cpus[:1], timeout)
	if err == nil {
		t.Cleanup(w.stop)
	}
	return w, err
}

func skipEmulated(t *testing.T) {
	if exec.Command(os.Args[0], "-test.list=^$").Run() != nil {
		t.Skip("this process is emulated and cannot start another")
	}
}

func TestBadWorkers(t *testing.T) {
	skipEmulated(t)
	p := product{bench.Shape{M: 3, N: 4, K: 5}, "nn"}
	for behaviour, want := range map[string]string{
		"dies":      "ended instead of answering",
		"complains": "no such library",
		"hangs":     "did not answer",
		"garbage":   `answered "four"`,
		"wrong":     "wrong product of 3x4x5: its corners are 1 and 2",
	} {
		timeout := 30 * time.Second
		if behaviour == "hangs" {
			timeout = time.Second
		}
		w, err := fake(t, behaviour, timeout)
		if err == nil {
			_, err = w.prepare("prepare", p)
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), behaviour) {
			t.Errorf("%s: error %v does not say %q", behaviour, err, want)
		}
		if behaviour == "garbage" {
			if _, err := w.gemm(p.Shape, 1); err == nil || !strings.Contains(err.Error(), "want a positive number") {
				t.Errorf("%s: a time: error %v", behaviour, err)
			}
		}
	}
}

// Two of our own workers compute the same, so they are about equally fast.
func TestTournament(t *testing.T) {
	skipEmulated(t)
	us, err := fake(t, "good", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := fake(t, "good as well", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c := gemmCmd{C: "fp16"}
	for _, kept := range []bool{false, true} {
		game := tournament{us: us, peers: []*worker{peer}, threads: 1, rounds: 3, turn: turn, kept: kept}
		s := bench.Shape{M: 5, N: 70, K: 40}
		r, err := game.play(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		if r.Best != "good as well" || r.BestRatio <= 0 || r.GFLOPS <= 0 || r.PeakRatio <= 0 || len(r.Peers) != 1 {
			t.Errorf("result %+v", r)
		}
		var out bytes.Buffer
		if err := c.compare(context.Background(), game, []bench.Shape{s}, []int{0}, &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "5x70x40") || !strings.Contains(out.String(), "median over the shapes") {
			t.Errorf("output:\n%s", out.String())
		}
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (&tournament{us: us, rounds: 1}).play(cancelled, bench.Shape{M: 1, N: 1, K: 1}); err == nil {
		t.Error("cancelled: no error")
	}
}

func TestServeErrors(t *testing.T) {
	e, err := kernels.New(kernels.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := serve(strings.NewReader("gemm 1 2 3 4\nprepare 1 2 3\nprepare 0 1 1 nn\nprepare 1 1 1 nx\nshow\nnonsense\n"), &out, identity{}, multiplier(halfgrad(e, tensor.F32, tensor.F32))); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines[1:] {
		if !strings.HasPrefix(line, "error ") {
			t.Errorf("answer %q, want an error", line)
		}
	}
	if len(lines) != 7 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

func TestSummarize(t *testing.T) {
	r := summarize(bench.Shape{M: 10, N: 10, K: 5}, [][]float64{
		{10, 20, 5}, // 100, 50 and 200 GFLOPS
		{20, 20, 20},
		{5, 40, 10},
	}, []float64{200, 100, 250})
	equal := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	equal("our rate", r.GFLOPS, 100)
	equal("the peak", r.FMAPeakGFLOPS, 250)
	equal("our share", r.PeakRatio, 200.0/250)
	equal("our median share", r.PeakRatioMedian, 0.5) // of 0.5, 0.5 and 0.8
	equal("the first ratio", r.Peers[0].Ratio, 2)     // of 2, 1 and 4
	equal("the second ratio", r.Peers[1].Ratio, 2)    // of 0.5, 2 and 2
	equal("the best rate", bestGFLOPS(r.Peers), 100)  // the second's median time is 10
}

func TestCorners(t *testing.T) {
	first, last := corners(bench.Shape{M: 1, N: 1, K: 2})
	// A is 64/256 and 81/256, B 64/256 and 93/256.
	if want := (64.0*64 + 81*93) / (256 * 256); first != want || last != want {
		t.Errorf("corners %g and %g, want %g", first, last, want)
	}
	if !near(1.0005, 1) || near(1.01, 1) || near(math.NaN(), 1) {
		t.Error("near is wrong")
	}
}

func TestUnavailable(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	folder := t.TempDir()
	if _, err := pythonWithTorch([]string{"python3"}); err == nil || !strings.Contains(err.Error(), "python3-torch") {
		t.Errorf("pytorch: error %v does not name its package", err)
	}
	at := place{folder: folder, pythons: []string{"python3"}}
	for _, p := range peers {
		want := map[string]string{
			"onednn": "apt-get install g++ libdnnl-dev", "openblas": "apt-get install g++ libopenblas-pthread-dev", "blis": "apt-get install g++ libblis-dev",
			"onnxruntime": "apt-get install npm", "pytorch": "apt-get install python3-torch",
		}[p.kernel]
		if want == "" {
			continue // gonum is within
		}
		if _, err := p.worker(at, running{threads: 1}, []int{0}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v does not say %q in a line", p.kernel, err, want)
		}
	}
	for name, want := range map[string]string{"mkl": "no peer", "onednn-fp16": "onednn multiplies [fp32]"} {
		if _, _, err := contestant(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v does not say %q", name, err, want)
		}
	}
	if p, dtype, err := contestant("onnxruntime-fp32"); err != nil || p.kernel != "onnxruntime" || dtype != "fp32" {
		t.Errorf("%s of %s, error %v", dtype, p.kernel, err)
	}
	if err := unpack(folder); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(folder + "/worker.h"); err != nil {
		t.Error(err)
	}
}

func TestBadFlags(t *testing.T) {
	for _, c := range []gemmCmd{
		{Shape: []string{"1x2"}, Threads: 1, Rounds: 1},
		{Shape: []string{"1x2x3"}, Threads: 0, Rounds: 1},
		{Shape: []string{"1x2x3"}, Threads: 1, Rounds: 0},
		{Shape: []string{"1x2x3"}, Threads: runtime.NumCPU() + 1000, Rounds: 1},
		{Shape: []string{"1x2x3"}, Threads: 1, Rounds: 1, Peers: []string{"mkl"}},
	} {
		if err := c.Run(context.Background()); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}
