//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
)

var errPin = errors.New("peers: pinning processes to CPUs, which a fair comparison needs, is done on Linux only")

func startOn([]int, *exec.Cmd) error { return errPin }

func halt(*os.Process) error { return errPin }

func proceed(*os.Process) error { return errPin }

func available() ([]int, error) { return nil, errPin }
