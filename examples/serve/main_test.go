package main

import (
	"bytes"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/halfgrad/halfgrad"
	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/models"
	"github.com/halfgrad/halfgrad/tensor"
)

func TestHandler(t *testing.T) {
	spec := models.MLP{Inputs: 2, Widths: []int{3}}.Spec()
	g, err := spec.Graph(1)
	if err != nil {
		t.Fatal(err)
	}
	f := new(checkpoint.File)
	for _, p := range g.Params() {
		f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, Elements: tensor.Of(p.Master)})
	}
	if err := spec.Note(f); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "c.safetensors")
	if err := checkpoint.Write(path, f); err != nil {
		t.Fatal(err)
	}
	p, err := halfgrad.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(body string) (int, string) {
		w := httptest.NewRecorder()
		handler(p).ServeHTTP(w, httptest.NewRequest("POST", "/", bytes.NewBufferString(body)))
		return w.Code, w.Body.String()
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if code, body := ask("[0.5, 0.25]"); code != 200 || strings.Count(body, ",") != 2 {
				t.Errorf("%d: %s", code, body)
			}
		})
	}
	all.Wait()
	for body, want := range map[string]string{"{": "want a JSON list", "[1]": "want 2 for each sample", `["a"]`: "want a JSON list"} {
		if code, got := ask(body); code != 400 || !strings.Contains(got, want) {
			t.Errorf("%s: %d: %s", body, code, got)
		}
	}
}
