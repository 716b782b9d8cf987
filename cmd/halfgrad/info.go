package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/klauspost/cpuid/v2"

	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

type infoCmd struct {
	Kernel  string `default:"auto" help:"Kernel tier: auto or one that is listed as supported." placeholder:"TIER"`
	Threads int    `help:"Threads; without it, all cores." placeholder:"N"`
	JSON    bool   `help:"Print JSON."`
}

// info is what `halfgrad info --json` prints.
type info struct {
	OS               string                      `json:"os"`
	Architecture     string                      `json:"architecture"`
	CPU              string                      `json:"cpu"`
	Go               string                      `json:"go"`
	Cores            int                         `json:"cores"`
	Features         []string                    `json:"features"`
	KnownKernels     []string                    `json:"known_kernels"`     // tiers in this build
	AvailableKernels []string                    `json:"available_kernels"` // tiers that the machine supports
	ChosenKernel     string                      `json:"chosen_kernel"`     // the tier in use
	KernelNames      map[string]string           `json:"kernel_names"`      // by operand type
	Blocking         map[string]kernels.Blocking `json:"blocking"`          // by operand type
	Threads          int                         `json:"threads"`
	Caches           kernels.Caches              `json:"caches"` // bytes
	ForcedBy         string                      `json:"forced_by,omitempty"`
}

func (c *infoCmd) Run(e *env) error {
	engine, err := newEngine(c.Kernel, c.Threads)
	if err != nil {
		return err
	}
	i := info{
		OS: runtime.GOOS, Architecture: runtime.GOARCH, CPU: cpuid.CPU.BrandName, Go: runtime.Version(),
		Cores: runtime.NumCPU(), Features: cpuid.CPU.FeatureSet(),
		KnownKernels: kernels.Tiers(), AvailableKernels: kernels.Supported(), ChosenKernel: engine.Tier(),
		KernelNames: map[string]string{}, Blocking: map[string]kernels.Blocking{},
		Threads: engine.Threads(), Caches: kernels.MachineCaches(),
	}
	for _, d := range []tensor.DType{tensor.F16, tensor.F32} {
		i.KernelNames[d.String()], i.Blocking[d.String()] = engine.KernelName(d), engine.Blocking(d)
	}
	switch {
	case c.Kernel != kernels.Auto:
		i.ForcedBy = "--kernel " + c.Kernel
	case os.Getenv(kernels.EnvKernel) != "":
		i.ForcedBy = kernels.EnvKernel + "=" + os.Getenv(kernels.EnvKernel)
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(i)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	row := func(name string, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("system", "%s/%s, %s", i.OS, i.Architecture, i.Go)
	row("processor", "%s, %d cores", orUnknown(i.CPU), i.Cores)
	row("caches", "L1d %s, L2 %s, L3 %s", kib(i.Caches.L1D), kib(i.Caches.L2), kib(i.Caches.L3))
	row("kernels", "%s (in this build: %s)", strings.Join(i.AvailableKernels, ", "), strings.Join(i.KnownKernels, ", "))
	chosen := i.ChosenKernel
	if i.ForcedBy != "" {
		chosen += ", forced by " + i.ForcedBy
	}
	row("chosen", "%s; %d threads", chosen, i.Threads)
	for _, d := range []string{"fp16", "fp32"} {
		b := i.Blocking[d]
		row("  "+d, "%s, blocks of %d×%d, %d steps at a time, %s of B packed", i.KernelNames[d], b.MC, b.NC, b.KC, kib(4*b.B))
	}
	row("features", "%s", strings.Join(i.Features, " "))
	return w.Flush()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown processor"
	}
	return s
}

func kib(bytes int) string { return fmt.Sprintf("%d KiB", bytes>>10) }

// newEngine returns the engine that --kernel and --threads ask for.
func newEngine(kernel string, threads int) (*kernels.Engine, error) {
	if threads < 0 || threads > 1024 {
		return nil, usagef("--threads %d: want 1 to 1024, or 0 for all cores", threads)
	}
	e, err := kernels.New(kernels.Config{Kernel: kernel, Threads: threads})
	if err != nil {
		return nil, usageError{err}
	}
	return e, nil
}
