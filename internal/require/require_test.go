package require_test

import (
	"slices"
	"testing"

	"github.com/halfgrad/halfgrad/internal/require"
)

func TestList(t *testing.T) {
	t.Setenv(require.Env, "avx2, mnist,,")
	if got, want := require.List(), []string{"avx2", "mnist"}; !slices.Equal(got, want) {
		t.Errorf("List() = %q, want %q", got, want)
	}
	for what, want := range map[string]bool{"avx2": true, "mnist": true, "neon": false, "": false} {
		if got := require.Listed(what); got != want {
			t.Errorf("Listed(%q) = %v", what, got)
		}
	}
}

// recorder is a test that notes how it ended. As a test's own, its Fatalf and
// Skipf do not return.
type recorder struct {
	testing.TB
	end string
}

func (r *recorder) Helper()               {}
func (r *recorder) Fatalf(string, ...any) { r.end = "failed"; panic(r) }
func (r *recorder) Skipf(string, ...any)  { r.end = "skipped"; panic(r) }

func TestMissing(t *testing.T) {
	t.Setenv(require.Env, "llvm")
	for what, want := range map[string]string{"llvm": "failed", "torch": "skipped"} {
		r := &recorder{TB: t}
		func() {
			defer func() { recover() }()
			require.Missing(r, what, "no %s", what)
		}()
		if r.end != want {
			t.Errorf("a test without %s is %s, want %s", what, r.end, want)
		}
	}
}
