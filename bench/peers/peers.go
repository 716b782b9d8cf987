package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/cpuid/v2"

	"github.com/halfgrad/halfgrad/bench"
	"github.com/halfgrad/halfgrad/data"
)

//go:embed drivers
var drivers embed.FS

// onnxRuntime is the version of the package onnxruntime-node.
const onnxRuntime = "1.30.0"

// peerNames are the libraries there are drivers for.
var peerNames = []string{"onednn", "openblas", "onnxruntime"}

// command returns the command of a peer's worker with the given number of
// threads. It compiles or installs into folder what is not there. kept says
// that B is a constant.
func command(name, folder string, threads int, kept bool) (*exec.Cmd, error) {
	var cmd *exec.Cmd
	var err error
	switch name {
	case "onednn":
		cmd, err = compiled(name, folder, "dnnl", "libdnnl-dev")
	case "openblas":
		cmd, err = compiled(name, folder, "openblas", "libopenblas-pthread-dev")
	case "onnxruntime":
		cmd, err = installed(folder, threads, kept)
	default:
		err = fmt.Errorf("peers: no peer %q: there are %v", name, peerNames)
	}
	if err != nil {
		return nil, err
	}
	cmd.Env = environment(threads)
	return cmd, nil
}

// environment returns what tells libraries how many threads to have.
func environment(threads int) []string {
	n := strconv.Itoa(threads)
	env := append(os.Environ(), "OMP_NUM_THREADS="+n, "OPENBLAS_NUM_THREADS="+n, "MKL_NUM_THREADS="+n)
	if cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		// Releases older than a processor take it for one without AVX-512.
		env = append(env, "OPENBLAS_CORETYPE=SKYLAKEX")
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
		return nil, fmt.Errorf("peers: %s: its driver does not compile; in Debian: apt-get install g++ %s\n%s", name, debian, out)
	}
	return exec.Command(path), nil
}

// installed installs ONNX Runtime for Node.
func installed(folder string, threads int, kept bool) (*exec.Cmd, error) {
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "onnxruntime-node")); err != nil {
		out, err := exec.Command("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, "onnxruntime-node@"+onnxRuntime).CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			return nil, errors.New("peers: onnxruntime: there is no npm to install it with; in Debian: apt-get install npm")
		}
		if err != nil {
			return nil, fmt.Errorf("peers: onnxruntime: npm install: %w\n%s", err, out)
		}
	}
	b := "input"
	if kept {
		b = "constant"
	}
	return exec.Command("node", filepath.Join(folder, "onnxruntime.mjs"), folder, strconv.Itoa(threads), b), nil
}

// pytorch returns the command of PyTorch's worker in that python: precision is fp32 or
// bf16, the rest is cfg's.
func pytorch(python, folder, precision string, cfg bench.TrainConfig, threads int) *exec.Cmd {
	cmd := exec.Command(python, filepath.Join(folder, "pytorch.py"), precision, cfg.Optimizer, cfg.Model(), strconv.Itoa(threads))
	// By default glibc hands the memory of tensors back to the system and gets it anew in
	// each step, which may take as long as the rest. Huge pages are a bit faster, too.
	cmd.Env = append(environment(threads), "GLIBC_TUNABLES=glibc.malloc.trim_threshold=1073741824:glibc.malloc.mmap_threshold=33554432:glibc.malloc.hugetlb=1")
	// Debian's PyTorch leaves fp32 products to the system's BLAS. Of OpenBLAS there is one
	// that shares PyTorch's threads; those of the other wait while PyTorch's spin.
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
