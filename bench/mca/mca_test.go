package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/internal/require"
)

// requireLLVM returns the newest LLVM. Without one the test is skipped.
func requireLLVM(t *testing.T) toolchain {
	t.Helper()
	llvm, err := findLLVM(context.Background())
	if err != nil {
		require.Missing(t, "llvm", "%v", err)
	}
	return llvm
}

// requireFull skips what takes LLVM a minute and changes only with the arm64 kernels.
func requireFull(t *testing.T) {
	t.Helper()
	if !require.Full() {
		t.Skipf("it takes a minute: %s=full runs it", require.EnvTest)
	}
}

var builtLoops = sync.OnceValues(func() ([]loop, error) {
	llvm, err := findLLVM(context.Background())
	if err != nil {
		return nil, err
	}
	return kernelLoops(context.Background(), llvm)
})

// The reports are llvm-mca's of two loops, on Neoverse N1. In the first one each FMA
// waits for the one of the turn before, for four cycles, and in the second one the
// pipe V0 takes four for two conversions.
func TestParse(t *testing.T) {
	short, long := read(t, "200.json"), read(t, "400.json")
	regions, err := parse(short, long)
	if err != nil {
		t.Fatal(err)
	}
	if len(regions) != 2 {
		t.Fatalf("%d regions, want 2", len(regions))
	}
	for i, want := range []region{
		{cycles: 4, width: 3},
		{cycles: 4, width: 3},
	} {
		got := regions[i]
		got.pressure = nil
		if !cmp.Equal(got, want, cmp.AllowUnexported(region{})) {
			t.Errorf("region %d is %+v, want %+v", i, got, want)
		}
	}
	names := map[string]float64{}
	for _, p := range regions[0].pressure {
		names[p.Unit] = p.Cycles
	}
	if names["N1UnitL.0"] != 1 || names["N1UnitL.1"] != 1 || names["N1UnitB"] != 1 || names["N1UnitV0"]+names["N1UnitV1"] != 2 {
		t.Errorf("pressure of the first loop: %v", names)
	}
	if p := regions[1].pressure[0]; p.Unit != "N1UnitV0" {
		t.Errorf("the busiest unit of the second loop is %v", p)
	}

	for what, reports := range map[string][2][]byte{
		"no JSON":       {short, []byte("[0] Code Region")},
		"the same":      {long, long},
		"the wrong way": {long, short},
		"other code":    {[]byte(`{"CodeRegions": []}`), long},
		"no pressure":   {[]byte(`{"CodeRegions": [{}]}`), []byte(`{"CodeRegions": [{"SummaryView": {"Iterations": 1, "TotalCycles": 1}}]}`)},
	} {
		if _, err := parse(reports[0], reports[1]); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestFindLoops(t *testing.T) {
	code := strings.Split(strings.ReplaceAll(`cbz x0, #44
ldr q0, [x1], #16
ldp q6, q7, [x7]
fmla v8.4s, v6.4s, v0.s[0]
fmla v9.4s, v7.4s, v0.s[0]
stp q6, q7, [x19]
subs x0, x0, #1
b.ge #-24
ldr q1, [x1], #16
subs x0, x0, #1
b.ne #-8
b #-44`, " ", "\t"), "\n")
	for i := range code {
		mnemonic, operands, _ := strings.Cut(code[i], "\t")
		code[i] = mnemonic + "\t" + strings.ReplaceAll(operands, "\t", " ")
	}
	loops, err := findLoops("gemm6x4NEON", code)
	if err != nil {
		t.Fatal(err)
	}
	want := []loop{{Function: "gemm6x4NEON", What: "2×4, A by rows, one step", Steps: 1, FMAs: 2, Loads: 2, Stores: 1, body: code[1:8]}}
	if diff := cmp.Diff(want, loops, cmp.AllowUnexported(loop{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	for what, code := range map[string][]string{
		"no loop":              {"fmla\tv8.4s, v6.4s, v0.s[0]", "b.ge\t#8"},
		"no FMA":               {"subs\tx0, x0, #1", "b.ge\t#-4"},
		"no counter":           {"fmla\tv8.4s, v6.4s, v0.s[0]", "b.ge\t#-4"},
		"half an FMA a step":   {"fmla\tv8.4s, v6.4s, v0.s[0]", "subs\tx0, x0, #2", "b.ge\t#-8"},
		"before the beginning": {"fmla\tv8.4s, v6.4s, v0.s[0]", "subs\tx0, x0, #1", "b.ge\t#-12"},
	} {
		if _, err := findLoops("gemm6x4NEON", code); err == nil || !strings.Contains(err.Error(), "gemm6x4NEON") {
			t.Errorf("%s: error %v does not name the function", what, err)
		}
	}
	if _, err := findLoops("sgdNEON", loops[0].body); err == nil || !strings.Contains(err.Error(), "sgdNEON") {
		t.Errorf("no name of a kernel: error %v", err)
	}
}

func TestIndependent(t *testing.T) {
	body := []string{"ldp\tq6, q7, [x7]", "fmlal\tv8.4s, v6.4h, v0.h[3]", "fmlal2\tv9.4s, v6.4h, v1.h[3]", "fmlal\tv10.4s, v7.4h, v0.h[3]", "b.ge\t#-16"}
	block := independent(body)
	if len(block) != accumulators {
		t.Fatalf("%d instructions, want %d", len(block), accumulators)
	}
	if got, want := block[:2], []string{"fmlal\tv2.4s, v0.4h, v1.h[0]", "fmlal2\tv3.4s, v0.4h, v1.h[0]"}; !slices.Equal(got, want) {
		t.Errorf("it begins with %q, want %q", got, want)
	}
	if got, want := block[accumulators-1], "fmlal2\tv31.4s, v0.4h, v1.h[0]"; got != want {
		t.Errorf("it ends with %q, want %q", got, want)
	}
}

func TestBinds(t *testing.T) {
	r := result{loop: loop{Steps: 4}, Cycles: 10, Dispatch: 3}
	for _, tt := range []struct {
		pressure     []pressure
		undispatched float64
		want         string
	}{
		{[]pressure{{"V1", 40}, {"V0", 39}, {"L", 38}}, 10, "V0, V1"},
		{[]pressure{{"V0", 38}}, 9, "dispatch of 3"},
		{[]pressure{{"V0", 39}}, 9, "V0, dispatch of 3"},
		{[]pressure{{"V0", 38}}, 10, "latency"},
	} {
		r.Pressure = tt.pressure
		if got := r.binds(tt.undispatched); got != tt.want {
			t.Errorf("%v and %g: %q, want %q", tt.pressure, tt.undispatched, got, tt.want)
		}
	}
	whole := region{cycles: 10, pressure: []pressure{{"V0", 10}, {"L", 9}, {"V1", 5}}}
	if got := whole.busy(region{pressure: []pressure{{"V0", 1}, {"V1", 1}}}); got != 0.75 {
		t.Errorf("the pipes are %g busy, want 0.75", got)
	}
}

// Every kernel has a loop of many steps and one of one step for 6, 4, 2 and 1 rows
// of A, lying either way, with as many FMAs as the tile has vectors.
func TestKernelLoops(t *testing.T) {
	requireFull(t)
	requireLLVM(t)
	loops, err := builtLoops()
	if err != nil {
		t.Fatal(err)
	}
	type key struct {
		name  string
		steps int
	}
	got := map[key]loop{}
	for _, l := range loops {
		k := key{l.String(), l.Steps}
		if _, twice := got[k]; twice {
			t.Errorf("%v of %d steps is there twice", l, l.Steps)
		}
		got[k] = l
	}
	want := map[key]int{{"peakNEON", 1}: 24}
	kernel := func(name string, cols, lanes int) {
		for _, rows := range []int{6, 4, 2, 1} {
			fmas := rows * cols / 4
			what := fmt.Sprintf("%s, %d×%d, A by ", name, rows, cols)
			want[key{what + "rows", lanes}] = lanes * fmas
			want[key{what + "columns", 4}] = 4 * fmas
			want[key{what + "rows, one step", 1}] = fmas
			want[key{what + "columns, one step", 1}] = fmas
		}
	}
	for _, cols := range []int{16, 12, 8, 4} {
		kernel(fmt.Sprintf("gemm6x%dNEON", cols), cols, 4)
		kernel(fmt.Sprintf("gemm6x%dNEONFHM", cols), cols, 8)
	}
	kernel("finish6x16F16NEON", 16, 4)
	kernel("finish6x16F16NEONFHM", 16, 8)
	kernel("widen6x16F16NEON", 16, 4)
	kernel("widen6x16F32NEON", 16, 4)
	kernel("widen6x16F16NEONFHM", 16, 8)
	for what, lanes := range map[string]int{"F16NEON": 4, "F32NEON": 4, "F16NEONFHM": 8} {
		for _, rows := range []int{8, 4, 2, 1} {
			for _, cols := range []int{64 / rows, 8, 1} {
				fmas, name := rows*max(cols/4, 1), fmt.Sprintf("thin%d%s, %d×%d", rows, what, rows, cols)
				want[key{name, lanes}] = lanes * fmas
				want[key{name + ", one step", 1}] = fmas
			}
		}
	}
	for k, fmas := range want {
		if l, ok := got[k]; !ok || l.FMAs != fmas {
			t.Errorf("%s of %d steps has %d FMAs, want %d", k.name, k.steps, l.FMAs, fmas)
		}
	}
	for k := range got {
		if want[k] == 0 {
			t.Errorf("%s of %d steps is none that is known", k.name, k.steps)
		}
	}

	if l := got[key{"gemm6x16NEON, 6×16, A by rows", 4}]; l.FMAs != 96 || l.Loads != 14 || !l.Main || l.fhm() {
		t.Errorf("the main loop is %+v", l)
	}
	if l := got[key{"gemm6x16NEONFHM, 6×16, A by rows", 8}]; l.FMAs != 192 || l.Loads != 14 || !l.Main || !l.fhm() {
		t.Errorf("the main loop of FMLAL is %+v", l)
	}
}

// What the models say of the FMAs' rates, and the goal of the kernels' main loops.
func TestAnalyse(t *testing.T) {
	requireFull(t)
	llvm := requireLLVM(t)
	loops, err := builtLoops()
	if err != nil {
		t.Fatal(err)
	}
	loops = slices.DeleteFunc(slices.Clone(loops), func(l loop) bool { return !l.Main })
	results, err := analyse(context.Background(), llvm, loops)
	if err != nil {
		t.Fatal(err)
	}
	var main int
	for _, r := range results {
		name := r.Core + ", " + r.String()
		if r.Ratio > 1.001 || r.Busy > 1.001 || math.IsNaN(r.Ratio) {
			t.Errorf("%s: ratio %g, busy %g", name, r.Ratio, r.Busy)
		}
		if slow := r.Ratio < goal; slow != (r.Binds != "") {
			t.Errorf("%s: ratio %g, and what binds is %q", name, r.Ratio, r.Binds)
		}
		if strings.HasPrefix(r.Function, "gemm6x16") || strings.HasPrefix(r.Function, "finish6x16") {
			main++
			if r.Ratio < goal {
				t.Errorf("%s: ratio %.2f, want %.2f", name, r.Ratio, goal)
			}
		}
		rate := map[string]float64{"cortex-a72": 1, "neoverse-n1": 2, "neoverse-n1 at 4": 2, "neoverse-v1": 4, "apple-m1": 3}[r.Core]
		if r.Core == "apple-m1" && r.Function == "peakNEON" {
			rate = 2
		}
		if math.Abs(r.Rate-rate) > 0.02 {
			t.Errorf("%s: %g FMAs a cycle, want %g", name, r.Rate, rate)
		}
	}
	if main != 2*(2*5+2*2) {
		t.Errorf("%d results of the main loops", main)
	}

	var tables bytes.Buffer
	if err := printMarkdown(&tables, llvm, results); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(tables.String(), "\n")
	if !bytes.Contains(readme, []byte(first)) {
		t.Skipf("README.md has the results of another LLVM than %s", llvm.version)
	}
	if !bytes.HasSuffix(readme, tables.Bytes()) {
		t.Errorf("README.md does not end with the tables that go run ./bench/mca prints:\n%s", &tables)
	}
}

func TestDisassemble(t *testing.T) {
	llvm := requireLLVM(t)
	got, err := llvm.disassemble(context.Background(), []byte{0xc8, 0x10, 0x80, 0x4f, 0xaa, 0xf1, 0xff, 0x54})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"fmla\tv8.4s, v6.4s, v0.s[0]", "b.ge\t#-460"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := llvm.disassemble(context.Background(), []byte{0xff, 0xff, 0xff, 0xff}); err == nil {
		t.Error("no error for what is no instruction")
	}
}

func TestNoLLVM(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	if _, err := findLLVM(context.Background()); err == nil || !strings.Contains(err.Error(), "apt-get install llvm-22") {
		t.Errorf("error %v", err)
	}
	tool := func(name, prints string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\necho '"+prints+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tool("llvm-mca", "Debian LLVM version 14.0.6")
	if _, err := findLLVM(context.Background()); err == nil || !strings.Contains(err.Error(), "14") {
		t.Errorf("an old one: error %v", err)
	}
	tool("llvm-mca-19", "Debian LLVM version 19.1.7")
	llvm, err := findLLVM(context.Background())
	if want := (toolchain{suffix: "-19", version: "19.1.7"}); err != nil || llvm != want {
		t.Errorf("found %+v, %v, want %+v", llvm, err, want)
	}
	if _, err := llvm.disassemble(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "llvm-mc-19") {
		t.Errorf("without llvm-mc: error %v", err)
	}
}
