// Serve answers predictions over HTTP: POST the numbers of one or more samples as a JSON
// list, pixels from 0 to 1, and get the probabilities of the classes.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"

	"github.com/halfgrad/halfgrad"
)

// handler answers from any number of goroutines.
func handler(p *halfgrad.Predictor) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var x []float32
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&x); err != nil {
			http.Error(w, "want a JSON list of numbers: "+err.Error(), http.StatusBadRequest)
			return
		}
		probabilities, err := p.Probabilities(x)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(probabilities)
	})
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: serve CHECKPOINT")
	}
	p, err := halfgrad.Load(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Print("listening on http://localhost:8080")
	log.Fatal(http.ListenAndServe("localhost:8080", handler(p)))
}
