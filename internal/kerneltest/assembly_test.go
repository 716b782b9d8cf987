package kerneltest

import (
	"strings"
	"testing"
	"testing/fstest"
)

// What RunAssembly is there for: each of these mistakes builds, and go vet passes
// those in macros and in .h files.
func TestAssemblyWithFaults(t *testing.T) {
	stub := `package p

type fArgs struct{ k int }

func f(args *fArgs)
func turn(turns int)
`
	text := `#define LOAD MOVQ args+0(FP), AX
TEXT ·f(SB), NOSPLIT, $fFrame__size-8
	MOVQ args+0(FP), AX
	RET
TEXT ·turn(SB), NOSPLIT, $0-8
	MOVQ turns+0(FP), CX
	RET
`
	body := "\tMOVQ args+0(FP), AX // not args+8(FP)\n"
	for _, c := range []struct{ name, in, replace, by, want string }{
		{"none", "", "", "", ""},
		{"two arguments", "go", "args *fArgs", "args *fArgs, n int", "takes 2 arguments"},
		{"two of one type", "go", "args *fArgs", "a, b *fArgs", "takes 2 arguments"},
		{"a result", "go", "args *fArgs)", "args *fArgs) bool", "returns something"},
		{"no declaration", "go", "func f(args *fArgs)\n", "", "f has no declaration"},
		{"no assembly", "s", "·f(SB)", "·turn(SB)", "no assembly file has it"},
		{"more bytes of arguments", "s", "__size-8", "__size-16", "f has 16 bytes"},
		{"no bytes of arguments", "s", "__size-8", "__size", "cannot read"},
		{"another offset", "s", "\tMOVQ args+0(FP)", "\tMOVQ args+8(FP)", "args+8(FP): want args+0(FP)"},
		{"another name", "s", "turns+0(FP)", "args+0(FP)", "want turns+0(FP)"},
		{"another offset in a macro", "s", "LOAD MOVQ args+0(FP)", "LOAD MOVQ args+8(FP)", "args+8(FP): want args+0(FP)"},
		{"another offset in a header", "h", "args+0(FP)", "args+80(FP)", "args+80(FP): want args+0(FP)"},
		{"another argument in a header", "h", "args+0(FP)", "k+0(FP)", "k+0(FP): want args+0(FP)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for ext, content := range map[string]string{"go": stub, "s": text, "h": body} {
				if ext == c.in {
					changed := strings.Replace(content, c.replace, c.by, 1)
					if changed == content {
						t.Fatalf("%q is not in the file", c.replace)
					}
					content = changed
				}
				files["p."+ext] = &fstest.MapFile{Data: []byte(content)}
			}
			errs := checkAssembly(files)
			if c.want == "" {
				if errs != nil {
					t.Errorf("a package without faults has %v", errs)
				}
				return
			}
			for _, err := range errs {
				if strings.Contains(err.Error(), c.want) {
					return
				}
			}
			t.Errorf("found %v: want an error that contains %q", errs, c.want)
		})
	}
}
