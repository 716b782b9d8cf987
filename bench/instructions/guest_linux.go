//go:build linux && (amd64 || arm64)

package main

import "syscall"

// option is one of prctl's that there is not: "halfgrad", as in plugin/count.c.
const option = 0x68616c6667726164

// mark has the plugin write down how many instructions this thread has executed.
func mark() { syscall.RawSyscall(syscall.SYS_PRCTL, option, 0, 0) }

// loop executes turnLength instructions a turn, and some more. There is at least one
// turn.
//
//go:noescape
func loop(turns int)
