// Package e2e tests the command as a process: killed at any moment, and on every
// kind of processor that there is or that qemu emulates.
//
//	go test ./internal/e2e                                            # seconds
//	go test ./internal/e2e -v -run TestKilled -kills 500 -seed 7      # more kills, elsewhere
//	HALFGRAD_TEST=full go test ./internal/e2e -v -timeout 2h          # 50 kills, and all processors: an hour on two cores
//	HALFGRAD_TEST=full go test ./internal/e2e -v -run TestSameBits/arm64
package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// build compiles the command for Linux on an architecture, or for this machine if
// it is "", and returns the binary's path.
func build(t *testing.T, goarch string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "halfgrad"+goarch+".exe")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/halfgrad/halfgrad/cmd/halfgrad")
	if goarch != "" {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return path
}
