package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// startOn starts cmd on the given CPUs. A child inherits the affinity of the thread that
// starts it.
func startOn(cpus []int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, during unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("the CPUs of this process: %w", err)
	}
	for _, cpu := range cpus {
		during.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &during); err != nil {
		return fmt.Errorf("pinning to the CPUs %v: %w", cpus, err)
	}
	defer unix.SchedSetaffinity(0, &before) //nolint:errcheck // it was so before
	return cmd.Start()
}

// halt stops a process, until it may proceed.
func halt(p *os.Process) error    { return p.Signal(unix.SIGSTOP) }
func proceed(p *os.Process) error { return p.Signal(unix.SIGCONT) }

// available returns the CPUs that this process may run on.
func available() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("peers: the CPUs of this process: %w", err)
	}
	var cpus []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}
