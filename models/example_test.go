package models_test

import (
	"fmt"
	"log"

	"github.com/halfgrad/halfgrad/checkpoint"
	"github.com/halfgrad/halfgrad/models"
)

// A description goes into a checkpoint, and whoever opens it builds the same graph.
func Example() {
	spec := models.MLP{Inputs: 784, Widths: []int{256, 10}}.Spec()
	f := new(checkpoint.File)
	if err := spec.Note(f); err != nil {
		log.Fatal(err)
	}

	found, err := models.Of(f)
	if err != nil {
		log.Fatal(err)
	}
	g, err := found.Graph(1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found.Name)
	for _, n := range g.Nodes() {
		fmt.Println(n)
	}
	// Output:
	// mlp
	// 0 (Linear 784→256)
	// 1 (ReLU)
	// 2 (Linear 256→10)
}
