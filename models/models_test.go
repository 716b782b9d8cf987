package models_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/models"
)

// A description survives a checkpoint's metadata, and builds the same parameters again.
func TestSpecOfACheckpoint(t *testing.T) {
	spec := models.MLP{Inputs: 5, Widths: []int{4, 3}, InputDropout: 0.1, Dropout: 0.5}.Spec()
	spec.Precision, spec.Pixels = "fp16", &models.Pixels{Height: 1, Width: 5, Mean: 0.5}
	var f checkpoint.File
	if err := spec.Note(&f); err != nil {
		t.Fatal(err)
	}
	again, err := models.Of(&f)
	if err != nil {
		t.Fatal(err)
	}
	first, err := spec.Graph(3)
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.Graph(3)
	if err != nil || first.String() != second.String() || *again.Pixels != *spec.Pixels || again.Precision != "fp16" {
		t.Errorf("%v became %v, error %v", spec, again, err)
	}
	for i, p := range first.Params() {
		if fmt.Sprint(p.Master) != fmt.Sprint(second.Params()[i].Master) {
			t.Errorf("%s has other values", p.Name)
		}
	}
}

func TestPixels(t *testing.T) {
	if got := (&models.Pixels{Mean: 0.5, Std: 0.25}).Standardize(1); got != 2 {
		t.Errorf("(1 − 0.5) / 0.25 is %v", got)
	}
	if got := (&models.Pixels{Mean: 0.5}).Standardize(1); got != 0.5 {
		t.Errorf("without a deviation: %v", got)
	}
	if got := (*models.Pixels)(nil).Standardize(0.75); got != 0.75 {
		t.Errorf("without pixels: %v", got)
	}
}

func TestBadSpecs(t *testing.T) {
	for want, s := range map[string]models.Spec{
		`there is no architecture "cnn2": want one of mlp`: {Name: "cnn2"},
		"the configuration of mlp is not one":              {Name: "mlp"},
		"mlp of 3 inputs and widths [4 -1]":                models.MLP{Inputs: 3, Widths: []int{4, -1}}.Spec(),
		"mlp of 0 inputs":                                  models.MLP{Widths: []int{4}}.Spec(),
		"dropout rate of 1.5":                              models.MLP{Inputs: 3, Widths: []int{4, 1}, Dropout: 1.5}.Spec(),
		"unsupported value: NaN":                           models.MLP{Inputs: 3, Widths: []int{4, 1}, Dropout: math.NaN()}.Spec(),
	} {
		if _, err := s.Graph(1); err == nil || !strings.Contains(err.Error(), want) && want != "unsupported value: NaN" {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := models.Of(new(checkpoint.File)); err == nil || !strings.Contains(err.Error(), "does not tell its network") {
		t.Errorf("an empty checkpoint: error %v", err)
	}
}
