// Package require decides whether a test that lacks something is skipped or
// fails. The environment variable HALFGRAD_REQUIRE lists what a machine must
// have: tiers of kernels (avx2), programs (llvm), data sets (mnist). It is used
// from tests only.
package require

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Env is the environment variable with the comma-separated list.
const Env = "HALFGRAD_REQUIRE"

// List returns what HALFGRAD_REQUIRE lists.
func List() []string {
	var list []string
	for what := range strings.SplitSeq(os.Getenv(Env), ",") {
		if what = strings.TrimSpace(what); what != "" {
			list = append(list, what)
		}
	}
	return list
}

// Listed reports whether HALFGRAD_REQUIRE lists what.
func Listed(what string) bool { return slices.Contains(List(), what) }

// Missing ends a test that lacks what: it fails if HALFGRAD_REQUIRE lists what
// and is skipped otherwise. The message says how to get it.
func Missing(t testing.TB, what, format string, args ...any) {
	t.Helper()
	if Listed(what) {
		t.Fatalf(Env+" lists "+what+": "+format, args...)
	}
	t.Skipf(format, args...)
}

// EnvTest is the environment variable that says how much to test.
const EnvTest = "HALFGRAD_TEST"

// Full reports whether HALFGRAD_TEST=full asks for the tests that take minutes.
// What they cover is covered by less without it, or does not change from day to
// day: .ci/full sets it before a release.
func Full() bool { return os.Getenv(EnvTest) == "full" }
