package runfolder

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/internal/files"
)

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// ours writes a checkpoint as halfgrad does.
func ours(t *testing.T, path string) {
	t.Helper()
	if err := checkpoint.Write(path, &checkpoint.File{Metadata: map[string]string{"halfgrad.train": "{}"}}); err != nil {
		t.Fatal(err)
	}
}

func theirs(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// A folder's name is no pattern: those that it would match keep their files.
func TestPrune(t *testing.T) {
	parent := t.TempDir()
	strange := "exp[12]*?"
	if runtime.GOOS == "windows" {
		strange = "exp[12]"
	}
	for _, dir := range []string{"exp1", "exp2", strange} {
		if err := os.Mkdir(filepath.Join(parent, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			ours(t, filepath.Join(parent, dir, Epoch(n+1)))
		}
		ours(t, filepath.Join(parent, dir, Epoch(12345)))
		// Names of other forms, and another program's file of ours.
		for _, name := range []string{"epoch-1.safetensors", "epoch-00003.safetensors", "epoch-0001.safetensors.bak", "xepoch-0001.safetensors"} {
			ours(t, filepath.Join(parent, dir, name))
		}
		theirs(t, filepath.Join(parent, dir, Epoch(9)), "mine")
		ours(t, filepath.Join(parent, dir, "sub"))
	}
	if err := checkpoint.Write(filepath.Join(parent, strange, Epoch(8)), &checkpoint.File{Metadata: map[string]string{"format": "pt"}}); err != nil {
		t.Fatal(err)
	}
	all := names(t, filepath.Join(parent, "exp1"))
	if err := open(t, filepath.Join(parent, strange)).Prune(3, 4); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"exp1", "exp2"} {
		if got := names(t, filepath.Join(parent, other)); !slices.Equal(got, all) {
			t.Errorf("%s has %q, had %q", other, got, all)
		}
	}
	want := []string{
		lockName, "epoch-0001.safetensors.bak", "epoch-0003.safetensors", "epoch-0004.safetensors", "epoch-0008.safetensors", "epoch-0009.safetensors",
		"epoch-00003.safetensors", "epoch-1.safetensors", "sub", "xepoch-0001.safetensors",
	}
	slices.Sort(want)
	if got := names(t, filepath.Join(parent, strange)); !slices.Equal(got, want) {
		t.Errorf("%s has\n%q, want\n%q", strange, got, want)
	}
}

// What a killed run leaves goes at the next start, and nothing else does.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	var left string
	if err := files.Replace(filepath.Join(dir, Checkpoint), func(io.Writer) error {
		left = filepath.Join(dir, names(t, dir)[0])
		return errors.New("no more") // so that nothing is there in the end
	}); err == nil {
		t.Fatal("no error")
	}
	kept := []string{".checkpoint.safetensors123", ".halfgrad-1", ".best.safetensors9", "notes.txt"}
	for _, name := range kept {
		theirs(t, filepath.Join(dir, name), "mine")
	}
	theirs(t, left, "half")
	theirs(t, filepath.Join(dir, lockName), `{"pid":1,"host":"x"}`) // of a process that is gone
	f := open(t, dir)
	if !f.Locked() {
		t.Skip("no locks here")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(kept)
	if got := names(t, dir); !slices.Equal(got, kept) {
		t.Errorf("there are %q, want %q", got, kept)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	if !f.Locked() {
		t.Skip("no locks here")
	}
	var busy *BusyError
	if _, err := Open(dir); !errors.As(err, &busy) || busy.Owner.PID != os.Getpid() || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second run: error %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Error(err)
	}
}

// Many runs that begin and end at once never have the folder at the same time.
func TestLockRace(t *testing.T) {
	dir := t.TempDir()
	inside := make(chan bool, 1) // has a place for one
	done := make(chan error)
	for range 8 {
		go func() {
			done <- func() error {
				for range 50 {
					f, err := Open(dir)
					var busy *BusyError
					if errors.As(err, &busy) {
						continue
					}
					if err != nil {
						return err
					}
					if !f.Locked() {
						return nil
					}
					select {
					case inside <- true:
					default:
						return errors.New("two hold the folder")
					}
					<-inside
					if err := f.Close(); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Files of others that a run would replace keep it out.
func TestForeign(t *testing.T) {
	for _, name := range []string{Checkpoint, Best, lockName} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		theirs(t, path, "mine")
		var foreign *ForeignError
		if _, err := Open(dir); !errors.As(err, &foreign) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
			t.Errorf("%s: there is %q, error %v", name, b, err)
		}
		if got := names(t, dir); len(got) != 1 {
			t.Errorf("%s: left %q", name, got)
		}
	}
	dir := t.TempDir()
	theirs(t, filepath.Join(dir, Epoch(4)), "mine")
	f := open(t, dir)
	var foreign *ForeignError
	if err := f.CheckEpochs(4); !errors.As(err, &foreign) {
		t.Errorf("epoch 4 of others: error %v", err)
	}
	if err := f.CheckEpochs(3); err != nil {
		t.Error(err)
	}
}

// Folders that Open made go with Close if they are empty.
func TestMade(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "a", "b")
	f := open(t, dir)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, parent); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	f = open(t, dir)
	theirs(t, filepath.Join(dir, "x"), "mine")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"x"}) {
		t.Errorf("left: %q", got)
	}
	if _, err := Open(filepath.Join(dir, "x", "y")); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder below a file: error %v", err)
	}
}

func TestReserved(t *testing.T) {
	for name, want := range map[string]bool{
		"checkpoint.safetensors": true, "Best.safetensors": true, "epoch-0001.safetensors": true, "epoch-12345.safetensors": true,
		".halfgrad.lock": true, "metrics.jsonl": false, "epoch-1.safetensors": false, "model.safetensors": false,
	} {
		if got := Reserved(name); got != want {
			t.Errorf("Reserved(%q) = %v", name, got)
		}
	}
}
