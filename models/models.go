// Package models builds graphs from descriptions that a checkpoint can hold.
//
// A [Spec] is a name and a configuration in JSON. A checkpoint carries one under
// [MetadataKey], so that whoever opens it can build its graph.
package models

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/nn"
)

// MetadataKey is where a checkpoint's metadata holds its [Spec], in JSON.
const MetadataKey = "halfgrad.model"

// Spec describes a graph, and what its first input is.
type Spec struct {
	Name      string          `json:"name"`                // of the architecture: one of Names
	Config    json.RawMessage `json:"config"`              // of that architecture, such as an MLP
	Precision string          `json:"precision,omitempty"` // it was trained in: "fp16" or "fp32"
	Pixels    *Pixels         `json:"pixels,omitempty"`    // nil where the input is no picture
}

// Pixels says how pictures become the input: the network gets (pixel − Mean) / Std, for
// pixels from 0 to 1, row after row.
type Pixels struct {
	Height int     `json:"height"` // 0 where unknown
	Width  int     `json:"width"`
	Mean   float32 `json:"mean"`
	Std    float32 `json:"std"` // 0 counts as 1
}

// Standardize returns the input for a pixel from 0 to 1. A nil Pixels changes nothing.
func (p *Pixels) Standardize(pixel float64) float32 {
	if p == nil {
		return float32(pixel)
	}
	std := float64(p.Std)
	if std == 0 {
		std = 1
	}
	return float32((pixel - float64(p.Mean)) / std)
}

// architecture can add itself to a graph.
type architecture interface {
	check() error
	add(g *nn.Graph)
}

// Names returns the names of all architectures.
func Names() []string { return []string{"mlp"} }

// configure returns the architecture that a spec describes.
func (s Spec) configure() (architecture, error) {
	var a architecture
	switch s.Name {
	case "mlp":
		a = new(MLP)
	default:
		return nil, fmt.Errorf("models: there is no architecture %q: want one of %s", s.Name, strings.Join(Names(), ", "))
	}
	d := json.NewDecoder(bytes.NewReader(s.Config))
	d.DisallowUnknownFields()
	if err := d.Decode(a); err != nil {
		return nil, fmt.Errorf("models: the configuration of %s is not one: %w", s.Name, err)
	}
	return a, a.check()
}

// Graph returns a graph with first values from a seed.
func (s Spec) Graph(seed uint64) (*nn.Graph, error) { return s.build(nn.NewGraph(seed)) }

// Blank returns a graph without values, see [nn.NewBlankGraph].
func (s Spec) Blank() (*nn.Graph, error) { return s.build(nn.NewBlankGraph()) }

func (s Spec) build(g *nn.Graph) (*nn.Graph, error) {
	a, err := s.configure()
	if err != nil {
		return nil, err
	}
	a.add(g)
	return g, g.Err()
}

// Note puts a spec into a checkpoint's metadata.
func (s Spec) Note(f *checkpoint.File) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	if f.Metadata == nil {
		f.Metadata = map[string]string{}
	}
	f.Metadata[MetadataKey] = string(text)
	return nil
}

// Of returns the spec in a checkpoint's metadata. Checkpoints that were made before there
// were specs are of an [MLP]: the shapes of their weights tell its widths.
func Of(f *checkpoint.File) (Spec, error) {
	text, ok := f.Metadata[MetadataKey]
	if !ok {
		return chain(f)
	}
	var s Spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("models: the checkpoint's %q is not a description of a network: %w", MetadataKey, err)
	}
	return s, nil
}

// chain returns the spec of linear layers "0.weight", "2.weight" and so on, each as wide as
// the next one is deep.
func chain(f *checkpoint.File) (Spec, error) {
	var m MLP
	for i := range f.Tensors {
		w, ok := f.Tensor(fmt.Sprintf("%d.weight", i))
		if !ok {
			continue
		}
		if len(w.Shape) != 2 || len(m.Widths) > 0 && w.Shape[0] != m.Widths[len(m.Widths)-1] {
			return Spec{}, fmt.Errorf("models: the checkpoint has no %q, and %s of %v does not continue a chain of linear layers", MetadataKey, w.Name, w.Shape)
		}
		if len(m.Widths) == 0 {
			m.Inputs = w.Shape[0]
		}
		m.Widths = append(m.Widths, w.Shape[1])
	}
	if len(m.Widths) == 0 {
		return Spec{}, fmt.Errorf("models: the checkpoint has no %q in its metadata, and no linear layers: it does not tell its network", MetadataKey)
	}
	return m.Spec(), nil
}

// MLP is a multilayer perceptron: linear layers with ReLUs between them. Its input is
// "image", its output "logits".
type MLP struct {
	Inputs       int     `json:"inputs"`
	Widths       []int   `json:"widths"` // of the hidden layers and the output
	InputDropout float64 `json:"input_dropout,omitempty"`
	Dropout      float64 `json:"dropout,omitempty"` // after the hidden layers
}

// Spec returns the description of m.
func (m MLP) Spec() Spec {
	config, err := json.Marshal(m)
	if err != nil { // a rate that is not a number
		config = []byte(fmt.Sprintf("%q", err))
	}
	return Spec{Name: "mlp", Config: config}
}

func (m *MLP) check() error {
	if len(m.Widths) == 0 || m.Inputs < 1 || slices.Min(m.Widths) < 1 {
		return fmt.Errorf("models: mlp of %d inputs and widths %v: want at least one of each, all positive", m.Inputs, m.Widths)
	}
	return nil
}

func (m *MLP) add(g *nn.Graph) {
	x := g.Input("image", m.Inputs)
	g.Output("logits", nn.MLPConfig{Widths: m.Widths, InputDropout: m.InputDropout, Dropout: m.Dropout}.Add(x))
}
