package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
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
			answer := multiplier(halfgrad(e, tensor.F16))
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
			err = w.prepare(p)
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

func TestTurns(t *testing.T) {
	skipEmulated(t)
	us, err := fake(t, "good", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := fake(t, "good as well", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	p := product{bench.Shape{M: 5, N: 70, K: 40}, "nn"}
	scores, peaks, err := (&turns{us: us, peers: []*worker{peer}, rounds: 3, turn: time.Millisecond}).measure(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(scores) != 2 || len(scores[0].times) != 3 || len(scores[1].times) != 3 || len(peaks) != 3 || scores[1].once <= 0 || slices.Min(peaks) <= 0 {
		t.Errorf("scores %+v, peaks %v", scores, peaks)
	}
	scores, _, err = (&turns{us: us, rounds: 3, turn: time.Millisecond, longest: 1}).measure(context.Background(), p)
	if err != nil || scores[0].times != nil || scores[0].once <= 1 {
		t.Errorf("too slow: %+v, error %v", scores, err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := (&turns{us: us, rounds: 1}).measure(cancelled, p); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestServeErrors(t *testing.T) {
	e, err := kernels.New(kernels.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := serve(strings.NewReader("gemm 1 2 3 4\nprepare 1 2 3\nprepare 0 1 1 nn\nprepare 1 1 1 nx\nshow\nnonsense\n"), &out, identity{}, multiplier(halfgrad(e, tensor.F32))); err != nil {
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
	if _, err := findPeer("mkl"); err == nil || !strings.Contains(err.Error(), "no peer") {
		t.Errorf("error %v", err)
	}
	if err := unpack(folder); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(folder + "/worker.h"); err != nil {
		t.Error(err)
	}
}
