package bench_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every package that others can import shows how it is used, in an example that runs
// and whose output is checked. It looks at files, and so sees those for other machines too.
func TestEveryPackageHasAnExample(t *testing.T) {
	const root = ".."
	packages := map[string]bool{} // folders, and whether there is an example
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		name := d.Name()
		if path != root && (name == "internal" || name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || isModule(path)) {
			return filepath.SkipDir
		}
		library, examples, err := inspect(path)
		if library {
			packages[path] = slices.ContainsFunc(examples, func(e *doc.Example) bool { return e.Output != "" || e.EmptyOutput })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 10 {
		t.Fatalf("there are only %d packages: %v", len(packages), packages)
	}
	for path, shown := range packages {
		if !shown {
			t.Errorf("package %s has no example with an output", path)
		}
	}
}

// isModule returns whether a folder is a module of its own.
func isModule(path string) bool {
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

// inspect returns whether a folder holds a package that can be imported, and its examples.
func inspect(path string) (library bool, examples []*doc.Example, err error) {
	files, err := filepath.Glob(filepath.Join(path, "*.go"))
	if err != nil {
		return false, nil, err
	}
	var tests []*ast.File
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return false, nil, err
		}
		if strings.HasSuffix(name, "_test.go") {
			tests = append(tests, f)
		} else if f.Name.Name != "main" {
			library = true
		}
	}
	return library, doc.Examples(tests...), nil
}
