package main

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/data"
)

//go:embed drivers
var drivers embed.FS

// onnxRuntime is the version of the package onnxruntime-node.
const onnxRuntime = "1.30.0"

// peer is another library that multiplies.
type peer struct {
	kernel     string   // in the names of a report's benchmarks
	dtypes     []string // of operands
	transposes bool     // whether operands may be stored transposed
	command    func(at place, how running) (*exec.Cmd, error)
	settings   map[string][]setting // by GOARCH, to try where the library does not know the processor
	note       string
}

// setting is a list of environment variables, separated by spaces, that select a library's
// code for a level.
type setting struct{ variables, level string }

// running says how a library is to multiply.
type running struct {
	dtype    string
	threads  int
	settings []string // environment variables
}

// place says where workers are found and built.
type place struct {
	folder  string   // of drivers and packages
	self    string   // this program
	pythons []string // where to look for PyTorch
}

// newPlace returns the place, with the drivers in it.
func newPlace(pythons []string) (place, error) {
	folder, err := cacheFolder()
	if err != nil {
		return place{}, err
	}
	if err := unpack(folder); err != nil {
		return place{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return place{}, err
	}
	return place{folder, self, pythons}, nil
}

var peers = []peer{
	{
		kernel: "onednn", dtypes: []string{"fp32"}, transposes: true,
		command: func(at place, _ running) (*exec.Cmd, error) {
			return compiled("onednn", at.folder, "dnnl", "libdnnl-dev")
		},
		settings: map[string][]setting{"amd64": {
			{"ONEDNN_MAX_CPU_ISA=ALL DNNL_MAX_CPU_ISA=ALL", avx512},
			{"ONEDNN_MAX_CPU_ISA=AVX512_CORE DNNL_MAX_CPU_ISA=AVX512_CORE", avx512},
			{"ONEDNN_MAX_CPU_ISA=AVX2 DNNL_MAX_CPU_ISA=AVX2", avx2},
		}},
	},
	{
		kernel: "openblas", dtypes: []string{"fp32"}, transposes: true,
		command: func(at place, _ running) (*exec.Cmd, error) {
			return compiled("openblas", at.folder, "openblas", "libopenblas-pthread-dev")
		},
		settings: openBLASCores,
	},
	{
		kernel: "blis", dtypes: []string{"fp32"}, transposes: true,
		command: func(at place, _ running) (*exec.Cmd, error) {
			return compiled("blis", at.folder, "blis", "libblis-dev")
		},
		settings: map[string][]setting{
			"amd64": {{"BLIS_ARCH_TYPE=skx", avx512}, {"BLIS_ARCH_TYPE=zen3", avx2}, {"BLIS_ARCH_TYPE=haswell", avx2}, {"BLIS_ARCH_TYPE=sandybridge", avx}},
			"arm64": {{"BLIS_ARCH_TYPE=armsve", sve}, {"BLIS_ARCH_TYPE=firestorm", neon}, {"BLIS_ARCH_TYPE=thunderx2", neon}, {"BLIS_ARCH_TYPE=cortexa57", neon}},
		},
	},
	{
		kernel: "onnxruntime", dtypes: []string{"fp16", "fp32"},
		command: installed,
		note:    "which code it uses it does not tell",
	},
	{
		kernel: "pytorch", dtypes: []string{"fp32"}, transposes: true,
		command: func(at place, how running) (*exec.Cmd, error) {
			python, err := pythonWithTorch(at.pythons)
			if err != nil {
				return nil, err
			}
			return pytorch(python, at.folder, "gemm", how.threads), nil
		},
		settings: pyTorchCores(),
	},
	{
		kernel: "gonum", dtypes: []string{"fp32"}, transposes: true,
		command: func(at place, how running) (*exec.Cmd, error) {
			return exec.Command(at.self, "gonum-worker"), nil
		},
		note: "Go and, on amd64, vector instructions in sums of scaled rows and dot products",
	},
}

// openBLASCores are core types to try with OpenBLAS. A release older than the processor
// takes it for one that it knows.
var openBLASCores = map[string][]setting{
	"amd64": {
		{"OPENBLAS_CORETYPE=COOPERLAKE", avx512}, {"OPENBLAS_CORETYPE=SKYLAKEX", avx512}, {"OPENBLAS_CORETYPE=ZEN", avx2}, {"OPENBLAS_CORETYPE=HASWELL", avx2},
		{"OPENBLAS_CORETYPE=SANDYBRIDGE", avx},
	},
	"arm64": {{"OPENBLAS_CORETYPE=NEOVERSEV1", sve}, {"OPENBLAS_CORETYPE=NEOVERSEN1", neon}, {"OPENBLAS_CORETYPE=CORTEXA57", neon}},
}

// pyTorchCores are the settings to try with PyTorch: those of the OpenBLAS that it may
// use, and those for its own code.
func pyTorchCores() map[string][]setting {
	all := maps.Clone(openBLASCores)
	all["amd64"] = []setting{
		{"ATEN_CPU_CAPABILITY=avx512", avx512}, {"OPENBLAS_CORETYPE=SKYLAKEX", avx512}, {"ATEN_CPU_CAPABILITY=avx512 OPENBLAS_CORETYPE=SKYLAKEX", avx512},
		{"ATEN_CPU_CAPABILITY=avx2", avx2}, {"OPENBLAS_CORETYPE=HASWELL", avx2},
	}
	return all
}

// peerNames returns the kernels of all peers.
func peerNames() []string {
	var names []string
	for _, p := range peers {
		names = append(names, p.kernel)
	}
	return names
}

// findPeer returns the peer of a kernel.
func findPeer(kernel string) (peer, error) {
	i := slices.IndexFunc(peers, func(p peer) bool { return p.kernel == kernel })
	if i < 0 {
		return peer{}, fmt.Errorf("peers: no peer %q: there are %v", kernel, peerNames())
	}
	return peers[i], nil
}

// worker starts a worker of the library on the given CPUs. It compiles or installs what
// is missing.
func (p peer) worker(at place, how running, cpus []int) (*worker, error) {
	cmd, err := p.command(at, how)
	if err != nil {
		return nil, err
	}
	if cmd.Env == nil {
		cmd.Env = environment(how.threads)
	}
	cmd.Env = append(cmd.Env, how.settings...)
	name := p.kernel
	if len(p.dtypes) > 1 {
		name += "-" + how.dtype
	}
	return start(name, cmd, cpus[:how.threads], timeout)
}

// environment returns the environment that sets the number of threads of a library.
func environment(threads int) []string {
	env := os.Environ()
	for _, variable := range []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "MKL_NUM_THREADS", "GOMAXPROCS"} {
		env = append(env, variable+"="+strconv.Itoa(threads))
	}
	return env
}

// unpack writes the drivers to folder.
func unpack(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	files, err := drivers.ReadDir("drivers")
	if err != nil {
		return err
	}
	for _, f := range files {
		content, err := drivers.ReadFile("drivers/" + f.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, f.Name()), content, 0o644); err != nil {
			return fmt.Errorf("peers: %w", err)
		}
	}
	return nil
}

// compiled compiles the driver of a C library.
func compiled(name, folder, library, debian string) (*exec.Cmd, error) {
	path := filepath.Join(folder, name)
	out, err := exec.Command("g++", "-O2", "-std=c++17", "-o", path, path+".cc", "-l"+library).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("peers: %s: there is no g++ to compile its driver; in Debian: apt-get install g++ %s", name, debian)
	}
	if err != nil {
		return nil, fmt.Errorf("peers: %s: its driver does not compile (%s); in Debian: apt-get install g++ %s", name, complaint(string(out)), debian)
	}
	return exec.Command(path), nil
}

// complaint returns the line of a program's output that says what is wrong: the first with
// the word error, or else the last.
func complaint(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	for _, line := range lines {
		if strings.Contains(line, "error") {
			return line
		}
	}
	return lines[len(lines)-1]
}

// installed installs ONNX Runtime for Node.
func installed(at place, how running) (*exec.Cmd, error) {
	if _, err := os.Stat(filepath.Join(at.folder, "node_modules", "onnxruntime-node")); err != nil {
		out, err := exec.Command("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", at.folder, "onnxruntime-node@"+onnxRuntime).CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			return nil, errors.New("peers: onnxruntime: there is no npm to install it with; in Debian: apt-get install npm")
		}
		if err != nil {
			return nil, fmt.Errorf("peers: onnxruntime: npm install: %w (%s)", err, complaint(string(out)))
		}
	}
	return exec.Command("node", filepath.Join(at.folder, "onnxruntime.mjs"), at.folder, strconv.Itoa(how.threads), how.dtype), nil
}

// trainer returns the command of PyTorch's worker that trains in a precision, fp32 or
// bf16, and as cfg says otherwise.
func trainer(python, folder, precision string, cfg bench.TrainConfig, threads int) *exec.Cmd {
	return pytorch(python, folder, "train", threads, precision, cfg.Optimizer, cfg.Model())
}

// malloc is a setting of glibc for PyTorch. By default glibc returns the memory of tensors
// to the system and asks for it again in each step, which can take as long as the rest of
// the step. Huge pages help a little too.
const malloc = "GLIBC_TUNABLES=glibc.malloc.trim_threshold=1073741824:glibc.malloc.mmap_threshold=33554432:glibc.malloc.hugetlb=1"

// pytorch returns the command of PyTorch's worker, run by python.
func pytorch(python, folder, task string, threads int, args ...string) *exec.Cmd {
	cmd := exec.Command(python, append([]string{filepath.Join(folder, "pytorch.py"), task, strconv.Itoa(threads)}, args...)...)
	cmd.Env = append(environment(threads), malloc)
	// Debian's PyTorch leaves fp32 products to the system's BLAS. The OpenBLAS for OpenMP
	// shares PyTorch's threads; that for pthreads waits while PyTorch's threads spin.
	if folders, _ := filepath.Glob("/usr/lib/*/openblas-openmp"); len(folders) > 0 {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+strings.Join(append(folders, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...), ":"))
	}
	return cmd
}

// pythonWithTorch returns the first of pythons that has PyTorch.
func pythonWithTorch(pythons []string) (string, error) {
	for _, python := range pythons {
		if exec.Command(python, "-c", "import torch").Run() == nil {
			return python, nil
		}
	}
	return "", fmt.Errorf("peers: pytorch: none of %q can import torch; in Debian: apt-get install python3-torch", pythons)
}

// cacheFolder is where drivers and packages are kept.
func cacheFolder() (string, error) {
	if dir := os.Getenv(data.EnvCache); dir != "" {
		return filepath.Join(dir, "peers"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("peers: no cache folder: %w; set %s", err, data.EnvCache)
	}
	return filepath.Join(dir, "halfgrad", "peers"), nil
}
