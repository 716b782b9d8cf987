package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/kernels"
)

// counts returns what a plugin writes that adds up to n instructions an operation, with
// some more for each mark.
func counts(operations ...int) string {
	var b strings.Builder
	at := 12345
	for _, n := range operations {
		for range samples {
			for i := range marks {
				at += i*n + 47
				fmt.Fprintln(&b, at)
			}
		}
	}
	return b.String()
}

func TestSettle(t *testing.T) {
	a := account{Counted: []counted{{}, {"Gemm/m=1/count=instructions/kernel=neon", 24}, {"TrainStep/count=instructions/kernel=neon", 8}}}
	benchmarks, err := settle(a, strings.NewReader(counts(turns*turnLength, 3, 1000)))
	if err != nil {
		t.Fatal(err)
	}
	if len(benchmarks) != 2 {
		t.Fatalf("%d benchmarks, want 2", len(benchmarks))
	}
	for i, want := range []float64{3, 1000} {
		b := benchmarks[i]
		if b.Name != a.Counted[i+1].Name || b.Unit != "instructions" || len(b.Samples) != samples || slices.Min(b.Samples) != want || slices.Max(b.Samples) != want || b.Noise() != "" {
			t.Errorf("%+v, want %g instructions", b, want)
		}
	}
	if rate, unit, _ := benchmarks[0].Rate(); rate.Center != 8 || unit != "flop/instruction" {
		t.Errorf("%g %s, want 8 flop an instruction", rate.Center, unit)
	}
	for want, content := range map[string]string{
		"a loop of 5000 instructions has 5001": counts(turns*turnLength+1, 3, 1000),
		`the counts of "TrainStep`:             counts(turns*turnLength, 3),
		`the counts of "": expected integer`:   "many",
		"more counts":                          counts(turns*turnLength, 3, 1000, 4),
	} {
		if _, err := settle(a, strings.NewReader(content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

// The guest does what it tells, here without anybody who counts.
func TestPerform(t *testing.T) {
	tier := kernels.Supported()[0]
	a, err := perform([]string{tier})
	if err != nil {
		t.Fatal(err)
	}
	want := []report.Name{""}
	for _, shape := range []string{"m=64/n=64/k=64", "m=256/n=256/k=256", "m=128/n=256/k=784"} {
		for _, dtype := range []string{"fp16", "fp32"} {
			want = append(want, report.Name("Gemm/"+shape+"/ta=n/tb=n/dtype="+dtype+"/threads=1/count=instructions/kernel="+tier))
		}
	}
	want = append(want, report.Name("TrainStep/model=784-256-10/batch=16/optimizer=sgd/dtype=fp16/threads=1/count=instructions/kernel="+tier))
	var got []report.Name
	for _, c := range a.Counted {
		got = append(got, c.Name)
	}
	if !slices.Equal(got, want) || !slices.Equal(a.Kernels, []string{tier}) {
		t.Errorf("%q of %q, want %q", got, a.Kernels, want)
	}
	if flop := a.Counted[1].FLOP; flop != 2*64*64*64 {
		t.Errorf("%g flop of 64x64x64", flop)
	}
	if _, err := perform([]string{"nokernel"}); err == nil {
		t.Error("no such kernel: no error")
	}
}

// On an emulated processor the loop has its length, which settle checks, and a product
// has not less instructions than FMAs of four lanes, and not many more.
func TestCount(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a program is built for another processor and emulated")
	}
	for _, program := range []string{"qemu-aarch64", "gcc", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			err := fmt.Errorf("%w; in Debian: apt-get install qemu-user gcc libc6-dev", err)
			if kerneltest.Required("qemu-user") {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	path := filepath.Join(t.TempDir(), "report.json")
	c := countCmd{Out: path, Arch: "arm64", CPU: "cortex-a53", Kernel: []string{"neon"}}
	if err := c.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	r, err := report.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Machine.Emulated || r.Machine.Arch != "arm64" || !slices.Equal(r.Settings.Kernels, []string{"neon"}) || len(r.Benchmarks) != 2*len(shapes)+len(steps) {
		t.Errorf("%+v, settings %+v, %d benchmarks", r.Machine, r.Settings, len(r.Benchmarks))
	}
	for i := range r.Benchmarks {
		b := &r.Benchmarks[i]
		rate, _, _ := b.Rate()
		least := 5.0
		if b.Name.Base() == "TrainStep" { // in which there is more than products
			least = 2
		}
		if rate.Center < least || rate.Center > 8 {
			t.Errorf("%s: %g flop an instruction, want %g to 8", b.Name, rate.Center, least)
		}
		if low, high := slices.Min(b.Samples), slices.Max(b.Samples); b.Name.Base() == "Gemm" && high-low > 5000+low/100 { // Go's scheduler takes 1300 now and then
			t.Errorf("%s: the counts are %v", b.Name, b.Samples)
		}
	}

	// Into itself, and not into another machine's.
	c.Out, c.Into = "", path
	if err := c.Run(context.Background()); err != nil {
		t.Error(err)
	}
	if again, err := report.Read(path); err != nil || len(again.Benchmarks) != len(r.Benchmarks) || again.Seconds <= r.Seconds {
		t.Errorf("%d benchmarks, error %v", len(again.Benchmarks), err)
	}
	c.CPU = "max"
	if err := c.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "not the same machine") {
		t.Errorf("another processor: error %v", err)
	}

	c.CPU = "z80"
	if err := c.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "z80") {
		t.Errorf("no such processor: error %v", err)
	}
}

func TestMissing(t *testing.T) {
	if err := (&countCmd{}).Run(context.Background()); err == nil || !strings.Contains(err.Error(), "--out FILE") {
		t.Errorf("no file: error %v", err)
	}
	if err := (&countCmd{Into: filepath.Join(t.TempDir(), "none")}).Run(context.Background()); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("nothing to add to: error %v", err)
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip(err)
	}
	// With a compiler and its parts, but without an emulator.
	c := countCmd{Arch: "arm64", CPU: "max"}
	if _, err := exec.LookPath("qemu-aarch64"); errors.Is(err, exec.ErrNotFound) {
		if _, _, err := c.emulate(context.Background(), t.TempDir(), gcc); err == nil || !strings.Contains(err.Error(), "apt-get install qemu-user") {
			t.Errorf("no qemu: error %v", err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, _, err := c.emulate(context.Background(), t.TempDir(), gcc); err == nil || !strings.Contains(err.Error(), "apt-get install gcc") {
		t.Errorf("no gcc: error %v", err)
	}
}
