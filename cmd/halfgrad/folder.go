package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/halfgrad/halfgrad/cmd/halfgrad/internal/runfolder"
	"github.com/halfgrad/halfgrad/internal/files"
)

// enter makes and locks the folder --out.
func (s *session) enter() (err error) {
	if s.folder, err = runfolder.Open(s.Out); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if !s.folder.Locked() {
		s.tell(fmt.Sprintf("halfgrad: warning: the file system of %s has no locks: see that no other run writes there", s.Out))
	}
	return nil
}

// leave unlocks the folder --out.
func (s *session) leave() error {
	if s.folder == nil {
		return nil
	}
	return s.folder.Close()
}

// checkFolder makes the folder dir and sees whether files can be made in it, lest that
// be found out after an hour.
func checkFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".halfgrad-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// checkFiles returns a usage error unless each output is a regular file or a new one, and
// none is another output or an input. Paths that are empty are not given.
func checkFiles(outputs []namedPath, inputs ...namedPath) error {
	for _, out := range outputs {
		if out.path == "" {
			continue
		}
		if _, err := files.Target(out.path); err != nil {
			return usagef("%s %w", out.flag, err)
		}
		for _, in := range inputs {
			if err := checkDistinct(in, out); err != nil {
				return err
			}
		}
	}
	return checkDistinct(outputs...)
}
