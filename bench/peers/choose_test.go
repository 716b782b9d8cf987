package main

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/halfgrad/halfgrad/bench"
)

func TestCoreLevel(t *testing.T) {
	for core, want := range map[string]string{
		// What libraries have been seen to say.
		"Prescott": sse, "Sandybridge": avx, "Haswell": avx2, "Zen": avx2, "SkylakeX": avx512, "Cooperlake": avx512, "SapphireRapids": avx512, // OpenBLAS
		"zen3": avx2, "skx": avx512, "generic": generic, "cortexa57": neon, "armsve": sve, // BLIS
		"avx512_core_bf16": avx512, "avx2_vnni": avx2, "sse41": sse, "avx512_core_amx_fp16": avx512, // oneDNN
		"ATen AVX2, OpenBLAS Cooperlake": avx2, "ATen AVX512, OpenBLAS Prescott": sse, "ATen AVX512": avx512, "ATen DEFAULT": sse, // PyTorch
		"neoversen1": neon, "NEOVERSEV1": sve, "armv8": neon,
		"": "", "hal9000": "",
	} {
		if got := coreLevel(core); got != want {
			t.Errorf("%q has %q, want %q", core, got, want)
		}
	}
	for _, test := range []struct {
		core, machine string
		want          bool
	}{
		{"Prescott", avx512, true}, {"Haswell", avx512, true}, {"Haswell", avx2, false}, {"SkylakeX", avx512, false}, {"SkylakeX", avx2, false},
		{"armv8", sve, true}, {"armv8", neon, false}, {"generic", neon, true}, {"generic", sse, true}, {"hal9000", avx512, false}, {"", avx2, false}, {"Prescott", "", false},
	} {
		if got := slow(test.core, test.machine); got != test.want {
			t.Errorf("%q is slow on a machine with %q: %v, want %v", test.core, test.machine, got, test.want)
		}
	}
	for level := range coreLevels {
		if !slices.Contains(levels, level) {
			t.Errorf("no level %q", level)
		}
	}
	for _, p := range peers {
		for _, settings := range p.settings {
			for _, s := range settings {
				if !slices.Contains(levels, s.level) {
					t.Errorf("%s: %q is for no level", p.kernel, s.variables)
				}
			}
		}
	}
}

// A library that takes the processor for an old one is found out by the name of its
// core, and so is what helps.
func TestChoose(t *testing.T) {
	skipEmulated(t)
	p := product{bench.Shape{M: 30, N: 30, K: 30}, "nn"}
	// By the setting, what a worker of this binary does then.
	environments := map[string][]string{
		"fast":    {"PEERS_CORE=SkylakeX"},
		"lagging": {"PEERS_CORE=Zen", "PEERS_SLOW=1"},
		"ignored": {"PEERS_CORE=Prescott"},
		"deadly":  {"PEERS_WORKER=complains"},
		"garbage": {"PEERS_WORKER=garbage"},
	}
	for _, test := range []struct {
		name, alone, machine string
		slow                 bool // alone
		settings             []setting
		want                 []string // settings
		launched             int
		note                 []string
	}{
		{"slow", "Prescott", avx512, true, []setting{{"lagging", avx2}, {"deadly", avx2}, {"ignored", avx2}, {"fast", avx512}}, []string{"fast"}, 5,
			[]string{"code for Prescott on a machine with AVX-512", "times as long as with fast, which is used"}},
		{"none helps", "Prescott", avx512, false, []setting{{"lagging", avx2}, {"deadly", avx2}}, nil, 3,
			[]string{"code for Prescott on a machine with AVX-512", "none of 1 other settings is faster"}},
		{"not for this machine", "Prescott", avx2, true, []setting{{"fast", avx512}}, nil, 1, []string{"code for Prescott on a machine with AVX2"}},
		{"knows the processor", "Haswell", avx2, true, []setting{{"fast", avx2}}, nil, 1, nil},
		{"does not tell", "", avx512, true, []setting{{"fast", avx512}}, nil, 1, nil},
		{"no settings", "generic", sve, true, nil, nil, 1, []string{"code for generic on a machine with SVE"}},
	} {
		launched := 0
		launch := func(settings []string) (*worker, error) {
			launched++
			cpus, err := available()
			if err != nil {
				t.Skip(err)
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "PEERS_WORKER=good", "PEERS_CORE="+test.alone)
			if len(settings) > 0 {
				cmd.Env = append(cmd.Env, environments[settings[0]]...)
			} else if test.slow {
				cmd.Env = append(cmd.Env, "PEERS_SLOW=1")
			}
			w, err := start("library", cmd, cpus[:1], time.Minute)
			if err != nil {
				return nil, err
			}
			err = w.prepare(p)
			return w, err
		}
		measure := func(w *worker) (float64, error) { return w.gemm(p.Shape, 3) }
		got, err := choose(context.Background(), test.machine, test.settings, launch, measure)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if !slices.Equal(got.settings, test.want) || launched != test.launched || (got.note == "") != (test.note == nil) {
			t.Errorf("%s: settings %q, note %q, of %d workers; want %q of %d", test.name, got.settings, got.note, launched, test.want, test.launched)
		}
		for _, note := range test.note {
			if !strings.Contains(got.note, note) {
				t.Errorf("%s: note %q does not say %q", test.name, got.note, note)
			}
		}
	}
}

func TestChooseErrors(t *testing.T) {
	skipEmulated(t)
	missing := errors.New("not installed")
	if _, err := choose(context.Background(), avx2, nil, func([]string) (*worker, error) { return nil, missing }, nil); !errors.Is(err, missing) {
		t.Errorf("error %v", err)
	}
	t.Setenv("PEERS_CORE", "Prescott")
	launch := func(settings []string) (*worker, error) {
		if len(settings) > 0 {
			t.Setenv("PEERS_CORE", "Haswell")
		}
		return fake(t, "good", time.Minute)
	}
	settings := []setting{{"any", avx2}}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := choose(cancelled, avx2, settings, launch, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	// Without settings it must run; with some it may fail.
	t.Setenv("PEERS_CORE", "Prescott")
	failure := errors.New("illegal instruction")
	measure := func(fails string) func(w *worker) (float64, error) {
		return func(w *worker) (float64, error) {
			if w.about.core == fails {
				return 0, failure
			}
			return 1, nil
		}
	}
	if _, err := choose(context.Background(), avx2, settings, launch, measure("Prescott")); !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	t.Setenv("PEERS_CORE", "Prescott")
	if got, err := choose(context.Background(), avx2, settings, launch, measure("Haswell")); err != nil || got.settings != nil || got.note == "" {
		t.Errorf("%+v, error %v", got, err)
	}
}

// What is measured is the mean over all products, each of which is checked.
func TestSpar(t *testing.T) {
	skipEmulated(t)
	w, err := fake(t, "good", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if ns, err := spar(w); err != nil || ns < 100 || ns > 1e9 {
		t.Errorf("%g ns, error %v", ns, err)
	}
	t.Setenv("PEERS_SLOW", "1") // who says that anything takes 1e9 ns
	if w, err = fake(t, "good", time.Minute); err != nil {
		t.Fatal(err)
	}
	if ns, err := spar(w); err != nil || math.Abs(ns/1e9-1) > 1e-9 {
		t.Errorf("%g ns, error %v, want 1e9", ns, err)
	}
	if w, err = fake(t, "wrong", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := spar(w); err == nil || !strings.Contains(err.Error(), "wrong product") {
		t.Errorf("a wrong product: error %v", err)
	}
}
