package arm64_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/internal/require"
)

// TestEncodings assembles every encoding macro with many operands, and compares
// llvm-mc's disassembly with the comment before the macro. It skips if llvm-mc is not
// installed, unless HALFGRAD_REQUIRE names llvm.
func TestEncodings(t *testing.T) {
	for _, header := range []string{"encode_arm64.h", "../../fp16/encode_arm64.h"} {
		t.Run(header, func(t *testing.T) {
			if testing.Short() {
				t.Skip("-short: starts other programs")
			}
			llvm := llvmMC(t)
			text, err := os.ReadFile(header)
			if err != nil {
				t.Fatal(err)
			}
			var code, want []string
			rng := rand.New(rand.NewPCG(1, 1))
			for _, m := range readMacros(t, text) {
				for range 300 {
					call, text := m.use(rng)
					code, want = append(code, call), append(want, text)
				}
			}
			got := disassemble(t, llvm, assemble(t, text, code))
			if len(got) != len(want) {
				t.Fatalf("%d instructions are %d words", len(want), len(got))
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s is %q, want %q", code[i], got[i], want[i])
				}
			}
		})
	}
}

// A wrong bit in an encoding must show in the comparison.
func TestWrongEncodings(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts other programs")
	}
	llvm := llvmMC(t)
	text, err := os.ReadFile("encode_arm64.h")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("((i)&2)<<10"), []byte("((i)&2)<<9"))
	if got := disassemble(t, llvm, assemble(t, text, []string{"FMLA_LANE(5, 3, 6, 7)"})); got[0] == "fmla v7.4s, v6.4s, v5.s[3]" {
		t.Error("a lane in the wrong bits is disassembled as the right one")
	}
}

// llvmMC returns the disassembler, the newest if there are several.
func llvmMC(t *testing.T) string {
	for version := 40; version >= 11; version-- {
		if path, err := exec.LookPath(fmt.Sprintf("llvm-mc-%d", version)); err == nil {
			return path
		}
	}
	path, err := exec.LookPath("llvm-mc")
	if err != nil {
		require.Missing(t, "llvm", "no independent disassembler: %v (Debian's package llvm has it)", err)
	}
	return path
}

// macro is a macro with its instruction as a disassembler prints it.
type macro struct {
	name       string
	parameters []string
	text       string
}

var (
	define    = regexp.MustCompile(`^#define (\w+)\(([^)]*)\) WORD `)
	parameter = regexp.MustCompile(`{(\w+)}`)
)

// readMacros returns the macros of a header, in which each has a comment and a
// line of its own.
func readMacros(t *testing.T, header []byte) []macro {
	var macros []macro
	comment := ""
	for line := range strings.Lines(string(header)) {
		line = strings.TrimSpace(line)
		if d := define.FindStringSubmatch(line); d != nil {
			m := macro{d[1], strings.Split(d[2], ", "), strings.TrimPrefix(comment, "// ")}
			for _, p := range m.parameters {
				if !strings.Contains(m.text, "{"+p+"}") {
					t.Fatalf("%s: its comment %q says nothing of %s", m.name, m.text, p)
				}
			}
			macros = append(macros, m)
		} else if strings.HasPrefix(line, "#define") {
			t.Fatalf("%q is no encoding macro", line)
		}
		comment = line
	}
	if len(macros) == 0 {
		t.Fatal("no macros")
	}
	return macros
}

// use returns a use of the macro with random operands, and its instruction.
func (m macro) use(rng *rand.Rand) (call, text string) {
	halves := strings.Contains(m.text, ".h[{i}]")
	values := map[string]int{}
	arguments := make([]string, len(m.parameters))
	for i, p := range m.parameters {
		most := 32
		switch {
		case p == "i" && halves:
			most = 8
		case p == "i":
			most = 4
		case p == "m" && halves: // the other bit is one of the lane
			most = 16
		case strings.Contains(m.text, "x{"+p+"}"): // 31 is the stack pointer
			most = 31
		}
		values[p] = rng.IntN(most)
		arguments[i] = strconv.Itoa(values[p])
	}
	text = parameter.ReplaceAllStringFunc(m.text, func(s string) string { return strconv.Itoa(values[s[1:len(s)-1]]) })
	return m.name + "(" + strings.Join(arguments, ", ") + ")", text
}

// assemble returns the words that Go's assembler makes of the code. It finds them
// in the object file between others.
func assemble(t *testing.T, header []byte, code []string) []uint32 {
	const first, last = 0xd503201f, 0xd503203f // NOP and YIELD
	mark := func(word uint32) string { return strings.Repeat(fmt.Sprintf("\tWORD $%#x\n", word), 4) }
	dir := t.TempDir()
	text := string(header) + "\nTEXT ·x(SB), 4, $0\n" + mark(first) + "\t" + strings.Join(code, "\n\t") + "\n" + mark(last) + "\tRET\n"
	if err := os.WriteFile(filepath.Join(dir, "x.s"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "tool", "asm", "-p", "x", "-o", "x.o", "x.s")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOARCH=arm64", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "x.o"))
	if err != nil {
		t.Fatal(err)
	}
	marker := func(word uint32) []byte { return bytes.Repeat(binary.LittleEndian.AppendUint32(nil, word), 4) }
	_, data, found := bytes.Cut(data, marker(first))
	data, _, ended := bytes.Cut(data, marker(last))
	if !found || !ended || len(data) != 4*len(code) {
		t.Fatalf("the code is not in the object file as it is: %d bytes for %d instructions", len(data), len(code))
	}
	words := make([]uint32, len(code))
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	return words
}

// disassemble returns what llvm-mc makes of the words, a string each.
func disassemble(t *testing.T, llvm string, words []uint32) []string {
	var in strings.Builder
	for _, w := range words {
		for i := range 4 {
			fmt.Fprintf(&in, "%#02x ", byte(w>>(8*i)))
		}
		in.WriteByte('\n')
	}
	cmd := exec.Command(llvm, "--disassemble", "--triple=aarch64", "--mattr=+fullfp16,+fp16fml")
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !strings.HasPrefix(line, ".") {
			lines = append(lines, line)
		}
	}
	return lines
}
