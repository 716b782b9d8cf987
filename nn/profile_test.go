package nn_test

import (
	"testing"

	"github.com/halfgrad/halfgrad/nn"
)

// Phases are those of all steps, in their order, even if one step has a phase that the
// others lack.
func TestProfile(t *testing.T) {
	var none *nn.Profile
	none.Start()
	none.Lap("nothing happens")

	var p nn.Profile
	for i := range 3 {
		p.Start()
		p.Lap("first")
		if i == 1 {
			p.Lap("sometimes")
		}
		p.Lap("last")
	}
	var names []string
	for _, phase := range p.Phases() {
		names = append(names, phase.Name)
		if phase.Time < 0 {
			t.Errorf("%s took %v", phase.Name, phase.Time)
		}
	}
	p.Reset()
	if len(p.Phases()) != 3 || p.Phases()[0].Time != 0 {
		t.Errorf("after a reset: %v", p.Phases())
	}
	if len(names) != 3 || names[0] != "first" || names[1] != "last" || names[2] != "sometimes" {
		t.Errorf("phases %v", names)
	}
}
