package main

import (
	"cmp"
	"strings"
)

// resumeCommand returns the command line that continues the run in the folder out, for
// a shell.
func (e *env) resumeCommand(out string, from origin) string {
	command := cmp.Or(e.program, "halfgrad") + " train --resume --out " + quote(out)
	if from.Place != "" && from.Place != mnistPlace {
		command += " --data " + quote(from.Place)
	}
	return command
}

// programName returns what to type in a shell for the program that was started as
// args0. What go run starts is gone when it ends.
func programName(args0 string) string {
	if strings.Contains(args0, "/go-build") {
		return "go run github.com/halfgrad/halfgrad/cmd/halfgrad"
	}
	return quote(args0)
}

// quote returns a word for a POSIX shell that stands for s.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+=:,./-", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
