package main

import (
	"context"
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// kernelPackage is the package whose functions are looked at.
const kernelPackage = "github.com/halfgrad/halfgrad/kernels/arm64"

// loop is an innermost loop of a kernel that has FMAs.
type loop struct {
	Function string
	What     string // the rows, the columns, and how A lies
	Steps    int    // of k a turn
	FMAs     int    // a turn
	Loads    int    // instructions a turn
	Stores   int
	Main     bool // rather than one for what is left of the rows, the columns or k

	body []string
}

func (l loop) String() string { return strings.TrimSuffix(l.Function+", "+l.What, ", ") }

// fhm says whether the loop has instructions of FEAT_FHM.
func (l loop) fhm() bool { return slices.ContainsFunc(l.body, isFMLAL.MatchString) }

var (
	isFMA   = regexp.MustCompile(`^fmla(l2?)?\t`)
	isFMLAL = regexp.MustCompile(`^fmlal2?\t`)
	isLoad  = regexp.MustCompile(`^(ldr|ldp|ld1r?)\t`)
	isStore = regexp.MustCompile(`^(str|stp|st1)\t`)
	movesOn = regexp.MustCompile(`\], #\d+$`)
	branch  = regexp.MustCompile(`^(?:b|b\.\w+|cbn?z|tbn?z)\t(?:.*, )?#(-?\d+)$`)
	counter = regexp.MustCompile(`^subs\t(x\d+), (x\d+), #(\d+)$`)
)

// kernelLoops builds the package for arm64 and returns the loops of its kernels, in
// the order of the functions' names and then of the code.
func kernelLoops(ctx context.Context, llvm toolchain) ([]loop, error) {
	folder, err := os.MkdirTemp("", "mca")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, "kernels.test") // the tests use all of them
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, kernelPackage)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mca: the kernels cannot be built: %w\n%s", err, out)
	}
	code, err := functions(binary)
	if err != nil {
		return nil, err
	}
	var loops []loop
	for _, name := range slices.Sorted(maps.Keys(code)) {
		instructions, err := llvm.disassemble(ctx, code[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !slices.ContainsFunc(instructions, isFMA.MatchString) {
			continue
		}
		found, err := findLoops(name, instructions)
		if err != nil {
			return nil, err
		}
		loops = append(loops, found...)
	}
	return loops, nil
}

// kernelName tells the columns of a tile from a function's name, or the rows of a
// thin product.
var kernelName = regexp.MustCompile(`^(?:[a-z]+6x(\d+)|thin(\d)|peak)`)

// functions returns the code of the package's assembly in a binary, by name.
func functions(binary string) (map[string][]byte, error) {
	file, err := elf.Open(binary)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return nil, err
	}
	code := map[string][]byte{}
	for _, s := range symbols {
		name, ours := strings.CutPrefix(s.Name, kernelPackage+".")
		name, assembly := strings.CutSuffix(name, ".abi0")
		if !ours || !assembly {
			continue
		}
		section := file.Sections[s.Section]
		code[name] = make([]byte, s.Size)
		if _, err := section.ReadAt(code[name], int64(s.Value-section.Addr)); err != nil {
			return nil, fmt.Errorf("mca: %s: %w", name, err)
		}
	}
	if len(code) == 0 {
		return nil, fmt.Errorf("mca: %s has no assembly of %s", binary, kernelPackage)
	}
	return code, nil
}

// findLoops returns the loops of a function: what is between a branch back and its
// target, if it has FMAs and no other branch back.
func findLoops(function string, instructions []string) ([]loop, error) {
	var loops []loop
	last := -1 // branch back
	for i, instruction := range instructions {
		m := branch.FindStringSubmatch(instruction)
		if m == nil || m[1][0] != '-' {
			continue
		}
		offset, err := strconv.Atoi(m[1])
		if err != nil || offset%4 != 0 || i+offset/4 < 0 {
			return nil, fmt.Errorf("mca: %s: %q leads nowhere", function, instruction)
		}
		from := i + offset/4
		if from > last && slices.ContainsFunc(instructions[from:i], isFMA.MatchString) {
			l, err := describe(function, instructions[from:i+1])
			if err != nil {
				return nil, err
			}
			loops = append(loops, l)
		}
		last = i
	}
	if len(loops) == 0 {
		return nil, fmt.Errorf("mca: %s has no loop with FMAs", function)
	}
	return loops, nil
}

// describe says what a loop does, by its instructions and the function's name.
func describe(function string, body []string) (loop, error) {
	l := loop{Function: function, body: body}
	aByRows := false
	for _, instruction := range body {
		switch m := counter.FindStringSubmatch(instruction); {
		case m != nil && m[1] == m[2]:
			l.Steps, _ = strconv.Atoi(m[3])
		case isFMA.MatchString(instruction):
			l.FMAs++
		case isLoad.MatchString(instruction):
			l.Loads++
			aByRows = aByRows || movesOn.MatchString(instruction)
		case isStore.MatchString(instruction):
			l.Stores++
		}
	}
	if l.Steps == 0 || l.FMAs%l.Steps != 0 {
		return loop{}, fmt.Errorf("mca: %s: a loop of %d FMAs counts %d steps a turn", function, l.FMAs, l.Steps)
	}
	accumulators := l.FMAs / l.Steps
	switch m := kernelName.FindStringSubmatch(function); {
	case m == nil:
		return loop{}, fmt.Errorf("mca: %s has FMAs, but a name that does not tell its tile", function)
	case m[1] != "":
		cols, _ := strconv.Atoi(m[1])
		rows, lies := accumulators*4/cols, "columns"
		if aByRows {
			lies = "rows"
		}
		l.What = fmt.Sprintf("%d×%d, A by %s", rows, cols, lies)
		l.Main = rows == 6 && cols == 16 && l.Steps > 1
	case m[2] != "":
		rows, _ := strconv.Atoi(m[2])
		cols := accumulators / rows * 4
		if cols == 4 { // of which one is wanted
			cols = 1
		}
		l.What = fmt.Sprintf("%d×%d", rows, cols)
		l.Main = accumulators == 16 && l.Steps > 1
	default:
		l.Main = true
	}
	if l.Steps == 1 && !l.Main {
		l.What += ", one step"
	}
	return l, nil
}
