package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/halfgrad/halfgrad/cmd/halfgrad/internal/runfolder"
	"github.com/halfgrad/halfgrad/internal/files"
	"github.com/halfgrad/halfgrad/trainer"
)

// resumeMode is what --resume asks for.
type resumeMode string

const (
	resumeNever  resumeMode = ""
	resumeAlways resumeMode = "always" // --resume
	resumeAuto   resumeMode = "auto"   // --resume=auto
)

// IsBool makes the flag's value optional.
func (resumeMode) IsBool() bool { return true }

// Decode takes the flag alone, with =true and =false as other flags do, or with =auto.
func (m *resumeMode) Decode(ctx *kong.DecodeContext) error {
	*m = resumeAlways
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return nil
	}
	switch value := ctx.Scan.Pop().Value; value {
	case "auto":
		*m = resumeAuto
	case "true", true:
	case "false", false:
		*m = resumeNever
	default:
		return fmt.Errorf("%v: want --resume or --resume=auto", value)
	}
	return nil
}

// chooseResume decides whether a run is continued.
func (c *trainCmd) chooseResume() error {
	c.Resume = c.ResumeMode != resumeNever
	if c.Resume && c.Overwrite {
		return usagef("--resume and --overwrite: want one of them")
	}
	if c.ResumeMode == resumeAuto {
		_, err := os.Lstat(filepath.Join(c.Out, checkpointName))
		c.Resume = !errors.Is(err, fs.ErrNotExist)
	}
	return nil
}

// earlierName is the name of the folder in --out that keeps an earlier run.
const earlierName = "earlier-%d"

// keepEarlier moves the files of an earlier run in the folder dir, and the file extra
// where that lies there too, into a folder of their own in dir. It returns a line that
// says so, or "" where there was no run.
func keepEarlier(e *env, dir, extra string) (string, error) {
	names, err := runFiles(dir)
	if err != nil || len(names) == 0 {
		return "", err
	}
	if info, err := os.Stat(extra); err == nil && info.Mode().IsRegular() && filepath.Clean(filepath.Dir(extra)) == filepath.Clean(dir) {
		names = append(names, filepath.Base(extra))
	}
	var to string
	for n := 1; ; n++ {
		to = filepath.Join(dir, fmt.Sprintf(earlierName, n))
		if err = os.Mkdir(to, 0o755); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(to, name)); err != nil {
			return "", err
		}
	}
	return "kept the earlier run in " + to + unfinished(e, to), nil
}

// runFiles returns the names of the files in dir that a run of halfgrad train, and an
// export of its checkpoint, have written.
func runFiles(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if runfolder.IsCheckpoint(path) || isExport(path) || e.Name() == configName && isConfig(path) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// isExport reports whether path is a file that halfgrad export writes beside a
// checkpoint: of the name that it chooses, and marked as made by halfgrad.
func isExport(path string) bool {
	name := filepath.Base(path)
	if name != "model.onnx" && name != "model.safetensors" {
		return false
	}
	f, _, err := files.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 1<<16) // the producer is among the first things in both formats
	n, _ := io.ReadFull(f, head)
	return bytes.Contains(head[:n], []byte("halfgrad"))
}

// staleExports returns the exports in dir, which a run is about to make out of date.
func staleExports(dir string) (paths []string) {
	for _, name := range []string{"model.onnx", "model.safetensors"} {
		if path := filepath.Join(dir, name); isExport(path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// unfinished returns how far the run in the folder dir got, and how to go on with it,
// or "" for one that is over.
func unfinished(e *env, dir string) string {
	path := filepath.Join(dir, checkpointName)
	f, err := readTensors(path, weightTensors)
	if err != nil {
		return ""
	}
	s, err := loadSettings(path, f)
	if err != nil {
		return ""
	}
	p, err := trainer.SavedProgress(f)
	if err != nil || p.Epoch >= s.Epochs || s.EarlyStop > 0 && p.Epoch-p.BestEpoch >= s.EarlyStop {
		return ""
	}
	return fmt.Sprintf(", unfinished after %d of %d epochs; go on with it by: %s", p.Epoch, s.Epochs, e.resumeCommand(dir, s.Origin))
}
