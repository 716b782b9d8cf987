package kerneltest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// RunAssembly checks how the package in the current directory calls its assembly.
// Every assembly function takes at most one argument, a pointer to a struct or a
// number, and returns nothing. The assembler resolves the fields of the struct, by
// names from go_asm.h. The one offset that remains, that of the argument, is checked
// here in all files; go vet does not look into .h files, nor into macros.
func RunAssembly(t *testing.T) {
	for _, err := range checkAssembly(os.DirFS(".")) {
		t.Error(err)
	}
}

var (
	textLine = regexp.MustCompile(`^TEXT\s+·(\w+)\(SB\),[^$]*\$\w+-(\d+)$`)
	frameUse = regexp.MustCompile(`(\S*?)\(FP\)`)
)

// checkAssembly returns what is wrong with the files of a package.
func checkAssembly(files fs.FS) (errs []error) {
	fail := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return []error{err}
	}
	argument := map[string]string{} // of each function without a body, "" for none
	source := map[string]string{}   // of each assembly file
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasSuffix(name, "_test.go") || !slices.Contains([]string{".go", ".s", ".h"}, path.Ext(name)) {
			continue
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return []error{err}
		}
		if path.Ext(name) != ".go" {
			source[name] = string(text)
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			return []error{err}
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body != nil {
				continue
			}
			argument[f.Name.Name] = ""
			switch params := f.Type.Params; {
			case params.NumFields() > 1:
				fail("%s: %s takes %d arguments: want one pointer to a struct", name, f.Name, params.NumFields())
			case params.NumFields() == 1 && len(params.List[0].Names) == 1:
				argument[f.Name.Name] = params.List[0].Names[0].Name
			}
			if f.Type.Results.NumFields() > 0 {
				fail("%s: %s returns something: want a field of its argument", name, f.Name)
			}
		}
	}
	defined := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(source)) {
		own := "args" // what files and macros call the argument before the first function
		for i, line := range strings.Split(source[name], "\n") {
			line, _, _ = strings.Cut(line, "//")
			line = strings.TrimRight(line, " \t")
			if strings.HasPrefix(line, "TEXT") {
				m := textLine.FindStringSubmatch(line)
				if m == nil {
					fail("%s:%d: cannot read %q", name, i+1, line)
					continue
				}
				var declared bool
				if own, declared = argument[m[1]]; !declared {
					fail("%s:%d: %s has no declaration in Go", name, i+1, m[1])
				}
				defined[m[1]] = true
				if want := map[bool]string{true: "8", false: "0"}[own != ""]; m[2] != want {
					fail("%s:%d: %s has %s bytes of arguments: want %s", name, i+1, m[1], m[2], want)
				}
			}
			for _, m := range frameUse.FindAllStringSubmatch(line, -1) {
				if m[1] != own+"+0" {
					fail("%s:%d: %s: want %s+0(FP)", name, i+1, m[0], own)
				}
			}
		}
	}
	for f := range argument {
		if !defined[f] {
			fail("%s is declared in Go, and no assembly file has it", f)
		}
	}
	if len(argument) == 0 {
		fail("no function is in assembly")
	}
	return errs
}
