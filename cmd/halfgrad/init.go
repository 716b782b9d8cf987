package main

import (
	"fmt"
	"slices"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/trainer"
)

// initial is what --init names.
type initial struct {
	file    *checkpoint.File
	network *network // nil if the file does not tell, as those of the library's users
}

// readInit reads the file of --init. Without --hidden and --model it takes the network of
// the file, and says so.
func (s *session) readInit() (taken bool, err error) {
	if s.Init == "" {
		return false, nil
	}
	path := checkpointPath(s.Init)
	f, err := readTensors(path, weightTensors)
	if err != nil {
		return false, fmt.Errorf("--init %s: %w", s.Init, err)
	}
	s.initial = &initial{file: f}
	if _, ours := f.Metadata[settingsKey]; !ours {
		return false, nil
	}
	of, err := loadSettings(path, f)
	if err != nil {
		return false, fmt.Errorf("--init %s: %w", s.Init, err)
	}
	model, err := of.restored(f)
	if err != nil {
		return false, fmt.Errorf("--init %s: %w", s.Init, err)
	}
	s.initial.network = &network{of, model, f}
	if s.explicit["hidden"] || s.explicit["model"] {
		return false, nil
	}
	s.Model, s.Widths = of.shape(), slices.Clone(of.Widths)
	return true, nil
}

// initialize sets the weights to those of --init.
func (s *session) initialize() error {
	if s.initial == nil {
		return nil
	}
	from := s.initial.network
	if from == nil {
		if err := trainer.LoadWeights(s.model, s.initial.file); err != nil {
			return fmt.Errorf("--init %s: %w", s.Init, err)
		}
		return nil
	}
	if !slices.Equal(from.Widths, s.Widths) {
		return fmt.Errorf("--init %s is of a network %s, not %s", s.Init, from.shape(), s.shape())
	}
	// By their order: dropout, which the two may differ in, changes the names.
	theirs := from.model.Params()
	for i, p := range s.model.Params() {
		copy(p.Master, theirs[i].Master)
	}
	return nil
}
