package main

import (
	"os"
	"path/filepath"
	"testing"
)

// The files in the repository are those that the generator writes.
func TestUpToDate(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		for name, want := range files(arch) {
			got, err := os.ReadFile(filepath.Join("../../kernels", arch, name))
			if err != nil {
				t.Error(err)
			} else if string(got) != want {
				t.Errorf("kernels/%s/%s is out of date: go generate ./kernels/%s", arch, name, arch)
			}
		}
	}
}
