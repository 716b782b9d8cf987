package compare

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/bench/report"
)

// texts returns the table as lines.
func texts(t *testing.T, reports ...*report.Report) []string {
	t.Helper()
	var b strings.Builder
	if err := compared(t, reports...).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return strings.Split(b.String(), "\n")
}

// row returns the words of the line that begins so.
func row(t *testing.T, lines []string, begin string) []string {
	t.Helper()
	for _, line := range lines {
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), begin+"  "); found {
			return strings.Fields(rest)
		}
	}
	t.Fatalf("no row %q in\n%s", begin, strings.Join(lines, "\n"))
	return nil
}

func TestText(t *testing.T) {
	reports := sampleReports()
	reports[1].Benchmarks[len(reports[1].Benchmarks)-1].Samples = times(64)[:3]
	lines := texts(t, reports...)
	// Of widen's first three samples, 0.998, 1.005 and 1.001 of 64 ns, 1.001 is the median.
	// The bounds of 11 samples of 0.995 to 1.005 are 0.996 and 1.003: 0.4 % of the rate.
	for begin, want := range map[string][]string{
		"CPU *":                     {"A", "B", "D"},
		"cores":                     {"2", "2", "2"},
		"100×100×100 nn":            {"100.0", "±0.4%", "80%", "50.00", "±0.4%", "40%", "0.500×", "33.33", "±0.4%", "27%", "0.333×", "99.98", "±0.4%", "100%", "~", "0.5000", "±0.4%", "50%"},
		"512×768×768 nt":            {"33.55", "±0.4%", "27%", "16.78", "±0.4%", "13%", "0.500×", "11.18", "±0.4%", "9%", "0.333×"},
		"784-256-10, batch 16, sgd": {"0.5000", "±0.4%", "0.5%", "8000/s", "0.2500", "±0.4%", "0.2%", "4000/s", "0.500×", "0.1667", "±0.4%", "0.2%", "2667/s", "0.333×", "1.000", "±0.4%", "1%", "16000/s", "2.00×"},
		"widen 1024":                {"16.00", "±0.4%", "15.98!", "±∞", "~"},
		"copy 16 KiB":               {"204.8", "±0.4%", "-", "-", "409.6", "±0.4%", "2.00×"},
	} {
		if diff := cmp.Diff(want, row(t, lines, begin)); diff != "" {
			t.Errorf("%s:\n%s", begin, diff)
		}
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{
		"3 reports, which differ (*) in CPU, emulated, kernels, peers\n", "C: D (emulated) EMULATED", "C emu (emulated)\n", "×: speed-up against A fast; ~: chance may",
		"!: noisy, 1 of ", "C is emulated: its figures say nothing about a real machine",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	// The medians of a column end at one place, that of a line that has one.
	end := 0
	median := regexp.MustCompile(`^  (100|512|784).{30,}? [\d.]+!? `)
	for _, line := range lines {
		switch m := median.FindString(line); {
		case m == "":
			end = 0
		case end != 0 && utf8.RuneCountInString(m) != end:
			t.Errorf("%q ends at %d, and above it %d", m, utf8.RuneCountInString(m), end)
		default:
			end = utf8.RuneCountInString(m)
		}
	}
}

func TestFigures(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{figure(106238.4), "106238"}, {figure(9.9996), "10.00"}, {figure(0.45678), "0.4568"}, {figure(12345678901), "1.235e+10"}, {figure(1.5e-7), "1.500e-07"},
		{ratio(0.9998), "1.00×"}, {ratio(25.123), "25.1×"}, {ratio(0.0312), "0.031×"}, {ratio(1234), "1234×"},
		{percent(0.956, 0), "96%"}, {percent(0.0042, 0), "0.4%"}, {percent(1.2, 1), "120.0%"},
		{round(950), "950"}, {round(106238), "106 k"}, {round(999.9), "1 k"}, {round(999999), "1 M"}, {round(2.5e9), "2.5 G"}, {round(7e13), "7e+04 G"},
		{byteSize(16384), "16 KiB"}, {byteSize(1000), "1000 B"}, {byteSize(1536 << 20), "1.5 GiB"},
	} {
		if test.got != test.want {
			t.Errorf("%s, want %s", test.got, test.want)
		}
	}
}
