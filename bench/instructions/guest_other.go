//go:build !linux || !(amd64 || arm64)

package main

// Programs are counted that are for Linux, and for processors of which there is a loop.

func mark() {}

func loop(int) {}
